//! Messages as JSON text.
use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::reflect::{Field, Kind, Label, List, Map, Record, Value};

/// Appends one message.
pub(super) fn append(out: &mut String, record: &dyn Record) {
    out.push('{');
    let mut first = true;
    for (slot, field) in record.table().fields.iter().enumerate() {
        if let Some(value) = shown(field, record.value(slot)) {
            if !first {
                out.push(',');
            }
            first = false;
            out.push_str(field.key);
            append_value(out, &field.kind, value);
        }
    }
    out.push('}');
}

/// What is printed for a field, if anything.
fn shown<'a>(field: &Field, value: Value<'a>) -> Option<Value<'a>> {
    let value = match value {
        Value::I32(number) => match field.kind {
            Kind::Enum(table) => table.name(number).map(Value::Str),
            _ => Some(value),
        },
        Value::Unset => None,
        Value::List(list) if list.is_empty() && !field.shown_empty => None,
        Value::Map(map) if map.is_empty() => None,
        _ => Some(value),
    };
    match value {
        Some(value) if field.label == Label::Implicit && value.is_zero() => None,
        Some(value) => Some(value),
        None => field.shown_default,
    }
}

fn append_value(out: &mut String, kind: &Kind, value: Value<'_>) {
    match value {
        Value::Unset => out.push_str("null"),
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::I32(value) => append_display(out, value),
        Value::I64(value) => append_display(out, value),
        Value::U32(value) => append_display(out, value),
        Value::U64(value) => append_display(out, value),
        Value::F64(value) => append_double(out, value),
        Value::Str(text) => append_text(out, text),
        Value::Bytes(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        Value::Message(record) => append(out, record),
        Value::List(list) => append_list(out, kind, list),
        Value::Map(map) => append_map(out, kind, map),
    }
}

fn append_list(out: &mut String, kind: &Kind, list: &dyn List) {
    out.push('[');
    let mut first = true;
    for index in 0..list.len() {
        let value = match (kind, list.get(index)) {
            // Numbers that nobody knows are not shown.
            (Kind::Enum(table), Value::I32(number)) => match table.name(number) {
                Some(name) => Value::Str(name),
                None => continue,
            },
            (_, value) => value,
        };
        if !first {
            out.push(',');
        }
        first = false;
        append_value(out, kind, value);
    }
    out.push(']');
}

fn append_map(out: &mut String, kind: &Kind, map: &dyn Map) {
    out.push('{');
    let mut first = true;
    map.entries(&mut |key, value| {
        if !first {
            out.push(',');
        }
        first = false;
        append_text(out, key);
        out.push(':');
        append_value(out, kind, value);
    });
    out.push('}');
}

/// Appends a double as Mesos prints it: the shortest digits that read back as the same number, always
/// with a point or an exponent, an exponent from 1e21 up and below 1e-6. Infinities are strings; so is
/// "NaN", which Mesos prints bare although JSON has no such number.
pub fn append_double(out: &mut String, value: f64) {
    let size = value.abs();
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        append_display(out, format_args!("{value:e}"));
    } else {
        let start = out.len();
        append_display(out, value);
        if !out[start..].contains('.') {
            out.push_str(".0");
        }
    }
}

fn append_display(out: &mut String, value: impl Display) {
    let written = write!(out, "{value}");
    assert!(written.is_ok(), "a String takes all that is written to it");
}

fn append_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => append_display(out, format_args!("\\u{byte:04X}")),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
