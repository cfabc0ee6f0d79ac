//! What lives is not collected: no directory goes that a live executor uses, neither its sandbox nor
//! its checkpoints.

use super::{Books, Found, Invariant, Seen};

const KEPT: &str = "no live directory is removed";

pub(super) struct Kept;

impl Invariant for Kept {
    fn kinds(&self) -> &'static [&'static str] {
        &[KEPT]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        let Seen::DirectoryRemoved { agent, path } = seen else {
            return;
        };
        let sandbox = path.replacen("/meta/", "/", 1);
        let below = format!("{sandbox}/");
        let executors = books.agents[*agent].executors.values();
        let used = executors
            .map(|(_, _, directory)| directory)
            .find(|directory| **directory == sandbox || directory.starts_with(&below));
        found.check(KEPT, used.is_none(), || {
            format!("agent{} removes {path} below {used:?}", agent + 1)
        });
    }
}
