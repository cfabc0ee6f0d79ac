//! Just enough of HTTP/1.1 for one who asks: requests are pipelined, which libraries do not offer on
//! the asking side and which a scheduler that acknowledges thousands of updates a second lives from.

pub(crate) mod answer;
pub(crate) mod connection;
pub(crate) mod request;

pub use answer::Answer;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection ended before the whole answer was there; the request may have been carried out.
    #[error("the connection ended before the answer: {0}")]
    Broken(String),
    /// What came back is not HTTP, or passes a limit.
    #[error("the answer makes no sense: {0}")]
    Malformed(String),
    /// Nothing came back in time; the request may have been carried out.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
}
