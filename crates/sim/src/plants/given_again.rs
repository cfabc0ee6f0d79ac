//! A restarted agent does not look at what was said of a task, and takes each for one that its executor
//! may never have got.

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
            let is_told = |entry: &MetaEntry| match entry {
                MetaEntry::File { path, .. } => path.ends_with("/task.updates"),
                MetaEntry::Symlink { .. } => false,
            };
            started.meta.retain(|entry| !is_told(entry));
        }
        (Some(event), Vec::new())
    }
}
