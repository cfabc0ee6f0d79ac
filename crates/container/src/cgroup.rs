//! Control groups, versions 1 and 2: where a container's live, which bounds are written to them,
//! how its processes join and how they are killed all at once. Pure: paths and values only.
//!
//! Version 1, as Mesos lays it out: `<hierarchy>/<subsystem>/<root>/<id>`, nested containers below
//! `…/<id>/mesos/<child>` in the freezer only; they share the cpu and memory bounds of their parent
//! (Mesos: `share_cgroups`, on by default). Version 2: `<hierarchy>/<root>/<id>` holds the bounds,
//! its `leaf` the processes (the kernel allows no processes in a group that delegates controllers).

use std::path::{Path, PathBuf};

use meseta_model::container::ContainerLimits;
use meseta_model::ids::ContainerId;
use serde::{Deserialize, Serialize};

use crate::limits::{CFS_US, CPU_SHARES, CPU_WEIGHT, MEMORY_FLOOR_BYTES};
use crate::step::Step;

pub(crate) mod oom;
pub(crate) mod usage;

/// The directory that keeps nested containers apart from the control files of their parent.
/// Mesos: `CGROUP_SEPARATOR`.
const SEPARATOR: &str = "mesos";

/// The mounted control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// One tree per subsystem.
    V1 {
        /// Mount point of `cpu`, if cpu is bounded by cgroups.
        cpu: Option<PathBuf>,
        /// Mount point of `cpuacct`, likewise.
        cpuacct: Option<PathBuf>,
        /// Mount point of `memory`, if memory is bounded by cgroups.
        memory: Option<PathBuf>,
        /// Mount point of `freezer`, used to kill.
        freezer: PathBuf,
    },
    /// One tree for all.
    V2 {
        /// Its mount point.
        mount: PathBuf,
        /// Whether cpu is bounded.
        cpu: bool,
        /// Whether memory is bounded.
        memory: bool,
    },
}

/// Everything about control groups an agent was told and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// What is mounted and used.
    pub hierarchy: Hierarchy,
    /// `--cgroups_root`: the agent's own directory below each mount point.
    pub root: String,
    /// `--cgroups_enable_cfs`: a cpu request without a limit becomes a hard quota too.
    pub enable_cfs: bool,
}

/// How a supervisor kills every process of a group at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillGroup {
    /// Version 1: freeze the group, signal all that are in it, thaw.
    Freezer {
        /// The group's directory in the freezer.
        directory: String,
    },
    /// Version 2: write 1 to `cgroup.kill`.
    KillFile {
        /// The group's directory.
        directory: String,
    },
}

/// The part of a launch that concerns control groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupPlan {
    /// Make the groups and bound them; done by the agent, before anything runs.
    pub place: Vec<Step>,
    /// Join them; done by each process of the container before it becomes anything.
    pub join: Vec<Step>,
    /// How to kill.
    pub kill: Option<KillGroup>,
}

impl Cgroups {
    /// The groups of a new container.
    #[must_use]
    pub fn plan(&self, id: &ContainerId, limits: &ContainerLimits) -> GroupPlan {
        let make = |path: &Path| Step::MakeCgroup { path: text(path) };
        let mut plan = GroupPlan {
            place: self
                .directories(id)
                .iter()
                .rev()
                .map(|path| make(path))
                .collect(),
            join: self
                .process_directories(id)
                .iter()
                .map(|path| control(path, "cgroup.procs", "0"))
                .collect(),
            kill: Some(self.kill(id)),
        };
        if id.path().len() == 1 {
            plan.place.extend(self.bounds(id, limits, None));
        }
        plan
    }

    /// Writes the bounds of a container that runs already. `hard_now` is its hard memory limit in
    /// bytes at present: it is raised, never lowered, because lowering it kills.
    #[must_use]
    pub fn update(
        &self,
        id: &ContainerId,
        limits: &ContainerLimits,
        hard_now: Option<u64>,
    ) -> Vec<Step> {
        if id.path().len() > 1 {
            return Vec::new();
        }
        self.bounds(id, limits, Some(hard_now.unwrap_or(u64::MAX)))
    }

    /// The directories made for this container alone, deepest first: the order of removal.
    #[must_use]
    pub fn directories(&self, id: &ContainerId) -> Vec<PathBuf> {
        let mut directories = match &self.hierarchy {
            Hierarchy::V1 {
                cpu,
                cpuacct,
                memory,
                freezer,
            } => {
                let bounded = [cpu, cpuacct, memory].into_iter().flatten();
                let own = bounded.filter(|_| id.path().len() == 1).chain([freezer]);
                own.map(|mount| self.below(mount, id)).collect()
            }
            Hierarchy::V2 { mount, .. } => {
                let group = self.below(mount, id);
                vec![group.join("leaf"), group]
            }
        };
        directories.dedup(); // cpu and cpuacct are often one mount
        directories
    }

    /// Where the container's processes are members.
    fn process_directories(&self, id: &ContainerId) -> Vec<PathBuf> {
        let Hierarchy::V1 {
            cpu,
            cpuacct,
            memory,
            freezer,
        } = &self.hierarchy
        else {
            return self.directories(id).into_iter().take(1).collect();
        };
        let outermost = ContainerId::root(id.path().first().cloned().unwrap_or_default());
        let bounded = [cpu, cpuacct, memory].into_iter().flatten();
        let mut directories: Vec<PathBuf> =
            bounded.map(|mount| self.below(mount, &outermost)).collect();
        directories.push(self.below(freezer, id));
        directories.dedup();
        directories
    }

    fn kill(&self, id: &ContainerId) -> KillGroup {
        match &self.hierarchy {
            Hierarchy::V1 { freezer, .. } => KillGroup::Freezer {
                directory: text(&self.below(freezer, id)),
            },
            Hierarchy::V2 { mount, .. } => KillGroup::KillFile {
                directory: text(&self.below(mount, id)),
            },
        }
    }

    fn below(&self, mount: &Path, id: &ContainerId) -> PathBuf {
        let mut path = mount.join(&self.root);
        for (depth, element) in id.path().iter().enumerate() {
            if depth > 0 {
                path.push(SEPARATOR);
            }
            path.push(element);
        }
        path
    }

    /// The group that holds the memory bounds of a container, if memory is bounded.
    pub(crate) fn memory_directory(&self, id: &ContainerId) -> Option<PathBuf> {
        match &self.hierarchy {
            Hierarchy::V1 { memory, .. } => Some(self.below(memory.as_deref()?, id)),
            Hierarchy::V2 { mount, memory, .. } => memory.then(|| self.below(mount, id)),
        }
    }

    /// The group that accounts the cpu time of a container, if cpu is bounded.
    pub(crate) fn cpu_directory(&self, id: &ContainerId) -> Option<PathBuf> {
        match &self.hierarchy {
            Hierarchy::V1 { cpuacct, .. } => Some(self.below(cpuacct.as_deref()?, id)),
            Hierarchy::V2 { mount, cpu, .. } => cpu.then(|| self.below(mount, id)),
        }
    }

    fn bounds(
        &self,
        id: &ContainerId,
        limits: &ContainerLimits,
        hard_now: Option<u64>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        match &self.hierarchy {
            Hierarchy::V1 { cpu, memory, .. } => {
                if let Some(cpu) = cpu {
                    self.cpu_v1(&self.below(cpu, id), limits, hard_now.is_some(), &mut steps);
                }
                if let Some(memory) = memory {
                    let names = ("memory.soft_limit_in_bytes", "memory.limit_in_bytes");
                    memory_bounds(&self.below(memory, id), names, limits, hard_now, &mut steps);
                }
            }
            Hierarchy::V2 { mount, cpu, memory } => {
                let group = self.below(mount, id);
                if *cpu {
                    self.cpu_v2(&group, limits, hard_now.is_some(), &mut steps);
                }
                if *memory {
                    let names = ("memory.low", "memory.max");
                    memory_bounds(&group, names, limits, hard_now, &mut steps);
                }
            }
        }
        steps
    }

    fn cpu_v1(&self, group: &Path, limits: &ContainerLimits, update: bool, steps: &mut Vec<Step>) {
        let (per_cpu, least) = CPU_SHARES;
        let shares = (limits.cpus_millis.max(0) * per_cpu / 1000).max(least);
        steps.push(control(group, "cpu.shares", &shares.to_string()));
        match self.quota_us(limits) {
            Some(quota) => {
                steps.push(control(group, "cpu.cfs_period_us", &CFS_US.0.to_string()));
                steps.push(control(group, "cpu.cfs_quota_us", &quota.to_string()));
            }
            None if update => steps.push(control(group, "cpu.cfs_quota_us", "-1")),
            None => {}
        }
    }

    fn cpu_v2(&self, group: &Path, limits: &ContainerLimits, update: bool, steps: &mut Vec<Step>) {
        let (per_cpu, least, most) = CPU_WEIGHT;
        let weight = (limits.cpus_millis.max(0) * per_cpu / 1000).clamp(least, most);
        steps.push(control(group, "cpu.weight", &weight.to_string()));
        let period = CFS_US.0;
        match self.quota_us(limits) {
            Some(quota) => steps.push(control(group, "cpu.max", &format!("{quota} {period}"))),
            None if update => steps.push(control(group, "cpu.max", &format!("max {period}"))),
            None => {}
        }
    }

    /// Cpu time a period, if the cpu is to be bounded hard.
    fn quota_us(&self, limits: &ContainerLimits) -> Option<i64> {
        let requested = self.enable_cfs.then_some(limits.cpus_millis);
        let millis = limits.cpus_limit_millis.or(requested)?;
        let (period, least) = CFS_US;
        Some((millis.max(0).saturating_mul(period) / 1000).max(least))
    }
}

/// `hard_now` is `None` for a group that was just made.
fn memory_bounds(
    group: &Path,
    (soft_name, hard_name): (&str, &str),
    limits: &ContainerLimits,
    hard_now: Option<u64>,
    steps: &mut Vec<Step>,
) {
    if let Some(soft) = limits.mem_bytes {
        steps.push(control(
            group,
            soft_name,
            &soft.max(MEMORY_FLOOR_BYTES).to_string(),
        ));
    }
    if let Some(hard) = hard_bytes(limits)
        && hard_now.is_none_or(|now| hard > now)
    {
        steps.push(control(group, hard_name, &hard.to_string()));
    }
}

/// The hard memory limit that these limits ask for, floor applied.
pub(crate) fn hard_bytes(limits: &ContainerLimits) -> Option<u64> {
    Some(
        limits
            .mem_limit_bytes
            .or(limits.mem_bytes)?
            .max(MEMORY_FLOOR_BYTES),
    )
}

fn control(group: &Path, name: &str, value: &str) -> Step {
    Step::WriteControl {
        path: text(&group.join(name)),
        value: value.to_owned(),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1() -> Cgroups {
        let mount = |name: &str| PathBuf::from(format!("/cg/{name}"));
        Cgroups {
            hierarchy: Hierarchy::V1 {
                cpu: Some(mount("cpu")),
                cpuacct: Some(mount("cpuacct")),
                memory: Some(mount("memory")),
                freezer: mount("freezer"),
            },
            root: "mesos".to_owned(),
            enable_cfs: false,
        }
    }

    fn v2() -> Cgroups {
        let hierarchy = Hierarchy::V2 {
            mount: PathBuf::from("/cg"),
            cpu: true,
            memory: true,
        };
        Cgroups { hierarchy, ..v1() }
    }

    fn limits() -> ContainerLimits {
        ContainerLimits {
            cpus_millis: 1100,
            cpus_limit_millis: Some(2500),
            mem_bytes: Some(64 << 20),
            mem_limit_bytes: Some(128 << 20),
        }
    }

    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn version_1_bounds_each_subsystem() {
        let plan = v1().plan(&ContainerId::root("a"), &limits());
        assert_eq!(
            lines(&plan.place),
            [
                "make cgroup /cg/freezer/mesos/a",
                "make cgroup /cg/memory/mesos/a",
                "make cgroup /cg/cpuacct/mesos/a",
                "make cgroup /cg/cpu/mesos/a",
                "write 1126 to /cg/cpu/mesos/a/cpu.shares",
                "write 100000 to /cg/cpu/mesos/a/cpu.cfs_period_us",
                "write 250000 to /cg/cpu/mesos/a/cpu.cfs_quota_us",
                "write 67108864 to /cg/memory/mesos/a/memory.soft_limit_in_bytes",
                "write 134217728 to /cg/memory/mesos/a/memory.limit_in_bytes",
            ]
        );
        assert_eq!(
            lines(&plan.join),
            [
                "write 0 to /cg/cpu/mesos/a/cgroup.procs",
                "write 0 to /cg/cpuacct/mesos/a/cgroup.procs",
                "write 0 to /cg/memory/mesos/a/cgroup.procs",
                "write 0 to /cg/freezer/mesos/a/cgroup.procs",
            ]
        );
        let directory = "/cg/freezer/mesos/a".to_owned();
        assert_eq!(plan.kill, Some(KillGroup::Freezer { directory }));
    }

    #[test]
    fn a_nested_container_of_version_1_shares_bounds_and_has_its_own_freezer() {
        let nested = ContainerId::root("a")
            .child("b")
            .unwrap_or_else(|| ContainerId::root("?"));
        let plan = v1().plan(&nested, &limits());
        assert_eq!(
            lines(&plan.place),
            ["make cgroup /cg/freezer/mesos/a/mesos/b"]
        );
        assert_eq!(
            lines(&plan.join),
            [
                "write 0 to /cg/cpu/mesos/a/cgroup.procs",
                "write 0 to /cg/cpuacct/mesos/a/cgroup.procs",
                "write 0 to /cg/memory/mesos/a/cgroup.procs",
                "write 0 to /cg/freezer/mesos/a/mesos/b/cgroup.procs",
            ]
        );
        assert_eq!(v1().update(&nested, &limits(), None), []);
    }

    #[test]
    fn version_2_keeps_processes_in_a_leaf() {
        let plan = v2().plan(&ContainerId::root("a"), &limits());
        assert_eq!(
            lines(&plan.place),
            [
                "make cgroup /cg/mesos/a",
                "make cgroup /cg/mesos/a/leaf",
                "write 110 to /cg/mesos/a/cpu.weight",
                "write 250000 100000 to /cg/mesos/a/cpu.max",
                "write 67108864 to /cg/mesos/a/memory.low",
                "write 134217728 to /cg/mesos/a/memory.max",
            ]
        );
        assert_eq!(
            lines(&plan.join),
            ["write 0 to /cg/mesos/a/leaf/cgroup.procs"]
        );
        let directory = "/cg/mesos/a".to_owned();
        assert_eq!(plan.kill, Some(KillGroup::KillFile { directory }));
    }

    #[test]
    fn floors_hold_and_no_limit_writes_no_quota() {
        let tiny = ContainerLimits {
            cpus_millis: 1,
            cpus_limit_millis: None,
            mem_bytes: Some(1),
            mem_limit_bytes: None,
        };
        let lines_of = |cgroups: &Cgroups, limits: &ContainerLimits| {
            let steps = cgroups.bounds(&ContainerId::root("a"), limits, None);
            lines(&steps)
                .iter()
                .map(|line| line.replace("/mesos/a", ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines_of(&v1(), &tiny),
            [
                "write 2 to /cg/cpu/cpu.shares",
                "write 33554432 to /cg/memory/memory.soft_limit_in_bytes",
                "write 33554432 to /cg/memory/memory.limit_in_bytes",
            ]
        );
        let cfs = Cgroups {
            enable_cfs: true,
            ..v2()
        };
        let none = ContainerLimits {
            cpus_millis: 1,
            ..ContainerLimits::default()
        };
        assert_eq!(
            lines_of(&cfs, &none),
            [
                "write 1 to /cg/cpu.weight",
                "write 1000 100000 to /cg/cpu.max"
            ]
        );
    }

    #[test]
    fn an_update_raises_the_hard_memory_limit_and_never_lowers_it() {
        let id = ContainerId::root("a");
        let hard = |now: Option<u64>| {
            let steps = v1().update(&id, &limits(), now);
            lines(&steps)
                .into_iter()
                .filter(|line| line.contains("memory.limit"))
                .count()
        };
        assert_eq!(hard(Some(64 << 20)), 1);
        assert_eq!(hard(Some(128 << 20)), 0);
        assert_eq!(hard(Some(256 << 20)), 0);
        assert_eq!(hard(None), 0, "unknown counts as unlimited");
        let unlimited = ContainerLimits {
            cpus_limit_millis: None,
            ..limits()
        };
        assert!(
            lines(&v1().update(&id, &unlimited, None))
                .contains(&"write -1 to /cg/cpu/mesos/a/cpu.cfs_quota_us".to_owned())
        );
    }

    #[test]
    fn directories_are_removed_leaves_first_and_a_shared_mount_once() {
        let text = |paths: Vec<PathBuf>| paths.iter().map(|p| text(p)).collect::<Vec<_>>();
        let id = ContainerId::root("a");
        assert_eq!(
            text(v2().directories(&id)),
            ["/cg/mesos/a/leaf", "/cg/mesos/a"]
        );
        let mut joint = v1();
        if let Hierarchy::V1 { cpu, cpuacct, .. } = &mut joint.hierarchy {
            cpuacct.clone_from(cpu);
        }
        assert_eq!(
            text(joint.directories(&id)),
            [
                "/cg/cpu/mesos/a",
                "/cg/memory/mesos/a",
                "/cg/freezer/mesos/a"
            ]
        );
    }
}
