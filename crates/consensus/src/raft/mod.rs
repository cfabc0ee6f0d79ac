//! The durable engine: openraft on redb, one voter.
//!
//! Each engine has a thread of its own, with a small asynchronous runtime in it: flushes block that
//! thread and no other, and nothing of openraft runs anywhere else. The thread sleeps while there is
//! nothing to do: with one voter there are no heartbeats and no election timers.

mod backend;
mod chain;
mod engine;
mod handle;
mod log;
mod machine;
mod network;
mod open;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod types;

pub use handle::open;
pub use open::{Config, FILE_NAME, OpenError};
