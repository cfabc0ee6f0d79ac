//! Messages as protobuf bytes.
//!
//! Not prost's encoder, because that leaves out a map value that equals its default: a `0.0` under
//! `limits` would reach a peer as an entry without a value, and a peer that wants the required field
//! inside drops the whole message.
use prost::encoding::encode_varint;

use super::reader::Layout;
use crate::reflect::{Label, Record, Value};

/// Appends the set fields of a message in the order of their numbers, as Mesos writes them.
pub(super) fn append(out: &mut Vec<u8>, record: &dyn Record) {
    let table = record.table();
    for &slot in table.by_number {
        let field = &table.fields[slot];
        match record.value(slot) {
            Value::Unset => {}
            Value::List(list) => {
                for index in 0..list.len() {
                    append_field(out, field.number, list.get(index));
                }
            }
            Value::Map(map) => map.entries(&mut |key, value| {
                append_key(out, field.number, Layout::Length);
                append_sized(out, |out| {
                    append_field(out, 1, Value::Str(key));
                    append_field(out, 2, value);
                });
            }),
            value if field.label == Label::Implicit && value.is_zero() => {}
            value => append_field(out, field.number, value),
        }
    }
}

fn append_field(out: &mut Vec<u8>, number: u32, value: Value<'_>) {
    match value {
        Value::Bool(value) => append_number(out, number, u64::from(value)),
        // Negative numbers travel as 64 bits, enums included.
        Value::I32(value) => append_number(out, number, i64::from(value) as u64),
        Value::I64(value) => append_number(out, number, value as u64),
        Value::U32(value) => append_number(out, number, u64::from(value)),
        Value::U64(value) => append_number(out, number, value),
        Value::F64(value) => {
            append_key(out, number, Layout::Fixed64);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Str(text) => append_bytes(out, number, text.as_bytes()),
        Value::Bytes(bytes) => append_bytes(out, number, bytes),
        Value::Message(record) => {
            append_key(out, number, Layout::Length);
            append_sized(out, |out| append(out, record));
        }
        Value::Unset | Value::List(_) | Value::Map(_) => {
            unreachable!("an element of a list or map is one value")
        }
    }
}

fn append_key(out: &mut Vec<u8>, number: u32, layout: Layout) {
    encode_varint(u64::from(number) << 3 | layout as u64, out);
}

fn append_number(out: &mut Vec<u8>, number: u32, value: u64) {
    append_key(out, number, Layout::Varint);
    encode_varint(value, out);
}

fn append_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    append_key(out, number, Layout::Length);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends what `content` appends, with its length before it. Most messages are short enough for a
/// length of one byte, so that much is kept free; longer ones are moved up.
fn append_sized(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    content(out);
    let len = out.len() - at - 1;
    if let Some(short) = u8::try_from(len).ok().filter(|short| *short < 0x80) {
        out[at] = short;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    encode_varint(len as u64, &mut prefix);
    out.splice(at..=at, prefix);
}
