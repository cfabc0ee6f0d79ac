//! In which form calls and events travel.

use meseta_proto::{Limits, Wire};

use crate::limits;

/// The form of calls and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `application/x-protobuf`: smaller and faster.
    #[default]
    Protobuf,
    /// `application/json`: for people who look at the wire.
    Json,
}

impl Format {
    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    pub(crate) fn encode<M: Wire>(self, message: &M) -> Vec<u8> {
        match self {
            Self::Protobuf => meseta_proto::encode(message),
            Self::Json => meseta_proto::to_json(message),
        }
    }

    /// Decodes what a server we chose to ask answered: more is taken than from anyone.
    pub(crate) fn decode<M: Wire>(self, bytes: &[u8]) -> Result<M, String> {
        let limits = Limits {
            message_bytes: limits::ANSWER_BODY_BYTES,
            ..Limits::default()
        };
        match self {
            Self::Protobuf => {
                meseta_proto::decode_within(bytes, &limits).map_err(|error| error.to_string())
            }
            Self::Json => {
                meseta_proto::from_json_within(bytes, &limits).map_err(|error| error.to_string())
            }
        }
    }
}
