//! Metrics: what cores count, what follows from the read model, what the host says; under Mesos's
//! names in `/metrics/snapshot`, and once more as OpenMetrics in `/metrics`.

mod open;
mod system;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use open::{CONTENT_TYPE as OPEN_METRICS_TYPE, document as open_metrics};
pub(crate) use system::{stats, system};

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

/// Gauges that the node sets.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<BTreeMap<&'static str, f64>>);

impl Gauges {
    pub(crate) fn set(&self, name: &'static str, value: f64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, value);
    }

    pub(crate) fn write(&self, metrics: &mut Metrics) {
        for (name, value) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            metrics.gauge(*name, *value);
        }
    }
}
