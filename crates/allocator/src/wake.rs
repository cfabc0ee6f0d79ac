//! When to run, and for which agents.
//!
//! Whatever changes on an agent puts it into a list; the first entry opens a window of
//! [`crate::Config::window_us`], at whose end one run looks at the whole list. What may concern every
//! agent (a framework comes or revives, a quota changes) asks for a run over all instead; such runs
//! keep a distance that grows with the cluster, up to the allocation interval. A filter's end is such a
//! change too. While something lies unoffered, all agents are looked at once per interval besides, as
//! a safety net.

use crate::Allocator;

/// What waits for the next run.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// Agents to look at, each once.
    dirty: Vec<u32>,
    /// When the window over `dirty` closes.
    dirty_at_us: Option<u64>,
    /// When to look at every agent, if anything asked for that.
    all_at_us: Option<u64>,
    /// When that was done last.
    last_all_us: Option<u64>,
    /// Agents with something free that may be offered.
    pub(crate) offerable: usize,
    /// Whether quota kept anything back since the last look at every agent.
    pub(crate) quota_in_the_way: bool,
}

/// What a run over all costs per agent in distance to the next one, microseconds.
const SPACING_PER_AGENT_US: u64 = 20;

impl Allocator {
    /// When [`Allocator::allocate`] should be called next, or `None` as long as nothing changes. May be
    /// in the past, which means now.
    #[must_use]
    pub fn next_wake(&self, now_us: u64) -> Option<u64> {
        if self.wake.offerable == 0 || self.sorter.active() == 0 {
            return None;
        }
        let filter_ends = self
            .calendar
            .first()
            .map(|end| end.saturating_add(self.config.window_us));
        let net = self.wake.last_all_us.unwrap_or(now_us);
        [
            self.wake.dirty_at_us,
            self.wake.all_at_us,
            filter_ends,
            Some(net.saturating_add(self.config.allocation_interval_us)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Something changed on one agent.
    pub(crate) fn touch(&mut self, now_us: u64, slot: u32) {
        let agent = &mut self.agents[slot];
        if agent.dirty || !agent.is_offerable() {
            return;
        }
        agent.dirty = true;
        self.wake.dirty.push(slot);
        let at_us = now_us.saturating_add(self.config.window_us);
        self.wake.dirty_at_us.get_or_insert(at_us);
    }

    /// Something changed that may concern every agent.
    pub(crate) fn touch_all(&mut self, now_us: u64) {
        let interval = self.config.allocation_interval_us;
        let distance = (self.wake.offerable as u64 * SPACING_PER_AGENT_US).min(interval);
        let earliest = match self.wake.last_all_us {
            Some(last) => last.saturating_add(distance),
            None => 0,
        };
        let at_us = earliest.max(now_us.saturating_add(self.config.window_us));
        let planned = self.wake.all_at_us.unwrap_or(u64::MAX);
        self.wake.all_at_us = Some(planned.min(at_us));
    }

    /// Less is consumed, or more is free: what quota kept back may go out now, anywhere.
    pub(crate) fn quota_eased(&mut self, now_us: u64) {
        if self.wake.quota_in_the_way {
            self.touch_all(now_us);
        }
    }

    /// Drops filters that have ended; their agents are to be looked at.
    pub(crate) fn end_filters(&mut self, now_us: u64) {
        while let Some(slot) = self.calendar.take_due(now_us) {
            let agent = &mut self.agents[slot];
            agent.filters.drop_ended(now_us, &self.sorter.generations);
            let next = agent.filters.next_end_us;
            self.calendar.moved(slot, u64::MAX, next);
            self.touch(now_us, slot);
        }
    }

    /// The agents that this run looks at.
    pub(crate) fn take_candidates(&mut self, now_us: u64) -> Vec<u32> {
        let interval = self.config.allocation_interval_us;
        let net_is_due = self
            .wake
            .last_all_us
            .is_none_or(|last| now_us >= last.saturating_add(interval));
        let all_is_due = self.wake.all_at_us.is_some_and(|at| at <= now_us);
        let mut candidates = std::mem::take(&mut self.wake.dirty);
        self.wake.dirty_at_us = None;
        for slot in &candidates {
            self.agents[*slot].dirty = false;
        }
        if net_is_due || all_is_due {
            candidates.clear();
            candidates.extend(self.agents.iter().map(|(slot, _)| slot));
            self.wake.all_at_us = None;
            self.wake.last_all_us = Some(now_us);
            self.wake.quota_in_the_way = false;
        }
        candidates.retain(|slot| self.agents[*slot].is_offerable());
        candidates
    }

    /// The agent is about to be forgotten.
    pub(crate) fn untouch(&mut self, slot: u32) {
        if std::mem::take(&mut self.agents[slot].dirty) {
            self.wake.dirty.retain(|other| *other != slot);
        }
    }
}
