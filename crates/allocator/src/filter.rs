//! What frameworks do not want to be offered again for a while, agent by agent.
//!
//! A filter blocks only offers that are a part of what was refused. An agent keeps its filters sorted
//! by client; when its next one ends is known to a wheel of agents, so that nothing is done for a
//! filter between the refusal and its end. A filter whose client has moved on to a newer generation
//! (REVIVE, deactivation) no longer stands, and is dropped when the agent is next looked at.

use std::sync::Arc;

use crate::limits;
use crate::shape::Shape;

/// What of a client's refusals counts: those of the newest generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Era {
    pub(crate) generation: u32,
    /// How many filters stand, on all agents.
    pub(crate) filters: u32,
}

impl Era {
    /// From now on, none of the filters stands.
    pub(crate) fn end(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.filters = 0;
    }
}

/// One refusal: 24 bytes, and a share of the shape that it refers to. With the room that lists keep for
/// more, at most 36; an agent's place in the wheel is there before its first filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) client: u32,
    pub(crate) generation: u32,
    /// Monotonic microseconds; it stands before that.
    pub(crate) until_us: u64,
    pub(crate) refused: Arc<Shape>,
}

/// The filters on one agent.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    /// Sorted by client.
    list: Vec<Filter>,
    /// When the first of them ends; `u64::MAX` without any.
    pub(crate) next_end_us: u64,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            next_end_us: u64::MAX,
        }
    }
}

impl Filters {
    /// All of them, also those that no longer stand.
    pub(crate) fn list(&self) -> &[Filter] {
        &self.list
    }

    /// Adds a filter, unless one that stands longer blocks as much; drops those it makes superfluous.
    pub(crate) fn add(&mut self, new: Filter, era: &mut Era) {
        let begin = self
            .list
            .partition_point(|filter| filter.client < new.client);
        let mut at = begin;
        let (new_end_us, mut first_gone) = (new.until_us, false);
        while let Some(old) = self.list.get(at)
            && old.client == new.client
        {
            let stands = old.generation == new.generation;
            if stands && old.until_us >= new.until_us && old.refused.contains(&new.refused) {
                return;
            }
            if !stands || (old.until_us <= new.until_us && new.refused.contains(&old.refused)) {
                era.filters -= u32::from(stands);
                first_gone |= self.list.remove(at).until_us == self.next_end_us;
            } else {
                at += 1;
            }
        }
        if at - begin >= limits::FILTERS_PER_CLIENT {
            let soonest = (begin..at).min_by_key(|at| self.list[*at].until_us);
            let gone = self.list.remove(soonest.unwrap_or(begin));
            first_gone |= gone.until_us == self.next_end_us;
            era.filters -= 1;
            at -= 1;
        }
        self.make_room();
        self.list.insert(at, new);
        self.fit();
        era.filters += 1;
        self.next_end_us = if first_gone {
            self.first_end()
        } else {
            self.next_end_us.min(new_end_us)
        };
    }

    /// Drops what has ended or no longer stands, and says whether anything has ended that stood.
    pub(crate) fn drop_ended(&mut self, now_us: u64, eras: &mut [Era]) -> bool {
        let mut any_ended = false;
        self.list.retain(|filter| {
            let era = &mut eras[filter.client as usize];
            let stands = era.generation == filter.generation;
            let has_ended = filter.until_us <= now_us;
            any_ended |= stands && has_ended;
            era.filters -= u32::from(stands && has_ended);
            stands && !has_ended
        });
        self.next_end_us = self.first_end();
        self.fit();
        any_ended
    }

    /// Makes room for one more: for half as many again, and for no more than needed in short lists, of
    /// which there may be as many as agents.
    fn make_room(&mut self) {
        let len = self.list.len();
        if len == self.list.capacity() {
            self.list.reserve_exact((len / 2).max(1));
        }
    }

    /// Gives back what [`Self::make_room`] would not have taken.
    fn fit(&mut self) {
        let len = self.list.len();
        if self.list.capacity() > len + len / 2 {
            self.list.shrink_to(len);
        }
    }

    fn first_end(&self) -> u64 {
        let ends = self.list.iter().map(|filter| filter.until_us);
        ends.min().unwrap_or(u64::MAX)
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self, eras: &mut [Era]) {
        for filter in &self.list {
            let era = &mut eras[filter.client as usize];
            era.filters -= u32::from(era.generation == filter.generation);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shapes;
    use meseta_model::resources::Resources;

    struct List {
        shapes: Shapes,
        filters: Filters,
        eras: [Era; 8],
    }

    impl List {
        fn new() -> Self {
            Self {
                shapes: Shapes::default(),
                filters: Filters::default(),
                eras: [Era::default(); 8],
            }
        }

        fn add(&mut self, client: u32, generation: u32, until_us: u64, cpus: f64) {
            let refused = self.shapes.make(Resources::of(&[("cpus", cpus)]));
            let era = &mut self.eras[client as usize];
            while era.generation < generation {
                era.end();
            }
            let new = Filter {
                client,
                generation,
                until_us,
                refused,
            };
            self.filters.add(new, era);
        }

        fn drop_ended(&mut self, now_us: u64) -> bool {
            self.filters.drop_ended(now_us, &mut self.eras)
        }

        /// How many filters stand, by client.
        fn standing(&self) -> [u32; 8] {
            self.eras.map(|era| era.filters)
        }

        /// Client, end and thousandths of cpus.
        fn shown(&self) -> Vec<(u32, u64, i64)> {
            let list = self.filters.list().iter();
            list.map(|f| (f.client, f.until_us, f.refused.all.at(0)))
                .collect()
        }
    }

    #[test]
    fn a_filter_is_small() {
        assert_eq!(size_of::<Filter>(), 24);
    }

    #[test]
    fn lists_keep_room_for_half_as_many_again() {
        let mut list = List::new();
        let mut rooms = Vec::new();
        let mut note = |list: &List| {
            let (len, room) = (list.filters.list.len(), list.filters.list.capacity());
            assert!(room <= len + len / 2, "{room} for {len}");
            rooms.push(room);
        };
        for client in 0..8 {
            list.add(client, 0, 90 - u64::from(client), 1.0);
            note(&list);
        }
        for now_us in 83..=90 {
            list.drop_ended(now_us);
            note(&list);
        }
        assert_eq!(rooms[..8], [1, 2, 3, 4, 6, 6, 9, 9]);
        assert_eq!(rooms[13..], [3, 1, 0]);
    }

    #[test]
    fn what_makes_many_superfluous_gives_their_room_back() {
        let mut list = List::new();
        for at in 0..4 {
            list.add(1, 0, 100 + at, (4 - at) as f64);
        }
        assert_eq!(list.filters.list.len(), 4);
        list.add(1, 0, 200, 9.0);
        let (len, room) = (list.filters.list.len(), list.filters.list.capacity());
        assert_eq!((len, room), (1, 1));
    }

    #[test]
    fn what_says_nothing_new_is_not_kept() {
        let mut list = List::new();
        list.add(7, 0, 50, 2.0);
        list.add(3, 0, 90, 1.0);
        list.add(7, 0, 40, 1.0);
        assert_eq!(
            list.shown(),
            [(3, 90, 1000), (7, 50, 2000)],
            "less, shorter"
        );
        list.add(7, 0, 60, 1.0);
        list.add(7, 0, 40, 4.0);
        let both = [(3, 90, 1000), (7, 50, 2000), (7, 60, 1000), (7, 40, 4000)];
        assert_eq!(list.shown(), both, "each says something of its own");
        list.add(7, 0, 60, 4.0);
        assert_eq!(list.shown(), [(3, 90, 1000), (7, 60, 4000)], "more, longer");
        list.add(7, 1, 10, 1.0);
        assert_eq!(
            list.shown(),
            [(3, 90, 1000), (7, 10, 1000)],
            "a new generation"
        );
        assert_eq!(list.filters.next_end_us, 10);
        assert_eq!(list.standing(), [0, 0, 0, 1, 0, 0, 0, 1]);
        list.filters.clear(&mut list.eras);
        assert_eq!(list.standing(), [0; 8]);
    }

    #[test]
    fn at_the_limit_the_soonest_to_end_makes_room() {
        let mut list = List::new();
        let most = limits::FILTERS_PER_CLIENT as u64;
        for at in 0..=most {
            // Less and less, longer and longer: each is needed.
            list.add(1, 0, 100 + at, (most - at) as f64 + 1.0);
        }
        let ends: Vec<u64> = list.shown().iter().map(|(_, until, _)| *until).collect();
        assert_eq!(ends, (101..=100 + most).collect::<Vec<_>>());
        assert_eq!(list.standing()[1], most as u32);
    }

    #[test]
    fn only_the_end_of_what_stood_counts() {
        let mut list = List::new();
        list.add(0, 0, 10, 1.0);
        list.add(1, 0, 20, 1.0);
        list.add(1, 0, 30, 0.5);
        list.eras[0].end();
        assert!(!list.drop_ended(10), "it was void already");
        assert!(list.drop_ended(20));
        assert_eq!(list.shown(), [(1, 30, 500)]);
        assert_eq!(list.standing()[..2], [0, 1]);
        assert_eq!(list.filters.next_end_us, 30);
        assert!(list.drop_ended(31));
        assert_eq!(list.filters.next_end_us, u64::MAX);
        assert_eq!(list.standing()[..2], [0, 0]);
    }
}
