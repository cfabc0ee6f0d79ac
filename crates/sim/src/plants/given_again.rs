//! What an executor says to have when it subscribes is not heard, so that a restarted agent gives it
//! tasks once more.

use meseta_agent::Agent;
use meseta_agent::event::Event;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted;

impl Plant for Planted {
    fn before_agent(
        &mut self,
        _agent: usize,
        mut event: Event,
    ) -> (Option<Event>, Vec<Output<Agent>>) {
        if let Event::ExecutorSubscribed { call, .. } = &mut event {
            call.subscribe = Some(Default::default());
        }
        (Some(event), Vec::new())
    }
}
