//! The face of this room.
//!
//! A node opens an engine and gets a [`Coordinator`] to speak to and [`crate::Events`] to listen to. Calls
//! never block and never wait for the disk; what becomes of them arrives as events, in this order:
//!
//! 1. Nothing happens until [`Coordinator::campaign`]. From then on the node wants to lead, and wants
//!    it again after each loss.
//! 2. [`Event::Led`] carries everything needed to rebuild: the latest snapshot and all ops after it.
//!    The epoch is larger than that of any earlier lead of any node.
//! 3. While leading, every accepted proposal gets exactly one outcome. [`Event::Committed`] come in
//!    the order of the proposals, and their indexes are consecutive, starting after the last op of
//!    [`Event::Led`].
//! 4. When the lead is lost, every proposal that may be in the log gets [`Event::Unknown`], then comes
//!    [`Event::Lost`]. Nothing about that lead follows. The op of an unknown proposal is in the next
//!    leader's [`Event::Led`] or it is nowhere.
//! 5. A proposal while the node does not lead is refused, and is not in the log.
//! 6. When the storage fails, the lead is lost as in 4., then comes [`Event::Failed`], and nothing
//!    more: the events end. What is on the disk is known once it was opened again.
//!
//! A lost lead is learnt late: another node may lead already. What acts on the world must carry the
//! epoch, so that the world can refuse the older one.

use std::fmt;

use crate::limits;
use bytes::Bytes;

/// Whose ops these are: a tag in every record, so that a second state machine can share a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Machine {
    /// The master's registry.
    Master,
    /// The service's jobs.
    Service,
}

impl Machine {
    /// The tag on the disk. 0 is agreement's own.
    #[must_use]
    pub fn tag(self) -> u8 {
        match self {
            Self::Master => 1,
            Self::Service => 2,
        }
    }

    /// The machine of a tag, if it is known.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Master),
            2 => Some(Self::Service),
            _ => None,
        }
    }
}

/// What a coordinator reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This node leads.
    Led {
        /// Grows with every lead; never used twice, by whatever node.
        epoch: u64,
        /// The latest snapshot: the index of the last op in it, and what was given to
        /// [`Coordinator::snapshot`].
        snapshot: Option<(u64, Bytes)>,
        /// All ops after it, each with its index, in order and without gaps.
        ops: Vec<(u64, Bytes)>,
    },
    /// This node leads no longer.
    Lost {
        /// A sentence for people.
        reason: String,
    },
    /// The engine cannot go on and has stopped. It is the last event.
    Failed {
        /// A sentence for people.
        reason: String,
    },
    /// A proposal is agreed on and durable.
    Committed {
        /// The number it was proposed with.
        seq: u64,
        /// Its place in the log; the first op ever has index 1.
        index: u64,
        /// The op.
        op: Bytes,
    },
    /// A proposal is not in the log and never will be.
    Refused {
        /// The number it was proposed with.
        seq: u64,
        /// Why.
        reason: Refusal,
    },
    /// The lead was lost while a proposal was under way: it may or may not be in the log.
    Unknown {
        /// The number it was proposed with.
        seq: u64,
    },
    /// A snapshot is durable, and the ops up to its index are gone from the log.
    Snapshotted {
        /// The index it was given with.
        index: u64,
    },
    /// A snapshot was not taken; the log is as it was.
    SnapshotRefused {
        /// The index it was given with.
        index: u64,
        /// Why.
        reason: Refusal,
    },
}

/// Why something is refused. The texts are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeading,
    /// The op is larger than [`limits::OP_BYTES`].
    #[error("the op has {0} bytes; {max} are allowed", max = limits::OP_BYTES)]
    OpTooLarge(usize),
    /// The snapshot is larger than [`limits::SNAPSHOT_BYTES`].
    #[error("the snapshot has {0} bytes; {max} are allowed", max = limits::SNAPSHOT_BYTES)]
    SnapshotTooLarge(usize),
    /// Too many proposals wait ([`limits::PROPOSALS`], [`limits::PROPOSAL_BYTES`]), or events are not
    /// read.
    #[error("too many proposals wait, or events are not read")]
    Overloaded,
    /// The log since the last snapshot is as large as it may get ([`limits::LOG_BYTES`]).
    #[error("the log is full until a snapshot is taken")]
    LogFull,
    /// The snapshot is of ops that are not committed, or older than the one there is.
    #[error("a snapshot at index {index} does not fit: it must be in {from}..={to}")]
    SnapshotOutOfRange {
        /// The index it was given with.
        index: u64,
        /// The index of the snapshot there is, 0 if there is none.
        from: u64,
        /// The last committed index.
        to: u64,
    },
    /// Another snapshot is being taken, or its outcome was not read yet.
    #[error("another snapshot is being taken")]
    SnapshotUnderWay,
    /// The engine has stopped: it was closed, or its storage failed ([`Event::Failed`] said why).
    #[error("the coordinator has stopped")]
    Stopped,
}

/// What a node says to its engine. See the header for what comes back.
pub trait Coordinator: Send + Sync + fmt::Debug {
    /// Wants to lead. Saying it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] or [`Refusal::Overloaded`].
    fn campaign(&self) -> Result<(), Refusal>;

    /// Proposes an op under a number that the caller has not used before in this process. Many may be
    /// under way; those that come while the disk is busy share the next flush.
    ///
    /// # Errors
    /// [`Refusal::OpTooLarge`], [`Refusal::Overloaded`] or [`Refusal::Stopped`]; then no event follows
    /// for this number. Every other refusal is an event.
    fn propose(&self, seq: u64, op: Bytes) -> Result<(), Refusal>;

    /// Replaces all ops up to `index` by `bytes`, from which the caller can rebuild what they made.
    /// [`Event::Snapshotted`] or [`Event::SnapshotRefused`] follows.
    ///
    /// # Errors
    /// [`Refusal::SnapshotTooLarge`], [`Refusal::SnapshotUnderWay`], [`Refusal::Overloaded`] or
    /// [`Refusal::Stopped`]; then no event follows.
    fn snapshot(&self, index: u64, bytes: Bytes) -> Result<(), Refusal>;

    /// Stops the engine and waits until its storage is closed, as dropping it does; that takes a flush at
    /// most. The node's lead ends; no event says so.
    fn close(self: Box<Self>);
}
