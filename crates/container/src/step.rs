//! The alphabet of plans: one [`Step`] is one thing done to the kernel, with nothing left to decide.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing to do. Lists of steps are made by [`plan`](crate::plan) and [`cgroup`](crate::cgroup),
/// carried out by [`execute`](crate::execute).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Make a directory and its parents (0755), give it this mode and owner. One that exists gets
    /// mode and owner all the same.
    MakeDirectory {
        /// Absolute.
        path: String,
        /// Permission bits.
        mode: u32,
        /// `None`: whoever executes the step.
        owner: Option<String>,
    },
    /// Let a symbolic link lead to this path, wherever it led before.
    Link {
        /// The link, absolute; its directory exists.
        path: String,
        /// Where it leads to, absolute.
        target: String,
    },
    /// Make a cgroup and its parents; one that exists is fine.
    MakeCgroup {
        /// Its directory.
        path: String,
    },
    /// Write a control file of a cgroup; joining one is writing `0` to its `cgroup.procs`.
    WriteControl {
        /// The file.
        path: String,
        /// Its new value.
        value: String,
    },
    /// Become the leader of a new session and process group, without a terminal.
    NewSession,
    /// Carry the container's tag (see [`crate::tag`]).
    Tag {
        /// The container's.
        tag: u64,
    },
    /// Bound a resource of the process and what it starts.
    SetRlimit {
        /// Without prefix: `NOFILE`, `CORE`, …
        resource: String,
        /// `None`: infinity.
        soft: Option<u64>,
        /// `None`: infinity.
        hard: Option<u64>,
    },
    /// Which permission bits new files lack.
    SetUmask {
        /// Permission bits.
        mask: u32,
    },
    /// Become a user, with its groups, for good.
    SwitchUser {
        /// By name.
        user: String,
    },
    /// Be killed when the supervisor ends; end at once if it has ended already.
    DieWithSupervisor,
    /// Change the working directory.
    ChangeDirectory {
        /// Absolute.
        path: String,
    },
    /// Let standard output or standard error append to a file, created with mode 0644 if missing;
    /// a symbolic link there is refused.
    OpenOutput {
        /// Which.
        output: Output,
        /// Relative to the working directory.
        path: String,
    },
    /// Go on as the command executor, in this very process. Nothing follows.
    CommandExecutor {
        /// What `ps` shows, from `argv[0]` on.
        arguments: Vec<String>,
        /// All of it; what the process itself was started with does not count any more.
        environment: BTreeMap<String, String>,
    },
    /// Become the program. Nothing follows.
    Execute {
        /// A path, or a bare name that is looked up in the `PATH` of `environment`.
        program: String,
        /// From `argv[0]` on.
        arguments: Vec<String>,
        /// All of it.
        environment: BTreeMap<String, String>,
    },
}

/// One of the two outputs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
        })
    }
}

/// For messages and golden texts: values of environment variables may be secrets and are left out.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory {
                path,
                mode,
                owner: None,
            } => {
                write!(f, "make directory {path} with mode {mode:04o}")
            }
            Self::MakeDirectory {
                path,
                mode,
                owner: Some(owner),
            } => {
                write!(
                    f,
                    "make directory {path} with mode {mode:04o} for user {owner}"
                )
            }
            Self::Link { path, target } => write!(f, "link {path} to {target}"),
            Self::MakeCgroup { path } => write!(f, "make cgroup {path}"),
            Self::WriteControl { path, value } => write!(f, "write {value} to {path}"),
            Self::NewSession => write!(f, "start a new session"),
            Self::Tag { tag } => write!(f, "carry tag {tag}"),
            Self::SetRlimit {
                resource,
                soft,
                hard,
            } => {
                let text = |limit: &Option<u64>| {
                    limit.map_or_else(|| "unlimited".to_owned(), |value| value.to_string())
                };
                write!(
                    f,
                    "set rlimit {resource} to {} of {}",
                    text(soft),
                    text(hard)
                )
            }
            Self::SetUmask { mask } => write!(f, "set umask {mask:03o}"),
            Self::SwitchUser { user } => write!(f, "change to user {user}"),
            Self::DieWithSupervisor => write!(f, "die with the supervisor"),
            Self::ChangeDirectory { path } => write!(f, "change directory to {path}"),
            Self::OpenOutput { output, path } => write!(f, "append {output} to {path}"),
            Self::CommandExecutor {
                arguments,
                environment,
            } => {
                let names: Vec<&str> = environment.keys().map(String::as_str).collect();
                write!(f, "go on as {arguments:?} with {names:?}")
            }
            Self::Execute {
                program,
                arguments,
                environment,
            } => {
                let names: Vec<&str> = environment.keys().map(String::as_str).collect();
                write!(f, "run {program} as {arguments:?} with {names:?}")
            }
        }
    }
}
