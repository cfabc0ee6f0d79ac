//! Tasks in the order in which they came, found by id too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meseta_model::ids::TaskId;

use super::Task;

/// Tasks in order. An id may occur several times: completed ones may be used again.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: u64,
    by_place: BTreeMap<u64, Arc<Task>>,
    by_id: BTreeSet<(TaskId, u64)>,
}

impl Sequence {
    pub(crate) fn push(&mut self, task: Arc<Task>) {
        self.by_id.insert((task.id.clone(), self.next));
        self.by_place.insert(self.next, task);
        self.next += 1;
    }

    fn places(&self, id: &TaskId) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let range = (id.clone(), 0)..=(id.clone(), u64::MAX);
        self.by_id.range(range).map(|(_, place)| *place)
    }

    /// The newest of that id, to be changed in place. Who reads it now keeps the old one.
    pub(crate) fn newest_mut(&mut self, id: &TaskId) -> Option<&mut Task> {
        let place = self.places(id).next_back()?;
        self.by_place.get_mut(&place).map(Arc::make_mut)
    }

    /// Takes the newest of that id out.
    pub(crate) fn take_newest(&mut self, id: &TaskId) -> Option<Arc<Task>> {
        let place = self.places(id).next_back()?;
        self.take(id, place)
    }

    /// Takes the oldest of that id out.
    pub(crate) fn take_oldest(&mut self, id: &TaskId) -> Option<Arc<Task>> {
        let place = self.places(id).next()?;
        self.take(id, place)
    }

    fn take(&mut self, id: &TaskId, place: u64) -> Option<Arc<Task>> {
        self.by_id.remove(&(id.clone(), place));
        self.by_place.remove(&place)
    }

    /// Puts a task in the place of the newest of its id; gives it back if there is none.
    pub(crate) fn replace_newest(&mut self, task: Arc<Task>) -> Result<(), Arc<Task>> {
        let place = self.places(&task.id).next_back();
        match place.and_then(|place| self.by_place.get_mut(&place)) {
            Some(known) => {
                *known = task;
                Ok(())
            }
            None => Err(task),
        }
    }

    pub(crate) fn collect(&self) -> Vec<Arc<Task>> {
        self.by_place.values().cloned().collect()
    }
}
