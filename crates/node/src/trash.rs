//! Directories on their way out.
//!
//! Their names are free at once, by a rename; what they held is deleted by another thread, one
//! directory after the other, which may take long. So what comes after may use a name again: a
//! framework that was over may come back while its old directory is still being deleted. And a crash
//! leaves no directory of which only a part is there, which recovery would misread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use meseta_runtime::group::TEMPORARY_PREFIX;

/// Hears of each directory whether it could be removed.
pub(crate) type Removed = Arc<dyn Fn(bool) + Send + Sync>;

/// Where directories wait to be deleted.
pub(crate) struct Trash {
    directory: PathBuf,
    next: u64,
    /// To the thread that deletes. What waits here is bounded by what waits in the core.
    doomed: Sender<PathBuf>,
}

impl Trash {
    /// Opens `directory`, and deletes what an earlier process left there.
    pub(crate) fn open(directory: PathBuf, removed: Removed) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let mut next = 0;
        let mut leftovers = Vec::new();
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            next = next.max(number.map_or(0, |number: u64| number.saturating_add(1)));
            leftovers.push(entry.path());
        }
        let (doomed, waiting) = channel();
        std::thread::Builder::new()
            .name("trash".to_owned())
            .spawn(move || delete_all(&waiting, &removed))?;
        let trash = Self {
            directory,
            next,
            doomed,
        };
        leftovers.into_iter().for_each(|path| trash.delete(path));
        Ok(trash)
    }

    /// Takes a directory away. One on another file system is renamed beside itself, to a name that
    /// recovery passes over.
    pub(crate) fn take(&mut self, path: &Path) {
        let number = self.next;
        self.next += 1;
        let kept = self.directory.join(number.to_string());
        let beside = path.with_file_name(format!("{TEMPORARY_PREFIX}trash-{number}"));
        match std::fs::rename(path, &kept) {
            Ok(()) => self.delete(kept),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => match std::fs::rename(path, &beside) {
                Ok(()) => self.delete(beside),
                Err(_) => self.delete(path.to_owned()),
            },
        }
    }

    fn delete(&self, path: PathBuf) {
        // The thread ends with its sender only.
        let _ = self.doomed.send(path);
    }
}

fn delete_all(waiting: &Receiver<PathBuf>, removed: &Removed) {
    while let Ok(path) = waiting.recv() {
        removed(delete_now(&path));
    }
}

/// Whether it is gone.
fn delete_now(path: &Path) -> bool {
    match std::fs::remove_dir_all(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot remove a directory");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_name_is_free_at_once_and_leftovers_go() {
        let work_dir = tempfile::tempdir().expect("a directory");
        let (directory, used) = (work_dir.path().join("trash"), work_dir.path().join("used"));
        std::fs::create_dir_all(directory.join("7/below")).expect("leftovers");
        std::fs::create_dir_all(used.join("below")).expect("a directory in use");

        let removed = Arc::new(AtomicUsize::new(0));
        let count = removed.clone();
        let hear = Arc::new(move |succeeded: bool| {
            assert!(succeeded);
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut trash = Trash::open(directory.clone(), hear).expect("a trash");
        trash.take(&used);
        assert!(!used.exists());
        trash.take(&used);
        std::fs::create_dir_all(&used).expect("the name is free");
        while std::fs::read_dir(&directory).expect("the trash").count() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(used.exists());
        while removed.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
    }
}
