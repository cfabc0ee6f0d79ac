//! When old sandboxes and checkpoints go away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};

use crate::agent::Agent;
use crate::checkpoint;
use crate::event::{Effect, Timer};
use crate::limits;
use crate::outbox::{Outbox, micros};

/// Something whose directories wait for collection. Ids, not paths: ten times smaller.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Garbage {
    /// Another agent id's directories.
    Agent(AgentId),
    Framework(FrameworkId),
    Executor(FrameworkId, ExecutorId),
    Run(FrameworkId, ExecutorId, ContainerId),
    /// Only checkpoints: a task has no sandbox of its own.
    Task(FrameworkId, ExecutorId, ContainerId, TaskId),
}

/// What waits for collection, and since when (monotonic microseconds).
#[derive(Debug, Default)]
pub(crate) struct Gc {
    since: BTreeMap<Garbage, u64>,
    by_age: BTreeSet<(u64, Garbage)>,
    /// Of all of it.
    paths: usize,
}

impl Garbage {
    /// Its directories: the sandboxes' and that of checkpoints, or only the latter.
    fn paths(&self) -> usize {
        match self {
            Self::Task(..) => 1,
            Self::Agent(_) | Self::Framework(_) | Self::Executor(..) | Self::Run(..) => 2,
        }
    }
}

impl Gc {
    /// Schedules, or schedules anew. Answers what is too much for [`limits::GARBAGE`].
    fn schedule(&mut self, garbage: Garbage, now_us: u64) -> Option<Garbage> {
        self.unschedule(&garbage);
        self.paths += garbage.paths();
        self.since.insert(garbage.clone(), now_us);
        self.by_age.insert((now_us, garbage));
        (self.since.len() > limits::GARBAGE)
            .then(|| self.oldest())
            .flatten()
    }

    /// It is in use again. Answers whether it waited.
    pub(crate) fn unschedule(&mut self, garbage: &Garbage) -> bool {
        let Some(since) = self.since.remove(garbage) else {
            return false;
        };
        self.paths -= garbage.paths();
        self.by_age.remove(&(since, garbage.clone()))
    }

    fn oldest(&mut self) -> Option<Garbage> {
        let (_, garbage) = self.by_age.pop_first()?;
        self.since.remove(&garbage);
        self.paths -= garbage.paths();
        Some(garbage)
    }

    /// How many paths wait to be removed.
    fn paths(&self) -> usize {
        self.paths
    }

    /// The oldest, if it has waited at least that long.
    fn older_than(&mut self, age_us: u64, now_us: u64) -> Option<Garbage> {
        let (since, _) = self.by_age.first()?;
        (now_us.saturating_sub(*since) >= age_us)
            .then(|| self.oldest())
            .flatten()
    }
}

/// How long directories stay at this disk usage: the whole delay on an empty disk, less in
/// proportion, nothing once only the headroom is free.
pub(crate) fn allowed_age(delay: Duration, headroom: f64, used: f64) -> Duration {
    let share = (1.0 - headroom - used).clamp(0.0, 1.0);
    if share.is_nan() {
        return delay;
    }
    delay.mul_f64(share)
}

impl Agent {
    /// How many paths wait until they are old enough to be removed. Mesos: `gc/path_removals_pending`.
    #[must_use]
    pub fn paths_to_remove(&self) -> usize {
        self.gc.paths()
    }

    pub(crate) fn collect(&mut self, out: &mut Outbox<'_>, garbage: Garbage) {
        if let Some(overflow) = self.gc.schedule(garbage, out.now.mono_us) {
            self.remove_directories(out, &overflow);
        }
    }

    pub(crate) fn gc_due(&mut self, out: &mut Outbox<'_>) {
        self.save_resources_again(out);
        out.push(Effect::MeasureDisk);
        out.wake(Timer::Gc, self.config.disk_watch_interval);
    }

    pub(crate) fn disk_measured(&mut self, out: &mut Outbox<'_>, used: f64) {
        let age = allowed_age(self.config.gc_delay, self.config.gc_disk_headroom, used);
        while let Some(garbage) = self.gc.older_than(micros(age), out.now.mono_us) {
            self.remove_directories(out, &garbage);
        }
    }

    fn remove_directories(&self, out: &mut Outbox<'_>, garbage: &Garbage) {
        let own = self.id.clone().unwrap_or_else(|| AgentId::from(""));
        let relative = match garbage {
            Garbage::Agent(agent) => checkpoint::agent_dir(agent),
            Garbage::Framework(framework) => checkpoint::framework_dir(&own, framework),
            Garbage::Executor(framework, executor) => {
                checkpoint::executor_dir(&own, framework, executor)
            }
            Garbage::Run(framework, executor, run) | Garbage::Task(framework, executor, run, _) => {
                checkpoint::run_dir(&own, framework, executor, run)
            }
        };
        let work = &self.config.work_dir;
        if let Garbage::Task(.., task) = garbage {
            let path = format!("{work}/meta/{}", checkpoint::task_dir(&relative, task));
            out.push(Effect::RemoveDirectory { path });
            return;
        }
        for path in [
            format!("{work}/{relative}"),
            format!("{work}/meta/{relative}"),
        ] {
            out.push(Effect::RemoveDirectory { path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> Garbage {
        Garbage::Run("f".into(), "e".into(), ContainerId::root(name))
    }

    #[test]
    fn age_shrinks_with_the_free_disk() {
        let week = Duration::from_secs(7 * 24 * 3600);
        let days =
            |used| (allowed_age(week, 0.1, used).as_secs_f64() / 86_400.0 * 100.0).round() / 100.0;
        assert_eq!(days(0.0), 6.3);
        assert_eq!(days(0.5), 2.8);
        assert_eq!(days(0.9), 0.0);
        assert_eq!(days(1.0), 0.0);
        assert_eq!(days(f64::NAN), 7.0);
    }

    #[test]
    fn oldest_first_and_not_before_its_time() {
        let mut gc = Gc::default();
        assert_eq!(gc.schedule(run("a"), 10), None);
        assert_eq!(gc.schedule(run("b"), 20), None);
        assert_eq!(gc.older_than(15, 20), None);
        assert_eq!(gc.paths(), 4);
        assert_eq!(gc.older_than(10, 20), Some(run("a")));
        assert_eq!(gc.paths(), 2);
        assert!(gc.unschedule(&run("b")));
        assert!(!gc.unschedule(&run("b")));
        assert_eq!(gc.paths(), 0);
        assert_eq!(gc.older_than(0, 1000), None);
        let task = Garbage::Task("f".into(), "e".into(), ContainerId::root("a"), "t".into());
        assert_eq!(gc.schedule(task.clone(), 30), None);
        assert_eq!(gc.schedule(task, 40), None);
        assert_eq!(gc.paths(), 1);
    }

    #[test]
    fn the_limit_pushes_the_oldest_out() {
        let mut gc = Gc::default();
        for n in 0..limits::GARBAGE {
            assert_eq!(gc.schedule(run(&n.to_string()), n as u64), None);
        }
        assert_eq!(gc.schedule(run("one more"), u64::MAX), Some(run("0")));
        assert_eq!(gc.since.len(), limits::GARBAGE);
    }
}
