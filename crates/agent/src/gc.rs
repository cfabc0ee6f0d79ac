//! When old sandboxes and checkpoints go away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::step::Now;

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

/// What waits for collection, and since when: monotonic microseconds, below zero if that was before the
/// clock's begin.
#[derive(Debug, Default)]
pub(crate) struct Gc {
    since: BTreeMap<Garbage, i64>,
    by_age: BTreeSet<(i64, Garbage)>,
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
    fn schedule(&mut self, garbage: Garbage, since_us: i64) -> Option<Garbage> {
        self.unschedule(&garbage);
        self.paths += garbage.paths();
        self.since.insert(garbage.clone(), since_us);
        self.by_age.insert((since_us, garbage));
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
        let age = signed(now_us).saturating_sub(*since);
        (age >= signed(age_us)).then(|| self.oldest()).flatten()
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

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// When something ended that ended at this wall time, in monotonic microseconds. What seems to lie
/// ahead, because a clock was set, ended now.
fn monotonic(now: Now, ended_ns: u64) -> i64 {
    let age_us = now.wall_ns.saturating_sub(ended_ns) / 1_000;
    signed(now.mono_us).saturating_sub(signed(age_us))
}

/// When the runs of an earlier life ended.
#[derive(Debug, Default)]
pub(crate) struct Ended(pub(crate) BTreeMap<String, u64>);

impl Ended {
    /// The last end of a run in this directory, relative to `meta/`.
    pub(crate) fn last_in(&self, dir: &str) -> Option<u64> {
        let below = format!("{dir}/");
        let all = self.0.range(below.clone()..);
        let own = all.take_while(|(path, _)| path.starts_with(&below));
        own.map(|(_, at)| *at).max()
    }
}

impl Agent {
    /// How many paths wait until they are old enough to be removed. Mesos: `gc/path_removals_pending`.
    #[must_use]
    pub fn paths_to_remove(&self) -> usize {
        self.gc.paths()
    }

    pub(crate) fn collect(&mut self, out: &mut Outbox<'_>, garbage: Garbage) {
        self.collect_since(out, garbage, signed(out.now.mono_us));
    }

    /// Something of an earlier life: its age counts, not the time since this start (compat: slave.cpp
    /// garbageCollect, which takes the directory's time).
    pub(crate) fn collect_ended(&mut self, out: &mut Outbox<'_>, garbage: Garbage, ended: &Ended) {
        let last = ended.last_in(&self.directory_of(&garbage));
        let since = last.map_or(signed(out.now.mono_us), |at| monotonic(out.now, at));
        self.collect_since(out, garbage, since);
    }

    fn collect_since(&mut self, out: &mut Outbox<'_>, garbage: Garbage, since_us: i64) {
        if let Some(overflow) = self.gc.schedule(garbage, since_us) {
            self.remove_directories(out, &overflow);
        }
    }

    pub(crate) fn gc_due(&mut self, out: &mut Outbox<'_>) {
        self.save_resources_again(out);
        out.push(Effect::MeasureDisk);
        out.wake(Timer::Gc, self.config.disk_watch_interval);
    }

    /// Removes what has waited long enough for a disk this full, oldest first. What is more than a slice
    /// waits for the next measuring, which comes soon: by then less may have to go.
    pub(crate) fn disk_measured(&mut self, out: &mut Outbox<'_>, used: f64) {
        let age = allowed_age(self.config.gc_delay, self.config.gc_disk_headroom, used);
        for _ in 0..limits::GARBAGE_PER_SLICE {
            let Some(garbage) = self.gc.older_than(micros(age), out.now.mono_us) else {
                return;
            };
            self.remove_directories(out, &garbage);
        }
        let pause = limits::GARBAGE_PAUSE.min(self.config.disk_watch_interval);
        out.wake(Timer::Gc, pause);
    }

    /// Relative to `meta/`, and to the work directory but for a task's.
    fn directory_of(&self, garbage: &Garbage) -> String {
        let own = self.id.clone().unwrap_or_else(|| AgentId::from(""));
        match garbage {
            Garbage::Agent(agent) => checkpoint::agent_dir(agent),
            Garbage::Framework(framework) => checkpoint::framework_dir(&own, framework),
            Garbage::Executor(framework, executor) => {
                checkpoint::executor_dir(&own, framework, executor)
            }
            Garbage::Run(framework, executor, run) => {
                checkpoint::run_dir(&own, framework, executor, run)
            }
            Garbage::Task(framework, executor, run, task) => {
                let run_dir = checkpoint::run_dir(&own, framework, executor, run);
                checkpoint::task_dir(&run_dir, task)
            }
        }
    }

    fn remove_directories(&self, out: &mut Outbox<'_>, garbage: &Garbage) {
        let relative = self.directory_of(garbage);
        let work = &self.config.work_dir;
        if matches!(garbage, Garbage::Task(..)) {
            let path = format!("{work}/meta/{relative}");
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
    fn what_an_earlier_life_left_keeps_its_age() {
        let now = |mono_us, wall_s: u64| Now {
            mono_us,
            wall_ns: wall_s * 1_000_000_000,
        };
        let second = 1_000_000;
        let mut gc = Gc::default();
        gc.schedule(
            run("old"),
            monotonic(now(5 * second, 1_000), 400_000_000_000),
        );
        gc.schedule(
            run("new"),
            monotonic(now(5 * second, 1_000), 990_000_000_000),
        );
        // The clock was set back, or was wrong when it was written.
        gc.schedule(run("ahead"), monotonic(now(5 * second, 1_000), u64::MAX));
        assert_eq!(gc.older_than(601 * second, 5 * second), None);
        assert_eq!(gc.older_than(600 * second, 5 * second), Some(run("old")));
        assert_eq!(gc.older_than(20 * second, 14 * second), None);
        assert_eq!(gc.older_than(20 * second, 15 * second), Some(run("new")));
        assert_eq!(gc.older_than(20 * second, 24 * second), None);
        assert_eq!(gc.older_than(20 * second, 25 * second), Some(run("ahead")));
        // The clock began in 1970 and was set far ahead since.
        gc.schedule(run("far"), monotonic(now(0, 1 << 33), 0));
        assert_eq!(gc.older_than(u64::MAX, 0), None);
        assert_eq!(gc.older_than(1 << 50, 0), Some(run("far")));
    }

    #[test]
    fn the_last_end_in_a_directory_counts() {
        let ends = [
            ("s/a/frameworks/f/1/executor.sentinel", 7),
            ("s/a/frameworks/f/2/executor.sentinel", 5),
            ("s/a/frameworks/f2/1/executor.sentinel", 9),
        ];
        let ended = Ended(ends.map(|(path, at)| (path.to_owned(), at)).into());
        assert_eq!(ended.last_in("s/a/frameworks/f"), Some(7));
        assert_eq!(ended.last_in("s/a/frameworks/f/2"), Some(5));
        assert_eq!(ended.last_in("s/a"), Some(9));
        assert_eq!(ended.last_in("s/b"), None);
    }

    #[test]
    fn the_limit_pushes_the_oldest_out() {
        let mut gc = Gc::default();
        for n in 0..limits::GARBAGE {
            assert_eq!(gc.schedule(run(&n.to_string()), n as i64), None);
        }
        assert_eq!(gc.schedule(run("one more"), i64::MAX), Some(run("0")));
        assert_eq!(gc.since.len(), limits::GARBAGE);
    }
}
