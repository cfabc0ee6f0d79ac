//! The agent's legacy documents, one file each. All are functions of one moment of the read model.

mod containers;
mod state;

pub(super) use containers::{containers, statistics};
pub(super) use state::state;
