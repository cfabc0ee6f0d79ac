//! A driver for tests: gives an agent events written as lines of text, and prints what it wants.
//!
//! The disk is kept in memory; a write is done at once unless the script says `disk hold` or
//! `disk fail`. Ids that the agent draws are printed as `c1` (containers) and `u1` (UUIDs), in order
//! of appearance.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod print;
pub mod random;
pub mod script;
pub mod watch;
pub mod world;
