//! The `agent` room.
pub mod event;
pub mod view;
