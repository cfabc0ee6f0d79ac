//! The `container` room: starts processes, bounds them, and ends them without leaving one behind.
//!
//! **What it is.** [`Containerizer`] does what the agent's core decides: it launches a container from
//! a [`LaunchSpec`](meseta_model::container::LaunchSpec), holds its program until the agent has
//! written its pid down, destroys it, finds it again after a restart, and reports. One thread serves
//! all containers of an agent. Each container has a small supervising process of its own (the same
//! binary, [`launch_main`]); URIs are fetched by another ([`fetch_main`]). [`TaskProcess`] is for
//! executors: one command in its own session.
//!
//! **What it never does.** It does not know masters, frameworks, offers or jobs; it decides no
//! policy; it never blocks its caller; it never runs anything between a fork and an exec that a
//! process of many threads must not run.
//!
//! **Where to start reading.** [`plan`](mod@plan) turns a spec into [`step::Step`]s, [`execute`]
//! carries them out through the [`kernel::Kernel`] face; `supervise` is the life of a supervisor,
//! `engine` that of the agent's side; `record` is what both leave on disk for the next agent.
//!
//! **Invariants.**
//! - A launch is answered by `Launched` then exactly one of `Terminated` and `LaunchFailed`, or by
//!   `LaunchFailed` alone.
//! - `Terminated` means that no process of the container is left, whatever it did to get away.
//! - Nothing of the framework runs before `release`; if the agent dies before, nothing ever does, and
//!   the next agent is told so ([`record::NEVER_RELEASED`]).
//! - The wait status of the first process survives the agent, whoever of both dies first.
//! - No signal goes to a process id that might have found a new owner.
//! - `unsafe` is in `sys` only.

pub mod cgroup;
pub mod containerizer;
mod counts;
mod engine;
pub mod execute;
pub mod fetch;
pub mod isolation;
pub mod kernel;
pub mod limits;
pub mod plan;
mod procfs;
mod queue;
pub mod record;
pub mod rlimit;
pub mod step;
mod supervise;
#[allow(unsafe_code)]
mod sys;
pub mod tag;
pub mod task;
mod tree;

pub use containerizer::{Config, Containerizer, Refusal};
pub use counts::Counts;
pub use fetch::fetch_main;
pub use isolation::{Isolation, IsolationFlags, IsolationRefusal};
pub use kernel::CommandExecutor;
pub use plan::Roles;
pub use supervise::launch_main;
pub use sys::{current_user, release_free_memory};
pub use task::{TaskFault, TaskProcess, TaskSpec, spawn_task};
