//! One agent being decided on: who is asked in which order, and why somebody gets nothing.
//!
//! Every "no" is a [`Reason`]. A run drops it; [`crate::Allocator::explain`] asks a client as if it came
//! first ([`Visit::alone`]), keeps the reason, and makes the same visit if there is none.

use std::sync::Arc;

use meseta_model::rng::Rng;
use smallvec::SmallVec;

use crate::agent::Agent;
use crate::amounts::Amounts;
use crate::config::{Config, SorterKind};
use crate::cycle::Scratch;
use crate::explain::Reason;
use crate::policy::minimum::{Least, may_be_enough};
use crate::policy::{Asked, FILTERS};
use crate::quota::{Quotas, Stage};
use crate::random;
use crate::shape::{Shape, Shapes};
use crate::sorter::{Node, OWN, ROOT, Sorter};

/// See the module.
pub(crate) struct Visit<'a> {
    pub(crate) now_us: u64,
    pub(crate) stage: Stage,
    pub(crate) agent: &'a Agent,
    pub(crate) sorter: &'a Sorter,
    pub(crate) minimums: &'a [Least],
    pub(crate) has_own_minimums: bool,
    pub(crate) config: &'a Config,
    pub(crate) shapes: &'a mut Shapes,
    pub(crate) quotas: &'a mut Quotas,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) quota_in_the_way: &'a mut bool,
    pub(crate) nothing: &'a Arc<Shape>,
    /// What is left to decide on.
    pub(crate) free: Arc<Shape>,
}

impl Visit<'_> {
    /// Asks those whom a score puts first, then everybody in the order of fairness.
    pub(crate) fn everybody(&mut self, rng: &mut Rng) {
        if self.config.role_sorter == SorterKind::Random {
            random::draw(&self.scratch.chances, rng, &mut self.scratch.roles);
        }
        if self
            .config
            .scores
            .iter()
            .any(|it| it.score().ranks_clients())
        {
            self.preferred_clients();
        }
        self.in_order(|visit, role| {
            visit.role(role, rng);
            !visit.free.is_empty()
        });
    }

    /// What the client would be given if it were asked before all others.
    pub(crate) fn alone(&mut self, client: u32) -> Result<Arc<Shape>, Reason> {
        let node = self.sorter.node(self.sorter.client(client).role);
        let candidate = self.candidate(node);
        let candidate = candidate.map_err(|reason| self.detail(node, reason))?;
        self.choose(client, &candidate)
    }

    /// Calls for each role in order as long as it says to go on.
    fn in_order(&mut self, mut call: impl FnMut(&mut Self, u32) -> bool) {
        if self.free.is_empty() {
            return;
        }
        if self.config.role_sorter == SorterKind::Random {
            let roles = std::mem::take(&mut self.scratch.roles);
            let _ = roles.iter().all(|role| call(self, *role));
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
            } else if !call(self, node) {
                return;
            }
        }
    }

    /// Asks the clients that a score gives more than nothing on this agent, those with most first.
    fn preferred_clients(&mut self) {
        let mut preferred = std::mem::take(&mut self.scratch.preferred);
        preferred.clear();
        self.in_order(|visit, role| {
            for client in &visit.sorter.node(role).queue {
                let worth = visit.worth(*client);
                if worth > 0.0 {
                    preferred.push((worth, role, *client));
                }
            }
            true
        });
        preferred.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, role, client) in &preferred {
            let node = self.sorter.node(*role);
            if let Ok(candidate) = self.candidate(node) {
                self.ask(*client, node, &candidate);
            }
        }
        self.scratch.preferred = preferred;
    }

    /// What the first score that has an opinion gives the client here.
    fn worth(&self, client: u32) -> f64 {
        let client = self.sorter.client(client);
        let scores = self.config.scores.iter();
        scores
            .map(|it| {
                let standings = &self.scratch.standings;
                it.score().of_client(self.agent, client, standings)
            })
            .find(|worth| *worth != 0.0)
            .unwrap_or(0.0)
    }

    /// Which part of the quota it is.
    fn detail(&self, node: &Node, reason: Reason) -> Reason {
        let account = self.quotas.account(node.account);
        match reason {
            Reason::HeldBack if account.is_limited(&self.free.firm) => Reason::LimitReached,
            other => other,
        }
    }

    /// What of the rest clients of this role may be asked about.
    fn candidate(&mut self, node: &Node) -> Result<Arc<Shape>, Reason> {
        if node.nested && !self.agent.hierarchical_role {
            return Err(Reason::FlatAgent);
        }
        let account = self.quotas.account(node.account);
        if self.stage == Stage::Guarantees && !account.lacks_some_of(&self.free.firm) {
            return Err(Reason::HeldBack);
        }
        let candidate = self.shapes.allocatable_to(&self.free, &node.role);
        if candidate.is_empty() {
            return Err(Reason::NothingForRole);
        }
        let mut left = std::mem::take(&mut self.shapes.left);
        let part = if self
            .quotas
            .cuts(account, &candidate.all, &candidate.firm, &mut left)
        {
            self.part(&candidate, &left)
        } else {
            Ok(candidate)
        };
        self.shapes.left = left;
        part
    }

    /// What quota leaves of a candidate, if that may be of use.
    fn part(&mut self, candidate: &Arc<Shape>, left: &Amounts) -> Result<Arc<Shape>, Reason> {
        if self.stage == Stage::Rest {
            *self.quota_in_the_way = true;
        }
        // Frameworks may have minimums of their own.
        if !self.has_own_minimums && !may_be_enough(self.minimums, left) {
            return Err(Reason::HeldBack);
        }
        let part = self.shapes.cut(candidate, left);
        if part.is_empty() {
            Err(Reason::HeldBack)
        } else {
            Ok(part)
        }
    }

    /// Asks the clients of a role in order.
    fn role(&mut self, slot: u32, rng: &mut Rng) {
        let node = self.sorter.node(slot);
        let Ok(mut candidate) = self.candidate(node) else {
            return;
        };
        let drawn = self.config.framework_sorter == SorterKind::Random;
        let mut queue = std::mem::take(&mut self.scratch.queue);
        if drawn {
            queue.clear();
            queue.extend_from_slice(&node.queue);
            rng.shuffle(&mut queue);
        }
        for client in if drawn { &queue } else { &node.queue } {
            if !self.ask(*client, node, &candidate) {
                continue;
            }
            match self.candidate(node) {
                Ok(next) if !self.free.is_empty() => candidate = next,
                _ => break,
            }
        }
        self.scratch.queue = queue;
    }

    /// Gives a client what of the candidate it is to be offered, if anything.
    fn ask(&mut self, client: u32, node: &Node, candidate: &Arc<Shape>) -> bool {
        let Ok(shape) = self.choose(client, candidate) else {
            return false;
        };
        self.quotas.charge(node.account, &shape.firm);
        self.quotas.free.subtract(&shape.firm);
        self.free = if Arc::ptr_eq(&self.free, &shape) {
            self.nothing.clone()
        } else {
            self.shapes.without(&self.free, &shape)
        };
        self.scratch.decided.push((client, shape));
        true
    }

    /// What of the candidate the client would be offered. This and [`Self::refused_until`] are all that is
    /// done for most pairs of agent and framework, in a few nanoseconds: a call would cost a quarter more.
    #[inline(always)]
    fn choose(&mut self, slot: u32, candidate: &Arc<Shape>) -> Result<Arc<Shape>, Reason> {
        let client = self.sorter.client(slot);
        let stripped;
        let shape = if candidate.is_understood(client.met) {
            candidate
        } else {
            stripped = self.shapes.understood_by(candidate, client.met);
            &stripped
        };
        if let Some(until_us) = self.refused_until(slot, shape) {
            return Err(Reason::Refused { until_us });
        }
        let asked = Asked {
            agent: self.agent,
            client,
            shape,
            minimums: self.minimums,
        };
        for (_, filter) in FILTERS {
            filter.judge(&asked)?;
        }
        Ok(shape.clone())
    }

    /// Until when a refusal stands of which the shape is a part, if there is one.
    #[inline(always)]
    fn refused_until(&mut self, slot: u32, shape: &Arc<Shape>) -> Option<u64> {
        let (visit, begin) = self.scratch.marks[slot as usize];
        if visit != self.scratch.visit {
            return None;
        }
        let list = &self.agent.filters.list()[begin as usize..];
        for filter in list.iter().take_while(|filter| filter.client == slot) {
            debug_assert!(filter.until_us > self.now_us);
            if Arc::ptr_eq(&filter.refused, shape) {
                return Some(filter.until_us);
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
                return Some(filter.until_us);
            }
        }
        None
    }
}
