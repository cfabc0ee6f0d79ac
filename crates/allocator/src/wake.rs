//! When to run, and for which agents.
//!
//! Whatever changes on an agent puts it into a list; the first entry opens a window of
//! [`crate::Config::window_us`], at whose end one run looks at the whole list. What may concern every
//! agent (a framework comes or revives, a quota changes) asks for a round over all instead; such
//! rounds keep a distance that grows with agents and roles, up to the allocation interval. A filter's end is
//! a change on its agent. While something lies unoffered, there is a round once per interval besides,
//! as a safety net. A round in a large cluster is cut into runs of bounded size, and what changed on
//! single agents goes before it.

use meseta_model::rng::Rng;

use crate::{Allocator, limits};

/// What waits for the next run.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// Agents to look at, each once.
    dirty: Vec<u32>,
    /// When the window over `dirty` closes.
    dirty_at_us: Option<u64>,
    /// When to begin a round, if anything asked for that.
    round_at_us: Option<u64>,
    /// When that was asked for first.
    round_asked_us: Option<u64>,
    /// When the last one began.
    last_round_us: Option<u64>,
    /// When the safety net asks for one, while something lies unoffered.
    net_at_us: Option<u64>,
    /// What is left of it.
    round: Vec<u32>,
    /// Agents with something free that may be offered.
    pub(crate) offerable: usize,
    /// Whether quota kept anything back since the last round began.
    pub(crate) quota_in_the_way: bool,
    awaited: Option<Awaited>,
}

/// A new leader waits for agents.
#[derive(Debug)]
struct Awaited {
    since_us: u64,
    /// For how many.
    enough: usize,
    /// Whether any role had a quota at that moment: if not, nothing waits.
    in_force: bool,
}

impl Allocator {
    /// When [`Allocator::allocate`] and [`Allocator::inverse_offers`] should be called next, or `None` as long as nothing changes. May be
    /// in the past, which means now.
    #[must_use]
    pub fn next_wake(&self, now_us: u64) -> Option<u64> {
        let wakes = [self.next_run(now_us), self.maintenance.next_wake()];
        wakes.into_iter().flatten().min()
    }

    fn next_run(&self, now_us: u64) -> Option<u64> {
        if self.wake.offerable == 0 || self.sorter.active() == 0 {
            return None;
        }
        if let Some(until_us) = self.held_off(now_us) {
            return Some(until_us);
        }
        if !self.wake.round.is_empty() {
            return Some(now_us);
        }
        let filter_ends = self
            .wheel
            .first()
            .map(|end| end.saturating_add(self.config.window_us));
        [
            self.wake.dirty_at_us,
            self.wake.round_at_us,
            filter_ends,
            self.wake.net_at_us,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A new leader knows from its registry that `known` agents are to come back. If any role has a
    /// quota, nothing is granted until [`crate::Config::recovery_factor`] of them, rounded down, are here
    /// or [`crate::Config::recovery_timeout_us`] have passed, for fear of giving away what was promised.
    /// What the registry says of quotas may be set before or after this, at the same `now_us`; a quota
    /// that is set later makes nobody wait.
    pub fn await_agents(&mut self, now_us: u64, known: usize) {
        let enough = (known as f64 * self.config.recovery_factor) as usize;
        self.wake.awaited = (enough > 0).then_some(Awaited {
            since_us: now_us,
            enough,
            in_force: self.quotas.is_any_set(),
        });
    }

    /// A quota was set: agents that are awaited since this very moment are to be waited for.
    pub(crate) fn note_quota(&mut self, now_us: u64) {
        if let Some(awaited) = &mut self.wake.awaited
            && awaited.since_us == now_us
        {
            awaited.in_force = self.quotas.is_any_set();
        }
    }

    /// Until when nothing is granted, if so.
    pub(crate) fn held_off(&self, now_us: u64) -> Option<u64> {
        let awaited = self.wake.awaited.as_ref().filter(|it| it.in_force)?;
        let until_us = { awaited.since_us }.saturating_add(self.config.recovery_timeout_us);
        (now_us < until_us && self.agents.len() < awaited.enough).then_some(until_us)
    }

    /// Something changed on one agent.
    pub(crate) fn touch(&mut self, now_us: u64, slot: u32) {
        let agent = &mut self.agents[slot];
        if agent.dirty || !agent.is_offerable() {
            return;
        }
        if agent.filters.next_end_us <= now_us {
            // They ended while there was nothing to offer, when nobody woke up for that.
            agent.filters.drop_ended(now_us, &mut self.sorter.eras);
            self.wheel.set(slot, agent.filters.next_end_us);
        }
        agent.dirty = true;
        self.wake.dirty.push(slot);
        let at_us = now_us.saturating_add(self.config.window_us);
        self.wake.dirty_at_us.get_or_insert(at_us);
        self.spread_net(now_us);
    }

    fn spread_net(&mut self, now_us: u64) {
        let at_us = now_us.saturating_add(self.config.allocation_interval_us);
        self.wake.net_at_us.get_or_insert(at_us);
    }

    /// After a run: where nothing lies unoffered, there is nothing to make rounds for.
    pub(crate) fn rest(&mut self) {
        if self.wake.offerable == 0 {
            self.wake.round.clear();
            self.wake.round_at_us = None;
            self.wake.net_at_us = None;
        }
    }

    /// Something changed that may concern every agent.
    pub(crate) fn touch_all(&mut self, now_us: u64) {
        self.note_waiting(now_us);
        if self.wake.offerable == 0 {
            // Whatever is freed from now on is looked at for itself.
            return;
        }
        self.wake.round_asked_us.get_or_insert(now_us);
        let distance_us = self.round_distance_us();
        let earliest_us = match self.wake.last_round_us {
            Some(last) => last.saturating_add(distance_us),
            None => 0,
        };
        let at_us = earliest_us.max(now_us.saturating_add(self.config.window_us));
        let planned_us = self.wake.round_at_us.unwrap_or(u64::MAX);
        self.wake.round_at_us = Some(planned_us.min(at_us));
        self.spread_net(now_us);
    }

    /// How long to wait at least from the beginning of a round to that of the next.
    fn round_distance_us(&self) -> u64 {
        let agents = self.wake.offerable as u64;
        let pairs = agents * u64::from(self.sorter.active());
        let distance_us = agents * limits::ROUND_DISTANCE_PER_AGENT_US
            + pairs * limits::ROUND_DISTANCE_PER_PAIR_NS / 1_000;
        distance_us.min(self.config.allocation_interval_us)
    }

    /// Less is consumed, or more is free: what quota kept back may go out now, anywhere.
    pub(crate) fn quota_eased(&mut self, now_us: u64) {
        if self.wake.quota_in_the_way {
            self.touch_all(now_us);
        }
    }

    /// Drops filters that have ended; their agents are to be looked at.
    pub(crate) fn end_filters(&mut self, now_us: u64) {
        for slot in self.wheel.take_due(now_us) {
            let agent = &mut self.agents[slot];
            let any_ended = agent.filters.drop_ended(now_us, &mut self.sorter.eras);
            self.wheel.set(slot, agent.filters.next_end_us);
            if any_ended {
                self.touch(now_us, slot);
            }
        }
    }

    /// The agents that this run looks at.
    pub(crate) fn take_candidates(&mut self, now_us: u64, rng: &mut Rng) -> Vec<u32> {
        if self.held_off(now_us).is_some() {
            return Vec::new();
        }
        self.wake.awaited = None;
        let most = (limits::PAIRS_PER_RUN / (self.sorter.active() as usize).max(1))
            .clamp(1, limits::AGENTS_PER_RUN);
        if let Some(at_us) = self.wake.dirty_at_us
            && at_us <= now_us
        {
            let asked_us = at_us.saturating_sub(self.config.window_us);
            self.last_run.waited_us = now_us - asked_us;
            return self.take_dirty(most);
        }
        if self.wake.round.is_empty() && self.is_round_due(now_us) {
            self.begin_round(now_us, most, rng);
        }
        let left = self.wake.round.len().saturating_sub(most);
        let mut candidates = self.wake.round.split_off(left);
        // Those whose window is open have their turn when it closes.
        candidates.retain(|slot| {
            let agent = &self.agents[*slot];
            agent.is_offerable() && !agent.dirty
        });
        candidates
    }

    fn take_dirty(&mut self, most: usize) -> Vec<u32> {
        let mut candidates = if self.wake.dirty.len() <= most {
            self.wake.dirty_at_us = None;
            std::mem::take(&mut self.wake.dirty)
        } else {
            self.wake.dirty.drain(..most).collect()
        };
        for slot in &candidates {
            self.agents[*slot].dirty = false;
        }
        candidates.retain(|slot| self.agents[*slot].is_offerable());
        candidates
    }

    fn is_round_due(&self, now_us: u64) -> bool {
        let planned = [self.wake.round_at_us, self.wake.net_at_us];
        planned.into_iter().flatten().any(|at| at <= now_us)
    }

    fn begin_round(&mut self, now_us: u64, most: usize, rng: &mut Rng) {
        let offerable = self.agents.iter().filter(|(_, agent)| agent.is_offerable());
        self.wake.round = offerable.map(|(slot, _)| slot).collect();
        if self.wake.round.len() > most {
            self.line_up_round(rng);
        }
        self.wake.round_at_us = None;
        self.wake.net_at_us = None;
        let asked_us = self.wake.round_asked_us.take().unwrap_or(now_us);
        self.last_run.waited_us = now_us.saturating_sub(asked_us);
        self.spread_net(now_us);
        self.wake.last_round_us = Some(now_us);
        self.wake.quota_in_the_way = false;
    }

    /// Puts a round of several runs in order, from the end of which each run takes its agents: a random
    /// one, or what scores demand as far as that is worked out fast enough. Each run puts its own in order
    /// again.
    fn line_up_round(&mut self, rng: &mut Rng) {
        let mut round = std::mem::take(&mut self.wake.round);
        rng.shuffle(&mut round);
        if !self.config.scores.is_empty() {
            self.prepare();
            let mut scores = self.config.scores.iter();
            let by_wishes = scores.any(|it| it.score().looks_at_wishes());
            let wishes = self.scratch.standings.wishes.len();
            if !by_wishes || round.len() * wishes <= limits::PAIRS_PER_RUN {
                self.line_up(&mut round, rng);
                round.reverse();
            }
        }
        self.wake.round = round;
    }

    /// The agent is about to be forgotten.
    pub(crate) fn untouch(&mut self, slot: u32) {
        if std::mem::take(&mut self.agents[slot].dirty) {
            self.wake.dirty.retain(|other| *other != slot);
            if self.wake.dirty.is_empty() {
                self.wake.dirty_at_us = None;
            }
        }
        self.wake.round.retain(|other| *other != slot);
    }
}
