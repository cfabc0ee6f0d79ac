//! What a load came to.

use std::collections::BTreeMap;
use std::time::Duration;

use meseta_proto::mesos::v1::TaskState;
use serde_json::{Value, json};

/// Times of one kind.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Percentiles, 0 to 100 each, in milliseconds; zero if there are no times.
    #[must_use]
    pub fn millis<const N: usize>(&mut self, percents: [usize; N]) -> [f64; N] {
        self.0.sort();
        let last = self.0.len().saturating_sub(1);
        percents.map(|percent| {
            let time = self.0.get(last * percent / 100);
            time.copied().unwrap_or_default().as_secs_f64() * 1000.0
        })
    }
}

/// Times and ends of all tasks.
#[derive(Debug, Default)]
pub struct Report {
    /// From the first offer to the last end.
    pub elapsed: Duration,
    /// From ACCEPT to TASK_RUNNING, one for each task that ran.
    pub to_running: Times,
    /// How each task ended.
    pub ends: BTreeMap<usize, TaskState>,
    /// Tasks for which a second, different end was reported.
    pub doubled: usize,
    /// Updates received, again-sent ones included.
    pub updates: usize,
    /// How often the scheduler had to subscribe again.
    pub resubscribed: usize,
}

impl Report {
    /// One JSON object.
    #[must_use]
    pub fn json(&mut self, tasks: usize) -> Value {
        let [p50, p99] = self.to_running.millis([50, 99]);
        let finished = self
            .ends
            .values()
            .filter(|state| **state == TaskState::TaskFinished)
            .count();
        let mut others: BTreeMap<&str, usize> = BTreeMap::new();
        for state in self
            .ends
            .values()
            .filter(|state| **state != TaskState::TaskFinished)
        {
            *others.entry(state.as_str_name()).or_default() += 1;
        }
        let seconds = self.elapsed.as_secs_f64();
        json!({
            "tasks": tasks,
            "finished": finished,
            "not_over": tasks - self.ends.len(),
            "other_ends": others,
            "doubled": self.doubled,
            "updates": self.updates,
            "resubscribed": self.resubscribed,
            "seconds": seconds,
            "tasks_per_second": if seconds > 0.0 { finished as f64 / seconds } else { 0.0 },
            "accept_to_running_p50_ms": p50,
            "accept_to_running_p99_ms": p99,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Report;
    use meseta_proto::mesos::v1::TaskState;
    use std::time::Duration;

    #[test]
    fn every_task_is_accounted_for() {
        let mut report = Report {
            elapsed: Duration::from_secs(2),
            ..Report::default()
        };
        report.ends.insert(0, TaskState::TaskFinished);
        report.ends.insert(2, TaskState::TaskLost);
        for ms in (1..=100).rev() {
            report.to_running.add(Duration::from_millis(ms));
        }
        let json = report.json(4);
        let told = [
            &json["finished"],
            &json["not_over"],
            &json["other_ends"]["TASK_LOST"],
            &json["tasks_per_second"],
        ];
        assert_eq!(told.map(ToString::to_string), ["1", "2", "1", "0.5"]);
        assert_eq!(json["accept_to_running_p50_ms"], 50.0);
        assert_eq!(json["accept_to_running_p99_ms"], 99.0);
    }
}
