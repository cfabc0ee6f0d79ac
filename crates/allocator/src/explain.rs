//! Why somebody was offered something, or not.

use std::sync::Arc;

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::Resources;
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

use crate::Allocator;
use crate::quota::Stage;
use crate::shape::Shape;
use crate::visit::{NOBODY, Watch};

/// Why a framework is not offered anything of an agent in a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nobody of that id has subscribed.
    #[error("the framework is not known")]
    UnknownFramework,
    /// The framework is not connected.
    #[error("the framework is not active")]
    FrameworkInactive,
    /// It is, but in other roles.
    #[error("the framework is not subscribed to the role")]
    NotSubscribed,
    /// SUPPRESS, or the list in its SUBSCRIBE.
    #[error("the framework suppressed offers for the role")]
    Suppressed,
    /// There is no agent of that id.
    #[error("the agent is not known")]
    UnknownAgent,
    /// Disconnected, draining, or otherwise held back by the master.
    #[error("the agent is not active")]
    AgentInactive,
    /// `--whitelist` does not name its host.
    #[error("the whitelist does not name the agent's host")]
    NotListed,
    /// All that it has is allocated.
    #[error("nothing is free on the agent")]
    NothingFree,
    /// What is free does not reach the cluster's minimum, and nobody has another.
    #[error("what is free on the agent is less than the least that is offered")]
    TooLittleFree,
    /// A new leader waits for agents before it gives away what is promised to roles.
    #[error("the master waits for more agents to come back")]
    AwaitingAgents {
        /// Monotonic microseconds.
        until_us: u64,
    },
    /// The role has a slash, and the agent does not know such roles.
    #[error("the agent does not know roles below others")]
    FlatAgent,
    /// Everything free is reserved for others.
    #[error("what is free on the agent is reserved for other roles")]
    NothingForRole,
    /// The role's quota limit leaves nothing worth offering.
    #[error("the role has reached its quota limit")]
    LimitReached,
    /// Headroom: other roles are promised what is free.
    #[error("what is free is held back for guarantees of other roles")]
    HeldBack,
    /// The agent has gpus, the framework not the capability for them.
    #[error("the agent has gpus, and the framework lacks GPU_RESOURCES")]
    NeedsGpus,
    /// The agent is in another region, which the framework does not know of.
    #[error("the agent is in another region, and the framework lacks REGION_AWARE")]
    OtherRegion,
    /// Everything free is shared, revocable or refined, and the framework does not know that.
    #[error("the framework lacks the capability for what is free on the agent")]
    NotUnderstood,
    /// Less than the framework's own minimum for the role, or than the cluster's.
    #[error("what it could get is less than the least that is offered")]
    BelowMinimum,
    /// The framework refused as much on this agent, and that stands.
    #[error("the framework refused it")]
    Refused {
        /// Monotonic microseconds.
        until_us: u64,
    },
    /// Its offer constraints for the role do not match the agent.
    #[error("the framework's offer constraints exclude the agent")]
    Constraints,
}

/// What a look at one agent right now would give one framework in one role.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// It would be offered this.
    Offered(Box<Resources>),
    /// It would not.
    Withheld(Reason),
    /// It might be, but these come first and leave nothing for it.
    Behind(Vec<(FrameworkId, Role)>),
}

impl Allocator {
    /// What a run would decide about this framework, role and agent now, and why, if the agent were
    /// looked at first. Makes the same visit as a run and takes everything back; with a random sorter,
    /// one of the orders that may come.
    ///
    /// `now_us` as everywhere: filters that have ended by now no longer count, here and in later runs.
    pub fn explain(
        &mut self,
        now_us: u64,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Explanation {
        self.end_filters(now_us);
        let found = self.asking(framework, role).and_then(|client| {
            let agent = self.in_question(now_us, agent)?;
            Ok((client, agent))
        });
        match found {
            Ok((client, agent)) => self.rehearse(now_us, client, agent),
            Err(reason) => Explanation::Withheld(reason),
        }
    }

    /// The client, if it takes part.
    fn asking(&self, framework: &FrameworkId, role: &Role) -> Result<u32, Reason> {
        let slot = self.framework_slots.get(framework).copied();
        let slot = slot.filter(|slot| self.frameworks[*slot].known);
        let slot = slot.ok_or(Reason::UnknownFramework)?;
        let client = self.find_client(slot, role);
        let client = client.filter(|client| self.sorter.client(*client).subscribed);
        let client = client.ok_or(Reason::NotSubscribed)?;
        if self.sorter.client(client).active {
            return Ok(client);
        }
        Err(if self.frameworks[slot].active {
            Reason::Suppressed
        } else {
            Reason::FrameworkInactive
        })
    }

    /// The agent, if it is looked at.
    fn in_question(&self, now_us: u64, agent: &AgentId) -> Result<u32, Reason> {
        let slot = self.agent_slots.get(agent).copied();
        let slot = slot.ok_or(Reason::UnknownAgent)?;
        self.agents[slot].is_in_question()?;
        match self.held_off(now_us) {
            Some(until_us) => Err(Reason::AwaitingAgents { until_us }),
            None => Ok(slot),
        }
    }

    fn rehearse(&mut self, now_us: u64, client: u32, agent: u32) -> Explanation {
        let in_the_way = self.wake.quota_in_the_way;
        self.prepare();
        let mut rng = Rng::new(0);
        let mut free = self.agents[agent].free.clone();
        let mut handed: Vec<(u32, Arc<Shape>)> = Vec::new();
        if self.quotas.has_lack() {
            let mut unwatched = Watch::new(NOBODY);
            let (stage, all) = (Stage::Guarantees, free.clone());
            self.decide(now_us, agent, stage, all, &mut rng, &mut unwatched);
            handed.append(&mut self.scratch.decided);
            // The second stage sees what the first one did to shares.
            for (client, shape) in &handed {
                free = self.shapes.without(&free, shape);
                self.sorter.charge(*client, &shape.all);
                self.change_idle(shape, false);
            }
        }
        let promised = handed.len();
        let mut watch = Watch::new(client);
        self.decide(now_us, agent, Stage::Rest, free, &mut rng, &mut watch);
        handed.append(&mut self.scratch.decided);
        for (client, shape) in &handed {
            let account = self.account_of(*client);
            self.quotas.discharge(account, &shape.firm);
            self.quotas.free.add(&shape.firm);
        }
        for (client, shape) in &handed[..promised] {
            self.sorter.uncharge(*client, &shape.all);
            self.change_idle(shape, true);
        }
        self.wake.quota_in_the_way = in_the_way;
        self.outcome(client, &handed, watch.reason)
    }

    fn outcome(
        &self,
        client: u32,
        handed: &[(u32, Arc<Shape>)],
        reason: Option<Reason>,
    ) -> Explanation {
        let own = handed.iter().filter(|(other, _)| *other == client);
        let own: Resources = own.map(|(_, shape)| &shape.resources).sum();
        if !own.is_empty() {
            return Explanation::Offered(Box::new(own));
        }
        if let Some(reason) = reason {
            return Explanation::Withheld(reason);
        }
        let named = handed.iter().map(|(other, _)| {
            let other = self.sorter.client(*other);
            let role = self.sorter.node(other.role).role.clone();
            (other.framework_id.clone(), role)
        });
        Explanation::Behind(named.collect())
    }
}
