//! Every bound of this room, by name, and what happens there.

/// Virtual microseconds in a second.
pub(crate) const SECOND_US: u64 = 1_000_000;

/// Virtual microseconds in a millisecond.
pub(crate) const MILLISECOND_US: u64 = 1_000;

/// How long everything may take to come right once the faults are off. The longest waits of the
/// product are within it: a minute of registration back-off, ten minutes for an agent that stays away,
/// an update that was repeated often and is now repeated every few minutes. A run that is not quiet by
/// then has failed.
pub(crate) const LIVENESS_US: u64 = 2_400 * SECOND_US;

/// Happenings of one run; one that needs more turns in circles and has failed.
pub(crate) const HAPPENINGS: u64 = 3_000_000;

/// Seeds within which every kind of fault must fire and every kind of check be made at least once.
pub const SEEDS_FOR_ALL_KINDS: u64 = 200;

/// Events that wait for a scheduler that does not read; one more and the edge cuts it off. The real
/// edge has a larger bound (`meseta_api`); here it must be reached within a run.
pub(crate) const UNREAD_EVENTS: usize = 40;

/// Requests that a flush takes along.
pub(crate) const REQUESTS_PER_FLUSH: usize = 64;

/// Lines of a failing run that are printed unless all are asked for.
pub const LAST_LINES: usize = 60;
