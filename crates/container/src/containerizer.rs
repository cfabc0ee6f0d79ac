//! The room's face for the agent's process: commands in, reports out, nothing blocks.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use meseta_model::container::{ContainerLimits, ContainerReport, LaunchSpec, RecoverableContainer};
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::ResourceStatistics;
use rustix::event::{EventfdFlags, eventfd};

use crate::counts::Counts;
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
///
/// Launches wait behind everything else: with a thousand of them, those that are held already are let
/// go and those that are to end are ended first, so that work flows through the machine instead of
/// piling up in it. What is done with one container keeps its order.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bell: OwnedFd,
}

#[derive(Default)]
struct Waiting {
    /// By their turn.
    launches: BTreeMap<u64, Box<LaunchSpec>>,
    /// The turn of each container's launch.
    turns: BTreeMap<ContainerId, u64>,
    next_turn: u64,
    others: VecDeque<Command>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.launches.len() + self.others.len()
    }

    fn push(&mut self, command: Command) {
        match command {
            // A second launch of one that waits is the caller's mistake; it is met behind the first.
            Command::Launch(spec) if !self.turns.contains_key(&spec.container_id) => {
                self.turns.insert(spec.container_id.clone(), self.next_turn);
                self.launches.insert(self.next_turn, spec);
                self.next_turn += 1;
            }
            Command::Launch(spec) => self.urge(&spec.container_id.clone(), Command::Launch(spec)),
            Command::Destroy(id) => self.urge(&id.clone(), Command::Destroy(id)),
            Command::Update(id, limits) => self.urge(&id.clone(), Command::Update(id, limits)),
            other => self.others.push_back(other),
        }
    }

    /// Puts a command behind the launch of its container, whose turn it is now, if that waits.
    fn urge(&mut self, id: &ContainerId, command: Command) {
        let launch = self.turns.remove(id);
        let launch = launch.and_then(|turn| self.launches.remove(&turn));
        self.others.extend(launch.map(Command::Launch));
        self.others.push_back(command);
    }

    fn pop_launch(&mut self) -> Option<Box<LaunchSpec>> {
        let (_, spec) = self.launches.pop_first()?;
        self.turns.remove(&spec.container_id);
        Some(spec)
    }
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            waiting: Mutex::default(),
            bell,
        })
    }

    pub(crate) fn push(&self, command: Command) -> Result<(), Refusal> {
        let mut waiting = self.waiting();
        if waiting.len() >= COMMANDS_WAITING && !matches!(command, Command::Stop) {
            return Err(Refusal::Busy);
        }
        waiting.push(command);
        drop(waiting);
        // Fails only when the counter is full, and then the bell rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }

    /// The next command, launches that can wait aside.
    pub(crate) fn pop(&self) -> Option<Command> {
        self.waiting().others.pop_front()
    }

    /// The next launch.
    pub(crate) fn pop_launch(&self) -> Option<Box<LaunchSpec>> {
        self.waiting().pop_launch()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().len() == 0
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
    counts: Arc<Counts>,
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
        let counts = Arc::<Counts>::default();
        let report = Box::new(report);
        let engine = Engine::new(config, Arc::clone(&queue), report, Arc::clone(&counts))?;
        let thread = std::thread::Builder::new()
            .name("containerizer".to_owned())
            .spawn(move || engine.run())?;
        Ok(Self {
            queue,
            counts,
            thread: Some(thread),
        })
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Starts a container and holds its program. Answered by `Launched` or `LaunchFailed`; the
    /// latter may also follow the former: what was released could not be fetched or run. Commands
    /// for other containers overtake it while it waits.
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
    /// are answered by `Terminated` at once, or `NeverReleased` if they were held to their end; the
    /// others when they end. Containers found that are not named, nor nested in one that is, are
    /// told with `OrphansFound` and destroyed.
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
    use meseta_model::container::{ContainerClass, Program};

    use super::*;

    fn launch(id: &str) -> Command {
        Command::Launch(Box::new(LaunchSpec {
            container_id: ContainerId::root(id),
            class: ContainerClass::Default,
            program: Program::CommandExecutor,
            environment: BTreeMap::new(),
            user: None,
            sandbox: "/s".to_owned(),
            create_sandbox: false,
            uris: Vec::new(),
            limits: ContainerLimits::default(),
            rlimits: Vec::new(),
            container: None,
        }))
    }

    fn release(id: &str) -> Command {
        Command::Release(ContainerId::root(id))
    }

    fn destroy(id: &str) -> Command {
        Command::Destroy(ContainerId::root(id))
    }

    fn names(queue: &Queue) -> Vec<String> {
        let name = |command| match command {
            Command::Launch(spec) => format!("launch {}", spec.container_id),
            Command::Release(id) => format!("release {id}"),
            Command::Destroy(id) => format!("destroy {id}"),
            Command::Update(id, _) => format!("update {id}"),
            Command::Recover(_) => "recover".to_owned(),
            Command::Usage(id, _) => format!("usage {id}"),
            Command::Stop => "stop".to_owned(),
        };
        let next = || {
            queue
                .pop()
                .or_else(|| queue.pop_launch().map(Command::Launch))
        };
        std::iter::from_fn(next).map(name).collect()
    }

    #[test]
    fn launches_wait_behind_what_is_there_already() {
        let queue = Queue::new().unwrap();
        for command in [
            launch("c"),
            launch("a"),
            launch("b"),
            release("x"),
            destroy("y"),
            Command::Recover(Vec::new()),
        ] {
            queue.push(command).unwrap();
        }
        let order = [
            "release x",
            "destroy y",
            "recover",
            "launch c",
            "launch a",
            "launch b",
        ];
        assert_eq!(names(&queue), order);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_launch_that_waits_comes_before_what_else_is_done_with_its_container() {
        let queue = Queue::new().unwrap();
        let limits = ContainerLimits::default();
        for command in [
            launch("a"),
            launch("b"),
            launch("c"),
            launch("d"),
            destroy("b"),
            Command::Update(ContainerId::root("c"), limits),
            launch("d"),
            destroy("c"),
            launch("b"),
        ] {
            queue.push(command).unwrap();
        }
        let order = [
            "launch b",
            "destroy b",
            "launch c",
            "update c",
            "launch d",
            "launch d",
            "destroy c",
            // Again, after its end: the caller's business.
            "launch a",
            "launch b",
        ];
        assert_eq!(names(&queue), order);
    }

    #[test]
    fn the_queue_refuses_beyond_its_limit_and_always_takes_the_stop() {
        let queue = Queue::new().unwrap();
        for number in 0..COMMANDS_WAITING / 2 {
            assert_eq!(queue.push(release("a")), Ok(()));
            assert_eq!(queue.push(launch(&number.to_string())), Ok(()));
        }
        assert_eq!(queue.push(release("a")), Err(Refusal::Busy));
        assert_eq!(queue.push(launch("a")), Err(Refusal::Busy));
        assert_eq!(queue.push(Command::Stop), Ok(()));
        assert!(queue.pop().is_some());
    }
}
