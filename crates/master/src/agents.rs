//! The agents as this master knows them. Data only; what happens to them is in the handlers.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::capabilities::AgentCapabilities;
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use meseta_model::resources::{Resource, ResourceFormat, Resources};
use meseta_model::roles::Role;
use meseta_model::upid::Upid;
use meseta_proto::mesos::{internal, v1};
use v1::agent_info::capability::Type as Capability;

use crate::registry::Digest;
use crate::view::AgentView;

/// An executor that runs, or is about to. Executors of command tasks are the agent's own business and
/// not counted here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Executor {
    /// As first sent to the agent; later tasks must match it field for field.
    pub(crate) info: v1::ExecutorInfo,
    pub(crate) role: Role,
    /// Charged once, without allocation info.
    pub(crate) resources: Resources,
    /// The agent came back without it while its tasks were on their way: it may be about to start, or
    /// never to.
    pub(crate) unconfirmed: bool,
    /// Whether its tasks share its cgroups; unknown of executors that an agent brought along.
    pub(crate) tasks_share_cgroups: Option<bool>,
}

/// An op about this agent's end is on its way; what it says meanwhile is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    Unreachable,
    Gone,
    Removed,
}

/// Why an agent is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// It said so.
    Unregistered,
    /// Another agent is at its address.
    Replaced,
}

impl Over {
    /// The last part of the metric's name.
    pub(crate) fn metric(self) -> &'static str {
        match self {
            Self::Unregistered => "reason_unregistered",
            Self::Replaced => "reason_registered",
        }
    }

    /// compat: Mesos's words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unregistered => "the agent unregistered",
            Self::Replaced => "a new agent registered at the same address",
        }
    }
}

/// A registered agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) info: v1::AgentInfo,
    pub(crate) pid: Upid,
    pub(crate) version: String,
    pub(crate) capabilities: AgentCapabilities,
    /// What it has, its dynamic reservations and volumes applied.
    pub(crate) total: Resources,
    /// It came back with less than it had, and what runs there may be more.
    pub(crate) shrunk: bool,
    /// Sent back with every launch, so that the agent notices when we count on older resources.
    pub(crate) resource_version: Option<v1::Uuid>,
    /// Its link is up, as far as we know.
    pub(crate) connected: bool,
    /// It gets offers made of it.
    pub(crate) active: bool,
    pub(crate) leaving: Option<Leaving>,
    /// If its removal could not be written, it is tried again.
    pub(crate) over: Option<Over>,
    pub(crate) registered_time: f64,
    pub(crate) reregistered_time: Option<f64>,
    /// The N of the `slave-observer(N)` that pings it.
    pub(crate) observer: u64,
    /// The last ping has no pong yet.
    pub(crate) ping_unanswered: bool,
    /// Pings in a row that had no pong in time.
    pub(crate) missed_pings: u32,
    /// Terminal ones too, until their last update is acknowledged.
    pub(crate) tasks: BTreeMap<FrameworkId, BTreeSet<TaskId>>,
    pub(crate) executors: BTreeMap<FrameworkId, BTreeMap<ExecutorId, Executor>>,
    pub(crate) offers: BTreeSet<OfferId>,
    /// Asked to be killed; asked again when the agent comes back.
    pub(crate) killed: BTreeSet<(FrameworkId, TaskId)>,
    /// Tasks that are in no other book and that it was asked about when it came back, with the uuid of
    /// the update that ended them.
    pub(crate) expected: BTreeMap<(FrameworkId, TaskId), Option<bytes::Bytes>>,
    /// By uuid: operations that it was told of and that are not over and acknowledged, at most
    /// [`OPERATIONS_PER_AGENT_LIMIT`](crate::limits::OPERATIONS_PER_AGENT_LIMIT).
    pub(crate) operations: BTreeMap<bytes::Bytes, v1::Operation>,
}

impl Agent {
    pub(crate) fn executor(&self, framework: &FrameworkId, id: &ExecutorId) -> Option<&Executor> {
        self.executors.get(framework)?.get(id)
    }

    /// As refusals name it.
    pub(crate) fn named(&self) -> String {
        format!("{} at {} ({})", self.id, self.pid, self.info.hostname)
    }

    /// Its dynamic reservations and persistent volumes: what operations made of what it was started
    /// with.
    pub(crate) fn checkpointed(&self) -> Resources {
        self.total.filter(Resource::needs_checkpointing)
    }

    /// The form of reservations that it reads.
    pub(crate) fn format(&self) -> ResourceFormat {
        if self.capabilities.has(Capability::ReservationRefinement) {
            ResourceFormat::PostRefinement
        } else {
            ResourceFormat::PreRefinement
        }
    }

    /// The frameworks that have tasks or executors here.
    pub(crate) fn frameworks(&self) -> BTreeSet<FrameworkId> {
        let executors = self.executors.keys();
        self.tasks.keys().chain(executors).cloned().collect()
    }

    pub(crate) fn resource_versions(&self) -> Vec<internal::ResourceVersionUuid> {
        self.resource_version
            .iter()
            .map(|uuid| internal::ResourceVersionUuid {
                resource_provider_id: None,
                uuid: uuid.clone(),
            })
            .collect()
    }

    pub(crate) fn view(&self) -> AgentView {
        AgentView {
            info: self.info.clone(),
            pid: self.pid.to_string(),
            version: self.version.clone(),
            capabilities: self.capabilities.to_wire(),
            total: self.total.to_wire(ResourceFormat::PostRefinement),
            recovered: false,
            connected: self.connected,
            active: self.active,
            registered_time: self.registered_time,
            reregistered_time: self.reregistered_time,
        }
    }
}

/// How an agent that is only known from the registry looks.
pub(crate) fn recovered_view(info: &v1::AgentInfo) -> AgentView {
    AgentView {
        info: info.clone(),
        pid: String::new(),
        version: String::new(),
        capabilities: Vec::new(),
        total: info.resources.clone(),
        recovered: true,
        connected: false,
        active: false,
        registered_time: 0.0,
        reregistered_time: None,
    }
}

/// All agents that are registered, or expected.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    pub(crate) registered: BTreeMap<AgentId, Agent>,
    /// Known from the registry, not back yet.
    pub(crate) recovered: BTreeSet<AgentId>,
    /// The tasks that those are expected to bring, with where. What is back already stays in it until
    /// nobody is expected any more: whether a task is awaited depends on its agent too.
    awaited: BTreeMap<(FrameworkId, TaskId), BTreeSet<AgentId>>,
    pub(crate) by_pid: BTreeMap<Upid, AgentId>,
    pub(crate) observers: BTreeMap<u64, AgentId>,
    /// New agents whose admission is being written, by where they are.
    pub(crate) admitting: BTreeSet<Upid>,
    /// Known agents whose return is being written.
    pub(crate) returning: BTreeSet<AgentId>,
    /// Of those, who has asked again meanwhile.
    pub(crate) insisting: BTreeSet<AgentId>,
    pub(crate) next_number: u64,
    pub(crate) next_observer: u64,
}

impl Agents {
    pub(crate) fn get(&self, id: &AgentId) -> Option<&Agent> {
        self.registered.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &AgentId) -> Option<&mut Agent> {
        self.registered.get_mut(id)
    }

    /// The registered agent, if its link is up.
    pub(crate) fn connected(&self, id: &AgentId) -> Option<&Agent> {
        self.get(id).filter(|agent| agent.connected)
    }

    /// An agent is expected back, with these tasks.
    pub(crate) fn expect(&mut self, id: &AgentId, digest: &Digest) {
        self.recovered.insert(id.clone());
        for task in digest {
            let agents = self.awaited.entry(task.clone()).or_default();
            agents.insert(id.clone());
        }
    }

    /// An agent is back, or given up.
    pub(crate) fn expect_no_more(&mut self, id: &AgentId) {
        self.recovered.remove(id);
        if self.recovered.is_empty() {
            self.awaited.clear();
        }
    }

    /// Whether an agent that is not back yet may have this task.
    pub(crate) fn is_awaited(&self, framework: &FrameworkId, task: &TaskId) -> bool {
        if self.awaited.is_empty() {
            return false;
        }
        let agents = self.awaited.get(&(framework.clone(), task.clone()));
        agents.is_some_and(|agents| !agents.is_disjoint(&self.recovered))
    }

    /// A number for the observer of one more agent; the first is 1, as in Mesos.
    pub(crate) fn number_observer(&mut self, agent: &AgentId) -> u64 {
        self.next_observer += 1;
        self.observers.insert(self.next_observer, agent.clone());
        self.next_observer
    }
}
