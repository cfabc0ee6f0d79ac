//! The `model` room: what the words mean.
pub mod caller;
pub mod container;
pub mod edge;
pub mod ids;
pub mod rng;
pub mod step;
pub mod upid;
pub mod wait_status;
