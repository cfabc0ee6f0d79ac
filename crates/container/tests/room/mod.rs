//! An agent in a process of its own, driven line by line, and a look at what is left afterwards.

#![allow(dead_code)] // each test file uses its part

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use meseta_container::tag::tag;
use meseta_model::ids::ContainerId;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// No process.
pub const NONE: [i32; 0] = [];

const NOBODY: u32 = 65_534;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whom the agent of a test runs as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Who {
    /// Whoever runs the tests.
    Me,
    /// An unprivileged user.
    Nobody,
}

/// Runs a test as every kind of user that can be had.
pub fn as_everybody(test: impl Fn(World)) {
    test(World::new(Who::Me));
    if is_root() {
        test(World::new(Who::Nobody));
    }
}

/// A runtime directory, sandboxes, and the containers that were started in them. Whatever a test
/// does, nothing of theirs may be left when the world ends.
pub struct World {
    pub who: Who,
    pub dir: TempDir,
    pub cgroups_root: Option<String>,
    /// `v2:MOUNT:ROOT`.
    pub version_2: Option<String>,
}

impl World {
    pub fn new(who: Who) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["runtime", "work"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if who == Who::Nobody {
            for path in [
                dir.path(),
                &dir.path().join("runtime"),
                &dir.path().join("work"),
            ] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        Self {
            who,
            dir,
            cgroups_root: None,
            version_2: None,
        }
    }

    pub fn runtime(&self) -> PathBuf {
        self.dir.path().join("runtime")
    }

    pub fn sandbox(&self, name: &str) -> PathBuf {
        self.dir.path().join("work").join(name)
    }

    pub fn read(&self, name: &str, file: &str) -> String {
        fs::read_to_string(self.sandbox(name).join(file)).unwrap_or_default()
    }

    /// The spec of a shell line in its own sandbox.
    pub fn shell(&self, name: &str, line: &str) -> Value {
        json!({
            "id": [name],
            "shell": line,
            "environment": { "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" },
            "sandbox": self.sandbox(name),
        })
    }

    /// Starts the agent.
    pub fn agent(&self) -> Agent {
        let program = match self.who {
            Who::Me => PathBuf::from(env!("CARGO_BIN_EXE_meseta-launch-test")),
            Who::Nobody => public_binary().to_path_buf(),
        };
        let mut command = Command::new(program);
        command
            .arg("agent")
            .arg(self.runtime())
            .args(&self.cgroups_root)
            .args(&self.version_2);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir("/");
        if self.who == Who::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.spawn().unwrap();
        let (sender, reports) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let stdin = child.stdin.take();
        Agent {
            child,
            stdin,
            reports,
            early: VecDeque::new(),
        }
    }

    /// Processes that carry the tag of this container.
    pub fn processes(&self, path: &[&str]) -> Vec<i32> {
        let id = path[1..]
            .iter()
            .fold(ContainerId::root(path[0]), |id, e| id.child(*e).unwrap());
        let tag = tag(&self.runtime().canonicalize().unwrap(), &id).to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let read = |name| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            let tagged = read("limits")
                .lines()
                .any(|line| line.starts_with("Max file locks") && line.contains(&tag));
            if tagged && !read("status").contains("State:\tZ") {
                found.push(pid);
            }
        }
        found
    }

    /// Asserts that the processes of a container come to this number.
    pub fn await_processes(&self, path: &[&str], count: usize) {
        await_that(&format!("{count} processes of {path:?}"), || {
            self.processes(path).len() == count
        });
    }
}

impl World {
    /// After a failed test: what is left is not the point then, but it should not stay.
    fn clear_away(&self) {
        let Ok(runtime) = meseta_container::record::RuntimeDir::open(&self.runtime()) else {
            return;
        };
        for id in runtime.list() {
            let path: Vec<&str> = id.path().iter().map(String::as_str).collect();
            for pid in self.processes(&path) {
                let pid = rustix::process::Pid::from_raw(pid).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        for subsystem in ["cpu", "cpuacct", "memory", "freezer"] {
            if let Some(root) = &self.cgroups_root {
                let group = Path::new("/sys/fs/cgroup").join(subsystem).join(root);
                for below in fs::read_dir(&group).into_iter().flatten().flatten() {
                    let _ = fs::remove_dir(below.path());
                }
                let _ = fs::remove_dir(group);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.clear_away();
            return;
        }
        // Supervisors name their record in nothing but their plan; tagged are all others.
        let runtime = meseta_container::record::RuntimeDir::open(&self.runtime()).unwrap();
        for id in runtime.list() {
            let path: Vec<&str> = id.path().iter().map(String::as_str).collect();
            assert_eq!(self.processes(&path), NONE, "left behind by {id}");
        }
        if let Some(root) = &self.cgroups_root {
            for subsystem in ["cpu", "cpuacct", "memory", "freezer"] {
                let group = Path::new("/sys/fs/cgroup").join(subsystem).join(root);
                let left: Vec<_> = fs::read_dir(&group)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter(|entry| entry.path().is_dir())
                    .map(|entry| entry.path())
                    .collect();
                let _ = fs::remove_dir(&group);
                assert_eq!(left, Vec::<PathBuf>::new());
            }
        }
    }
}

/// The agent's process.
pub struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    reports: Receiver<Value>,
    early: VecDeque<Value>,
}

impl Agent {
    pub fn say(&mut self, command: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{command}").unwrap();
    }

    /// The next report of which `wanted` says yes; others are kept for later.
    pub fn next(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.early.iter().position(&wanted) {
            return self.early.remove(index).unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let report = self.reports.recv_timeout(left).unwrap_or_else(|_| {
                panic!("no report: {what}; came instead: {:?}", self.early);
            });
            if wanted(&report) {
                return report;
            }
            self.early.push_back(report);
        }
    }

    /// Launches; gives the supervisor's pid.
    pub fn launch(&mut self, spec: &Value) -> i32 {
        self.say(&json!({ "launch": spec }));
        let id = spec["id"].clone();
        let report = self.next("launched", |report| {
            report["id"] == id && (report.get("launched").or(report.get("failed"))).is_some()
        });
        let pid = report["launched"].as_i64();
        i32::try_from(pid.unwrap_or_else(|| panic!("{report}"))).unwrap()
    }

    pub fn launch_and_release(&mut self, spec: &Value) -> i32 {
        let pid = self.launch(spec);
        self.say(&json!({ "release": spec["id"] }));
        pid
    }

    /// How a container ended: `{status, reason, message}`.
    pub fn ended(&mut self, path: &[&str]) -> Value {
        let report = self.next(&format!("terminated {path:?}"), |report| {
            report["id"] == json!(path) && report.get("launched").is_none()
        });
        report
            .get("terminated")
            .cloned()
            .unwrap_or_else(|| panic!("{report}"))
    }

    /// A container of an earlier life that was held to its end.
    pub fn never_released(&mut self, path: &[&str]) {
        let report = self.next(&format!("never released {path:?}"), |report| {
            report["id"] == json!(path)
        });
        assert_eq!(report["never_released"], json!(true), "{report}");
    }

    /// What recovery found and did not know.
    pub fn orphans(&mut self, expected: &[&[&str]]) {
        let report = self.next("orphans", |report| report.get("orphans").is_some());
        assert_eq!(report["orphans"], json!(expected));
    }

    /// Why a launch failed.
    pub fn failed(&mut self, path: &[&str]) -> String {
        let report = self.next(&format!("failed {path:?}"), |report| {
            report["id"] == json!(path) && report.get("launched").is_none()
        });
        report["failed"]
            .as_str()
            .unwrap_or_else(|| panic!("{report}"))
            .to_owned()
    }

    /// Runs to the end; gives the wait status.
    pub fn run(&mut self, spec: &Value) -> i64 {
        self.launch_and_release(spec);
        let path: Vec<&str> = spec["id"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_str().unwrap())
            .collect();
        let ended = self.ended(&path);
        ended["status"]
            .as_i64()
            .unwrap_or_else(|| panic!("{ended}"))
    }

    /// Waits until the room has counted this many fetches that succeeded and failed.
    pub fn await_fetches(&mut self, succeeded: u64, failed: u64) {
        await_that(&format!("{succeeded} fetches and {failed} in vain"), || {
            self.say(&json!({ "counts": {} }));
            let report = self.next("counts", |report| report.get("counts").is_some());
            let counts = &report["counts"];
            counts["fetches_succeeded"] == succeeded && counts["fetches_failed"] == failed
        });
    }

    pub fn usage(&mut self, path: &[&str]) -> Value {
        self.say(&json!({ "usage": path }));
        self.next("usage", |report| report.get("usage").is_some())["usage"].clone()
    }

    pub fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Polls until it is so. There is no event to wait for where the kernel's tables are looked at.
pub fn await_that(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// Whether a process is gone, or dead and only not waited for.
pub fn is_gone(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX")
}

/// A copy of the roles' binary that everybody may run, wherever the checkout is.
fn public_binary() -> &'static Path {
    static COPY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = COPY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("meseta-launch-test");
        fs::copy(env!("CARGO_BIN_EXE_meseta-launch-test"), &path).unwrap();
        (dir, path)
    });
    path
}

pub fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}
