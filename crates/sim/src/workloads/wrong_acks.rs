//! A framework that acknowledges what it never got, twice, or in another's place.

use bytes::Bytes;
use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::event::Type;

use super::steady::Steady;
use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct WrongAcks {
    steady: Steady,
    /// Acknowledgements made before.
    made: Vec<(v1::AgentId, v1::TaskId, Bytes)>,
}

impl WrongAcks {
    pub(super) fn new(steady: Steady) -> Self {
        let made = Vec::new();
        Self { steady, made }
    }

    fn spoil(&mut self, status: &v1::TaskStatus, acts: &mut Acts<'_>) {
        let Some(agent) = status.agent_id.clone() else {
            return;
        };
        let mut wrong = (agent, status.task_id.clone(), Bytes::from_static(&[7; 16]));
        let earlier = acts.draws.pick(&self.made).cloned();
        match (acts.draws.below(4), earlier, &status.uuid) {
            // Once more what was acknowledged before.
            (0, Some(earlier), _) => wrong = earlier,
            // The right uuid for the wrong task.
            (1, Some((_, task, _)), Some(uuid)) => {
                wrong.1 = task;
                wrong.2 = uuid.clone();
            }
            // Nobody's task.
            (2, _, Some(uuid)) => {
                wrong.1.value = "nobody's".to_owned();
                wrong.2 = uuid.clone();
            }
            _ => {}
        }
        acts.faults.push(Fault::WrongAcknowledgement);
        let after = acts.draws.below(20_000);
        acts.acknowledge(after, wrong.0, wrong.1, wrong.2);
    }
}

impl Workload for WrongAcks {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.steady.subscribed(acts);
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        if let (Type::Update, Some(update)) = (event.r#type(), &event.update) {
            let status = &update.status;
            if acts.draws.coin() {
                self.spoil(status, acts);
            }
            if let (Some(agent), Some(uuid)) = (&status.agent_id, &status.uuid) {
                let made = (agent.clone(), status.task_id.clone(), uuid.clone());
                self.made.push(made);
            }
        }
        self.steady.heard(event, acts);
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        self.steady.tick(acts);
    }
}
