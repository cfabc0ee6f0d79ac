//! An executor is given a task twice.

use meseta_agent::Agent;
use meseta_agent::event::Effect;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    launches: u64,
}

impl Plant for Planted {
    fn after_agent(&mut self, _agent: usize, outputs: Vec<Output<Agent>>) -> Vec<Output<Agent>> {
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let twin = match &output {
                Output::Effect(Effect::SendEvent { stream, event }) if event.launch.is_some() => {
                    self.launches += 1;
                    let (stream, event) = (stream.clone(), event.clone());
                    (self.launches.is_multiple_of(5)).then_some(Effect::SendEvent { stream, event })
                }
                _ => None,
            };
            all.push(output);
            all.extend(twin.map(Output::Effect));
        }
        all
    }
}
