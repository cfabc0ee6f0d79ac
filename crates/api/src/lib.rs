//! The `api` room: everything that comes in over HTTP, and everything that is read.
//!
//! A master's face is [`MasterApi`], an agent's [`AgentApi`]. They serve the port, turn requests and
//! actor messages into the core's events, answer reads from a model of their own, and carry event
//! streams. URLs, headers and status codes of what we answer are here and nowhere else.
//!
//! It never decides anything: a request that changes something is an event for the core, and the
//! answer is the core's outcome. Reads never touch a core.
//!
//! Start reading at `server/mod.rs` (connections), then `master/routes.rs` (the table of endpoints) and
//! `master/scheduler.rs` (one endpoint whole).
//!
//! Invariants: actor messages reach the core in the order of their connection; a reply leaves after the
//! changes before it are readable; a stream's queue is bounded, and its subscriber cut off at the bound;
//! nothing that anyone sends panics (`limits` has every bound).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod agent;
mod answer;
mod codec;
mod compose;
mod files;
mod flags;
mod json;
mod jsonp;
mod later;
mod lead;
mod legacy;
pub mod limits;
mod logging;
mod master;
mod metrics;
mod negotiate;
mod pending;
mod query;
mod read;
mod reply;
mod route;
mod server;
mod streams;
mod uuid;
mod version;

pub use agent::{AgentApi, AgentConfig, ContainerCounts, Usage};
pub use lead::Leadership;
pub use logging::{Logs, Verbosity};
pub use master::{MasterApi, MasterConfig};
pub use metrics::LATER as LATER_METRICS;
pub use server::{EPOCH_HEADER, Server};
