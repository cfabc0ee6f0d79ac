//! What can be seen from outside: shares, consumption, counts.

use std::collections::BTreeMap;

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Quantities, Resources};
use meseta_model::roles::Role;

use crate::Allocator;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Agents.
    pub agents: usize,
    /// Agents with something free that may be offered.
    pub offerable_agents: usize,
    /// Frameworks, those included that are gone but still have something.
    pub frameworks: usize,
    /// Framework and role pairs that want offers.
    pub active_clients: usize,
    /// Filters that stand.
    pub filters: usize,
    /// Runs made so far.
    pub runs: u64,
}

/// The last call of [`Allocator::allocate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastRun {
    /// Agents that it looked at; with none, there was nothing to do.
    pub agents: usize,
    /// What it granted.
    pub grants: usize,
    /// Microseconds from the first change that it answered to the run itself, the window included:
    /// `allocator/mesos/allocation_run_latency_ms`.
    pub waited_us: u64,
}

/// A role in the order of fairness.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleShare {
    /// Which.
    pub role: Role,
    /// The dominant share of the role with all below it, divided by its weight, as of the last run.
    pub share: f64,
    /// Against its siblings.
    pub weight: f64,
    /// What the role has, without those below it; shared resources once per framework and agent.
    pub allocated: Quantities,
    /// Frameworks in it that want offers.
    pub active_frameworks: usize,
}

impl Allocator {
    /// How much there is of everything.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let eras = self.sorter.eras.iter();
        Counts {
            agents: self.agents.len(),
            offerable_agents: self.wake.offerable,
            frameworks: self.frameworks.len(),
            active_clients: self.sorter.active() as usize,
            filters: eras.map(|era| era.filters as usize).sum(),
            runs: self.runs,
        }
    }

    /// What the last run did.
    #[must_use]
    pub fn last_run(&self) -> LastRun {
        self.last_run
    }

    /// Every role that is in use, by name.
    #[must_use]
    pub fn roles(&self) -> Vec<RoleShare> {
        let mut roles: Vec<RoleShare> = self
            .sorter
            .nodes()
            .filter(|(slot, _)| *slot != crate::sorter::ROOT)
            .map(|(slot, node)| RoleShare {
                role: node.role.clone(),
                share: node.tree.share,
                weight: self.sorter.weight(slot),
                allocated: self.shapes.kinds.quantities(&node.own.allocated),
                active_frameworks: node.queue.len(),
            })
            .collect();
        roles.sort_by(|a, b| a.role.cmp(&b.role));
        roles
    }

    /// The dominant share of a framework in each of its roles, as of the last run.
    #[must_use]
    pub fn framework_shares(&self, id: &FrameworkId) -> BTreeMap<Role, f64> {
        let Some(slot) = self.framework_slots.get(id) else {
            return BTreeMap::new();
        };
        let clients = self.frameworks[*slot].clients.iter();
        clients
            .map(|client| {
                let client = self.sorter.client(*client);
                let role = self.sorter.node(client.role).role.clone();
                (role, client.standing.share)
            })
            .collect()
    }

    /// What quota counts for a top-level role: all reservations for it and below, and what it has of
    /// unreserved, regular resources.
    #[must_use]
    pub fn quota_consumed(&self, role: &Role) -> Quantities {
        let account = self.quotas.find(role);
        account.map_or_else(Quantities::new, |account| {
            self.shapes.kinds.quantities(&account.consumed())
        })
    }

    /// What is free on an agent; shared resources always are.
    #[must_use]
    pub fn free(&self, agent: &AgentId) -> Option<&Resources> {
        let slot = self.agent_slots.get(agent)?;
        Some(&self.agents[*slot].free.resources)
    }

    /// What a framework has on an agent in a role.
    #[must_use]
    pub fn held(
        &self,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Option<&Resources> {
        let agent = *self.agent_slots.get(agent)?;
        let framework = *self.framework_slots.get(framework)?;
        let client = self.find_client(framework, role)?;
        Some(&self.agents[agent].holding(client)?.resources)
    }

    /// The scalars of the whole cluster.
    #[must_use]
    pub fn totals(&self) -> Quantities {
        self.shapes.kinds.quantities(self.sorter.totals())
    }
}
