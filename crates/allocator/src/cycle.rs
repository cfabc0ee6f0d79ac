//! One run: agents in random order, on each the roles by their shares, in each role the frameworks by
//! theirs, until nothing is left.
//!
//! Shares that change on an agent count from the next agent on; quota counts at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use meseta_model::resources::Resources;
use meseta_model::rng::Rng;

use crate::Allocator;
use crate::config::SorterKind;
use crate::policy::Standings;
use crate::profile::Grant;
use crate::quota::Stage;
use crate::random;
use crate::shape::{SHARED, Shape, Shapes};
use crate::stats::LastRun;
use crate::visit::Visit;

/// What a run needs and the next one can use again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// By client: the visit that set it, and where the client's filters on that visit's agent begin.
    pub(crate) marks: Vec<(u32, u32)>,
    pub(crate) visit: u32,
    /// Decided on the agent at hand.
    pub(crate) decided: Vec<(u32, Arc<Shape>)>,
    /// Roles in random order.
    pub(crate) roles: Vec<u32>,
    /// Frameworks of a role in random order.
    pub(crate) queue: Vec<u32>,
    /// Clients that a score puts first on the agent at hand, with their roles.
    pub(crate) preferred: Vec<(f64, u32, u32)>,
    /// Roles that want offers with their chances, for random order.
    pub(crate) chances: Vec<(u32, f64)>,
    /// What scores compare with.
    pub(crate) standings: Standings,
    /// The last answer to whether the second is a part of the first. Both are kept alive, so that no
    /// other shape can be found at their addresses.
    pub(crate) last_part: Option<(Arc<Shape>, Arc<Shape>, bool)>,
}

/// What a run hands out.
#[derive(Default)]
pub(crate) struct Handout {
    grants: Vec<(u32, u32, Arc<Shape>)>,
    /// Where the first stage's grants are, by agent and client.
    places: BTreeMap<(u32, u32), usize>,
    /// Shared resources granted in the first stage, by agent: not twice in one run.
    shared: BTreeMap<u32, Resources>,
}

impl Allocator {
    /// Decides what to offer now, and counts it as allocated. Every grant must be given back with
    /// [`Allocator::recover`] some day. To be called at [`Allocator::next_wake`], or earlier if need be.
    pub fn allocate(&mut self, now_us: u64, rng: &mut Rng) -> Vec<Grant> {
        self.end_filters(now_us);
        self.note_waiting(now_us);
        self.last_run = LastRun::default();
        let mut agents = self.take_candidates(now_us, rng);
        self.last_run.agents = agents.len();
        if agents.is_empty() || self.sorter.active() == 0 {
            return Vec::new();
        }
        self.runs += 1;
        self.prepare();
        let mut handout = Handout::default();
        if self.quotas.has_lack() {
            self.line_up(&mut agents, rng);
            for slot in &agents {
                self.visit(now_us, *slot, Stage::Guarantees, rng, &mut handout);
            }
        }
        self.line_up(&mut agents, rng);
        for slot in &agents {
            self.visit(now_us, *slot, Stage::Rest, rng, &mut handout);
        }
        self.rest();
        self.last_run.grants = handout.grants.len();
        let grants = handout.grants.iter();
        grants
            .map(|(agent, client, shape)| self.grant(*agent, *client, shape))
            .collect()
    }

    fn grant(&self, agent: u32, client: u32, shape: &Shape) -> Grant {
        let client = self.sorter.client(client);
        Grant {
            framework: client.framework_id.clone(),
            role: self.sorter.node(client.role).role.clone(),
            agent: self.agents[agent].id.clone(),
            resources: shape.resources.clone(),
        }
    }

    /// Works out what decisions are made from, as far as that changed.
    pub(crate) fn prepare(&mut self) {
        self.sorter.refresh(&self.shapes.kinds);
        if self.config.role_sorter == SorterKind::Random {
            self.scratch.chances = random::chances(&self.sorter);
        }
        if !self.config.scores.is_empty() {
            if self.scratch.standings.names != self.shapes.kinds.len() {
                self.look_up_names();
            }
            self.scratch.standings =
                Standings::new(&self.sorter, &self.shapes.kinds, &self.config.scarce);
        }
    }

    /// A random order, or the one that scores demand, in which equals come in random order.
    pub(crate) fn line_up(&mut self, agents: &mut Vec<u32>, rng: &mut Rng) {
        rng.shuffle(agents);
        for score in self.config.scores.iter().rev() {
            let keyed = agents.iter().map(|slot| {
                let agent = &self.agents[*slot];
                let worth = score.score().of_agent(agent, &self.scratch.standings);
                (worth, *slot)
            });
            let mut keyed: Vec<(f64, u32)> = keyed.collect();
            keyed.sort_by(|a, b| b.0.total_cmp(&a.0));
            *agents = keyed.into_iter().map(|(_, slot)| slot).collect();
        }
    }

    /// Decides for one agent, then writes it into the books.
    fn visit(
        &mut self,
        now_us: u64,
        slot: u32,
        stage: Stage,
        rng: &mut Rng,
        handout: &mut Handout,
    ) {
        if !self.agents[slot].is_offerable() {
            return;
        }
        let mut free = self.agents[slot].free.clone();
        if let Some(shared) = handout.shared.get(&slot) {
            let rest = free.resources.saturating_sub(shared);
            free = self.shapes.make(rest);
        }
        self.decide(now_us, slot, stage, free, rng);
        self.book(now_us, slot, stage, handout);
    }

    /// Decides what of `free` goes to whom; [`Scratch::decided`] holds the result.
    pub(crate) fn decide(
        &mut self,
        now_us: u64,
        slot: u32,
        stage: Stage,
        free: Arc<Shape>,
        rng: &mut Rng,
    ) {
        self.mark_filters(now_us, slot);
        self.visit_of(now_us, slot, stage, free).everybody(rng);
    }

    /// A visit to an agent whose filters are marked.
    pub(crate) fn visit_of(
        &mut self,
        now_us: u64,
        slot: u32,
        stage: Stage,
        free: Arc<Shape>,
    ) -> Visit<'_> {
        Visit {
            now_us,
            stage,
            agent: &self.agents[slot],
            sorter: &self.sorter,
            minimums: &self.minimums,
            has_own_minimums: self.own_minimums > 0,
            config: &self.config,
            shapes: &mut self.shapes,
            quotas: &mut self.quotas,
            scratch: &mut self.scratch,
            quota_in_the_way: &mut self.wake.quota_in_the_way,
            nothing: &self.nothing,
            free,
        }
    }

    /// Notes for every client with filters on the agent where they begin.
    pub(crate) fn mark_filters(&mut self, now_us: u64, slot: u32) {
        let scratch = &mut self.scratch;
        scratch.visit = scratch.visit.wrapping_add(1);
        if scratch.visit == 0 {
            scratch.marks.clear();
            scratch.visit = 1;
        }
        scratch.marks.resize(self.sorter.client_capacity(), (0, 0));
        let agent = &mut self.agents[slot];
        let eras = &mut self.sorter.eras;
        let stands = |filter: &crate::filter::Filter| {
            filter.until_us > now_us && eras[filter.client as usize].generation == filter.generation
        };
        if !agent.filters.list().iter().all(stands) {
            agent.filters.drop_ended(now_us, eras);
            let after = agent.filters.next_end_us;
            self.wheel.set(slot, after);
        }
        for (at, filter) in agent.filters.list().iter().enumerate().rev() {
            scratch.marks[filter.client as usize] = (scratch.visit, at as u32);
        }
    }

    /// Writes what was decided on an agent into the books.
    fn book(&mut self, now_us: u64, slot: u32, stage: Stage, handout: &mut Handout) {
        let mut decided = std::mem::take(&mut self.scratch.decided);
        for (client, shape) in decided.drain(..) {
            let agent = &self.agents[slot];
            let free = if Arc::ptr_eq(&agent.free, &shape) && shape.needs & SHARED == 0 {
                self.nothing.clone()
            } else {
                let taken = if shape.needs & SHARED == 0 {
                    Cow::Borrowed(&shape.resources)
                } else {
                    Cow::Owned(shape.resources.non_shared())
                };
                self.shapes
                    .make(agent.free.resources.saturating_sub(&taken))
            };
            self.hand_over(slot, client, &shape, free);
            self.note_offered(now_us, client);
            handout.add(slot, client, shape, stage, &mut self.shapes);
        }
        self.scratch.decided = decided;
    }

    /// Moves a shape from what is free to what a client holds. Quota and headroom know already.
    fn hand_over(&mut self, slot: u32, client: u32, shape: &Arc<Shape>, free: Arc<Shape>) {
        self.set_free_only(slot, free);
        self.change_idle(shape, false);
        let is_first = self.agents[slot].holding(client).is_none();
        if is_first {
            self.sorter.client_mut(client).holdings += 1;
            self.maintenance.touch(slot);
        }
        let (sum, more) = self.grown(slot, client, shape);
        self.sorter.charge(client, &more);
        self.agents[slot].hold(client, Some(sum));
    }
}

impl Handout {
    /// Adds a grant, to that of the first stage if there is one for the same client and agent.
    fn add(
        &mut self,
        agent: u32,
        client: u32,
        shape: Arc<Shape>,
        stage: Stage,
        shapes: &mut Shapes,
    ) {
        if stage == Stage::Guarantees {
            self.places.insert((agent, client), self.grants.len());
            if shape.needs & SHARED != 0 {
                *self.shared.entry(agent).or_default() += &shape.resources.shared();
            }
        } else if let Some(at) = self.places.get(&(agent, client)) {
            let grant = &mut self.grants[*at].2;
            *grant = shapes.make(grant.resources.clone() + &shape.resources);
            return;
        }
        self.grants.push((agent, client, shape));
    }
}
