//! The `container` room.
