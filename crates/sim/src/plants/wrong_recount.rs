//! The end of a task is counted twice: one of ten.

use meseta_master::Master;
use meseta_master::event::Effect;
use meseta_master::view::Counter;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    ends: u64,
}

impl Plant for Planted {
    fn after_master(&mut self, mut outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        for output in &mut outputs {
            if let Output::Effect(Effect::Count {
                counter: Counter::TasksEnded(_),
                by,
            }) = output
            {
                self.ends += 1;
                if self.ends.is_multiple_of(10) {
                    *by *= 2;
                }
            }
        }
        outputs
    }
}
