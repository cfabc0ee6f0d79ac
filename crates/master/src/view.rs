//! What of a master is visible, as changes. The read model outside applies them in order; the
//! operator event stream is the same changes (design decision 9).
//!
//! Allocated and offered totals are not here: they follow from tasks, executors and offers.

use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use meseta_proto::mesos::v1;

/// One visible change.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// This master leads, and everything known before is void.
    Elected(Box<MasterView>),
    /// An agent appeared or changed.
    Agent(Box<AgentView>),
    /// An agent is no longer registered (its tasks are told of separately).
    AgentRemoved {
        /// Which.
        agent: AgentId,
        /// Where it went.
        to: AgentFate,
    },
    /// A framework appeared or changed.
    Framework(Box<FrameworkView>),
    /// A completed framework fell out of the bounded history, with its tasks.
    FrameworkForgotten(FrameworkId),
    /// A task became known.
    TaskAdded {
        /// The whole task.
        task: Box<v1::Task>,
        /// In which list it appears.
        list: TaskList,
    },
    /// A task changed state or got a status.
    TaskUpdated {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// The state it now shows (the newest known).
        state: v1::TaskState,
        /// The newest status that was forwarded, if this is one.
        status: Option<Box<v1::TaskStatus>>,
    },
    /// A task moved to another list.
    TaskMoved {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// Where from.
        from: TaskList,
        /// Where to.
        to: TaskList,
    },
    /// A task fell out of a bounded history.
    TaskForgotten {
        /// Whose.
        framework: FrameworkId,
        /// Which; when an id was used again, the oldest entry of that list goes.
        task: TaskId,
        /// Which list it leaves.
        list: TaskList,
    },
    /// An executor runs, or is about to.
    Executor {
        /// Where.
        agent: AgentId,
        /// What.
        info: Box<v1::ExecutorInfo>,
        /// Whose.
        framework: FrameworkId,
    },
    /// An executor is over.
    ExecutorRemoved {
        /// Where.
        agent: AgentId,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
    },
    /// An offer is out.
    Offer(Box<v1::Offer>),
    /// An offer was answered or withdrawn.
    OfferRemoved(OfferId),
    /// An operation at an agent became known or changed.
    Operation(Box<v1::Operation>),
    /// An operation's end was acknowledged, or its agent is gone.
    OperationRemoved {
        /// Its UUID.
        uuid: Bytes,
    },
}

/// The master itself.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterView {
    /// As sent to agents and frameworks.
    pub info: v1::MasterInfo,
    /// Seconds since the Unix epoch.
    pub start_time: f64,
    /// Seconds since the Unix epoch.
    pub elected_time: f64,
    /// The epoch of its reign.
    pub epoch: u64,
    /// Weights of roles; 1 where absent.
    pub weights: BTreeMap<String, f64>,
}

/// An agent as the master sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentView {
    /// Hostname, resources, attributes, id, domain.
    pub info: v1::AgentInfo,
    /// `slave(1)@ip:port`; empty while only recovered from the registry.
    pub pid: String,
    /// What it announced.
    pub version: String,
    /// What it announced.
    pub capabilities: Vec<v1::agent_info::Capability>,
    /// Everything it has, reservations and volumes applied.
    pub total: Vec<v1::Resource>,
    /// Registered, or only known from the registry.
    pub recovered: bool,
    /// Its link is up.
    pub connected: bool,
    /// It gets offers made of it.
    pub active: bool,
    /// Seconds since the Unix epoch.
    pub registered_time: f64,
    /// Seconds since the Unix epoch, once it came back.
    pub reregistered_time: Option<f64>,
}

/// Why an agent is no longer registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentFate {
    /// It stopped answering; it may return.
    Unreachable,
    /// An operator declared it gone.
    Gone,
    /// It shut down, or another took its address.
    Removed,
}

/// A framework as the master sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkView {
    /// With its id filled in.
    pub info: v1::FrameworkInfo,
    /// `scheduler-…@ip:port` of a v0 driver; absent over HTTP.
    pub pid: Option<String>,
    /// Where it stands.
    pub state: FrameworkState,
    /// It gets offers.
    pub active: bool,
    /// It has a live stream or driver.
    pub connected: bool,
    /// Roles that want no offers.
    pub suppressed_roles: Vec<String>,
    /// Seconds since the Unix epoch.
    pub registered_time: f64,
    /// Seconds since the Unix epoch; equals `registered_time` until it came back.
    pub reregistered_time: f64,
    /// Seconds since the Unix epoch, once it is completed.
    pub unregistered_time: Option<f64>,
}

/// Where a framework stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameworkState {
    /// Subscribed under this master.
    Registered,
    /// Known from agents or the registry; has not subscribed yet.
    Recovered,
    /// Torn down; kept as history.
    Completed,
}

/// The lists that `/state`, `/tasks` and GET_TASKS show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskList {
    /// Sent to an agent and not over (also terminal ones whose last update is not acknowledged).
    Active,
    /// On an agent that stopped answering.
    Unreachable,
    /// Over.
    Completed,
}

/// What the master counts by framework: `master/frameworks/NAME/ID/…`. Calls and events the edge counts
/// where they pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameworkCounter {
    /// `offers/accepted`: offers of an ACCEPT that names valid ones only.
    OffersAccepted,
    /// `offers/declined`: offers that were out and that a DECLINE named.
    OffersDeclined,
    /// `operations/reserve` …: operations that were carried out, or sent to their agent.
    ///
    /// compat: a LAUNCH counts once per task that was launched, a LAUNCH_GROUP once.
    Operations(v1::offer::operation::Type),
}

/// What the master counts. The edge gives each its name in `/metrics/snapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Counter {
    /// Tasks that ended in this state, as first seen by the master. `master/tasks_finished` …
    TasksEnded(v1::TaskState),
    /// A task ended, by source and reason: `master/task_failed/source_executor/reason_…`.
    TaskEndedBecause(
        v1::TaskState,
        v1::task_status::Source,
        v1::task_status::Reason,
    ),
    /// An operation came to this end, or was lost with its agent as unreachable:
    /// `master/operations/error`, `master/operations/reserve/error`.
    Operations(v1::offer::operation::Type, v1::OperationState),
    /// `master/valid_operation_status_updates`.
    ValidOperationStatusUpdates,
    /// `master/invalid_operation_status_updates`.
    InvalidOperationStatusUpdates,
    /// `master/valid_operation_status_update_acknowledgements`.
    ValidOperationStatusUpdateAcknowledgements,
    /// `master/invalid_operation_status_update_acknowledgements`.
    InvalidOperationStatusUpdateAcknowledgements,
    /// A scheduler call or agent message arrived, by the metric's last part (`launch_tasks`).
    Message(&'static str),
    /// `master/valid_status_updates`.
    ValidStatusUpdates,
    /// `master/invalid_status_updates`.
    InvalidStatusUpdates,
    /// `master/valid_status_update_acknowledgements`.
    ValidStatusUpdateAcknowledgements,
    /// `master/invalid_status_update_acknowledgements`.
    InvalidStatusUpdateAcknowledgements,
    /// `master/slave_registrations`.
    AgentRegistrations,
    /// `master/slave_reregistrations`.
    AgentReregistrations,
    /// `master/slave_removals`, and by reason.
    AgentRemovals(&'static str),
    /// `master/slave_unreachable_completed` and `…_scheduled`, `…_canceled`.
    AgentUnreachable(&'static str),
    /// `master/dropped_messages`.
    DroppedMessages,
    /// Offers made; `allocator/…` and ours.
    OffersMade,
    /// Offers withdrawn.
    OffersRescinded,
    /// `allocator/mesos/allocation_runs`.
    AllocationRuns,
}
