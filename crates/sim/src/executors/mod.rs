//! Executors of the simulated cluster: a custom one of our own, and the programs of command tasks. The
//! command executor itself is the real one.

pub(crate) mod custom;
pub(crate) mod program;
