//! What of an agent is visible, as changes. The read model outside applies them in order (design
//! decision 9).

use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_proto::mesos::v1;

/// One visible change.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// The agent itself: at start, at registration, when its resources change.
    Agent(Box<AgentView>),
    /// Recovery of an earlier life's executors is over.
    Recovered,
    /// A framework appeared here, or its description changed.
    Framework(Box<v1::FrameworkInfo>),
    /// Nothing of this framework runs here any more; it is history now.
    FrameworkCompleted(FrameworkId),
    /// A completed framework fell out of the bounded history.
    FrameworkForgotten(FrameworkId),
    /// An executor run appeared or changed.
    Executor(Box<ExecutorView>),
    /// An executor run is over; it is history now.
    ExecutorCompleted {
        /// Whose.
        framework: FrameworkId,
        /// Which executor.
        executor: ExecutorId,
        /// Which run.
        container_id: ContainerId,
    },
    /// An executor run fell out of the bounded history.
    ExecutorForgotten {
        /// Whose.
        framework: FrameworkId,
        /// Which executor.
        executor: ExecutorId,
        /// Which run.
        container_id: ContainerId,
    },
    /// A task appeared or changed.
    Task {
        /// In which run it is.
        container_id: ContainerId,
        /// The task, with its statuses.
        task: Box<v1::Task>,
        /// In which list it appears.
        list: TaskList,
    },
    /// A task fell out of the bounded history.
    TaskForgotten {
        /// Whose.
        framework: FrameworkId,
        /// In which run it was.
        container_id: ContainerId,
        /// Which.
        task: TaskId,
    },
}

/// The agent itself.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentView {
    /// With its id once it has one.
    pub info: v1::AgentInfo,
    /// `slave(1)@ip:port`.
    pub pid: String,
    /// Where the leading master is, once known: `master@ip:port`.
    pub master: Option<String>,
    /// Registered with that master.
    pub registered: bool,
    /// What it announces to masters: what it really does.
    pub capabilities: Vec<v1::agent_info::Capability>,
    /// Everything it has, reservations and volumes applied.
    pub total: Vec<v1::Resource>,
    /// Seconds since the Unix epoch.
    pub start_time: f64,
}

/// One run of an executor.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutorView {
    /// Whose.
    pub framework: FrameworkId,
    /// As launched; for a command task the one the agent made up.
    pub info: v1::ExecutorInfo,
    /// Which run.
    pub container_id: ContainerId,
    /// Absolute path of its sandbox.
    pub directory: String,
    /// Made up by the agent for a command task.
    pub command_executor: bool,
    /// What executor and tasks of this run hold together.
    pub resources: Vec<v1::Resource>,
}

/// The lists that the agent's `/state` and GET_TASKS show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskList {
    /// The executor has not been given it yet.
    Queued,
    /// The executor has it.
    Launched,
    /// Over, but its last update is not acknowledged.
    Terminated,
    /// Over and acknowledged.
    Completed,
}

/// What the agent counts. The edge gives each its name in `/metrics/snapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Counter {
    /// Tasks that ended in this state. `slave/tasks_finished` …
    TasksEnded(v1::TaskState),
    /// `slave/valid_status_updates`.
    ValidStatusUpdates,
    /// `slave/invalid_status_updates`.
    InvalidStatusUpdates,
    /// `slave/valid_framework_messages`.
    ValidFrameworkMessages,
    /// `slave/invalid_framework_messages`.
    InvalidFrameworkMessages,
    /// `slave/executors_terminated`.
    ExecutorsTerminated,
    /// `slave/executors_preempted`.
    ExecutorsPreempted,
    /// `slave/container_launch_errors`.
    ContainerLaunchErrors,
    /// `slave/recovery_errors`.
    RecoveryErrors,
    /// Messages of a leader older than one already obeyed; ours.
    FencedMessages,
}
