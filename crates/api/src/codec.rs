//! Calls in, answers and events out, in either form; and the texts for what does not decode.

use bytes::Bytes;
use meseta_proto::{Wire, recordio};

use crate::answer::Answer;
use crate::negotiate::MediaType;

/// One message in a form.
pub(crate) fn encode<M: Wire>(media_type: MediaType, message: &M) -> Vec<u8> {
    match media_type {
        MediaType::Json => meseta_proto::to_json(message),
        MediaType::Protobuf => meseta_proto::encode(message),
    }
}

/// One message as a record of a stream.
pub(crate) fn record<M: Wire>(media_type: MediaType, message: &M) -> Bytes {
    recordio::record(&encode(media_type, message)).into()
}

/// Whose call it is: Mesos words what does not decode differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/api/v1/scheduler`, `/api/v1/executor`, and `/api/v1` of a master.
    Call,
    /// `/api/v1` of an agent.
    Agent,
}

/// Decodes a call; what is wrong is said in Mesos's words.
pub(crate) fn call<M: Wire>(
    endpoint: Endpoint,
    media_type: MediaType,
    body: &[u8],
) -> Result<M, Answer> {
    match media_type {
        MediaType::Json => meseta_proto::from_json(body).map_err(|error| {
            Answer::bad_request(match endpoint {
                _ if error.is_syntax() => format!("Failed to parse body into JSON: {error}"),
                Endpoint::Call => format!("Failed to convert JSON into Call protobuf: {error}"),
                Endpoint::Agent => error.to_string(),
            })
        }),
        MediaType::Protobuf => meseta_proto::decode(body).map_err(|error| {
            tracing::debug!(%error, "a call does not decode");
            Answer::bad_request(match endpoint {
                Endpoint::Call => "Failed to parse body into Call protobuf",
                Endpoint::Agent => "Failed to parse body into a protobuf object",
            })
        }),
    }
}
