//! One command in its own session, for executors: start, wait, signal the whole tree.
//!
//! Standard output and error are the executor's own, which are the sandbox's files. What a task
//! leaves behind falls to the container's supervisor, which ends it with the container.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1::CommandInfo;
use meseta_proto::mesos::v1::r_limit_info::RLimit;
use rustix::process::{
    Pid, PidfdFlags, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, setrlimit,
    setsid, waitid,
};

use crate::limits::SIGNAL_ROUNDS;
use crate::plan::{PlanRefusal, command_line};
use crate::procfs::{self, Process};
use crate::rlimit;
use crate::step::Step;
use crate::sys;

/// What to start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskSpec {
    /// A shell line or an argument vector; its `environment`, `user` and `uris` are not looked at.
    pub command: CommandInfo,
    /// All of it; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// `None`: the executor's.
    pub working_directory: Option<String>,
    /// `None`: the executor's. Another needs root.
    pub user: Option<String>,
    /// Bounds of the process, set before the user is changed.
    pub rlimits: Vec<RLimit>,
    /// The process to which orphans of the task fall, if it has no descendants but the container's:
    /// the supervisor, when the executor runs under one. Then a signal looks for the task's processes
    /// among those only. `None`: on the whole host.
    pub supervisor: Option<u32>,
}

/// Why a task did not start. The text goes to the framework.
#[derive(Debug, thiserror::Error)]
pub enum TaskFault {
    /// The command cannot be run by anybody.
    #[error(transparent)]
    Refused(#[from] PlanRefusal),
    /// There is no such user on this host.
    #[error("cannot change to user {0}: no such user on this host")]
    UnknownUser(String),
    /// The operating system's answer.
    #[error("cannot run {program}: {error}")]
    Spawn {
        /// What was to be run.
        program: String,
        /// Its answer.
        error: io::Error,
    },
}

/// A task's first process. It stays known to the kernel until this is dropped, so its id is not
/// given to another meanwhile; dropping it ends nothing.
///
/// The descriptor ([`AsFd`]) becomes readable when the process is over; an event loop can wait for
/// that and then call [`TaskProcess::try_wait`].
#[derive(Debug)]
pub struct TaskProcess {
    pid: u32,
    pidfd: OwnedFd,
    supervisor: Option<u32>,
}

/// Starts a command in a session of its own. The exec has happened when this returns.
///
/// # Errors
///
/// [`TaskFault`]; nothing was started then.
pub fn spawn_task(spec: &TaskSpec) -> Result<TaskProcess, TaskFault> {
    let (program, arguments) = command_line(&spec.command)?;
    let mut limits = Vec::new();
    for limit in &spec.rlimits {
        if let Step::SetRlimit {
            resource,
            soft,
            hard,
        } = rlimit::step(limit).map_err(PlanRefusal::from)?
            && let Some(resource) = rlimit::resource(&resource)
        {
            limits.push((
                resource,
                Rlimit {
                    current: soft,
                    maximum: hard,
                },
            ));
        }
    }
    let spawn_fault = |error| TaskFault::Spawn {
        program: program.clone(),
        error,
    };
    let credentials = match &spec.user {
        Some(user) if *user != sys::current_user() => Some(
            sys::lookup_user(user)
                .map_err(spawn_fault)?
                .ok_or_else(|| TaskFault::UnknownUser(user.clone()))?,
        ),
        _ => None,
    };

    let mut command = Command::new(&program);
    let (name, rest) = arguments.split_first().ok_or(PlanRefusal::NoCommand)?;
    command
        .arg0(name)
        .args(rest)
        .env_clear()
        .envs(&spec.environment)
        .stdin(Stdio::null());
    if let Some(directory) = &spec.working_directory {
        command.current_dir(directory);
    }
    let before_exec = move || {
        sys::reset_signals();
        setsid()?;
        for &(resource, limit) in &limits {
            setrlimit(resource, limit)?;
        }
        credentials.as_ref().map_or(Ok(()), sys::set_credentials)
    };
    #[allow(unsafe_code)]
    // SAFETY: the closure makes system calls on values made before; it neither allocates nor locks.
    let child = unsafe { sys::spawn_after(&mut command, before_exec) }.map_err(spawn_fault)?;
    TaskProcess::new(child, spec.supervisor).map_err(spawn_fault)
}

impl TaskProcess {
    fn new(mut child: std::process::Child, supervisor: Option<u32>) -> io::Result<Self> {
        let pid = child.id();
        let opened = Pid::from_raw(pid.cast_signed())
            .ok_or(io::ErrorKind::InvalidInput.into())
            .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        match opened {
            // The standard library's handle holds nothing; the process is waited for here.
            Ok(pidfd) => Ok(Self {
                pid,
                pidfd,
                supervisor,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// The process's id, also that of its session and group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs. May be asked again.
    #[must_use]
    pub fn try_wait(&self) -> Option<WaitStatus> {
        self.ask(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG)
    }

    /// Blocks until it ends; `None` only if somebody else has waited for it.
    #[must_use]
    pub fn wait(&self) -> Option<WaitStatus> {
        self.ask(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    }

    fn ask(&self, options: WaitIdOptions) -> Option<WaitStatus> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Ok(status) => return status.as_ref().map(wait_status),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Asks every process of the task to end: its first, its descendants, its session.
    pub fn terminate(&self) {
        self.signal_tree(Signal::TERM);
    }

    /// Kills every process of the task.
    pub fn kill(&self) {
        self.signal_tree(Signal::KILL);
    }

    /// Signals each process of the tree once. The tree is read again until nobody new is in it,
    /// at most [`SIGNAL_ROUNDS`] times.
    fn signal_tree(&self, signal: Signal) {
        let mut signaled = BTreeMap::new();
        for _ in 0..SIGNAL_ROUNDS {
            let mut anybody = false;
            for process in self.tree() {
                if signaled.insert(process.pid, process.start) != Some(process.start) {
                    process.signal(signal);
                    anybody = true;
                }
            }
            if !anybody {
                return;
            }
        }
    }

    fn tree(&self) -> Vec<Process> {
        let first = self.pid.cast_signed();
        let table = match self.supervisor {
            Some(supervisor) => procfs::family(supervisor.cast_signed()),
            None => procfs::table(),
        };
        let mut tree = procfs::descendants(&table, first);
        let known: Vec<i32> = tree.iter().map(|process| process.pid).collect();
        // The session includes the first process itself, and orphans that stayed in it.
        tree.extend(
            table
                .iter()
                .filter(|p| (p.session == first || p.pid == first) && !known.contains(&p.pid)),
        );
        tree.retain(|process| !process.is_over());
        tree
    }
}

impl AsFd for TaskProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl AsRawFd for TaskProcess {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

impl Drop for TaskProcess {
    fn drop(&mut self) {
        // Only now is the process forgotten by the kernel, if it is over.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
    }
}

/// In the encoding of `waitpid(2)`.
fn wait_status(status: &WaitIdStatus) -> WaitStatus {
    if let Some(code) = status.exit_status() {
        return WaitStatus((code & 0xff) << 8);
    }
    let core = if status.dumped() { 0x80 } else { 0 };
    WaitStatus(status.terminating_signal().unwrap_or(0) | core)
}
