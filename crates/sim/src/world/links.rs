//! Actor messages between daemons: one connection per (sender, receiver), opened by the sender, in
//! order, at most once.
//!
//! What can truly happen to such a connection happens here: it breaks and what was on its way is lost
//! from some point on; its owner learns that soon, or late; a partition holds everything up until it
//! ends or somebody gives up; a process that stands still leaves what comes unread. A message is never
//! repeated and never overtakes another one of its connection. It may overtake what is left of an
//! earlier connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use meseta_agent::event::Event as AgentEvent;
use meseta_master::event::Event as MasterEvent;
use meseta_model::caller::Caller;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;

use super::{Happening, World};
use crate::limits::SECOND_US;
use crate::process::Process;
use crate::show;
use crate::tally::Fault;

/// What was written to a socket when its connection broke may still arrive this much later.
const LAST_PACKETS_US: u64 = 2_000;

/// As the real links: a connection that is not made by then counts as refused.
const CONNECT_TIMEOUT_US: u64 = 5 * SECOND_US;

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Grows with every message that anybody sends.
    number: u64,
    /// When it was to arrive, had nothing come in between.
    pub(crate) at_us: u64,
    pub(crate) from: Upid,
    pub(crate) to: Upid,
    pub(crate) epoch: Option<u64>,
    pub(crate) message: Box<Message>,
}

#[derive(Debug)]
struct Connection {
    owner: Process,
    owner_life: u64,
    receiver: Process,
    /// Who wants to hear of its loss.
    watchers: BTreeSet<Upid>,
    /// When the last message sent over it arrives.
    last_us: u64,
    /// Broken: what arrives later than this is lost.
    cut_after_us: Option<u64>,
    /// Its next message takes so much longer, and is its last: others overtake it.
    lingers_us: Option<u64>,
}

/// All connections between daemons.
#[derive(Debug, Default)]
pub(crate) struct Links {
    by_number: BTreeMap<u64, Connection>,
    /// The one that the sender writes to, whether it still works or not.
    current: BTreeMap<(Process, Process), u64>,
    /// The newest message that arrived, of each sender at each receiver.
    newest: BTreeMap<(Process, Process), u64>,
}

impl Links {
    pub(crate) fn receiver(&self, number: u64) -> Option<Process> {
        self.by_number.get(&number).map(|conn| conn.receiver)
    }

    pub(crate) fn owner(&self, number: u64) -> Option<Process> {
        self.by_number.get(&number).map(|conn| conn.owner)
    }

    /// The connections that still work.
    pub(crate) fn working(&self) -> Vec<u64> {
        let working = |number: &&u64| self.by_number[*number].cut_after_us.is_none();
        self.current.values().filter(working).copied().collect()
    }

    /// Breaks a connection with its next message, which arrives so much later all the same.
    pub(crate) fn linger(&mut self, number: u64, for_us: u64) {
        if let Some(conn) = self.by_number.get_mut(&number) {
            conn.lingers_us = Some(for_us);
        }
    }

    /// A driver and its master have a connection each way, over the same wire: what breaks one breaks
    /// the other too. A master that had lost only its own would end a framework that never hears of it.
    pub(crate) fn twin(&self, number: u64) -> Option<u64> {
        let conn = self.by_number.get(&number)?;
        let ends = [conn.owner, conn.receiver];
        let of_driver = ends.iter().any(|end| matches!(end, Process::Scheduler(_)));
        let twin = self.current.get(&(conn.receiver, conn.owner));
        twin.copied().filter(|_| of_driver)
    }

    /// The connections between these two, in either direction.
    pub(crate) fn between(&self, a: Process, b: Process) -> Vec<u64> {
        let pairs = [(a, b), (b, a)];
        pairs
            .iter()
            .filter_map(|pair| self.current.get(pair).copied())
            .collect()
    }
}

impl World {
    /// As `Links::link` of the client room.
    pub(super) fn link(&mut self, owner: Process, peer: &Upid) {
        let Some(number) = self.connection(owner, peer.address) else {
            return;
        };
        if let Some(conn) = self.links.by_number.get_mut(&number) {
            conn.watchers.insert(peer.clone());
        }
    }

    /// As `Links::unlink` of the client room.
    pub(super) fn unlink(&mut self, owner: Process, peer: &Upid) {
        let receiver = Process::at(peer.address);
        let number = receiver.and_then(|receiver| self.links.current.get(&(owner, receiver)));
        if let Some(conn) = number.and_then(|number| self.links.by_number.get_mut(number)) {
            conn.watchers.remove(peer);
        }
    }

    /// As `Links::send` of the client room.
    pub(crate) fn send_message(
        &mut self,
        owner: Process,
        from: &str,
        to: &Upid,
        message: Box<Message>,
        epoch: Option<u64>,
    ) {
        let Some(number) = self.connection(owner, to.address) else {
            // Nobody can listen there.
            return;
        };
        let mut after = self.latency();
        if self.draws.permille(self.plan.network.delayed_permille) {
            after += self.draws.between(self.plan.network.delay_us);
            self.fired(Fault::MessageDelayed);
        }
        let message_number = self.number();
        let slow = self.links.receiver(number);
        after += slow.map_or(0, |receiver| self.slowness(owner, receiver));
        let Some(conn) = self.links.by_number.get_mut(&number) else {
            return;
        };
        let lingers = conn.lingers_us.take();
        let at_us = conn.last_us.max(self.now_us + after) + lingers.unwrap_or(0);
        conn.last_us = at_us;
        let flight = Flight {
            number: message_number,
            at_us,
            from: Upid::new(from, owner.address()),
            to: to.clone(),
            epoch,
            message,
        };
        self.queue
            .plan(at_us, Happening::Arrive(number, Box::new(flight)));
        if lingers.is_some() {
            self.break_link(number, at_us, 0);
        }
    }

    /// The connection to an address, made if there is none.
    fn connection(&mut self, owner: Process, to: SocketAddr) -> Option<u64> {
        let receiver = Process::at(to)?;
        if let Some(number) = self.links.current.get(&(owner, receiver)) {
            return Some(*number);
        }
        let number = self.number();
        let ready_us = self.now_us + self.latency();
        let mut conn = Connection {
            owner,
            owner_life: self.life(owner),
            receiver,
            watchers: BTreeSet::new(),
            last_us: ready_us,
            cut_after_us: None,
            lingers_us: None,
        };
        let cut = self.cut_until(owner, receiver);
        if cut.is_some_and(|until| until > self.now_us + CONNECT_TIMEOUT_US) {
            conn.cut_after_us = Some(self.now_us);
            self.later(CONNECT_TIMEOUT_US, Happening::LinkTold(number));
        } else if cut.is_none() && !self.is_up(receiver) {
            conn.cut_after_us = Some(self.now_us);
            self.queue.plan(ready_us, Happening::LinkTold(number));
        }
        self.links.by_number.insert(number, conn);
        self.links.current.insert((owner, receiver), number);
        Some(number)
    }

    /// Breaks a connection: what was to arrive after `cut_after_us` is lost. Its owner learns it after
    /// a while.
    pub(crate) fn break_link(&mut self, number: u64, cut_after_us: u64, told_after_us: u64) {
        let Some(conn) = self.links.by_number.get_mut(&number) else {
            return;
        };
        if conn.cut_after_us.is_none() {
            conn.cut_after_us = Some(cut_after_us);
            self.later(told_after_us, Happening::LinkTold(number));
        }
    }

    pub(super) fn link_told(&mut self, number: u64) {
        let Some(conn) = self.links.by_number.get(&number) else {
            return;
        };
        let (owner, life) = (conn.owner, conn.owner_life);
        if self.links.current.get(&(owner, conn.receiver)) != Some(&number) {
            return;
        }
        let receiver = conn.receiver;
        let watchers = conn.watchers.clone();
        self.links.current.remove(&(owner, receiver));
        if !self.is_up(owner) || self.life(owner) != life {
            return;
        }
        self.note(|| format!("{owner} has lost its connection to {receiver}"));
        for peer in watchers {
            match owner {
                Process::Master(m) => self.master_event(m, MasterEvent::LinkBroken { peer }),
                Process::Agent(a) => self.agent_event(a, AgentEvent::LinkBroken { peer }),
                Process::Scheduler(s) => self.driver_link_broken(s, &peer),
            }
        }
    }

    /// The process of `who` is gone. `silent`: its host went with it, nobody resets its connections.
    /// Otherwise its kernel may still deliver what it wrote, however long that takes.
    pub(super) fn drop_links(&mut self, who: Process, silent: bool) {
        let last = self.now_us + self.draws.below(LAST_PACKETS_US);
        let delivers = !silent && self.draws.permille(300);
        let mut lost = Vec::new();
        for (pair, number) in &self.links.current {
            if pair.0 == who || pair.1 == who {
                lost.push((*pair, *number));
            }
        }
        for (pair, number) in lost {
            if pair.0 == who {
                self.links.current.remove(&pair);
                if let Some(conn) = self.links.by_number.get_mut(&number) {
                    let last = if silent { self.now_us } else { last };
                    let last = if delivers {
                        last.max(conn.last_us)
                    } else {
                        last
                    };
                    conn.cut_after_us.get_or_insert(last);
                }
            } else {
                let told = if silent {
                    self.draws.spread((SECOND_US, 75 * SECOND_US))
                } else {
                    self.latency()
                };
                self.break_link(number, self.now_us, told);
            }
        }
    }

    pub(super) fn message_arrives(&mut self, number: u64, mut flight: Flight) {
        let Some(conn) = self.links.by_number.get_mut(&number) else {
            return;
        };
        let (owner, receiver) = (conn.owner, conn.receiver);
        let cut_after = conn.cut_after_us;
        let cut_until = self.cut_until(owner, receiver);
        // What cannot get through is sent again by the kernel, as long as there is a connection.
        if cut_after.is_some_and(|after| flight.at_us > after || cut_until.is_some()) {
            self.note(|| format!("lost: {}", show::flight(&flight)));
            return self.fired(Fault::MessageLost);
        }
        if cut_until.is_some() {
            // It is lost if the connection breaks before the cut is mended.
            flight.at_us = u64::MAX;
            return self.hold(owner, receiver, Happening::Arrive(number, Box::new(flight)));
        }
        if !self.is_up(receiver) {
            let told = self.latency();
            return self.break_link(number, self.now_us, told);
        }
        self.note(|| show::flight(&flight));
        let newest = self.links.newest.entry((owner, receiver)).or_default();
        if flight.number < *newest {
            self.fired(Fault::MessageReordered);
        } else {
            *newest = flight.number;
        }
        let Flight {
            from,
            to,
            epoch,
            message,
            ..
        } = flight;
        match receiver {
            Process::Master(m) => {
                let (to, message) = (to.name, *message);
                let caller = Caller::default();
                let event = MasterEvent::MessageReceived {
                    from,
                    caller,
                    to,
                    message,
                };
                self.master_event(m, event);
            }
            Process::Agent(a) => {
                let (to, message) = (to.name, *message);
                let event = AgentEvent::MessageReceived {
                    from,
                    to,
                    epoch,
                    message,
                };
                self.agent_event(a, event);
            }
            Process::Scheduler(s) => self.driver_hears(s, &from, &to.name, *message),
        }
    }

    /// How long a packet takes.
    pub(crate) fn latency(&mut self) -> u64 {
        self.draws.between(self.plan.network.latency_us)
    }

    pub(crate) fn life(&self, process: Process) -> u64 {
        match process {
            Process::Master(m) => self.masters[m].life,
            Process::Agent(a) => self.agents[a].life,
            Process::Scheduler(s) => self.schedulers[s].life,
        }
    }
}
