//! Whether a caller may do what it asks (design decision 13). Today everyone may; the questions are
//! asked in one place each, so that access lists will not touch the handlers.

use meseta_model::caller::{Action, Caller, Object, permits};
use meseta_model::edge::{Refusal, RefusalKind};
use meseta_model::resources::Resources;
use meseta_model::roles::Role;
use meseta_proto::mesos::v1;
use v1::offer::Operation;
use v1::offer::operation::Type;

use crate::frameworks::Framework;

/// Whether a framework may subscribe, or be changed, in all of its roles.
pub(crate) fn subscribe(caller: &Caller, info: &v1::FrameworkInfo) -> Result<(), String> {
    let roles = meseta_model::validation::roles(info);
    let forbidden = roles.iter().find(|role| {
        let object = Object::Framework {
            principal: info.principal.as_deref(),
            role: role.as_str(),
        };
        !permits(caller, Action::RegisterFramework, &object)
    });
    forbidden.map_or(Ok(()), |role| {
        Err(format!("Not authorized to use role '{role}'"))
    })
}

/// Whether an operator may end this framework, or one of its tasks.
pub(crate) fn teardown(caller: &Caller, framework: &Framework) -> Result<(), Refusal> {
    let allowed = framework.roles.iter().all(|role| {
        let object = Object::Framework {
            principal: framework.info.principal.as_deref(),
            role: role.as_str(),
        };
        permits(caller, Action::TeardownFramework, &object)
    });
    let text = || format!("Not authorized to tear down framework '{}'", framework.id);
    allowed
        .then_some(())
        .ok_or_else(|| Refusal::new(RefusalKind::Forbidden, text()))
}

/// Whether an operator may see a framework, and what it does in this role.
pub(crate) fn view(caller: &Caller, framework: &Framework, role: &Role) -> bool {
    let object = Object::Framework {
        principal: framework.info.principal.as_deref(),
        role: role.as_str(),
    };
    permits(caller, Action::ViewFramework, &object)
}

/// Whether somebody may join the cluster as an agent, or come back as one.
///
/// compat: who may not is ignored, never told (semantic 89): the agent might be somebody else's.
pub(crate) fn register_agent(caller: &Caller) -> bool {
    permits(caller, Action::RegisterAgent, &Object::Any)
}

/// Whether an operator may declare agents gone.
pub(crate) fn mark_agent_gone(caller: &Caller) -> Result<(), Refusal> {
    let allowed = permits(caller, Action::MarkAgentGone, &Object::Any);
    let text = "Not authorized to mark agents gone";
    allowed
        .then_some(())
        .ok_or_else(|| Refusal::new(RefusalKind::Forbidden, text))
}

/// Whether a framework may run a task as the user that it names.
///
/// compat: it is the framework's principal that is asked about, whoever sent the call.
pub(crate) fn run(framework: &Framework, task: &v1::TaskInfo) -> Result<(), String> {
    let caller = Caller {
        principal: framework.info.principal.clone(),
        ..Caller::default()
    };
    let executor = task
        .executor
        .as_ref()
        .and_then(|executor| executor.command.as_ref());
    let command = task.command.as_ref().or(executor);
    let named = command.and_then(|command| command.user.as_deref());
    let user = named.unwrap_or(&framework.info.user);
    if permits(&caller, Action::RunTask, &Object::User(user)) {
        Ok(())
    } else {
        Err(format!("Not authorized to launch as user '{user}'"))
    }
}

/// Whether a framework may do this to the resources that an operation names.
///
/// compat: it is the framework's principal that is asked about, whoever sent the call.
pub(crate) fn operate(framework: &Framework, operation: &Operation) -> Result<(), String> {
    let Some((action, wire)) = deed(operation) else {
        return Ok(());
    };
    let caller = Caller {
        principal: framework.info.principal.clone(),
        ..Caller::default()
    };
    let resources = Resources::from_wire(wire).map_err(|why| why.to_string())?;
    let forbidden = resources.iter().find(|resource| {
        let role = resource.reservation_role();
        let object = role.map_or(Object::Any, |role| Object::Role(role.as_str()));
        !permits(&caller, action, &object)
    });
    let kind = operation.r#type().as_str_name();
    forbidden.map_or(Ok(()), |resource| {
        Err(format!("Not authorized to {kind} {resource}"))
    })
}

/// What an operation is in the words of access lists, and what it is done to.
fn deed(operation: &Operation) -> Option<(Action, &[v1::Resource])> {
    use std::slice::from_ref;
    Some(match operation.r#type() {
        Type::Reserve => {
            let reserve = operation.reserve.as_ref()?;
            (Action::ReserveResources, &reserve.resources)
        }
        Type::Unreserve => {
            let unreserve = operation.unreserve.as_ref()?;
            (Action::UnreserveResources, &unreserve.resources)
        }
        Type::Create => (Action::CreateVolume, &operation.create.as_ref()?.volumes),
        Type::Destroy => (Action::DestroyVolume, &operation.destroy.as_ref()?.volumes),
        Type::GrowVolume => {
            let grow = operation.grow_volume.as_ref()?;
            (Action::ResizeVolume, from_ref(&grow.volume))
        }
        Type::ShrinkVolume => {
            let shrink = operation.shrink_volume.as_ref()?;
            (Action::ResizeVolume, from_ref(&shrink.volume))
        }
        Type::CreateDisk => {
            let create = operation.create_disk.as_ref()?;
            (Action::CreateDisk, from_ref(&create.source))
        }
        Type::DestroyDisk => {
            let destroy = operation.destroy_disk.as_ref()?;
            (Action::DestroyDisk, from_ref(&destroy.source))
        }
        Type::Unknown | Type::Launch | Type::LaunchGroup => return None,
    })
}
