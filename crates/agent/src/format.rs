//! The two ways to write reservations. Inside the agent there is one, the newer; to masters and to
//! disk goes the older, as Mesos does, so that peers and versions of any age can read it.

use meseta_model::resources::{InvalidResources, ResourceFormat, Resources, reformat};
use meseta_proto::mesos::{internal, v1};
use meseta_proto::slave_info::{to_agent_info, to_slave_info};

/// To the form the agent works with.
///
/// # Errors
/// The first resource that makes no sense.
pub(crate) fn upgrade(resources: &mut [v1::Resource]) -> Result<(), InvalidResources> {
    reformat(resources, ResourceFormat::PostRefinement)
}

/// To the form that goes out. What the agent holds is valid, so it always succeeds; refined
/// reservations, which the older form cannot say, stay in the newer.
fn downgrade(resources: &mut [v1::Resource]) {
    let refined = reformat(resources, ResourceFormat::PreRefinement);
    debug_assert!(refined.is_ok(), "{refined:?}");
}

pub(crate) fn old_list(resources: &Resources) -> Vec<v1::Resource> {
    resources.to_wire(ResourceFormat::PreRefinement)
}

pub(crate) fn old_task(task: &v1::Task) -> v1::Task {
    let mut task = task.clone();
    downgrade(&mut task.resources);
    task
}

pub(crate) fn old_executor(info: &v1::ExecutorInfo) -> v1::ExecutorInfo {
    let mut info = info.clone();
    downgrade(&mut info.resources);
    info
}

/// The agent's description as peers of the older protocol know it.
pub(crate) fn slave_info(info: &v1::AgentInfo) -> internal::SlaveInfo {
    let mut info = info.clone();
    downgrade(&mut info.resources);
    to_slave_info(info, true)
}

/// The description that a `slave.info` file holds.
pub(crate) fn agent_info(info: internal::SlaveInfo) -> Result<v1::AgentInfo, InvalidResources> {
    let mut info = to_agent_info(info);
    upgrade(&mut info.resources)?;
    Ok(info)
}
