//! Programs on client libraries that others wrote (`tests/clients`), against processes of ours.
//!
//! `scripts/test` provides the libraries and names them in variables; a test whose variable is missing
//! says so and passes.

#[path = "e2e/support.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Cluster, Scratch, eventually};

/// The path in a variable that `scripts/test` sets; `None`, and a line that says so, without it.
fn provided(variable: &str, without: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        // Past the harness, which shows what it captures of failed tests only.
        let line = format!("LEFT OUT: {without}: {variable} is not set (scripts/test sets it)\n");
        std::io::stderr()
            .write_all(line.as_bytes())
            .expect("stderr");
    }
    path
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/clients")
        .join(name)
}

/// A client program at work. It gives up by itself when a step takes too long.
struct Client {
    child: Child,
    log: PathBuf,
}

impl Client {
    fn start(scratch: &Scratch, command: &mut Command) -> Self {
        let log = scratch.path("client.log");
        let output = File::create(&log).expect("the log");
        let errors = output.try_clone().expect("the log");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("the client starts");
        Self { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    /// Waits for a line, or for the end of the client.
    fn says(&mut self, line: &str) {
        eventually(line, || {
            let said = self.said().lines().any(|said| said == line);
            let ended = self.child.try_wait().expect("our child").is_some();
            assert!(said || !ended, "the client ended:\n{}", self.said());
            said.then_some(())
        });
    }

    /// Waits for its end, and checks that it says that all went well.
    fn ends_well(mut self) {
        let status = self.child.wait().expect("our child");
        let said = self.said();
        assert!(
            status.success() && said.lines().any(|line| line.starts_with("ok: ")),
            "{status}:\n{said}"
        );
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pymesos_framework_lives_its_life() {
    let Some(python) = provided("MESETA_TEST_PYMESOS", "pymesos") else {
        return;
    };
    let cluster = Cluster::start(&[], &[]);
    let mut command = Command::new(python);
    command
        .arg(source("pymesos/session.py"))
        .arg(&cluster.master.address);
    Client::start(&cluster.scratch, &mut command).ends_well();
}

#[test]
fn mesos_go_schedules_executes_and_operates() {
    let Some(program) = provided("MESETA_TEST_MESOS_GO", "mesos-go") else {
        return;
    };
    let cluster = Cluster::start(&[], &[]);
    let mut command = Command::new(program);
    command.args(["scheduler", &cluster.master.address, &cluster.agent.address]);
    Client::start(&cluster.scratch, &mut command).ends_well();
}

/// Ten tasks on an executor of its own and ten command tasks.
fn enduring_client(python: &Path, master: &str, scratch: &Scratch) -> Client {
    let mut command = Command::new(python);
    command
        .arg(source("pymesos/endure.py"))
        .args([master, "--agent=peer:meseta", "--each=10"]);
    command
        .arg("--ledger")
        .arg(scratch.path("ledger"))
        .arg("--gate")
        .arg(scratch.path("gate"));
    Client::start(scratch, &mut command)
}

#[test]
fn tasks_of_pymesos_outlive_their_agent() {
    let Some(python) = provided("MESETA_TEST_PYMESOS", "pymesos") else {
        return;
    };
    let mut cluster = Cluster::start(
        &[],
        &[
            "--attributes=peer:meseta",
            "--executor_reregistration_timeout=15secs",
        ],
    );
    let mut client = enduring_client(&python, &cluster.master.address, &cluster.scratch);
    client.says("running");
    cluster.agent.kill();
    // They end while there is nobody to tell.
    File::create(cluster.scratch.path("gate")).expect("the gate");
    cluster.agent.restart();
    client.ends_well();
}
