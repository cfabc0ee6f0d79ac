//! What a container uses, from the process table and, where there are, its control groups.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::ResourceStatistics;

use super::{Container, Engine};
use crate::cgroup;
use crate::limits::USAGE_AGE;
use crate::procfs::{self, Process};
use crate::sys;

impl Engine {
    pub(super) fn usage(&mut self, id: &ContainerId) -> Option<ResourceStatistics> {
        self.containers.get(id)?;
        self.refresh_table();
        let container = self.containers.get(id)?;
        let table = self.table.as_ref().map_or(&[][..], |(_, table)| table);
        let mut statistics = from_table(table, container);
        if let Some(cgroups) = &self.config.isolation.cgroups {
            cgroup::usage::fill(cgroups, id, &mut statistics);
        }
        Some(statistics)
    }

    fn refresh_table(&mut self) {
        let fresh = self
            .table
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < USAGE_AGE);
        if !fresh {
            self.table = Some((Instant::now(), procfs::table()));
        }
    }
}

#[allow(clippy::cast_precision_loss)] // ticks and thousandths are far below 2^53
fn from_table(table: &[Process], container: &Container) -> ResourceStatistics {
    let family = family(table, container);
    let page = rustix::param::page_size() as u64;
    let seconds = |ticks: u64| ticks as f64 / sys::ticks_per_second() as f64;
    let sum = |pick: fn(&Process) -> u64| family.iter().map(pick).sum::<u64>();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let limits = &container.limits;
    let cpus = limits.cpus_limit_millis.unwrap_or(limits.cpus_millis);
    // What runs, without the supervisor, which is not the framework's.
    let count = family
        .iter()
        .filter(|process| !is_supervisor(process, container))
        .count();
    let threads: u64 = family
        .iter()
        .filter(|process| !is_supervisor(process, container))
        .map(|process| u64::from(process.threads))
        .sum();
    ResourceStatistics {
        timestamp: now.as_secs_f64(),
        processes: u32::try_from(count).ok(),
        threads: u32::try_from(threads).ok(),
        cpus_user_time_secs: Some(seconds(sum(|process| process.user_ticks))),
        cpus_system_time_secs: Some(seconds(sum(|process| process.system_ticks))),
        cpus_limit: (cpus > 0).then_some(cpus as f64 / 1000.0),
        cpus_soft_limit: (limits.cpus_millis > 0).then_some(limits.cpus_millis as f64 / 1000.0),
        mem_rss_bytes: Some(sum(|process| process.resident_pages) * page),
        mem_limit_bytes: cgroup::hard_bytes(limits),
        ..Default::default()
    }
}

/// The supervisor with all below it: it has waited for those that are over, so their time is in it.
fn family(table: &[Process], container: &Container) -> Vec<Process> {
    let Some(supervisor) = &container.supervisor else {
        return Vec::new();
    };
    let own = supervisor.process;
    let mut family = procfs::descendants(table, own.pid);
    let itself = table
        .iter()
        .find(|process| process.pid == own.pid && process.start == own.start);
    family.extend(itself.map(|process| Process {
        // Its memory is the agent's cost, not the framework's.
        resident_pages: if supervisor.adopted {
            process.resident_pages
        } else {
            0
        },
        ..*process
    }));
    family
}

fn is_supervisor(process: &Process, container: &Container) -> bool {
    let supervisor = container.supervisor.as_ref();
    supervisor.is_some_and(|s| !s.adopted && s.process.pid == process.pid)
}
