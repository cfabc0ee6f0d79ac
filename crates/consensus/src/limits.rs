//! Every bound of this room, by name.

/// Proposals whose outcome was not read yet. The next one is refused ([`crate::Refusal::Overloaded`]).
pub const PROPOSALS: usize = 4_096;

/// Bytes of the ops whose outcome was not read yet. Beyond it the next proposal is refused
/// ([`crate::Refusal::Overloaded`]).
pub const PROPOSAL_BYTES: usize = 64 << 20;

/// Events beyond the outcomes of proposals (lead won and lost, snapshots) that may wait to be read; then
/// the engine stands still. With one voter there are never more than four.
pub const OTHER_EVENTS: usize = 64;

/// Bytes of one op. A larger one is refused ([`crate::Refusal::OpTooLarge`]).
pub const OP_BYTES: usize = 8 << 20;

/// Ops that share one log record, and so one flush.
pub const BATCH_OPS: usize = 1_024;

/// Bytes of ops from which on a log record takes no further op.
pub const BATCH_BYTES: usize = 1 << 20;

/// Bytes of log since the last snapshot from which on proposals are refused
/// ([`crate::Refusal::LogFull`]) until a snapshot is taken. It bounds start-up time and memory.
pub const LOG_BYTES: u64 = 64 << 20;

/// Bytes of one snapshot. A larger one is refused ([`crate::Refusal::SnapshotTooLarge`]).
pub const SNAPSHOT_BYTES: usize = 1 << 30;

/// Bytes that redb may keep in its cache.
pub const CACHE_BYTES: usize = 1 << 20;

/// Voters that a membership record may name.
pub const VOTERS: usize = 15;
