//! Whether a caller may do what it asks (design decision 13). Today everyone may; the questions are
//! asked in one place each, so that access lists will not touch the handlers.

use meseta_model::caller::{Action, Caller, Object, permits};
use meseta_model::edge::{Refusal, RefusalKind};
use meseta_proto::mesos::v1;

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
