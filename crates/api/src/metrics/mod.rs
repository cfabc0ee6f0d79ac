//! Metrics: what cores count, what follows from the read model, what the host says; under Mesos's
//! names in `/metrics/snapshot`, and once more as OpenMetrics in `/metrics`.

mod later;
mod open;
mod system;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use meseta_model::units;

pub use later::LATER;
pub(crate) use open::answer as open_metrics;
pub(crate) use system::{stats, system};

use crate::answer::Answer;
use crate::limits;
use crate::query::Query;

/// Whether a value only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) value: f64,
}

/// A set of values, by name.
#[derive(Debug, Default)]
pub(crate) struct Metrics(BTreeMap<String, (Kind, f64)>);

impl Metrics {
    pub(crate) fn gauge(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), (Kind::Gauge, value));
    }

    /// Adds to a counter; a counter that nobody added to yet is 0.
    pub(crate) fn count(&mut self, name: impl Into<String>, by: u64) {
        let entry = self.0.entry(name.into()).or_insert((Kind::Counter, 0.0));
        entry.1 += by as f64;
    }

    /// Total, used and their ratio of one resource.
    pub(crate) fn usage(&mut self, prefix: &str, total: f64, used: f64) {
        self.gauge(format!("{prefix}_total"), total);
        self.gauge(format!("{prefix}_used"), used);
        let percent = if total > 0.0 { used / total } else { 0.0 };
        self.gauge(format!("{prefix}_percent"), percent);
    }

    pub(crate) fn into_list(self) -> Vec<Metric> {
        let list = self.0.into_iter();
        list.map(|(name, (kind, value))| Metric { name, kind, value })
            .collect()
    }
}

/// How long a slow metric may take, `timeout=`. None of ours is slow, so any time is enough.
pub(crate) fn check_timeout(query: &Query) -> Result<(), Answer> {
    let Some(timeout) = query.get("timeout") else {
        return Ok(());
    };
    match timeout.parse::<units::Duration>() {
        Ok(_) => Ok(()),
        Err(why) => Err(Answer::bad_request(format!(
            "Invalid timeout '{timeout}': {why}.\n"
        ))),
    }
}

/// The `/metrics/snapshot` document.
pub(crate) fn snapshot(metrics: &[Metric]) -> String {
    let mut out = String::new();
    crate::json::object(&mut out, |o| {
        for metric in metrics {
            o.number(&metric.name, metric.value);
        }
    });
    out
}

/// What a core counted since the process started.
#[derive(Debug)]
pub(crate) struct Counters<C>(Mutex<BTreeMap<C, u64>>);

impl<C> Default for Counters<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C: Ord + Copy> Counters<C> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<C, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, counter: C, by: u64) {
        *self.lock().entry(counter).or_default() += by;
    }

    pub(crate) fn all(&self) -> Vec<(C, u64)> {
        self.lock()
            .iter()
            .map(|(counter, count)| (*counter, *count))
            .collect()
    }
}

/// Gauges that the node sets: single ones, and families that it sets as a whole.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    single: Mutex<BTreeMap<&'static str, f64>>,
    families: Mutex<BTreeMap<&'static str, Vec<(String, f64)>>>,
}

impl Gauges {
    pub(crate) fn set(&self, name: &'static str, value: f64) {
        lock(&self.single).insert(name, value);
    }

    pub(crate) fn set_family(&self, family: &'static str, values: Vec<(String, f64)>) {
        lock(&self.families).insert(family, values);
    }

    pub(crate) fn write(&self, metrics: &mut Metrics) {
        for (name, value) in &*lock(&self.single) {
            metrics.gauge(*name, *value);
        }
        for (name, value) in lock(&self.families).values().flatten() {
            metrics.gauge(name.clone(), *value);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long things took: the last time, and the spread of the last [`limits::TIMES`].
#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<BTreeMap<&'static str, VecDeque<f64>>>);

/// The part of the values that is no larger, and its name.
const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
];

impl Timers {
    /// It took so long once more.
    pub(crate) fn add(&self, name: &'static str, ms: f64) {
        let mut timers = lock(&self.0);
        let times = timers.entry(name).or_default();
        if times.len() == limits::TIMES {
            times.pop_front();
        }
        times.push_back(ms);
    }

    pub(crate) fn write(&self, metrics: &mut Metrics) {
        for (name, times) in &*lock(&self.0) {
            let Some(last) = times.back() else { continue };
            let mut sorted: Vec<f64> = times.iter().copied().collect();
            sorted.sort_by(f64::total_cmp);
            metrics.gauge(*name, *last);
            metrics.gauge(format!("{name}/count"), sorted.len() as f64);
            metrics.gauge(format!("{name}/min"), percentile(&sorted, 0.0));
            metrics.gauge(format!("{name}/max"), percentile(&sorted, 1.0));
            for (part_name, part) in PERCENTILES {
                metrics.gauge(format!("{name}/{part_name}"), percentile(&sorted, part));
            }
        }
    }
}

/// Between two values, in proportion, as Mesos has it.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let place = part * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or_default();
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_tell_the_last_and_the_spread() {
        let timers = Timers::default();
        for ms in [4.0, 1.0, 2.0] {
            timers.add("t_ms", ms);
        }
        let mut metrics = Metrics::default();
        timers.write(&mut metrics);
        let list = metrics.into_list();
        let shown: Vec<(&str, f64)> = list.iter().map(|m| (m.name.as_str(), m.value)).collect();
        assert_eq!(
            shown[..4],
            [
                ("t_ms", 2.0),
                ("t_ms/count", 3.0),
                ("t_ms/max", 4.0),
                ("t_ms/min", 1.0)
            ]
        );
        assert_eq!(shown[4..6], [("t_ms/p50", 2.0), ("t_ms/p90", 3.6)]);
        assert_eq!(shown.len(), 10);
    }

    #[test]
    fn timers_remember_so_many() {
        let timers = Timers::default();
        for ms in 0..=limits::TIMES {
            timers.add("t_ms", ms as f64);
        }
        let mut metrics = Metrics::default();
        timers.write(&mut metrics);
        let list = metrics.into_list();
        let min = list.iter().find(|metric| metric.name == "t_ms/min");
        assert_eq!(
            min.map(|metric| metric.value),
            Some(1.0),
            "the first is forgotten"
        );
    }
}
