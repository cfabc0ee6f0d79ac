//! The real [`Storage`]: files below one directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs as unix;
use std::path::{Path, PathBuf};

use crate::limits;
use crate::storage::{AppendError, Storage, Target};

/// Files below a root directory. Links on the way to a file are followed, wherever they lead: the root
/// must be writable for its owner only, as the `meta` directory of an agent is.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Opens the root, making it (durably) if it is absent.
    ///
    /// # Errors
    /// As the file system says.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if !root.is_dir() {
            fs::create_dir_all(&root)?;
            if let Some(parent) = root
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { root })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn sync(&self, target: Target<'_>) -> io::Result<()> {
        match target {
            // fdatasync also flushes the length, which is all that a reader needs to find the bytes.
            Target::File(path) => OpenOptions::new()
                .write(true)
                .open(self.at(path))?
                .sync_data(),
            Target::Dir(dir) => File::open(self.at(dir))?.sync_all(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }
}

impl Storage for Files {
    fn make_dir(&mut self, dir: &str) -> io::Result<bool> {
        let full = self.at(dir);
        match fs::create_dir(&full) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && full.is_dir() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.at(path), bytes)
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> Result<Option<u64>, AppendError> {
        let untouched = |error| AppendError {
            before: None,
            error,
        };
        let full = self.at(path);
        let mut options = OpenOptions::new();
        options.append(true);
        let (mut file, before) = match options.open(&full) {
            Ok(file) => {
                let len = file.metadata().map_err(untouched)?.len();
                (file, Some(len))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (options.create(true).open(&full).map_err(untouched)?, None)
            }
            Err(error) => return Err(untouched(error)),
        };
        match file.write_all(bytes) {
            Ok(()) => Ok(before),
            Err(error) => Err(AppendError {
                before: Some(before),
                error,
            }),
        }
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.at(path))?;
        if file.metadata()?.len() > len {
            file.set_len(len)
        } else {
            Ok(())
        }
    }

    fn sync_file(&mut self, path: &str) -> io::Result<()> {
        self.sync(Target::File(path))
    }

    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.sync(Target::Dir(dir))
    }

    fn sync_all(&mut self, targets: &[Target<'_>]) -> Vec<io::Result<()>> {
        let files = &*self;
        let share = targets
            .len()
            .div_ceil(limits::FLUSHES_SIDE_BY_SIDE)
            .max(limits::FLUSHES_A_THREAD);
        let sync = |share: &[Target<'_>]| share.iter().map(|target| files.sync(*target)).collect();
        std::thread::scope(|scope| {
            let mut shares = targets.chunks(share);
            let own = shares.next().unwrap_or_default();
            // If no thread can be had, this one does it.
            let others: Vec<_> = shares
                .map(|share| {
                    (
                        share,
                        std::thread::Builder::new().spawn_scoped(scope, move || sync(share)),
                    )
                })
                .collect();
            let mut answers: Vec<io::Result<()>> = sync(own);
            for (share, thread) in others {
                answers.extend(match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|_| {
                        share
                            .iter()
                            .map(|_| Err(io::Error::other("the flush panicked")))
                            .collect()
                    }),
                    Err(_) => sync(share),
                });
            }
            answers
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        unix::symlink(target, self.at(path))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let full = self.at(path);
        let result = match fs::symlink_metadata(&full) {
            Ok(data) if data.is_dir() => fs::remove_dir_all(&full),
            Ok(_) => fs::remove_file(&full),
            Err(error) => Err(error),
        };
        match result {
            // Also when what stands in the way of the path is no directory.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(())
            }
            result => result,
        }
    }
}
