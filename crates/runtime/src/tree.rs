//! Reads back everything below a root, for recovery.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::files::Files;
use crate::group::TEMPORARY_PREFIX;
use crate::limits;
use crate::storage::{Storage, Target};

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
    /// Directories that are history, if there are any.
    pub history: Option<History>,
}

/// Directories that are kept for a while and matter little: of most, only that they are there is read,
/// so that history does not decide how long a start takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The file in a directory that says so. It is returned of each.
    pub marker: &'static str,
    /// How many directories are read whole: those whose marker was written last.
    pub whole: usize,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            file_bytes: limits::TREE_FILE_BYTES,
            bytes: limits::TREE_BYTES,
            entries: limits::TREE_ENTRIES,
            depth: limits::TREE_DEPTH,
            history: None,
        }
    }
}

/// Reads all files and links below `root`, sorted by path; a root that does not exist is empty.
/// Temporary files that a crash left behind are passed over, links are not followed, directories are
/// seen by what is in them only. A file may end in half an append: its reader must stop there.
///
/// What is returned is durable: a process that was killed may have left bytes and names that no flush
/// reached yet. A reader that acted on those would have acted on nothing after a power failure, so
/// everything that changed within [`limits::FLUSHED_LONG_AGO`] is flushed here, side by side. What is
/// older the kernel has written long ago by itself (`vm.dirty_expire_centisecs`: 30 s).
///
/// # Errors
/// See [`TreeError`]. Nothing is skipped but history, as asked: recovery must see all of it or stop.
pub fn read_tree(root: &Path, limits: &TreeLimits) -> Result<Vec<Entry>, TreeError> {
    let mut reader = Reader {
        root,
        limits,
        entries: Vec::new(),
        bytes: 0,
        history: Vec::new(),
        recent: Vec::new(),
        old_before: SystemTime::now().checked_sub(limits::FLUSHED_LONG_AGO),
    };
    if fs::symlink_metadata(root).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    reader.read_dir("", 0, limits.history.map(|history| history.marker))?;
    reader.read_history()?;
    reader.flush()?;
    reader.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(reader.entries)
}

struct Reader<'a> {
    root: &'a Path,
    limits: &'a TreeLimits,
    entries: Vec<Entry>,
    bytes: u64,
    /// Directories that are history: when, which, how deep.
    history: Vec<(SystemTime, String, usize)>,
    /// What may not be durable yet: files (`true`) and directories.
    recent: Vec<(String, bool)>,
    /// What did not change since is durable.
    old_before: Option<SystemTime>,
}

impl Reader<'_> {
    /// Reads a directory, unless it holds `marker`: then it is put aside.
    fn read_dir(&mut self, dir: &str, depth: usize, marker: Option<&str>) -> Result<(), TreeError> {
        let full = self.root.join(dir);
        if depth > self.limits.depth {
            return Err(too_large(&full, self.limits.depth as u64, "levels"));
        }
        if let Some(marked) = marker.and_then(|name| fs::symlink_metadata(full.join(name)).ok()) {
            let since = marked.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            self.history.push((since, dir.to_owned(), depth));
            return Ok(());
        }
        let about = fs::symlink_metadata(&full).map_err(|error| io_at(&full, error))?;
        self.note_if_recent(dir, &about, false);
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
                self.read_dir(&path, depth + 1, marker)?;
            } else {
                self.read_leaf(path, kind)?;
            }
        }
        Ok(())
    }

    fn read_leaf(&mut self, path: String, kind: fs::FileType) -> Result<(), TreeError> {
        let full = self.root.join(&path);
        if kind.is_symlink() {
            let target = fs::read_link(&full).map_err(|error| io_at(&full, error))?;
            let Some(target) = target.to_str() else {
                return Err(TreeError::NotText(full));
            };
            self.add(path, EntryContent::Symlink(target.to_owned()))
        } else if kind.is_file() {
            let bytes = self.read_file(&path)?;
            self.add(path, EntryContent::File(bytes))
        } else {
            Err(TreeError::Special(full))
        }
    }

    /// Of what was put aside, the newest as a whole, of the rest the marker.
    fn read_history(&mut self) -> Result<(), TreeError> {
        let Some(asked) = self.limits.history else {
            return Ok(());
        };
        let mut history = std::mem::take(&mut self.history);
        history.sort_by(|a, b| b.cmp(a));
        for (at, (_, dir, depth)) in history.into_iter().enumerate() {
            if at < asked.whole {
                self.read_dir(&dir, depth, None)?;
                continue;
            }
            let path = format!("{dir}/{}", asked.marker);
            let full = self.root.join(&path);
            let about = fs::symlink_metadata(&full).map_err(|error| io_at(&full, error))?;
            self.note_if_recent(&dir, &about, false);
            self.read_leaf(path, about.file_type())?;
        }
        Ok(())
    }

    fn read_file(&mut self, path: &str) -> Result<Bytes, TreeError> {
        let full = self.root.join(path);
        let io = |error| io_at(&full, error);
        let mut bytes = Vec::new();
        let file = File::open(&full).map_err(io)?;
        self.note_if_recent(path, &file.metadata().map_err(io)?, true);
        let mut file = file.take(self.limits.file_bytes + 1);
        let len = file.read_to_end(&mut bytes).map_err(io)? as u64;
        if len > self.limits.file_bytes {
            let limit = self.limits.file_bytes;
            return Err(too_large(&full, limit, "bytes in one file"));
        }
        self.bytes += len;
        if self.bytes > self.limits.bytes {
            return Err(too_large(self.root, self.limits.bytes, "bytes"));
        }
        Ok(bytes.into())
    }

    /// The time of the last change of the inode cannot be set by anybody; a time in the future is no
    /// reason to trust it.
    fn note_if_recent(&mut self, path: &str, about: &fs::Metadata, is_file: bool) {
        let nanos = u64::try_from(about.ctime_nsec()).unwrap_or(0);
        let changed = u64::try_from(about.ctime()).unwrap_or(0);
        let changed = Duration::from_secs(changed) + Duration::from_nanos(nanos);
        let changed = SystemTime::UNIX_EPOCH.checked_add(changed);
        let is_old = changed
            .zip(self.old_before)
            .is_some_and(|(at, old)| at < old);
        if !is_old {
            self.recent.push((path.to_owned(), is_file));
        }
    }

    fn flush(&self) -> Result<(), TreeError> {
        let mut files = Files::open(self.root).map_err(|error| io_at(self.root, error))?;
        let targets = self.recent.iter().map(|(path, is_file)| {
            if *is_file {
                Target::File(path)
            } else {
                Target::Dir(path)
            }
        });
        let targets: Vec<Target<'_>> = targets.collect();
        let flushed = files.sync_all(&targets);
        for ((path, _), result) in self.recent.iter().zip(flushed) {
            result.map_err(|error| io_at(&self.root.join(path), error))?;
        }
        Ok(())
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

fn io_at(path: &Path, error: io::Error) -> TreeError {
    TreeError::Io {
        path: path.to_owned(),
        error,
    }
}

fn too_large(path: &Path, limit: u64, unit: &'static str) -> TreeError {
    TreeError::TooLarge {
        path: path.to_owned(),
        limit,
        unit,
    }
}
