//! The `client` room: every request that leaves a process of ours for another of ours or of Mesos's.
//!
//! - Actor messages between masters, agents and drivers: [`links::Links`].
//! - Calls: [`scheduler::SchedulerClient`], [`executor::ExecutorClient`],
//!   [`operator::OperatorClient`].
//!
//! It never decides anything, never retries without bound (`retry`), and knows nothing of what a
//! server does with a request. URLs and headers of what we ask for are here and nowhere else.
//!
//! Start reading at `links/mod.rs`, then `scheduler.rs` and what it uses.
//!
//! Invariants: messages to one address leave in the order in which they were queued, at most once
//! each; a linked peer's loss is reported exactly once; every queue has a bound (`limits`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod calls;
mod codec;
mod error;
mod events;
pub mod executor;
mod http;
pub mod limits;
pub mod links;
pub mod operator;
pub mod retry;
pub mod scheduler;
mod socket;
mod subscription;

pub use calls::{Calls, Sent};
pub use codec::Format;
pub use error::ClientError;
pub use events::Events;
pub use executor::{ExecutorClient, ExecutorSubscription};
pub use http::{Answer, HttpError};
pub use links::{LinkBroken, Links};
pub use operator::{FilePart, OperatorClient};
pub use retry::Retry;
pub use scheduler::{SchedulerClient, SchedulerSubscription};
