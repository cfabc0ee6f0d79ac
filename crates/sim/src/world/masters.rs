//! Masters: the real core and driver, and what the process around them does.

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::event::{Effect, Event};
use meseta_master::view::{AgentFate, Delta};
use meseta_master::{Config, Master};
use meseta_model::edge::RequestId;
use meseta_model::ids::AgentId;
use meseta_model::step::Seq;
use meseta_runtime::{Driver, Output};

use super::alarm::Alarm;
use super::calls::Waiting;
use super::{Happening, World};
use crate::invariants::Seen;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::show;
use crate::tally::{Fault, Situation};

/// What [`World::audit_master`] checks.
pub(crate) const AUDIT: &str = "a master's recount of its books agrees";

/// The same.
pub(crate) const SHOWN: &str = "what a master shows is what it has";

/// The host of a master.
#[derive(Default)]
pub(crate) struct MasterHost {
    /// Grows with every start.
    pub(crate) life: u64,
    pub(crate) process: Option<MasterProcess>,
    pub(crate) wall_skew_ns: i64,
    /// How often it stood still.
    pub(crate) pauses: u64,
}

impl MasterHost {
    /// Whether it acts as the leader, rightly or not.
    pub(crate) fn believes_to_lead(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.leads)
    }
}

/// A master at work.
pub(crate) struct MasterProcess {
    pub(crate) driver: Driver<Master, ()>,
    /// What the links stamp on its messages.
    epoch: Option<u64>,
    leads: bool,
    /// Who waits for what; `None` is an operator.
    pub(super) requests: BTreeMap<RequestId, Option<Waiting>>,
    next_request: u64,
    /// Proposals of which it has not heard yet.
    pub(super) proposed: BTreeSet<u64>,
    steps: u64,
    alarm: Alarm,
    exits: Option<String>,
}

impl MasterProcess {
    pub(super) fn new_request(&mut self, waiting: Option<Waiting>) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.requests.insert(request, waiting);
        request
    }
}

impl World {
    pub(super) fn start_master(&mut self, m: usize) {
        if self.masters[m].process.is_some() {
            return;
        }
        let config = self.master_config(m);
        let host = &mut self.masters[m];
        host.life += 1;
        host.process = Some(MasterProcess {
            driver: Driver::new(Master::new(config), |_: &Effect| None),
            epoch: None,
            leads: false,
            requests: BTreeMap::new(),
            next_request: 0,
            proposed: BTreeSet::new(),
            steps: 0,
            alarm: Alarm::default(),
            exits: None,
        });
        self.note(|| format!("master{} starts", m + 1));
        self.see(&Seen::MasterStarts { master: m });
        self.agreement.open(self.now_us, m as u64);
        self.agreement.campaign(self.now_us, m as u64);
    }

    fn master_config(&self, m: usize) -> Config {
        let settings = &self.plan.settings;
        let address = Process::Master(m).address();
        Config {
            agent_ping_timeout_us: settings.ping_us,
            max_agent_ping_timeouts: settings.pings,
            offer_timeout_us: settings.offer_timeout_us,
            heartbeat_interval_us: settings.heartbeat_us,
            agent_reregister_timeout_us: settings.agent_return_us,
            ..Config::new(address, format!("master{}", m + 1))
        }
    }

    /// An event planned earlier, for this life of the master only.
    pub(super) fn master_hears(&mut self, m: usize, life: u64, event: Event) {
        if self.masters[m].life == life {
            self.master_event(m, event);
        }
    }

    /// Gives an event to the core and does what it asks for.
    pub(crate) fn master_event(&mut self, m: usize, event: Event) {
        if self.masters[m].process.is_none() {
            return;
        }
        self.see(&Seen::MasterTakes {
            master: m,
            event: &event,
        });
        let (event, mut outputs) = match &mut self.plant {
            Some(plant) => plant.before_master(event),
            None => (Some(event), Vec::new()),
        };
        let now = self.now(Process::Master(m));
        if let (Some(process), Some(event)) = (&mut self.masters[m].process, event) {
            process.driver.handle(now, event, &mut outputs);
        }
        self.perform_master(m, outputs);
    }

    pub(super) fn wake_master(&mut self, m: usize, life: u64) {
        let now = self.now(Process::Master(m));
        let host = &mut self.masters[m];
        let Some(process) = host.process.as_mut().filter(|_| host.life == life) else {
            return;
        };
        process.alarm.rang();
        let mut outputs = Vec::new();
        process.driver.fire_due(now, &mut outputs);
        self.see(&Seen::MasterWakes { master: m });
        self.perform_master(m, outputs);
    }

    fn perform_master(&mut self, m: usize, outputs: Vec<Output<Master>>) {
        let outputs = match &mut self.plant {
            Some(plant) => plant.after_master(outputs),
            None => outputs,
        };
        for output in outputs {
            self.see(&Seen::MasterDoes {
                master: m,
                output: &output,
            });
            match output {
                Output::Propose { seq, op } => self.propose(m, seq, op),
                // A master has no disk of its own.
                Output::Persist { .. } => {}
                Output::Effect(effect) => self.master_effect(m, effect),
            }
        }
        self.see(&Seen::MasterRests { master: m });
        self.audit_now_and_then(m);
        let exits = self.masters[m]
            .process
            .as_ref()
            .and_then(|process| process.exits.clone());
        match exits {
            Some(reason) => self.master_exits(m, &reason),
            None => self.plan_master_wake(m),
        }
    }

    /// Has a master count its books again, after every step of it or after some.
    fn audit_now_and_then(&mut self, m: usize) {
        let every = self.plan.settings.audit_every;
        if let Some(process) = &mut self.masters[m].process {
            process.steps += 1;
            if process.steps.is_multiple_of(every) {
                self.audit_master(m);
            }
        }
    }

    /// Has a master count its books and its allocator's again, and compares what it has shown with what
    /// it has.
    pub(crate) fn audit_master(&mut self, m: usize) {
        let Some(process) = &self.masters[m].process else {
            return;
        };
        let core = process.driver.core();
        let audit = core.audit();
        let agrees = audit.is_ok();
        let what = || format!("master{}: {}", m + 1, audit.err().unwrap_or_default());
        self.oracle.check(AUDIT, agrees, what);
        if let Some(survey) = core.survey() {
            let differs = self.oracle.books().masters[m].differs(&survey);
            let what = || format!("master{}: {}", m + 1, differs.clone().unwrap_or_default());
            self.oracle.check(SHOWN, differs.is_none(), what);
        }
    }

    fn propose(&mut self, m: usize, seq: Seq, op: bytes::Bytes) {
        let refused = self
            .draws
            .permille(self.plan.settings.proposals_refused_permille);
        if refused {
            self.fired(Fault::ProposalRefused);
            let reason = "too many proposals wait, or events are not read".to_owned();
            let life = self.masters[m].life;
            let event = Box::new(Event::Refused { seq, reason });
            return self.later(1, Happening::MasterEvent(m, life, event));
        }
        if let Some(process) = &mut self.masters[m].process {
            process.proposed.insert(seq.0);
        }
        self.agreement.propose(self.now_us, m as u64, seq.0, op);
    }

    fn plan_master_wake(&mut self, m: usize) {
        let now_us = self.now_us;
        let host = &mut self.masters[m];
        let Some(process) = &mut host.process else {
            return;
        };
        if let Some(at) = process.alarm.set(now_us, process.driver.next_timer()) {
            let wake = Happening::Wake(Process::Master(m), host.life);
            self.queue.plan(at, wake);
        }
    }

    fn master_effect(&mut self, m: usize, effect: Effect) {
        let own = Process::Master(m);
        let Some(process) = &mut self.masters[m].process else {
            return;
        };
        match effect {
            Effect::Link(peer) => self.link(own, &peer),
            Effect::Unlink(peer) => self.unlink(own, &peer),
            Effect::Send { from, to, message } => {
                let epoch = match &mut self.plant {
                    Some(plant) => plant.stamp(process.epoch),
                    None => process.epoch,
                };
                self.send_message(own, &from, &to, message, epoch);
            }
            Effect::SendEvent { stream, event } => self.send_event(&stream, event),
            Effect::CloseStream(stream) => self.close_stream(&stream),
            Effect::Reply { request, outcome } => self.reply(m, request, outcome),
            Effect::Changed(Delta::Elected(view)) => {
                process.epoch = Some(view.epoch);
                process.leads = true;
                self.note(|| format!("master{} leads in epoch {}", m + 1, view.epoch));
            }
            Effect::Changed(delta) => {
                self.note(|| show::master_delta(m, &delta));
                self.notice_return(&delta);
            }
            Effect::Count { .. } | Effect::CountOf { .. } => {}
            Effect::SnapshotRegistry { index, bytes } => {
                self.agreement.snapshot(self.now_us, m as u64, index, bytes);
            }
            Effect::Exit { reason } => {
                process.exits.get_or_insert(reason);
            }
        }
    }

    /// Whether an agent that was unreachable is back.
    fn notice_return(&mut self, delta: &Delta) {
        match delta {
            Delta::AgentRemoved {
                agent,
                to: AgentFate::Unreachable,
            } => {
                self.unreachable.insert(agent.clone());
            }
            Delta::Agent(view) if view.connected => {
                let id = view.info.id.as_ref().map(AgentId::from);
                if id.is_some_and(|id| self.unreachable.remove(&id)) {
                    self.met(Situation::AgentReturned);
                }
            }
            _ => {}
        }
    }

    fn master_exits(&mut self, m: usize, reason: &str) {
        self.note(|| format!("master{} exits: {reason}", m + 1));
        self.see(&Seen::MasterExits { master: m, reason });
        self.end_master(m);
    }

    /// The process of a master ends without a word; a supervisor starts it again.
    pub(crate) fn end_master(&mut self, m: usize) {
        let Some(process) = self.masters[m].process.take() else {
            return;
        };
        self.note(|| format!("master{} is down", m + 1));
        if !process.proposed.is_empty() {
            self.fired(Fault::MasterCrashedInCommit);
        }
        self.see(&Seen::MasterEnds { master: m });
        let own = Process::Master(m);
        self.agreement.crash(self.now_us, m as u64);
        // The network did not cut it off; its process was not there.
        self.agreement.heal(self.now_us, m as u64);
        self.paused.remove(&own);
        self.drop_links(own, false);
        self.drop_streams(own);
        self.lose_requests(process.requests.into_values().flatten().collect());
        if self.leader == Some(m) {
            self.leader = None;
            if self.draws.permille(300) {
                self.announce_leader();
            }
        }
        let back = self.draws.spread((20 * MILLISECOND_US, 5 * SECOND_US));
        self.later(back, Happening::Start(own));
    }
}
