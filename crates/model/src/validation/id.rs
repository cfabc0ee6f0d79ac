//! Ids that frameworks choose. They become names of directories, hence the rules.

use meseta_proto::mesos::v1;

use crate::limits::{CONTAINER_DEPTH, CONTAINER_ID_BYTES, ID_BYTES};

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing.
    #[error("ID must not be empty")]
    Empty,
    /// More than [`ID_BYTES`].
    #[error("ID must not be greater than {} characters", ID_BYTES)]
    TooLong,
    /// `.` or `..`.
    #[error("'{0}' is disallowed")]
    Dots(String),
    /// A control character, a slash or a backslash.
    #[error("'{0}' contains invalid characters")]
    BadCharacter(String),
    /// A container id beyond [`CONTAINER_ID_BYTES`].
    #[error("'ContainerID.value' '{0}' exceeds the maximum length ({most})", most = CONTAINER_ID_BYTES)]
    ContainerTooLong(String),
    /// A dot or space in a container id.
    #[error("'ContainerID.value' '{0}' contains invalid characters")]
    ContainerBadCharacter(String),
    /// A bad parent.
    #[error("'ContainerID.parent' is invalid: {0}")]
    Parent(Box<InvalidId>),
    /// More levels than [`CONTAINER_DEPTH`].
    #[error("'ContainerID' is nested deeper than {} levels", CONTAINER_DEPTH)]
    TooDeep,
}

/// Checks the id of a task, executor, framework, agent or persistent volume.
///
/// # Errors
/// The first rule that it breaks.
pub fn id(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > ID_BYTES {
        return Err(InvalidId::TooLong);
    }
    if matches!(text, "." | "..") {
        return Err(InvalidId::Dots(text.to_owned()));
    }
    if text
        .bytes()
        .any(|byte| byte.is_ascii_control() || matches!(byte, b'/' | b'\\'))
    {
        return Err(InvalidId::BadCharacter(text.to_owned()));
    }
    Ok(())
}

/// Checks a container id, parents included. Dots join its levels in text, so no level may hold one.
///
/// # Errors
/// The first rule that it breaks, from the innermost level outwards.
pub fn container_id(wire: &v1::ContainerId) -> Result<(), InvalidId> {
    let mut level = Some(wire);
    let mut depth = 0;
    while let Some(current) = level {
        if depth >= CONTAINER_DEPTH {
            return Err(InvalidId::TooDeep);
        }
        container_level(&current.value).map_err(|reason| {
            (0..depth).fold(reason, |reason, _| InvalidId::Parent(Box::new(reason)))
        })?;
        level = current.parent.as_deref();
        depth += 1;
    }
    Ok(())
}

fn container_level(text: &str) -> Result<(), InvalidId> {
    id(text)?;
    if text.len() > CONTAINER_ID_BYTES {
        return Err(InvalidId::ContainerTooLong(text.to_owned()));
    }
    if text.contains(['.', ' ']) {
        return Err(InvalidId::ContainerBadCharacter(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(result: Result<T, InvalidId>) -> Option<String> {
        result.err().map(|bad| bad.to_string())
    }

    #[test]
    fn ids_are_names_of_files() {
        let long = "x".repeat(256);
        let cases = [
            ("", "ID must not be empty"),
            (long.as_str(), "ID must not be greater than 255 characters"),
            (".", "'.' is disallowed"),
            ("..", "'..' is disallowed"),
            ("a/b", "'a/b' contains invalid characters"),
            ("a\\b", "'a\\b' contains invalid characters"),
            ("a\nb", "'a\nb' contains invalid characters"),
            ("a\x7f", "'a\x7f' contains invalid characters"),
        ];
        for (text, wanted) in cases {
            assert_eq!(refusal(id(text)).as_deref(), Some(wanted));
        }
        for fine in ["a", "...", "a b", "a.b", "é", &"x".repeat(255)] {
            assert_eq!(id(fine), Ok(()), "{fine}");
        }
    }

    #[test]
    fn container_ids_have_stricter_levels() {
        let nested = |levels: &[&str]| {
            levels
                .iter()
                .fold(None, |parent: Option<v1::ContainerId>, value| {
                    Some(v1::ContainerId {
                        value: (*value).to_owned(),
                        parent: parent.map(Box::new),
                    })
                })
        };
        let check = |levels: &[&str]| refusal(container_id(&nested(levels).unwrap_or_default()));
        assert_eq!(check(&["outer", "inner"]), None);
        assert_eq!(
            check(&["a.b"]).as_deref(),
            Some("'ContainerID.value' 'a.b' contains invalid characters")
        );
        let long = "x".repeat(243);
        assert_eq!(
            check(&[&long]),
            Some(format!(
                "'ContainerID.value' '{long}' exceeds the maximum length (242)"
            ))
        );
        assert_eq!(
            check(&["", "middle", "inner"]).as_deref(),
            Some(
                "'ContainerID.parent' is invalid: 'ContainerID.parent' is invalid: ID must not be empty"
            )
        );
        assert_eq!(check(&["x"; 32]), None);
        assert_eq!(
            check(&["x"; 33]).as_deref(),
            Some("'ContainerID' is nested deeper than 32 levels")
        );
    }
}
