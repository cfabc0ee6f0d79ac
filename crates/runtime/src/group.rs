//! Performs groups of requests under one flush. No threads: [`crate::Disk`] runs it for real, the
//! simulator runs it over a disk of its own.
//!
//! A group goes through four passes:
//!
//! 1. **Stage.** The content of every `Put` is written to a temporary file beside its place, then all
//!    of them are flushed. Nothing visible has changed.
//! 2. **Apply.** All writes, in order: renames, appends, links, removals. A request that fails here
//!    has its appends cut back, so that no later append follows half a record.
//! 3. **Flush.** Each file appended to and each directory touched is flushed once.
//! 4. **Report.** In the order of the requests, done or failed with a reason.
//!
//! What a crash leaves before pass 4: each `Put` and `Symlink` wholly old or wholly new, each `Append`
//! with any prefix of its bytes (readers must stop at a torn tail, and replace the file before they
//! append again), writes of different paths in any combination.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use meseta_model::step::{Seq, Write};

use crate::limits;
use crate::storage::{Storage, Target, ancestors, check_path, parent};

/// How the names of temporary files begin; [`crate::read_tree`] passes over them. Names are used again,
/// so that what a crash leaves behind does not pile up.
pub const TEMPORARY_PREFIX: &str = ".meseta-tmp-";

/// One `Persist` of a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub seq: Seq,
    /// In order.
    pub writes: Vec<Write>,
}

/// Performs requests, and remembers which files can no longer be trusted.
///
/// A failed flush leaves a file's content unknown, and on Linux a second fsync would succeed without
/// having written anything. So that file is *broken*: every append to it fails until it is replaced
/// or removed. A directory whose flush failed stays broken, with all that is directly in it, until it
/// is removed. Beyond [`limits::BROKEN_PATHS`] of them every request fails.
#[derive(Debug)]
pub struct Flusher<S> {
    storage: S,
    broken_files: BTreeMap<String, String>,
    broken_dirs: BTreeMap<String, String>,
    /// Directories whose own entry, and that of each one they are in, was flushed by this process. One
    /// that an earlier process made may have been made shortly before it ended, so it is flushed once
    /// more on first use.
    durable_dirs: BTreeSet<String>,
}

/// The state of one request on its way through the passes.
#[derive(Default)]
struct Progress {
    failed: Option<String>,
    staged: BTreeMap<usize, Staged>,
    appended: Vec<(String, Option<u64>)>,
    /// Directories with changed entries.
    dirs: BTreeSet<String>,
    /// Directories whose own entry must be flushed: each one's parent is in `dirs`.
    new_dirs: BTreeSet<String>,
}

enum Staged {
    /// The temporary file or link is ready to be renamed.
    Ready(String),
    /// Its flush failed; trying again would only hide that.
    Failed(String),
}

impl Staged {
    fn target(&self) -> Option<Target<'_>> {
        match self {
            Self::Ready(temporary) => Some(Target::File(temporary)),
            Self::Failed(_) => None,
        }
    }
}

impl Progress {
    fn fail(&mut self, reason: String) {
        self.failed.get_or_insert(reason);
    }
}

impl<S: Storage> Flusher<S> {
    /// Performs requests on `storage`.
    #[must_use]
    pub fn new(storage: S) -> Self {
        Self {
            storage,
            broken_files: BTreeMap::new(),
            broken_dirs: BTreeMap::new(),
            durable_dirs: BTreeSet::new(),
        }
    }

    /// The storage, to look at.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage, to inject faults into or crash.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Gives the storage back, as a restart of the process does.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Performs a group. The answers are in the order of the requests; an error is a sentence.
    pub fn flush(&mut self, requests: &[Request]) -> Vec<(Seq, Result<(), String>)> {
        let mut group: Vec<Progress> = requests.iter().map(|_| Progress::default()).collect();
        for (request, progress) in requests.iter().zip(&mut group) {
            if let Err(reason) = self.admit(request) {
                progress.fail(reason);
            }
        }
        self.stage(requests, &mut group);
        for (request, progress) in requests.iter().zip(&mut group) {
            self.apply(request, progress);
        }
        self.flush_all(&mut group);
        let answers = group
            .into_iter()
            .map(|progress| progress.failed.map_or(Ok(()), Err));
        requests
            .iter()
            .map(|request| request.seq)
            .zip(answers)
            .collect()
    }

    fn admit(&self, request: &Request) -> Result<(), String> {
        if self.broken_files.len() + self.broken_dirs.len() > limits::BROKEN_PATHS {
            return Err("the disk is broken: too many flushes have failed".to_owned());
        }
        for write in &request.writes {
            check_path(path_of(write)).map_err(|bad| bad.to_string())?;
        }
        Ok(())
    }

    fn stage(&mut self, requests: &[Request], group: &mut [Progress]) {
        let mut count = 0;
        for (request, progress) in requests.iter().zip(group.iter_mut()) {
            if progress.failed.is_some() {
                continue;
            }
            for (nth, write) in request.writes.iter().enumerate() {
                let Write::Put { path, bytes } = write else {
                    continue;
                };
                let temporary = temporary_beside(path, &count.to_string());
                count += 1;
                // A failure here is not final: an earlier write of the group may make room for it.
                if self.stage_file(&temporary, bytes, progress).is_ok() {
                    progress.staged.insert(nth, Staged::Ready(temporary));
                }
            }
        }
        let staged = group
            .iter_mut()
            .flat_map(|progress| progress.staged.values_mut());
        let mut staged: Vec<&mut Staged> = staged.collect();
        let targets: Vec<Target<'_>> = staged.iter().filter_map(|staged| staged.target()).collect();
        let results = self.storage.sync_all(&targets);
        for (staged, result) in staged.iter_mut().zip(results) {
            if let (Staged::Ready(temporary), Err(error)) = (&**staged, result) {
                let _ = self.storage.remove(temporary);
                **staged = Staged::Failed(format!("fsync of '{temporary}': {error}"));
            }
        }
    }

    fn stage_file(
        &mut self,
        temporary: &str,
        bytes: &[u8],
        progress: &mut Progress,
    ) -> Result<(), String> {
        self.make_dirs(temporary, progress)?;
        self.storage.write(temporary, bytes).map_err(|error| {
            let _ = self.storage.remove(temporary);
            format!("write of '{temporary}': {error}")
        })
    }

    /// Makes the directories that a path is in, and notes what must be flushed for them to last.
    fn make_dirs(&mut self, path: &str, progress: &mut Progress) -> Result<(), String> {
        let dir = parent(path);
        // The usual case, and paths are deep: what is there stands in directories that are there.
        if self.durable_dirs.contains(dir) {
            match self.storage.make_dir(dir) {
                Ok(false) => return Ok(()),
                // Somebody else removed it: what was known of it is about another one.
                _ => drop(self.durable_dirs.remove(dir)),
            }
        }
        self.make_each_dir(path, progress)
    }

    fn make_each_dir(&mut self, path: &str, progress: &mut Progress) -> Result<(), String> {
        for dir in ancestors(path) {
            let made = self
                .storage
                .make_dir(dir)
                .map_err(|error| format!("mkdir '{dir}': {error}"))?;
            if !made && self.durable_dirs.contains(dir) {
                continue;
            }
            if let Some(reason) = self.broken_dirs.get(parent(dir)) {
                return Err(format!(
                    "'{dir}' is in a directory that is no longer trusted: {reason}"
                ));
            }
            progress.dirs.insert(parent(dir).to_owned());
            progress.new_dirs.insert(dir.to_owned());
        }
        Ok(())
    }

    fn apply(&mut self, request: &Request, progress: &mut Progress) {
        if progress.failed.is_none() {
            for (nth, write) in request.writes.iter().enumerate() {
                if let Err(reason) = self.apply_write(nth, write, progress) {
                    progress.fail(reason);
                    break;
                }
            }
        }
        if progress.failed.is_some() {
            self.undo(progress);
        }
    }

    fn apply_write(
        &mut self,
        nth: usize,
        write: &Write,
        progress: &mut Progress,
    ) -> Result<(), String> {
        let path = path_of(write);
        if let Some(reason) = self.broken_dirs.get(parent(path)) {
            return Err(format!(
                "'{path}' is in a directory that is no longer trusted: {reason}"
            ));
        }
        progress.dirs.insert(parent(path).to_owned());
        match write {
            Write::Put { bytes, .. } => {
                let staged = progress.staged.remove(&nth);
                self.put(path, bytes, staged, progress)?;
            }
            Write::Append { bytes, .. } => return self.append(path, bytes, progress),
            Write::Symlink { target, .. } => self.link(path, target, progress)?,
            Write::Delete { .. } => {
                self.storage
                    .remove(path)
                    .map_err(|error| format!("remove '{path}': {error}"))?;
            }
        }
        self.heal(path);
        Ok(())
    }

    fn put(
        &mut self,
        path: &str,
        bytes: &[u8],
        staged: Option<Staged>,
        progress: &mut Progress,
    ) -> Result<(), String> {
        match staged {
            Some(Staged::Failed(reason)) => return Err(reason),
            Some(Staged::Ready(temporary)) => match self.storage.rename(&temporary, path) {
                // An earlier write of this group removed the directory it was staged in.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => return self.renamed(&temporary, path, result),
            },
            None => {}
        }
        let temporary = temporary_beside(path, "unstaged");
        self.stage_file(&temporary, bytes, progress)?;
        if let Err(error) = self.storage.sync_file(&temporary) {
            let _ = self.storage.remove(&temporary);
            return Err(format!("fsync of '{temporary}': {error}"));
        }
        let result = self.storage.rename(&temporary, path);
        self.renamed(&temporary, path, result)
    }

    fn link(&mut self, path: &str, target: &str, progress: &mut Progress) -> Result<(), String> {
        let temporary = temporary_beside(path, "unstaged");
        self.make_dirs(path, progress)?;
        let result = self
            .storage
            .remove(&temporary)
            .and_then(|()| self.storage.symlink(target, &temporary))
            .and_then(|()| self.storage.rename(&temporary, path));
        self.renamed(&temporary, path, result)
    }

    fn renamed(
        &mut self,
        temporary: &str,
        path: &str,
        result: io::Result<()>,
    ) -> Result<(), String> {
        result.map_err(|error| {
            let _ = self.storage.remove(temporary);
            format!("rename to '{path}': {error}")
        })
    }

    fn append(&mut self, path: &str, bytes: &[u8], progress: &mut Progress) -> Result<(), String> {
        if let Some(reason) = self.broken_files.get(path) {
            return Err(format!("'{path}' is no longer trusted: {reason}"));
        }
        self.make_dirs(path, progress)?;
        match self.storage.append(path, bytes) {
            Ok(before) => {
                progress.appended.push((path.to_owned(), before));
                Ok(())
            }
            Err(failure) => {
                if let Some(before) = failure.before {
                    progress.appended.push((path.to_owned(), before));
                }
                Err(format!("append to '{path}': {}", failure.error))
            }
        }
    }

    /// Cuts back what a failed request appended (nothing was appended behind it yet), and removes what
    /// it staged. Its files stay in the list to be flushed: the cut should survive a crash too.
    fn undo(&mut self, progress: &mut Progress) {
        for (path, before) in progress.appended.iter().rev() {
            if let Err(error) = restore(&mut self.storage, path, *before) {
                self.broken_files
                    .insert(path.clone(), format!("an append is half done: {error}"));
            }
        }
        for staged in std::mem::take(&mut progress.staged).into_values() {
            if let Staged::Ready(temporary) = staged {
                let _ = self.storage.remove(&temporary);
            }
        }
    }

    fn flush_all(&mut self, group: &mut [Progress]) {
        // Per file: how long it was before the group. Later requests of the group add behind that.
        let mut files: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for (path, before) in group.iter().flat_map(|progress| &progress.appended) {
            files.entry(path.clone()).or_insert(*before);
        }
        let dirs: BTreeSet<String> = group.iter().flat_map(|p| &p.dirs).cloned().collect();
        let targets = files.keys().map(|path| Target::File(path));
        let targets: Vec<_> = targets
            .chain(dirs.iter().map(|dir| Target::Dir(dir)))
            .collect();
        let mut results = self.storage.sync_all(&targets);
        let dir_results = results.split_off(files.len());
        for ((path, before), result) in files.iter().zip(results) {
            if let Err(error) = result {
                self.file_failed(path, *before, &error, group);
            }
        }
        let mut flushed = BTreeSet::new();
        for (dir, result) in dirs.iter().zip(dir_results) {
            match result {
                Ok(()) => drop(flushed.insert(dir.as_str())),
                Err(error) => self.dir_failed(dir, &error, group),
            }
        }
        // Outermost first: one in a directory that may not last does not last either.
        let new_dirs: BTreeSet<_> = group.iter().flat_map(|p| &p.new_dirs).collect();
        for dir in new_dirs {
            let lasts = |dir: &str| dir.is_empty() || self.durable_dirs.contains(dir);
            if flushed.contains(parent(dir)) && lasts(parent(dir)) {
                self.durable_dirs.insert(dir.clone());
            }
        }
        if self.durable_dirs.len() > limits::DURABLE_DIRS {
            self.durable_dirs.clear();
        }
    }

    fn file_failed(
        &mut self,
        path: &str,
        before: Option<u64>,
        error: &io::Error,
        group: &mut [Progress],
    ) {
        if error.kind() == io::ErrorKind::NotFound {
            // Removed by a later write of the group.
            return;
        }
        let reason = format!("fsync of '{path}': {error}");
        // The best that can be done for a reader; the file stays broken either way.
        let _ = restore(&mut self.storage, path, before);
        self.broken_files.insert(path.to_owned(), reason.clone());
        let appended = |p: &Progress| p.appended.iter().any(|(appended, _)| appended == path);
        let touched = group.iter_mut().filter(|progress| appended(progress));
        touched.for_each(|progress| progress.fail(reason.clone()));
    }

    fn dir_failed(&mut self, dir: &str, error: &io::Error, group: &mut [Progress]) {
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        let reason = format!("fsync of directory '{dir}': {error}");
        self.broken_dirs.insert(dir.to_owned(), reason.clone());
        let touched = group
            .iter_mut()
            .filter(|progress| progress.dirs.contains(dir));
        touched.for_each(|progress| progress.fail(reason.clone()));
    }

    /// A path was replaced or removed: nothing of what was known of it holds any longer.
    fn heal(&mut self, path: &str) {
        let below = format!("{path}/");
        for broken in [&mut self.broken_files, &mut self.broken_dirs] {
            broken.retain(|known, _| known != path && !known.starts_with(&below));
        }
    }
}

fn restore<S: Storage>(storage: &mut S, path: &str, before: Option<u64>) -> io::Result<()> {
    match before {
        Some(len) => storage.truncate(path, len),
        None => storage.remove(path),
    }
}

fn temporary_beside(path: &str, nth: &str) -> String {
    let dir = parent(path);
    let slash = if dir.is_empty() { "" } else { "/" };
    format!("{dir}{slash}{TEMPORARY_PREFIX}{nth}")
}

fn path_of(write: &Write) -> &str {
    match write {
        Write::Put { path, .. }
        | Write::Append { path, .. }
        | Write::Symlink { path, .. }
        | Write::Delete { path } => path,
    }
}
