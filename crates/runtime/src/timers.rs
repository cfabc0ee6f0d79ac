//! The timers of one driver, ordered by (time, the order in which they were set).

use std::collections::BTreeMap;

/// Timers by key; at most one per key.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    by_key: BTreeMap<T, (u64, u64)>,
    by_time: BTreeMap<(u64, u64), T>,
    set_so_far: u64,
}

impl<T: Ord + Clone> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_time: BTreeMap::new(),
            set_so_far: 0,
        }
    }

    /// Sets or moves. A moved timer queues behind those already set for the same time.
    pub(crate) fn set(&mut self, key: T, at_us: u64) {
        self.cancel(&key);
        let place = (at_us, self.set_so_far);
        self.set_so_far += 1;
        self.by_time.insert(place, key.clone());
        self.by_key.insert(key, place);
    }

    pub(crate) fn cancel(&mut self, key: &T) {
        if let Some(place) = self.by_key.remove(key) {
            self.by_time.remove(&place);
        }
    }

    /// When the first one is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_time.first_key_value().map(|((at_us, _), _)| *at_us)
    }

    /// Takes the first one if it is due at `now_us`.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Option<T> {
        let first = self
            .by_time
            .first_entry()
            .filter(|first| first.key().0 <= now_us)?;
        let key = first.remove();
        self.by_key.remove(&key);
        Some(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}
