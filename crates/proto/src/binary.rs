//! Protobuf in and out.
//!
//! prost decodes, but it forgets whether a required field was there, keeps enum numbers that nobody
//! knows, and does not say where it stopped. So every body from outside first passes a check of its raw
//! bytes against the tables. What passes is what Mesos's own protobuf library accepts, except that text must
//! be UTF-8.
mod check;
mod encode;
mod reader;

use crate::limits::{Limits, MAX_DEPTH};
use crate::path::Missing;
use crate::reflect::{self, Wire};

/// Why bytes from outside were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No actor message has this full name.
    #[error("unknown message {name}")]
    UnknownMessage {
        /// The name as it arrived.
        name: String,
    },
    /// The bytes are no protobuf message of this type.
    #[error("{reason} at {}", place(path))]
    Malformed {
        /// Where; empty when in the outermost message.
        path: String,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Required fields are missing, or hold an enum number that nobody knows.
    #[error("Missing required fields: {0}")]
    Missing(Missing),
    /// Messages inside messages, too deep.
    #[error("more than {MAX_DEPTH} messages inside one another at {}", place(path))]
    TooDeep {
        /// Where.
        path: String,
    },
    /// More bytes than [`Limits::message_bytes`].
    #[error("{len} bytes, of which at most {limit} are accepted")]
    TooLarge {
        /// Bytes there were.
        len: usize,
        /// Bytes there may be.
        limit: usize,
    },
    /// List or map elements would take more memory than [`Limits::element_bytes`].
    #[error(
        "too many elements: more than {limit} bytes of memory at {}",
        place(path)
    )]
    TooMany {
        /// Where the limit was passed.
        path: String,
        /// Bytes of memory that elements may take.
        limit: usize,
    },
}

fn place(path: &str) -> &str {
    if path.is_empty() {
        "the outermost message"
    } else {
        path
    }
}

/// Decodes one message from anyone, within the default [`Limits`].
///
/// # Errors
/// [`DecodeError`] says what was wrong and where.
pub fn decode<M: Wire>(bytes: &[u8]) -> Result<M, DecodeError> {
    decode_within(bytes, &Limits::default())
}

/// Decodes one message within limits of the caller's.
///
/// # Errors
/// [`DecodeError`] says what was wrong and where.
pub fn decode_within<M: Wire>(bytes: &[u8], limits: &Limits) -> Result<M, DecodeError> {
    let found = check::check(M::TABLE, bytes, limits)?;
    let mut message = M::decode(bytes).map_err(|_| DecodeError::Malformed {
        path: String::new(),
        reason: "malformed protobuf",
    })?;
    if found.unknown_enums {
        reflect::drop_unknown_enums(&mut message);
    }
    Ok(message)
}

/// Encodes one message: set fields in the order of their numbers, as Mesos does. Use this rather than
/// prost's own encoder, which garbles maps for Mesos.
pub fn encode<M: Wire>(message: &M) -> Vec<u8> {
    let mut out = Vec::new();
    encode::append(&mut out, message);
    out
}

#[cfg(test)]
mod tests;
