//! A restarted agent leaves a container out when it says which it takes up, and nothing ends it.

use meseta_agent::Agent;
use meseta_agent::event::Effect;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted;

impl Plant for Planted {
    fn after_agent(&mut self, _agent: usize, outputs: Vec<Output<Agent>>) -> Vec<Output<Agent>> {
        // Containers are neither taken up nor destroyed, and destroying comes to nothing.
        let is_dropped = |output: &Output<Agent>| {
            matches!(
                output,
                Output::Effect(Effect::RecoverContainers(_) | Effect::DestroyContainer(_))
            )
        };
        outputs
            .into_iter()
            .filter(|output| !is_dropped(output))
            .collect()
    }
}
