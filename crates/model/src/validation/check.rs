//! Health checks and checks: the right sub-message for the type, no negative times.

use meseta_proto::mesos::v1;

use super::command::{InvalidCommand, command};

/// Why a check is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCheck {
    /// No type, or one that nobody knows.
    #[error("{0} must specify 'type'")]
    NoType(&'static str),
    /// The type UNKNOWN.
    #[error("'UNKNOWN' is not a valid {0} type")]
    UnknownType(&'static str),
    /// The type's sub-message is absent.
    #[error("Expecting '{field}' to be set for {kind} {of}")]
    Missing {
        /// The field.
        field: &'static str,
        /// The check's type.
        kind: &'static str,
        /// What kind of check.
        of: &'static str,
    },
    /// A command check without a command.
    #[error("{of} must contain {what}")]
    EmptyCommand {
        /// What kind of check.
        of: &'static str,
        /// What a command of that form needs.
        what: &'static str,
    },
    /// A command check with a bad command.
    #[error("{of}'s `CommandInfo` is invalid: {reason}")]
    Command {
        /// What kind of check.
        of: &'static str,
        /// What is wrong.
        reason: InvalidCommand,
    },
    /// Neither http nor https.
    #[error("Unsupported HTTP health check scheme: '{0}'")]
    Scheme(String),
    /// A path that does not begin at the root.
    #[error("The path '{path}' of HTTP {of} must start with '/'")]
    Path {
        /// The path.
        path: String,
        /// What kind of check.
        of: &'static str,
    },
    /// A time below zero, or none at all.
    #[error("Expecting '{0}' to be non-negative")]
    Negative(&'static str),
}

/// The names a kind of check has in refusals.
struct Words {
    message: &'static str,
    sentence: &'static str,
    command: &'static str,
    owner: &'static str,
}

const HEALTH: Words = Words {
    message: "HealthCheck",
    sentence: "health check",
    command: "Command health check",
    owner: "Health check",
};
const CHECK: Words = Words {
    message: "CheckInfo",
    sentence: "check",
    command: "Command check",
    owner: "Check",
};

impl Words {
    fn missing(&self, field: &'static str, kind: &'static str) -> InvalidCheck {
        InvalidCheck::Missing {
            field,
            kind,
            of: self.sentence,
        }
    }

    fn command(&self, wire: &v1::CommandInfo) -> Result<(), InvalidCheck> {
        if wire.value.is_none() {
            let what = if wire.shell() {
                "'shell command'"
            } else {
                "'executable path'"
            };
            return Err(InvalidCheck::EmptyCommand {
                of: self.command,
                what,
            });
        }
        command(wire).map_err(|reason| InvalidCheck::Command {
            of: self.owner,
            reason,
        })
    }

    fn path(&self, path: Option<&str>) -> Result<(), InvalidCheck> {
        match path.filter(|path| !path.starts_with('/')) {
            Some(path) => Err(InvalidCheck::Path {
                path: path.to_owned(),
                of: self.sentence,
            }),
            None => Ok(()),
        }
    }
}

fn times(times: &[(&'static str, Option<f64>)]) -> Result<(), InvalidCheck> {
    let bad = |value: f64| value.is_nan() || value < 0.0;
    match times.iter().find(|(_, value)| value.is_some_and(bad)) {
        Some((name, _)) => Err(InvalidCheck::Negative(name)),
        None => Ok(()),
    }
}

/// Checks a health check.
///
/// # Errors
/// The first thing wrong with it.
pub fn health_check(wire: &v1::HealthCheck) -> Result<(), InvalidCheck> {
    use v1::health_check::Type;
    match wire.r#type.and_then(|number| Type::try_from(number).ok()) {
        None => return Err(InvalidCheck::NoType(HEALTH.message)),
        Some(Type::Unknown) => return Err(InvalidCheck::UnknownType(HEALTH.sentence)),
        Some(Type::Command) => {
            let command = wire.command.as_ref();
            HEALTH.command(command.ok_or_else(|| HEALTH.missing("command", "COMMAND"))?)?;
        }
        Some(Type::Http) => {
            let http = wire
                .http
                .as_ref()
                .ok_or_else(|| HEALTH.missing("http", "HTTP"))?;
            if let Some(scheme) = &http.scheme
                && !matches!(scheme.as_str(), "http" | "https")
            {
                return Err(InvalidCheck::Scheme(scheme.clone()));
            }
            HEALTH.path(http.path.as_deref())?;
        }
        Some(Type::Tcp) => {
            wire.tcp
                .as_ref()
                .ok_or_else(|| HEALTH.missing("tcp", "TCP"))?;
        }
    }
    times(&[
        ("delay_seconds", wire.delay_seconds),
        ("grace_period_seconds", wire.grace_period_seconds),
        ("interval_seconds", wire.interval_seconds),
        ("timeout_seconds", wire.timeout_seconds),
    ])
}

/// Checks a check.
///
/// # Errors
/// The first thing wrong with it.
pub fn check(wire: &v1::CheckInfo) -> Result<(), InvalidCheck> {
    use v1::check_info::Type;
    match wire.r#type.and_then(|number| Type::try_from(number).ok()) {
        None => return Err(InvalidCheck::NoType(CHECK.message)),
        Some(Type::Unknown) => return Err(InvalidCheck::UnknownType(CHECK.sentence)),
        Some(Type::Command) => {
            let command = wire.command.as_ref();
            let command = command.ok_or_else(|| CHECK.missing("command", "COMMAND"))?;
            CHECK.command(&command.command)?;
        }
        Some(Type::Http) => {
            let http = wire
                .http
                .as_ref()
                .ok_or_else(|| CHECK.missing("http", "HTTP"))?;
            CHECK.path(http.path.as_deref())?;
        }
        Some(Type::Tcp) => {
            wire.tcp
                .as_ref()
                .ok_or_else(|| CHECK.missing("tcp", "TCP"))?;
        }
    }
    times(&[
        ("delay_seconds", wire.delay_seconds),
        ("interval_seconds", wire.interval_seconds),
        ("timeout_seconds", wire.timeout_seconds),
    ])
}

/// Checks what an executor reports about a check.
///
/// # Errors
/// A type without its sub-message, or no type.
pub fn check_status(wire: &v1::CheckStatusInfo) -> Result<(), InvalidCheck> {
    use v1::check_info::Type;
    const OF: &str = "check's status";
    let (field, kind, there) = match wire.r#type.and_then(|number| Type::try_from(number).ok()) {
        None => return Err(InvalidCheck::NoType("CheckStatusInfo")),
        Some(Type::Unknown) => return Err(InvalidCheck::UnknownType(OF)),
        Some(Type::Command) => ("command", "COMMAND", wire.command.is_some()),
        Some(Type::Http) => ("http", "HTTP", wire.http.is_some()),
        Some(Type::Tcp) => ("tcp", "TCP", wire.tcp.is_some()),
    };
    if there {
        Ok(())
    } else {
        Err(InvalidCheck::Missing {
            field,
            kind,
            of: OF,
        })
    }
}
