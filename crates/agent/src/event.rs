//! What can happen to an agent, and what it can ask for.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use meseta_model::caller::Caller;
use meseta_model::container::ContainerLimits;
use meseta_model::container::{ContainerReport, LaunchSpec, RecoverableContainer};
use meseta_model::edge::{Outcome, Refusal, RequestId, StreamId};
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::step::Seq;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::executor;

use crate::view::{Counter, Delta};

/// What can happen to an agent. Past tense; recordable.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The process started. The first event, exactly once.
    Started(Box<Started>),
    /// The leading master is known.
    MasterDetected(Upid),
    /// No master leads, as far as is known.
    MasterLost,
    /// An actor message came in: from the master, a v0 executor, or anyone.
    MessageReceived {
        /// Who says to have sent it.
        from: Upid,
        /// The actor it was sent to: `slave(1)`.
        to: String,
        /// The leader's epoch, if the sender announced one.
        epoch: Option<u64>,
        /// What it says.
        message: Message,
    },
    /// The connection to this process is gone, or could not be made.
    LinkBroken {
        /// The actor we had linked to.
        peer: Upid,
    },
    /// An executor's SUBSCRIBE, valid in itself. Its answer waits: the first event over the stream (or
    /// its end) opens it with 200, [`Effect::RefuseStream`] refuses.
    ExecutorSubscribed {
        /// The new stream.
        stream: StreamId,
        /// Who asks.
        caller: Caller,
        /// The whole call.
        call: Box<executor::Call>,
    },
    /// Any other executor call, valid in itself.
    ExecutorCalled {
        /// Waits for [`Effect::Reply`].
        request: RequestId,
        /// Who asks.
        caller: Caller,
        /// The call.
        call: Box<executor::Call>,
    },
    /// An executor's stream ended.
    StreamClosed {
        /// Which.
        stream: StreamId,
    },
    /// The container room reports.
    Container(ContainerReport),
    /// The operator ends the agent and everything that runs on it (SIGUSR1, Ctrl-C of `meseta up`).
    /// [`Effect::Exit`] follows when nothing runs any more.
    ShutdownRequested,
    /// How full the file system of the work directory is, in `0.0..=1.0`.
    DiskMeasured {
        /// Used fraction.
        used: f64,
    },
    /// A timer is due.
    TimerFired(Timer),
    /// A durable write is done.
    Persisted {
        /// Which.
        seq: Seq,
    },
    /// A durable write failed; what waited for it was dropped.
    PersistFailed {
        /// Which.
        seq: Seq,
        /// What the disk said.
        error: String,
    },
}

/// What the process knows when it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// Seeds every draw (ids, back-off).
    pub seed: u64,
    /// `/proc/sys/kernel/random/boot_id`: another one than on disk means that the host rebooted.
    pub boot_id: String,
    /// Where this agent listens; its actor is `slave(1)` there.
    pub pid: Upid,
    /// Name, resources, attributes, domain, as flags and detection say; without an id.
    pub info: meseta_proto::mesos::v1::AgentInfo,
    /// The files below `meta/`, sorted by path; empty on a fresh machine.
    pub meta: Vec<MetaEntry>,
    /// When runs that are over ended: when their `executor.sentinel` was written, in nanoseconds since
    /// the Unix epoch, by its path below `meta/`. One that is not here ended just now.
    pub ended: BTreeMap<String, u64>,
}

/// One file or link below `meta/`, read at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaEntry {
    /// A file.
    File {
        /// Relative to `meta/`, with `/`.
        path: String,
        /// Its content.
        bytes: Bytes,
    },
    /// A symbolic link.
    Symlink {
        /// Relative to `meta/`.
        path: String,
        /// What it points to, as written.
        target: String,
    },
}

/// What identifies a timer of the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Try to register again.
    Register,
    /// No ping came for as long as the master announced.
    PingTimeout,
    /// An executor has had its time to register.
    ExecutorRegistration(FrameworkId, ExecutorId, ContainerId),
    /// Executors of an earlier life have had their time to come back.
    ExecutorReregistration,
    /// Ask executors that have not come back again (v0).
    ExecutorReconnect,
    /// An executor told to shut down has had its grace.
    ExecutorShutdown(FrameworkId, ExecutorId, ContainerId),
    /// The oldest unacknowledged update of this task is sent again.
    UpdateRetry(FrameworkId, TaskId),
    /// Updates of this task that could not be written are tried again.
    UpdateWriteRetry(FrameworkId, TaskId),
    /// The next heartbeat on an executor's stream.
    Heartbeat(ContainerId),
    /// Measure the disk, collect old sandboxes.
    Gc,
    /// What an earlier life left has had its time to end (`--recover=cleanup`).
    Cleanup,
}

/// What an agent can ask for. Imperative; printable.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Open a connection to this actor's process and report its loss.
    Link(Upid),
    /// Close it; its loss is no longer of interest.
    Unlink(Upid),
    /// Send an actor message from `slave(1)`.
    Send {
        /// To whom.
        to: Upid,
        /// What.
        message: Box<Message>,
    },
    /// Write an event to an executor's stream.
    SendEvent {
        /// Which stream.
        stream: StreamId,
        /// What.
        event: Box<executor::Event>,
    },
    /// End an executor's stream after what was written to it.
    CloseStream(StreamId),
    /// Answer an executor's SUBSCRIBE with a refusal. The stream is not opened, and nothing else was
    /// or will be said of it.
    RefuseStream {
        /// The stream that the SUBSCRIBE asked for.
        stream: StreamId,
        /// Why.
        refusal: Refusal,
    },
    /// Answer a request. Every request gets exactly one.
    Reply {
        /// Which.
        request: RequestId,
        /// What.
        outcome: Outcome,
    },
    /// Start a container and hold its program until [`Effect::ReleaseContainer`].
    LaunchContainer(Box<LaunchSpec>),
    /// Let the held program run: its pid is on disk now.
    ReleaseContainer(ContainerId),
    /// End every process of a container and remove its traces outside the sandbox.
    DestroyContainer(ContainerId),
    /// New bounds for a running container.
    UpdateContainer {
        /// Which.
        container_id: ContainerId,
        /// From now on.
        limits: ContainerLimits,
    },
    /// Take up these containers of an earlier life again; destroy all others found, which are told with
    /// `OrphansFound`. Each is answered with `Terminated` at once if it is over, later otherwise; a named
    /// one that was held to its end with `NeverReleased`.
    RecoverContainers(Vec<RecoverableContainer>),
    /// Remove a sandbox or an old directory of `meta/`, absolute path below the work directory.
    RemoveDirectory {
        /// Which.
        path: String,
    },
    /// Report [`Event::DiskMeasured`].
    MeasureDisk,
    /// What is visible changed; the read model applies it before anything behind it goes out.
    Changed(Delta),
    /// A counter grew.
    Count {
        /// Which.
        counter: Counter,
        /// By how much.
        by: u64,
    },
    /// Stop the process; the reason is for people.
    Exit {
        /// Why.
        reason: String,
    },
}

/// What must keep its order: all that goes to one peer, one stream, one container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The process at this address, all of its actors.
    Peer(SocketAddr),
    /// An executor's stream.
    Stream(StreamId),
    /// A container.
    Container(ContainerId),
}

impl Effect {
    /// The lane of an effect: while one that came before it is held back for the disk, it waits too.
    /// `None` goes past. Whoever drives the core gives this to its driver.
    #[must_use]
    pub fn lane(&self) -> Option<Lane> {
        match self {
            Self::Link(peer) | Self::Unlink(peer) => Some(Lane::Peer(peer.address)),
            Self::Send { to, .. } => Some(Lane::Peer(to.address)),
            Self::SendEvent { stream, .. }
            | Self::CloseStream(stream)
            | Self::RefuseStream { stream, .. } => Some(Lane::Stream(stream.clone())),
            Self::LaunchContainer(spec) => Some(Lane::Container(spec.container_id.clone())),
            Self::ReleaseContainer(id)
            | Self::DestroyContainer(id)
            | Self::UpdateContainer {
                container_id: id, ..
            } => Some(Lane::Container(id.clone())),
            _ => None,
        }
    }
}
