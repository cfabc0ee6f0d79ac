//! The operator API's views of what an agent runs.

use std::sync::Arc;

use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::agent::response::{
    GetContainers, GetExecutors, GetFrameworks, GetState, GetTasks, get_containers, get_executors,
    get_frameworks,
};

use super::Usage;
use crate::compose::{Compose, Composed, Whole};
use crate::negotiate::MediaType;
use crate::read::{AgentRead, RunRead, Task};

/// The body of GET_TASKS.
pub(super) fn get_tasks(read: &AgentRead, media_type: MediaType) -> Composed {
    let all =
        |list: fn(&RunRead) -> &Vec<Arc<Task>>| read.runs().flat_map(list).map(|task| &**task);
    Compose::new::<GetTasks>(media_type)
        .list("queued_tasks", all(|run| &run.queued))
        .list("launched_tasks", all(|run| &run.launched))
        .list("terminated_tasks", all(|run| &run.terminated))
        .list("completed_tasks", all(|run| &run.completed_tasks))
        .finish()
}

/// The body of GET_EXECUTORS.
pub(super) fn get_executors(read: &AgentRead) -> GetExecutors {
    let all = |completed: bool| {
        let runs = read.runs().filter(move |run| run.completed == completed);
        let views = runs.map(|run| get_executors::Executor {
            executor_info: run.view.info.clone(),
        });
        views.collect()
    };
    GetExecutors {
        executors: all(false),
        completed_executors: all(true),
    }
}

/// The body of GET_FRAMEWORKS.
pub(super) fn get_frameworks(read: &AgentRead) -> GetFrameworks {
    let all = |completed: bool| {
        let workloads = read.workloads.iter();
        let workloads = workloads.filter(move |workload| workload.completed == completed);
        let views = workloads.map(|workload| get_frameworks::Framework {
            framework_info: (*workload.info).clone(),
        });
        views.collect()
    };
    GetFrameworks {
        frameworks: all(false),
        completed_frameworks: all(true),
    }
}

/// The body of GET_CONTAINERS.
pub(super) fn get_containers(
    read: &AgentRead,
    usage: impl Fn(&ContainerId) -> Option<Usage>,
) -> GetContainers {
    let runs = read.runs().filter(|run| !run.completed);
    let containers = runs.map(|run| {
        let usage = usage(&run.view.container_id);
        let (status, statistics) = match usage {
            Some(usage) => (Some(usage.status), Some(usage.statistics)),
            None => (None, None),
        };
        get_containers::Container {
            framework_id: Some(run.view.framework.to_wire()),
            executor_id: Some(run.view.info.executor_id.clone()),
            executor_name: Some(run.view.info.name().to_owned()),
            container_id: run.view.container_id.to_wire(),
            container_status: status,
            resource_statistics: statistics,
        }
    });
    GetContainers {
        containers: containers.collect(),
    }
}

/// The body of GET_STATE.
pub(super) fn get_state(read: &AgentRead, media_type: MediaType) -> Composed {
    Compose::new::<GetState>(media_type)
        .message("get_tasks", &get_tasks(read, media_type))
        .message("get_executors", &Whole(get_executors(read)))
        .message("get_frameworks", &Whole(get_frameworks(read)))
        .finish()
}
