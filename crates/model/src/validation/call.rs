//! Scheduler and executor calls: the right sub-message for the type, ids and uuids of the right form.

use meseta_proto::mesos::v1;
use v1::{executor, scheduler};

use super::check::{InvalidCheck, check_status};
use crate::limits::{OFFERS_PER_CALL, OPERATIONS_PER_ACCEPT, TASKS_PER_ACCEPT};

/// Bytes of a uuid on the wire.
pub const UUID_BYTES: usize = 16;

/// Why a call is refused before anybody looks at what it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCall {
    /// A field that this type of call needs. A type nobody knows counts as absent.
    #[error("Expecting '{0}' to be present")]
    Missing(&'static str),
    /// SUBSCRIBE with two framework ids.
    #[error("'framework_id' differs from 'subscribe.framework_info.id'")]
    SubscribeIdsDiffer,
    /// UPDATE_FRAMEWORK with two framework ids.
    #[error("'framework_id' differs from 'update_framework.framework_info.id'")]
    UpdateIdsDiffer,
    /// SUBSCRIBE in somebody else's name.
    #[error(
        "Authenticated principal '{authenticated}' does not match principal '{stated}' set in \
         `FrameworkInfo`"
    )]
    PrincipalsDiffer {
        /// Who was authenticated.
        authenticated: String,
        /// Who the framework says it is.
        stated: String,
    },
    /// A uuid that is not [`UUID_BYTES`] long.
    #[error("Not a valid UUID")]
    BadUuid,
    /// More than a call may hold.
    #[error("More than {most} {of} in one call")]
    TooMany {
        /// The bound, from [`crate::limits`].
        most: usize,
        /// Of what.
        of: &'static str,
    },
    /// UPDATE for another executor.
    #[error("ExecutorID in Call: {call} does not match ExecutorID in TaskStatus: {status}")]
    ExecutorIdsDiffer {
        /// In the call.
        call: String,
        /// In its status.
        status: String,
    },
    /// UPDATE that pretends to come from elsewhere.
    #[error(
        "Received Call from executor {executor} of framework {framework} with invalid source, \
         expecting 'SOURCE_EXECUTOR'"
    )]
    BadSource {
        /// Whose call.
        executor: String,
        /// Of which framework.
        framework: String,
    },
    /// UPDATE to STAGING.
    #[error(
        "Received TASK_STAGING from executor {executor} of framework {framework} which is not \
         allowed"
    )]
    Staging {
        /// Whose call.
        executor: String,
        /// Of which framework.
        framework: String,
    },
    /// UPDATE with a check status of the wrong shape.
    #[error(transparent)]
    CheckStatus(#[from] InvalidCheck),
}

fn present<T>(field: Option<&T>, name: &'static str) -> Result<(), InvalidCall> {
    field.map(|_| ()).ok_or(InvalidCall::Missing(name))
}

fn at_most(count: usize, most: usize, of: &'static str) -> Result<(), InvalidCall> {
    if count > most {
        Err(InvalidCall::TooMany { most, of })
    } else {
        Ok(())
    }
}

/// Checks that these are the bytes of a uuid and hands them out.
///
/// # Errors
/// [`InvalidCall::BadUuid`] unless there are exactly sixteen.
pub fn uuid(bytes: &[u8]) -> Result<[u8; UUID_BYTES], InvalidCall> {
    bytes.try_into().map_err(|_| InvalidCall::BadUuid)
}

/// Checks a scheduler call and says what it is. `principal`: who was authenticated, if anybody.
/// UNKNOWN is valid here; the edge answers it 501.
///
/// # Errors
/// The first thing wrong with it; the edge puts `Failed to validate scheduler::Call: ` in front.
pub fn scheduler_call(
    call: &scheduler::Call,
    principal: Option<&str>,
) -> Result<scheduler::call::Type, InvalidCall> {
    use scheduler::call::Type;
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok());
    let kind = kind.ok_or(InvalidCall::Missing("type"))?;
    if kind == Type::Subscribe {
        return subscribe(call, principal).map(|()| kind);
    }
    present(call.framework_id.as_ref(), "framework_id")?;
    match kind {
        Type::Unknown | Type::Subscribe | Type::Teardown | Type::Revive | Type::Suppress => Ok(()),
        Type::Accept => accept(call.accept.as_ref()),
        Type::Decline => {
            present(call.decline.as_ref(), "decline")?;
            let offers = call
                .decline
                .as_ref()
                .map_or(0, |decline| decline.offer_ids.len());
            at_most(offers, OFFERS_PER_CALL, "offers")
        }
        Type::AcceptInverseOffers => {
            present(call.accept_inverse_offers.as_ref(), "accept_inverse_offers")
        }
        Type::DeclineInverseOffers => present(
            call.decline_inverse_offers.as_ref(),
            "decline_inverse_offers",
        ),
        Type::Kill => present(call.kill.as_ref(), "kill"),
        Type::Shutdown => present(call.shutdown.as_ref(), "shutdown"),
        Type::Acknowledge => {
            let acknowledge = call.acknowledge.as_ref();
            let acknowledge = acknowledge.ok_or(InvalidCall::Missing("acknowledge"))?;
            uuid(&acknowledge.uuid).map(|_| ())
        }
        Type::AcknowledgeOperationStatus => {
            let field = call.acknowledge_operation_status.as_ref();
            let field = field.ok_or(InvalidCall::Missing("acknowledge_operation_status"))?;
            uuid(&field.uuid)?;
            present(field.agent_id.as_ref(), "agent_id")
        }
        Type::Reconcile => present(call.reconcile.as_ref(), "reconcile"),
        Type::ReconcileOperations => {
            present(call.reconcile_operations.as_ref(), "reconcile_operations")
        }
        Type::Message => present(call.message.as_ref(), "message"),
        Type::Request => present(call.request.as_ref(), "request"),
        Type::UpdateFramework => update_framework(call),
    }?;
    Ok(kind)
}

fn subscribe(call: &scheduler::Call, principal: Option<&str>) -> Result<(), InvalidCall> {
    let subscribe = call
        .subscribe
        .as_ref()
        .ok_or(InvalidCall::Missing("subscribe"))?;
    let info = &subscribe.framework_info;
    if framework_id(info.id.as_ref()) != framework_id(call.framework_id.as_ref()) {
        return Err(InvalidCall::SubscribeIdsDiffer);
    }
    match (principal, info.principal.as_deref()) {
        (Some(authenticated), Some(stated)) if authenticated != stated => {
            Err(InvalidCall::PrincipalsDiffer {
                authenticated: authenticated.to_owned(),
                stated: stated.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// compat: an absent id equals an empty one.
fn framework_id(id: Option<&v1::FrameworkId>) -> &str {
    id.map_or("", |id| &id.value)
}

fn accept(accept: Option<&scheduler::call::Accept>) -> Result<(), InvalidCall> {
    let accept = accept.ok_or(InvalidCall::Missing("accept"))?;
    at_most(accept.offer_ids.len(), OFFERS_PER_CALL, "offers")?;
    at_most(accept.operations.len(), OPERATIONS_PER_ACCEPT, "operations")?;
    let tasks = |operation: &v1::offer::Operation| {
        let single = operation
            .launch
            .as_ref()
            .map_or(0, |launch| launch.task_infos.len());
        let group = operation
            .launch_group
            .as_ref()
            .map_or(0, |l| l.task_group.tasks.len());
        single + group
    };
    at_most(
        accept.operations.iter().map(tasks).sum(),
        TASKS_PER_ACCEPT,
        "tasks",
    )
}

fn update_framework(call: &scheduler::Call) -> Result<(), InvalidCall> {
    let update = call.update_framework.as_ref();
    let update = update.ok_or(InvalidCall::Missing("update_framework"))?;
    if framework_id(call.framework_id.as_ref()) != framework_id(update.framework_info.id.as_ref()) {
        return Err(InvalidCall::UpdateIdsDiffer);
    }
    Ok(())
}

/// Checks an executor call and says what it is. UNKNOWN is valid here; the edge answers it 501.
///
/// # Errors
/// The first thing wrong with it; the edge puts `Failed to validate executor::Call: ` in front.
pub fn executor_call(call: &executor::Call) -> Result<executor::call::Type, InvalidCall> {
    use executor::call::Type;
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok());
    let kind = kind.ok_or(InvalidCall::Missing("type"))?;
    match kind {
        Type::Unknown | Type::Heartbeat => Ok(()),
        Type::Subscribe => present(call.subscribe.as_ref(), "subscribe"),
        Type::Update => {
            let update = call.update.as_ref().ok_or(InvalidCall::Missing("update"))?;
            executor_update(call, &update.status)
        }
        Type::Message => present(call.message.as_ref(), "message"),
    }?;
    Ok(kind)
}

fn executor_update(call: &executor::Call, status: &v1::TaskStatus) -> Result<(), InvalidCall> {
    uuid(status.uuid.as_ref().ok_or(InvalidCall::Missing("uuid"))?)?;
    let (executor, framework) = (&call.executor_id.value, &call.framework_id.value);
    let other = status
        .executor_id
        .as_ref()
        .filter(|id| id.value != *executor);
    if let Some(other) = other {
        return Err(InvalidCall::ExecutorIdsDiffer {
            call: executor.clone(),
            status: other.value.clone(),
        });
    }
    let (executor, framework) = (executor.clone(), framework.clone());
    if status.source != Some(v1::task_status::Source::Executor as i32) {
        return Err(InvalidCall::BadSource {
            executor,
            framework,
        });
    }
    if status.state() == v1::TaskState::TaskStaging {
        return Err(InvalidCall::Staging {
            executor,
            framework,
        });
    }
    status
        .check_status
        .as_ref()
        .map_or(Ok(()), |status| Ok(check_status(status)?))
}
