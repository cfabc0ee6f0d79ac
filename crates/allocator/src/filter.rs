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
