//! The one face between plans and the operating system, with the real thing behind it.
//!
//! Each method does one step and nothing more. Tests put a recording fake here and see the whole
//! list of calls, without being root.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::step::Output;
use crate::sys;

/// What steps ask of the operating system. Every error is the kernel's own.
pub trait Kernel {
    /// See [`Step::MakeDirectory`](crate::step::Step::MakeDirectory).
    fn make_directory(&mut self, path: &str, mode: u32, owner: Option<&str>) -> io::Result<()>;
    /// See [`Step::Link`](crate::step::Step::Link).
    fn link(&mut self, path: &str, target: &str) -> io::Result<()>;
    /// See [`Step::MakeCgroup`](crate::step::Step::MakeCgroup).
    fn make_cgroup(&mut self, path: &str) -> io::Result<()>;
    /// See [`Step::WriteControl`](crate::step::Step::WriteControl).
    fn write_control(&mut self, path: &str, value: &str) -> io::Result<()>;
    /// See [`Step::NewSession`](crate::step::Step::NewSession).
    fn new_session(&mut self) -> io::Result<()>;
    /// See [`Step::Tag`](crate::step::Step::Tag).
    fn carry_tag(&mut self, tag: u64) -> io::Result<()>;
    /// See [`Step::SetRlimit`](crate::step::Step::SetRlimit).
    fn set_rlimit(
        &mut self,
        resource: &str,
        soft: Option<u64>,
        hard: Option<u64>,
    ) -> io::Result<()>;
    /// See [`Step::SetUmask`](crate::step::Step::SetUmask).
    fn set_umask(&mut self, mask: u32);
    /// See [`Step::SwitchUser`](crate::step::Step::SwitchUser).
    fn switch_user(&mut self, user: &str) -> io::Result<()>;
    /// See [`Step::DieWithSupervisor`](crate::step::Step::DieWithSupervisor).
    fn die_with_supervisor(&mut self) -> io::Result<()>;
    /// See [`Step::ChangeDirectory`](crate::step::Step::ChangeDirectory).
    fn change_directory(&mut self, path: &str) -> io::Result<()>;
    /// See [`Step::OpenOutput`](crate::step::Step::OpenOutput).
    fn open_output(&mut self, output: Output, path: &str) -> io::Result<()>;
    /// See [`Step::CommandExecutor`](crate::step::Step::CommandExecutor); comes back only when it
    /// failed.
    fn command_executor(
        &mut self,
        arguments: &[String],
        environment: &BTreeMap<String, String>,
    ) -> io::Error;
    /// See [`Step::Execute`](crate::step::Step::Execute); comes back only when it failed.
    fn execute(
        &mut self,
        program: &str,
        arguments: &[String],
        environment: &BTreeMap<String, String>,
    ) -> io::Error;
}

/// The command executor's whole life, from its environment to its exit code.
pub type CommandExecutor = fn(&BTreeMap<String, String>) -> i32;

/// The kernel this process runs on.
#[derive(Debug, Default)]
pub struct Linux {
    /// The process that [`Kernel::die_with_supervisor`] expects as its parent.
    pub supervisor: Option<Pid>,
    /// What [`Kernel::command_executor`] goes on as; `None` where nobody asks for it.
    pub command_executor: Option<CommandExecutor>,
}

/// Where programs are looked for when the environment has no `PATH` (`execvp(3)`).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl Kernel for Linux {
    fn make_directory(&mut self, path: &str, mode: u32, owner: Option<&str>) -> io::Result<()> {
        let owner = owner.map(user).transpose()?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)?;
        if let Some(owner) = owner {
            std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        match symlink(target, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        // Replaced in one step, so that whoever follows it always finds one of the two.
        let beside = format!("{path}.new");
        let _ = fs::remove_file(&beside);
        symlink(target, &beside)?;
        fs::rename(beside, path)
    }

    fn make_cgroup(&mut self, path: &str) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write_control(&mut self, path: &str, value: &str) -> io::Result<()> {
        // One write call: the kernel takes each as a whole command.
        fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(value.as_bytes())
    }

    fn new_session(&mut self) -> io::Result<()> {
        rustix::process::setsid()?;
        Ok(())
    }

    fn carry_tag(&mut self, tag: u64) -> io::Result<()> {
        let Rlimit { maximum, .. } = getrlimit(Resource::Locks);
        setrlimit(
            Resource::Locks,
            Rlimit {
                current: Some(tag),
                maximum,
            },
        )?;
        Ok(())
    }

    fn set_rlimit(
        &mut self,
        resource: &str,
        soft: Option<u64>,
        hard: Option<u64>,
    ) -> io::Result<()> {
        let resource = crate::rlimit::resource(resource)
            .ok_or_else(|| io::Error::other("not a resource of this kernel"))?;
        setrlimit(
            resource,
            Rlimit {
                current: soft,
                maximum: hard,
            },
        )?;
        Ok(())
    }

    fn set_umask(&mut self, mask: u32) {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    }

    fn switch_user(&mut self, name: &str) -> io::Result<()> {
        sys::set_credentials(&user(name)?)
    }

    fn die_with_supervisor(&mut self) -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        match self.supervisor {
            // It ended before the line above took effect.
            Some(supervisor) if rustix::process::getppid() != Some(supervisor) => {
                Err(io::Error::other("the supervisor is gone"))
            }
            _ => Ok(()),
        }
    }

    fn change_directory(&mut self, path: &str) -> io::Result<()> {
        std::env::set_current_dir(path)
    }

    fn open_output(&mut self, output: Output, path: &str) -> io::Result<()> {
        let nofollow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .custom_flags(nofollow.bits().cast_signed())
            .open(path)?;
        // A fifo or a device in its place could hold the program up.
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::APPEND)?;
        match output {
            Output::Stdout => rustix::stdio::dup2_stdout(&file)?,
            Output::Stderr => rustix::stdio::dup2_stderr(&file)?,
        }
        Ok(())
    }

    fn command_executor(
        &mut self,
        arguments: &[String],
        environment: &BTreeMap<String, String>,
    ) -> io::Error {
        let Some(run) = self.command_executor else {
            return io::ErrorKind::Unsupported.into();
        };
        // What an exec would have done: descriptors of the process before are not the executor's.
        sys::close_from(3);
        sys::ignore_broken_pipes();
        let _ = rustix::thread::set_name(c"meseta-executor");
        sys::show_arguments(arguments);
        std::process::exit(run(environment))
    }

    fn execute(
        &mut self,
        program: &str,
        arguments: &[String],
        environment: &BTreeMap<String, String>,
    ) -> io::Error {
        match strings(program, arguments, environment) {
            Ok((candidates, arguments, environment)) => {
                let mut fault = io::Error::from(io::ErrorKind::NotFound);
                for candidate in candidates {
                    let error = sys::execve(&candidate, &arguments, &environment);
                    // As execvp(3): a file that may not be run hides no later one, but is worth
                    // more in a message than one that is not there.
                    match error.kind() {
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
                        io::ErrorKind::PermissionDenied => fault = error,
                        _ => return error,
                    }
                }
                fault
            }
            Err(error) => error,
        }
    }
}

type Strings = (Vec<CString>, Vec<CString>, Vec<CString>);

/// All that `execve` needs: candidates for the program, arguments, environment.
fn strings(
    program: &str,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> io::Result<Strings> {
    let candidates: Vec<CString> = if program.contains('/') {
        vec![CString::new(program)?]
    } else {
        let path = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let join = |directory: &str| CString::new(format!("{}/{program}", or_here(directory)));
        path.split(':').map(join).collect::<Result<_, _>>()?
    };
    let arguments = arguments
        .iter()
        .map(|text| CString::new(text.as_str()))
        .collect::<Result<_, _>>()?;
    let environment = environment
        .iter()
        .map(|(name, value)| CString::new(format!("{name}={value}")))
        .collect::<Result<_, _>>()?;
    Ok((candidates, arguments, environment))
}

/// An empty element of `PATH` is the working directory.
fn or_here(directory: &str) -> &str {
    if directory.is_empty() { "." } else { directory }
}

fn user(name: &str) -> io::Result<sys::Credentials> {
    sys::lookup_user(name)?.ok_or_else(|| io::Error::other("no such user on this host"))
}

#[cfg(test)]
pub(crate) mod recording {
    //! The fake: writes down what was asked, fails where told.

    use super::*;

    /// Calls so far, one line each.
    #[derive(Debug, Default)]
    pub struct Recording {
        /// What was asked.
        pub calls: Vec<String>,
        /// The call of this index fails.
        pub fail_at: Option<usize>,
    }

    impl Recording {
        fn note(&mut self, call: String) -> io::Result<()> {
            self.calls.push(call);
            match self.fail_at {
                Some(index) if index + 1 == self.calls.len() => {
                    Err(io::Error::from_raw_os_error(13))
                }
                _ => Ok(()),
            }
        }
    }

    impl Kernel for Recording {
        fn make_directory(&mut self, path: &str, mode: u32, owner: Option<&str>) -> io::Result<()> {
            self.note(format!("mkdir {path} {mode:o} {owner:?}"))
        }
        fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
            self.note(format!("link {path} {target}"))
        }
        fn make_cgroup(&mut self, path: &str) -> io::Result<()> {
            self.note(format!("mkcgroup {path}"))
        }
        fn write_control(&mut self, path: &str, value: &str) -> io::Result<()> {
            self.note(format!("write {path} {value}"))
        }
        fn new_session(&mut self) -> io::Result<()> {
            self.note("setsid".to_owned())
        }
        fn carry_tag(&mut self, tag: u64) -> io::Result<()> {
            self.note(format!("tag {tag}"))
        }
        fn set_rlimit(
            &mut self,
            resource: &str,
            soft: Option<u64>,
            hard: Option<u64>,
        ) -> io::Result<()> {
            self.note(format!("rlimit {resource} {soft:?} {hard:?}"))
        }
        fn set_umask(&mut self, mask: u32) {
            self.calls.push(format!("umask {mask:o}"));
        }
        fn switch_user(&mut self, user: &str) -> io::Result<()> {
            self.note(format!("user {user}"))
        }
        fn die_with_supervisor(&mut self) -> io::Result<()> {
            self.note("pdeathsig".to_owned())
        }
        fn change_directory(&mut self, path: &str) -> io::Result<()> {
            self.note(format!("chdir {path}"))
        }
        fn open_output(&mut self, output: Output, path: &str) -> io::Result<()> {
            self.note(format!("{output:?} {path}"))
        }
        fn command_executor(
            &mut self,
            arguments: &[String],
            environment: &BTreeMap<String, String>,
        ) -> io::Error {
            let outcome = self.note(format!("command executor {arguments:?} {environment:?}"));
            outcome
                .err()
                .unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        }
        fn execute(
            &mut self,
            program: &str,
            arguments: &[String],
            environment: &BTreeMap<String, String>,
        ) -> io::Error {
            let outcome = self.note(format!("exec {program} {arguments:?} {environment:?}"));
            outcome
                .err()
                .unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        }
    }
}
