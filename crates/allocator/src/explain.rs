//! Why somebody was offered something, or not.
//!
//! A client is asked as if it came first on the agent, by the code that decides; the reason why not is
//! the answer. Without one, the agent is visited as a run would, and everything is taken back.

use std::sync::Arc;

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::Resources;
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

use crate::Allocator;
use crate::filter::Filters;
use crate::quota::Stage;
use crate::shape::Shape;
use crate::sorter::Burden;

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
    /// The framework may have several roles, and the agent does not know of such.
    #[error("the agent does not know frameworks with MULTI_ROLE")]
    OneRoleAgent,
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

impl Reason {
    /// What would change it, in a few words for people.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownFramework => "subscribe, or look for its id among the frameworks",
            Self::FrameworkInactive => "connect its scheduler again",
            Self::NotSubscribed => "subscribe with the role",
            Self::Suppressed => "REVIVE from the framework",
            Self::UnknownAgent => "look for its id among the agents",
            Self::AgentInactive => "see that the agent runs and can be reached",
            Self::NotListed => "add the host to the whitelist",
            Self::NothingFree => "wait for tasks to end and offers to be answered, or add agents",
            Self::TooLittleFree => "wait for tasks to end, or a lower --min_allocatable_resources",
            Self::AwaitingAgents { .. } => "wait for agents to come back",
            Self::FlatAgent => "an agent with HIERARCHICAL_ROLE, or a role without a slash",
            Self::NothingForRole => "unreserve something, or reserve something for the role",
            Self::LimitReached => "a higher quota limit, or less in use by the role",
            Self::HeldBack => "more agents, or lower guarantees of other roles",
            Self::OneRoleAgent => "an agent with MULTI_ROLE, or a framework without",
            Self::NeedsGpus => "GPU_RESOURCES among the framework's capabilities",
            Self::OtherRegion => "REGION_AWARE among the framework's capabilities",
            Self::NotUnderstood => {
                "SHARED_RESOURCES, REVOCABLE_RESOURCES or RESERVATION_REFINEMENT of the framework"
            }
            Self::BelowMinimum => {
                "wait for more to be free, or a lower minimum of the framework or the cluster"
            }
            Self::Refused { .. } => "wait, or REVIVE from the framework",
            Self::Constraints => "other offer constraints, or other attributes of the agent",
        }
    }
}

/// What a look at one agent right now would give one framework in one role.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// It would be offered this.
    Offered(Box<Resources>),
    /// It would not, even if it came first.
    Withheld(Reason),
    /// It would be, but these come first and leave nothing for it.
    Behind(Arc<[(FrameworkId, Role)]>),
}

/// What a visit to an agent would hand out, and the same in names.
struct Rehearsed {
    handed: Vec<(u32, Arc<Shape>)>,
    named: Arc<[(FrameworkId, Role)]>,
}

impl Allocator {
    /// What a run would decide about this framework, role and agent now, and why, if the agent were
    /// looked at first. With a random sorter, one of the orders that may come. What is offered, and when,
    /// is the same whether anybody asks or not.
    pub fn explain(
        &mut self,
        now_us: u64,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Explanation {
        let client = (framework.clone(), role.clone());
        let mut found = Explanation::Withheld(Reason::UnknownAgent);
        let agents = std::slice::from_ref(agent);
        self.explain_each(now_us, &[client], agents, |_, _, it| found = it);
        found
    }

    /// The same for all of these frameworks, in these roles, on all of these agents: `say` is told for
    /// each agent about each client, by their places in the lists. Takes at most as long as a run over
    /// the agents, and a look at each pair.
    pub fn explain_each(
        &mut self,
        now_us: u64,
        clients: &[(FrameworkId, Role)],
        agents: &[AgentId],
        mut say: impl FnMut(usize, usize, Explanation),
    ) {
        self.prepare();
        let clients = clients.iter();
        let clients: Vec<Result<u32, Reason>> = clients
            .map(|(framework, role)| self.asking(framework, role))
            .collect();
        let in_the_way = self.wake.quota_in_the_way;
        for (at, agent) in agents.iter().enumerate() {
            match self.in_question(now_us, agent) {
                Ok(slot) => self.explain_agent(now_us, slot, &clients, |client, it| {
                    say(client, at, it);
                }),
                Err(reason) => {
                    for (client, known) in clients.iter().enumerate() {
                        let reason = known.err().unwrap_or(reason);
                        say(client, at, Explanation::Withheld(reason));
                    }
                }
            }
        }
        self.wake.quota_in_the_way = in_the_way;
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

    fn explain_agent(
        &mut self,
        now_us: u64,
        agent: u32,
        clients: &[Result<u32, Reason>],
        mut say: impl FnMut(usize, Explanation),
    ) {
        let ended = self.set_ended_aside(now_us, agent);
        self.mark_filters(now_us, agent);
        let mut open = Vec::new();
        for (at, client) in clients.iter().enumerate() {
            match client.and_then(|client| self.alone(now_us, agent, client)) {
                Ok(client) => open.push((at, client)),
                Err(reason) => say(at, Explanation::Withheld(reason)),
            }
        }
        if !open.is_empty() {
            let rehearsed = self.rehearse(now_us, agent);
            for (at, client) in open {
                say(at, rehearsed.outcome(client));
            }
        }
        if let Some(filters) = ended {
            self.agents[agent].filters = filters;
        }
    }

    /// Leaves an agent only the filters that stand. All of them, to be put back, if some do not: when
    /// those are dropped is up to runs.
    fn set_ended_aside(&mut self, now_us: u64, agent: u32) -> Option<Filters> {
        let filters = &mut self.agents[agent].filters;
        let eras = &self.sorter.eras;
        let stand = filters.list().iter().all(|filter| {
            filter.until_us > now_us && eras[filter.client as usize].generation == filter.generation
        });
        if stand {
            return None;
        }
        let all = filters.clone();
        filters.drop_ended(now_us, &mut eras.clone());
        Some(all)
    }

    /// The client, if it would be offered something of the agent were it asked first.
    fn alone(&mut self, now_us: u64, agent: u32, client: u32) -> Result<u32, Reason> {
        let free = self.agents[agent].free.clone();
        if self.quotas.has_lack() {
            let (stage, free) = (Stage::Guarantees, free.clone());
            let promised = self.visit_of(now_us, agent, stage, free).alone(client);
            if promised.is_ok() {
                return Ok(client);
            }
        }
        let mut visit = self.visit_of(now_us, agent, Stage::Rest, free);
        visit.alone(client).map(|_| client)
    }

    /// Makes the same visit as a run, and takes everything back.
    fn rehearse(&mut self, now_us: u64, agent: u32) -> Rehearsed {
        let mut rng = Rng::new(0);
        let mut free = self.agents[agent].free.clone();
        let mut handed: Vec<(u32, Arc<Shape>)> = Vec::new();
        let mut charged: Vec<Burden> = Vec::new();
        if self.quotas.has_lack() {
            self.decide(now_us, agent, Stage::Guarantees, free.clone(), &mut rng);
            handed.append(&mut self.scratch.decided);
            // The second stage sees what the first one did to shares.
            for (client, shape) in &handed {
                free = self.shapes.without(&free, shape);
                let (_, more) = self.grown(agent, *client, shape);
                self.sorter.charge(*client, &more);
                charged.push(more);
                self.change_idle(shape, false);
            }
        }
        self.decide(now_us, agent, Stage::Rest, free, &mut rng);
        handed.append(&mut self.scratch.decided);
        for (client, shape) in &handed {
            let account = self.account_of(*client);
            self.quotas.discharge(account, &shape.firm);
            self.quotas.free.add(&shape.firm);
        }
        for ((client, shape), more) in handed.iter().zip(&charged) {
            self.sorter.uncharge(*client, more);
            self.change_idle(shape, true);
        }
        let mut named = Vec::with_capacity(handed.len());
        for (client, _) in &handed {
            let client = self.sorter.client(*client);
            let role = &self.sorter.node(client.role).role;
            let name = (client.framework_id.clone(), role.clone());
            if !named.contains(&name) {
                named.push(name);
            }
        }
        Rehearsed {
            handed,
            named: named.into(),
        }
    }
}

impl Rehearsed {
    fn outcome(&self, client: u32) -> Explanation {
        let own = self.handed.iter().filter(|(other, _)| *other == client);
        let own: Resources = own.map(|(_, shape)| &shape.resources).sum();
        if own.is_empty() {
            Explanation::Behind(self.named.clone())
        } else {
            Explanation::Offered(Box::new(own))
        }
    }
}
