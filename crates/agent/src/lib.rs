//! The `agent` room: the decision core of an agent.
//!
//! What it is: one plain struct, [`Agent`], that takes events (a master's message, an executor's
//! call, a container's end, a timer, a finished write) and answers with effects. It owns frameworks,
//! executors, tasks, status updates until they are acknowledged, checkpoints and their recovery,
//! and the collection of old sandboxes.
//!
//! What it never does: open a socket or a file, read a clock, start a process, draw randomness that
//! no event seeded. Paths below `meta/` are names in [`Write`](meseta_model::step::Write)s; the
//! driver writes them.
//!
//! Where to start reading: the `step` match in [`agent`], then `launch` (how a task gets to an executor),
//! `updates` and `forwarding` (how what it says gets to the master), `restart` and `unfinished` (what a
//! restarted agent takes up and goes on with).
//!
//! Invariants:
//! - A task's updates go out in order, one unacknowledged at a time, and are kept until acknowledged.
//! - A terminal state is final; a task id is live at most once per framework.
//! - For a checkpointing framework nothing happens that a restart would forget: a container starts
//!   after its infos are on disk, its program runs after its pid is, an update goes out after its
//!   record is.
//! - A task on disk starts once, whichever write the agent dies after: again only if it is certain
//!   that it never began and nobody was told of its end.
//! - Every request gets exactly one reply.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod agent;
mod checkpoint;
mod command_executor;
mod compatibility;
pub mod config;
mod containers;
mod environment;
pub mod event;
mod executor;
mod executor_api;
mod format;
mod forwarding;
mod framework;
mod gc;
mod kill;
mod launch;
mod launch_checks;
pub mod limits;
mod master_messages;
mod outbox;
mod recovery;
mod registration;
mod resources;
mod restart;
mod shutdown;
mod task;
mod unfinished;
mod update_stream;
mod updates;
mod usage;
pub mod view;

pub use agent::Agent;
pub use config::{BadConfig, Config, ReconfigurationPolicy, Recover};
