//! Binary protobuf in.

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
    #[error("malformed protobuf: {reason}")]
    Malformed {
        /// What is wrong with the bytes.
        reason: String,
    },
}

/// Decodes one message.
///
/// # Errors
/// [`DecodeError`] says what was wrong and where.
pub fn decode<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|error| DecodeError::Malformed {
        reason: error.to_string(),
    })
}
