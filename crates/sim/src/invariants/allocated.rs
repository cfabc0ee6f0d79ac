//! What an agent gives (tasks, executors, offers) is never more than it has. (Issue 2, item 10; Mesos
//! asserts the same in its sorters.)

use super::{Books, Found, Invariant, Seen};

const FITS: &str = "allocated is at most total";
const EMPTY: &str = "a removed agent gives nothing";

pub(super) struct Allocated;

impl Invariant for Allocated {
    fn kinds(&self) -> &'static [&'static str] {
        &[FITS, EMPTY]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        let Seen::MasterDoes { master, .. } = seen else {
            return;
        };
        let book = &books.masters[*master];
        let Some(agent) = &book.touched else {
            return;
        };
        match book.agents.get(agent) {
            Some(row) => found.check(FITS, row.recovered || row.total.contains(&row.used), || {
                format!("{agent} has {} and gives {}", row.total, row.used)
            }),
            None => {
                let tasks = book.tasks.values().any(|task| task.agent == *agent);
                let offers = book.offers.values().any(|(host, _)| host == agent);
                let executors = book.executors.keys().any(|(host, _, _)| host == agent);
                found.check(EMPTY, !tasks && !offers && !executors, || {
                    format!("{agent}: tasks {tasks}, offers {offers}, executors {executors}")
                });
            }
        }
    }
}
