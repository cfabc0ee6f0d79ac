//! Opens the durable engine, or says in a sentence why not and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use super::store::StoreError;
use crate::coordinator::Machine;
use crate::limits;

/// The file in the directory that is given.
pub const FILE_NAME: &str = "log.redb";

/// Where the engine keeps its file, and who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The directory; it is made if it is absent.
    pub dir: PathBuf,
    /// This node's number, which must not change over its life. With one voter any will do.
    pub node: u64,
    /// Whose ops these are.
    pub machine: Machine,
    /// Bytes of log since the last snapshot from which on proposals are refused.
    pub log_bytes: u64,
}

impl Config {
    /// The master's log in `dir`, for node 1 and with the usual limit ([`limits::LOG_BYTES`]).
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let log_bytes = limits::LOG_BYTES;
        Self {
            dir: dir.into(),
            node: 1,
            machine: Machine::Master,
            log_bytes,
        }
    }
}

/// Why the engine cannot start. Nothing on the disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file open.
    #[error(
        "{path}: another process is using it; is a master already running with this directory?"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another node.
    #[error(
        "{path}: it belongs to node {owner}, and this is node {node}; give each node a directory of \
         its own, or start this one with the number it had"
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Who we are.
        node: u64,
        /// Whose it is.
        owner: u64,
    },
    /// It cannot be trusted, or was written by something newer.
    #[error(
        "{path}: {why}. Nothing was changed or dropped. If a newer Meseta wrote it, start that one; \
         otherwise restore the file from a backup. To begin with an empty log, move it away: agents \
         register again by themselves, but what operators had set and which frameworks may still come \
         back is forgotten"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file system or the operating system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// The engine could not be started on the file.
    #[error("{path}: the engine does not start: {why}")]
    Engine {
        /// The file.
        path: PathBuf,
        /// What it said.
        why: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }

    pub(crate) fn from_redb(path: &Path, error: redb::DatabaseError) -> Self {
        let path = path.to_owned();
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse { path },
            redb::DatabaseError::Storage(redb::StorageError::Io(error))
                if error.kind() != std::io::ErrorKind::InvalidData =>
            {
                Self::Io { path, error }
            }
            error => Self::Damaged {
                path,
                why: error.to_string(),
            },
        }
    }

    pub(crate) fn from_store(path: &Path, error: StoreError) -> Self {
        let path = path.to_owned();
        match error {
            StoreError::Redb(redb::Error::Io(error)) => Self::Io { path, error },
            error => Self::Damaged {
                path,
                why: error.to_string(),
            },
        }
    }
}

/// Makes the directory and names the file in it.
pub(crate) fn prepare(dir: &Path) -> Result<PathBuf, OpenError> {
    fs::create_dir_all(dir).map_err(|error| OpenError::io(dir, error))?;
    Ok(dir.join(FILE_NAME))
}

/// Makes the names of the file, its directory and that one's directory durable.
pub(crate) fn sync_names(dir: &Path) -> Result<(), OpenError> {
    let named = dir
        .ancestors()
        .take(2)
        .filter(|dir| !dir.as_os_str().is_empty());
    for dir in named {
        let sync = fs::File::open(dir).and_then(|dir| dir.sync_all());
        sync.map_err(|error| OpenError::io(dir, error))?;
    }
    Ok(())
}
