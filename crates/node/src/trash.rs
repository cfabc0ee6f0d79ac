//! Directories on their way out.
//!
//! Their names are free at once, by a rename; what they held is deleted by another thread, one
//! directory after the other, which may take long. So what comes after may use a name again: a
//! framework that was over may come back while its old directory is still being deleted. And a crash
//! leaves no directory of which only a part is there, which recovery would misread.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use meseta_runtime::group::TEMPORARY_PREFIX;

/// Hears of each directory whether it could be removed.
pub(crate) type Removed = Arc<dyn Fn(bool) + Send + Sync>;

/// Words for the thread that deletes which wait at a time. What is in the trash waits on the disk and
/// needs none of its own; one that lies on another file system does, and waits for room.
const WORDS: usize = 1_024;

/// Where directories wait to be deleted.
pub(crate) struct Trash {
    directory: PathBuf,
    next: u64,
    words: SyncSender<Word>,
}

/// What the thread that deletes is told.
enum Word {
    /// There is something in the trash.
    Filled,
    /// This, which is somewhere else.
    Elsewhere(PathBuf),
}

impl Trash {
    /// Opens `directory`, and deletes what an earlier process left there.
    pub(crate) fn open(directory: PathBuf, removed: Removed) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let mut next = 0;
        for entry in std::fs::read_dir(&directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            next = next.max(number.map_or(0, |number: u64| number.saturating_add(1)));
        }
        let (words, heard) = sync_channel(WORDS);
        let bin = Bin {
            directory: directory.clone(),
            stuck: BTreeSet::new(),
            removed,
        };
        std::thread::Builder::new()
            .name("trash".to_owned())
            .spawn(move || bin.serve(&heard))?;
        let trash = Self {
            directory,
            next,
            words,
        };
        trash.say_filled();
        Ok(trash)
    }

    /// Takes a directory away. One on another file system is renamed beside itself, to a name that
    /// recovery passes over.
    pub(crate) fn take(&mut self, path: &Path) {
        let number = self.next;
        self.next += 1;
        let kept = self.directory.join(number.to_string());
        let beside = path.with_file_name(format!("{TEMPORARY_PREFIX}trash-{number}"));
        match std::fs::rename(path, kept) {
            Ok(()) => self.say_filled(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => match std::fs::rename(path, &beside) {
                Ok(()) => self.say_elsewhere(beside),
                Err(_) => self.say_elsewhere(path.to_owned()),
            },
        }
    }

    fn say_filled(&self) {
        // Behind any word that waits, the trash is looked at.
        let _ = self.words.try_send(Word::Filled);
    }

    fn say_elsewhere(&self, path: PathBuf) {
        // The thread ends with its sender only.
        let _ = self.words.send(Word::Elsewhere(path));
    }
}

/// The side of the thread that deletes.
struct Bin {
    directory: PathBuf,
    /// What could not be deleted, and is not tried again by this process.
    stuck: BTreeSet<OsString>,
    removed: Removed,
}

impl Bin {
    fn serve(mut self, heard: &Receiver<Word>) {
        while let Ok(first) = heard.recv() {
            for word in std::iter::once(first).chain(heard.try_iter()) {
                if let Word::Elsewhere(path) = word {
                    (self.removed)(delete_now(&path));
                }
            }
            if let Err(error) = self.empty() {
                tracing::warn!(path = %self.directory.display(), %error, "cannot read the trash");
            }
        }
    }

    fn empty(&mut self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if self.stuck.contains(&entry.file_name()) {
                continue;
            }
            let gone = delete_now(&entry.path());
            (self.removed)(gone);
            if !gone {
                self.stuck.insert(entry.file_name());
            }
        }
        Ok(())
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
        let gone = async {
            while removed.load(Ordering::Relaxed) < 2 {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(60);
        let in_time = tokio::time::timeout(patience, gone).await;
        assert!(in_time.is_ok(), "not deleted in time");
        assert_eq!(std::fs::read_dir(&directory).expect("the trash").count(), 0);
        assert!(used.exists());
    }
}
