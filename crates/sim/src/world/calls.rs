//! Calls of schedulers over HTTP, and what the edge does before the core sees them.
//!
//! The edge is not the real one (that has sockets), but it checks what that checks, in its order: who
//! leads, whether the call is valid by itself, then what it is about.

use meseta_master::event::Event as MasterEvent;
use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, RequestId, StreamId};
use meseta_model::validation;
use meseta_proto::mesos::v1::scheduler::{Call, call};

use super::{Happening, World};
use crate::process::Process;
use crate::show;
use crate::tally::Fault;

/// A call on its way to a master.
#[derive(Debug)]
pub(crate) struct CallFlight {
    /// Names the call for its caller; grows.
    pub(crate) number: u64,
    pub(crate) scheduler: usize,
    pub(crate) scheduler_life: u64,
    pub(crate) session: u64,
    pub(crate) master: usize,
    pub(crate) stream_id: Option<String>,
    pub(crate) call: Box<Call>,
    /// An earlier try of the same call arrived, without its caller knowing.
    pub(crate) arrived_before: bool,
}

/// An answer on its way to its caller.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) scheduler: usize,
    pub(crate) scheduler_life: u64,
    pub(crate) session: u64,
    pub(crate) number: u64,
    pub(crate) what: Answered,
}

/// What a caller learns.
#[derive(Debug, Clone)]
pub(crate) enum Answered {
    /// As the core said.
    Outcome(Outcome),
    /// This master does not lead; that one does, as far as it knows.
    Elsewhere(Option<usize>),
    /// The connection broke; with `true`, after the call had arrived.
    Lost(bool),
}

/// Who waits for a request of a master's core.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) scheduler: usize,
    pub(crate) scheduler_life: u64,
    pub(crate) session: u64,
    pub(crate) number: u64,
}

impl World {
    /// Puts a call on its way.
    pub(super) fn send_call(&mut self, flight: CallFlight) {
        let ends = (
            Process::Master(flight.master),
            Process::Scheduler(flight.scheduler),
        );
        let mut after = self.latency() + self.slowness(ends.0, ends.1);
        if self.draws.permille(self.plan.network.delayed_permille) {
            after += self.draws.between(self.plan.network.delay_us);
        }
        if self.draws.permille(self.plan.network.call_lost_permille) {
            self.fired(Fault::CallLost);
            return self.answer(&waiting(&flight), after, Answered::Lost(false));
        }
        let at_us = self.in_call_order(flight.scheduler, self.now_us + after);
        self.queue
            .plan(at_us, Happening::CallArrives(Box::new(flight)));
    }

    pub(super) fn call_arrives(&mut self, flight: CallFlight) {
        let latency = self.latency();
        let m = flight.master;
        let ends = (Process::Master(m), Process::Scheduler(flight.scheduler));
        if self.cut_until(ends.0, ends.1).is_some() {
            return self.hold(ends.0, ends.1, Happening::CallArrives(Box::new(flight)));
        }
        let waits = waiting(&flight);
        if !self.is_up(Process::Master(m)) {
            return self.answer(&waits, latency, Answered::Lost(false));
        }
        self.note(|| {
            let call = show::scheduler_call(&flight.call);
            format!("scheduler{} calls {call}", flight.scheduler + 1)
        });
        if flight.arrived_before {
            self.fired(Fault::CallDuplicated);
        }
        let scheduler = &mut self.schedulers[flight.scheduler];
        if flight.number < scheduler.last_arrived {
            self.fired(Fault::CallReordered);
        } else {
            scheduler.last_arrived = flight.number;
        }
        if !self.masters[m].believes_to_lead() {
            let leader = self.leader.filter(|leader| *leader != m);
            return self.answer(&waits, latency, Answered::Elsewhere(leader));
        }
        if let Err(invalid) = validation::scheduler_call(&flight.call, None) {
            let refusal = Refusal::invalid(invalid.to_string());
            let refused = Answered::Outcome(Outcome::Refused(refusal));
            return self.answer(&waits, latency, refused);
        }
        if flight.call.r#type() == call::Type::Subscribe {
            self.subscribe_arrives(m, flight);
        } else {
            self.other_call_arrives(m, flight, waits);
        }
    }

    fn subscribe_arrives(&mut self, m: usize, flight: CallFlight) {
        // A stream that its caller gave up meanwhile is opened all the same, and soon found closed.
        let number = self.number();
        let stream = StreamId::new(&format!("stream-{number}"));
        self.open_stream(&stream, m, flight.scheduler, flight.session);
        let stale = self.schedulers[flight.scheduler].life != flight.scheduler_life;
        if stale {
            let after = self.latency();
            self.later(after, Happening::StreamLostAtMaster(stream.clone()));
        }
        let event = MasterEvent::SchedulerSubscribed {
            stream,
            caller: Caller::default(),
            call: flight.call,
        };
        self.master_event(m, event);
    }

    fn other_call_arrives(&mut self, m: usize, flight: CallFlight, waits: Waiting) {
        let Some(process) = self.masters[m].process.as_mut() else {
            return;
        };
        let request = process.new_request(Some(waits));
        let event = MasterEvent::SchedulerCalled {
            request,
            caller: Caller::default(),
            stream_id: flight.stream_id,
            call: flight.call,
        };
        self.master_event(m, event);
    }

    /// The core of a master answered a request.
    pub(super) fn reply(&mut self, master: usize, request: RequestId, outcome: Outcome) {
        let process = self.masters[master].process.as_mut();
        let waits = process.and_then(|process| process.requests.remove(&request));
        let Some(Some(waits)) = waits else {
            // An operator asked, or nobody waits any more.
            return;
        };
        let after = self.latency();
        if self.draws.permille(self.plan.network.answer_lost_permille) {
            self.fired(Fault::AnswerLost);
            return self.answer(&waits, after, Answered::Lost(true));
        }
        self.answer(&waits, after, Answered::Outcome(outcome));
    }

    /// A master died: its callers see their connections break.
    pub(super) fn lose_requests(&mut self, waiting: Vec<Waiting>) {
        for waits in waiting {
            let after = self.latency();
            self.answer(&waits, after, Answered::Lost(true));
        }
    }

    fn answer(&mut self, waits: &Waiting, after_us: u64, what: Answered) {
        let answer = Answer {
            scheduler: waits.scheduler,
            scheduler_life: waits.scheduler_life,
            session: waits.session,
            number: waits.number,
            what,
        };
        self.later(after_us, Happening::AnswerArrives(Box::new(answer)));
    }

    pub(super) fn answer_arrives(&mut self, answer: Answer) {
        let s = answer.scheduler;
        if self.schedulers[s].life != answer.scheduler_life {
            return;
        }
        if let Answered::Outcome(Outcome::Refused(refusal)) = &answer.what {
            let text = format!("scheduler{} is refused: {refusal}", s + 1);
            self.note(|| text);
        }
        self.scheduler_answered(s, answer.session, answer.number, answer.what);
    }
}

fn waiting(flight: &CallFlight) -> Waiting {
    Waiting {
        scheduler: flight.scheduler,
        scheduler_life: flight.scheduler_life,
        session: flight.session,
        number: flight.number,
    }
}

/// Whether trying again later may help.
pub(crate) fn is_passing(refusal: &Refusal) -> bool {
    matches!(
        refusal.kind,
        RefusalKind::Unavailable | RefusalKind::TooMany
    )
}
