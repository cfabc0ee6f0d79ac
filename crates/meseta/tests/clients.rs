//! Programs on client libraries that others wrote (`tests/clients`), against processes of ours.
//!
//! `scripts/test` provides the libraries and names them in variables; a test whose variable is missing
//! says so and passes.

#![allow(clippy::expect_used)]

#[path = "e2e/support.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Cluster, MESETA, Scratch, eventually, http, listening};

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

#[test]
fn many_tasks_go_through_one_executor_of_pymesos() {
    let Some(python) = provided("MESETA_TEST_PYMESOS", "pymesos") else {
        return;
    };
    let cluster = Cluster::start(&[], &[]);
    let mut command = Command::new(python);
    command
        .arg(source("pymesos/load.py"))
        .args([&cluster.master.address, "--tasks=200"]);
    Client::start(&cluster.scratch, &mut command).ends_well();
}

#[test]
fn many_tasks_go_through_one_executor_in_plain_json() {
    let Some(python) = provided("MESETA_TEST_PYMESOS", "pymesos") else {
        return;
    };
    let cluster = Cluster::start(&[], &[]);
    let mut command = Command::new(python);
    command
        .arg(source("json/load.py"))
        .args([&cluster.master.address, "--tasks=200"]);
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
    cluster.agent.restart();
    // pymesos pauses for two seconds before it comes back, and the agent recovers so long. What other
    // executors tell it meanwhile has to be told again.
    File::create(cluster.scratch.path("gate")).expect("the gate");
    client.ends_well();
}

/// A process that says "… listening on ADDRESS" first. Killed when dropped.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start(command: &mut Command, log: &Path) -> Self {
        let (child, address) = listening(command.stdin(Stdio::piped()), log);
        Self { child, address }
    }

    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("our child");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on the native library of Mesos (`tests/clients/genuine`).
fn genuine(program: &str) -> Option<Command> {
    let mesos = provided("MESETA_TEST_MESOS", "a genuine Mesos")?;
    let python = provided("MESETA_TEST_PYTHON27", "a genuine Mesos")?;
    let mut command = Command::new(python);
    command
        .arg(source("genuine").join(program))
        .env("LD_LIBRARY_PATH", mesos.join("lib"))
        .env("PYTHONPATH", mesos.join("site"));
    Some(command)
}

/// A genuine Apache Mesos master (`tests/clients/genuine`) and an agent of ours.
struct UnderMesos {
    agent: Peer,
    master: Peer,
    scratch: Scratch,
}

impl UnderMesos {
    fn start() -> Option<Self> {
        let mut command = genuine("master.py")?;
        let scratch = Scratch::new();
        command.arg(scratch.path("mesos"));
        let master = Peer::start(&mut command, &scratch.path("master.log"));
        let mut command = Self::agent_command(&scratch, &master.address, "0");
        let agent = Peer::start(&mut command, &scratch.path("agent.log"));
        Some(Self {
            agent,
            master,
            scratch,
        })
    }

    fn agent_command(scratch: &Scratch, master: &str, port: &str) -> Command {
        let mut command = Command::new(MESETA);
        command
            .args(["agent", "--attributes=peer:meseta"])
            .arg("--resources=cpus:40;mem:20000;disk:1000")
            .arg(format!("--port={port}"))
            .arg(format!("--master={master}"))
            .arg(format!("--work_dir={}", scratch.path("agent").display()))
            .arg(format!("--runtime_dir={}", scratch.path("run").display()))
            .arg("--registration_backoff_factor=10ms")
            .arg("--executor_reregistration_timeout=15secs");
        command
    }

    /// The agent's command again, for the port it has.
    fn same_agent(&self) -> Command {
        let port = self.agent.address.rsplit(':').next().unwrap_or_default();
        Self::agent_command(&self.scratch, &self.master.address, port)
    }

    fn restart_agent(&mut self) {
        self.agent.kill();
        self.agent = Peer::start(&mut self.same_agent(), &self.scratch.path("agent.log"));
    }

    /// The agents as the master lists them.
    fn agents(&self) -> Vec<serde_json::Value> {
        let (_, body) =
            http(&self.master.address, "GET", "/master/slaves", "").expect("it answers");
        let document: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        document["slaves"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for UnderMesos {
    fn drop(&mut self) {
        self.agent.kill();
        // An agent that cleans up ends whatever is left running.
        let mut cleanup = self.same_agent();
        cleanup
            .arg("--recover=cleanup")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let cleanup = cleanup.spawn();
        if let Ok(mut cleanup) = cleanup {
            let _ = cleanup.wait();
        }
    }
}

#[test]
fn an_agent_serves_a_genuine_master() {
    let Some(python) = provided("MESETA_TEST_PYMESOS", "pymesos") else {
        return;
    };
    let Some(cluster) = UnderMesos::start() else {
        return;
    };
    let mut command = Command::new(python);
    command
        .arg(source("pymesos/session.py"))
        .arg(&cluster.master.address);
    Client::start(&cluster.scratch, &mut command).ends_well();
    let agents = cluster.agents();
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert_eq!(agents[0]["attributes"]["peer"], "meseta", "{agents:?}");
}

#[test]
fn a_genuine_master_tells_of_an_agent_of_ours() {
    let Some(program) = provided("MESETA_TEST_MESOS_GO", "mesos-go") else {
        return;
    };
    let Some(cluster) = UnderMesos::start() else {
        return;
    };
    let mut command = Command::new(program);
    command.args(["scheduler", &cluster.master.address, &cluster.agent.address]);
    Client::start(&cluster.scratch, &mut command).ends_well();
}

#[test]
fn an_agent_killed_comes_back_to_a_genuine_master() {
    let Some(python) = provided("MESETA_TEST_PYMESOS", "pymesos") else {
        return;
    };
    let Some(mut cluster) = UnderMesos::start() else {
        return;
    };
    let mut client = enduring_client(&python, &cluster.master.address, &cluster.scratch);
    client.says("running");
    let before = cluster.agents();
    cluster.restart_agent();
    eventually("the agent has re-registered", || {
        let now = cluster.agents();
        (now[0]["active"] == true && !now[0]["reregistered_time"].is_null()).then_some(())
    });
    assert_eq!(cluster.agents()[0]["id"], before[0]["id"]);
    File::create(cluster.scratch.path("gate")).expect("the gate");
    client.ends_well();
}

#[test]
fn the_driver_of_mesos_schedules() {
    let Some(mut command) = genuine("driver.py") else {
        return;
    };
    let cluster = Cluster::start(&[], &[]);
    command.arg(&cluster.master.address);
    Client::start(&cluster.scratch, &mut command).ends_well();
}
