//! What frameworks do not want to be offered again for a while, agent by agent.
//!
//! A filter blocks only offers that are a part of what was refused. An agent keeps its filters sorted
//! by client; when its next one ends is known to a calendar of agents, so that nothing is done for a
//! filter between the refusal and its end. A filter whose client has moved on to a newer generation
//! (REVIVE, deactivation) no longer stands, and is dropped when the agent is next looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits;
use crate::shape::Shape;

/// One refusal: 24 bytes, and a share of the shape that it refers to.
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
    /// No filter ends before this.
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
    pub(crate) fn add(&mut self, new: Filter) {
        let begin = self
            .list
            .partition_point(|filter| filter.client < new.client);
        let mut at = begin;
        while let Some(old) = self.list.get(at)
            && old.client == new.client
        {
            let stands = old.generation == new.generation;
            if stands && old.until_us >= new.until_us && old.refused.contains(&new.refused) {
                return;
            }
            if !stands || (old.until_us <= new.until_us && new.refused.contains(&old.refused)) {
                self.list.remove(at);
            } else {
                at += 1;
            }
        }
        if at - begin >= limits::FILTERS_PER_CLIENT {
            let soonest = (begin..at).min_by_key(|at| self.list[*at].until_us);
            self.list.remove(soonest.unwrap_or(begin));
            at -= 1;
        }
        self.next_end_us = self.next_end_us.min(new.until_us);
        self.list.insert(at, new);
    }

    /// Drops what has ended or no longer stands, and says whether anything has ended that stood.
    pub(crate) fn drop_ended(&mut self, now_us: u64, generations: &[u32]) -> bool {
        let mut any_ended = false;
        self.list.retain(|filter| {
            let stands = generations[filter.client as usize] == filter.generation;
            let has_ended = filter.until_us <= now_us;
            any_ended |= stands && has_ended;
            stands && !has_ended
        });
        let ends = self.list.iter().map(|filter| filter.until_us);
        self.next_end_us = ends.min().unwrap_or(u64::MAX);
        if self.list.capacity() > 2 * self.list.len() {
            self.list.shrink_to(self.list.len());
        }
        any_ended
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// When which agent's next filter ends.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    entries: BTreeSet<(u64, u32)>,
}

impl Calendar {
    /// The agent's next end moved.
    pub(crate) fn moved(&mut self, agent: u32, before_us: u64, after_us: u64) {
        if before_us == after_us {
            return;
        }
        if before_us != u64::MAX {
            self.entries.remove(&(before_us, agent));
        }
        if after_us != u64::MAX {
            self.entries.insert((after_us, agent));
        }
    }

    /// The first end of all.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.first().map(|(end, _)| *end)
    }

    /// An agent with a filter that has ended; it leaves the calendar.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Option<u32> {
        let (end, agent) = *self.entries.first()?;
        (end <= now_us).then(|| {
            self.entries.pop_first();
            agent
        })
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
    }

    impl List {
        fn new() -> Self {
            Self {
                shapes: Shapes::default(),
                filters: Filters::default(),
            }
        }

        fn add(&mut self, client: u32, generation: u32, until_us: u64, cpus: f64) {
            let refused = self.shapes.make(Resources::of(&[("cpus", cpus)]));
            self.filters.add(Filter {
                client,
                generation,
                until_us,
                refused,
            });
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
    }

    #[test]
    fn only_the_end_of_what_stood_counts() {
        let mut list = List::new();
        list.add(0, 0, 10, 1.0);
        list.add(1, 0, 20, 1.0);
        list.add(1, 0, 30, 0.5);
        assert!(!list.filters.drop_ended(10, &[1, 0]), "it was void already");
        assert!(list.filters.drop_ended(20, &[1, 0]));
        assert_eq!(list.shown(), [(1, 30, 500)]);
        assert_eq!(list.filters.next_end_us, 30);
        assert!(list.filters.drop_ended(31, &[1, 0]));
        assert_eq!(list.filters.next_end_us, u64::MAX);
    }

    #[test]
    fn the_calendar_knows_who_is_next() {
        let mut calendar = Calendar::default();
        calendar.moved(4, u64::MAX, 30);
        calendar.moved(2, u64::MAX, 20);
        calendar.moved(4, 30, 10);
        assert_eq!(calendar.first(), Some(10));
        assert_eq!(calendar.take_due(9), None);
        assert_eq!(calendar.take_due(20), Some(4));
        assert_eq!(calendar.take_due(20), Some(2));
        assert_eq!(calendar.take_due(20), None);
        calendar.moved(4, u64::MAX, 5);
        calendar.moved(4, 5, u64::MAX);
        assert_eq!(calendar.first(), None);
    }
}
