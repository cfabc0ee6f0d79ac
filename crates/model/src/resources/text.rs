//! Resources as the `--resources` flag spells them: `cpus:4;ports:[31000-32000];disk(ads):100`.

use std::collections::BTreeMap;

use meseta_proto::mesos::v1;

use super::invalid::InvalidResource;
use super::kind::{Kind, ReservationType};
use super::value_text::{BadValueText, ParsedValue, parse_value};
use super::{Ranges, Resource, Resources, Value};
use crate::roles::Role;

/// Why a text is no list of resources that an agent may be started with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResourceText {
    /// JSON that is malformed or no list of resources.
    #[error("Some JSON resources were not formatted properly: {0}")]
    Json(String),
    /// Not `name:value`.
    #[error("Bad value for resources, missing or extra ':' in {0}")]
    NotAPair(String),
    /// `name(role` without `)`.
    #[error("Bad value for resources, mismatched parentheses in {0}")]
    Parentheses(String),
    /// A value that cannot be read.
    #[error("Failed to parse resource {name} value {value} error {reason}")]
    Value {
        /// The resource's name.
        name: String,
        /// What stands after the colon.
        value: String,
        /// What is wrong with it.
        reason: BadValueText,
    },
    /// A value that no resource can have.
    #[error("Bad type for resource {name} value {value} type TEXT")]
    TextValue {
        /// The resource's name.
        name: String,
        /// What stands after the colon.
        value: String,
    },
    /// A resource that is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidResource),
    /// A persistent volume, which only an operation makes.
    #[error("Persistent volumes cannot be specified at the command line")]
    PersistentVolume,
    /// A revocable resource, which only an estimator reports.
    #[error(
        "Revocable resources cannot be specified at the command line; do not include a 'revocable' \
         key in the resources JSON"
    )]
    Revocable,
    /// A dynamic reservation, which only an operation makes.
    #[error(
        "Dynamic reservations cannot be specified at the command line; do not include a reservation \
         with DYNAMIC type in the resources JSON"
    )]
    DynamicReservation,
    /// One name with two types.
    #[error("Resources with the same name ('{0}') but different types are not allowed")]
    TypesDiffer(String),
}

impl Resources {
    /// Reads the flag, in its text form or as a JSON list. Names without a role in parentheses get `default_role`, which makes
    /// them statically reserved unless it is `*`.
    ///
    /// # Errors
    /// The first entry that is malformed, invalid, or that a command line may not state.
    pub fn parse(text: &str, default_role: &Role) -> Result<Self, BadResourceText> {
        Ok(parse_list(text, default_role)?.into_iter().collect())
    }

    /// Takes the flag's JSON form in, already decoded: a list in either wire format. Entries that
    /// state neither `role` nor `reservations` get `default_role`.
    ///
    /// # Errors
    /// The first entry that is invalid or that a command line may not state.
    #[allow(deprecated)]
    pub fn from_flag_json(
        list: &[v1::Resource],
        default_role: &Role,
    ) -> Result<Vec<Resource>, BadResourceText> {
        let mut all = Vec::with_capacity(list.len());
        for wire in list {
            let mut wire = wire.clone();
            if wire.role.is_none() && wire.reservations.is_empty() {
                wire.role = Some(default_role.to_string());
            }
            all.push(Resource::from_wire(&wire)?);
        }
        check_command_line(&all)?;
        Ok(all)
    }

    /// The flag's text form, or `None` if that form cannot say it: refined or dynamic reservations,
    /// disks with a source or a volume, revocable or shared resources, names and items with
    /// punctuation.
    #[must_use]
    pub fn to_flag_text(&self) -> Option<String> {
        let entries: Option<Vec<String>> = self.iter().map(entry_text).collect();
        entries.map(|entries| entries.join(";"))
    }
}

/// Reads the flag in either form, entry by entry, empty ones (`gpus:0`) included: they say that the
/// resource is not to be detected.
///
/// # Errors
/// As [`Resources::parse`], and when JSON cannot be decoded.
pub fn parse_list(text: &str, default_role: &Role) -> Result<Vec<Resource>, BadResourceText> {
    if text.trim_start().starts_with('[') {
        return Resources::from_flag_json(&decode_list(text)?, default_role);
    }
    let all = text
        .split(';')
        .filter(|token| !token.trim().is_empty())
        .map(|token| parse_entry(token, default_role))
        .collect::<Result<Vec<_>, _>>()?;
    check_command_line(&all)?;
    Ok(all)
}

/// The decoder reads messages, not bare lists: this one has a list of resources and nothing else.
fn decode_list(text: &str) -> Result<Vec<v1::Resource>, BadResourceText> {
    serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text)
        .map_err(|bad| BadResourceText::Json(bad.to_string()))?;
    let message = format!("{{\"resources\":{text}}}");
    meseta_proto::from_json::<v1::offer::operation::Unreserve>(message.as_bytes())
        .map(|decoded| decoded.resources)
        .map_err(|bad| BadResourceText::Json(bad.to_string()))
}

fn parse_entry(token: &str, default_role: &Role) -> Result<Resource, BadResourceText> {
    let mut parts = token.split(':').filter(|part| !part.is_empty());
    let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(BadResourceText::NotAPair(token.to_owned()));
    };
    let (name, role) = match key.split_once('(') {
        None => (key.trim(), default_role.as_str()),
        Some((name, rest)) => {
            let (role, _) = rest
                .split_once(')')
                .ok_or_else(|| BadResourceText::Parentheses(token.to_owned()))?;
            (name.trim(), role.trim())
        }
    };
    resource(name, value, role)
}

#[allow(deprecated)]
fn resource(name: &str, value: &str, role: &str) -> Result<Resource, BadResourceText> {
    let parsed = parse_value(value).map_err(|reason| BadResourceText::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        reason,
    })?;
    let mut wire = v1::Resource {
        name: name.to_owned(),
        role: Some(role.to_owned()),
        ..Default::default()
    };
    let kind = match parsed {
        ParsedValue::Scalar(value) => {
            wire.scalar = Some(v1::value::Scalar { value });
            v1::value::Type::Scalar
        }
        ParsedValue::Ranges(ranges) => {
            wire.ranges = Some(joined(ranges)?);
            v1::value::Type::Ranges
        }
        ParsedValue::Set(set) => {
            wire.set = Some(set);
            v1::value::Type::Set
        }
        ParsedValue::Text(_) => {
            return Err(BadResourceText::TextValue {
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    };
    wire.r#type = kind as i32;
    Ok(Resource::from_wire(&wire)?)
}

/// compat: in flags, unlike on the wire, ranges may overlap; they are joined.
fn joined(ranges: v1::value::Ranges) -> Result<v1::value::Ranges, InvalidResource> {
    if ranges.range.iter().any(|range| range.begin > range.end) {
        return Err(InvalidResource::InvertedRange);
    }
    Ok(Ranges::from_pairs(ranges.range.iter().map(|range| (range.begin, range.end))).to_wire())
}

fn check_command_line(all: &[Resource]) -> Result<(), BadResourceText> {
    let mut types: BTreeMap<&str, u8> = BTreeMap::new();
    for resource in all {
        if resource.is_persistent_volume() {
            return Err(BadResourceText::PersistentVolume);
        }
        if resource.is_revocable() {
            return Err(BadResourceText::Revocable);
        }
        if resource.is_dynamically_reserved() {
            return Err(BadResourceText::DynamicReservation);
        }
        let rank = resource.value().type_rank();
        if *types.entry(resource.name().as_str()).or_insert(rank) != rank {
            return Err(BadResourceText::TypesDiffer(resource.name().to_string()));
        }
    }
    Ok(())
}

fn entry_text(resource: &Resource) -> Option<String> {
    let plain =
        |text: &str| !text.is_empty() && !text.contains(|c: char| " ;:,(){}[]\n".contains(c));
    let role = match resource.reservations() {
        [] => None,
        [only] if only.kind == ReservationType::Static => Some(only),
        _ => return None,
    };
    let sayable = Kind {
        reservations: resource.reservations().to_vec(),
        ..Kind::default()
    };
    let bare_role =
        role.is_none_or(|r| r.principal.is_none() && r.labels.is_none() && plain(r.role.as_str()));
    if *resource.kind() != sayable || !bare_role || !plain(resource.name().as_str()) {
        return None;
    }
    let role = role
        .map(|reservation| format!("({})", reservation.role))
        .unwrap_or_default();
    let value = match resource.value() {
        Value::Scalar(quantity) => quantity.to_string(),
        Value::Ranges(ranges) => ranges.to_string().replace(' ', ""),
        Value::Set(items) => {
            if !items.iter().all(|item| plain(item)) {
                return None;
            }
            format!(
                "{{{}}}",
                items.iter().cloned().collect::<Vec<_>>().join(",")
            )
        }
    };
    Some(format!("{}{role}:{value}", resource.name()))
}
