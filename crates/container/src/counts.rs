//! What the room counts for whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the room was started; they only grow. Written by the room's thread, read by any.
#[derive(Debug, Default)]
pub struct Counts {
    fetches_succeeded: AtomicU64,
    fetches_failed: AtomicU64,
    destroy_errors: AtomicU64,
}

impl Counts {
    /// Containers all of whose URIs were fetched. Mesos: `containerizer/fetcher/task_fetches_succeeded`.
    #[must_use]
    pub fn fetches_succeeded(&self) -> u64 {
        self.fetches_succeeded.load(Ordering::Relaxed)
    }

    /// Containers that ended because a URI could not be fetched, or while one was. Mesos:
    /// `containerizer/fetcher/task_fetches_failed`.
    #[must_use]
    pub fn fetches_failed(&self) -> u64 {
        self.fetches_failed.load(Ordering::Relaxed)
    }

    /// Containers of which something could not be removed. Mesos:
    /// `containerizer/mesos/container_destroy_errors`.
    #[must_use]
    pub fn destroy_errors(&self) -> u64 {
        self.destroy_errors.load(Ordering::Relaxed)
    }

    pub(crate) fn fetched(&self, succeeded: bool) {
        let count = if succeeded {
            &self.fetches_succeeded
        } else {
            &self.fetches_failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn destroy_error(&self) {
        self.destroy_errors.fetch_add(1, Ordering::Relaxed);
    }
}
