//! A framework that launches tasks that make no sense, among others that do.

use bytes::Bytes;
use meseta_proto::mesos::v1::{self, scheduler};

use super::steady::Steady;
use super::task::scalar;
use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct Garbage {
    steady: Steady,
}

impl Garbage {
    pub(super) fn new(steady: Steady) -> Self {
        Self { steady }
    }
}

/// Makes a task senseless, in one of many ways.
fn spoil(task: &mut v1::TaskInfo, way: u64) {
    match way {
        0 => task.task_id.value = String::new(),
        1 => task.task_id.value = "../../etc".to_owned(),
        2 => task.task_id.value = "a".repeat(300),
        3 => task.resources.clear(),
        4 => task.resources.push(scalar("cpus", -1.0)),
        5 => task.resources.push(scalar("cpus", f64::NAN)),
        6 => task.resources.push(scalar("mem", 1e18)),
        7 => task.resources.push(scalar("unobtainium", 1.0)),
        8 => task.agent_id.value = "no-such-agent".to_owned(),
        9 => {
            task.command = None;
            task.executor = None;
        }
        10 => {
            task.command = Some(v1::CommandInfo::default());
            task.executor = Some(v1::ExecutorInfo::default());
        }
        11 => {
            task.data = Some(Bytes::from_static(b"\xff\xfe"));
            task.name = "\u{0}".to_owned();
        }
        12 => {
            let twice = task.resources.clone();
            task.resources.extend(twice);
        }
        13 => {
            task.max_completion_time = Some(v1::DurationInfo { nanoseconds: -5 });
        }
        _ => {
            task.kill_policy = Some(v1::KillPolicy {
                grace_period: Some(v1::DurationInfo {
                    nanoseconds: i64::MIN,
                }),
            });
        }
    }
}

impl Workload for Garbage {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.steady.subscribed(acts);
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        let before = acts.asked.len();
        self.steady.heard(event, acts);
        for (_, asked) in &mut acts.asked[before..] {
            for task in asked.tasks_mut() {
                if acts.draws.permille(600) {
                    spoil(task, acts.draws.below(15));
                    acts.faults.push(Fault::GarbageTask);
                }
            }
        }
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        self.steady.tick(acts);
    }
}
