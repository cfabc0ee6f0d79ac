//! The `node` room: a running master, agent or command executor, assembled from the rooms below.
//!
//! **What it is.** [`master`] and [`agent`] put a core, its driver, its disk or registry, its port and
//! its links together; thousands of them fit in one process. [`command_executor`] is the process of a
//! command task's executor.
//!
//! **What it never does.** It holds no product rule: it moves events in and effects out.
//!
//! **Where to start reading.** [`pump`], the loop around a core; then `Performer` in [`agent`], which
//! does what an agent's core asks for.
//!
//! **Which invariants it keeps.** Effects are done in the order in which the driver releases them; the
//! loop never blocks; nothing is sent to the loop's own queue from within it; one process at most works
//! in a work directory.

#![cfg_attr(test, allow(clippy::expect_used))]

pub mod agent;
mod census;
pub mod command_executor;
pub mod containers;
pub mod detect;
mod garbage;
mod machine_resources;
pub mod master;
pub mod pump;
mod registrar;
mod running;
mod start;
mod task_process;
mod trash;
mod whitelist;

pub use meseta_api::{Logs, Verbosity};
pub use start::{EVENTS, StartError};
