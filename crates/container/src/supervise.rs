//! The supervisor: one small process between the agent and a container's processes.
//!
//! It is started by the agent for each container, outlives it, and ends last:
//! 1. It reads its [`Plan`] on standard input and prepares.
//! 2. It is held until one byte comes on descriptor 1, a pipe from the agent. If the pipe closes
//!    first, the agent is gone or gave up, and nothing is run.
//! 3. It starts the fetcher, then the program, as children, and waits. When all URIs are there it closes
//!    the pipe, by which the agent knows; its own end tells otherwise. The command executor is a child
//!    that goes on in this binary without an exec: that saves most of its start, and 0.7 MB for
//!    each task that runs.
//! 4. When the program ends, or [`DESTROY_SIGNAL`] comes, it writes the wait status down, kills every
//!    descendant until none is left, notes that too, and ends. As a child subreaper it inherits
//!    every orphan below it, so nothing gets away by forking twice or starting a session.
//!
//! It talks to the agent through the container's [`Record`] only, so that it makes no difference
//! whether the agent that reads is the one that wrote. It has one thread and allocates little.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, OFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions};

use crate::execute::execute;
use crate::kernel::{CommandExecutor, Linux};
use crate::limits::{KILL_PAUSE, PLAN_BYTES, REASON_BYTES};
use crate::plan::{FetchPlan, Plan};
use crate::record::{NEVER_RELEASED, Record};
use crate::step::Step;
use crate::sys::{self, DESTROY_SIGNAL, Fork, SingleThreaded};
use crate::tree;

/// What the agent writes to let a held container run.
pub(crate) const GO: &[u8] = b"g";

/// The supervisor's role. Gives the exit code: 0 when the container ran and is over, 1 when it never
/// ran, 2 when there was no plan.
///
/// To be called first thing in `main`, before any thread or runtime exists. Where the plan says so, a
/// child goes on as `command_executor`.
#[must_use]
pub fn launch_main(command_executor: CommandExecutor) -> i32 {
    match Supervisor::begin(command_executor) {
        Ok(supervisor) => supervisor.run(),
        Err(reason) => {
            let _ = writeln!(io::stderr(), "this role is for the agent only: {reason}");
            2
        }
    }
}

struct Supervisor {
    plan: Plan,
    record: Record,
    /// Where the word to go comes from; closed once URIs are fetched.
    go: Option<fs::File>,
    alone: SingleThreaded,
    kernel: Linux,
}

/// How waiting for a child came to an end.
enum Waited {
    /// With this wait status.
    Ended(i32),
    /// Destroyed; the status is the child's, if it was the first to be waited for.
    Destroyed(Option<i32>),
}

impl Supervisor {
    fn begin(command_executor: CommandExecutor) -> Result<Self, String> {
        let alone = SingleThreaded::check().ok_or("more than one thread")?;
        sys::close_from(3);
        sys::block_signals();
        // Fails only for a process that leads a group already.
        let _ = rustix::process::setsid();
        let own = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(own)).map_err(|error| error.to_string())?;
        let _ = rustix::thread::set_name(c"meseta-launch");
        let text = |error: io::Error| error.to_string();
        std::env::set_current_dir("/").map_err(text)?;

        let mut bytes = Vec::new();
        let limit = u64::try_from(PLAN_BYTES).unwrap_or(u64::MAX);
        io::stdin()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(text)?;
        let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let go = io::stdout().as_fd().try_clone_to_owned().map_err(text)?;
        let null = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map_err(text)?;
        rustix::stdio::dup2_stdin(&null).map_err(|error| error.to_string())?;
        rustix::stdio::dup2_stdout(&null).map_err(|error| error.to_string())?;
        rustix::stdio::dup2_stderr(&null).map_err(|error| error.to_string())?;
        Ok(Self {
            record: Record::at(PathBuf::from(&plan.record)),
            plan,
            go: Some(go.into()),
            alone,
            kernel: Linux {
                supervisor: Some(own),
                command_executor: Some(command_executor),
            },
        })
    }

    fn run(mut self) -> i32 {
        let outcome = self
            .prepare()
            .and_then(|()| self.fetch())
            .and_then(|()| self.start());
        let code = match outcome {
            Ok(status) => {
                let _ = self.record.write_status(status);
                0
            }
            Err(reason) => {
                let _ = self.record.write_failed(&reason);
                1
            }
        };
        self.end_all(None);
        let _ = self.record.write_over();
        code
    }

    fn prepare(&mut self) -> Result<(), String> {
        execute(&mut self.kernel, &self.plan.prepare).map_err(|fault| fault.to_string())?;
        let mut word = [0_u8; 1];
        match self.go.as_ref().map(|mut go| go.read(&mut word)) {
            Some(Ok(1)) if word == *GO => Ok(()),
            _ => Err(NEVER_RELEASED.to_owned()),
        }
    }

    fn fetch(&mut self) -> Result<(), String> {
        let Some(FetchPlan { request, start }) = self.plan.fetch.take() else {
            return Ok(());
        };
        let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
        let input = memory_file(&request).map_err(|error| error.to_string())?;
        let (pid, reason) = self.child(&start, Some(input))?;
        match self.wait_for(pid) {
            Waited::Ended(0) => {
                let _ = self.record.write_fetched();
                self.go = None;
                Ok(())
            }
            Waited::Ended(status) => {
                let told = read_reason(reason);
                let why = if told.is_empty() {
                    format!("the fetcher ended with wait status {status}")
                } else {
                    told
                };
                let container = &self.plan.container;
                Err(format!(
                    "Failed to fetch all URIs for container '{container}': {why}"
                ))
            }
            Waited::Destroyed(_) => Err("destroyed while URIs were fetched".to_owned()),
        }
    }

    fn start(&mut self) -> Result<i32, String> {
        let steps = std::mem::take(&mut self.plan.start);
        let (pid, reason) = self.child(&steps, None)?;
        drop(steps);
        let status = match self.wait_for(pid) {
            Waited::Ended(status) => Some(status),
            Waited::Destroyed(status) => status,
        };
        let reason = read_reason(reason);
        match status {
            Some(status) if reason.is_empty() => Ok(status),
            _ if reason.is_empty() => Err("the first process was lost".to_owned()),
            _ => Err(reason),
        }
    }

    /// Starts a child that becomes what the steps say. If they fail, the reason comes on the given
    /// pipe; a child that was given `input` has the pipe as its standard output too.
    fn child(&mut self, steps: &[Step], input: Option<OwnedFd>) -> Result<(Pid, OwnedFd), String> {
        let text = |error: io::Error| format!("cannot start a process: {error}");
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| text(error.into()))?;
        match sys::fork(&self.alone).map_err(text)? {
            Fork::Parent(pid) => Ok((pid, read)),
            Fork::Child => {
                let reason = self.become_child(steps, input, &write);
                let cut = reason.len().min(REASON_BYTES);
                let _ = rustix::io::write(&write, &reason.as_bytes()[..cut]);
                std::process::exit(127)
            }
        }
    }

    /// Returns only if it did not work.
    fn become_child(&mut self, steps: &[Step], input: Option<OwnedFd>, output: &OwnedFd) -> String {
        sys::reset_signals();
        if let Some(input) = input {
            let wired =
                rustix::stdio::dup2_stdin(&input).and_then(|()| rustix::stdio::dup2_stdout(output));
            if let Err(error) = wired {
                return error.to_string();
            }
        }
        match execute(&mut self.kernel, steps) {
            Ok(()) => "the plan does not end with a program".to_owned(),
            Err(fault) => fault.to_string(),
        }
    }

    fn wait_for(&mut self, pid: Pid) -> Waited {
        loop {
            if let Some(status) = reap(Some(pid)).status {
                return Waited::Ended(status);
            }
            if sys::wait_signal(None) == Some(DESTROY_SIGNAL) {
                return Waited::Destroyed(self.end_all(Some(pid)));
            }
        }
    }

    /// Kills until there is no descendant. Gives the wait status of `first`.
    fn end_all(&self, first: Option<Pid>) -> Option<i32> {
        let (mut pause, longest) = KILL_PAUSE;
        let mut status = None;
        loop {
            let reaped = reap(first);
            status = status.or(reaped.status);
            if reaped.none_left {
                return status;
            }
            tree::kill_descendants(self.plan.kill.as_ref());
            // Woken by the first death already; those killed together are reaped together.
            let _ = sys::wait_signal(Some(pause));
            pause = (pause * 2).min(longest);
        }
    }
}

struct Reaped {
    /// Of the process that was asked for, if it was among them.
    status: Option<i32>,
    /// There are no children at all, hence (subreaper) no descendants.
    none_left: bool,
}

/// Takes note of all children that have ended.
fn reap(wanted: Option<Pid>) -> Reaped {
    let mut status = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, ended))) => {
                if Some(pid) == wanted {
                    status = Some(ended.as_raw());
                }
            }
            Ok(None) => {
                return Reaped {
                    status,
                    none_left: false,
                };
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => {
                return Reaped {
                    status,
                    none_left: true,
                };
            }
        }
    }
}

/// What a child has written before it ended. Whoever still holds the other end is not waited for.
fn read_reason(pipe: OwnedFd) -> String {
    let mut text = Vec::new();
    if rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK).is_ok() {
        let limit = u64::try_from(REASON_BYTES).unwrap_or(u64::MAX);
        // An error is the end of what there is.
        let _ = fs::File::from(pipe).take(limit).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A file in memory with this content, to be read from its start.
pub(crate) fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = fs::File::from(memfd_create("plan", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
