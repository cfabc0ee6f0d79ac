//! Messages as tables of fields: what the JSON codec and the binary check work on.
//!
//! The build script writes one [`Table`] per message and one [`EnumTable`] per enum. A [`Record`] is any
//! message seen through its table: fields are numbered by *slot*, their place in the declaration, read as
//! [`Value`] and written through [`Place`]. So the rules of an encoding are written once, by hand, and
//! what is generated holds facts only.
mod content;
mod macros;
pub(crate) mod tables;

pub use content::{Content, List, Map, Maybe};

/// A message type as its fields.
#[derive(Debug)]
pub struct Table {
    /// The full name, for example `mesos.v1.Offer`.
    pub name: &'static str,
    /// Bytes that one value takes, without what it points to.
    pub size: usize,
    /// The fields in the order of declaration, in which Mesos prints them; at most 128.
    pub fields: &'static [Field],
    /// Slots in the order of field names.
    pub(crate) by_name: &'static [usize],
    /// Slots in the order of field numbers.
    pub(crate) by_number: &'static [usize],
    #[cfg(test)]
    pub(crate) new: fn() -> Box<dyn AnyRecord>,
}

impl Table {
    /// The slot of the field called `name`.
    pub fn slot_named(&self, name: &str) -> Option<usize> {
        let at = self
            .by_name
            .binary_search_by(|&slot| self.fields[slot].name().cmp(name))
            .ok()?;
        Some(self.by_name[at])
    }

    /// The slot of the field with this number.
    pub fn slot_numbered(&self, number: u32) -> Option<usize> {
        let at = self
            .by_number
            .binary_search_by_key(&number, |&slot| self.fields[slot].number)
            .ok()?;
        Some(self.by_number[at])
    }
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// The name as JSON text with its colon, `"framework_id":`.
    pub(crate) key: &'static str,
    /// The number on the wire.
    pub number: u32,
    /// How often it may or must occur.
    pub label: Label,
    /// What it holds.
    pub kind: Kind,
    /// What JSON shows while it is unset: the explicit default, unless the field is deprecated.
    pub shown_default: Option<Value<'static>>,
    /// Whether JSON shows it as an empty list.
    pub shown_empty: bool,
}

impl Field {
    /// The name as in the `.proto` file.
    pub fn name(&self) -> &'static str {
        &self.key[1..self.key.len() - 2]
    }
}

/// How often a field may or must occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Once or not at all.
    Optional,
    /// Exactly once.
    Required,
    /// Any number of times; maps too.
    Repeated,
    /// As in proto3, where zero and absent are one.
    Implicit,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// An enum; its numbers are kept as `i32`.
    Enum(&'static EnumTable),
    /// A message.
    Message(&'static Table),
    /// A map from strings to this.
    Map(&'static Kind),
}

impl Kind {
    /// Bytes that one element of a list or map takes, without what it points to.
    pub(crate) fn element_size(&self) -> usize {
        match self {
            Self::Message(table) => table.size,
            Self::Map(value) => size_of::<String>() + value.element_size(),
            Self::String | Self::Bytes => size_of::<bytes::Bytes>(),
            _ => size_of::<u64>(),
        }
    }
}

/// An enum as its names and numbers.
#[derive(Debug)]
pub struct EnumTable {
    /// Numbers in their order, each with the name that is printed.
    pub(crate) by_number: &'static [(i32, &'static str)],
    /// Names in their order.
    pub(crate) by_name: &'static [(&'static str, i32)],
}

impl EnumTable {
    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<i32> {
        let at = self
            .by_name
            .binary_search_by_key(&name, |(known, _)| known)
            .ok()?;
        Some(self.by_name[at].1)
    }

    /// The name of a number.
    pub fn name(&self, number: i32) -> Option<&'static str> {
        let at = self
            .by_number
            .binary_search_by_key(&number, |(known, _)| *known)
            .ok()?;
        Some(self.by_number[at].1)
    }
}

/// A message of any type, seen as the fields of its table.
pub trait Record: prost::Message + std::fmt::Debug {
    /// The fields.
    fn table(&self) -> &'static Table;

    /// What the field in `slot` holds.
    ///
    /// # Panics
    /// When the table has no such slot.
    fn value(&self, slot: usize) -> Value<'_>;

    /// Where the field in `slot` is written.
    ///
    /// # Panics
    /// When the table has no such slot.
    fn place(&mut self, slot: usize) -> Place<'_>;

    /// Takes the value from a JSON string, where this message has a text form.
    ///
    /// # Errors
    /// `None` when it has none, or the text is not of that form.
    fn set_text(&mut self, _text: &str) -> Option<()> {
        None
    }
}

/// A message that tests can make, encode and decode without knowing its type.
#[cfg(test)]
pub(crate) trait AnyRecord {
    fn record(&self) -> &dyn Record;
    fn record_mut(&mut self) -> &mut dyn Record;
    fn to_bytes(&self) -> Vec<u8>;
    fn read_bytes(&mut self, bytes: &[u8]) -> Result<(), crate::DecodeError>;
    fn read_json(&mut self, text: &[u8]) -> Result<(), crate::JsonError>;
}

#[cfg(test)]
impl<M: Wire> AnyRecord for M {
    fn record(&self) -> &dyn Record {
        self
    }

    fn record_mut(&mut self) -> &mut dyn Record {
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        crate::encode(self)
    }

    fn read_bytes(&mut self, bytes: &[u8]) -> Result<(), crate::DecodeError> {
        *self = crate::decode(bytes)?;
        Ok(())
    }

    fn read_json(&mut self, text: &[u8]) -> Result<(), crate::JsonError> {
        *self = crate::from_json(text)?;
        Ok(())
    }
}

/// A message type that can be decoded and encoded, in protobuf and JSON.
pub trait Wire: Record + Default + Clone + PartialEq + 'static {
    /// The full name, for example `mesos.v1.scheduler.Call`.
    const NAME: &'static str;
    /// The fields.
    const TABLE: &'static Table;
}

/// What a field, or an element of a list or map, holds.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Nothing.
    Unset,
    /// A boolean.
    Bool(bool),
    /// A 32-bit number, or the number of an enum's value.
    I32(i32),
    /// A 64-bit number.
    I64(i64),
    /// An unsigned 32-bit number.
    U32(u32),
    /// An unsigned 64-bit number.
    U64(u64),
    /// A double.
    F64(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A message.
    Message(&'a dyn Record),
    /// A repeated field.
    List(&'a dyn List),
    /// A map.
    Map(&'a dyn Map),
}

impl Value<'_> {
    /// Whether it is what proto3 does not tell from absence.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::I32(value) => *value == 0,
            Self::I64(value) => *value == 0,
            Self::U32(value) => *value == 0,
            Self::U64(value) => *value == 0,
            Self::F64(value) => *value == 0.0,
            Self::Str(value) => value.is_empty(),
            Self::Bytes(value) => value.is_empty(),
            Self::Unset | Self::Message(_) | Self::List(_) | Self::Map(_) => false,
        }
    }
}

/// Where a field, or an element of a list or map, is written.
pub enum Place<'a> {
    /// A boolean.
    Bool(&'a mut bool),
    /// A 32-bit number, or the number of an enum's value.
    I32(&'a mut i32),
    /// A 64-bit number.
    I64(&'a mut i64),
    /// An unsigned 32-bit number.
    U32(&'a mut u32),
    /// An unsigned 64-bit number.
    U64(&'a mut u64),
    /// A double.
    F64(&'a mut f64),
    /// Text.
    Str(&'a mut String),
    /// Bytes.
    Bytes(&'a mut bytes::Bytes),
    /// A message.
    Message(&'a mut dyn Record),
    /// A field that may be unset.
    Maybe(&'a mut dyn Maybe),
    /// A repeated field.
    List(&'a mut dyn List),
    /// A map.
    Map(&'a mut dyn Map),
}

/// Takes out every enum number that the tables do not know, as protobuf's own libraries do on decoding:
/// such a field is unset, such an element of a list absent.
pub(crate) fn drop_unknown_enums(record: &mut dyn Record) {
    for (slot, field) in record.table().fields.iter().enumerate() {
        match field.kind {
            Kind::Enum(table) => drop_unknown(record.place(slot), table),
            Kind::Message(_) | Kind::Map(Kind::Message(_)) => {
                each_message(record.place(slot), &mut |inner| {
                    drop_unknown_enums(inner);
                })
            }
            _ => {}
        }
    }
}

fn drop_unknown(place: Place<'_>, table: &EnumTable) {
    let known =
        |value: Value<'_>| matches!(value, Value::I32(number) if table.name(number).is_some());
    match place {
        Place::Maybe(maybe) if !known(maybe.get()) => maybe.unset(),
        Place::List(list) => list.retain(&known),
        // A required one: the check before decoding has refused it.
        _ => {}
    }
}

fn each_message(place: Place<'_>, visit: &mut dyn FnMut(&mut dyn Record)) {
    match place {
        Place::Message(inner) => visit(inner),
        Place::Maybe(maybe) => {
            if let Some(inner) = maybe.get_mut() {
                each_message(inner, visit);
            }
        }
        Place::List(list) => list.each(&mut |inner| each_message(inner, visit)),
        Place::Map(map) => map.each(&mut |inner| each_message(inner, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
