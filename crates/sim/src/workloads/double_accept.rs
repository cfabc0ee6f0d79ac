//! A framework that accepts an offer twice, the second time with other tasks.

use meseta_proto::mesos::v1::scheduler;
use scheduler::call::Type;

use super::steady::Steady;
use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct DoubleAccept {
    steady: Steady,
}

impl DoubleAccept {
    pub(super) fn new(steady: Steady) -> Self {
        Self { steady }
    }
}

impl Workload for DoubleAccept {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.steady.subscribed(acts);
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        let before = acts.asked.len();
        self.steady.heard(event, acts);
        let mut again = Vec::new();
        for (after, asked) in &acts.asked[before..] {
            if asked.call.r#type() != Type::Accept || !acts.draws.coin() {
                continue;
            }
            let mut twin = asked.clone();
            for task in twin.tasks_mut() {
                task.task_id.value.push_str("-again");
            }
            again.push((after + acts.draws.below(30_000), twin));
        }
        for twin in again {
            acts.faults.push(Fault::OfferAcceptedTwice);
            acts.asked.push(twin);
        }
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        self.steady.tick(acts);
    }
}
