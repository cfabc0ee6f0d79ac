//! How much the process logs, and the endpoint and calls that change it for a while.
//!
//! Mesos counts in glog's verbosity: 0 is what the flags ask for, 1 and more is more. What a number
//! means for our logs is the daemon's to say ([`Verbosity::new`]).

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use meseta_model::units;
use tokio::task::AbortHandle;

use crate::answer::Answer;
use crate::query::Query;

/// What a process logs: how much, and the file that shows it.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// How much, changed at run time by `SET_LOGGING_LEVEL` and `/logging/toggle`.
    pub verbosity: Verbosity,
    /// The log file to show as `/master/log` or `/slave/log`, if there is one.
    pub file: Option<PathBuf>,
}

/// The verbosity of a process, shared by all its faces. Cheap to clone.
#[derive(Clone, Default)]
pub struct Verbosity(Arc<Shared>);

#[derive(Default)]
struct Shared {
    apply: Option<Box<dyn Fn(u32) + Send + Sync>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    level: u32,
    /// The one timer: a later change puts its own in its place.
    revert: Option<AbortHandle>,
}

impl fmt::Debug for Verbosity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verbosity").field(&self.level()).finish()
    }
}

impl Verbosity {
    /// A verbosity of 0. `apply` makes the process log as much as a level asks for; it must not wait.
    /// The default one keeps the number only.
    #[must_use]
    pub fn new(apply: impl Fn(u32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            apply: Some(Box::new(apply)),
            state: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn level(&self) -> u32 {
        self.lock().level
    }

    /// Logs that much for that long, then as the flags say. Must be called within a tokio runtime.
    pub(crate) fn set(&self, level: u32, duration: Duration) {
        let mut state = self.lock();
        self.apply(&mut state, level);
        if level > 0 {
            let verbosity = self.clone();
            let task = tokio::spawn(async move {
                tokio::time::sleep(duration).await;
                let mut state = verbosity.lock();
                verbosity.apply(&mut state, 0);
            });
            state.revert = Some(task.abort_handle());
        }
    }

    fn apply(&self, state: &mut State, level: u32) {
        if let Some(earlier) = state.revert.take() {
            earlier.abort();
        }
        tracing::info!(level, "the verbosity of the log changes");
        state.level = level;
        if let Some(apply) = &self.0.apply {
            apply(level);
        }
    }
}

/// `/logging/toggle`, whatever the method. The order of the checks and the texts are Mesos's.
pub(crate) fn toggle(verbosity: &Verbosity, query: &Query) -> Answer {
    let (level, duration) = match (query.get("level"), query.get("duration")) {
        (None, None) => {
            let level = format!("{}\n", verbosity.level());
            return Answer::text(StatusCode::OK, level);
        }
        (Some(_), None) => return Answer::bad_request("Expecting 'duration=value' in query.\n"),
        (None, Some(_)) => return Answer::bad_request("Expecting 'level=value' in query.\n"),
        (Some(level), Some(duration)) => (level, duration),
    };
    let Ok(number) = level.parse::<i32>() else {
        return Answer::bad_request(format!("Failed to convert '{level}' to number.\n"));
    };
    let Ok(level) = u32::try_from(number) else {
        return Answer::bad_request(format!("Invalid level '{number}'.\n"));
    };
    match duration.parse::<units::Duration>() {
        Ok(duration) => verbosity.set(level, nanoseconds(duration.as_nanos())),
        Err(why) => return Answer::bad_request(format!("{why}.\n")),
    }
    Answer::empty(StatusCode::OK)
}

/// A duration as calls carry it; a negative one is over already.
pub(crate) fn nanoseconds(count: i64) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_level_holds_for_its_own_time_and_then_the_flags_again() {
        let (applied, seen) = mpsc::channel();
        let verbosity = Verbosity::new(move |level| applied.send(level).unwrap());
        verbosity.set(2, Duration::from_secs(10));
        tokio::time::sleep(Duration::from_secs(9)).await;
        verbosity.set(1, Duration::from_secs(10));
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(verbosity.level(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(verbosity.level(), 0);
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn level_0_needs_no_revert() {
        let (applied, seen) = mpsc::channel();
        let verbosity = Verbosity::new(move |level| applied.send(level).unwrap());
        verbosity.set(3, Duration::MAX);
        verbosity.set(0, Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [3, 0]);
    }
}
