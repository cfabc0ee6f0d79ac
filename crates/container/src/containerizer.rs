//! The room's face for the agent's process: commands in, reports out, nothing blocks.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use meseta_model::container::{ContainerLimits, ContainerReport, LaunchSpec, RecoverableContainer};
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::ResourceStatistics;

use crate::counts::Counts;
use crate::engine::Engine;
use crate::isolation::Isolation;
use crate::limits::{COMMANDS_WAITING, FETCH_STALL_WINDOW};
use crate::plan::Roles;
use crate::queue::{Command, Queue};

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
    /// [`COMMANDS_WAITING`] commands wait already; later it will do.
    #[error("the container room has {COMMANDS_WAITING} commands to do yet")]
    Busy,
}

/// Takes the answer to a request for usage; `None`: there is no such container.
pub type UsageReply = Box<dyn FnOnce(Option<ResourceStatistics>) + Send>;

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

    /// Passes on what is never refused.
    fn take(&self, command: Command) {
        let taken = self.queue.push(command);
        assert!(taken.is_ok(), "only launches and usage may be refused");
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
    pub fn release(&self, id: ContainerId) {
        self.take(Command::Release(id));
    }

    /// Ends every process of a container, those nested in it first. Answered by `Terminated`, also
    /// for one that is unknown; not again for one whose end was reported.
    pub fn destroy(&self, id: ContainerId) {
        self.take(Command::Destroy(id));
    }

    /// Takes up the containers of an earlier life: the first command of a life. Those that are over
    /// are answered by `Terminated` at once, or `NeverReleased` if they were held to their end; the
    /// others when they end. Containers found that are not named, nor nested in one that is, are
    /// told with `OrphansFound` and destroyed.
    pub fn recover(&self, containers: Vec<RecoverableContainer>) {
        self.take(Command::Recover(containers));
    }

    /// New bounds for a running container. Without cgroups there is nothing to do. The hard memory
    /// limit is raised, never lowered.
    pub fn update(&self, id: ContainerId, limits: ContainerLimits) {
        self.take(Command::Update(id, limits));
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
