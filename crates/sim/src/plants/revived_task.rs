//! A framework hears that a task runs after it has ended: one of ten.

use meseta_master::Master;
use meseta_master::event::Effect;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1::TaskState;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    ends: u64,
}

impl Plant for Planted {
    fn after_master(&mut self, outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let mut revived = None;
            if let Output::Effect(Effect::SendEvent { stream, event }) = &output
                && let Some(update) = &event.update
                && update.status.uuid.is_some()
                && is_terminal(update.status.state())
            {
                self.ends += 1;
                let (stream, mut event) = (stream.clone(), event.clone());
                if let Some(update) = &mut event.update {
                    update.status.state = TaskState::TaskRunning as i32;
                }
                revived =
                    (self.ends.is_multiple_of(10)).then_some(Effect::SendEvent { stream, event });
            }
            all.push(output);
            all.extend(revived.map(Output::Effect));
        }
        all
    }
}
