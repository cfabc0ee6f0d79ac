//! A master leaves some changes out of what it shows.

use meseta_master::Master;
use meseta_master::event::Effect;
use meseta_master::view::Delta;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    changes: u64,
}

impl Plant for Planted {
    fn after_master(&mut self, mut outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        outputs.retain(|output| {
            let Output::Effect(Effect::Changed(Delta::OfferRemoved(_))) = output else {
                return true;
            };
            self.changes += 1;
            !self.changes.is_multiple_of(20)
        });
        outputs
    }
}
