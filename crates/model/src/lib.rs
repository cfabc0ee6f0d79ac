//! The `model` room: what the words of the protocol mean.
//!
//! **What it is.** The vocabulary that every decision room shares: typed ids, roles, capabilities, the
//! algebra of [`resources`], task life cycles, what makes a call or a task description valid, who may
//! do what, the units of flags, and the contract between a core and its driver ([`step`]).
//!
//! **What it never does.** No I/O, no clock, no OS randomness, nothing async; no iteration over hash
//! maps. It decides no scheduling question and remembers nothing between calls: everything here is a
//! value or a function of its arguments.
//!
//! **Where to start reading.** [`step`] for how cores are driven, then [`resources`], the largest part
//! and the one that accounting rests on.
//!
//! **Invariants.** A [`resources::Resources`] never holds a negative or empty entry and never wraps;
//! what [`validation`] lets pass converts without loss; no input, however hostile, panics. Bounds are
//! in [`limits`], and a test reaches each.
pub mod allocation;
pub mod attributes;
pub mod caller;
pub mod capabilities;
pub mod container;
pub mod edge;
pub mod environment;
pub mod ids;
pub mod limits;
pub mod resources;
pub mod rng;
pub mod roles;
pub mod step;
pub mod task;
pub mod task_state;
pub mod units;
pub mod upid;
pub mod validation;
pub mod version;
pub mod wait_status;
