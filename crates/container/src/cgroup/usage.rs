//! Reads what a container's control groups have counted.

use std::fs;
use std::path::Path;

use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::ResourceStatistics;

use super::{Cgroups, Hierarchy};
use crate::sys;

/// A file that holds one number; `None` if it is missing or says `max`.
pub(crate) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind `key` in a file of `key number` lines.
pub(crate) fn keyed(path: &Path, key: &str) -> Option<u64> {
    keyed_in(&fs::read_to_string(path).ok()?, key)
}

/// The same in text that was read already.
pub(crate) fn keyed_in(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// The hard memory limit now in force, in bytes; `None` if there is none or it cannot be read.
pub(crate) fn hard_bytes_now(cgroups: &Cgroups, id: &ContainerId) -> Option<u64> {
    let group = cgroups.memory_directory(id)?;
    match cgroups.hierarchy {
        Hierarchy::V1 { .. } => number(&group.join("memory.limit_in_bytes")),
        Hierarchy::V2 { .. } => number(&group.join("memory.max")),
    }
}

/// Replaces in `statistics` what the groups know better than the process table.
pub(crate) fn fill(cgroups: &Cgroups, id: &ContainerId, statistics: &mut ResourceStatistics) {
    let version_1 = matches!(cgroups.hierarchy, Hierarchy::V1 { .. });
    if let Some(group) = cgroups.cpu_directory(id) {
        if version_1 {
            cpu_v1(&group, statistics)
        } else {
            cpu_v2(&group, statistics)
        }
    }
    if let Some(group) = cgroups.memory_directory(id) {
        if version_1 {
            memory_v1(&group, statistics)
        } else {
            memory_v2(&group, statistics)
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(count: u64, per_second: u64) -> f64 {
    count as f64 / per_second as f64
}

fn cpu_v1(group: &Path, statistics: &mut ResourceStatistics) {
    let ticks = sys::ticks_per_second();
    let stat = group.join("cpuacct.stat");
    if let (Some(user), Some(system)) = (keyed(&stat, "user"), keyed(&stat, "system")) {
        statistics.cpus_user_time_secs = Some(seconds(user, ticks));
        statistics.cpus_system_time_secs = Some(seconds(system, ticks));
    }
}

fn cpu_v2(group: &Path, statistics: &mut ResourceStatistics) {
    let stat = group.join("cpu.stat");
    let micros = |key: &str| keyed(&stat, key).map(|count| seconds(count, 1_000_000));
    if let (Some(user), Some(system)) = (micros("user_usec"), micros("system_usec")) {
        statistics.cpus_user_time_secs = Some(user);
        statistics.cpus_system_time_secs = Some(system);
    }
    let count = |key: &str| keyed(&stat, key).and_then(|count| u32::try_from(count).ok());
    statistics.cpus_nr_periods = count("nr_periods");
    statistics.cpus_nr_throttled = count("nr_throttled");
    statistics.cpus_throttled_time_secs = micros("throttled_usec");
}

fn memory_v1(group: &Path, statistics: &mut ResourceStatistics) {
    let file = |name: &str| number(&group.join(name));
    let stat = |key: &str| keyed(&group.join("memory.stat"), key);
    statistics.mem_total_bytes = file("memory.usage_in_bytes");
    statistics.mem_limit_bytes = file("memory.limit_in_bytes");
    statistics.mem_soft_limit_bytes = file("memory.soft_limit_in_bytes");
    statistics.mem_rss_bytes = stat("total_rss").or(statistics.mem_rss_bytes);
    statistics.mem_anon_bytes = stat("total_rss");
    statistics.mem_cache_bytes = stat("total_cache");
    statistics.mem_file_bytes = stat("total_cache");
    statistics.mem_mapped_file_bytes = stat("total_mapped_file");
    statistics.mem_unevictable_bytes = stat("total_unevictable");
}

fn memory_v2(group: &Path, statistics: &mut ResourceStatistics) {
    let file = |name: &str| number(&group.join(name));
    let stat = |key: &str| keyed(&group.join("memory.stat"), key);
    statistics.mem_total_bytes = file("memory.current");
    statistics.mem_limit_bytes = file("memory.max");
    statistics.mem_soft_limit_bytes = file("memory.low");
    statistics.mem_rss_bytes = stat("anon").or(statistics.mem_rss_bytes);
    statistics.mem_anon_bytes = stat("anon");
    statistics.mem_cache_bytes = stat("file");
    statistics.mem_file_bytes = stat("file");
    statistics.mem_mapped_file_bytes = stat("file_mapped");
    statistics.mem_unevictable_bytes = stat("unevictable");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn version_2_files_become_statistics() {
        let mount = tempfile::tempdir().unwrap();
        let group = mount.path().join("mesos/a");
        fs::create_dir_all(&group).unwrap();
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 5\nuser_usec 3000000\nsystem_usec 500000\nnr_periods 9\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.low", "33554432\n"),
            ("memory.stat", "anon 1024\nfile 2048\nfile_mapped 512\n"),
            ("memory.events", "low 0\noom 1\noom_kill 1\n"),
            ("memory.peak", "67108864\n"),
        ] {
            fs::write(group.join(name), text).unwrap();
        }
        let hierarchy = Hierarchy::V2 {
            mount: mount.path().to_path_buf(),
            cpu: true,
            memory: true,
        };
        let cgroups = Cgroups {
            hierarchy,
            root: "mesos".to_owned(),
            enable_cfs: false,
        };
        let id = ContainerId::root("a");
        let mut statistics = ResourceStatistics {
            timestamp: 1.0,
            ..Default::default()
        };
        fill(&cgroups, &id, &mut statistics);
        let expected = ResourceStatistics {
            timestamp: 1.0,
            cpus_user_time_secs: Some(3.0),
            cpus_system_time_secs: Some(0.5),
            cpus_nr_periods: Some(9),
            mem_total_bytes: Some(4096),
            mem_soft_limit_bytes: Some(33_554_432),
            mem_rss_bytes: Some(1024),
            mem_anon_bytes: Some(1024),
            mem_cache_bytes: Some(2048),
            mem_file_bytes: Some(2048),
            mem_mapped_file_bytes: Some(512),
            ..Default::default()
        };
        assert_eq!(statistics, expected);
        assert_eq!(hard_bytes_now(&cgroups, &id), None);
        let limitation = super::super::oom::limitation(&cgroups, &id).unwrap();
        assert_eq!(
            limitation.message,
            "Memory limit exceeded: Requested: 0MB Maximum Used: 64MB"
        );
    }
}
