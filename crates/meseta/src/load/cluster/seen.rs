//! What everybody in a cluster under load has seen, in one place.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use meseta_proto::mesos::v1::TaskState;

use crate::load::report::Times;

/// Errors whose words are kept; all are counted.
const WORDS_KEPT: usize = 10;

/// Shared by frameworks and executors.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Counted>);

/// Counts since the beginning; times only while measuring.
#[derive(Debug, Default, Clone)]
pub struct Counted {
    /// Whether times are taken.
    pub measuring: bool,
    /// Tasks sent in an ACCEPT.
    pub launched: usize,
    /// Tasks by how they ended, first ends only.
    pub ends: BTreeMap<&'static str, usize>,
    /// Second, different ends.
    pub doubled: usize,
    /// Offers received.
    pub offers: usize,
    /// Offers accepted or declined.
    pub answered: usize,
    /// Offers taken back.
    pub rescinded: usize,
    /// Containers launched.
    pub containers_began: usize,
    /// Containers of which the end was reported.
    pub containers_ended: usize,
    /// What went wrong, in words.
    pub errors: Vec<String>,
    /// How often something went wrong.
    pub failed: usize,
    /// From the arrival of a task's end at its framework to the next offer of that agent anywhere.
    pub freed_to_offer: Times,
    /// The same from the moment in which the executor ended the task.
    pub end_to_offer: Times,
    /// From ACCEPT to TASK_RUNNING.
    pub accept_to_running: Times,
    /// Agents on which a task ended that were not offered again yet.
    freed: BTreeMap<String, Freed>,
    seeds: u64,
}

/// When a task ended, and when its framework knew.
#[derive(Debug, Clone, Copy)]
struct Freed {
    ended: Instant,
    known: Option<Instant>,
}

impl Counted {
    /// Tasks that finished.
    #[must_use]
    pub fn finished(&self) -> usize {
        let finished = self.ends.get(TaskState::TaskFinished.as_str_name());
        finished.copied().unwrap_or_default()
    }

    /// Tasks that are over, however they ended.
    #[must_use]
    pub fn over(&self) -> usize {
        self.ends.values().sum()
    }
}

impl Seen {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, as of now.
    #[must_use]
    pub fn so_far(&self) -> Counted {
        self.counted().clone()
    }

    /// Begins or ends taking times.
    pub fn measure(&self, on: bool) {
        self.counted().measuring = on;
    }

    /// Another seed for each who asks.
    pub fn seed(&self) -> u64 {
        let mut counted = self.counted();
        counted.seeds += 1;
        counted.seeds
    }

    /// An executor is about to report the end of the only task on this agent.
    pub fn task_ends(&self, agent: &str, now: Instant) {
        let freed = Freed {
            ended: now,
            known: None,
        };
        self.counted().freed.insert(agent.to_owned(), freed);
    }

    /// Its framework has a status of a task.
    pub fn task_is(&self, agent: &str, state: TaskState, accepted: Option<Instant>, now: Instant) {
        let mut counted = self.counted();
        if let Some(accepted) = accepted
            && counted.measuring
            && state == TaskState::TaskRunning
        {
            counted.accept_to_running.add(now - accepted);
        }
        if crate::cli::output::is_over(state)
            && let Some(freed) = counted.freed.get_mut(agent)
        {
            freed.known = Some(now);
        }
    }

    /// A task is over; `doubled` if it was already, in another way.
    pub fn task_over(&self, state: TaskState, doubled: bool) {
        let mut counted = self.counted();
        if doubled {
            counted.doubled += 1;
        } else {
            *counted.ends.entry(state.as_str_name()).or_default() += 1;
        }
    }

    /// An offer came, and is answered at once.
    pub fn offered(&self, agent: &str, now: Instant) {
        let mut counted = self.counted();
        counted.offers += 1;
        let Some(freed) = counted.freed.remove(agent) else {
            return;
        };
        if counted.measuring {
            counted.end_to_offer.add(now - freed.ended);
            // The offer may overtake the update: they go to different frameworks.
            let known = freed.known.unwrap_or(now);
            counted.freed_to_offer.add(now - known);
        }
    }

    /// An offer was answered, with so many tasks.
    pub fn answered(&self, tasks: usize) {
        let mut counted = self.counted();
        counted.answered += 1;
        counted.launched += tasks;
    }

    /// An offer was taken back.
    pub fn rescinded(&self) {
        self.counted().rescinded += 1;
    }

    /// A container is launched.
    pub fn container_began(&self) {
        self.counted().containers_began += 1;
    }

    /// A container's end is reported.
    pub fn container_ended(&self) {
        self.counted().containers_ended += 1;
    }

    /// Something went wrong.
    pub fn failed(&self, what: &str) {
        let mut counted = self.counted();
        counted.failed += 1;
        if counted.errors.len() < WORDS_KEPT {
            counted.errors.push(what.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_freed_agent_is_timed_until_it_is_offered_once() {
        let seen = Seen::default();
        seen.measure(true);
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        seen.task_ends("S0", at(0));
        seen.task_is("S0", TaskState::TaskFinished, None, at(2));
        seen.offered("S0", at(5));
        seen.offered("S0", at(50));
        seen.task_ends("S1", at(100));
        seen.offered("S1", at(104));
        seen.task_is("S1", TaskState::TaskFinished, None, at(105));
        let mut counted = seen.so_far();
        assert_eq!(counted.offers, 3);
        assert_eq!(counted.end_to_offer.millis([0, 100]), [4.0, 5.0]);
        assert_eq!(counted.freed_to_offer.millis([0, 100]), [0.0, 3.0]);
    }

    #[test]
    fn ends_are_counted_once() {
        let seen = Seen::default();
        seen.task_over(TaskState::TaskFinished, false);
        seen.task_over(TaskState::TaskLost, true);
        let counted = seen.so_far();
        assert_eq!(
            (counted.finished(), counted.over(), counted.doubled),
            (1, 1, 1)
        );
    }
}
