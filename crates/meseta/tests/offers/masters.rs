//! A master for a scenario, with the scenario's flags: one of ours, or a genuine one.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Daemon, Scratch};

/// Short, so that scenarios are; no scenario sees how long it is.
const INTERVAL: &str = "20ms";

/// A master of ours.
pub fn ours(flags: &[(String, String)]) -> (Daemon, Scratch) {
    let scratch = Scratch::new();
    let mut arguments = vec![
        format!("--allocation_interval={INTERVAL}"),
        "--registry=in_memory".to_owned(),
    ];
    arguments.extend(
        flags
            .iter()
            .map(|(name, value)| format!("--{name}={value}")),
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    (Daemon::master(&scratch, &arguments), scratch)
}

/// A genuine Apache Mesos master (`tests/clients/genuine`). Ends when dropped.
pub struct Mesos {
    child: Child,
    pub address: String,
    _scratch: Scratch,
}

impl Mesos {
    /// `None` where `scripts/test` has not provided one.
    pub fn start(flags: &[(String, String)]) -> Option<Self> {
        let mesos = PathBuf::from(std::env::var_os("MESETA_TEST_MESOS")?);
        let python = std::env::var_os("MESETA_TEST_PYTHON27")?;
        let program = "../../tests/clients/genuine/master.py";
        let scratch = Scratch::new();
        let mut command = Command::new(python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(program))
            .arg(scratch.path("mesos"))
            .env("LD_LIBRARY_PATH", mesos.join("lib"))
            .env("PYTHONPATH", mesos.join("site"))
            .env("MESOS_ALLOCATION_INTERVAL", INTERVAL);
        for (name, value) in flags {
            command.env(format!("MESOS_{}", name.to_uppercase()), value);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("readable");
        let (_, address) = line.trim().split_once(" listening on ").expect("a master");
        Some(Self {
            child,
            address: address.to_owned(),
            _scratch: scratch,
        })
    }
}

impl Drop for Mesos {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
