//! One run: agents in random order, on each the roles by their shares, in each role the frameworks by
//! theirs, until nothing is left.
//!
//! Shares that change on an agent count from the next agent on; quota counts at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use meseta_model::resources::Resources;
use meseta_model::rng::Rng;
use smallvec::SmallVec;

use crate::Allocator;
use crate::agent::Agent;
use crate::amounts::Amounts;
use crate::config::SorterKind;
use crate::profile::Grant;
use crate::quota::{Quotas, Stage};
use crate::random;
use crate::shape::{REVOCABLE, SHARED, Shape, Shapes};
use crate::sorter::{Client, Node, OWN, ROOT, Sorter};

/// What a run needs and the next one can use again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// By client: the visit that set it, and where the client's filters on that visit's agent begin.
    marks: Vec<(u32, u32)>,
    visit: u32,
    /// Decided on the agent at hand.
    decided: Vec<(u32, Arc<Shape>)>,
    /// Roles in random order.
    roles: Vec<u32>,
    /// Frameworks of a role in random order.
    queue: Vec<u32>,
    /// Roles that want offers with their chances, for random order.
    chances: Vec<(u32, f64)>,
    /// The last answer to whether the second is a part of the first. Both are kept alive, so that no
    /// other shape can be found at their addresses.
    last_part: Option<(Arc<Shape>, Arc<Shape>, bool)>,
}

/// What a run hands out.
#[derive(Default)]
struct Handout {
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
        let mut agents = self.take_candidates(now_us, rng);
        if agents.is_empty() || self.sorter.active() == 0 {
            return Vec::new();
        }
        self.runs += 1;
        self.sorter.refresh(&self.shapes.kinds);
        if self.config.role_sorter == SorterKind::Random {
            self.scratch.chances = random::chances(&self.sorter);
        }
        let mut handout = Handout::default();
        if self.quotas.has_lack() {
            rng.shuffle(&mut agents);
            for slot in &agents {
                self.visit(now_us, *slot, Stage::Guarantees, rng, &mut handout);
            }
        }
        rng.shuffle(&mut agents);
        for slot in &agents {
            self.visit(now_us, *slot, Stage::Rest, rng, &mut handout);
        }
        self.rest();
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
        if stage == Stage::Guarantees {
            free = self.shapes.understood_by(&free, !REVOCABLE);
        }
        self.mark_filters(now_us, slot);
        let mut visit = Visit {
            now_us,
            stage,
            agent: &self.agents[slot],
            sorter: &self.sorter,
            minimums: &self.minimums,
            has_own_minimums: self.own_minimums > 0,
            framework_sorter: self.config.framework_sorter,
            shapes: &mut self.shapes,
            quotas: &mut self.quotas,
            scratch: &mut self.scratch,
            quota_in_the_way: &mut self.wake.quota_in_the_way,
            nothing: &self.nothing,
            free,
        };
        visit.all_roles(self.config.role_sorter, rng);
        self.book(slot, stage, handout);
    }

    /// Notes for every client with filters on the agent where they begin.
    fn mark_filters(&mut self, now_us: u64, slot: u32) {
        let scratch = &mut self.scratch;
        scratch.visit = scratch.visit.wrapping_add(1);
        if scratch.visit == 0 {
            scratch.marks.clear();
            scratch.visit = 1;
        }
        scratch.marks.resize(self.sorter.client_capacity(), (0, 0));
        let agent = &mut self.agents[slot];
        let generations = &self.sorter.generations;
        let stands = |filter: &crate::filter::Filter| {
            filter.until_us > now_us && generations[filter.client as usize] == filter.generation
        };
        if !agent.filters.list().iter().all(stands) {
            let before = agent.filters.next_end_us;
            agent.filters.drop_ended(now_us, generations);
            let after = agent.filters.next_end_us;
            self.calendar.moved(slot, before, after);
        }
        for (at, filter) in agent.filters.list().iter().enumerate().rev() {
            scratch.marks[filter.client as usize] = (scratch.visit, at as u32);
        }
    }

    /// Writes what was decided on an agent into the books.
    fn book(&mut self, slot: u32, stage: Stage, handout: &mut Handout) {
        let mut decided = std::mem::take(&mut self.scratch.decided);
        for (client, shape) in decided.drain(..) {
            let agent = &self.agents[slot];
            let free = if Arc::ptr_eq(&agent.free, &shape) && shape.needs & SHARED == 0 {
                self.nothing.clone()
            } else {
                let taken = shape.resources.non_shared();
                self.shapes
                    .make(agent.free.resources.saturating_sub(&taken))
            };
            self.hand_over(slot, client, &shape, free);
            handout.add(slot, client, shape, stage, &mut self.shapes);
        }
        self.scratch.decided = decided;
    }

    /// Moves a shape from what is free to what a client holds. Quota and headroom know already.
    fn hand_over(&mut self, slot: u32, client: u32, shape: &Arc<Shape>, free: Arc<Shape>) {
        self.set_free_only(slot, free);
        let agent = &mut self.agents[slot];
        let Some(held) = agent.holding(client).cloned() else {
            agent.hold(client, Some(shape.clone()));
            self.sorter.client_mut(client).holdings += 1;
            self.sorter.charge(client, &shape.all);
            return;
        };
        let sum = held.resources.clone() + &shape.resources;
        let sum = self.shapes.make(sum);
        let mut more = sum.all.clone();
        more.subtract(&held.all);
        self.sorter.charge(client, &more);
        agent.hold(client, Some(sum));
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

/// Whether it reaches one of the minimums.
pub(crate) fn is_enough(minimums: &[Amounts], all: &Amounts) -> bool {
    minimums.is_empty() || minimums.iter().any(|least| all.covers(least))
}

/// One agent being decided on.
struct Visit<'a> {
    now_us: u64,
    stage: Stage,
    agent: &'a Agent,
    sorter: &'a Sorter,
    minimums: &'a [Amounts],
    has_own_minimums: bool,
    framework_sorter: SorterKind,
    shapes: &'a mut Shapes,
    quotas: &'a mut Quotas,
    scratch: &'a mut Scratch,
    quota_in_the_way: &'a mut bool,
    nothing: &'a Arc<Shape>,
    /// What is left to decide on.
    free: Arc<Shape>,
}

impl Visit<'_> {
    fn all_roles(&mut self, order: SorterKind, rng: &mut Rng) {
        if order == SorterKind::Random {
            let mut roles = std::mem::take(&mut self.scratch.roles);
            random::draw(&self.scratch.chances, rng, &mut roles);
            for role in &roles {
                if self.free.is_empty() {
                    break;
                }
                self.role(*role, rng);
            }
            self.scratch.roles = roles;
            return;
        }
        let mut path: SmallVec<[(u32, usize); 8]> = SmallVec::new();
        path.push((ROOT, 0));
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            let Some(member) = self.sorter.node(node).members.get(*at).copied() else {
                path.pop();
                continue;
            };
            *at += 1;
            if member != OWN {
                path.push((member, 0));
                continue;
            }
            if self.free.is_empty() {
                return;
            }
            self.role(node, rng);
        }
    }

    /// What of the rest may go to clients of this role, or nothing.
    fn candidate(&mut self, node: &Node) -> Option<Arc<Shape>> {
        let account = self.quotas.account(node.account);
        if self.stage == Stage::Guarantees && !account.lacks_some_of(&self.free.firm) {
            return None;
        }
        let candidate = self.shapes.allocatable_to(&self.free, &node.role);
        if !self.quotas.cuts(account, self.stage, &candidate.firm) {
            return Some(candidate);
        }
        if self.stage == Stage::Rest {
            *self.quota_in_the_way = true;
        }
        let most = |position| self.quotas.allowed(account, self.stage, position).max(0);
        let mut left = candidate.all.clone();
        for (position, amount) in candidate.firm.iter() {
            left.add_at(position, -(amount - most(position)).max(0));
        }
        if !self.may_be_enough(&left) {
            return None;
        }
        let candidate = self.shapes.cut(&candidate, &most);
        (!candidate.is_empty()).then_some(candidate)
    }

    /// Whether `all` suffices for an offer by the cluster's rule; frameworks may have their own.
    fn may_be_enough(&self, all: &Amounts) -> bool {
        self.has_own_minimums || is_enough(self.minimums, all)
    }

    fn role(&mut self, slot: u32, rng: &mut Rng) {
        let node = self.sorter.node(slot);
        if node.nested && !self.agent.hierarchical_role {
            return;
        }
        let Some(mut candidate) = self.candidate(node) else {
            return;
        };
        let drawn = self.framework_sorter == SorterKind::Random;
        let mut queue = std::mem::take(&mut self.scratch.queue);
        if drawn {
            queue.clear();
            queue.extend_from_slice(&node.queue);
            rng.shuffle(&mut queue);
        }
        for client in if drawn { &queue } else { &node.queue } {
            let Some(shape) = self.choose(*client, &candidate) else {
                continue;
            };
            self.quotas.charge(node.account, &shape.firm);
            self.quotas.free.subtract(&shape.firm);
            self.free = if Arc::ptr_eq(&self.free, &shape) {
                self.nothing.clone()
            } else {
                self.shapes.without(&self.free, &shape)
            };
            self.scratch.decided.push((*client, shape));
            match self.candidate(node) {
                Some(next) if !self.free.is_empty() => candidate = next,
                _ => break,
            }
        }
        self.scratch.queue = queue;
    }

    /// What of the candidate this client is to be offered, if anything.
    fn choose(&mut self, slot: u32, candidate: &Arc<Shape>) -> Option<Arc<Shape>> {
        let client = self.sorter.client(slot);
        if self.agent.needs & !client.met != 0 {
            return None;
        }
        let shape = self.shapes.understood_by(candidate, client.met);
        if shape.is_empty()
            || !self.is_enough(client, &shape)
            || self.is_filtered(slot, &shape)
            || !self.meets_constraints(client)
        {
            return None;
        }
        Some(shape)
    }

    fn is_enough(&self, client: &Client, shape: &Shape) -> bool {
        let own = client.terms.as_ref().and_then(|t| t.minimums.as_deref());
        is_enough(own.unwrap_or(self.minimums), &shape.all)
    }

    fn meets_constraints(&self, client: &Client) -> bool {
        let constraints = client.terms.as_ref().and_then(|t| t.constraints.as_ref());
        constraints.is_none_or(|constraints| constraints.matches(&self.agent.site))
    }

    /// Whether the shape is a part of something that the client refused here.
    fn is_filtered(&mut self, slot: u32, shape: &Arc<Shape>) -> bool {
        let (visit, begin) = self.scratch.marks[slot as usize];
        if visit != self.scratch.visit {
            return false;
        }
        let list = &self.agent.filters.list()[begin as usize..];
        for filter in list.iter().take_while(|filter| filter.client == slot) {
            debug_assert!(filter.until_us > self.now_us);
            if Arc::ptr_eq(&filter.refused, shape) {
                return true;
            }
            let is_part = match &self.scratch.last_part {
                Some((whole, part, is_part))
                    if Arc::ptr_eq(whole, &filter.refused) && Arc::ptr_eq(part, shape) =>
                {
                    *is_part
                }
                _ => {
                    let is_part = filter.refused.contains(shape);
                    let answer = (filter.refused.clone(), shape.clone(), is_part);
                    self.scratch.last_part = Some(answer);
                    is_part
                }
            };
            if is_part {
                return true;
            }
        }
        false
    }
}
