//! One step: its time, and where its effects go.

use meseta_model::edge::{Outcome, Refusal, RequestId, StreamId};
use meseta_model::ids::FrameworkId;
use meseta_model::step::{Effects, Now, Seq};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler;

use crate::event::{Effect, Timer};
use crate::registry::Op;
use crate::view::{Counter, Delta, FrameworkCounter};

/// The actor that speaks for the master.
pub(crate) const MASTER: &str = "master";

/// What a handler sees of the outside while it runs.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    out: &'a mut Effects<Timer, Effect>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Now, out: &'a mut Effects<Timer, Effect>) -> Self {
        Self { now, out }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    /// Sends as `master`.
    pub(crate) fn send(&mut self, to: &Upid, message: impl Into<Message>) {
        self.send_as(MASTER, to, message);
    }

    pub(crate) fn send_as(&mut self, from: &str, to: &Upid, message: impl Into<Message>) {
        self.out.push(Effect::Send {
            from: from.to_owned(),
            to: to.clone(),
            message: Box::new(message.into()),
        });
    }

    pub(crate) fn send_event(&mut self, stream: &StreamId, event: scheduler::Event) {
        self.out.push(Effect::SendEvent {
            stream: stream.clone(),
            event: Box::new(event),
        });
    }

    pub(crate) fn reply(&mut self, request: RequestId, outcome: Outcome) {
        self.out.push(Effect::Reply { request, outcome });
    }

    pub(crate) fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.reply(request, Outcome::Refused(refusal));
    }

    pub(crate) fn changed(&mut self, delta: Delta) {
        self.out.push(Effect::Changed(delta));
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.out.push(Effect::Count { counter, by: 1 });
    }

    pub(crate) fn count_by(&mut self, counter: Counter, by: u64) {
        self.out.push(Effect::Count { counter, by });
    }

    pub(crate) fn count_of(&mut self, id: &FrameworkId, counter: FrameworkCounter, by: usize) {
        if by > 0 {
            self.out.push(Effect::CountOf {
                framework: id.clone(),
                counter,
                by: by as u64,
            });
        }
    }

    /// Asks for a timer event this many microseconds from now.
    pub(crate) fn timer(&mut self, key: Timer, after_us: u64) {
        let at_us = self.now.mono_us.saturating_add(after_us);
        self.out.set_timer(key, at_us);
    }

    pub(crate) fn timer_at(&mut self, key: Timer, at_us: u64) {
        self.out.set_timer(key, at_us);
    }

    pub(crate) fn cancel(&mut self, key: Timer) {
        self.out.cancel_timer(key);
    }

    pub(crate) fn propose(&mut self, op: &Op) -> Seq {
        self.out.propose(op.encode())
    }
}
