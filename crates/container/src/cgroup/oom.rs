//! Notices when the memory bound of a container was passed.
//!
//! Version 1: an eventfd registered for `memory.oom_control` (kernel documentation,
//! cgroup-v1/memory.rst, section 10). Version 2: `memory.events` raises `POLLPRI` on a change. A
//! notice alone proves nothing (it comes before the kernel has found whom to kill): the kernel's own counter
//! decides.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use meseta_model::container::Limitation;
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1;
use rustix::event::{EventfdFlags, epoll::EventFlags, eventfd};

use super::usage::{keyed, keyed_in, number};
use super::{Cgroups, Hierarchy};

/// A watch on one group. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct OomWatch {
    descriptor: OwnedFd,
    /// Version 1 only: the kernel wants it open as long as the watch.
    _control: Option<fs::File>,
}

impl OomWatch {
    /// Starts watching; `None` if memory is not bounded by cgroups or the group is gone.
    pub(crate) fn start(cgroups: &Cgroups, id: &ContainerId) -> Option<Self> {
        let group = cgroups.memory_directory(id)?;
        match cgroups.hierarchy {
            Hierarchy::V1 { .. } => {
                let control = fs::File::open(group.join("memory.oom_control")).ok()?;
                let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
                let line = format!("{} {}", descriptor.as_raw_fd(), control.as_raw_fd());
                fs::write(group.join("cgroup.event_control"), line).ok()?;
                Some(Self {
                    descriptor,
                    _control: Some(control),
                })
            }
            Hierarchy::V2 { .. } => {
                let events = fs::File::open(group.join("memory.events")).ok()?;
                Some(Self {
                    descriptor: events.into(),
                    _control: None,
                })
            }
        }
    }

    /// What to poll for, edge-triggered: whoever is woken looks at the counter.
    pub(crate) fn interest(&self) -> EventFlags {
        EventFlags::IN | EventFlags::PRI | EventFlags::ET
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The limitation, if the kernel has killed for memory in this container or is about to.
pub(crate) fn limitation(cgroups: &Cgroups, id: &ContainerId) -> Option<Limitation> {
    let group = cgroups.memory_directory(id)?;
    let (used, limit) = match cgroups.hierarchy {
        Hierarchy::V1 { .. } => exceeded_v1(&group)?,
        Hierarchy::V2 { .. } => exceeded_v2(&group)?,
    };
    Some(describe(used, limit))
}

fn exceeded_v1(group: &Path) -> Option<(u64, u64)> {
    let control = fs::read_to_string(group.join("memory.oom_control")).ok()?;
    let raised = |key| keyed_in(&control, key).is_some_and(|count| count > 0);
    if !raised("under_oom") && !raised("oom_kill") {
        return None;
    }
    let file = |name: &str| number(&group.join(name)).unwrap_or(0);
    Some((
        file("memory.max_usage_in_bytes"),
        file("memory.limit_in_bytes"),
    ))
}

fn exceeded_v2(group: &Path) -> Option<(u64, u64)> {
    if keyed(&group.join("memory.events"), "oom_kill")? == 0 {
        return None;
    }
    let limit = number(&group.join("memory.max")).unwrap_or(0);
    let used = number(&group.join("memory.peak")).unwrap_or(limit);
    Some((used, limit))
}

fn describe(used: u64, limit: u64) -> Limitation {
    let mebibytes = |bytes: u64| bytes >> 20;
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    let value = mebibytes(used) as f64;
    let resource = v1::Resource {
        name: "mem".to_owned(),
        r#type: v1::value::Type::Scalar as i32,
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    };
    Limitation {
        reason: v1::task_status::Reason::ContainerLimitationMemory,
        resources: vec![resource],
        message: format!(
            "Memory limit exceeded: Requested: {}MB Maximum Used: {}MB",
            mebibytes(limit),
            mebibytes(used)
        ),
    }
}
