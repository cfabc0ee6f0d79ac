//! Names of users and groups.

use std::collections::BTreeMap;
use std::fs;

/// What `/etc/passwd` and `/etc/group` say; numbers stand for themselves where they say nothing.
#[derive(Debug, Default)]
pub(super) struct Users {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Users {
    pub(super) fn read() -> Self {
        Self {
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
        }
    }

    pub(super) fn user(&self, id: u32) -> String {
        self.users
            .get(&id)
            .cloned()
            .unwrap_or_else(|| id.to_string())
    }

    pub(super) fn group(&self, id: u32) -> String {
        self.groups
            .get(&id)
            .cloned()
            .unwrap_or_else(|| id.to_string())
    }
}

/// `name:password:id:…` by id; the first of two names counts.
fn names(path: &str) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.split(':');
        let (name, id) = (parts.next(), parts.nth(1).and_then(|id| id.parse().ok()));
        if let (Some(name), Some(id)) = (name, id) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}
