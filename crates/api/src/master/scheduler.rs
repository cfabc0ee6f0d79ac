//! `/api/v1/scheduler`. The order of the checks is Mesos's and clients see it: leader, method, body,
//! validity, then what the call is about.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use meseta_master::event::Event;
use meseta_model::caller::Caller;
use meseta_model::edge::StreamId;
use meseta_model::validation;
use meseta_proto::mesos::v1::scheduler;
use meseta_proto::mesos::v1::scheduler::call::Type;

use super::Master;
use crate::answer::Answer;
use crate::codec::Endpoint;
use crate::negotiate::MediaType;
use crate::pending::{Asked, overloaded};
use crate::server::{Called, Cut, Request};
use crate::streams::{Stream, StreamBody};
use crate::{codec, negotiate, uuid};

/// Names a subscription; the scheduler repeats it with every call.
pub(crate) const STREAM_ID: HeaderName = HeaderName::from_static("mesos-stream-id");

/// What becomes of a call.
enum Decision {
    Subscribe(MediaType, Box<scheduler::Call>),
    Asked(Asked),
}

pub(super) async fn answer(master: &Arc<Master>, request: Request) -> Answer {
    match decide(master, &request) {
        Ok(Decision::Subscribe(media_type, call)) => {
            subscribe(master, media_type, request.cut, call).unwrap_or_else(|refused| refused)
        }
        Ok(Decision::Asked(mut asked)) => asked.answer().await,
        Err(refused) => refused,
    }
}

/// The same, as far as it goes without waiting.
pub(super) fn call(master: &Arc<Master>, request: &Request) -> Called {
    match decide(master, request) {
        Ok(Decision::Subscribe(..)) => Called::Stream,
        Ok(Decision::Asked(asked)) => Called::Asked(asked),
        Err(refused) => Called::Answer(refused),
    }
}

fn decide(master: &Arc<Master>, request: &Request) -> Result<Decision, Answer> {
    master.lead.check(&request.target)?;
    if request.method != Method::POST {
        return Err(Answer::method_not_allowed(&[Method::POST], &request.method));
    }
    let media_type = negotiate::content_type(&request.headers)?;
    let call: scheduler::Call = codec::call(Endpoint::Call, media_type, &request.body)?;
    let caller = Caller::default();
    let kind = validation::scheduler_call(&call, caller.principal.as_deref())
        .map_err(|why| Answer::bad_request(format!("Failed to validate scheduler::Call: {why}")))?;
    let call = Box::new(call);
    let stream_id = request.headers.get(STREAM_ID);
    match kind {
        Type::Subscribe => {
            let media_type = negotiate::accept(&request.headers)?;
            if stream_id.is_some() {
                return Err(Answer::bad_request(
                    "Subscribe calls should not include the 'Mesos-Stream-Id' header",
                ));
            }
            return Ok(Decision::Subscribe(media_type, call));
        }
        Type::Unknown => return Err(Answer::not_implemented("501 Not Implemented.")),
        Type::ReconcileOperations => {
            negotiate::accept(&request.headers)?;
        }
        _ => {}
    }
    master.tallies.called(&call);
    let stream_id = stream_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let event = |request| Event::SchedulerCalled {
        request,
        caller,
        stream_id,
        call,
    };
    master
        .pending
        .ask(&master.events, event)
        .map(Decision::Asked)
}

/// Opens the stream. Whatever is wrong with the framework itself comes as an ERROR event over it.
fn subscribe(
    master: &Arc<Master>,
    media_type: MediaType,
    cut: Cut,
    call: Box<scheduler::Call>,
) -> Result<Answer, Answer> {
    let Ok(permit) = master.events.try_reserve() else {
        return Err(overloaded(master.events.is_closed()));
    };
    let uuid = uuid::random();
    let header = HeaderValue::from_str(&uuid)
        .map_err(|_| Answer::empty(StatusCode::INTERNAL_SERVER_ERROR))?;
    let id = StreamId::new(&uuid);
    let stream = Stream::new(media_type, cut);
    master.streams.insert(id.clone(), stream.clone());
    permit.send(Event::SchedulerSubscribed {
        stream: id.clone(),
        caller: Caller::default(),
        call,
    });
    let told = master.clone();
    let body = StreamBody::new(stream, move || told.stream_gone(id));
    Ok(Answer::stream(media_type.header(), body).with(STREAM_ID, header))
}

impl Master {
    /// The connection of a stream is gone. Unless the core ended the stream itself, it is told.
    fn stream_gone(self: Arc<Self>, stream: StreamId) {
        if self.streams.remove(&stream).is_none() {
            return;
        }
        crate::pending::tell(&self.events, Event::StreamClosed { stream });
    }
}
