//! What is readable, kept up to date by the cores' deltas (design decision 9).
//!
//! A model is written by one (the node, delta by delta) and read by many. Readers hold its lock only to
//! collect shared pointers; each entity keeps its own serialized fragments, made when first asked for
//! and thrown away when it changes, so that an answer joins what is there.

mod agent;
mod fragments;
mod master;
mod sequence;
mod task;

pub(crate) use agent::{AgentModel, AgentRead, RunRead, WorkloadRead};
pub(crate) use fragments::Fragments;
pub(crate) use master::{Agent, Change, Framework, FrameworkRead, MasterModel, MasterRead};
pub(crate) use task::Task;
