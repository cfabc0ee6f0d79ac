//! Every bound of this room, by name.

use std::time::Duration;

/// Timers that one [`crate::Driver::fire_due`] fires; the rest stay due and
/// [`crate::Driver::next_timer`] keeps naming them, so that a flood of timers cannot starve events.
pub const TIMERS_PER_CALL: usize = 256;

/// Held effects from which on [`crate::Driver::has_room`] says no: the loop then takes completions of
/// writes only, until there is room. One step may still exceed it; effects are never dropped for room.
pub const HELD_EFFECTS: usize = 65_536;

/// Writes under way from which on [`crate::Driver::has_room`] says no.
pub const WRITES_UNDER_WAY: usize = 1_024;

/// Failed writes a driver remembers one by one. Beyond it the oldest are folded into a floor below
/// which every write counts as failed: an effect may then be dropped without need, but never released
/// after a failure.
pub const FAILED_WRITES: usize = 1_024;

/// Requests that share one flush.
pub const REQUESTS_PER_FLUSH: usize = 512;

/// Threads that flush files of one group side by side. They only wait, and the disk merges what they
/// ask for: on ext4, 500 new files take one of them 900 to 1,700 ms, eight 100 to 180, these 45 to 60.
pub const FLUSHES_SIDE_BY_SIDE: usize = 32;

/// Files and directories from which on another thread is worth it.
pub const FLUSHES_A_THREAD: usize = 4;

/// Files and directories whose flush failed, each remembered. Beyond it the whole disk counts as
/// broken and every later request fails.
pub const BROKEN_PATHS: usize = 1_024;

/// Directories known to be durable. Beyond it they are forgotten, and each is flushed once more when it
/// is used again.
pub const DURABLE_DIRS: usize = 4_096;

/// Bytes of one relative path (`PATH_MAX` of Linux, limits.h).
pub const PATH_BYTES: usize = 4_095;

/// Bytes of one name in a path (`NAME_MAX` of Linux, limits.h).
pub const NAME_BYTES: usize = 255;

/// What did not change for so long before [`crate::read_tree`] is durable without a flush of ours.
pub const FLUSHED_LONG_AGO: Duration = Duration::from_secs(3600);

/// Bytes of one file that [`crate::read_tree`] reads. Far more than any writer lets a file grow to: a file
/// beyond it keeps an agent from starting, which is worse than the memory.
pub const TREE_FILE_BYTES: u64 = 1 << 30;

/// Bytes that [`crate::read_tree`] reads in all.
pub const TREE_BYTES: u64 = 4 << 30;

/// Entries that [`crate::read_tree`] returns.
pub const TREE_ENTRIES: usize = 1_000_000;

/// Levels of directories that [`crate::read_tree`] descends.
pub const TREE_DEPTH: usize = 128;
