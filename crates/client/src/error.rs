//! Why a call failed: what was tried, where, and what to do.

use crate::http::{Answer, HttpError};

/// Why a call of this room failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered at any address.
    #[error("{what}: nobody answers at {}", tried.join(", "))]
    Unreachable {
        /// What was to be done, for example `subscribe to a master`.
        what: &'static str,
        /// `address (what happened there)`, one for each address.
        tried: Vec<String>,
    },
    /// The connection failed while the call was under way: it may have been carried out.
    #[error("{what} at {at}: {error}")]
    Broken {
        /// What was to be done.
        what: &'static str,
        /// The server's address.
        at: String,
        /// What happened.
        error: HttpError,
    },
    /// The server said no.
    #[error("{what} at {at}: refused with {status}: {text}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// The server's address.
        at: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        text: String,
    },
    /// Masters point at one another; an election may be under way.
    #[error("{what}: masters redirect in a circle: {}", path.join(" -> "))]
    RedirectedTooOften {
        /// What was to be done.
        what: &'static str,
        /// The addresses, in order.
        path: Vec<String>,
    },
    /// The server's answer could not be understood.
    #[error("{what} at {at}: the answer makes no sense: {reason}")]
    Nonsense {
        /// What was to be done.
        what: &'static str,
        /// The server's address.
        at: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// The server's status, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether another try may help: nobody there, a broken connection, or a server that is not ready.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::RedirectedTooOften { .. } => {
                true
            }
            Self::Refused { status, .. } => matches!(status, 307 | 429 | 503),
            Self::Nonsense { .. } => false,
        }
    }

    pub(crate) fn refused(what: &'static str, at: &str, answer: &Answer) -> Self {
        Self::Refused {
            what,
            at: at.to_owned(),
            status: answer.status,
            text: answer.quote(),
        }
    }

    pub(crate) fn broken(what: &'static str, at: &str, error: HttpError) -> Self {
        match error {
            HttpError::Connect(reason) => Self::Unreachable {
                what,
                tried: vec![format!("{at} ({reason})")],
            },
            error => Self::Broken {
                what,
                at: at.to_owned(),
                error,
            },
        }
    }
}
