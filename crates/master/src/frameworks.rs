//! The frameworks as this master knows them. Data only; what happens to them is in the handlers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use indexmap::IndexMap;
use meseta_model::capabilities::FrameworkCapabilities;
use meseta_model::edge::StreamId;
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use meseta_model::resources::Resources;
use meseta_model::roles::Role;
use meseta_model::upid::Upid;
use meseta_proto::mesos::v1;
use v1::TaskState;

use crate::subscribe::Wishes;
use crate::view::{FrameworkState, FrameworkView};

/// How a framework hears from us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Connection {
    /// An HTTP event stream.
    Stream(StreamId),
    /// A v0 driver.
    Driver(Upid),
}

impl Connection {
    /// What agents are told; over HTTP that is libprocess's empty address.
    pub(crate) fn pid(&self) -> String {
        match self {
            Self::Stream(_) => "@0.0.0.0:0".to_owned(),
            Self::Driver(upid) => upid.to_string(),
        }
    }
}

/// A task that an agent has, or has been sent.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) agent: AgentId,
    pub(crate) executor: Option<ExecutorId>,
    /// The newest state known; resources are held until it is terminal.
    pub(crate) state: TaskState,
    pub(crate) role: Role,
    /// Without allocation info.
    pub(crate) resources: Resources,
    /// State and uuid of the update that awaits its acknowledgement.
    pub(crate) update: Option<(TaskState, bytes::Bytes)>,
    /// The newest status, without data: what reconciliation repeats.
    pub(crate) status: Option<Box<v1::TaskStatus>>,
}

impl Task {
    /// The state that frameworks were told last: that of the update they have, else the newest.
    pub(crate) fn shown_state(&self) -> TaskState {
        self.update.as_ref().map_or(self.state, |(state, _)| *state)
    }
}

/// A task on an agent that stopped answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreachableTask {
    pub(crate) agent: AgentId,
    pub(crate) executor: Option<ExecutorId>,
    pub(crate) since_ns: u64,
}

/// A framework that was not removed.
#[derive(Debug, Clone)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    /// With the id filled in.
    pub(crate) info: v1::FrameworkInfo,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) capabilities: FrameworkCapabilities,
    pub(crate) suppressed: BTreeSet<Role>,
    pub(crate) constraints: BTreeMap<Role, meseta_allocator::RoleConstraints>,
    /// Absent: disconnected.
    pub(crate) connection: Option<Connection>,
    /// Known from the registry or an agent; has not subscribed under this master.
    pub(crate) recovered: bool,
    /// It gets offers.
    pub(crate) active: bool,
    /// Its removal is being written.
    pub(crate) removing: bool,
    pub(crate) registered_time: f64,
    pub(crate) reregistered_time: f64,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    /// Oldest first, at most `max_unreachable_tasks_per_framework`.
    pub(crate) unreachable: IndexMap<TaskId, UnreachableTask>,
    /// Ids of what is over, oldest first, at most `max_completed_tasks_per_framework`.
    pub(crate) completed: VecDeque<TaskId>,
    pub(crate) offers: BTreeSet<OfferId>,
    /// The agents where it has, or ever had, tasks or executors, with how many there are now. Where
    /// there are none an executor of ours may still be on its way out.
    pub(crate) hosts: BTreeMap<AgentId, usize>,
    /// Where its operations are that it gave an id, with their uuids. An id that is used again names
    /// the newest.
    pub(crate) operations: BTreeMap<OperationId, (AgentId, bytes::Bytes)>,
}

impl Framework {
    pub(crate) fn is_partition_aware(&self) -> bool {
        self.capabilities.is_partition_aware()
    }

    /// What agents are told of where it is.
    pub(crate) fn pid(&self) -> String {
        self.connection
            .as_ref()
            .map_or_else(|| "@0.0.0.0:0".to_owned(), Connection::pid)
    }

    /// One more task or executor on this agent.
    pub(crate) fn settle(&mut self, agent: &AgentId) {
        *self.hosts.entry(agent.clone()).or_default() += 1;
    }

    /// One task or executor less on this agent.
    pub(crate) fn leave(&mut self, agent: &AgentId) {
        let count = self.hosts.get_mut(agent).filter(|count| **count > 0);
        assert!(
            count.is_some(),
            "what leaves an agent has settled there before"
        );
        if let Some(count) = count {
            *count -= 1;
        }
    }

    pub(crate) fn view(&self) -> FrameworkView {
        FrameworkView {
            info: self.info.clone(),
            pid: match &self.connection {
                Some(Connection::Driver(upid)) => Some(upid.to_string()),
                _ => None,
            },
            state: if self.recovered {
                FrameworkState::Recovered
            } else {
                FrameworkState::Registered
            },
            active: self.active,
            connected: self.connection.is_some(),
            suppressed_roles: self.suppressed.iter().map(Role::to_string).collect(),
            registered_time: self.registered_time,
            reregistered_time: self.reregistered_time,
            unregistered_time: None,
        }
    }
}

/// A subscription whose op is being written.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) connection: Connection,
    pub(crate) wishes: Wishes,
    /// The stream ended, or the driver went, while the op was on its way.
    pub(crate) gone: bool,
}

/// All frameworks.
#[derive(Debug, Default)]
pub(crate) struct Frameworks {
    pub(crate) registered: BTreeMap<FrameworkId, Framework>,
    pub(crate) streams: BTreeMap<StreamId, FrameworkId>,
    pub(crate) drivers: BTreeMap<Upid, FrameworkId>,
    /// Drivers that subscribed again over a connection that we believed to stand.
    pub(crate) returned: BTreeSet<Upid>,
    /// The newest subscription of each that is being written.
    pub(crate) subscribing: BTreeMap<FrameworkId, Subscriber>,
    /// Oldest first, at most `max_completed_frameworks`.
    pub(crate) completed: VecDeque<FrameworkId>,
    pub(crate) next_number: u64,
}

impl Frameworks {
    pub(crate) fn get(&self, id: &FrameworkId) -> Option<&Framework> {
        self.registered.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &FrameworkId) -> Option<&mut Framework> {
        self.registered.get_mut(id)
    }
}
