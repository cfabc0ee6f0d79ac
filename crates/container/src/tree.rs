//! Ends whole trees of processes.
//!
//! Two ways, for two situations. A supervisor that lives kills its descendants
//! ([`kill_descendants`]) until `waitpid` says that there are none: nothing can get away, because
//! orphans fall to it. When it was killed itself, the agent finds what is left by the container's
//! tag and its cgroup ([`sweep`]).

use std::fs;
use std::path::Path;

use meseta_model::ids::ContainerId;
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::{Cgroups, KillGroup};
use crate::procfs;

/// One round of killing everything below this process.
pub(crate) fn kill_descendants(group: Option<&KillGroup>) {
    // Against a container that forks as fast as it can, the killer must get its turn. Works for
    // root only; without it, rounds just take longer.
    let _ = rustix::process::setpriority_process(None, -20);
    if let Some(group) = group {
        kill_group(group);
    }
    let own = std::process::id().cast_signed();
    // The family is read while it grows; whoever is missed falls to us when its parent dies, and the
    // next round meets it.
    for process in procfs::family(own) {
        if process.is_over() {
            continue;
        }
        if process.parent == own {
            // A child's id stays its own until it is waited for.
            if let Some(pid) = Pid::from_raw(process.pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        } else {
            process.signal(Signal::KILL);
        }
    }
}

/// Kills every member of a cgroup and of those below it. A group that is gone has none.
pub(crate) fn kill_group(group: &KillGroup) {
    match group {
        KillGroup::KillFile { directory } => {
            // Since Linux 5.14. Before, members are found as descendants.
            let _ = fs::write(Path::new(directory).join("cgroup.kill"), "1");
        }
        KillGroup::Freezer { directory } => {
            let directory = Path::new(directory);
            let state = directory.join("freezer.state");
            // Frozen, nobody forks while the list is read; the signal acts on thawing.
            let _ = fs::write(&state, "FROZEN");
            for pid in members(directory) {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = fs::write(&state, "THAWED");
        }
    }
}

/// The processes of a cgroup, not of those below it.
fn members(directory: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of a foreign pid namespace.
    text.lines()
        .filter_map(|line| Pid::from_raw(line.parse().ok()?))
        .collect()
}

/// Where the processes of a container without supervisor are looked for.
pub(crate) struct Sweep<'a> {
    /// The container's tag.
    pub tag: u64,
    /// Its groups, if it has any.
    pub cgroups: Option<(&'a Cgroups, &'a ContainerId)>,
}

/// One round: kills whatever carries the tag or is a member. Gives how many were found.
pub(crate) fn sweep(sweep: &Sweep<'_>) -> usize {
    let mut found = 0;
    for pid in procfs::pids() {
        if procfs::locks_limit(pid) != Some(sweep.tag) {
            continue;
        }
        let Some(process) = procfs::read(pid) else {
            continue;
        };
        // The tag is read again once the process is pinned: only then is it this process's.
        let Some(pidfd) = process.open() else {
            continue;
        };
        if process.is_over() || procfs::locks_limit(pid) != Some(sweep.tag) {
            continue;
        }
        found += 1;
        let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
    }
    let Some((cgroups, id)) = sweep.cgroups else {
        return found;
    };
    let populated = cgroups
        .directories(id)
        .iter()
        .any(|path| !members(path).is_empty());
    if populated {
        let plan = cgroups.plan(id, &Default::default());
        if let Some(group) = &plan.kill {
            kill_group(group);
        }
        found += 1;
    }
    found
}
