//! The real clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use meseta_model::step::Now;

/// Gives the time of a step. Its monotonic zero is the moment it was made; share one per process
/// (it is `Copy`) so that all of its drivers mean the same by a monotonic time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    zero: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts at zero now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            zero: Instant::now(),
        }
    }

    /// The time now. A wall clock set before 1970 reads as 1970; after the year 2554 as that year.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono_us: u64::try_from(self.zero.elapsed().as_micros()).unwrap_or(u64::MAX),
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// The moment at which [`Clock::now`] reads `mono_us`; `None` if the platform cannot say it.
    #[must_use]
    pub fn instant_at(&self, mono_us: u64) -> Option<Instant> {
        self.zero
            .checked_add(std::time::Duration::from_micros(mono_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_never_goes_back_and_maps_to_an_instant() {
        let clock = Clock::start();
        let first = clock.now();
        let second = clock.now();
        assert!(second.mono_us >= first.mono_us);
        assert!(
            first.wall_ns > 1_700_000_000_000_000_000,
            "the wall clock counts from 1970"
        );
        assert!(
            clock
                .instant_at(first.mono_us)
                .is_some_and(|at| at <= Instant::now())
        );
        assert_eq!(clock.instant_at(0), Some(clock.zero));
    }
}
