//! The descriptors as flat lists of messages and enums, with what the codecs need to know.
use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// All messages and enums of all files, in the order of their declaration.
#[derive(Default)]
pub struct Schema {
    pub messages: Vec<Message>,
    pub enums: Vec<Enum>,
}

pub struct Message {
    /// For example `mesos.v1.Offer.Operation`.
    pub full: String,
    /// In the order of declaration, in which Mesos prints them.
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: String,
    pub number: i32,
    pub label: Label,
    pub kind: Kind,
    /// The explicit default, as the descriptor spells it.
    pub default: Option<String>,
    pub deprecated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    Optional,
    Required,
    Repeated,
    /// A proto3 field: absent when zero.
    Implicit,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Double,
    String,
    Bytes,
    Enum(String),
    Message(String),
    /// A map from strings to this.
    Map(Box<Kind>),
}

pub struct Enum {
    pub full: String,
    /// Names and numbers in the order of declaration.
    pub values: Vec<(String, i32)>,
}

impl Schema {
    /// Flattens a descriptor set.
    pub fn from_descriptors(set: &FileDescriptorSet) -> Result<Self, String> {
        let mut schema = Self::default();
        for file in &set.file {
            let scope = Scope {
                prefix: file.package().to_owned(),
                proto3: file.syntax() == "proto3",
            };
            for message in &file.message_type {
                schema.add_message(&scope, message)?;
            }
            for declared in &file.enum_type {
                schema.add_enum(&scope, declared);
            }
        }
        Ok(schema)
    }

    fn add_message(&mut self, scope: &Scope, message: &DescriptorProto) -> Result<(), String> {
        let inner = scope.enter(message.name());
        let maps = map_entries(&inner, message)?;
        let fields = message
            .field
            .iter()
            .map(|field| read_field(&inner, &maps, field))
            .collect::<Result<_, _>>()?;
        self.messages.push(Message {
            full: inner.prefix.clone(),
            fields,
        });
        for nested in message
            .nested_type
            .iter()
            .filter(|nested| !is_map_entry(nested))
        {
            self.add_message(&inner, nested)?;
        }
        for declared in &message.enum_type {
            self.add_enum(&inner, declared);
        }
        Ok(())
    }

    fn add_enum(&mut self, scope: &Scope, declared: &EnumDescriptorProto) {
        let values = declared
            .value
            .iter()
            .map(|value| (value.name().to_owned(), value.number()))
            .collect();
        self.enums.push(Enum {
            full: scope.enter(declared.name()).prefix,
            values,
        });
    }
}

struct Scope {
    prefix: String,
    proto3: bool,
}

impl Scope {
    fn enter(&self, name: &str) -> Self {
        Self {
            prefix: format!("{}.{name}", self.prefix),
            proto3: self.proto3,
        }
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

/// The kinds of the values of a message's maps, by the full name of the entry type.
fn map_entries(scope: &Scope, message: &DescriptorProto) -> Result<BTreeMap<String, Kind>, String> {
    let mut maps = BTreeMap::new();
    for entry in message
        .nested_type
        .iter()
        .filter(|nested| is_map_entry(nested))
    {
        let full = scope.enter(entry.name()).prefix;
        let [key, value] = entry.field.as_slice() else {
            return Err(format!("map entry {full} has no key and value"));
        };
        if key.r#type() != Type::String {
            return Err(format!("map entry {full}: only string keys are known"));
        }
        maps.insert(full, scalar_kind(value)?);
    }
    Ok(maps)
}

fn read_field(
    scope: &Scope,
    maps: &BTreeMap<String, Kind>,
    field: &FieldDescriptorProto,
) -> Result<Field, String> {
    if field.oneof_index.is_some() {
        return Err(format!(
            "{}.{}: write oneofs as optional fields",
            scope.prefix,
            field.name()
        ));
    }
    let kind = match scalar_kind(field)? {
        Kind::Message(full) if maps.contains_key(&full) => Kind::Map(Box::new(maps[&full].clone())),
        kind => kind,
    };
    let label = match field.label() {
        ProtoLabel::Repeated => Label::Repeated,
        ProtoLabel::Required => Label::Required,
        ProtoLabel::Optional if scope.proto3 && !matches!(kind, Kind::Message(_)) => {
            Label::Implicit
        }
        ProtoLabel::Optional => Label::Optional,
    };
    Ok(Field {
        name: field.name().to_owned(),
        number: field.number(),
        label,
        kind,
        default: field.default_value.clone(),
        deprecated: field
            .options
            .as_ref()
            .is_some_and(|options| options.deprecated()),
    })
}

fn scalar_kind(field: &FieldDescriptorProto) -> Result<Kind, String> {
    let type_name = || field.type_name().trim_start_matches('.').to_owned();
    Ok(match field.r#type() {
        Type::Bool => Kind::Bool,
        Type::Int32 => Kind::Int32,
        Type::Int64 => Kind::Int64,
        Type::Uint32 => Kind::Uint32,
        Type::Uint64 => Kind::Uint64,
        Type::Double => Kind::Double,
        Type::String => Kind::String,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(type_name()),
        Type::Message => Kind::Message(type_name()),
        other => {
            return Err(format!(
                "field {}: {other:?} is not known here",
                field.name()
            ));
        }
    })
}
