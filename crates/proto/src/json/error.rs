//! Why JSON was refused, in Mesos's words, with full paths where Mesos names the last field only.
use std::fmt;

use crate::limits::MAX_DEPTH;
use crate::path::Missing;

/// Why a JSON body was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The body is no JSON.
    #[error("syntax error at line {line} near: {near}")]
    Syntax {
        /// Line of the fault, from 1.
        line: usize,
        /// What stands there, to the end of the line, shortened.
        near: String,
    },
    /// A JSON value is followed by something else.
    #[error("Parsed JSON included non-whitespace trailing characters: {near}")]
    Trailing {
        /// What follows, shortened.
        near: String,
    },
    /// The body is JSON, but no object.
    #[error("Expecting a JSON object")]
    NotAnObject,
    /// A value of a type that the field cannot hold.
    #[error("Not expecting a JSON {found} for field '{path}'")]
    Unexpected {
        /// The field.
        path: String,
        /// What was there.
        found: JsonType,
    },
    /// A required enum field has a name that nobody knows.
    #[error("Failed to find enum for '{name}' for field '{path}'")]
    UnknownEnum {
        /// The field.
        path: String,
        /// The name, shortened.
        name: String,
    },
    /// A string where a number belongs does not hold one.
    #[error("Failed to parse '{text}' as a JSON number for field '{path}'")]
    NotANumber {
        /// The field.
        path: String,
        /// The string, shortened.
        text: String,
    },
    /// A string where a boolean belongs does not hold one.
    #[error("Failed to parse '{text}' as a JSON boolean for field '{path}'")]
    NotABoolean {
        /// The field.
        path: String,
        /// The string, shortened.
        text: String,
    },
    /// A number that the field cannot hold. Mesos cuts off the upper bits instead.
    #[error("Number out of range for field '{path}'")]
    OutOfRange {
        /// The field.
        path: String,
    },
    /// Bytes that are not base64.
    #[error("Failed to base64 decode bytes field '{path}': {reason}")]
    Base64 {
        /// The field.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Required fields are missing.
    #[error("Missing required fields: {0}")]
    Missing(Missing),
    /// Objects and lists inside one another, too deep.
    #[error("more than {MAX_DEPTH} objects and lists inside one another at field '{path}'")]
    TooDeep {
        /// Where.
        path: String,
    },
    /// More bytes than [`crate::limits::Limits::message_bytes`].
    #[error("{len} bytes, of which at most {limit} are accepted")]
    TooLarge {
        /// Bytes there were.
        len: usize,
        /// Bytes there may be.
        limit: usize,
    },
    /// List or map elements would take more memory than [`crate::limits::Limits::element_bytes`].
    #[error("too many elements: more than {limit} bytes of memory at field '{path}'")]
    TooMany {
        /// Where the limit was passed.
        path: String,
        /// Bytes of memory that elements may take.
        limit: usize,
    },
}

impl JsonError {
    /// Whether the body was no JSON at all: Mesos answers `Failed to parse body into JSON: …` then, and
    /// `Failed to convert JSON into Call protobuf: …` for the others.
    pub fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax { .. } | Self::Trailing { .. })
    }
}

/// The types of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        })
    }
}
