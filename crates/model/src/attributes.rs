//! Attributes: key-value facts about an agent, as the `--attributes` flag spells them.

use meseta_proto::mesos::v1;

use crate::resources::{BadValueText, ParsedValue, Ranges, parse_value};

/// Why a text is no list of attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAttributeText {
    /// Not `name:value`.
    #[error("Invalid attribute key:value pair '{0}'")]
    NotAPair(String),
    /// A value that cannot be read.
    #[error("Failed to parse attribute {name} text {text} error {reason}")]
    Value {
        /// The attribute's name.
        name: String,
        /// What stands after the colon.
        text: String,
        /// What is wrong with it.
        reason: BadValueText,
    },
    /// A set, which Mesos has never supported for attributes.
    #[error("Bad type for attribute {name} text {text} type SET")]
    Set {
        /// The attribute's name.
        name: String,
        /// What stands after the colon.
        text: String,
    },
}

/// Reads `rack:r1;zone:[1-3];level:10`. The type follows from the value: a number is a SCALAR,
/// brackets are RANGES, anything else TEXT (which may contain further colons, but loses its spaces).
///
/// # Errors
/// The first entry that is malformed.
pub fn parse(text: &str) -> Result<Vec<v1::Attribute>, BadAttributeText> {
    text.split([';', '\n'])
        .filter(|token| !token.is_empty())
        .map(parse_entry)
        .collect()
}

fn parse_entry(token: &str) -> Result<v1::Attribute, BadAttributeText> {
    let pair = token
        .split_once(':')
        .filter(|(name, text)| !name.is_empty() && !text.is_empty());
    let (name, text) = pair.ok_or_else(|| BadAttributeText::NotAPair(token.to_owned()))?;
    let parsed = parse_value(text).map_err(|reason| BadAttributeText::Value {
        name: name.to_owned(),
        text: text.to_owned(),
        reason,
    })?;
    let mut attribute = v1::Attribute {
        name: name.to_owned(),
        ..Default::default()
    };
    let kind = match parsed {
        ParsedValue::Scalar(value) => {
            attribute.scalar = Some(v1::value::Scalar { value });
            v1::value::Type::Scalar
        }
        ParsedValue::Ranges(ranges) => {
            let pairs = ranges.range.iter().map(|range| (range.begin, range.end));
            attribute.ranges = Some(Ranges::from_pairs(pairs).to_wire());
            v1::value::Type::Ranges
        }
        ParsedValue::Text(value) => {
            attribute.text = Some(v1::value::Text { value });
            v1::value::Type::Text
        }
        ParsedValue::Set(_) => {
            return Err(BadAttributeText::Set {
                name: name.to_owned(),
                text: text.to_owned(),
            });
        }
    };
    attribute.r#type = kind as i32;
    Ok(attribute)
}

/// The value of an attribute as the legacy documents show it, numbers apart: `r1`, `[1-3]`.
/// `None` for a SCALAR, which they show as a number.
#[must_use]
pub fn text_value(attribute: &v1::Attribute) -> Option<String> {
    if let Some(ranges) = &attribute.ranges {
        let pairs: Vec<String> = ranges
            .range
            .iter()
            .map(|range| format!("{}-{}", range.begin, range.end))
            .collect();
        return Some(format!("[{}]", pairs.join(", ")));
    }
    if let Some(set) = &attribute.set {
        return Some(format!("{{{}}}", set.item.join(", ")));
    }
    attribute.text.as_ref().map(|text| text.value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_from_values() {
        let all = parse("rack:r1;zone:[1-3,4-5];level:10;url:http://h:80/x").unwrap_or_default();
        let shown: Vec<(String, i32, Option<String>)> = all
            .iter()
            .map(|a| (a.name.clone(), a.r#type, text_value(a)))
            .collect();
        let row = |name: &str, kind: v1::value::Type, text: Option<&str>| {
            (name.to_owned(), kind as i32, text.map(str::to_owned))
        };
        assert_eq!(
            shown,
            [
                row("rack", v1::value::Type::Text, Some("r1")),
                row("zone", v1::value::Type::Ranges, Some("[1-5]")),
                row("level", v1::value::Type::Scalar, None),
                row("url", v1::value::Type::Text, Some("http://h:80/x")),
            ]
        );
        assert_eq!(all[2].scalar, Some(v1::value::Scalar { value: 10.0 }));
    }

    #[test]
    fn malformed_entries_are_refused() {
        let cases = [
            ("rack", "Invalid attribute key:value pair 'rack'"),
            (":r1", "Invalid attribute key:value pair ':r1'"),
            ("rack:", "Invalid attribute key:value pair 'rack:'"),
            (
                "z:[1",
                "Failed to parse attribute z text [1 error Mismatched brackets",
            ),
            ("z:{a}", "Bad type for attribute z text {a} type SET"),
        ];
        for (text, wanted) in cases {
            assert_eq!(
                parse(text).map_err(|e| e.to_string()),
                Err(wanted.to_owned()),
                "{text}"
            );
        }
    }
}
