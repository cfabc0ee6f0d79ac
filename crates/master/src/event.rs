//! What can happen to a master, and what it can ask for.

use std::collections::BTreeSet;

use bytes::Bytes;
use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, RequestId, StreamId};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::roles::Role;
use meseta_model::step::Seq;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler;

use crate::view::{Counter, Delta, FrameworkCounter};

/// What can happen to a master. Past tense; recordable.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The lead was won, and the registry read: everything durable, oldest first.
    Led {
        /// Higher than any epoch before; fences older leaders.
        epoch: u64,
        /// Seeds every draw of this reign (ids, jitter).
        seed: u64,
        /// The registry as of an index, if one was ever taken.
        snapshot: Option<(u64, Bytes)>,
        /// The committed ops after the snapshot, with their indexes.
        ops: Vec<(u64, Bytes)>,
    },
    /// The lead is gone; whatever was proposed may or may not be committed.
    LeadLost,
    /// A proposal is durable. Whatever follows from it is emitted here and nowhere else.
    Committed {
        /// The proposal's number.
        seq: Seq,
        /// Its place in the log.
        index: u64,
        /// The op itself, as proposed.
        op: Bytes,
    },
    /// A proposal was not taken; nothing was changed.
    Refused {
        /// The proposal's number.
        seq: Seq,
        /// Why.
        reason: String,
    },
    /// The lead was lost while the proposal was on its way.
    Unknown {
        /// The proposal's number.
        seq: Seq,
    },
    /// `--whitelist` names these hosts now: only their agents are offered; all of them without a list.
    WhitelistChanged(Option<BTreeSet<String>>),
    /// A timer is due.
    TimerFired(Timer),
    /// An actor message came in: from an agent, a v0 driver, or anyone.
    MessageReceived {
        /// Who says to have sent it.
        from: Upid,
        /// Who was authenticated there.
        caller: Caller,
        /// The actor it was sent to: `master`, `slave-observer(3)`.
        to: String,
        /// What it says.
        message: Message,
    },
    /// The connection to this process is gone, or could not be made.
    LinkBroken {
        /// The actor we had linked to.
        peer: Upid,
    },
    /// A valid SUBSCRIBE over HTTP; its answer (200) is out and the stream is open.
    SchedulerSubscribed {
        /// The new stream.
        stream: StreamId,
        /// Who asks.
        caller: Caller,
        /// The whole call: `framework_id` and `subscribe`.
        call: Box<scheduler::Call>,
    },
    /// Any other scheduler call over HTTP, valid in itself.
    SchedulerCalled {
        /// Waits for [`Effect::Reply`].
        request: RequestId,
        /// Who asks.
        caller: Caller,
        /// The `Mesos-Stream-Id` header, if there was one.
        stream_id: Option<String>,
        /// The call.
        call: Box<scheduler::Call>,
    },
    /// A scheduler's stream ended: closed by the client, broken, or dropped for not reading.
    StreamClosed {
        /// Which.
        stream: StreamId,
    },
    /// An operator wants something changed.
    OperatorCalled {
        /// Waits for [`Effect::Reply`].
        request: RequestId,
        /// Who asks.
        caller: Caller,
        /// What.
        call: OperatorCall,
    },
}

/// Operator calls that change something, or ask what only the core knows. Other reading is not here: the
/// read model answers it.
#[derive(Debug, Clone, PartialEq)]
pub enum OperatorCall {
    /// Remove a framework and all it runs.
    Teardown(FrameworkId),
    /// Declare an agent gone for good.
    MarkAgentGone(AgentId),
    /// End one task of any framework, as its scheduler could (Meseta's own call, `KILL_TASK`).
    /// Refused as not found if no live task has this id.
    KillTask {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: meseta_model::ids::TaskId,
        /// Overrides the task's own policy.
        policy: Option<meseta_proto::mesos::v1::KillPolicy>,
    },
    /// Say why frameworks are offered what they are offered, or not (Meseta's own call,
    /// `EXPLAIN_OFFERS`). Changes nothing.
    ExplainOffers(Question),
}

/// What an operator wants explained: everything, narrowed by what is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Only for this framework.
    pub framework: Option<FrameworkId>,
    /// Only in this role.
    pub role: Option<Role>,
    /// Only on this agent.
    pub agent: Option<AgentId>,
    /// Whether to explain each agent by itself, too, and not only to count.
    pub list: bool,
}

/// What identifies a timer of the master.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The next ping of an agent.
    Ping(AgentId),
    /// A disconnected agent has had its time to come back.
    AgentReregister(AgentId),
    /// Agents known from the registry have had their time to come back after an election.
    RecoveredAgents,
    /// A disconnected framework has had its `failover_timeout`.
    Failover(FrameworkId),
    /// The next heartbeat on a scheduler's stream.
    Heartbeat(FrameworkId),
    /// What freed within the window becomes offers now.
    Allocate,
    /// An offer was held for `offer_timeout`.
    OfferTimeout(meseta_model::ids::OfferId),
    /// The next batch of launch digests may be proposed.
    Digest,
    /// Old unreachable and gone entries are dropped from the registry.
    RegistryGc,
    /// The next slice of what is being explained.
    Explain,
}

/// What a master can ask for. Imperative; printable.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Open a connection to this actor's process and report its loss.
    Link(Upid),
    /// Close it; its loss is no longer of interest.
    Unlink(Upid),
    /// Send an actor message; the link stamps the epoch on it.
    Send {
        /// The name of the sending actor: `master`, `slave-observer(3)`.
        from: String,
        /// To whom.
        to: Upid,
        /// What.
        message: Box<Message>,
    },
    /// Write an event to a scheduler's stream.
    SendEvent {
        /// Which stream.
        stream: StreamId,
        /// What.
        event: Box<scheduler::Event>,
    },
    /// End a scheduler's stream after what was written to it.
    CloseStream(StreamId),
    /// Answer a request. Every request gets exactly one.
    Reply {
        /// Which.
        request: RequestId,
        /// What.
        outcome: Outcome,
    },
    /// What is visible changed; the read model applies it before anything behind it goes out.
    Changed(Delta),
    /// A counter grew.
    Count {
        /// Which.
        counter: Counter,
        /// By how much.
        by: u64,
    },
    /// A counter of one framework grew. The edge forgets them with
    /// [`Delta::FrameworkForgotten`].
    CountOf {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        counter: FrameworkCounter,
        /// By how much, not 0.
        by: u64,
    },
    /// Replace the log up to `index` by this registry snapshot.
    SnapshotRegistry {
        /// The last op it contains.
        index: u64,
        /// The encoded registry.
        bytes: Bytes,
    },
    /// Stop the process; the reason is for people. A supervisor restarts it.
    Exit {
        /// Why.
        reason: String,
    },
}
