//! The `/flags` document.

use std::collections::BTreeMap;

use crate::json;

/// Flag names and values, as texts.
pub(crate) fn document(flags: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    json::object(&mut out, |o| {
        o.object("flags", |o| {
            for (name, value) in flags {
                o.text(name, value);
            }
        });
    });
    out
}
