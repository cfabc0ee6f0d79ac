//! Acknowledgements never reach the agent: every third task's are dropped.

use meseta_master::Master;
use meseta_master::event::Effect;
use meseta_proto::actor::Message;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted;

impl Plant for Planted {
    fn after_master(&mut self, outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        let is_lost = |output: &Output<Master>| match output {
            Output::Effect(Effect::Send { message, .. }) => match &**message {
                Message::StatusUpdateAcknowledgement(ack) => ack.task_id.value.ends_with('3'),
                _ => false,
            },
            _ => false,
        };
        outputs
            .into_iter()
            .filter(|output| !is_lost(output))
            .collect()
    }
}
