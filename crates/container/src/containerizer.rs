//! The room's face for the agent's process: commands in, reports out, nothing blocks.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use meseta_model::container::{ContainerLimits, ContainerReport, LaunchSpec, RecoverableContainer};
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::ResourceStatistics;
use rustix::event::{EventfdFlags, eventfd};

use crate::engine::Engine;
use crate::isolation::Isolation;
use crate::limits::{COMMANDS_WAITING, FETCH_STALL_WINDOW};
use crate::plan::Roles;

/// What the room is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where records of containers are kept; must not survive a reboot's containers, so `/run` or
    /// `/tmp` is a good place. One agent each. Mesos: `--runtime_dir`.
    pub runtime_dir: PathBuf,
    /// How to start the roles of this binary.
    pub roles: Roles,
    /// How containers are bounded.
    pub isolation: Isolation,
    /// The whole environment of the fetcher: proxies, `SSL_CERT_FILE`.
    pub fetch_environment: BTreeMap<String, String>,
    /// A download slower than 1 byte a second for this long is given up; zero: never.
    pub fetch_stall_timeout: Duration,
}

impl Config {
    /// The defaults: this binary, no cgroups, proxies as this process has them.
    #[must_use]
    pub fn new(runtime_dir: PathBuf) -> Self {
        let names = [
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
            "SSL_CERT_FILE",
        ];
        let variable = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
        Self {
            runtime_dir,
            roles: Roles::of_this_binary(),
            isolation: Isolation::default(),
            fetch_environment: names.into_iter().filter_map(variable).collect(),
            fetch_stall_timeout: FETCH_STALL_WINDOW,
        }
    }
}

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More commands wait than [`COMMANDS_WAITING`]; later it will do.
    #[error("the container room has {COMMANDS_WAITING} commands to do yet")]
    Busy,
}

/// Takes the answer to a request for usage; `None`: there is no such container.
pub type UsageReply = Box<dyn FnOnce(Option<ResourceStatistics>) + Send>;

pub(crate) enum Command {
    Launch(Box<LaunchSpec>),
    Release(ContainerId),
    Destroy(ContainerId),
    Recover(Vec<RecoverableContainer>),
    Update(ContainerId, ContainerLimits),
    Usage(ContainerId, UsageReply),
    Stop,
}

/// Commands on their way to the room's thread.
pub(crate) struct Queue {
    waiting: Mutex<VecDeque<Command>>,
    bell: OwnedFd,
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            waiting: Mutex::default(),
            bell,
        })
    }

    fn push(&self, command: Command) -> Result<(), Refusal> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= COMMANDS_WAITING && !matches!(command, Command::Stop) {
            return Err(Refusal::Busy);
        }
        waiting.push_back(command);
        drop(waiting);
        // Fails only when the counter is full, and then the bell rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<Command> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Readable when there may be commands; read it before [`Queue::pop`].
    pub(crate) fn bell(&self) -> &OwnedFd {
        &self.bell
    }
}

/// The room at work for one agent. Dropping it ends its thread, not the containers: their
/// supervisors go on, and the next agent recovers them. Launches that are still held end.
pub struct Containerizer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Containerizer {
    /// Starts the room's thread. `report` is called on it, so it must only pass the report on.
    ///
    /// # Errors
    ///
    /// The runtime directory cannot be made, or the kernel gives no descriptors or thread.
    pub fn start(
        config: Config,
        report: impl FnMut(ContainerReport) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new()?);
        let engine = Engine::new(config, Arc::clone(&queue), Box::new(report))?;
        let thread = std::thread::Builder::new()
            .name("containerizer".to_owned())
            .spawn(move || engine.run())?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Starts a container and holds its program. Answered by `Launched` or `LaunchFailed`; the
    /// latter may also follow the former: what was released could not be fetched or run.
    ///
    /// # Errors
    ///
    /// [`Refusal::Busy`].
    pub fn launch(&self, spec: LaunchSpec) -> Result<(), Refusal> {
        self.queue.push(Command::Launch(Box::new(spec)))
    }

    /// Lets a held container go on: fetch its URIs, run its program. Again, or for one that is not
    /// held: no effect.
    ///
    /// # Errors
    ///
    /// [`Refusal::Busy`].
    pub fn release(&self, id: ContainerId) -> Result<(), Refusal> {
        self.queue.push(Command::Release(id))
    }

    /// Ends every process of a container, those nested in it first. Answered by `Terminated`, also
    /// for one that is unknown; not again for one whose end was reported.
    ///
    /// # Errors
    ///
    /// [`Refusal::Busy`].
    pub fn destroy(&self, id: ContainerId) -> Result<(), Refusal> {
        self.queue.push(Command::Destroy(id))
    }

    /// Takes up the containers of an earlier life: the first command of a life. Those that are over
    /// are answered by `Terminated` at once, the others when they end. Containers found that are
    /// not named, nor nested in one that is, are destroyed without a report.
    ///
    /// # Errors
    ///
    /// [`Refusal::Busy`].
    pub fn recover(&self, containers: Vec<RecoverableContainer>) -> Result<(), Refusal> {
        self.queue.push(Command::Recover(containers))
    }

    /// New bounds for a running container. Without cgroups there is nothing to do. The hard memory
    /// limit is raised, never lowered.
    ///
    /// # Errors
    ///
    /// [`Refusal::Busy`].
    pub fn update(&self, id: ContainerId, limits: ContainerLimits) -> Result<(), Refusal> {
        self.queue.push(Command::Update(id, limits))
    }

    /// What a container uses. `reply` is called on the room's thread.
    ///
    /// # Errors
    ///
    /// [`Refusal::Busy`]; then `reply` is dropped uncalled.
    pub fn usage(&self, id: ContainerId, reply: UsageReply) -> Result<(), Refusal> {
        self.queue.push(Command::Usage(id, reply))
    }
}

impl Drop for Containerizer {
    fn drop(&mut self) {
        let _ = self.queue.push(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_refuses_beyond_its_limit_and_always_takes_the_stop() {
        let queue = Queue::new().unwrap();
        let release = || Command::Release(ContainerId::root("a"));
        for _ in 0..COMMANDS_WAITING {
            assert_eq!(queue.push(release()), Ok(()));
        }
        assert_eq!(queue.push(release()), Err(Refusal::Busy));
        assert_eq!(queue.push(Command::Stop), Ok(()));
        assert!(queue.pop().is_some());
    }
}
