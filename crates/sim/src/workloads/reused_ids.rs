//! A framework that uses ids again: of tasks that live, and of tasks that are over.

use meseta_proto::mesos::v1::scheduler;
use scheduler::call::Type;

use super::steady::Steady;
use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct ReusedIds {
    steady: Steady,
    used: Vec<String>,
}

impl ReusedIds {
    pub(super) fn new(steady: Steady) -> Self {
        let used = Vec::new();
        Self { steady, used }
    }
}

impl Workload for ReusedIds {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.steady.subscribed(acts);
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        let before = acts.asked.len();
        self.steady.heard(event, acts);
        for (_, asked) in &mut acts.asked[before..] {
            for task in asked.tasks_mut() {
                let live = self.steady.some_live_task().map(|(id, _)| id);
                let over = acts.draws.pick(&self.used).cloned();
                let id = if acts.draws.coin() { live } else { over };
                self.used.push(task.task_id.value.clone());
                if let (true, Some(id)) = (acts.draws.permille(400), id) {
                    self.steady.forget(&task.task_id.value);
                    task.task_id.value = id;
                    acts.faults.push(Fault::TaskIdReused);
                }
            }
        }
        debug_assert!(
            acts.asked
                .iter()
                .all(|(_, a)| a.call.r#type() != Type::Unknown)
        );
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        self.steady.tick(acts);
    }
}
