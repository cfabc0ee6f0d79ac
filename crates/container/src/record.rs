//! What the runtime directory remembers of containers, so that the agent's death costs nothing.
//!
//! `<runtime_dir>/containers/<id>[/containers/<child>]…/` holds, as files:
//! - `supervisor`: its process id, start time and the host's boot, written by the agent before it
//!   reports the launch;
//! - `status`: the wait status of the first process, a decimal number as Mesos writes it, by the
//!   supervisor when that process ends;
//! - `fetched`: empty; all URIs are there. By the supervisor, if there were any to fetch;
//! - `failed`: why no first process ever ran, by the supervisor; [`NEVER_RELEASED`] if it was held to
//!   its end;
//! - `over`: empty; no process of the container is left. Last act of supervisor or sweep.
//!
//! Files appear whole or not at all (written beside, then renamed). Nothing is flushed to disk: a
//! crash of the host ends the containers with it, and the boot id tells.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use meseta_model::ids::ContainerId;

use crate::procfs::{self, Process};

/// What `failed` says of a container that its agent never released: nothing of the framework ran, and
/// the id may be launched again.
pub const NEVER_RELEASED: &str = "the agent went away before it released the container";

const CONTAINERS: &str = "containers";
const SUPERVISOR: &str = "supervisor";
const STATUS: &str = "status";
const FETCHED: &str = "fetched";
const FAILED: &str = "failed";
const OVER: &str = "over";

/// The runtime directory of one agent. Mesos: `--runtime_dir`.
#[derive(Debug, Clone)]
pub struct RuntimeDir {
    root: PathBuf,
}

impl RuntimeDir {
    /// Opens it, and makes it (mode 0700 below) if it is missing.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root.join(CONTAINERS))?;
        Ok(Self { root })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The record of one container, whether or not it exists.
    #[must_use]
    pub fn record(&self, id: &ContainerId) -> Record {
        let mut path = self.root.clone();
        for element in id.path() {
            path.push(CONTAINERS);
            path.push(element);
        }
        Record { path }
    }

    /// Every container that has a record, parents before their children.
    #[must_use]
    pub fn list(&self) -> Vec<ContainerId> {
        let mut found = Vec::new();
        for name in names(&self.root.join(CONTAINERS)) {
            self.list_below(ContainerId::root(name), &mut found);
        }
        found
    }

    fn list_below(&self, id: ContainerId, found: &mut Vec<ContainerId>) {
        let children = names(&self.record(&id).path.join(CONTAINERS));
        let children: Vec<ContainerId> = children
            .into_iter()
            .filter_map(|name| id.child(name))
            .collect();
        found.push(id);
        for child in children {
            self.list_below(child, found);
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// How a container ended, as far as its record knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The first process ended with this wait status.
    Ended(i32),
    /// There never was one, for this reason.
    Failed(String),
    /// There never was one, because the agent went away before it let it run.
    NeverReleased,
    /// The supervisor was killed before it could tell.
    Unknown,
}

/// One container's directory.
#[derive(Debug, Clone)]
pub struct Record {
    path: PathBuf,
}

impl Record {
    /// The record in this directory.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is one.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes the directory. One that is over makes room: an id is launched again only if it was never
    /// released before.
    ///
    /// # Errors
    ///
    /// It exists and is not over, or cannot be made.
    pub fn create(&self) -> io::Result<()> {
        if self.is_over() {
            fs::remove_dir_all(&self.path)?;
        }
        // The parent's record may be gone already; that is no reason not to have one.
        if let Some(parent) = self.path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
        }
        fs::DirBuilder::new().mode(0o700).create(&self.path)
    }

    /// Forgets the container and those nested in it.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Writes down who supervises.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub fn write_supervisor(&self, process: &Process, boot: &str) -> io::Result<()> {
        self.write(
            SUPERVISOR,
            &format!("{} {} {boot}\n", process.pid, process.start),
        )
    }

    /// The supervisor, if it is written down and still runs.
    #[must_use]
    pub fn live_supervisor(&self, boot: &str) -> Option<Process> {
        let text = self.read(SUPERVISOR)?;
        let mut words = text.split_ascii_whitespace();
        let pid = words.next()?.parse().ok()?;
        let start: u64 = words.next()?.parse().ok()?;
        if words.next()? != boot {
            return None;
        }
        procfs::read(pid).filter(|process| process.start == start && !process.is_over())
    }

    /// Whether a supervisor is written down.
    #[must_use]
    pub fn names_supervisor(&self) -> bool {
        self.path.join(SUPERVISOR).exists()
    }

    /// Whether the supervisor that is written down belongs to another boot of the host.
    #[must_use]
    pub fn from_another_boot(&self, boot: &str) -> bool {
        let text = self.read(SUPERVISOR).unwrap_or_default();
        text.split_ascii_whitespace()
            .nth(2)
            .is_some_and(|recorded| recorded != boot)
    }

    /// Writes down the wait status of the first process.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub fn write_status(&self, wait_status: i32) -> io::Result<()> {
        self.write(STATUS, &wait_status.to_string())
    }

    /// Writes down that all URIs are there.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub fn write_fetched(&self) -> io::Result<()> {
        fs::File::create(self.path.join(FETCHED)).map(drop)
    }

    /// Whether there were URIs to fetch, and all are there.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        self.path.join(FETCHED).exists()
    }

    /// Writes down why there never was a first process.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub fn write_failed(&self, reason: &str) -> io::Result<()> {
        self.write(FAILED, reason)
    }

    /// Writes down that no process is left.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub fn write_over(&self) -> io::Result<()> {
        fs::File::create(self.path.join(OVER)).map(drop)
    }

    /// Whether no process is left for sure.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.path.join(OVER).exists()
    }

    /// How it ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        if let Some(status) = self.read(STATUS).and_then(|text| text.trim().parse().ok()) {
            return Ending::Ended(status);
        }
        match self.read(FAILED) {
            None => Ending::Unknown,
            Some(reason) if reason == NEVER_RELEASED => Ending::NeverReleased,
            Some(reason) => Ending::Failed(reason),
        }
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path.join(name)).ok()
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let beside = self.path.join(format!("{name}.new"));
        fs::write(&beside, text)?;
        fs::rename(beside, self.path.join(name))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_nest_and_are_listed_parents_first() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir::open(directory.path()).unwrap();
        let (a, b) = (ContainerId::root("a"), ContainerId::root("b"));
        let nested = a.child("x").unwrap();
        for id in [&b, &a, &nested] {
            runtime.record(id).create().unwrap();
        }
        assert!(runtime.record(&a).create().is_err(), "an id is used once");
        assert_eq!(runtime.list(), [a.clone(), nested.clone(), b]);
        assert!(
            runtime
                .record(&nested)
                .path()
                .ends_with("containers/a/containers/x")
        );
        runtime.record(&a).remove();
        assert_eq!(runtime.list(), [ContainerId::root("b")]);
    }

    #[test]
    fn an_ending_is_known_by_status_then_failure() {
        let directory = tempfile::tempdir().unwrap();
        let record = Record::at(directory.path().join("r"));
        record.create().unwrap();
        assert_eq!(record.ending(), Ending::Unknown);
        record.write_failed("no such program").unwrap();
        assert_eq!(
            record.ending(),
            Ending::Failed("no such program".to_owned())
        );
        record.write_status(256).unwrap();
        assert_eq!(record.ending(), Ending::Ended(256));
        assert_eq!(
            fs::read_to_string(record.path().join("status")).unwrap(),
            "256"
        );
        assert!(!record.is_over());
        record.write_over().unwrap();
        assert!(record.is_over());
    }

    #[test]
    fn a_container_that_was_never_released_makes_room_for_its_second_launch() {
        let directory = tempfile::tempdir().unwrap();
        let record = Record::at(directory.path().join("r"));
        record.create().unwrap();
        record.write_failed(NEVER_RELEASED).unwrap();
        assert_eq!(record.ending(), Ending::NeverReleased);
        assert!(record.create().is_err(), "its supervisor may write yet");
        record.write_over().unwrap();
        record.create().unwrap();
        assert_eq!(
            (record.is_over(), record.ending()),
            (false, Ending::Unknown)
        );
    }

    #[test]
    fn a_supervisor_is_live_only_in_its_own_boot_and_skin() {
        let directory = tempfile::tempdir().unwrap();
        let record = Record::at(directory.path().join("r"));
        record.create().unwrap();
        let me = procfs::read(std::process::id().cast_signed()).unwrap();
        record.write_supervisor(&me, "boot-1").unwrap();
        assert_eq!(
            record.live_supervisor("boot-1").map(|p| p.pid),
            Some(me.pid)
        );
        assert_eq!(record.live_supervisor("boot-2"), None);
        assert!(record.from_another_boot("boot-2"));
        let other = Process {
            start: me.start + 1,
            ..me
        };
        record.write_supervisor(&other, "boot-1").unwrap();
        assert_eq!(
            record.live_supervisor("boot-1"),
            None,
            "the id belongs to another now"
        );
    }
}
