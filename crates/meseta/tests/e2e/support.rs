//! Daemons as processes, and how to wait for what they do.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test.
pub const MESETA: &str = env!("CARGO_BIN_EXE_meseta");

/// No test waits longer for one thing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of this test alone, removed at its end.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("meseta-e2e-")
            .tempdir()
            .expect("a temporary directory");
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Asks again and again until there is an answer; fails loudly when there is none in time.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A master or agent process. Killed when dropped.
pub struct Daemon {
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
    pub address: String,
}

impl Daemon {
    /// `meseta ARGUMENTS`, once it listens.
    pub fn start(arguments: Vec<String>, log: PathBuf) -> Self {
        let (child, address) = spawn(&arguments, &log);
        Self {
            arguments,
            log,
            child,
            address,
        }
    }

    pub fn master(scratch: &Scratch, extra: &[&str]) -> Self {
        let work_dir = format!("--work_dir={}", scratch.path("master").display());
        let own = ["master", "--port=0", &work_dir];
        let arguments = own
            .iter()
            .chain(extra)
            .map(|&argument| argument.to_owned())
            .collect();
        Self::start(arguments, scratch.path("master.log"))
    }

    pub fn agent(scratch: &Scratch, master: &Self, extra: &[&str]) -> Self {
        let master = format!("--master={}", master.address);
        Self::agent_of(scratch, &master, extra)
    }

    /// An agent of the master that this flag names.
    pub fn agent_of(scratch: &Scratch, master: &str, extra: &[&str]) -> Self {
        let work_dir = format!("--work_dir={}", scratch.path("agent").display());
        let runtime_dir = format!("--runtime_dir={}", scratch.path("run").display());
        let own = [
            "agent",
            "--port=0",
            master,
            &work_dir,
            &runtime_dir,
            "--registration_backoff_factor=10ms",
            "--resources=cpus:40;mem:20000;disk:1000;ports:[31000-31100]",
        ];
        let arguments = own
            .iter()
            .chain(extra)
            .map(|&argument| argument.to_owned())
            .collect();
        Self::start(arguments, scratch.path("agent.log"))
    }

    /// SIGKILL, and gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("our child");
    }

    /// Starts again with the same arguments at the same address.
    pub fn restart(&mut self) {
        let port = self.address.rsplit(':').next().expect("a port");
        for argument in &mut self.arguments {
            if argument.starts_with("--port=") {
                *argument = format!("--port={port}");
            }
        }
        let (child, address) = spawn(&self.arguments, &self.log);
        self.child = child;
        assert_eq!(address, self.address);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// The answer to a call on `/api/v1`.
    pub fn call(&self, kind: &str) -> Option<Value> {
        let (status, body) = http(
            &self.address,
            "POST",
            "/api/v1",
            &format!("{{\"type\":\"{kind}\"}}"),
        )?;
        (status == 200).then(|| serde_json::from_slice(&body).expect("an answer is JSON"))
    }

    pub fn has_active_agents(&self, count: usize) -> bool {
        let Some(answer) = self.call("GET_AGENTS") else {
            return false;
        };
        let agents = answer["get_agents"]["agents"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        agents
            .iter()
            .filter(|agent| agent["active"] == true)
            .count()
            == count
    }

    /// Kills this agent and has another end everything that the first left; how that went.
    pub fn clean_up(&mut self) -> Option<Output> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut arguments = self.arguments.clone();
        arguments.push("--recover=cleanup".to_owned());
        arguments.push("--executor_shutdown_grace_period=1ms".to_owned());
        let mut cleanup = Command::new(MESETA)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(cleanup.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = cleanup.kill();
        cleanup.wait_with_output().ok()
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.log.display(), tail(&self.log_text()));
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn spawn(arguments: &[String], log: &Path) -> (Child, String) {
    let mut command = Command::new(MESETA);
    listening(command.args(arguments).stdin(Stdio::null()), log)
}

/// Starts what says "… listening on ADDRESS" first; its errors go to `log`.
pub fn listening(command: &mut Command, log: &Path) -> (Child, String) {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("the log");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("readable");
    let address = line
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    assert!(line.contains("listening on "), "{command:?} said '{line}'");
    (child, address)
}

/// One request over a connection of its own.
pub fn http(address: &str, method: &str, path: &str, body: &str) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    Some((status, answer[split + 4..].to_vec()))
}

/// A cluster of one master and one agent that ends every container when dropped.
pub struct Cluster {
    pub agent: Daemon,
    pub master: Daemon,
    pub scratch: Scratch,
}

impl Cluster {
    pub fn start(master: &[&str], agent: &[&str]) -> Self {
        Self::start_in(Scratch::new(), master, agent)
    }

    pub fn start_in(scratch: Scratch, master: &[&str], agent: &[&str]) -> Self {
        let master = Daemon::master(&scratch, master);
        let agent = Daemon::agent(&scratch, &master, agent);
        let cluster = Self {
            agent,
            master,
            scratch,
        };
        eventually("the agent is active", || {
            cluster.master.has_active_agents(1).then_some(())
        });
        cluster
    }

    /// A command of the command line, against this master.
    pub fn meseta(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MESETA);
        command
            .args(arguments)
            .env("MESETA_MASTER", &self.master.address);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.meseta(arguments).output().expect("the binary starts")
    }

    /// A load in the background; its report is the last line it prints.
    pub fn load(&self, arguments: &[&str]) -> Child {
        let ledger = format!("--ledger={}", self.scratch.path("ledger").display());
        let mut command = self.meseta(&["sim", "load", &ledger]);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        command.spawn().expect("the binary starts")
    }

    /// How many files of this name the agent keeps.
    pub fn agent_files(&self, name: &str) -> usize {
        let mut found = 0;
        let mut directories = vec![self.scratch.path("agent").join("meta")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                    Ok(_) => found += usize::from(entry.file_name() == name),
                    Err(_) => {}
                }
            }
        }
        found
    }

    /// How many task starts the ledger tells of.
    pub fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(self.scratch.path("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Cluster {
    /// Kills the agent and has another end everything that the first left; how that went.
    pub fn clean_up(&mut self) -> Option<Output> {
        self.agent.clean_up()
    }

    /// Processes that were started with a path of this cluster in their environment, as tasks are, or
    /// that work in one, as executors do; by command line.
    pub fn processes(&self) -> Vec<String> {
        let path = self.scratch.path("agent").display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            let works_in = fs::read_link(entry.path().join("cwd"));
            let works_there = works_in.is_ok_and(|place| place.starts_with(&path));
            if works_there || environment.contains(&path) {
                found.push(String::from_utf8_lossy(&read("cmdline")).replace('\0', " "));
            }
        }
        found
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Whatever the test left running.
        let _ = self.clean_up();
    }
}

/// The report of a load that has ended, and whether it says that all went well.
pub fn report(load: Child) -> (bool, Value) {
    let output = load.wait_with_output().expect("our child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report =
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: '{text}'"));
    (output.status.success(), report)
}
