//! What executors repeat to a restarted agent is thrown away, as if it were known.

use meseta_agent::Agent;
use meseta_agent::event::{Effect, Event};
use meseta_proto::mesos::v1::executor;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    /// Acknowledgements that follow the SUBSCRIBED of the step under way.
    owed: Vec<Output<Agent>>,
}

impl Plant for Planted {
    fn before_agent(
        &mut self,
        _agent: usize,
        mut event: Event,
    ) -> (Option<Event>, Vec<Output<Agent>>) {
        if let Event::ExecutorSubscribed { stream, call, .. } = &mut event
            && let Some(subscribe) = &mut call.subscribe
        {
            for update in std::mem::take(&mut subscribe.unacknowledged_updates) {
                let acknowledged = executor::event::Acknowledged {
                    task_id: update.status.task_id,
                    uuid: update.status.uuid.unwrap_or_default(),
                };
                let event = executor::Event {
                    r#type: Some(executor::event::Type::Acknowledged as i32),
                    acknowledged: Some(acknowledged),
                    ..Default::default()
                };
                let (stream, event) = (stream.clone(), Box::new(event));
                self.owed
                    .push(Output::Effect(Effect::SendEvent { stream, event }));
            }
        }
        (Some(event), Vec::new())
    }

    fn after_agent(
        &mut self,
        _agent: usize,
        mut outputs: Vec<Output<Agent>>,
    ) -> Vec<Output<Agent>> {
        outputs.append(&mut self.owed);
        outputs
    }
}
