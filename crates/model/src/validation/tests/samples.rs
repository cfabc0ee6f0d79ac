//! Tasks and executors that are valid, and the tables of a master that knows some.

use std::collections::BTreeMap;

use meseta_proto::mesos::v1;
use v1::container_info::Type as ContainerType;

use super::said;
use crate::capabilities::AgentCapabilities;
use crate::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::resources::{ResourceFormat, Resources};
use crate::roles::Role;
use crate::validation::{Known, TaskContext, task};

/// A master's tables, as far as validation asks.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) executors: BTreeMap<ExecutorId, v1::ExecutorInfo>,
    pub(super) shares_cgroups: Option<bool>,
}

impl Known for Tables {
    fn is_live(&self, task: &TaskId) -> bool {
        task.as_str() == "live"
    }
    fn is_unreachable(&self, task: &TaskId) -> bool {
        task.as_str() == "unreachable"
    }
    fn executor(&self, executor: &ExecutorId) -> Option<&v1::ExecutorInfo> {
        self.executors.get(executor)
    }
    fn shares_cgroups(&self, _: &ExecutorId) -> Option<bool> {
        self.shares_cgroups
    }
}

pub(super) fn resources(text: &str) -> Vec<v1::Resource> {
    offered(text).to_wire(ResourceFormat::PostRefinement)
}

pub(super) fn offered(text: &str) -> Resources {
    match Resources::parse(text, &Role::default()) {
        Ok(all) => all.allocated_to(&"r".into()),
        Err(bad) => panic!("{text}: {bad}"),
    }
}

pub(super) fn command() -> v1::CommandInfo {
    v1::CommandInfo {
        value: Some("true".into()),
        ..Default::default()
    }
}

pub(super) fn command_task() -> v1::TaskInfo {
    v1::TaskInfo {
        task_id: TaskId::new("t").to_wire(),
        agent_id: AgentId::new("s").to_wire(),
        resources: resources("cpus:1;mem:32"),
        command: Some(command()),
        ..Default::default()
    }
}

pub(super) fn custom_executor() -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        executor_id: ExecutorId::new("e").to_wire(),
        framework_id: Some(FrameworkId::new("f").to_wire()),
        command: Some(command()),
        resources: resources("cpus:0.1;mem:32"),
        ..Default::default()
    }
}

pub(super) fn executor_task() -> v1::TaskInfo {
    v1::TaskInfo {
        command: None,
        executor: Some(custom_executor()),
        ..command_task()
    }
}

pub(super) fn linux(share_cgroups: bool) -> v1::ContainerInfo {
    let linux = v1::LinuxInfo {
        share_cgroups: Some(share_cgroups),
        ..Default::default()
    };
    v1::ContainerInfo {
        r#type: ContainerType::Mesos as i32,
        linux_info: Some(linux),
        ..Default::default()
    }
}

pub(super) fn within<T>(
    tables: &Tables,
    offer: &Resources,
    agent_capabilities: AgentCapabilities,
    check: impl FnOnce(&TaskContext<'_>) -> T,
) -> T {
    check(&TaskContext {
        framework_id: &"f".into(),
        agent_id: &"s".into(),
        agent_capabilities,
        offered: offer,
        known: tables,
    })
}

pub(super) const OFFER: &str = "cpus:4;mem:1024;disk:100;ports:[1-10]";

pub(super) fn check_at(
    info: &v1::TaskInfo,
    tables: &Tables,
    offer: &str,
) -> Result<Resources, String> {
    within(tables, &offered(offer), AgentCapabilities::ALL, |context| {
        task(info, context).map_err(|bad| bad.to_string())
    })
}

pub(super) fn says(base: v1::TaskInfo, change: impl FnOnce(&mut v1::TaskInfo)) -> String {
    let mut info = base;
    change(&mut info);
    said(check_at(&info, &Tables::default(), OFFER))
}

pub(super) fn volume(id: &str) -> v1::Resource {
    let mut wire = Resources::parse("disk(r):5", &Role::default())
        .map(|all| {
            all.allocated_to(&"r".into())
                .to_wire(ResourceFormat::PostRefinement)
        })
        .unwrap_or_default()
        .remove(0);
    let disk = v1::resource::DiskInfo {
        persistence: Some(v1::resource::disk_info::Persistence {
            id: id.to_owned(),
            principal: None,
        }),
        volume: Some(v1::Volume {
            container_path: "p".into(),
            ..Default::default()
        }),
        source: None,
    };
    wire.disk = Some(disk.into());
    wire
}

pub(super) fn revocable(text: &str) -> Vec<v1::Resource> {
    let mut list = resources(text);
    list.iter_mut()
        .for_each(|wire| wire.revocable = Some(Default::default()));
    list
}
