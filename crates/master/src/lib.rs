//! The `master` room.
