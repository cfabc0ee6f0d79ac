//! `/api/v1/executor`.

use std::sync::Arc;

use http::{Method, StatusCode};
use meseta_agent::event::Event;
use meseta_model::caller::Caller;
use meseta_model::edge::StreamId;
use meseta_model::validation;
use meseta_proto::mesos::v1::executor;
use meseta_proto::mesos::v1::executor::call::Type;

use super::Agent;
use crate::answer::Answer;
use crate::codec::Endpoint;
use crate::negotiate::MediaType;
use crate::pending::{Asked, overloaded, tell, undecided};
use crate::server::{Called, Cut, Request};
use crate::streams::{Stream, StreamBody};
use crate::{codec, limits, negotiate, uuid};

/// What becomes of a call.
enum Decision {
    Subscribe(MediaType, Box<executor::Call>),
    Asked(Asked),
}

pub(super) async fn answer(agent: &Arc<Agent>, request: Request) -> Answer {
    match decide(agent, &request) {
        Ok(Decision::Subscribe(media_type, call)) => {
            subscribe(agent, media_type, request.cut, call).await
        }
        Ok(Decision::Asked(mut asked)) => asked.answer().await,
        Err(answer) => answer,
    }
}

/// The same, as far as it goes without waiting.
pub(super) fn call(agent: &Arc<Agent>, request: &Request) -> Called {
    match decide(agent, request) {
        Ok(Decision::Subscribe(..)) => Called::Stream,
        Ok(Decision::Asked(asked)) => Called::Asked(asked),
        Err(answer) => Called::Answer(answer),
    }
}

fn decide(agent: &Arc<Agent>, request: &Request) -> Result<Decision, Answer> {
    if request.method != Method::POST {
        return Err(Answer::method_not_allowed(&[Method::POST], &request.method));
    }
    let media_type = negotiate::content_type(&request.headers)?;
    let call: executor::Call = codec::call(Endpoint::Call, media_type, &request.body)?;
    let kind = validation::executor_call(&call)
        .map_err(|why| Answer::bad_request(format!("Failed to validate Executor::Call: {why}")))?;
    let call = Box::new(call);
    match kind {
        Type::Subscribe => {
            let media_type = negotiate::accept(&request.headers)?;
            Ok(Decision::Subscribe(media_type, call))
        }
        Type::Unknown => Err(Answer::not_implemented("501 Not Implemented.")),
        // Libraries send heartbeats with made-up ids.
        Type::Heartbeat => Err(Answer::empty(StatusCode::ACCEPTED)),
        Type::Update | Type::Message => {
            let event = |request| Event::ExecutorCalled {
                request,
                caller: Caller::default(),
                call,
            };
            agent.pending.ask(&agent.events, event).map(Decision::Asked)
        }
    }
}

/// Waits until the core has opened the stream or refused it.
async fn subscribe(
    agent: &Arc<Agent>,
    media_type: MediaType,
    cut: Cut,
    call: Box<executor::Call>,
) -> Answer {
    let Ok(permit) = agent.events.try_reserve() else {
        return overloaded(agent.events.is_closed());
    };
    let id = StreamId::new(&uuid::random());
    let (stream, decision) = Stream::undecided(media_type, cut);
    agent.streams.insert(id.clone(), stream.clone());
    permit.send(Event::ExecutorSubscribed {
        stream: id.clone(),
        caller: Caller::default(),
        call,
    });
    let told = agent.clone();
    // From here on the core is told when the executor goes, also if it does not wait for its answer.
    let body = StreamBody::new(stream, move || {
        if told.streams.remove(&id).is_some() {
            tell(&told.events, Event::StreamClosed { stream: id });
        }
    });
    match tokio::time::timeout(limits::ANSWER_TIMEOUT, decision).await {
        Ok(Ok(Ok(()))) => Answer::stream(media_type.header(), body),
        Ok(Ok(Err(refusal))) => refusal.into(),
        Ok(Err(_)) => overloaded(true),
        Err(_) => undecided(),
    }
}
