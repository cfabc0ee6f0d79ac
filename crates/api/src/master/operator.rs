//! `/api/v1` of a master. The order of the checks is Mesos's: leader, method, body, validity, Accept.

use std::sync::Arc;

use http::{Method, StatusCode};
use meseta_master::event::{Event, OperatorCall, Question};
use meseta_model::caller::Caller;
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_model::roles::Role;
use meseta_proto::mesos::v1::master::call::Type;
use meseta_proto::mesos::v1::master::{Call, Response, response};

use super::{Master, views};
use crate::answer::Answer;
use crate::codec::Endpoint;
use crate::negotiate::MediaType;
use crate::query::Query;
use crate::reply::{self, Reply};
use crate::server::Request;
use crate::{codec, logging, negotiate, version};

pub(super) async fn answer(master: &Arc<Master>, request: Request) -> Answer {
    match try_answer(master, request).await {
        Ok(answer) | Err(answer) => answer,
    }
}

async fn try_answer(master: &Arc<Master>, request: Request) -> Result<Answer, Answer> {
    master.lead.check(&request.target)?;
    if request.method != Method::POST {
        return Err(Answer::method_not_allowed(&[Method::POST], &request.method));
    }
    let media_type = negotiate::content_type(&request.headers)?;
    let call: Call = codec::call(Endpoint::Call, media_type, &request.body)?;
    let kind = validate(&call)
        .map_err(|why| Answer::bad_request(format!("Failed to validate master::Call: {why}")))?;
    let accept = negotiate::accept(&request.headers)?;
    if let Some(asked) = for_core(&call, kind) {
        let event = |request| Event::OperatorCalled {
            request,
            caller: Caller::default(),
            call: asked,
        };
        let mut asked = master.pending.ask(&master.events, event)?;
        return Ok(asked.answer_in(accept).await);
    }
    match kind {
        Type::Subscribe => Ok(master.subscribers.open(master, accept, request.cut)),
        Type::ListFiles | Type::ReadFile => files(master, call, accept).await,
        Type::SetLoggingLevel => {
            let wanted = call.set_logging_level.unwrap_or_default();
            let duration = logging::nanoseconds(wanted.duration.nanoseconds);
            master.config.logs.verbosity.set(wanted.level, duration);
            Ok(Answer::empty(StatusCode::OK))
        }
        _ => read(master, kind, accept),
    }
}

/// The parts that calls need, as Mesos's `master/validation.cpp` names them.
#[expect(
    deprecated,
    reason = "older clients send these, and get a refusal by name"
)]
fn validate(call: &Call) -> Result<Type, String> {
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok());
    let Some(kind) = kind else {
        return Err("Expecting 'type' to be present".to_owned());
    };
    let (field, present) = match kind {
        Type::GetMetrics => ("get_metrics", call.get_metrics.is_some()),
        Type::SetLoggingLevel => ("set_logging_level", call.set_logging_level.is_some()),
        Type::ListFiles => ("list_files", call.list_files.is_some()),
        Type::ReadFile => ("read_file", call.read_file.is_some()),
        Type::UpdateWeights => ("update_weights", call.update_weights.is_some()),
        Type::ReserveResources => ("reserve_resources", call.reserve_resources.is_some()),
        Type::UnreserveResources => ("unreserve_resources", call.unreserve_resources.is_some()),
        Type::CreateVolumes => ("create_volumes", call.create_volumes.is_some()),
        Type::DestroyVolumes => ("destroy_volumes", call.destroy_volumes.is_some()),
        Type::GrowVolume => ("grow_volume", call.grow_volume.is_some()),
        Type::ShrinkVolume => ("shrink_volume", call.shrink_volume.is_some()),
        Type::UpdateMaintenanceSchedule => (
            "update_maintenance_schedule",
            call.update_maintenance_schedule.is_some(),
        ),
        Type::StartMaintenance => ("start_maintenance", call.start_maintenance.is_some()),
        Type::StopMaintenance => ("stop_maintenance", call.stop_maintenance.is_some()),
        Type::DrainAgent => ("drain_agent", call.drain_agent.is_some()),
        Type::DeactivateAgent => ("deactivate_agent", call.deactivate_agent.is_some()),
        Type::ReactivateAgent => ("reactivate_agent", call.reactivate_agent.is_some()),
        Type::UpdateQuota => ("update_quota", call.update_quota.is_some()),
        Type::SetQuota => ("set_quota", call.set_quota.is_some()),
        Type::RemoveQuota => ("remove_quota", call.remove_quota.is_some()),
        Type::Teardown => ("teardown", call.teardown.is_some()),
        Type::MarkAgentGone => ("mark_agent_gone", call.mark_agent_gone.is_some()),
        Type::KillTask => ("kill_task", call.kill_task.is_some()),
        _ => ("", true),
    };
    if present {
        Ok(kind)
    } else {
        Err(format!("Expecting '{field}' to be present"))
    }
}

/// What the core is asked to change, or to say, if the call is of that kind.
fn for_core(call: &Call, kind: Type) -> Option<OperatorCall> {
    match kind {
        Type::Teardown => {
            let id = FrameworkId::from(&call.teardown.as_ref()?.framework_id);
            Some(OperatorCall::Teardown(id))
        }
        Type::MarkAgentGone => {
            let id = AgentId::from(&call.mark_agent_gone.as_ref()?.agent_id);
            Some(OperatorCall::MarkAgentGone(id))
        }
        Type::KillTask => {
            let kill = call.kill_task.as_ref()?;
            Some(OperatorCall::KillTask {
                framework: FrameworkId::from(&kill.framework_id),
                task: TaskId::from(&kill.task_id),
                policy: kill.kill_policy,
            })
        }
        Type::ExplainOffers => {
            let asked = call.explain_offers.clone().unwrap_or_default();
            Some(OperatorCall::ExplainOffers(Question {
                framework: asked.framework_id.as_ref().map(FrameworkId::from),
                role: asked.role.as_deref().map(Role::from),
                agent: asked.agent_id.as_ref().map(AgentId::from),
                list: asked.list(),
            }))
        }
        _ => None,
    }
}

/// Answers what changes nothing, and refuses by name what Meseta does not do yet.
fn read(master: &Master, kind: Type, accept: MediaType) -> Result<Answer, Answer> {
    let model = &master.model;
    let reply = reply(kind, accept);
    Ok(match kind {
        Type::GetHealth => reply.whole("get_health", response::GetHealth { healthy: true }),
        Type::GetFlags => {
            let flags = reply::flags(&master.config.flags);
            reply.whole("get_flags", response::GetFlags { flags })
        }
        Type::GetVersion => {
            let version_info = version::info();
            reply.whole("get_version", response::GetVersion { version_info })
        }
        Type::GetMetrics => {
            let metrics = reply::metrics(master.metrics());
            reply.whole("get_metrics", response::GetMetrics { metrics })
        }
        Type::GetLoggingLevel => {
            let level = master.config.logs.verbosity.level();
            reply.whole("get_logging_level", response::GetLoggingLevel { level })
        }
        Type::GetState => reply.with("get_state", &views::get_state(&model.read(), accept)),
        Type::GetAgents => {
            reply.whole("get_agents", views::get_agents(&model.read_without_tasks()))
        }
        Type::GetFrameworks => reply.whole(
            "get_frameworks",
            views::get_frameworks(&model.read_without_tasks()),
        ),
        Type::GetExecutors => reply.whole(
            "get_executors",
            views::get_executors(&model.read_without_tasks()),
        ),
        Type::GetOperations => {
            let operations = model.operations();
            let operations = operations.iter().map(|operation| (**operation).clone());
            let operations = operations.collect();
            reply.whole("get_operations", response::GetOperations { operations })
        }
        Type::GetTasks => reply.with("get_tasks", &views::get_tasks(&model.read(), accept)),
        Type::GetRoles => reply.whole("get_roles", views::get_roles(&model.read_without_tasks())),
        Type::GetWeights => match views::get_weights(&model.read_without_tasks()) {
            Some(weights) => reply.whole("get_weights", weights),
            // Mesos says nothing at all then.
            None => reply.bare(),
        },
        Type::GetMaster => reply.whole("get_master", get_master(master)),
        Type::GetMaintenanceStatus => reply.whole(
            "get_maintenance_status",
            response::GetMaintenanceStatus::default(),
        ),
        Type::GetMaintenanceSchedule => reply.whole(
            "get_maintenance_schedule",
            response::GetMaintenanceSchedule::default(),
        ),
        Type::GetQuota => reply.whole("get_quota", response::GetQuota::default()),
        Type::Unknown => return Err(Answer::not_implemented("501 Not Implemented.")),
        _ => return Err(reply.later()),
    })
}

/// An answer of the call's own type.
fn reply(kind: Type, accept: MediaType) -> Reply<Response> {
    let name = kind.as_str_name();
    let number = response::Type::from_str_name(name).unwrap_or_default();
    Reply::new(name, number as i32, accept)
}

fn get_master(master: &Master) -> response::GetMaster {
    let read = master.model.read_without_tasks();
    let view = read.master.as_deref();
    response::GetMaster {
        master_info: view.map(|view| view.info.clone()),
        start_time: view.map(|view| view.start_time),
        elected_time: view.map(|view| view.elected_time),
    }
}

async fn files(master: &Arc<Master>, call: Call, accept: MediaType) -> Result<Answer, Answer> {
    let kind = call.r#type();
    let reply = reply(kind, accept);
    if let Some(call) = call.list_files {
        let file_infos = master.files.list(call.path).await?;
        return Ok(reply.whole("list_files", response::ListFiles { file_infos }));
    }
    let Some(call) = call.read_file else {
        return Err(Answer::bad_request("Expecting 'read_file' to be present"));
    };
    let part = master
        .files
        .read(call.path, call.offset, call.length)
        .await?;
    let read_file = response::ReadFile {
        size: part.size,
        data: part.data.into(),
    };
    Ok(reply.whole("read_file", read_file))
}

/// `POST /teardown` with `frameworkId=…`, the older form of TEARDOWN.
pub(super) async fn teardown(master: &Arc<Master>, request: Request) -> Answer {
    if let Err(elsewhere) = master.lead.check(&request.target) {
        return elsewhere;
    }
    if request.method != Method::POST {
        return Answer::method_not_allowed(&[Method::POST], &request.method);
    }
    let form = Query::parse(&String::from_utf8_lossy(&request.body));
    let Some(id) = form.get("frameworkId") else {
        return Answer::bad_request("Missing 'frameworkId' query parameter in the request body");
    };
    let call = OperatorCall::Teardown(FrameworkId::from(id));
    let event = |request| Event::OperatorCalled {
        request,
        caller: Caller::default(),
        call,
    };
    match master.pending.ask(&master.events, event) {
        Ok(mut asked) => asked.answer().await,
        Err(refused) => refused,
    }
}
