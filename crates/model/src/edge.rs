//! Names for what lies outside a core: open streams, pending requests, and the answers to them.
//!
//! Peers and streams are ids, not sockets (design §3). The edge makes them; cores only compare them.

use std::fmt;
use std::sync::Arc;

/// An open event stream of a scheduler or executor. The text is the random UUID that went out as
/// `Mesos-Stream-Id`; one per subscription, made at the edge.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub Arc<str>);

impl StreamId {
    /// Wraps the header's text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request that waits for its answer. Unique within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// What a core answers to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Queued; consequences come as events (202).
    Accepted,
    /// Done (200).
    Done,
    /// What was asked for (200).
    Told(Box<meseta_proto::mesos::v1::master::Response>),
    /// Not done, and why.
    Refused(Refusal),
}

/// Why a request was not carried out. The edge maps the kind to a status code; the text goes out as
/// it is, in Mesos's words where Mesos has words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal; decides the status code.
    pub kind: RefusalKind,
    /// The sentence the client sees.
    pub text: String,
}

/// The kinds of refusal, one status code each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request makes no sense (400).
    Invalid,
    /// The caller may not do that, or not on this stream (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// True at another moment (409).
    Conflict,
    /// A limit is reached (429).
    TooMany,
    /// A thing Meseta does not do yet, named in the text (501).
    NotImplemented,
    /// Not now: recovering, or not leading (503).
    Unavailable,
}

impl Refusal {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// 400.
    #[must_use]
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}
