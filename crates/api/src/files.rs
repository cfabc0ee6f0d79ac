//! Files that may be looked at: sandboxes and logs, by the virtual paths under which they were attached.
//!
//! Nothing outside what was attached is ever opened: what a path names after all links are followed must
//! lie below what was attached.

pub(crate) mod http;
mod listing;
mod users;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use meseta_proto::mesos::v1;

use crate::answer::Answer;
use crate::limits;
use ::http::StatusCode;

pub(crate) use listing::mode_text;

/// What was attached: virtual path to real one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    attached: Arc<RwLock<BTreeMap<String, PathBuf>>>,
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) size: u64,
    pub(crate) data: Vec<u8>,
}

/// A virtual path and the real one it leads to.
struct Resolved {
    name: String,
    real: PathBuf,
}

impl Files {
    /// Shows `real` (a file or a directory with all below it) under `name`.
    pub(crate) fn attach(&self, name: &str, real: impl Into<PathBuf>) {
        let name = name.trim_end_matches('/').to_owned();
        self.write().insert(name, real.into());
    }

    /// No longer shows it.
    pub(crate) fn detach(&self, name: &str) {
        self.write().remove(name.trim_end_matches('/'));
    }

    /// No longer shows it, if it still leads to `real`.
    pub(crate) fn detach_if(&self, name: &str, real: &str) {
        let mut attached = self.write();
        if attached
            .get(name)
            .is_some_and(|known| *known == Path::new(real))
        {
            attached.remove(name);
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, PathBuf>> {
        self.attached
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is attached, for `/files/debug`.
    pub(crate) fn attached(&self) -> BTreeMap<String, PathBuf> {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        attached.clone()
    }

    /// The entries of a directory, or the file itself.
    pub(crate) async fn list(&self, path: String) -> Result<Vec<v1::FileInfo>, Answer> {
        let files = self.clone();
        off_thread(move || {
            let resolved = files.resolve(&path)?;
            listing::list(&resolved.name, &resolved.real).map_err(failed)
        })
        .await
    }

    /// At most [`limits::FILE_PAGES`] pages of a file from `offset`.
    pub(crate) async fn read(
        &self,
        path: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Part, Answer> {
        let files = self.clone();
        off_thread(move || {
            let resolved = files.resolve(&path)?;
            let cap = (limits::FILE_PAGES * limits::PAGE_BYTES) as u64;
            read(&resolved.real, offset, length.unwrap_or(cap).min(cap))
        })
        .await
    }

    /// A whole file, up to [`limits::DOWNLOAD_BYTES`].
    pub(crate) async fn download(&self, path: String) -> Result<Part, Answer> {
        self.download_within(path, limits::DOWNLOAD_BYTES).await
    }

    /// compat: here, and only here, something is said about what is not there.
    async fn download_within(&self, path: String, most: u64) -> Result<Part, Answer> {
        let files = self.clone();
        off_thread(move || {
            let resolved = files.resolve(&path)?;
            read(&resolved.real, 0, most)
        })
        .await
        .map_err(|refused| match refused.status {
            StatusCode::NOT_FOUND => Answer::not_found(),
            _ => refused,
        })
    }

    /// Follows a virtual path. Whatever is attached longest along it counts.
    fn resolve(&self, path: &str) -> Result<Resolved, Answer> {
        let name = path.trim_end_matches('/');
        let sound = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::RootDir));
        let found = sound.then(|| self.longest(name)).flatten();
        let Some((attached, rest)) = found else {
            return Err(absent());
        };
        let root = attached.canonicalize().map_err(failed)?;
        let joined = if rest.is_empty() {
            attached
        } else {
            attached.join(rest)
        };
        let real = joined.canonicalize().map_err(failed)?;
        if !real.starts_with(&root) {
            return Err(absent());
        }
        let name = name.to_owned();
        Ok(Resolved { name, real })
    }

    fn longest<'a>(&self, name: &'a str) -> Option<(PathBuf, &'a str)> {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let mut prefix = name;
        loop {
            if let Some(real) = attached.get(prefix) {
                let rest = name[prefix.len()..].trim_start_matches('/');
                return Some((real.clone(), rest));
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }
}

/// Files are read off the threads that serve connections.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Answer> + Send + 'static,
) -> Result<T, Answer> {
    let task = tokio::task::spawn_blocking(work);
    task.await
        .unwrap_or_else(|_| Err(Answer::empty(StatusCode::INTERNAL_SERVER_ERROR)))
}

fn read(path: &Path, offset: u64, length: u64) -> Result<Part, Answer> {
    let metadata = path.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Answer::bad_request("Cannot read a directory.\n"));
    }
    if !metadata.is_file() {
        return Err(Answer::bad_request(
            "Cannot read what is no regular file.\n",
        ));
    }
    let size = metadata.len();
    let mut data = Vec::new();
    if offset < size && length > 0 {
        let mut file = File::open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        file.take(length).read_to_end(&mut data).map_err(failed)?;
    }
    Ok(Part { size, data })
}

/// compat: nothing is said about what is not there.
fn absent() -> Answer {
    Answer::text(StatusCode::NOT_FOUND, "")
}

fn failed(error: std::io::Error) -> Answer {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => absent(),
        std::io::ErrorKind::PermissionDenied => {
            Answer::text(StatusCode::FORBIDDEN, format!("Cannot read it: {error}\n"))
        }
        _ => Answer::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("Cannot read it: {error}\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_download_is_cut_off_at_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("long");
        std::fs::write(&file, "0123456789").unwrap();
        let files = Files::default();
        files.attach("/long", &file);
        for (most, data) in [(20, "0123456789"), (10, "0123456789"), (4, "0123")] {
            let part = files.download_within("/long".to_owned(), most).await;
            let expected = Part {
                size: 10,
                data: data.into(),
            };
            assert_eq!(part.unwrap(), expected);
        }
    }
}
