//! A list with stable numbers: entries are found by a small number that is used again once free.

/// Entries by number. Numbers are given out densely and deterministically, the last freed first.
#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Puts an entry in and gives its number.
    pub(crate) fn insert(&mut self, entry: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(entry);
            return slot;
        }
        assert!(self.entries.len() < u32::MAX as usize, "numbers ran out");
        self.entries.push(Some(entry));
        self.entries.len() as u32 - 1
    }

    /// Takes an entry out; its number is free again.
    pub(crate) fn remove(&mut self, slot: u32) -> T {
        let Some(entry) = self.entries[slot as usize].take() else {
            panic!("entry {slot} was already taken out");
        };
        self.free.push(slot);
        entry
    }

    /// One more than the highest number ever given.
    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Entries with their numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| Some((slot as u32, entry.as_ref()?)))
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.entries
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, entry)| Some((slot as u32, entry.as_mut()?)))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        match &self.entries[slot as usize] {
            Some(entry) => entry,
            None => panic!("entry {slot} was taken out"),
        }
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        match &mut self.entries[slot as usize] {
            Some(entry) => entry,
            None => panic!("entry {slot} was taken out"),
        }
    }
}
