//! The `node` room.
pub mod detect;
