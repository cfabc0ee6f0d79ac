//! Some requests are never answered.

use meseta_master::Master;
use meseta_master::event::Effect;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    replies: u64,
}

impl Plant for Planted {
    fn after_master(&mut self, mut outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        outputs.retain(|output| {
            let reply = matches!(output, Output::Effect(Effect::Reply { .. }));
            self.replies += u64::from(reply);
            !(reply && self.replies.is_multiple_of(20))
        });
        outputs
    }
}
