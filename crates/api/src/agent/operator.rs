//! `/api/v1` of an agent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use meseta_proto::mesos::v1::agent::call::Type;
use meseta_proto::mesos::v1::agent::{Call, Response, response};

use super::{Agent, views};
use crate::answer::Answer;
use crate::codec::Endpoint;
use crate::negotiate::MediaType;
use crate::reply::{self, Reply};
use crate::server::Request;
use crate::{codec, logging, negotiate, version};

pub(super) async fn answer(agent: &Arc<Agent>, request: Request) -> Answer {
    match try_answer(agent, request).await {
        Ok(answer) | Err(answer) => answer,
    }
}

async fn try_answer(agent: &Arc<Agent>, request: Request) -> Result<Answer, Answer> {
    if !agent.recovered.load(Ordering::Acquire) {
        return Err(Answer::unavailable("Agent has not finished recovery"));
    }
    if request.method != Method::POST {
        return Err(Answer::method_not_allowed(&[Method::POST], &request.method));
    }
    let media_type = negotiate::content_type(&request.headers)?;
    let call: Call = codec::call(Endpoint::Agent, media_type, &request.body)?;
    let kind = validate(&call)
        .map_err(|why| Answer::bad_request(format!("Failed to validate agent::Call: {why}")))?;
    let accept = negotiate::accept(&request.headers)?;
    match kind {
        Type::ListFiles | Type::ReadFile => files(agent, call, accept).await,
        Type::SetLoggingLevel => {
            let wanted = call.set_logging_level.unwrap_or_default();
            let duration = logging::nanoseconds(wanted.duration.nanoseconds);
            agent.config.logs.verbosity.set(wanted.level, duration);
            Ok(Answer::empty(StatusCode::OK))
        }
        _ => read(agent, kind, accept),
    }
}

/// The parts that calls need, as Mesos's `slave/validation.cpp` names them.
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
        Type::LaunchNestedContainer => (
            "launch_nested_container",
            call.launch_nested_container.is_some(),
        ),
        Type::WaitNestedContainer => (
            "wait_nested_container",
            call.wait_nested_container.is_some(),
        ),
        Type::KillNestedContainer => (
            "kill_nested_container",
            call.kill_nested_container.is_some(),
        ),
        Type::RemoveNestedContainer => (
            "remove_nested_container",
            call.remove_nested_container.is_some(),
        ),
        Type::LaunchNestedContainerSession => (
            "launch_nested_container_session",
            call.launch_nested_container_session.is_some(),
        ),
        Type::AttachContainerInput => (
            "attach_container_input",
            call.attach_container_input.is_some(),
        ),
        Type::AttachContainerOutput => (
            "attach_container_output",
            call.attach_container_output.is_some(),
        ),
        Type::LaunchContainer => ("launch_container", call.launch_container.is_some()),
        Type::WaitContainer => ("wait_container", call.wait_container.is_some()),
        Type::KillContainer => ("kill_container", call.kill_container.is_some()),
        Type::RemoveContainer => ("remove_container", call.remove_container.is_some()),
        _ => ("", true),
    };
    if present {
        Ok(kind)
    } else {
        Err(format!("Expecting '{field}' to be present"))
    }
}

/// Answers what changes nothing, and refuses by name what Meseta does not do yet.
fn read(agent: &Agent, kind: Type, accept: MediaType) -> Result<Answer, Answer> {
    let reply = reply(kind, accept);
    let model = || agent.model.read();
    Ok(match kind {
        Type::GetHealth => reply.whole("get_health", response::GetHealth { healthy: true }),
        Type::GetFlags => {
            let flags = reply::flags(&agent.config.flags);
            reply.whole("get_flags", response::GetFlags { flags })
        }
        Type::GetVersion => {
            let version_info = version::info();
            reply.whole("get_version", response::GetVersion { version_info })
        }
        Type::GetMetrics => {
            let metrics = reply::metrics(agent.metrics());
            reply.whole("get_metrics", response::GetMetrics { metrics })
        }
        Type::GetLoggingLevel => {
            let level = agent.config.logs.verbosity.level();
            reply.whole("get_logging_level", response::GetLoggingLevel { level })
        }
        Type::GetState => reply.with("get_state", &views::get_state(&model(), accept)),
        Type::GetContainers => {
            // Nested and standalone ones are shown as asked for: there are none of either.
            let usage = |id: &_| agent.usage(id);
            reply.whole("get_containers", views::get_containers(&model(), usage))
        }
        Type::GetFrameworks => reply.whole("get_frameworks", views::get_frameworks(&model())),
        Type::GetExecutors => reply.whole("get_executors", views::get_executors(&model())),
        Type::GetOperations => reply.whole("get_operations", response::GetOperations::default()),
        Type::GetTasks => reply.with("get_tasks", &views::get_tasks(&model(), accept)),
        Type::GetAgent => {
            let agent_info = model().agent.as_ref().map(|view| view.info.clone());
            let get_agent = response::GetAgent {
                agent_info,
                ..Default::default()
            };
            reply.whole("get_agent", get_agent)
        }
        Type::GetResourceProviders => {
            let none = response::GetResourceProviders::default();
            reply.whole("get_resource_providers", none)
        }
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

async fn files(agent: &Arc<Agent>, call: Call, accept: MediaType) -> Result<Answer, Answer> {
    let kind = call.r#type();
    let reply = reply(kind, accept);
    if let Some(call) = call.list_files {
        let file_infos = agent.files.list(call.path).await?;
        return Ok(reply.whole("list_files", response::ListFiles { file_infos }));
    }
    let Some(call) = call.read_file else {
        return Err(Answer::bad_request("Expecting 'read_file' to be present"));
    };
    let part = agent
        .files
        .read(call.path, call.offset, call.length)
        .await?;
    let read_file = response::ReadFile {
        size: part.size,
        data: part.data.into(),
    };
    Ok(reply.whole("read_file", read_file))
}
