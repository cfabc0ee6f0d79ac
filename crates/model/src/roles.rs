//! Role names: slash-separated paths, where a role is below every prefix of its path.

use std::fmt;
use std::sync::Arc;

use crate::limits::{ROLE_BYTES, ROLE_LEVELS};

/// The name of a role. Validity is checked by [`validate`] where names enter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(Arc<str>);

/// The role of unreserved resources and of frameworks that name none.
pub const DEFAULT_ROLE: &str = "*";

impl Role {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `*`.
    #[must_use]
    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT_ROLE
    }

    /// Whether both share one piece of memory, a cheap hint that they are equal.
    pub(crate) fn is_same_allocation(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether this is strictly below `ancestor` (`a/b` is below `a`; nothing is below itself or `*`).
    #[must_use]
    pub fn is_strictly_below(&self, ancestor: &Self) -> bool {
        self.0
            .strip_prefix(&*ancestor.0)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether this is `other` or below it.
    #[must_use]
    pub fn is_or_is_below(&self, other: &Self) -> bool {
        self == other || self.is_strictly_below(other)
    }

    /// The roles above, nearest first: `a/b`, `a` for `a/b/c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let mut rest: &str = &self.0;
        std::iter::from_fn(move || {
            rest = rest.rsplit_once('/')?.0;
            Some(rest)
        })
    }

    /// The topmost part: `a` for `a/b/c`.
    #[must_use]
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
}

impl Default for Role {
    fn default() -> Self {
        Self::new(DEFAULT_ROLE)
    }
}

impl From<&str> for Role {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Role({})", self.0)
    }
}

/// Why a text is no role name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRole {
    /// The empty string.
    #[error("Role names cannot be the empty string")]
    Empty,
    /// More than [`ROLE_BYTES`]. Mesos has no bound.
    #[error("Role names cannot be longer than {ROLE_BYTES} bytes; this one has {0}")]
    TooLong(usize),
    /// More parts than [`ROLE_LEVELS`]. Mesos has no bound.
    #[error("Role '{0}' cannot have more than {ROLE_LEVELS} levels")]
    TooDeep(String),
    /// A slash in front.
    #[error("Role '{0}' cannot start with a slash")]
    LeadingSlash(String),
    /// A slash at the end.
    #[error("Role '{0}' cannot end with a slash")]
    TrailingSlash(String),
    /// An empty part.
    #[error("Role '{0}' cannot contain two adjacent slashes")]
    DoubleSlash(String),
    /// A part that is `.`, `..` or `*`.
    #[error("Role '{role}' cannot include '{part}' as a component")]
    ReservedPart {
        /// The whole name.
        role: String,
        /// The part.
        part: String,
    },
    /// A part that looks like an option.
    #[error("Role component '{0}' is invalid because it starts with a dash")]
    LeadingDash(String),
    /// Whitespace, or the byte 0x7f, which Mesos calls backspace.
    #[error("Role component '{0}' is invalid because it contains backspace or whitespace")]
    BadCharacter(String),
}

/// Checks a role name: `*` alone, or parts separated by single slashes.
///
/// # Errors
/// The first rule that it breaks.
pub fn validate(role: &str) -> Result<(), InvalidRole> {
    if role == DEFAULT_ROLE {
        return Ok(());
    }
    if role.is_empty() {
        return Err(InvalidRole::Empty);
    }
    if role.len() > ROLE_BYTES {
        return Err(InvalidRole::TooLong(role.len()));
    }
    if role.starts_with('/') {
        return Err(InvalidRole::LeadingSlash(role.to_owned()));
    }
    if role.ends_with('/') {
        return Err(InvalidRole::TrailingSlash(role.to_owned()));
    }
    if role.contains("//") {
        return Err(InvalidRole::DoubleSlash(role.to_owned()));
    }
    if role.split('/').count() > ROLE_LEVELS {
        return Err(InvalidRole::TooDeep(role.to_owned()));
    }
    role.split('/')
        .try_for_each(|part| validate_part(role, part))
}

fn validate_part(role: &str, part: &str) -> Result<(), InvalidRole> {
    if matches!(part, "." | ".." | DEFAULT_ROLE) {
        return Err(InvalidRole::ReservedPart {
            role: role.to_owned(),
            part: part.to_owned(),
        });
    }
    if part.starts_with('-') {
        return Err(InvalidRole::LeadingDash(part.to_owned()));
    }
    let bad = |c| matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '\x7f');
    if part.contains(bad) {
        return Err(InvalidRole::BadCharacter(part.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_fine() {
        for role in [
            "*",
            "a",
            "a/b",
            "a-b",
            "a.b",
            "…",
            "eng/web/prod",
            "...",
            "a*",
        ] {
            assert_eq!(validate(role), Ok(()), "{role}");
        }
    }

    #[test]
    fn names_that_are_refused() {
        let cases = [
            ("", "Role names cannot be the empty string"),
            ("/", "Role '/' cannot start with a slash"),
            ("/a", "Role '/a' cannot start with a slash"),
            ("a/", "Role 'a/' cannot end with a slash"),
            ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
            ("a/.", "Role 'a/.' cannot include '.' as a component"),
            ("..", "Role '..' cannot include '..' as a component"),
            ("a/*", "Role 'a/*' cannot include '*' as a component"),
            (
                "-a",
                "Role component '-a' is invalid because it starts with a dash",
            ),
            (
                "a/b c",
                "Role component 'b c' is invalid because it contains backspace or whitespace",
            ),
            (
                "a\x7f",
                "Role component 'a\x7f' is invalid because it contains backspace or whitespace",
            ),
        ];
        for (role, text) in cases {
            assert_eq!(
                validate(role).map_err(|e| e.to_string()),
                Err(text.to_owned()),
                "{role}"
            );
        }
    }

    #[test]
    fn names_are_bounded_in_length_and_depth() {
        let longest = "x".repeat(ROLE_BYTES);
        assert_eq!(validate(&longest), Ok(()));
        assert_eq!(
            validate(&(longest + "x")).map_err(|e| e.to_string()),
            Err("Role names cannot be longer than 255 bytes; this one has 256".to_owned())
        );
        let deepest = vec!["a"; ROLE_LEVELS].join("/");
        assert_eq!(validate(&deepest), Ok(()));
        let deeper = deepest + "/a";
        assert_eq!(validate(&deeper), Err(InvalidRole::TooDeep(deeper.clone())));
    }

    #[test]
    fn below_means_a_longer_path() {
        let below = |role: &str, of: &str| Role::from(role).is_strictly_below(&Role::from(of));
        assert!(below("a/b", "a"));
        assert!(below("a/b/c", "a"));
        assert!(!below("a", "a"));
        assert!(!below("ab", "a"));
        assert!(!below("a", "a/b"));
        assert!(!below("a", "*"));
        assert!(Role::from("a").is_or_is_below(&Role::from("a")));
    }

    #[test]
    fn ancestors_come_nearest_first() {
        let role = Role::from("a/b/c");
        assert_eq!(role.ancestors().collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(role.top(), "a");
        assert_eq!(Role::default().ancestors().count(), 0);
    }
}
