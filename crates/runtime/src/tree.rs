//! Reads back everything below a root, for recovery.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::group::TEMPORARY_PREFIX;
use crate::limits;

/// One file or link below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root, with `/`.
    pub path: String,
    /// What is there.
    pub content: EntryContent,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A file, whole.
    File(Bytes),
    /// A symbolic link: what it points to, as it is written.
    Symlink(String),
}

/// Why a tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The file system refused.
    #[error("cannot read '{path}': {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A name or a link's target is no UTF-8; nothing that we write ever is.
    #[error("'{0}' is not UTF-8, or points to what is not")]
    NotText(PathBuf),
    /// Neither file, directory nor link.
    #[error("'{0}' is neither a file, a directory nor a symbolic link")]
    Special(PathBuf),
    /// A limit of [`limits`] is exceeded.
    #[error("'{path}' exceeds the limit of {limit} {unit}")]
    TooLarge {
        /// Where.
        path: PathBuf,
        /// How much is allowed.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
}

/// How much [`read_tree`] takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// Files and links in all.
    pub entries: usize,
    /// Levels of directories.
    pub depth: usize,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            file_bytes: limits::TREE_FILE_BYTES,
            bytes: limits::TREE_BYTES,
            entries: limits::TREE_ENTRIES,
            depth: limits::TREE_DEPTH,
        }
    }
}

/// Reads all files and links below `root`, sorted by path; a root that does not exist is empty.
/// Temporary files that a crash left behind are passed over, links are not followed, directories are
/// seen by what is in them only. A file may end in half an append: its reader must stop there.
///
/// What is returned is durable: a process that was killed may have left bytes and names that no flush
/// reached yet. A reader that acted on those would have acted on nothing after a power failure, so
/// everything is flushed here. What is clean already costs next to nothing.
///
/// # Errors
/// See [`TreeError`]. Nothing is skipped: recovery must see all of it or stop.
pub fn read_tree(root: &Path, limits: &TreeLimits) -> Result<Vec<Entry>, TreeError> {
    let mut reader = Reader {
        root,
        limits,
        entries: Vec::new(),
        bytes: 0,
    };
    if fs::symlink_metadata(root).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    reader.read_dir("", 0)?;
    reader.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(reader.entries)
}

struct Reader<'a> {
    root: &'a Path,
    limits: &'a TreeLimits,
    entries: Vec<Entry>,
    bytes: u64,
}

impl Reader<'_> {
    fn read_dir(&mut self, dir: &str, depth: usize) -> Result<(), TreeError> {
        let full = self.root.join(dir);
        if depth > self.limits.depth {
            return Err(too_large(&full, self.limits.depth as u64, "levels"));
        }
        let io_at = |path: &Path, error| TreeError::Io {
            path: path.to_owned(),
            error,
        };
        let flushed = File::open(&full).and_then(|dir| dir.sync_all());
        flushed.map_err(|error| io_at(&full, error))?;
        for item in fs::read_dir(&full).map_err(|error| io_at(&full, error))? {
            let item = item.map_err(|error| io_at(&full, error))?;
            let name = item.file_name();
            let Some(name) = name.to_str() else {
                return Err(TreeError::NotText(item.path()));
            };
            if name.starts_with(TEMPORARY_PREFIX) {
                continue;
            }
            let path = if dir.is_empty() {
                name.to_owned()
            } else {
                format!("{dir}/{name}")
            };
            let kind = item
                .file_type()
                .map_err(|error| io_at(&item.path(), error))?;
            if kind.is_dir() {
                self.read_dir(&path, depth + 1)?;
            } else if kind.is_symlink() {
                let target =
                    fs::read_link(item.path()).map_err(|error| io_at(&item.path(), error))?;
                let Some(target) = target.to_str() else {
                    return Err(TreeError::NotText(item.path()));
                };
                self.add(path, EntryContent::Symlink(target.to_owned()))?;
            } else if kind.is_file() {
                let bytes = self.read_file(&item.path())?;
                self.add(path, EntryContent::File(bytes))?;
            } else {
                return Err(TreeError::Special(item.path()));
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Result<Bytes, TreeError> {
        let io = |error| TreeError::Io {
            path: path.to_owned(),
            error,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.sync_all().map_err(io)?;
        let mut file = file.take(self.limits.file_bytes + 1);
        let len = file.read_to_end(&mut bytes).map_err(io)? as u64;
        if len > self.limits.file_bytes {
            return Err(too_large(path, self.limits.file_bytes, "bytes in one file"));
        }
        self.bytes += len;
        if self.bytes > self.limits.bytes {
            return Err(too_large(self.root, self.limits.bytes, "bytes"));
        }
        Ok(bytes.into())
    }

    fn add(&mut self, path: String, content: EntryContent) -> Result<(), TreeError> {
        if self.entries.len() >= self.limits.entries {
            return Err(too_large(
                self.root,
                self.limits.entries as u64,
                "files and links",
            ));
        }
        self.entries.push(Entry { path, content });
        Ok(())
    }
}

fn too_large(path: &Path, limit: u64, unit: &'static str) -> TreeError {
    TreeError::TooLarge {
        path: path.to_owned(),
        limit,
        unit,
    }
}
