//! The serialized forms of one entity, each made once.

use std::sync::OnceLock;

/// The serialized forms of an entity. A fresh value has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fragments {
    legacy: OnceLock<Box<str>>,
    json: OnceLock<Box<str>>,
}

impl Fragments {
    /// As the legacy documents show it.
    pub(crate) fn legacy(&self, make: impl FnOnce() -> Box<str>) -> &str {
        self.legacy.get_or_init(make)
    }

    /// As the operator API shows it in JSON.
    pub(crate) fn json(&self, make: impl FnOnce() -> Box<str>) -> &str {
        self.json.get_or_init(make)
    }

    /// What they show has changed.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
