//! JSON scalars as field values.
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::error::{JsonError, JsonType};
use crate::path::quote;
use crate::reflect::Place;

/// A JSON value that is neither object nor list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    pub(super) fn json_type(self) -> JsonType {
        match self {
            Self::Bool(_) => JsonType::Boolean,
            Self::Unsigned(_) | Self::Signed(_) | Self::Double(_) => JsonType::Number,
            Self::Text(_) => JsonType::String,
        }
    }

    /// A number written out: an integer where it is one, else a double.
    pub(super) fn number(text: &str) -> Option<Scalar<'static>> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let begins = text
            .strip_prefix('-')
            .unwrap_or(text)
            .starts_with(|c: char| c.is_ascii_digit());
        if !begins {
            return None;
        }
        if let Ok(value) = text.parse::<u64>() {
            return Some(Scalar::Unsigned(value));
        }
        if let Ok(value) = text.parse::<i64>() {
            return Some(Scalar::Signed(value));
        }
        text.parse::<f64>().ok().map(Scalar::Double)
    }

    /// The number, which may be written as a string.
    fn as_number(self) -> Result<Scalar<'static>, Fault> {
        match self {
            Self::Text(text) => Scalar::number(text).ok_or_else(|| Fault::NotANumber(quote(text))),
            Self::Bool(_) => Err(Fault::Unexpected),
            Self::Unsigned(value) => Ok(Scalar::Unsigned(value)),
            Self::Signed(value) => Ok(Scalar::Signed(value)),
            Self::Double(value) => Ok(Scalar::Double(value)),
        }
    }

    /// The integer; a fraction is cut off, as Mesos does.
    fn as_integer(self) -> Result<i128, Fault> {
        match self.as_number()? {
            Scalar::Unsigned(value) => Ok(value.into()),
            Scalar::Signed(value) => Ok(value.into()),
            // Beyond what 64 bits hold this saturates, which no field takes.
            Scalar::Double(value) => Ok(value as i128),
            Scalar::Bool(_) | Scalar::Text(_) => Err(Fault::Unexpected),
        }
    }

    fn as_double(self) -> Result<f64, Fault> {
        match self {
            Self::Text("Infinity") => return Ok(f64::INFINITY),
            Self::Text("-Infinity") => return Ok(f64::NEG_INFINITY),
            _ => {}
        }
        match self.as_number()? {
            Scalar::Unsigned(value) => Ok(value as f64),
            Scalar::Signed(value) => Ok(value as f64),
            Scalar::Double(value) if value.is_finite() => Ok(value),
            Scalar::Double(_) => Err(Fault::OutOfRange),
            Scalar::Bool(_) | Scalar::Text(_) => Err(Fault::Unexpected),
        }
    }

    fn as_bool(self) -> Result<bool, Fault> {
        match self {
            Self::Bool(value) => Ok(value),
            Self::Text(text) => match text.trim_matches([' ', '\t', '\n', '\r']) {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Fault::NotABoolean(quote(text))),
            },
            _ => Err(Fault::Unexpected),
        }
    }

    fn as_bytes(self) -> Result<Bytes, Fault> {
        match self {
            Self::Text(text) => decode_base64(text).map(Bytes::from),
            _ => Err(Fault::Unexpected),
        }
    }
}

/// What is wrong with a value, apart from where it is.
#[derive(Debug)]
pub(super) enum Fault {
    Unexpected,
    NotANumber(String),
    NotABoolean(String),
    OutOfRange,
    Base64(String),
}

impl Fault {
    pub(super) fn at(self, path: String, found: JsonType) -> JsonError {
        match self {
            Self::Unexpected => JsonError::Unexpected { path, found },
            Self::NotANumber(text) => JsonError::NotANumber { path, text },
            Self::NotABoolean(text) => JsonError::NotABoolean { path, text },
            Self::OutOfRange => JsonError::OutOfRange { path },
            Self::Base64(reason) => JsonError::Base64 { path, reason },
        }
    }
}

/// Writes a scalar to a place for scalars. Enums are not written here: their names need a table.
pub(super) fn assign(place: Place<'_>, scalar: Scalar<'_>) -> Result<(), Fault> {
    match place {
        Place::Bool(place) => *place = scalar.as_bool()?,
        Place::I32(place) => *place = integer(scalar)?,
        Place::I64(place) => *place = integer(scalar)?,
        Place::U32(place) => *place = integer(scalar)?,
        Place::U64(place) => *place = integer(scalar)?,
        Place::F64(place) => *place = scalar.as_double()?,
        Place::Bytes(place) => *place = scalar.as_bytes()?,
        Place::Str(place) => match scalar {
            Scalar::Text(text) => *place = text.to_owned(),
            _ => return Err(Fault::Unexpected),
        },
        Place::Message(record) => match scalar {
            Scalar::Text(text) => record.set_text(text).ok_or(Fault::Unexpected)?,
            _ => return Err(Fault::Unexpected),
        },
        Place::Maybe(_) | Place::List(_) | Place::Map(_) => return Err(Fault::Unexpected),
    }
    Ok(())
}

fn integer<T: TryFrom<i128>>(scalar: Scalar<'_>) -> Result<T, Fault> {
    T::try_from(scalar.as_integer()?).map_err(|_| Fault::OutOfRange)
}

/// As lenient as Mesos: white space anywhere, padding or not, any left-over bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode_base64(text: &str) -> Result<Vec<u8>, Fault> {
    let decoded = if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let dense: Vec<u8> = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        BASE64.decode(dense)
    } else {
        BASE64.decode(text)
    };
    decoded.map_err(|error| {
        Fault::Base64(match error {
            base64::DecodeError::InvalidByte(_, byte) => {
                format!("Invalid character '{}'", char::from(byte).escape_default())
            }
            other => other.to_string(),
        })
    })
}
