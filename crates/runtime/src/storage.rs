//! The seam below the disk: what [`crate::Flusher`] needs of a file system.
//!
//! [`crate::Files`] is the real one. The simulator and the fault tests put their own here, so that
//! grouping, undoing and the rule about failed flushes are the same code everywhere.

use std::io;

/// The operations on files below one root. Paths are relative to it, with `/`, and were checked
/// ([`check_path`]); the empty path is the root itself. Nothing here is durable until its file
/// ([`Storage::sync_file`]) and its directory ([`Storage::sync_dir`]) were flushed.
pub trait Storage {
    /// Makes a directory in one that is there; says whether it was missing. One that is there is fine.
    ///
    /// # Errors
    /// As the file system says.
    fn make_dir(&mut self, dir: &str) -> io::Result<bool>;

    /// Writes a file as a whole, replacing what is there.
    ///
    /// # Errors
    /// As the file system says; the file may be there in part.
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Adds to the end of a file, making it if absent; returns its length before, `None` if absent.
    ///
    /// # Errors
    /// As the file system says, with the length before if it is known: the file may have grown in part.
    fn append(&mut self, path: &str, bytes: &[u8]) -> Result<Option<u64>, AppendError>;

    /// Cuts a file to a length; never makes it longer.
    ///
    /// # Errors
    /// As the file system says.
    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()>;

    /// Flushes a file's content and length. After an error the content is unknown, and trying again
    /// would report success without having written anything (fsync(2) on Linux clears the error).
    ///
    /// # Errors
    /// As the file system says.
    fn sync_file(&mut self, path: &str) -> io::Result<()>;

    /// Flushes a directory's entries.
    ///
    /// # Errors
    /// As the file system says; `NotFound` if the directory is gone.
    fn sync_dir(&mut self, dir: &str) -> io::Result<()>;

    /// Flushes many files and directories; the answers are in their order. An implementation may do it
    /// side by side: a disk serves many flushes in little more time than one.
    fn sync_all(&mut self, targets: &[Target<'_>]) -> Vec<io::Result<()>> {
        let sync = |target: &Target<'_>| match target {
            Target::File(path) => self.sync_file(path),
            Target::Dir(dir) => self.sync_dir(dir),
        };
        targets.iter().map(sync).collect()
    }

    /// Renames a file or link, replacing what is at `to` if that is no directory.
    ///
    /// # Errors
    /// As the file system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Makes a symbolic link at `path`, where nothing is.
    ///
    /// # Errors
    /// As the file system says.
    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()>;

    /// Removes a file, a link or a whole directory, following no link; absent is fine.
    ///
    /// # Errors
    /// As the file system says.
    fn remove(&mut self, path: &str) -> io::Result<()>;
}

/// What is to be flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// As [`Storage::sync_file`].
    File(&'a str),
    /// As [`Storage::sync_dir`].
    Dir(&'a str),
}

/// An append that failed.
#[derive(Debug)]
pub struct AppendError {
    /// What to cut the file back to: `None` if it was not touched, `Some(None)` if it was absent.
    pub before: Option<Option<u64>>,
    /// What the file system said.
    pub error: io::Error,
}

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing in it.
    #[error("the path is empty")]
    Empty,
    /// Begins with `/`.
    #[error("the path '{0}' is absolute")]
    Absolute(String),
    /// Has an empty, `.` or `..` component.
    #[error("the path '{0}' has an empty, '.' or '..' component")]
    Component(String),
    /// Has a NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
    /// Longer than [`crate::limits::PATH_BYTES`] or [`crate::limits::NAME_BYTES`] allow.
    #[error("the path of {0} bytes, or a name in it, is too long")]
    TooLong(usize),
}

/// Checks that a path is relative and stays below the root.
///
/// # Errors
/// What is wrong with it.
pub fn check_path(path: &str) -> Result<(), BadPath> {
    if path.is_empty() {
        return Err(BadPath::Empty);
    }
    if path.contains('\0') {
        return Err(BadPath::Nul);
    }
    if path.len() > crate::limits::PATH_BYTES {
        return Err(BadPath::TooLong(path.len()));
    }
    if path.starts_with('/') {
        return Err(BadPath::Absolute(path.to_owned()));
    }
    for name in path.split('/') {
        if matches!(name, "" | "." | "..") {
            return Err(BadPath::Component(path.to_owned()));
        }
        if name.len() > crate::limits::NAME_BYTES {
            return Err(BadPath::TooLong(path.len()));
        }
    }
    Ok(())
}

/// The directory a path is in; the root's is the empty path.
#[must_use]
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The directories that a path is in, outermost first, without the root.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}
