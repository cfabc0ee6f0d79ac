//! The files of an earlier life as a tree, by the parts of their paths.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::event::MetaEntry;

/// Files and links as a tree.
#[derive(Debug)]
pub(super) enum Node {
    Dir(BTreeMap<String, Node>),
    File(Bytes),
    Link(String),
}

impl Node {
    pub(super) fn tree(entries: &[MetaEntry]) -> Self {
        let mut root = Self::Dir(BTreeMap::new());
        for entry in entries {
            match entry {
                MetaEntry::File { path, bytes } => root.insert(path, Self::File(bytes.clone())),
                MetaEntry::Symlink { path, target } => {
                    root.insert(path, Self::Link(target.clone()));
                }
            }
        }
        root
    }

    /// A path that leads through a file is nothing that this agent wrote; it is left out.
    fn insert(&mut self, path: &str, leaf: Self) {
        let (Self::Dir(here), Some((name, rest))) = (self, split(path)) else {
            return;
        };
        if rest.is_empty() {
            here.insert(name.to_owned(), leaf);
        } else {
            let next = here.entry(name.to_owned());
            next.or_insert_with(|| Self::Dir(BTreeMap::new()))
                .insert(rest, leaf);
        }
    }

    fn get(&self, path: &str) -> Option<&Self> {
        let (Self::Dir(here), Some((name, rest))) = (self, split(path)) else {
            return None;
        };
        let next = here.get(name)?;
        if rest.is_empty() {
            Some(next)
        } else {
            next.get(rest)
        }
    }

    pub(super) fn file(&self, path: &str) -> Option<&Bytes> {
        match self.get(path)? {
            Self::File(bytes) => Some(bytes),
            Self::Dir(_) | Self::Link(_) => None,
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.file(path)?;
        Some(String::from_utf8_lossy(bytes).trim().to_owned())
    }

    /// The directories in a directory, by name.
    pub(super) fn dirs(&self, path: &str) -> Vec<(&str, &Self)> {
        let Some(Self::Dir(here)) = self.get(path) else {
            return Vec::new();
        };
        let dirs = here.iter().filter(|(_, node)| matches!(node, Self::Dir(_)));
        dirs.map(|(name, node)| (name.as_str(), node)).collect()
    }

    /// The last part of what a link points to: Mesos writes absolute paths, this agent names.
    pub(super) fn link_name(&self, path: &str) -> Option<String> {
        match self.get(path)? {
            Self::Link(target) => target
                .rsplit('/')
                .find(|part| !part.is_empty())
                .map(str::to_owned),
            Self::Dir(_) | Self::File(_) => None,
        }
    }
}

fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return None;
    }
    Some(path.split_once('/').unwrap_or((path, "")))
}
