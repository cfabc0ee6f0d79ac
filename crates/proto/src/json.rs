//! JSON in and out, by Mesos's rules, which no library follows.
//!
//! Names are those of the `.proto` files, enums go by name, 64-bit numbers are numbers, bytes are
//! base64. On output an unset field with an explicit default shows that default unless it is deprecated.
//! On input a number or boolean may come as a string, a single value may stand for a list of one, `null`
//! is unset, unknown fields are ignored, and an unknown enum name is as if the field were not there.
//! Of two values under one name the last counts.
//!
//! serde_json does the text; what it means is decided here, by the tables of [`crate::reflect`].
mod error;
mod read;
mod scalar;
mod write;

pub use error::{JsonError, JsonType};
pub use write::append_double;

use serde::Serialize;
use serde::ser::{Error as _, Serializer};

use crate::limits::Limits;
use crate::reflect::{Record, Wire};

/// Decodes one message from anyone, within the default [`Limits`].
///
/// # Errors
/// [`JsonError`], in Mesos's words. What comes before them in an answer of Mesos depends on
/// [`JsonError::is_syntax`].
pub fn from_json<M: Wire>(text: &[u8]) -> Result<M, JsonError> {
    from_json_within(text, &Limits::default())
}

/// Decodes one message within limits of the caller's.
///
/// # Errors
/// As [`from_json`].
pub fn from_json_within<M: Wire>(text: &[u8], limits: &Limits) -> Result<M, JsonError> {
    let mut message = M::default();
    read::read(&mut message, text, limits)?;
    Ok(message)
}

/// Encodes one message.
pub fn to_json<M: Wire>(message: &M) -> Vec<u8> {
    let mut out = String::new();
    write::append(&mut out, message);
    out.into_bytes()
}

/// Encodes one message at the end of a text.
pub fn append_json(out: &mut String, message: &dyn Record) {
    write::append(out, message);
}

/// A message as part of a document that serde writes: `json!({ "labels": Json(&labels) })`.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(pub &'a dyn Record);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        write::append(&mut text, self.0);
        serde_json::value::RawValue::from_string(text)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
