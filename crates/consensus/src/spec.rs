//! What agreement promises, as a model: no disk, no network, no clock; a seed and a schedule.
//!
//! [`Agreement`] is a whole group of voters. Its caller gives the time, opens and crashes nodes, cuts
//! them off and heals them, and takes the events that each node sees. Everything that may happen in a
//! real group and matters above it happens here: elections take time, a leader that was cut off learns
//! late that it leads no longer, what was under way when a leader fell survives up to some point and
//! not beyond, a committed op's proposer may crash before it hears of it. What must not happen (two
//! leads in one epoch, a committed op lost or moved) cannot happen, because there is one log.
//!
//! The same seed and the same calls give the same events.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::coordinator::{Event, Refusal};
use crate::limits;

/// How long things take, each drawn between two times, both inclusive, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// From the moment that a leader is missing to the next one's [`Event::Led`].
    pub election_us: (u64, u64),
    /// From a proposal to its place in the log.
    pub commit_us: (u64, u64),
    /// From there to the leader's [`Event::Committed`].
    pub notify_us: (u64, u64),
    /// From the end of a lead to [`Event::Lost`].
    pub loss_us: (u64, u64),
}

/// A group of voters that agree on a log.
#[derive(Debug)]
pub struct Agreement {
    voters: usize,
    delays: Delays,
    log_bytes_limit: u64,
    draws: Draws,
    snapshot: Option<(u64, Bytes)>,
    /// The ops after the snapshot.
    log: VecDeque<Bytes>,
    log_bytes: u64,
    epoch: u64,
    /// The node that can commit.
    leader: Option<u64>,
    election_due: bool,
    /// What was under way when the last leader fell, oldest first: the next one may have some of it.
    orphans: Vec<Bytes>,
    nodes: BTreeMap<u64, Node>,
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
}

#[derive(Debug, Default)]
struct Node {
    /// Grows with every restart, so that nothing reaches a later life.
    life: u64,
    open: bool,
    cut_off: bool,
    wants: bool,
    lead: Option<Lead>,
    /// Nothing is told before this time, so that events stay in order.
    told_until: u64,
}

/// What a node believes that it leads.
#[derive(Debug)]
struct Lead {
    epoch: u64,
    under_way: VecDeque<Proposal>,
    /// The last op that the node knows to be committed.
    committed: u64,
    replicated_until: u64,
    /// There was no majority when something was due.
    stalled: bool,
}

#[derive(Debug)]
struct Proposal {
    seq: u64,
    op: Bytes,
    /// Its place, once it is in the log.
    index: Option<u64>,
}

#[derive(Debug)]
enum Due {
    Election,
    /// The oldest proposal of this lead that is not in the log gets there.
    Replicate {
        node: u64,
        epoch: u64,
    },
    /// The leader hears of its oldest proposal that is in the log.
    Notify {
        node: u64,
        epoch: u64,
    },
    Lose {
        node: u64,
        epoch: u64,
    },
    Tell {
        node: u64,
        life: u64,
        event: Event,
    },
}

impl Agreement {
    /// A group in which none of the nodes is open yet. `voters` is its size; a majority of them must be
    /// open and connected for anything to be agreed. `log_bytes` bounds the log between snapshots.
    #[must_use]
    pub fn new(voters: usize, seed: u64, delays: Delays, log_bytes: u64) -> Self {
        Self {
            voters,
            delays,
            log_bytes_limit: log_bytes,
            draws: Draws(seed),
            snapshot: None,
            log: VecDeque::new(),
            log_bytes: 0,
            epoch: 0,
            leader: None,
            election_due: false,
            orphans: Vec::new(),
            nodes: BTreeMap::new(),
            due: BTreeMap::new(),
            scheduled: 0,
        }
    }

    /// A node's process starts; a life that it had before ends.
    pub fn open(&mut self, now: u64, node: u64) {
        self.crash(now, node);
        let node = self.nodes.entry(node).or_default();
        node.open = true;
        node.told_until = now;
        self.gained(now);
    }

    /// A node's process ends, at any moment and without a word.
    pub fn crash(&mut self, now: u64, node: u64) {
        self.depose(node);
        if let Some(state) = self.nodes.get_mut(&node) {
            *state = Node {
                life: state.life + 1,
                cut_off: state.cut_off,
                ..Node::default()
            };
        }
        self.elect_soon(now);
    }

    /// A node no longer reaches the others. With one voter that means nothing.
    pub fn cut_off(&mut self, now: u64, node: u64) {
        if self.voters == 1 {
            return;
        }
        self.nodes.entry(node).or_default().cut_off = true;
        if self.leader == Some(node) {
            self.depose(node);
            self.lose_later(now, node);
        }
        self.elect_soon(now);
    }

    /// A node reaches the others again.
    pub fn heal(&mut self, now: u64, node: u64) {
        self.nodes.entry(node).or_default().cut_off = false;
        self.gained(now);
    }

    /// As [`crate::Coordinator::campaign`].
    pub fn campaign(&mut self, now: u64, node: u64) {
        if let Some(state) = self.nodes.get_mut(&node).filter(|state| state.open) {
            state.wants = true;
        }
        self.elect_soon(now);
    }

    /// As [`crate::Coordinator::propose`]; the refusals that are not events are the caller's to make.
    pub fn propose(&mut self, now: u64, node: u64, seq: u64, op: Bytes) {
        let delay = self.draws.between(self.delays.commit_us);
        let full = self.log_bytes + op.len() as u64 > self.log_bytes_limit;
        let Some(lead) = self.lead(node) else {
            return self.tell(
                now,
                node,
                Event::Refused {
                    seq,
                    reason: Refusal::NotLeading,
                },
            );
        };
        if full {
            return self.tell(
                now,
                node,
                Event::Refused {
                    seq,
                    reason: Refusal::LogFull,
                },
            );
        }
        lead.under_way.push_back(Proposal {
            seq,
            op,
            index: None,
        });
        lead.replicated_until = lead.replicated_until.max(now + delay);
        let (at, epoch) = (lead.replicated_until, lead.epoch);
        self.schedule(at, Due::Replicate { node, epoch });
    }

    /// As [`crate::Coordinator::snapshot`].
    pub fn snapshot(&mut self, now: u64, node: u64, index: u64, bytes: Bytes) {
        let from = self.snapshot_index();
        let reason = match self.lead(node).map(|lead| lead.committed) {
            None => Refusal::NotLeading,
            Some(to) if index < from || index > to => {
                Refusal::SnapshotOutOfRange { index, from, to }
            }
            Some(_) => {
                for op in self.log.drain(..(index - from) as usize) {
                    self.log_bytes -= op.len() as u64;
                }
                self.snapshot = Some((index, bytes));
                return self.tell(now, node, Event::Snapshotted { index });
            }
        };
        self.tell(now, node, Event::SnapshotRefused { index, reason });
    }

    /// When [`Agreement::poll`] has something to do.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets happen what is due; adds to `out` what the nodes see of it, in order.
    pub fn poll(&mut self, now: u64, out: &mut Vec<(u64, Event)>) {
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) {
            let ((at, _), due) = first.remove_entry();
            match due {
                Due::Election => self.elect(at, out),
                Due::Replicate { node, epoch } => self.replicate(at, node, epoch),
                Due::Notify { node, epoch } => self.notify(node, epoch, out),
                Due::Lose { node, epoch } => self.lose(at, node, epoch, out),
                Due::Tell { node, life, event } => {
                    if self
                        .nodes
                        .get(&node)
                        .is_some_and(|state| state.open && state.life == life)
                    {
                        out.push((node, event));
                    }
                }
            }
        }
    }

    /// How many proposals of a node wait for their outcome.
    #[must_use]
    pub fn under_way(&self, node: u64) -> usize {
        let lead = self.nodes.get(&node).and_then(|state| state.lead.as_ref());
        lead.map_or(0, |lead| lead.under_way.len())
    }

    /// The node that can commit, if there is one. Others may believe that they can.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        self.leader
    }

    /// The index of the last op in the log.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.snapshot_index() + self.log.len() as u64
    }

    fn snapshot_index(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(index, _)| *index)
    }

    fn lead(&mut self, node: u64) -> Option<&mut Lead> {
        self.nodes.get_mut(&node)?.lead.as_mut()
    }

    fn lead_of(&mut self, node: u64, epoch: u64) -> Option<&mut Lead> {
        self.lead(node).filter(|lead| lead.epoch == epoch)
    }

    fn schedule(&mut self, at: u64, due: Due) {
        self.due.insert((at, self.scheduled), due);
        self.scheduled += 1;
    }

    fn tell(&mut self, now: u64, node: u64, event: Event) {
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        state.told_until = state.told_until.max(now);
        let (at, life) = (state.told_until, state.life);
        self.schedule(at, Due::Tell { node, life, event });
    }

    fn reaches(state: &Node) -> bool {
        state.open && !state.cut_off
    }

    fn majority(&self) -> bool {
        2 * self
            .nodes
            .values()
            .filter(|state| Self::reaches(state))
            .count()
            > self.voters
    }

    /// A node came (back): an election may be possible, and what was stalled may go on.
    fn gained(&mut self, now: u64) {
        let stalled = self.leader.filter(|_| self.majority());
        if let Some(node) = stalled
            && let Some(lead) = self.lead(node).filter(|lead| lead.stalled)
        {
            lead.stalled = false;
            lead.replicated_until = lead.replicated_until.max(now);
            let (at, epoch) = (lead.replicated_until, lead.epoch);
            let waiting = lead
                .under_way
                .iter()
                .filter(|proposal| proposal.index.is_none())
                .count();
            for _ in 0..waiting {
                self.schedule(at, Due::Replicate { node, epoch });
            }
        }
        self.elect_soon(now);
    }

    fn elect_soon(&mut self, now: u64) {
        let possible =
            self.leader.is_none() && self.majority() && self.candidates().next().is_some();
        if possible && !self.election_due {
            self.election_due = true;
            let at = now + self.draws.between(self.delays.election_us);
            self.schedule(at, Due::Election);
        }
    }

    fn candidates(&self) -> impl Iterator<Item = u64> {
        let able = self
            .nodes
            .iter()
            .filter(|(_, state)| Self::reaches(state) && state.wants);
        able.map(|(node, _)| *node)
    }

    fn elect(&mut self, now: u64, out: &mut Vec<(u64, Event)>) {
        self.election_due = false;
        let candidates: Vec<u64> = self.candidates().collect();
        if self.leader.is_some() || !self.majority() || candidates.is_empty() {
            return;
        }
        let node = candidates[self.draws.below(candidates.len() as u64) as usize];
        // Its own earlier lead, which it has not yet learnt the end of.
        if let Some(epoch) = self.lead(node).map(|lead| lead.epoch) {
            self.lose(now, node, epoch, out);
        }
        let surviving = self.draws.below(self.orphans.len() as u64 + 1) as usize;
        for op in std::mem::take(&mut self.orphans)
            .into_iter()
            .take(surviving)
        {
            self.push(op);
        }
        self.epoch += 1 + self.draws.below(3);
        self.leader = Some(node);
        let lead = Lead {
            epoch: self.epoch,
            under_way: VecDeque::new(),
            committed: self.last_index(),
            replicated_until: now,
            stalled: false,
        };
        if let Some(state) = self.nodes.get_mut(&node) {
            state.lead = Some(lead);
        }
        let ops = (self.snapshot_index() + 1..)
            .zip(self.log.iter().cloned())
            .collect();
        let (epoch, snapshot) = (self.epoch, self.snapshot.clone());
        self.tell(
            now,
            node,
            Event::Led {
                epoch,
                snapshot,
                ops,
            },
        );
    }

    fn push(&mut self, op: Bytes) -> u64 {
        self.log_bytes += op.len() as u64;
        self.log.push_back(op);
        self.last_index()
    }

    fn replicate(&mut self, now: u64, node: u64, epoch: u64) {
        let (leads, majority) = (self.leader == Some(node), self.majority());
        let Some(lead) = self.lead_of(node, epoch) else {
            return;
        };
        if !leads || !majority {
            lead.stalled = true;
            return;
        }
        let Some(oldest) = lead
            .under_way
            .iter()
            .position(|proposal| proposal.index.is_none())
        else {
            return;
        };
        let op = lead.under_way[oldest].op.clone();
        let index = self.push(op);
        if let Some(lead) = self.lead_of(node, epoch) {
            lead.under_way[oldest].index = Some(index);
        }
        let at = now + self.draws.between(self.delays.notify_us);
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        state.told_until = state.told_until.max(at);
        let at = state.told_until;
        self.schedule(at, Due::Notify { node, epoch });
    }

    fn notify(&mut self, node: u64, epoch: u64, out: &mut Vec<(u64, Event)>) {
        let Some(lead) = self.lead_of(node, epoch) else {
            return;
        };
        let Some(Proposal {
            seq,
            op,
            index: Some(index),
        }) = lead.under_way.pop_front()
        else {
            return;
        };
        lead.committed = index;
        out.push((node, Event::Committed { seq, index, op }));
    }

    /// The node cannot commit any longer, whatever it believes.
    fn depose(&mut self, node: u64) {
        if self.leader != Some(node) {
            return;
        }
        self.leader = None;
        let lead = self.lead(node).map(|lead| &lead.under_way);
        let left = lead
            .into_iter()
            .flatten()
            .filter(|proposal| proposal.index.is_none());
        self.orphans = left.map(|proposal| proposal.op.clone()).collect();
    }

    fn lose_later(&mut self, now: u64, node: u64) {
        let at = now + self.draws.between(self.delays.loss_us);
        if let Some(epoch) = self.lead(node).map(|lead| lead.epoch) {
            self.schedule(at, Due::Lose { node, epoch });
        }
    }

    fn lose(&mut self, now: u64, node: u64, epoch: u64, out: &mut Vec<(u64, Event)>) {
        if self.lead_of(node, epoch).is_none() {
            return;
        }
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        let (lead, now_alive) = (state.lead.take(), state.life);
        // What was to be told before (the lead's beginning, refusals) is told before.
        let tells = |due: &Due| matches!(due, Due::Tell { node: to, life, .. } if *to == node && *life == now_alive);
        let due: BTreeMap<(u64, u64), Due>;
        (due, self.due) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(_, due)| tells(due));
        for due in due.into_values() {
            if let Due::Tell { event, .. } = due {
                out.push((node, event));
            }
        }
        let under_way = lead.into_iter().flat_map(|lead| lead.under_way);
        out.extend(under_way.map(|lost| (node, Event::Unknown { seq: lost.seq })));
        let reason = "the lead went to another node".to_owned();
        out.push((node, Event::Lost { reason }));
        self.elect_soon(now);
    }
}

/// Draws (SplitMix64).
#[derive(Debug)]
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most.saturating_sub(least).saturating_add(1))
    }
}

impl Default for Agreement {
    /// One voter and no delays: what a node on its own sees.
    fn default() -> Self {
        Self::new(1, 0, Delays::default(), limits::LOG_BYTES)
    }
}
