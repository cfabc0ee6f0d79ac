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

/// Decodes the call of a scheduler, executor or operator; what is wrong is said in Mesos's words.
pub(crate) fn call<M: Wire>(media_type: MediaType, body: &[u8]) -> Result<M, Answer> {
    match media_type {
        MediaType::Json => meseta_proto::from_json(body).map_err(|error| {
            let what = if error.is_syntax() {
                "parse body into JSON"
            } else {
                "convert JSON into Call protobuf"
            };
            Answer::bad_request(format!("Failed to {what}: {error}"))
        }),
        MediaType::Protobuf => meseta_proto::decode(body).map_err(|error| {
            Answer::bad_request(format!("Failed to parse body into Call protobuf: {error}"))
        }),
    }
}
