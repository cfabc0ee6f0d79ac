//! What Mesos took for the same shapes.
//!
//! Its development head (1.12, commit c1b42f79), optimised, with its own benchmarks on two cores of an
//! AMD EPYC; `offering` is of Mesos 1.8 as its developers published it in October 2018 for a machine
//! that they did not name. docs/performance.md says more.

use super::Size;

/// (row, agents, frameworks, milliseconds).
const MESOS: &[(&str, usize, usize, f64)] = &[
    ("add/frameworks", 1_000, 50, 0.70),
    ("add/frameworks", 1_000, 200, 1.7),
    ("add/frameworks", 5_000, 200, 3.3),
    ("add/frameworks", 10_000, 200, 7.2),
    ("add/frameworks", 10_000, 1_000, 11.0),
    ("add/agents", 1_000, 50, 49.4),
    ("add/agents", 1_000, 200, 48.0),
    ("add/agents", 5_000, 200, 284.0),
    ("add/agents", 10_000, 200, 654.0),
    ("add/agents", 10_000, 1_000, 691.0),
    ("add/update", 1_000, 50, 25.4),
    ("add/update", 1_000, 200, 32.5),
    ("add/update", 5_000, 200, 176.0),
    ("add/update", 10_000, 200, 367.0),
    ("add/update", 10_000, 1_000, 526.0),
    ("decline/agents", 1_000, 50, 74.0),
    ("decline/agents", 5_000, 50, 279.0),
    ("decline/agents", 10_000, 50, 619.0),
    ("decline/agents", 1_000, 200, 60.0),
    ("decline/offering", 1_000, 50, 32.1),
    ("decline/offering", 5_000, 50, 177.0),
    ("decline/offering", 10_000, 50, 344.0),
    ("decline/offering", 1_000, 200, 29.9),
    ("decline/steady", 1_000, 50, 229.0),
    ("decline/steady", 5_000, 50, 1_380.0),
    ("decline/steady", 10_000, 50, 2_832.0),
    ("decline/steady", 1_000, 200, 987.0),
    ("labels/offering", 1_000, 50, 32.4),
    ("labels/steady", 1_000, 50, 237.0),
    ("volumes/agents", 1_000, 50, 51.0),
    ("volumes/agents", 1_000, 200, 73.0),
    ("volumes/agents", 5_000, 200, 296.0),
    ("volumes/agents", 10_000, 200, 596.0),
    ("volumes/offering", 1_000, 50, 27.7),
    ("volumes/offering", 1_000, 200, 30.1),
    ("volumes/offering", 5_000, 200, 163.0),
    ("volumes/offering", 10_000, 200, 347.0),
    ("offering/round", 5_000, 500, 400.0),
    ("offering/round", 10_000, 1_000, 1_100.0),
    ("offering/round", 20_000, 2_000, 3_800.0),
    ("suppressed/offering", 1_000, 200, 25.0),
    ("suppressed/offering", 5_000, 200, 150.0),
    ("suppressed/agents", 5_000, 200, 315.0),
    ("backlog/revives", 1_000, 50, 12.9),
    ("backlog/revives", 1_000, 200, 26.1),
    ("backlog/revives", 10_000, 200, 341.0),
    ("quota/frameworks", 30, 30, 1.8),
    ("quota/frameworks", 300, 300, 101.0),
    ("quota/frameworks", 3_000, 3_000, 20_294.0),
    ("quota/offering", 30, 30, 2.9),
    ("quota/offering", 300, 300, 54.8),
    ("quota/offering", 3_000, 3_000, 7_663.0),
    ("quota/steady", 30, 30, 3.6),
    ("quota/steady", 300, 300, 38.5),
    ("quota/steady", 3_000, 3_000, 6_652.0),
    ("quota_random/frameworks", 300, 300, 33.0),
    ("quota_random/frameworks", 3_000, 3_000, 3_242.0),
    ("quota_random/offering", 300, 300, 92.6),
    ("quota_random/offering", 3_000, 3_000, 9_862.0),
    ("quota_random/steady", 300, 300, 73.9),
    ("quota_random/steady", 3_000, 3_000, 9_147.0),
    ("promised/frameworks", 200, 200, 24.0),
    ("promised/frameworks", 2_000, 2_000, 2_358.0),
    ("promised/offering", 200, 200, 7.2),
    ("promised/offering", 2_000, 2_000, 116.0),
    ("promised/steady", 200, 200, 1.7),
    ("promised/steady", 2_000, 2_000, 40.0),
    ("promised_random/frameworks", 2_000, 2_000, 906.0),
    ("promised_random/offering", 2_000, 2_000, 862.0),
    ("promised_random/steady", 2_000, 2_000, 640.0),
];

/// Mesos's milliseconds for a row, where they are known.
#[must_use]
pub fn mesos_ms(row: &str, size: Size) -> Option<f64> {
    let known = MESOS.iter().find(|(name, agents, frameworks, _)| {
        *name == row && *agents == size.agents && *frameworks == size.frameworks
    });
    known.map(|(_, _, _, ms)| *ms)
}
