//! Role names: slash-separated paths, where a role is below every prefix of its path.

use std::fmt;
use std::sync::Arc;

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
