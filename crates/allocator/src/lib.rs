//! The `allocator` room.
