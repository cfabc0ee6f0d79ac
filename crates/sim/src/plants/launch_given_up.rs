//! A restarted agent finds tasks on its disk without what it takes to go on with them.

use meseta_agent::Agent;
use meseta_agent::event::{Event, MetaEntry};
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
        if let Event::Started(started) = &mut event {
            for entry in &mut started.meta {
                if let MetaEntry::File { path, bytes } = entry
                    && path.ends_with("/task.info")
                    && let Some(length) = bytes.first_chunk::<4>()
                {
                    bytes.truncate(4 + u32::from_le_bytes(*length) as usize);
                }
            }
        }
        (Some(event), Vec::new())
    }
}
