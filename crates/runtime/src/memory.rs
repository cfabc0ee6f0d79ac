//! Files in memory that forget what was not flushed: the disk of the simulator and of the fault tests.
//!
//! Every file and every directory exists twice, as it is seen and as it was last flushed. A crash
//! ([`MemoryFiles::crash`]) keeps what was flushed and, of everything else, what the caller's draws
//! say: a file any length between, a directory its old or its new entries.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use crate::storage::{AppendError, Storage, parent};
use crate::tree::{Entry, EntryContent};

const ROOT: u64 = 0;

/// Fewer nodes than this are never swept.
const SWEEP_FROM: usize = 1_024;

/// What an operation that is about to happen is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// [`Storage::make_dir`] where none is yet.
    MakeDir,
    /// [`Storage::write`].
    Write,
    /// [`Storage::append`].
    Append,
    /// [`Storage::truncate`].
    Truncate,
    /// [`Storage::sync_file`].
    SyncFile,
    /// [`Storage::sync_dir`].
    SyncDir,
    /// [`Storage::rename`].
    Rename,
    /// [`Storage::symlink`].
    Symlink,
    /// [`Storage::remove`].
    Remove,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The error it reports.
    pub kind: io::ErrorKind,
    /// How many bytes of a write or an append are done all the same.
    pub partial: usize,
}

/// Decides, per operation and path, whether it fails.
pub type Faults = Box<dyn FnMut(Operation, &str) -> Option<Fault> + Send>;

/// A root directory in memory.
pub struct MemoryFiles {
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    /// The number of nodes at which those that nothing names any more are looked for.
    sweep_at: usize,
    faults: Option<Faults>,
    /// How often each kind of operation was done; failed ones count.
    counts: BTreeMap<Operation, u64>,
}

impl std::fmt::Debug for MemoryFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryFiles")
            .field("tree", &self.tree())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
enum Node {
    File {
        seen: Vec<u8>,
        flushed: Vec<u8>,
    },
    Dir {
        seen: BTreeMap<String, Name>,
        flushed: BTreeMap<String, Name>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Node(u64),
    Link(String),
}

impl Default for MemoryFiles {
    fn default() -> Self {
        let root = Node::Dir {
            seen: BTreeMap::new(),
            flushed: BTreeMap::new(),
        };
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next_node: ROOT + 1,
            sweep_at: SWEEP_FROM,
            faults: None,
            counts: BTreeMap::new(),
        }
    }
}

impl MemoryFiles {
    /// An empty root.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `faults` decides which operations fail; `None` ends that.
    pub fn set_faults(&mut self, faults: Option<Faults>) {
        self.faults = faults;
    }

    /// How many operations of a kind there were so far.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        self.counts.get(&operation).copied().unwrap_or(0)
    }

    /// All files and links as they are seen, sorted by path, as [`crate::read_tree`] returns them.
    #[must_use]
    pub fn tree(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(ROOT, "", &mut entries);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    /// As [`crate::read_tree`]: all files and links, flushed before they are returned.
    #[must_use]
    pub fn read_back(&mut self) -> Vec<Entry> {
        for node in self.nodes.values_mut() {
            match node {
                Node::File { seen, flushed } => flushed.clone_from(seen),
                Node::Dir { seen, flushed } => flushed.clone_from(seen),
            }
        }
        self.tree()
    }

    /// The power fails: what was not flushed is gone, except for what `draw` keeps. `draw(bound)` gives
    /// a number in `0..bound`; one that always gives 0 keeps nothing, one that gives `bound - 1` all.
    pub fn crash(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File { seen, flushed } => {
                    let common = seen
                        .iter()
                        .zip(flushed.iter())
                        .take_while(|(a, b)| a == b)
                        .count();
                    if common == flushed.len() {
                        let kept = draw((seen.len() - common) as u64 + 1);
                        seen.truncate(common + kept as usize);
                    } else if draw(2) == 0 {
                        seen.clone_from(flushed);
                    }
                    flushed.clone_from(seen);
                }
                Node::Dir { seen, flushed } => {
                    if seen != flushed && draw(2) == 0 {
                        seen.clone_from(flushed);
                    }
                    flushed.clone_from(seen);
                }
            }
        }
        self.sweep();
    }

    /// Forgets the nodes that no directory names, neither as seen nor as flushed.
    fn sweep(&mut self) {
        let mut reached = BTreeMap::new();
        let mut next = vec![ROOT];
        while let Some(id) = next.pop() {
            let Some(node) = self.nodes.remove(&id) else {
                continue;
            };
            if let Node::Dir { seen, flushed } = &node {
                next.extend(
                    seen.values()
                        .chain(flushed.values())
                        .filter_map(|name| match name {
                            Name::Node(id) => Some(*id),
                            Name::Link(_) => None,
                        }),
                );
            }
            reached.insert(id, node);
        }
        self.sweep_at = SWEEP_FROM.max(2 * reached.len());
        self.nodes = reached;
    }

    fn collect(&self, dir: u64, at: &str, entries: &mut Vec<Entry>) {
        let Some(Node::Dir { seen, .. }) = self.nodes.get(&dir) else {
            return;
        };
        for (name, target) in seen {
            if name.starts_with(crate::group::TEMPORARY_PREFIX) {
                continue;
            }
            let path = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}/{name}")
            };
            match target {
                Name::Link(target) => {
                    entries.push(Entry {
                        path,
                        content: EntryContent::Symlink(target.clone()),
                    });
                }
                Name::Node(id) => match self.nodes.get(id) {
                    Some(Node::File { seen, .. }) => {
                        let bytes = Bytes::copy_from_slice(seen);
                        entries.push(Entry {
                            path,
                            content: EntryContent::File(bytes),
                        });
                    }
                    _ => self.collect(*id, &path, entries),
                },
            }
        }
    }

    fn fault(&mut self, operation: Operation, path: &str) -> Option<Fault> {
        *self.counts.entry(operation).or_default() += 1;
        self.faults
            .as_mut()
            .and_then(|faults| faults(operation, path))
    }

    fn check(&mut self, operation: Operation, path: &str) -> io::Result<()> {
        self.fault(operation, path)
            .map_or(Ok(()), |fault| Err(fault.kind.into()))
    }

    /// The node at a path, links not followed.
    fn find(&self, path: &str) -> io::Result<u64> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(Node::Dir { seen, .. }) = self.nodes.get(&at) else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            match seen.get(name) {
                Some(Name::Node(id)) => at = *id,
                Some(Name::Link(_)) => return Err(io::ErrorKind::InvalidInput.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        Ok(at)
    }

    fn dir(&mut self, path: &str) -> io::Result<&mut BTreeMap<String, Name>> {
        let id = self.find(path)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Dir { seen, .. }) => Ok(seen),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&mut self, path: &str) -> io::Result<(&mut Vec<u8>, &mut Vec<u8>)> {
        let id = self.find(path)?;
        match self.nodes.get_mut(&id) {
            Some(Node::File { seen, flushed }) => Ok((seen, flushed)),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn add(&mut self, path: &str, node: Node) -> io::Result<()> {
        let id = self.next_node;
        self.dir(parent(path))?
            .insert(last_name(path).to_owned(), Name::Node(id));
        self.next_node += 1;
        self.nodes.insert(id, node);
        Ok(())
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn empty_file() -> Node {
    Node::File {
        seen: Vec::new(),
        flushed: Vec::new(),
    }
}

impl Storage for MemoryFiles {
    fn make_dir(&mut self, dir: &str) -> io::Result<bool> {
        match self.find(dir) {
            Ok(id) if matches!(self.nodes.get(&id), Some(Node::Dir { .. })) => Ok(false),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check(Operation::MakeDir, dir)?;
                self.add(
                    dir,
                    Node::Dir {
                        seen: BTreeMap::new(),
                        flushed: BTreeMap::new(),
                    },
                )?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let fault = self.fault(Operation::Write, path);
        if self
            .find(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            self.add(path, empty_file())?;
        }
        let (seen, _) = self.file(path)?;
        let done = fault.map_or(bytes.len(), |fault| fault.partial.min(bytes.len()));
        *seen = bytes[..done].to_vec();
        fault.map_or(Ok(()), |fault| Err(fault.kind.into()))
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> Result<Option<u64>, AppendError> {
        let fault = self.fault(Operation::Append, path);
        let untouched = |error| AppendError {
            before: None,
            error,
        };
        let before = match self.file(path) {
            Ok((seen, _)) => Some(seen.len() as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.add(path, empty_file()).map_err(untouched)?;
                None
            }
            Err(error) => return Err(untouched(error)),
        };
        let (seen, _) = self.file(path).map_err(untouched)?;
        let done = fault.map_or(bytes.len(), |fault| fault.partial.min(bytes.len()));
        seen.extend_from_slice(&bytes[..done]);
        match fault {
            None => Ok(before),
            Some(fault) => Err(AppendError {
                before: Some(before),
                error: fault.kind.into(),
            }),
        }
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.check(Operation::Truncate, path)?;
        let (seen, _) = self.file(path)?;
        seen.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync_file(&mut self, path: &str) -> io::Result<()> {
        self.check(Operation::SyncFile, path)?;
        let (seen, flushed) = self.file(path)?;
        flushed.clone_from(seen);
        Ok(())
    }

    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.check(Operation::SyncDir, dir)?;
        let id = self.find(dir)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Dir { seen, flushed }) => {
                flushed.clone_from(seen);
            }
            _ => return Err(io::ErrorKind::NotADirectory.into()),
        }
        if self.nodes.len() >= self.sweep_at {
            self.sweep();
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.check(Operation::Rename, to)?;
        let is_dir = self
            .find(to)
            .is_ok_and(|id| matches!(self.nodes.get(&id), Some(Node::Dir { .. })));
        if is_dir {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.dir(parent(to))?;
        let moved = self.dir(parent(from))?.remove(last_name(from));
        let moved = moved.ok_or(io::ErrorKind::NotFound)?;
        self.dir(parent(to))?
            .insert(last_name(to).to_owned(), moved);
        Ok(())
    }

    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        self.check(Operation::Symlink, path)?;
        let names = self.dir(parent(path))?;
        if names.contains_key(last_name(path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.insert(last_name(path).to_owned(), Name::Link(target.to_owned()));
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.check(Operation::Remove, path)?;
        // The node stays: until the directory is flushed, a crash may bring it back.
        match self.dir(parent(path)) {
            Ok(names) => {
                names.remove(last_name(path));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(()),
            Err(error) => Err(error),
        }
    }
}
