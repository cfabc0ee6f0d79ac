//! What the agent's core and the container room say to one another about containers.
//!
//! The agent decides (`LaunchSpec`, destroy), the container room does, and reports with
//! [`ContainerReport`]. Ids are paths, launches carry a class, so that nested and debug containers
//! (pods, exec) need no new words (design decision 16).

use std::collections::BTreeMap;

use meseta_proto::mesos::v1;

use crate::ids::ContainerId;

/// What kind of container this is. Mesos: `ContainerClass`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContainerClass {
    /// Its own sandbox and limits.
    #[default]
    Default,
    /// Shares its parent's namespaces, for looking into it.
    Debug,
}

/// What the container's first process is.
#[derive(Debug, Clone, PartialEq)]
pub enum Program {
    /// The built-in command executor: this same binary, in the role that runs one command task.
    CommandExecutor,
    /// A command of the framework: a shell line or an argument vector.
    Command(v1::CommandInfo),
}

/// Upper bounds the container room enforces where it can (cgroups, when root).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContainerLimits {
    /// Requested cpu in thousandths; sets cpu shares (1024 a cpu, at least 2).
    pub cpus_millis: i64,
    /// Hard cpu limit in thousandths; sets a CFS quota (period 100 ms). `None`: no hard limit.
    pub cpus_limit_millis: Option<i64>,
    /// Memory request in bytes (soft limit, floor 32 MiB). `None`: no limit.
    pub mem_bytes: Option<u64>,
    /// Memory hard limit in bytes; the request when `None`.
    pub mem_limit_bytes: Option<u64>,
}

/// Everything needed to start one container. A value: it can be printed, compared, recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchSpec {
    /// Who it is; the last element of the path is new, its parents run already.
    pub container_id: ContainerId,
    /// Ordinary or debug.
    pub class: ContainerClass,
    /// What runs.
    pub program: Program,
    /// The whole environment of the process; nothing else is inherited.
    pub environment: BTreeMap<String, String>,
    /// The user to switch to when root and `switch_user` is on; `None` keeps the agent's.
    pub user: Option<String>,
    /// Absolute path of the sandbox: working directory, stdout, stderr. Exists already if `false`
    /// is in `create_sandbox`.
    pub sandbox: String,
    /// Whether the container room makes the sandbox directory (mode 0750, owned by the user).
    pub create_sandbox: bool,
    /// What to fetch into the sandbox before the program starts.
    pub uris: Vec<v1::command_info::Uri>,
    /// Cpu and memory bounds.
    pub limits: ContainerLimits,
    /// Resource limits of the process (`setrlimit`).
    pub rlimits: Vec<v1::r_limit_info::RLimit>,
    /// The framework's wishes (image, volumes, networks); what the room cannot do fails the launch
    /// with the field's name.
    pub container: Option<Box<v1::ContainerInfo>>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Termination {
    /// Wait status of the first process as `waitpid` gives it; `None` when it cannot be known.
    pub wait_status: Option<i32>,
    /// Why the room itself ended it, for example a memory limit.
    pub limitation: Option<Limitation>,
    /// A sentence for people.
    pub message: String,
}

/// A bound that was passed, as Mesos's `ContainerLimitation`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limitation {
    /// For example `REASON_CONTAINER_LIMITATION_MEMORY`.
    pub reason: v1::task_status::Reason,
    /// Which resources were exceeded.
    pub resources: Vec<v1::Resource>,
    /// A sentence for people.
    pub message: String,
}

/// What the container room tells the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum ContainerReport {
    /// The first process runs. Sent before the program can have any effect on the agent, so that
    /// its pid is on disk before it registers.
    Launched {
        /// Which.
        container_id: ContainerId,
        /// The process that supervises it (Mesos: `forked.pid`).
        pid: u32,
    },
    /// It never ran; whatever was made for it is gone again. May follow `Launched`: what was
    /// released could not be fetched or run.
    LaunchFailed {
        /// Which.
        container_id: ContainerId,
        /// What went wrong and what to do about it.
        message: String,
    },
    /// It ran and is over: no process of it is left.
    Terminated {
        /// Which.
        container_id: ContainerId,
        /// How.
        termination: Termination,
    },
    /// It is over and its program never ran: the agent of an earlier life died before it released it.
    /// The id may be launched again. Only of containers that were named at recovery.
    NeverReleased {
        /// Which.
        container_id: ContainerId,
    },
    /// The answer to a recovery: containers that it did not name. Each is being destroyed, and
    /// reported as `Terminated` when it is over.
    OrphansFound {
        /// Which; often none.
        containers: Vec<ContainerId>,
    },
}

/// A container that an agent of an earlier life started, named at recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverableContainer {
    /// Which.
    pub container_id: ContainerId,
    /// Its supervising process, as checkpointed; `None` if the pid never reached the disk.
    pub pid: Option<u32>,
    /// Absolute path of its sandbox.
    pub sandbox: String,
}
