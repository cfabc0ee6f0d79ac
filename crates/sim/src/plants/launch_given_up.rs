//! A restarted agent finds tasks on its disk without what it takes to go on with them.

use meseta_agent::event::MetaEntry;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted;

impl Plant for Planted {
    fn on_disk(&mut self, meta: &mut Vec<MetaEntry>) {
        for entry in meta {
            if let MetaEntry::File { path, bytes } = entry
                && path.ends_with("/task.info")
                && let Some(length) = bytes.first_chunk::<4>()
            {
                bytes.truncate(4 + u32::from_le_bytes(*length) as usize);
            }
        }
    }
}
