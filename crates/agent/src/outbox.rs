//! Where a step leaves its wishes: the effects, and the time they are reckoned from.

use std::time::Duration;

use meseta_model::step::{Effects, Now};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;

use crate::event::{Effect, Timer};
use crate::view::{Counter, Delta};

/// The time of this step and the list that its effects go to.
pub(crate) struct Outbox<'a> {
    pub(crate) now: Now,
    pub(crate) effects: &'a mut Effects<Timer, Effect>,
}

impl Outbox<'_> {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn send(&mut self, to: &Upid, message: impl Into<Message>) {
        self.push(Effect::Send {
            to: to.clone(),
            message: Box::new(message.into()),
        });
    }

    pub(crate) fn changed(&mut self, delta: Delta) {
        self.push(Effect::Changed(delta));
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.push(Effect::Count { counter, by: 1 });
    }

    pub(crate) fn wake(&mut self, key: Timer, after: Duration) {
        let at_us = self.now.mono_us.saturating_add(micros(after));
        self.effects.set_timer(key, at_us);
    }

    pub(crate) fn cancel(&mut self, key: Timer) {
        self.effects.cancel_timer(key);
    }
}

/// Whole microseconds, saturating.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
