//! A master for a scenario, with the scenario's flags: one of ours, or a genuine one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Daemon, Scratch, listening};

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
        let log = scratch.path("master.log");
        let (child, address) = listening(command.stdin(Stdio::piped()), &log);
        Some(Self {
            child,
            address,
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
