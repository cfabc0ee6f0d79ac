//! The `model` room: what the words mean.
pub mod caller;
pub mod ids;
pub mod rng;
pub mod step;
pub mod upid;
