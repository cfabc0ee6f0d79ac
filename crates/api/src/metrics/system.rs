//! What the host says: `system/…`.

use std::fs;

use super::Metrics;

/// Load, memory and processors. What the host does not say is left out.
pub(crate) fn system(metrics: &mut Metrics) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    metrics.gauge("system/cpus_total", cpus as f64);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let names = ["system/load_1min", "system/load_5min", "system/load_15min"];
    for (name, value) in names.iter().zip(load.split(' ')) {
        if let Ok(value) = value.parse() {
            metrics.gauge(*name, value);
        }
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for (name, key) in [
        ("system/mem_total_bytes", "MemTotal:"),
        ("system/mem_free_bytes", "MemFree:"),
    ] {
        if let Some(kilobytes) = memory.lines().find_map(|line| kilobytes(line, key)) {
            metrics.gauge(name, kilobytes * 1024.0);
        }
    }
}

fn kilobytes(line: &str, key: &str) -> Option<f64> {
    line.strip_prefix(key)?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}

/// The `/system/stats.json` document: the same, by other names.
pub(crate) fn stats() -> String {
    let mut metrics = Metrics::default();
    system(&mut metrics);
    let mut out = String::new();
    crate::json::object(&mut out, |o| {
        for metric in metrics.into_list() {
            let name = metric.name.trim_start_matches("system/");
            match name {
                "cpus_total" | "mem_free_bytes" | "mem_total_bytes" => {
                    o.integer(name, metric.value as u64);
                }
                load => o.number(&format!("avg_{load}"), metric.value),
            }
        }
    });
    out
}
