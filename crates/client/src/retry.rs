//! How often, and how long between.

use std::time::Duration;

use crate::limits;

/// A bounded number of tries with pauses that double. There is no retry without bound in this room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// The pause after the first.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Default for Retry {
    /// About ten seconds in all: a new leader is elected well within.
    fn default() -> Self {
        Self {
            attempts: limits::ATTEMPTS,
            first: limits::BACKOFF_FIRST,
            longest: limits::BACKOFF_LONGEST,
        }
    }
}

impl Retry {
    /// One try.
    #[must_use]
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// As many tries as fit into `window`, at least one.
    #[must_use]
    pub fn within(window: Duration) -> Self {
        let mut retry = Self::never();
        let mut waited = retry.doubled(1);
        while waited <= window {
            retry.attempts += 1;
            waited += retry.doubled(retry.attempts);
        }
        retry
    }

    /// The pause after the `tried`-th try (from 1); `None` when that was the last.
    #[must_use]
    pub fn pause(&self, tried: u32) -> Option<Duration> {
        (tried < self.attempts).then(|| self.doubled(tried))
    }

    fn doubled(&self, tried: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(tried.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let retry = Retry {
            attempts: 5,
            first: Duration::from_millis(100),
            longest: Duration::from_millis(300),
        };
        let pauses: Vec<_> = (1..=5)
            .map(|tried| retry.pause(tried).map(|pause| pause.as_millis()))
            .collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(300), Some(300), None]);
    }

    #[test]
    fn a_window_bounds_the_tries() {
        assert_eq!(Retry::within(Duration::ZERO).attempts, 1);
        // 50 + 100 + 200 + 400 ms
        assert_eq!(Retry::within(Duration::from_millis(800)).attempts, 5);
        assert!(Retry::within(Duration::from_secs(900)).attempts < 500);
    }
}
