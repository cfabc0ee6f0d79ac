//! A restarted agent does not look at what was said of a task, and takes each for one that its executor
//! may never have got.

use meseta_agent::event::MetaEntry;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted;

impl Plant for Planted {
    fn on_disk(&mut self, meta: &mut Vec<MetaEntry>) {
        meta.retain(|entry| match entry {
            MetaEntry::File { path, .. } => !path.ends_with("/task.updates"),
            MetaEntry::Symlink { .. } => true,
        });
    }
}
