//! The `consensus` room: who leads, and which ops are agreed on, in which order.
//!
//! **What it is.** One small face, [`Coordinator`]: campaign, propose, snapshot; lead won and lost,
//! ops committed. Behind it stand two engines: [`raft`] (openraft on redb, durable) and [`memory`]
//! (in memory, for tests and `--registry=in_memory`). [`spec`] is what both must agree with: a pure,
//! seeded model of agreement among several nodes, which the simulator uses and [`memory`] is made of.
//!
//! **What it never does.** It does not know what an op means: ops and snapshots are bytes with an
//! index. It names no agent, framework or task, and nothing of openraft or redb shows in its face.
//!
//! **Where to start reading.** [`coordinator`], whose header is the contract; then [`spec`]; then
//! `raft/engine.rs`, the loop between the face and openraft, and [`record`], the bytes on the disk.
//!
//! **Which invariants it keeps.**
//! - At most one node leads in an epoch, and epochs only grow, restarts included.
//! - What was reported committed is never lost, never reordered, and seen by every later leader.
//! - Every proposal gets exactly one outcome: committed, refused (it is not in the log and never will
//!   be) or unknown (the next leader's log tells).
//! - What is damaged, newer or not ours stops the start with a sentence; nothing is dropped silently.

pub mod coordinator;
pub mod events;
pub mod limits;
pub mod memory;
pub mod raft;
pub mod record;
pub mod spec;

pub use coordinator::{Coordinator, Event, Machine, Refusal};
pub use events::Events;
