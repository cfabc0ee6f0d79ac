//! The `master` room.
pub mod event;
pub mod view;
