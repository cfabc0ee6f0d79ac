//! When a process is woken up for its timers.

use super::World;

/// The earliest wake-up that is planned for a process. A later one that was planned before it comes as
/// well and finds nothing to do.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<u64>);

impl Alarm {
    /// When to plan a wake-up for a core's next timer (its own monotonic time); `None` without a timer,
    /// or if one that is early enough is planned.
    pub(super) fn set(&mut self, now_us: u64, next_timer: Option<u64>) -> Option<u64> {
        let at_us = World::from_mono(next_timer?).max(now_us);
        if self.0.is_some_and(|planned| planned <= at_us) {
            return None;
        }
        self.0 = Some(at_us);
        self.0
    }

    /// The process was woken up.
    pub(super) fn rang(&mut self) {
        self.0 = None;
    }
}
