//! The check of raw bytes before prost sees them: layout, required fields, depth, memory.
use crate::limits::{Limits, MAX_DEPTH};
use crate::path::{Missing, Path, Segment};
use crate::reflect::{Field, Kind, Label, Table};

use super::DecodeError;
use super::reader::{Fault, Layout, Reader};

/// What the check of a sound message tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Optional or repeated fields hold enum numbers that the tables do not know.
    pub(super) unknown_enums: bool,
}

/// Checks that `bytes` are a complete message of this table.
pub(super) fn check(
    table: &'static Table,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Found, DecodeError> {
    if bytes.len() > limits.message_bytes {
        return Err(DecodeError::TooLarge {
            len: bytes.len(),
            limit: limits.message_bytes,
        });
    }
    let mut checker = Checker {
        path: Path::default(),
        missing: Missing::default(),
        element_bytes: 0,
        limit: limits.element_bytes,
        unknown_enums: false,
    };
    checker.message(table, &[Part { slot: 0, bytes }], 1)?;
    if checker.missing.is_empty() {
        Ok(Found {
            unknown_enums: checker.unknown_enums,
        })
    } else {
        Err(DecodeError::Missing(checker.missing))
    }
}

struct Checker {
    path: Path,
    missing: Missing,
    element_bytes: usize,
    limit: usize,
    unknown_enums: bool,
}

/// The bytes of a field that holds a message or a map entry.
#[derive(Clone, Copy)]
struct Part<'a> {
    slot: usize,
    bytes: &'a [u8],
}

impl Checker {
    /// Checks one message. It is in several parts when a field that is not repeated occurs several times:
    /// protobuf merges those, so what one part lacks another may hold.
    fn message(
        &mut self,
        table: &'static Table,
        parts: &[Part<'_>],
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep {
                path: self.path.to_string(),
            });
        }
        let mut seen = 0u128;
        let mut inner = Vec::new();
        for part in parts {
            let mut reader = Reader::new(part.bytes);
            while !reader.is_empty() {
                self.field(table, &mut reader, &mut seen, &mut inner, depth)?;
            }
        }
        for (slot, field) in table.fields.iter().enumerate() {
            if field.label == Label::Required && seen & (1 << slot) == 0 {
                let path = &self.path;
                self.missing
                    .insert(self.missing.len(), || path.with_field(field.name()));
            }
        }
        // Senders write fields in the order of their numbers, so this finds them sorted.
        inner.sort_by_key(|part| table.fields[part.slot].number);
        for run in inner.chunk_by(|a, b| a.slot == b.slot) {
            self.inner_messages(&table.fields[run[0].slot], run, depth + 1)?;
        }
        Ok(())
    }

    fn field<'a>(
        &mut self,
        table: &'static Table,
        reader: &mut Reader<'a>,
        seen: &mut u128,
        inner: &mut Vec<Part<'a>>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let (number, layout) = reader.key().map_err(|fault| self.malformed(None, fault))?;
        let Some(slot) = table.slot_numbered(number) else {
            let skipped = reader.skip(number, layout, MAX_DEPTH - depth);
            return skipped.map_err(|fault| self.malformed(None, fault));
        };
        let field = &table.fields[slot];
        let present = match field.kind {
            Kind::Message(_) | Kind::Map(_) => {
                let bytes = value_bytes(reader, layout)
                    .map_err(|fault| self.malformed(Some(field), fault))?;
                inner.push(Part { slot, bytes });
                true
            }
            _ => self
                .scalar(field, reader, layout)
                .map_err(|fault| self.malformed(Some(field), fault))?,
        };
        if present {
            *seen |= 1 << slot;
        }
        if field.label == Label::Repeated {
            self.count(field)
        } else {
            Ok(())
        }
    }

    /// Checks a value that is no message; false when it counts as absent.
    fn scalar(
        &mut self,
        field: &Field,
        reader: &mut Reader<'_>,
        layout: Layout,
    ) -> Result<bool, Fault> {
        match (field.kind, layout) {
            (Kind::Double, Layout::Fixed64) => reader.take(8).map(|_| true),
            (Kind::String, Layout::Length) => {
                let bytes = reader.length_delimited()?;
                std::str::from_utf8(bytes)
                    .map(|_| true)
                    .map_err(|_| "text that is not UTF-8")
            }
            (Kind::Bytes, Layout::Length) => reader.length_delimited().map(|_| true),
            (Kind::String | Kind::Bytes | Kind::Double, _) => Err("wrong wire type"),
            (kind, Layout::Varint) => {
                let value = reader.varint()?;
                Ok(self.number_known(kind, value) || field.label != Label::Required)
            }
            (kind, Layout::Length) if field.label == Label::Repeated => {
                let mut packed = Reader::new(reader.length_delimited()?);
                while !packed.is_empty() {
                    let value = packed.varint()?;
                    self.number_known(kind, value);
                }
                Ok(true)
            }
            _ => Err("wrong wire type"),
        }
    }

    fn number_known(&mut self, kind: Kind, value: u64) -> bool {
        match kind {
            // An enum number travels as 64 bits and counts as 32.
            Kind::Enum(table) if table.name(value as i32).is_none() => {
                self.unknown_enums = true;
                false
            }
            _ => true,
        }
    }

    /// Checks what one field holds: messages of a list one by one, parts of a single message together.
    fn inner_messages(
        &mut self,
        field: &'static Field,
        run: &[Part<'_>],
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.path.push(Segment::Field(field.name()));
        match field.kind {
            Kind::Message(table) if field.label == Label::Repeated => {
                for (index, part) in run.iter().enumerate() {
                    self.path.push(Segment::Index(index));
                    self.message(table, std::slice::from_ref(part), depth)?;
                    self.path.pop();
                }
            }
            Kind::Message(table) => self.message(table, run, depth)?,
            Kind::Map(value) => {
                for part in run {
                    self.map_entry(value, part.bytes, depth)?;
                }
            }
            _ => unreachable!("only messages and map entries are put aside"),
        }
        self.path.pop();
        Ok(())
    }

    /// A map entry is a message of a key (1) and a value (2). An absent value passes as one of defaults:
    /// senders that are built on prost leave those out.
    fn map_entry(&mut self, kind: &Kind, bytes: &[u8], depth: usize) -> Result<(), DecodeError> {
        let mut key = "";
        let mut values = Vec::new();
        let mut reader = Reader::new(bytes);
        let mut read = || -> Result<(), Fault> {
            while !reader.is_empty() {
                match reader.key()? {
                    (1, layout) => {
                        key = std::str::from_utf8(value_bytes(&mut reader, layout)?)
                            .map_err(|_| "text that is not UTF-8")?;
                    }
                    (2, layout) => values.push(Part {
                        slot: 0,
                        bytes: value_bytes(&mut reader, layout)?,
                    }),
                    (number, layout) => {
                        reader.skip(number, layout, MAX_DEPTH.saturating_sub(depth))?
                    }
                }
            }
            Ok(())
        };
        let outcome = read();
        outcome.map_err(|fault| self.malformed(None, fault))?;
        self.path.push(Segment::Key(key.to_owned()));
        match kind {
            // prost counts the entry as a level of its own.
            Kind::Message(table) if !values.is_empty() => {
                self.message(table, &values, depth + 1)?
            }
            _ => {
                if values
                    .iter()
                    .any(|value| std::str::from_utf8(value.bytes).is_err())
                {
                    return Err(self.malformed(None, "text that is not UTF-8"));
                }
            }
        }
        self.path.pop();
        Ok(())
    }

    /// Charges one element of a list or map to the memory that elements may take.
    fn count(&mut self, field: &Field) -> Result<(), DecodeError> {
        self.element_bytes = self.element_bytes.saturating_add(field.kind.element_size());
        if self.element_bytes > self.limit {
            return Err(DecodeError::TooMany {
                path: self.path.with_field(field.name()),
                limit: self.limit,
            });
        }
        Ok(())
    }

    fn malformed(&self, field: Option<&Field>, reason: Fault) -> DecodeError {
        let path = match field {
            Some(field) => self.path.with_field(field.name()),
            None => self.path.to_string(),
        };
        DecodeError::Malformed { path, reason }
    }
}

fn value_bytes<'a>(reader: &mut Reader<'a>, layout: Layout) -> Result<&'a [u8], Fault> {
    match layout {
        Layout::Length => reader.length_delimited(),
        _ => Err("wrong wire type"),
    }
}
