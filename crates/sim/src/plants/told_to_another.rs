//! An update reaches another framework as well.

use meseta_master::Master;
use meseta_master::event::Effect;
use meseta_model::edge::StreamId;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    /// The stream that was written to last.
    last: Option<StreamId>,
    updates: u64,
}

impl Plant for Planted {
    fn after_master(&mut self, outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let mut twin = None;
            if let Output::Effect(Effect::SendEvent { stream, event }) = &output {
                let other = self.last.replace(stream.clone());
                let other = other.filter(|other| other != stream);
                if let (Some(stream), true) = (other, event.update.is_some()) {
                    self.updates += 1;
                    let event = event.clone();
                    let due = self.updates.is_multiple_of(5);
                    twin = due.then_some(Effect::SendEvent { stream, event });
                }
            }
            all.push(output);
            all.extend(twin.map(Output::Effect));
        }
        all
    }
}
