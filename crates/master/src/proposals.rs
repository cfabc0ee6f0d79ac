//! Ops on their way, and what follows when they are durable.

use std::collections::BTreeMap;

use meseta_model::edge::{Refusal, RefusalKind, RequestId};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::step::Seq;

use crate::event::Effect;
use crate::frameworks::Connection;
use crate::limits::{PROPOSALS_LIMIT, REFUSALS_LIMIT, SNAPSHOT_EVERY};
use crate::master::Reign;
use crate::registration::{Admission, Return};
use crate::registry::{Digest, Inapplicable, Op};
use crate::turn::Turn;
use crate::verdicts::Silence;

/// What waits for an op. The op itself comes back with the commit.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A new agent gets an id.
    Admit(Box<Admission>),
    /// A known agent is let back in.
    Return(Box<Return>),
    /// A framework that only an agent knew.
    Meet,
    /// An agent is given up.
    Unreachable(AgentId, Silence),
    /// An operator gave an agent up; everyone who asked gets an answer.
    Gone(AgentId, Vec<RequestId>),
    /// An agent left, or was replaced by another at its address.
    Remove(AgentId),
    /// A framework subscribes. Only if this is still its newest subscription.
    Subscribe(FrameworkId, Connection),
    /// A framework changes its description.
    Update(Box<crate::subscribe::Change>),
    /// A framework is removed; everyone who asked gets an answer.
    Teardown(FrameworkId, Vec<RequestId>),
    /// For the record only.
    Record,
    /// A batch of digest changes.
    Digest,
}

/// All ops on their way.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    pending: BTreeMap<Seq, Pending>,
    /// Committed since the last snapshot.
    since_snapshot: u64,
    /// Refused since the last commit.
    refused_in_a_row: u32,
}

impl Proposals {
    /// Whether no more may be on their way; agents and frameworks ask again later.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= PROPOSALS_LIMIT
    }

    /// Everything on its way.
    pub(crate) fn pending_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.pending.values_mut()
    }
}

impl Reign {
    pub(crate) fn propose(&mut self, turn: &mut Turn<'_>, op: &Op, pending: Pending) {
        let seq = turn.propose(op);
        self.proposals.pending.insert(seq, pending);
    }

    /// An op is durable: the registry changes, then everything that waited for it happens.
    pub(crate) fn committed(&mut self, turn: &mut Turn<'_>, seq: Seq, index: u64, bytes: &[u8]) {
        let op = match Op::decode(bytes) {
            Ok(op) => op,
            Err(unreadable) => {
                let reason = format!("registry op {index} is {unreadable}");
                return turn.push(Effect::Exit { reason });
            }
        };
        let digest = self.digest_of_gone(seq);
        let applied = self.registry.apply(&op);
        self.proposals.refused_in_a_row = 0;
        if let Some(pending) = self.proposals.pending.remove(&seq) {
            match applied {
                Ok(()) => self.act(turn, pending, op, &digest),
                Err(inapplicable) => self.overtaken(turn, pending, &inapplicable),
            }
        }
        self.proposals.since_snapshot += 1;
        if self.proposals.since_snapshot >= SNAPSHOT_EVERY {
            self.proposals.since_snapshot = 0;
            let bytes = self.registry.encode();
            turn.push(Effect::SnapshotRegistry { index, bytes });
        }
    }

    /// What an agent that is declared gone must answer for; its record goes with it.
    fn digest_of_gone(&self, seq: Seq) -> Digest {
        match self.proposals.pending.get(&seq) {
            Some(Pending::Gone(agent, _)) => self.registry.digest(agent).cloned(),
            _ => None,
        }
        .unwrap_or_default()
    }

    fn act(&mut self, turn: &mut Turn<'_>, pending: Pending, op: Op, digest: &Digest) {
        match pending {
            Pending::Admit(admission) => self.agent_admitted(turn, *admission),
            Pending::Return(back) => self.agent_returned(turn, *back),
            Pending::Meet => self.framework_met(turn, op),
            Pending::Unreachable(agent, silence) => {
                self.agent_unreachable(turn, &agent, silence, op);
            }
            Pending::Gone(agent, requests) => self.agent_gone(turn, &agent, digest, requests),
            Pending::Remove(agent) => self.agent_removed(turn, &agent),
            Pending::Subscribe(framework, connection) => {
                self.subscribed(turn, &framework, &connection);
            }
            Pending::Update(change) => self.framework_changed(turn, *change),
            Pending::Teardown(framework, requests) => {
                self.framework_removed(turn, &framework, requests);
            }
            Pending::Record => {}
            Pending::Digest => self.digest_committed(turn, op),
        }
    }

    /// The op met a state that it does not apply to: something else came first. Whoever waits is told
    /// what is true now, or asks again by itself.
    fn overtaken(&mut self, turn: &mut Turn<'_>, pending: Pending, why: &Inapplicable) {
        self.abandon(turn, pending, RefusalKind::Conflict, &why.to_string());
    }

    /// The op was not taken, and nothing changed.
    ///
    /// Whoever can ask again by itself (agents, drivers, timers) does; requests get 503 and streams are
    /// closed, so that their clients try again. When [`REFUSALS_LIMIT`] in a row are refused the log is
    /// of no use any more and the master exits, as Mesos's does at the first failed write.
    pub(crate) fn refused(&mut self, turn: &mut Turn<'_>, seq: Seq, reason: &str) {
        self.proposals.refused_in_a_row += 1;
        if self.proposals.refused_in_a_row >= REFUSALS_LIMIT {
            let reason = format!("the registry refuses to be written: {reason}");
            return turn.push(Effect::Exit { reason });
        }
        if let Some(pending) = self.proposals.pending.remove(&seq) {
            self.abandon(turn, pending, RefusalKind::Unavailable, reason);
        }
    }

    fn abandon(&mut self, turn: &mut Turn<'_>, pending: Pending, kind: RefusalKind, why: &str) {
        let text = format!("Failed to update the registry: {why}");
        let refuse = |turn: &mut Turn<'_>, requests: Vec<RequestId>| {
            for request in requests {
                turn.refuse(request, Refusal::new(kind, text.clone()));
            }
        };
        match pending {
            Pending::Admit(admission) => {
                self.agents.admitting.remove(&admission.pid);
            }
            Pending::Return(back) => {
                self.agents.returning.remove(&back.id);
                self.agents.insisting.remove(&back.id);
            }
            Pending::Unreachable(agent, _) => {
                self.still_here(turn, &agent);
                self.give_up_later(turn, &agent);
            }
            Pending::Remove(agent) => self.still_here(turn, &agent),
            Pending::Gone(agent, requests) => {
                self.still_here(turn, &agent);
                refuse(turn, requests);
            }
            Pending::Subscribe(framework, connection) => {
                self.subscription_failed(turn, &framework, &connection, &text);
            }
            Pending::Update(change) => refuse(turn, change.requests),
            Pending::Teardown(framework, requests) => {
                self.removal_failed(turn, &framework);
                refuse(turn, requests);
            }
            Pending::Digest => self.digest_refused(turn),
            Pending::Meet | Pending::Record => {}
        }
    }
}
