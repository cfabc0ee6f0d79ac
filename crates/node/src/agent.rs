//! A running agent: its core, driven; its disk, port, links and containers.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use meseta_agent::event::{Effect, Event, MetaEntry, Started};
use meseta_agent::view::{Counter, Delta};
use meseta_agent::{Agent, Config as CoreConfig};
use meseta_api::{AgentApi, AgentConfig, ContainerCounts, Logs, Server, Usage};
use meseta_client::Links;
use meseta_container::{Config as ContainerConfig, Counts};
use meseta_model::container::ContainerReport;
use meseta_model::ids::ContainerId;
use meseta_model::upid::Upid;
use meseta_proto::mesos::v1;
use meseta_runtime::{
    Clock, Disk, Driver, EntryContent, Files, History, Output, TreeLimits, limits as meta_limits,
    read_tree,
};
use tokio::sync::{mpsc, watch};

use crate::containers::{self, Containers, Reports};
use crate::garbage::Watched;
use crate::machine_resources;
use crate::pump::{Finished, Perform, Pump};
use crate::running::{Running, last_words, later};
use crate::start::{EVENTS, StartError, links, listen, lock, other, seed, wait_for};
use crate::trash::Trash;

/// The file in a run's directory below `meta/` that says that the run is over.
const RUN_IS_OVER: &str = "executor.sentinel";

/// What is read of `meta/` at a start: all that may still run, and of the runs that are over, which stay
/// for `gc_delay`, so many of the newest; more are not shown by any endpoint's history either.
const META: TreeLimits = TreeLimits {
    file_bytes: meta_limits::TREE_FILE_BYTES,
    bytes: meta_limits::TREE_BYTES,
    entries: meta_limits::TREE_ENTRIES,
    depth: meta_limits::TREE_DEPTH,
    history: Some(History {
        marker: RUN_IS_OVER,
        whole: 1_000,
    }),
};

/// How long [`RunningAgent::shut_down`] waits for executors to end by themselves.
const SHUT_DOWN_PATIENCE: Duration = Duration::from_secs(10);

/// How long a request for statistics waits for one container.
const MEASURE_PATIENCE: Duration = Duration::from_millis(100);

/// What an agent is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the core is told; its `work_dir` is where everything is kept.
    pub core: CoreConfig,
    /// Where it listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where others reach it, if that is elsewhere.
    pub advertise: Option<SocketAddr>,
    /// Its name for others.
    pub hostname: String,
    /// The master.
    pub master: SocketAddr,
    /// `--resources`; what it does not name is detected.
    pub resources: Option<String>,
    /// `--default_role`.
    pub default_role: String,
    /// `--attributes`.
    pub attributes: String,
    /// What the container room is told.
    pub containers: ContainerConfig,
    /// What `/flags` shows.
    pub flags: BTreeMap<String, String>,
    /// How much the process logs, and where that is shown.
    pub logs: Logs,
}

/// An agent at work. Dropping it lets the agent go on.
pub struct RunningAgent {
    address: SocketAddr,
    events: mpsc::Sender<Event>,
    registered: watch::Receiver<bool>,
    running: Running,
}

/// Starts an agent. It registers in the background.
///
/// # Errors
/// [`StartError`] says what is wrong and with which flag or path.
pub async fn start(config: Config) -> Result<RunningAgent, StartError> {
    let room = config.containers.clone();
    start_with(config, move |reports| {
        containers::real(&room, reports).map_err(StartError::path(&room.runtime_dir))
    })
    .await
}

/// As [`start`], with containers run by what `containers` makes.
///
/// # Errors
/// As [`start`], and those of `containers`.
pub async fn start_with(
    config: Config,
    containers: impl FnOnce(Reports) -> Result<Arc<dyn Containers>, StartError>,
) -> Result<RunningAgent, StartError> {
    let work_dir = PathBuf::from(&config.core.work_dir);
    let lock = lock(&work_dir).await?;
    config.core.validate().map_err(other)?;
    let meta = work_dir.join("meta");
    let entries = read_tree(&meta, &META).map_err(other)?;
    let (listener, bound) = listen(config.listen).await?;
    let own = advertised(config.advertise, bound);
    let started = started(&config, own, entries)?;

    let (events, received) = mpsc::channel(EVENTS);
    let (disk, finished) = start_disk(&meta)?;
    let containers = containers(Reports::new(&events))?;
    let links = links(own, &events, |peer| Event::LinkBroken { peer });
    // Before the port opens, so that nothing comes before it. The channel has room: it is new.
    let _ = events.try_send(Event::Started(Box::new(started)));
    let _ = events.try_send(Event::MasterDetected(Upid::new("master", config.master)));

    let api = agent_api(&config, own, &events, &containers);
    let trash = open_trash(&work_dir, &api)?;
    let server = api.serve(listener).map_err(other)?;

    let (registered_sender, registered) = watch::channel(false);
    let collection = (config.core.gc_delay, config.core.gc_disk_headroom);
    let watched = Watched::new(Agent::new(config.core), api.clone());
    let performer = Performer {
        api,
        links,
        disk,
        containers,
        events: events.clone(),
        work_dir,
        collection,
        trash,
        registered: registered_sender,
        exit: None,
        _server: server,
        _lock: lock,
    };
    let pump = Pump {
        driver: Driver::new(watched, Effect::lane),
        clock: Clock::start(),
        events: received,
        finished,
        performer,
    };
    let running = Running::start(async move {
        let performer = pump.run().await;
        last_words(&performer.links).await;
        performer.exit
    });
    Ok(RunningAgent {
        address: bound,
        events,
        registered,
        running,
    })
}

/// The agent's edge, with what it asks of the container room.
fn agent_api(
    config: &Config,
    own: SocketAddr,
    events: &mpsc::Sender<Event>,
    containers: &Arc<dyn Containers>,
) -> AgentApi {
    let edge = AgentConfig {
        flags: config.flags.clone(),
        logs: config.logs.clone(),
        ..AgentConfig::new(own)
    };
    let api = AgentApi::new(edge, events.clone());
    let measured = containers.clone();
    api.set_measure(move |id| measure(measured.as_ref(), id));
    let counted = containers.clone();
    api.set_counted(move || counts(counted.counts()));
    api
}

/// Where directories go; what becomes of them is counted.
fn open_trash(work_dir: &Path, api: &AgentApi) -> Result<Trash, StartError> {
    let (path, heard) = (work_dir.join("trash"), api.clone());
    let removed = Arc::new(move |succeeded| heard.removed(succeeded));
    Trash::open(path.clone(), removed).map_err(StartError::path(&path))
}

/// What others are told: the flag, else where it listens (a wildcard address is told as loopback).
pub(crate) fn advertised(advertise: Option<SocketAddr>, bound: SocketAddr) -> SocketAddr {
    match advertise {
        Some(address) if address.port() == 0 => SocketAddr::new(address.ip(), bound.port()),
        Some(address) => address,
        None if bound.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], bound.port())),
        None => bound,
    }
}

fn started(
    config: &Config,
    own: SocketAddr,
    entries: Vec<meseta_runtime::Entry>,
) -> Result<Started, StartError> {
    let boot_id = Path::new("/proc/sys/kernel/random/boot_id");
    let boot_id = std::fs::read_to_string(boot_id).map_err(StartError::path(boot_id))?;
    let ended = ended(&Path::new(&config.core.work_dir).join("meta"), &entries);
    let meta = entries.into_iter().map(|entry| match entry.content {
        EntryContent::File(bytes) => MetaEntry::File {
            path: entry.path,
            bytes,
        },
        EntryContent::Symlink(target) => MetaEntry::Symlink {
            path: entry.path,
            target,
        },
    });
    let info = machine_resources::agent_info(config, own)?;
    Ok(Started {
        seed: seed()?,
        boot_id: boot_id.trim().to_owned(),
        pid: Upid::new("slave(1)", own),
        info,
        meta: meta.collect(),
        ended,
    })
}

/// When the runs that are over ended.
fn ended(meta: &Path, entries: &[meseta_runtime::Entry]) -> BTreeMap<String, u64> {
    let marks = entries
        .iter()
        .filter(|entry| entry.path.ends_with(RUN_IS_OVER));
    let times = marks.filter_map(|entry| {
        let about = std::fs::symlink_metadata(meta.join(&entry.path)).ok()?;
        let at = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((entry.path.clone(), u64::try_from(at.as_nanos()).ok()?))
    });
    times.collect()
}

/// The disk's thread over `meta`, and where its finished writes come out.
fn start_disk(meta: &Path) -> Result<(Disk, mpsc::UnboundedReceiver<Finished>), StartError> {
    let (finish, finished) = mpsc::unbounded_channel();
    let files = Files::open(meta).map_err(StartError::path(meta))?;
    let done = move |completion: meseta_runtime::Completion| {
        // The receiver is gone only when the agent has ended.
        let _ = finish.send((completion.seq, completion.result));
    };
    Ok((Disk::start(files, done).map_err(other)?, finished))
}

fn counts(counts: &Counts) -> ContainerCounts {
    ContainerCounts {
        fetches_succeeded: counts.fetches_succeeded(),
        fetches_failed: counts.fetches_failed(),
        destroy_errors: counts.destroy_errors(),
    }
}

/// Asks the container room, which answers from its own thread.
fn measure(containers: &dyn Containers, id: &ContainerId) -> Option<Usage> {
    let (reply, answer) = std::sync::mpsc::sync_channel(1);
    let sent = containers.usage(
        id.clone(),
        Box::new(move |usage| {
            // Nobody waits any more when it took too long.
            let _ = reply.send(usage);
        }),
    );
    sent.ok()?;
    let statistics = answer.recv_timeout(MEASURE_PATIENCE).ok()??;
    let status = v1::ContainerStatus {
        container_id: Some(id.to_wire()),
        ..Default::default()
    };
    Some(Usage { status, statistics })
}

impl RunningAgent {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the agent is registered with its master.
    ///
    /// # Errors
    /// It ended first.
    pub async fn registered(&self) -> Result<(), StartError> {
        if wait_for(self.registered.clone(), |registered| *registered)
            .await
            .is_some()
        {
            return Ok(());
        }
        let reason = self.ended().await;
        Err(StartError::Other(format!("the agent ended: {reason}")))
    }

    /// Waits until the agent has ended by itself, and says why.
    pub async fn ended(&self) -> String {
        self.running.ended().await
    }

    /// Ends the agent and leaves executors running; a new agent on the same work directory takes
    /// them up again.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// Ends every executor, then the agent. Executors get their grace period first.
    pub async fn shut_down(self) {
        // It may have ended already.
        let _ = self.events.send(Event::ShutdownRequested).await;
        if tokio::time::timeout(SHUT_DOWN_PATIENCE, self.ended())
            .await
            .is_err()
        {
            tracing::warn!("executors did not end in time");
        }
        self.stop().await;
    }
}

/// Does what the core asks for.
struct Performer {
    api: AgentApi,
    links: Links,
    disk: Disk,
    containers: Arc<dyn Containers>,
    events: mpsc::Sender<Event>,
    work_dir: PathBuf,
    /// How long sandboxes are kept on an empty disk, and the part of the disk to keep free.
    collection: (Duration, f64),
    trash: Trash,
    registered: watch::Sender<bool>,
    exit: Option<String>,
    _server: Server,
    _lock: File,
}

impl Perform<Watched> for Performer {
    fn perform(&mut self, output: Output<Watched>) {
        match output {
            Output::Persist { seq, writes } => {
                if let Err(stopped) = self.disk.persist(seq, writes) {
                    self.exit.get_or_insert(stopped.to_string());
                }
            }
            // An agent proposes nothing.
            Output::Propose { .. } => {}
            Output::Effect(effect) => self.effect(effect),
        }
    }

    fn is_over(&self) -> bool {
        self.exit.is_some()
    }
}

impl Performer {
    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Link(peer) => self.links.link(&peer),
            Effect::Unlink(peer) => self.links.unlink(&peer),
            Effect::Send { to, message } => self.links.send("slave(1)", &to, &message, None),
            Effect::SendEvent { stream, event } => self.api.send_event(&stream, &event),
            Effect::CloseStream(stream) => self.api.close_stream(&stream),
            Effect::RefuseStream { stream, refusal } => self.api.refuse_stream(&stream, refusal),
            Effect::Reply { request, outcome } => self.api.reply(request, outcome),
            Effect::Changed(delta) => self.changed(&delta),
            Effect::Count { counter, by } => self.count(counter, by),
            Effect::RemoveDirectory { path } => self.remove(&path),
            Effect::MeasureDisk => self.measure(),
            Effect::Exit { reason } => {
                tracing::error!(reason, "the agent ends");
                self.exit.get_or_insert(reason);
            }
            other => self.container(other),
        }
    }

    fn count(&self, counter: Counter, by: u64) {
        if counter == Counter::FencedMessages {
            let work_dir = self.work_dir.display();
            tracing::warn!(
                "a message was not obeyed: its leader is older than one that this agent has obeyed. If \
                 the master began anew, without its registry, remove '{work_dir}/meta/meseta.epoch' \
                 and start the agent again"
            );
        }
        self.api.count(counter, by);
    }

    fn changed(&self, delta: &Delta) {
        if let Delta::Agent(view) = delta {
            self.registered.send_replace(view.registered);
        }
        self.api.apply(delta);
    }

    fn container(&self, effect: Effect) {
        match effect {
            Effect::LaunchContainer(spec) => {
                let container_id = spec.container_id.clone();
                if let Err(refusal) = self.containers.launch(*spec) {
                    let message = refusal.to_string();
                    later(
                        &self.events,
                        Event::Container(ContainerReport::LaunchFailed {
                            container_id,
                            message,
                        }),
                    );
                }
            }
            Effect::ReleaseContainer(id) => self.containers.release(id),
            Effect::DestroyContainer(id) => self.containers.destroy(id),
            Effect::UpdateContainer {
                container_id,
                limits,
            } => self.containers.update(container_id, limits),
            Effect::RecoverContainers(containers) => self.containers.recover(containers),
            _ => {}
        }
    }

    fn remove(&mut self, path: &str) {
        if !Path::new(path).starts_with(&self.work_dir) {
            tracing::error!(path, "not removed: it is outside of the work directory");
            return;
        }
        self.trash.take(Path::new(path));
    }

    fn measure(&self) {
        let (work_dir, events) = (self.work_dir.clone(), self.events.clone());
        let (api, (delay, headroom)) = (self.api.clone(), self.collection);
        // As often is often enough for this.
        tokio::task::spawn_blocking(meseta_container::release_free_memory);
        tokio::task::spawn_blocking(move || match rustix::fs::statvfs(&work_dir) {
            Ok(disk) if disk.f_blocks > 0 => {
                let used = 1.0 - disk.f_bavail as f64 / disk.f_blocks as f64;
                let used = used.clamp(0.0, 1.0);
                // Semantic 98, shown.
                let age_secs = delay.as_secs_f64() * (1.0 - headroom - used).max(0.0);
                api.set_gauge("slave/executor_directory_max_allowed_age_secs", age_secs);
                let _ = events.blocking_send(Event::DiskMeasured { used });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot measure the disk"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_ended_when_their_marks_were_written() {
        let dir = tempfile::tempdir().expect("a directory");
        for (path, at) in [("a/executor.sentinel", 7), ("a/executor.info", 8)] {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().expect("a parent")).expect("created");
            let file = File::create(full).expect("created");
            let at = UNIX_EPOCH + Duration::from_secs(at);
            file.set_modified(at).expect("its time is set");
        }
        let entries = read_tree(dir.path(), &META).expect("it is readable");
        let expected = ("a/executor.sentinel".to_owned(), 7_000_000_000);
        assert_eq!(ended(dir.path(), &entries), BTreeMap::from([expected]));
    }
}
