//! The same metrics in the OpenMetrics text form, for Prometheus and its kin.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::{HeaderValue, StatusCode};

use super::{Kind, Metric};
use crate::answer::Answer;

/// The media type that scrapers ask for.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The answer of `/metrics`.
pub(crate) fn answer(metrics: &[Metric]) -> Answer {
    let kind = HeaderValue::from_static(CONTENT_TYPE);
    Answer::whole(StatusCode::OK, kind, document(metrics).into())
}

/// The document. Slashes become underscores: `master/tasks_finished` is
/// `mesos_master_tasks_finished_total`. Of two names that become one the first counts.
fn document(metrics: &[Metric]) -> String {
    let mut families = BTreeMap::new();
    for metric in metrics {
        families.entry(name(&metric.name)).or_insert(metric);
    }
    let mut out = String::new();
    for (name, metric) in families {
        let (kind, suffix) = match metric.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# TYPE {name} {kind}\n{name}{suffix} {}", metric.value);
    }
    out.push_str("# EOF\n");
    out
}

fn name(mesos: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("mesos_{}", mesos.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_types_and_values_are_as_openmetrics_wants_them() {
        let metric = |name: &str, kind, value| Metric {
            name: name.to_owned(),
            kind,
            value,
        };
        let metrics = [
            metric("master/tasks_finished", Kind::Counter, 3.0),
            metric("master/cpus_percent", Kind::Gauge, 0.125),
        ];
        assert_eq!(
            document(&metrics),
            "# TYPE mesos_master_cpus_percent gauge\nmesos_master_cpus_percent 0.125\n\
             # TYPE mesos_master_tasks_finished counter\nmesos_master_tasks_finished_total 3\n# EOF\n"
        );
    }
}
