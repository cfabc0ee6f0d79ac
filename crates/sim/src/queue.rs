//! What will happen, in the order of virtual time.

use std::collections::BTreeMap;

/// A queue of happenings by (time, the order in which they were planned).
#[derive(Debug)]
pub(crate) struct Queue<T> {
    by_time: BTreeMap<(u64, u64), T>,
    planned: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            by_time: BTreeMap::new(),
            planned: 0,
        }
    }

    pub(crate) fn plan(&mut self, at_us: u64, what: T) {
        self.by_time.insert((at_us, self.planned), what);
        self.planned += 1;
    }

    /// The next one and its time.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        self.by_time.pop_first().map(|((at, _), what)| (at, what))
    }

    /// When the next one is due.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }
}
