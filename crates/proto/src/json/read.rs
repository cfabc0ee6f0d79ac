//! JSON text as messages.
//!
//! serde_json calls the visitors below with what it finds; they write through places. A fault of ours
//! travels beside serde's own error, because it carries more.
use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{JsonError, JsonType};
use super::scalar::{Scalar, assign};
use crate::limits::{Limits, MAX_DEPTH};
use crate::path::{Missing, Path, Segment, quote};
use crate::reflect::{EnumTable, Field, Kind, Label, List, Map, Place, Record};

/// The name of the only field of the object that serde_json makes of a number, when any crate of the
/// build asked it for `arbitrary_precision`.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// Reads one document into `record`, which is empty.
pub(super) fn read(record: &mut dyn Record, text: &[u8], limits: &Limits) -> Result<(), JsonError> {
    if text.len() > limits.message_bytes {
        return Err(JsonError::TooLarge {
            len: text.len(),
            limit: limits.message_bytes,
        });
    }
    let mut state = State {
        path: Path::default(),
        missing: Missing::default(),
        depth: 0,
        element_bytes: 0,
        limit: limits.element_bytes,
        fault: None,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let outcome = deserializer.deserialize_any(Document {
        state: &mut state,
        record,
    });
    if let Err(error) = outcome.and_then(|()| deserializer.end()) {
        // Mesos parses the whole text before it looks at what it means.
        return Err(match serde_json::from_slice::<IgnoredAny>(text) {
            Err(syntax) => syntax_error(&syntax, text),
            Ok(_) => state.fault.unwrap_or_else(|| data_error(&error, text)),
        });
    }
    if state.missing.is_empty() {
        Ok(())
    } else {
        Err(JsonError::Missing(state.missing))
    }
}

/// An error of serde_json about sound JSON: the document is no object, or a text is no text.
fn data_error(error: &serde_json::Error, text: &[u8]) -> JsonError {
    if error.is_data() {
        JsonError::NotAnObject
    } else {
        syntax_error(error, text)
    }
}

fn syntax_error(error: &serde_json::Error, text: &[u8]) -> JsonError {
    let lines_before = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1));
    let start = lines_before.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
    let rest = text
        .get(start..)
        .filter(|_| !error.is_eof())
        .unwrap_or_default();
    let to_line_end = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let near = quote(&String::from_utf8_lossy(to_line_end));
    if error.to_string().starts_with("trailing characters") {
        JsonError::Trailing { near }
    } else {
        JsonError::Syntax {
            line: error.line(),
            near,
        }
    }
}

/// What one reading has come to.
struct State {
    path: Path,
    missing: Missing,
    /// Objects and lists around where we are.
    depth: usize,
    element_bytes: usize,
    limit: usize,
    fault: Option<JsonError>,
}

impl State {
    /// Keeps our fault and answers what stops serde.
    fn refuse<E: Error>(&mut self, fault: JsonError) -> E {
        self.fault.get_or_insert(fault);
        E::custom("refused")
    }

    fn unexpected<E: Error>(&mut self, found: JsonType) -> E {
        let path = self.path.to_string();
        self.refuse(JsonError::Unexpected { path, found })
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth == MAX_DEPTH {
            let path = self.path.to_string();
            return Err(self.refuse(JsonError::TooDeep { path }));
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Charges one element of a list or map to the memory that elements may take.
    fn count<E: Error>(&mut self, kind: &Kind) -> Result<(), E> {
        self.element_bytes = self.element_bytes.saturating_add(kind.element_size());
        if self.element_bytes > self.limit {
            let fault = JsonError::TooMany {
                path: self.path.to_string(),
                limit: self.limit,
            };
            return Err(self.refuse(fault));
        }
        Ok(())
    }

    /// Reads the fields of an object whose first name was read already.
    fn message<'de, A: MapAccess<'de>>(
        &mut self,
        record: &mut dyn Record,
        first: Option<Cow<'de, str>>,
        mut access: A,
    ) -> Result<(), A::Error> {
        let table = record.table();
        let missing_before = self.missing.len();
        let mut seen = 0u128;
        let mut next = first;
        while let Some(name) = next {
            match table.slot_named(&name) {
                None => {
                    access.next_value::<IgnoredAny>()?;
                }
                Some(slot) => {
                    let field = &table.fields[slot];
                    self.path.push(Segment::Field(field.name()));
                    let place = record.place(slot);
                    let present = access.next_value_seed(Slot::of_field(self, field, place))?;
                    self.path.pop();
                    seen = if present {
                        seen | (1 << slot)
                    } else {
                        seen & !(1 << slot)
                    };
                }
            }
            next = access.next_key_seed(Name)?;
        }
        // Before what is missing further inside, as Mesos lists them.
        let mut at = missing_before;
        for (slot, field) in table.fields.iter().enumerate() {
            if field.label == Label::Required && seen & (1 << slot) == 0 {
                self.missing
                    .insert(at, || self.path.with_field(field.name()));
                at += 1;
            }
        }
        Ok(())
    }

    /// Reads the entries of a map whose first key was read already.
    fn entries<'de, A: MapAccess<'de>>(
        &mut self,
        field: &'static Field,
        map: &mut dyn Map,
        first: Option<Cow<'de, str>>,
        mut access: A,
    ) -> Result<(), A::Error> {
        let Kind::Map(value) = field.kind else {
            return Err(self.unexpected(JsonType::Object));
        };
        map.clear();
        let mut next = first;
        while let Some(key) = next {
            self.count(&field.kind)?;
            self.path.push(Segment::Key(key.to_string()));
            let place = map.insert(&key);
            if !access.next_value_seed(Slot {
                state: self,
                field,
                kind: value,
                place,
                element: false,
            })? {
                map.remove(&key);
            }
            self.path.pop();
            next = access.next_key_seed(Name)?;
        }
        Ok(())
    }

    /// Reads the elements of a list.
    fn elements<'de, A: SeqAccess<'de>>(
        &mut self,
        field: &'static Field,
        list: &mut dyn List,
        mut access: A,
    ) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            self.path.push(Segment::Index(index));
            let place = Place::List(&mut *list);
            let element = Slot {
                state: self,
                field,
                kind: &field.kind,
                place,
                element: true,
            };
            let read = access.next_element_seed(element)?;
            self.path.pop();
            if read.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }
}

/// The whole document.
struct Document<'s, 'm> {
    state: &'s mut State,
    record: &'m mut dyn Record,
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let first = access.next_key_seed(Name)?;
        if first.as_deref() == Some(NUMBER_KEY) {
            return Err(self.state.refuse(JsonError::NotAnObject));
        }
        self.state.enter()?;
        self.state.message(self.record, first, access)?;
        self.state.leave();
        Ok(())
    }
}

/// Where a value goes: a field, an element of its list, or a value of its map. Reading answers whether
/// anything was there: `null` and unknown enum names are nothing.
struct Slot<'s, 'm> {
    state: &'s mut State,
    field: &'static Field,
    kind: &'static Kind,
    place: Place<'m>,
    /// Whether the value is one of several in the list that `place` is.
    element: bool,
}

impl<'s, 'm> Slot<'s, 'm> {
    fn of_field(state: &'s mut State, field: &'static Field, place: Place<'m>) -> Self {
        Self {
            state,
            field,
            kind: &field.kind,
            place,
            element: false,
        }
    }

    /// The place of the value itself: what is optional is set, a list gets one more element. A single
    /// value in place of a list is a list of one.
    fn open<E: Error>(
        state: &mut State,
        kind: &Kind,
        place: Place<'m>,
        element: bool,
    ) -> Result<Place<'m>, E> {
        Ok(match place {
            Place::Maybe(maybe) => maybe.set(),
            Place::List(list) => {
                if !element {
                    list.clear();
                }
                state.count(kind)?;
                list.push()
            }
            Place::Message(record) => {
                record.clear();
                Place::Message(record)
            }
            place => place,
        })
    }

    fn scalar<E: Error>(self, scalar: Scalar<'_>) -> Result<bool, E> {
        if let Kind::Enum(table) = self.kind {
            return self.enumerated(table, scalar);
        }
        let place = Self::open(self.state, self.kind, self.place, self.element)?;
        match assign(place, scalar) {
            Ok(()) => Ok(true),
            Err(fault) => {
                let fault = fault.at(self.state.path.to_string(), scalar.json_type());
                Err(self.state.refuse(fault))
            }
        }
    }

    fn enumerated<E: Error>(self, table: &EnumTable, scalar: Scalar<'_>) -> Result<bool, E> {
        let Scalar::Text(name) = scalar else {
            return Err(self.state.unexpected(scalar.json_type()));
        };
        match table.number(name) {
            Some(number) => {
                if let Place::I32(place) =
                    Self::open(self.state, self.kind, self.place, self.element)?
                {
                    *place = number;
                }
                Ok(true)
            }
            None if self.field.label == Label::Required => {
                let path = self.state.path.to_string();
                Err(self.state.refuse(JsonError::UnknownEnum {
                    path,
                    name: quote(name),
                }))
            }
            None => Ok(self.unset()),
        }
    }

    fn unset(self) -> bool {
        match self.place {
            Place::Maybe(maybe) => maybe.unset(),
            Place::List(list) if !self.element => list.clear(),
            Place::Map(map) => map.clear(),
            _ => {}
        }
        false
    }

    fn number_text<E: Error>(self, text: &str) -> Result<bool, E> {
        match Scalar::number(text) {
            Some(scalar) => self.scalar(scalar),
            None => Err(self.state.unexpected(JsonType::Object)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(self.unset())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.scalar(Scalar::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.scalar(Scalar::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.scalar(Scalar::Double(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<bool, A::Error> {
        self.state.enter()?;
        match self.place {
            Place::List(list) if !self.element => {
                list.clear();
                self.state.elements(self.field, list, access)?;
            }
            _ => return Err(self.state.unexpected(JsonType::Array)),
        }
        self.state.leave();
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let first = access.next_key_seed(Name)?;
        if first.as_deref() == Some(NUMBER_KEY) {
            let text = access.next_value::<String>()?;
            return self.number_text(&text);
        }
        self.state.enter()?;
        match (
            self.kind,
            Self::open(self.state, self.kind, self.place, self.element)?,
        ) {
            (Kind::Message(_), Place::Message(record)) => {
                self.state.message(record, first, access)?
            }
            (_, Place::Map(map)) => self.state.entries(self.field, map, first, access)?,
            _ => return Err(self.state.unexpected(JsonType::Object)),
        }
        self.state.leave();
        Ok(true)
    }
}

/// The name of a field or the key of a map.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
