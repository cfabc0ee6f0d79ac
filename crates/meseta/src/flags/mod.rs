//! Mesos's flags: one table row each, with a verdict, and the parser that both daemons share.
//!
//! Spelling follows Mesos: `--name=value`, `--no-name` for booleans, `MESOS_NAME` in the
//! environment, `file:///path` to read a value from a file; `slave` and `agent` names alike. The
//! command line wins over the environment.

mod agent;
mod allocation;
mod logging;
mod master;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use meseta_model::units;

pub use agent::AGENT;
pub use allocation::{allocation, constraint_limits, domain};
pub use logging::LOGGING;
pub use master::MASTER;

/// The largest file a `file://` value may name.
const FILE_VALUE_LIMIT: u64 = 16 << 20;

/// What a flag's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`, `1`, `0`; bare means true; `--no-name` means false.
    Bool,
    /// Mesos's duration text, for example `15secs`.
    Duration,
    /// Mesos's byte text, for example `2GB`.
    Bytes,
    /// A whole number that is not negative.
    Count,
    /// A number.
    Number,
    /// Anything.
    Text,
    /// The name of a file, plain or as `file:///path`; not read here.
    Path,
}

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does what Mesos's does.
    Honoured,
    /// Taken without effect, and why that is harmless.
    Inert(&'static str),
    /// Refused, and why; the value in the row's default is taken, since it asks for nothing.
    Refused(&'static str),
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Mesos's newest name.
    pub name: &'static str,
    /// Older names that mean the same.
    pub aliases: &'static [&'static str],
    /// What the value looks like.
    pub kind: Kind,
    /// What holds when it is not given.
    pub default: Option<&'static str>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// One line for `--help`.
    pub help: &'static str,
}

/// A row in few words; for the tables.
const fn flag(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    verdict: Verdict,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        aliases: &[],
        kind,
        default,
        verdict,
        help,
    }
}

impl Flag {
    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// Why a command line was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadFlag {
    #[error("unknown flag '--{name}'{hint}; see --help for the list")]
    Unknown { name: String, hint: Hint },
    #[error("'{0}' is not a flag; flags look like --name=value")]
    Stray(String),
    #[error("--{name} needs a value: --{name}=VALUE")]
    NoValue { name: &'static str },
    #[error("--{name}={value}: {why}")]
    Value {
        name: &'static str,
        value: String,
        why: String,
    },
    #[error("--{name} is not supported: {why}")]
    Refused {
        name: &'static str,
        why: &'static str,
    },
    #[error("--{name}: cannot read {path}: {why}")]
    File {
        name: &'static str,
        path: String,
        why: String,
    },
    #[error("--{name} was given twice with different values ('{first}' and '{second}')")]
    Twice {
        name: &'static str,
        first: String,
        second: String,
    },
}

/// A name that the user may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint(Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |name| write!(f, " (did you mean '--{name}'?)"))
    }
}

/// The values in force.
#[derive(Debug, Clone, Default)]
pub struct Values {
    given: BTreeMap<&'static str, String>,
    defaults: BTreeMap<&'static str, &'static str>,
}

impl Values {
    /// Reads arguments and environment against these tables.
    ///
    /// # Errors
    /// The first flag that is unknown, badly formed, or refused.
    pub fn parse(
        tables: &[&'static [Flag]],
        arguments: &[String],
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, BadFlag> {
        let rows: Vec<&'static Flag> = tables.iter().flat_map(|table| table.iter()).collect();
        let mut values = Self::default();
        for row in &rows {
            if let Some(default) = row.default {
                values.defaults.insert(row.name, default);
            }
        }
        for (name, value) in environment {
            let Some(name) = name.strip_prefix("MESOS_") else {
                continue;
            };
            // Names that are no flags are common in the environment (an executor's own, for one).
            if let Some(row) = find(&rows, &name.to_lowercase()) {
                values.given.insert(row.name, checked(row, value)?);
            }
        }
        let mut on_line = BTreeMap::new();
        for argument in arguments {
            let (row, value) = split(&rows, argument)?;
            let value = checked(row, value)?;
            if let Some(first) = on_line.insert(row.name, value.clone())
                && first != value
            {
                return Err(BadFlag::Twice {
                    name: row.name,
                    first,
                    second: value,
                });
            }
        }
        values.given.extend(on_line);
        Ok(values)
    }

    /// The text in force, given or default.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given
            .get(name)
            .map(String::as_str)
            .or_else(|| self.defaults.get(name).copied())
    }

    /// Whether it was given at all.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// A boolean; false when neither given nor defaulted.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| parse_bool(text) == Some(true))
    }

    /// A duration; its form was checked by `parse`.
    #[must_use]
    pub fn duration(&self, name: &str) -> Option<Duration> {
        let duration: units::Duration = self.text(name)?.parse().ok()?;
        Some(Duration::from_nanos(
            u64::try_from(duration.as_nanos()).unwrap_or(0),
        ))
    }

    /// A whole number; its form was checked by `parse`.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A number; its form was checked by `parse`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// A path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// What `/flags` shows: every value in force.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> = self
            .defaults
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        shown.extend(
            self.given
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        shown
    }

    /// Sets a value as if it had been given; for `meseta up`, which starts daemons itself.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.given.insert(name, value.into());
    }
}

/// The help text of these tables.
#[must_use]
pub fn help(tables: &[&'static [Flag]]) -> String {
    let mut text = String::new();
    for row in tables.iter().flat_map(|table| table.iter()) {
        let default = row
            .default
            .map(|default| format!(" [default: {default}]"))
            .unwrap_or_default();
        let note = match row.verdict {
            Verdict::Honoured => String::new(),
            Verdict::Inert(why) => format!(" (no effect: {why})"),
            Verdict::Refused(why) => format!(" (refused: {why})"),
        };
        text.push_str(&format!(
            "  --{}\n        {}{default}{note}\n",
            row.name, row.help
        ));
    }
    text
}

fn find(rows: &[&'static Flag], name: &str) -> Option<&'static Flag> {
    rows.iter()
        .find(|row| row.name == name || row.aliases.contains(&name))
        .copied()
}

fn split(rows: &[&'static Flag], argument: &str) -> Result<(&'static Flag, String), BadFlag> {
    let body = argument
        .strip_prefix("--")
        .ok_or_else(|| BadFlag::Stray(argument.to_owned()))?;
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let name = name.replace('-', "_");
    if let Some(row) = find(rows, &name) {
        return match value {
            Some(value) => Ok((row, value.to_owned())),
            None if row.kind == Kind::Bool => Ok((row, "true".to_owned())),
            None => Err(BadFlag::NoValue { name: row.name }),
        };
    }
    if let Some(row) = name.strip_prefix("no_").and_then(|name| find(rows, name))
        && row.kind == Kind::Bool
        && value.is_none()
    {
        return Ok((row, "false".to_owned()));
    }
    Err(BadFlag::Unknown {
        hint: Hint(nearest(rows, &name)),
        name,
    })
}

/// The row whose name shares most with `name`, if it shares much.
fn nearest(rows: &[&'static Flag], name: &str) -> Option<&'static str> {
    let shared = |row: &Flag| {
        row.name
            .bytes()
            .zip(name.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    rows.iter()
        .map(|row| (shared(row), row.name))
        .max()
        .filter(|(n, _)| *n >= 4)
        .map(|(_, name)| name)
}

fn checked(row: &'static Flag, value: String) -> Result<String, BadFlag> {
    let value = match value.strip_prefix("file://") {
        Some(path) if row.kind == Kind::Path => path.to_owned(),
        Some(path) => read_value(row.name, path)?,
        None => value,
    };
    let bad = |why: String| BadFlag::Value {
        name: row.name,
        value: value.clone(),
        why,
    };
    match row.kind {
        Kind::Bool if parse_bool(&value).is_none() => {
            return Err(bad("expecting true or false".into()));
        }
        Kind::Duration => {
            value
                .parse::<units::Duration>()
                .map_err(|error| bad(error.to_string()))?;
        }
        Kind::Bytes => {
            value
                .parse::<units::Bytes>()
                .map_err(|error| bad(error.to_string()))?;
        }
        Kind::Count if value.parse::<u64>().is_err() => {
            return Err(bad("expecting a whole number".into()));
        }
        Kind::Number if !value.parse::<f64>().is_ok_and(f64::is_finite) => {
            return Err(bad("expecting a number".into()));
        }
        _ => {}
    }
    match row.verdict {
        Verdict::Refused(why) if !asks_for_nothing(row, &value) => Err(BadFlag::Refused {
            name: row.name,
            why,
        }),
        _ => Ok(value),
    }
}

/// A refused flag whose value is what holds anyway changes nothing, and old unit files carry many.
fn asks_for_nothing(row: &Flag, value: &str) -> bool {
    match row.kind {
        Kind::Bool => parse_bool(value) == row.default.and_then(parse_bool),
        _ => row.default == Some(value),
    }
}

fn read_value(name: &'static str, path: &str) -> Result<String, BadFlag> {
    let fail = |why: String| BadFlag::File {
        name,
        path: path.to_owned(),
        why,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| fail(error.to_string()))?
        .len();
    if size > FILE_VALUE_LIMIT {
        return Err(fail(format!("{size} bytes, more than {FILE_VALUE_LIMIT}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    Ok(text.trim_end().to_owned())
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
