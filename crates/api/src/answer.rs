//! Answers before they are bytes: status, headers, body; and the texts that Mesos gives.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use meseta_model::edge::{Outcome, Refusal, RefusalKind};
use meseta_proto::Wire;

use crate::codec;
use crate::negotiate::MediaType;
use crate::streams::StreamBody;

/// What is sent behind the headers.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    Stream(StreamBody),
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Answer {
    /// A status without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Bytes::new()),
        }
    }

    /// A status with a sentence.
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::whole(status, TEXT, Bytes::from(text.into()))
    }

    /// 200 with a JSON document.
    pub(crate) fn json(document: impl Into<Bytes>) -> Self {
        Self::whole(StatusCode::OK, JSON, document.into())
    }

    /// 200 with a message.
    pub(crate) fn message<M: Wire>(media_type: MediaType, message: &M) -> Self {
        let body = codec::encode(media_type, message).into();
        Self::whole(StatusCode::OK, media_type.header(), body)
    }

    /// Any body of a type.
    pub(crate) fn whole(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        let mut answer = Self::empty(status).with(header::CONTENT_TYPE, content_type);
        answer.body = Body::Whole(body);
        answer
    }

    /// 200 with events that follow as they happen.
    pub(crate) fn stream(content_type: HeaderValue, body: StreamBody) -> Self {
        let mut answer = Self::empty(StatusCode::OK).with(header::CONTENT_TYPE, content_type);
        answer.body = Body::Stream(body);
        answer
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, text)
    }

    /// Mesos's answer where nothing is.
    pub(crate) fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "404 Not Found.")
    }

    /// A thing that Meseta does not do yet, by name.
    pub(crate) fn not_implemented(text: impl Into<String>) -> Self {
        Self::text(StatusCode::NOT_IMPLEMENTED, text)
    }

    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// Mesos's answer to a method that the endpoint does not take.
    pub(crate) fn method_not_allowed(allowed: &[Method], received: &Method) -> Self {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let text = format!(
            "405 Method Not Allowed. Expecting one of {{ {} }}, but received '{received}'.",
            quoted.join(", ")
        );
        let allow =
            HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""));
        Self::text(StatusCode::METHOD_NOT_ALLOWED, text).with(header::ALLOW, allow)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::text(status, refusal.text)
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Self::empty(StatusCode::ACCEPTED),
            Outcome::Done => Self::empty(StatusCode::OK),
            Outcome::Told(told) => Self::message(MediaType::Json, &*told),
            Outcome::Refused(refusal) => refusal.into(),
        }
    }
}
