//! The operator API's views of agents, frameworks, executors, tasks and roles.

use meseta_master::view::FrameworkState;
use meseta_model::resources::{ResourceFormat, ResourceName, Resources, Scalar};
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::master::response::{
    GetAgents, GetExecutors, GetFrameworks, GetRoles, GetState, GetTasks, GetWeights, get_agents,
    get_executors, get_frameworks,
};

use super::roles;
use crate::compose::{Compose, Composed, Whole};
use crate::negotiate::MediaType;
use crate::read::{Agent, Framework, FrameworkRead, MasterRead, Task};

/// A time of a view, in nanoseconds. Mesos computes it from a double, so that the last digits differ
/// from the original.
fn time(seconds: f64) -> v1::TimeInfo {
    v1::TimeInfo {
        nanoseconds: (seconds * 1e9) as i64,
    }
}

fn shown(resources: &Resources) -> Vec<v1::Resource> {
    resources.to_wire(ResourceFormat::Endpoint)
}

/// An agent, for GET_AGENTS and AGENT_ADDED.
pub(super) fn agent(agent: &Agent) -> get_agents::Agent {
    let view = &agent.view;
    get_agents::Agent {
        agent_info: view.info.clone(),
        active: view.active,
        deactivated: Some(false),
        version: view.version.clone(),
        pid: Some(view.pid.clone()),
        registered_time: Some(time(view.registered_time)),
        reregistered_time: view.reregistered_time.map(time),
        total_resources: shown(&agent.total),
        allocated_resources: shown(&agent.used),
        offered_resources: shown(&agent.offered),
        capabilities: view.capabilities.clone(),
        ..Default::default()
    }
}

/// A framework, for GET_FRAMEWORKS and the events about frameworks.
pub(super) fn framework(
    framework: &Framework,
    offers: Vec<v1::Offer>,
) -> get_frameworks::Framework {
    let view = &framework.view;
    get_frameworks::Framework {
        framework_info: view.info.clone(),
        active: view.active,
        connected: view.connected,
        recovered: view.state == FrameworkState::Recovered,
        registered_time: Some(time(view.registered_time)),
        reregistered_time: Some(time(view.reregistered_time)),
        unregistered_time: view.unregistered_time.map(time),
        offers,
        allocated_resources: shown(&framework.used),
        offered_resources: shown(&framework.offered),
        offer_constraints: Some(Default::default()),
        ..Default::default()
    }
}

fn is_completed(known: &FrameworkRead) -> bool {
    known.framework.view.state == FrameworkState::Completed
}

/// The body of GET_TASKS.
pub(super) fn get_tasks(read: &MasterRead, media_type: MediaType) -> Composed {
    let all = |list: fn(&FrameworkRead) -> &Vec<std::sync::Arc<Task>>| {
        read.frameworks.iter().flat_map(list).map(|task| &**task)
    };
    Compose::new::<GetTasks>(media_type)
        .list("tasks", all(|known| &known.active))
        .list("unreachable_tasks", all(|known| &known.unreachable))
        .list("completed_tasks", all(|known| &known.completed))
        .finish()
}

/// The body of GET_EXECUTORS.
pub(super) fn get_executors(read: &MasterRead) -> GetExecutors {
    let executors = read.frameworks.iter().flat_map(|known| &known.executors);
    let executors = executors.map(|executor| get_executors::Executor {
        executor_info: executor.info.clone(),
        agent_id: executor.agent.to_wire(),
    });
    GetExecutors {
        executors: executors.collect(),
        ..Default::default()
    }
}

/// The body of GET_FRAMEWORKS.
pub(super) fn get_frameworks(read: &MasterRead) -> GetFrameworks {
    let view = |known: &FrameworkRead| {
        let offers = known.offers.iter().map(|offer| offer.offer.clone());
        framework(&known.framework, offers.collect())
    };
    let (completed, frameworks): (Vec<_>, Vec<_>) = read
        .frameworks
        .iter()
        .partition(|known| is_completed(known));
    GetFrameworks {
        frameworks: frameworks.into_iter().map(view).collect(),
        completed_frameworks: completed.into_iter().map(view).collect(),
        ..Default::default()
    }
}

/// The body of GET_AGENTS.
pub(super) fn get_agents(read: &MasterRead) -> GetAgents {
    let (recovered, agents): (Vec<_>, Vec<_>) =
        read.agents.iter().partition(|agent| agent.view.recovered);
    let recovered = recovered.into_iter();
    GetAgents {
        agents: agents.into_iter().map(|known| agent(known)).collect(),
        recovered_agents: recovered.map(|agent| agent.view.info.clone()).collect(),
    }
}

/// The body of GET_STATE.
pub(super) fn get_state(read: &MasterRead, media_type: MediaType) -> Composed {
    Compose::new::<GetState>(media_type)
        .message("get_tasks", &get_tasks(read, media_type))
        .message("get_executors", &Whole(get_executors(read)))
        .message("get_frameworks", &Whole(get_frameworks(read)))
        .message("get_agents", &Whole(get_agents(read)))
        .finish()
}

/// The body of GET_WEIGHTS, if any was set.
pub(super) fn get_weights(read: &MasterRead) -> Option<GetWeights> {
    let master = read.master.as_ref()?;
    let infos = master.weights.iter().map(|(role, weight)| v1::WeightInfo {
        weight: *weight,
        role: Some(role.clone()),
    });
    (!master.weights.is_empty()).then(|| GetWeights {
        weight_infos: infos.collect(),
    })
}

/// The body of GET_ROLES.
pub(super) fn get_roles(read: &MasterRead) -> GetRoles {
    let roles = roles::known(read).into_iter().map(|(name, role)| {
        let mut both = role.allocated.quantities();
        both.add(&role.offered.quantities());
        let mut resources: Vec<v1::Resource> = both.iter().map(scalar).collect();
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        v1::Role {
            name: name.as_str().to_owned(),
            weight: roles::weight(read, name.as_str()),
            frameworks: role.frameworks.iter().map(|id| id.to_wire()).collect(),
            resources,
        }
    });
    GetRoles {
        roles: roles.collect(),
    }
}

fn scalar((name, quantity): (&ResourceName, Scalar)) -> v1::Resource {
    let value = quantity.to_f64();
    v1::Resource {
        name: name.to_string(),
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    }
}
