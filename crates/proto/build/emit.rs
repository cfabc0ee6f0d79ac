//! Writes the tables as Rust text: one `record!` per message and one `enumeration!` per enum, which
//! `src/reflect/macros.rs` defines. The text holds facts only; what follows from them is in `src`.
use std::fmt::Write as _;

use crate::names;
use crate::quirks;
use crate::schema::{Enum, Field, Kind, Label, Message, Schema};

/// The whole of `tables.rs`.
pub fn tables(schema: &Schema) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let used = |declared: &&Enum| {
        let kind = Kind::Enum(declared.full.clone());
        schema
            .messages
            .iter()
            .any(|message| message.fields.iter().any(|field| field.kind == kind))
    };
    for declared in schema.enums.iter().filter(used) {
        enumeration(&mut out, declared)?;
    }
    for message in &schema.messages {
        record(&mut out, message)?;
    }
    writeln!(out, "#[cfg(test)]\npub static ALL: &[&Table] = &[")?;
    for message in &schema.messages {
        writeln!(out, "    &{},", names::table(&message.full))?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

fn enumeration(out: &mut String, declared: &Enum) -> std::fmt::Result {
    let mut by_number: Vec<(i32, &str)> = Vec::new();
    for (name, number) in &declared.values {
        // Of two names for one number, the first declared is the one that is printed.
        if !by_number.iter().any(|(known, _)| known == number) {
            by_number.push((*number, name));
        }
    }
    by_number.sort_unstable();
    let mut by_name: Vec<(&str, i32)> = declared
        .values
        .iter()
        .map(|(name, number)| (name.as_str(), *number))
        .collect();
    by_name.sort_unstable();
    writeln!(
        out,
        "enumeration! {{ {}, by_number {by_number:?}, by_name {by_name:?} }}",
        names::table(&declared.full)
    )
}

fn record(out: &mut String, message: &Message) -> std::fmt::Result {
    let slots = |key: &dyn Fn(&Field) -> String| {
        let mut slots: Vec<usize> = (0..message.fields.len()).collect();
        slots.sort_by_key(|slot| key(&message.fields[*slot]));
        slots
    };
    let by_name = slots(&|field| field.name.clone());
    let by_number = slots(&|field| format!("{:010}", field.number));
    writeln!(
        out,
        "record! {{ {}, {}, {:?}, by_name {by_name:?}, by_number {by_number:?},",
        names::table(&message.full),
        names::rust_path(&message.full),
        message.full,
    )?;
    for (slot, field) in message.fields.iter().enumerate() {
        writeln!(
            out,
            "    {slot} {} {:?} {} {:?} ({}) ({}) {};",
            names::rust_field(&field.name),
            field.name,
            field.number,
            field.label,
            kind(&field.kind),
            default(message, field),
            quirks::shown_empty(&message.full, &field.name),
        )?;
    }
    writeln!(out, "}}")
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Enum(full) => format!("Kind::Enum(&{})", names::table(full)),
        Kind::Message(full) => format!("Kind::Message(&{})", names::table(full)),
        Kind::Map(value) => format!("Kind::Map(&{})", self::kind(value)),
        scalar => format!("Kind::{scalar:?}"),
    }
}

/// What is printed for the field when it is unset: its explicit default, unless it is deprecated.
fn default(message: &Message, field: &Field) -> String {
    let Some(text) = field
        .default
        .as_ref()
        .filter(|_| !field.deprecated && field.label == Label::Optional)
    else {
        return "None".to_owned();
    };
    match &field.kind {
        Kind::Bool => format!("Some(Value::Bool({text}))"),
        Kind::Int32 => format!("Some(Value::I32({text}))"),
        Kind::Int64 => format!("Some(Value::I64({text}))"),
        Kind::Uint32 => format!("Some(Value::U32({text}))"),
        Kind::Uint64 => format!("Some(Value::U64({text}))"),
        Kind::Double => format!("Some(Value::F64({text}f64))"),
        // Printed by name, like a string.
        Kind::String | Kind::Enum(_) => format!("Some(Value::Str({text:?}))"),
        other => panic!(
            "{}.{}: no default is known for {other:?}",
            message.full, field.name
        ),
    }
}
