//! An agent's face: what it answers, and what its node tells it.

mod documents;
mod executor;
mod metrics;
mod operator;
mod phases;
mod routes;
mod views;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use meseta_agent::event::Event;
use meseta_agent::view::{Counter, Delta};
use meseta_model::edge::{Outcome, Refusal, RequestId, StreamId};
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId};
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::executor as wire;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::codec;
use crate::files::Files;
use crate::limits;
use crate::logging::Logs;
use crate::metrics::{Counters, Gauges};
use crate::pending::Pending;
use crate::read::AgentModel;
use crate::server::{self, Called, Edge, Letter, Request, Server};
use crate::streams::Streams;
use metrics::Removals;
use phases::Phases;

/// What an agent's face knows from its start.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Where it is reached: `ip:port` as peers are told.
    pub address: SocketAddr,
    /// What `/flags` shows, by flag name.
    pub flags: BTreeMap<String, String>,
    /// How much the process logs, and where that is shown.
    pub logs: Logs,
    /// Connections that may be open at a time: [`limits::CONNECTIONS`].
    pub connections: usize,
}

/// What a container is and takes at this moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usage {
    /// Its id, its supervising process, its networks.
    pub status: v1::ContainerStatus,
    /// Processor time, memory, disk.
    pub statistics: v1::ResourceStatistics,
}

/// What the container room counted since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContainerCounts {
    /// `containerizer/fetcher/task_fetches_succeeded`.
    pub fetches_succeeded: u64,
    /// `containerizer/fetcher/task_fetches_failed`.
    pub fetches_failed: u64,
    /// `containerizer/mesos/container_destroy_errors`.
    pub destroy_errors: u64,
}

/// Gives the container room's counts. Asked while a request waits: it must not take long.
type Counted = Box<dyn Fn() -> ContainerCounts + Send + Sync>;

/// Measures a container; `None` when it is unknown. Asked while a request waits: it must not take long.
type Measure = Box<dyn Fn(&ContainerId) -> Option<Usage> + Send + Sync>;

impl AgentConfig {
    /// An agent at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            flags: BTreeMap::new(),
            logs: Logs::default(),
            connections: limits::CONNECTIONS,
        }
    }
}

/// The HTTP face of one agent. Cheap to clone; all methods may be called from any thread, and none
/// waits.
///
/// The node performs the core's effects on it in order: a reply leaves after the changes before it
/// were applied, so who asks next sees them.
#[derive(Debug, Clone)]
pub struct AgentApi {
    edge: Arc<Agent>,
}

/// What stands behind the port.
pub(crate) struct Agent {
    config: AgentConfig,
    events: mpsc::Sender<Event>,
    recovered: AtomicBool,
    pending: Arc<Pending>,
    streams: Streams,
    model: AgentModel,
    counters: Counters<Counter>,
    gauges: Gauges,
    removals: Removals,
    phases: Phases,
    files: Files,
    measure: OnceLock<Measure>,
    counted: OnceLock<Counted>,
    started: Instant,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl AgentApi {
    /// A face that hands what comes in to `events`, the core's queue. Its bound is the node's choice:
    /// while it is full, actor messages wait and requests are refused with 503.
    #[must_use]
    pub fn new(config: AgentConfig, events: mpsc::Sender<Event>) -> Self {
        let files = Files::default();
        if let Some(log) = &config.logs.file {
            files.attach("/slave/log", log);
            files.attach("/agent/log", log);
        }
        let edge = Agent {
            config,
            events,
            recovered: AtomicBool::new(false),
            pending: Arc::default(),
            streams: Streams::default(),
            model: AgentModel::default(),
            counters: Counters::default(),
            gauges: Gauges::default(),
            removals: Removals::default(),
            phases: Phases::default(),
            files,
            measure: OnceLock::new(),
            counted: OnceLock::new(),
            started: Instant::now(),
        };
        Self {
            edge: Arc::new(edge),
        }
    }

    /// Serves a port until the result is dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel does not tell the listener's address.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<Server> {
        server::serve(listener, self.edge.clone(), self.edge.config.connections)
    }

    /// Says how containers are measured, once. Without it `/containers` shows no statistics.
    pub fn set_measure(
        &self,
        measure: impl Fn(&ContainerId) -> Option<Usage> + Send + Sync + 'static,
    ) {
        let _ = self.edge.measure.set(Box::new(measure));
    }

    /// Says where the container room's counts are to be had, once. Without it they are shown as 0.
    pub fn set_counted(&self, counted: impl Fn() -> ContainerCounts + Send + Sync + 'static) {
        let _ = self.edge.counted.set(Box::new(counted));
    }

    /// Takes in what became visible.
    pub fn apply(&self, delta: &Delta) {
        self.edge.attach(delta);
        self.edge.phases.apply(delta);
        self.edge.model.apply(delta);
        if matches!(delta, Delta::Recovered) {
            self.edge.recovered.store(true, Ordering::Release);
            let took_secs = self.edge.started.elapsed().as_secs_f64();
            self.set_gauge("slave/recovery_time_secs", took_secs);
        }
    }

    /// A counter grew.
    pub fn count(&self, counter: Counter, by: u64) {
        self.edge.counters.add(counter, by);
    }

    /// A directory that was no longer needed is gone, or could not be removed.
    pub fn removed(&self, succeeded: bool) {
        self.edge.removals.add(succeeded);
    }

    /// Sets a metric that only the node knows, for example `slave/executor_directory_max_allowed_age_secs`.
    pub fn set_gauge(&self, name: &'static str, value: f64) {
        self.edge.gauges.set(name, value);
    }

    /// Writes an event to an executor's stream; the first one opens it. A stream that is gone is fine:
    /// the core is told by `StreamClosed`.
    pub fn send_event(&self, stream: &StreamId, event: &wire::Event) {
        self.edge.phases.sent(stream, event);
        if let Some(stream) = self.edge.streams.get(stream) {
            stream.send(codec::record(stream.media_type, event));
        }
    }

    /// Ends an executor's stream behind what was written to it. No `StreamClosed` follows.
    pub fn close_stream(&self, stream: &StreamId) {
        if let Some(stream) = self.edge.streams.remove(stream) {
            stream.end();
        }
    }

    /// Answers an executor's SUBSCRIBE with a refusal. No `StreamClosed` follows.
    pub fn refuse_stream(&self, stream: &StreamId, refusal: Refusal) {
        if let Some(stream) = self.edge.streams.remove(stream) {
            stream.refuse(refusal);
        }
    }

    /// Answers a request.
    pub fn reply(&self, request: RequestId, outcome: Outcome) {
        self.edge.pending.reply(request, outcome);
    }
}

impl Agent {
    fn usage(&self, id: &ContainerId) -> Option<Usage> {
        self.measure.get().and_then(|measure| measure(id))
    }

    /// Sandboxes can be looked at by their real path, as `/state` tells it, and the latest run of an
    /// executor also by a virtual one, as long as the run is remembered.
    fn attach(&self, delta: &Delta) {
        match delta {
            Delta::Executor(view) => {
                self.files.attach(&view.directory, &view.directory);
                let executor = ExecutorId::from(&view.info.executor_id);
                for latest in latest(&view.framework, &executor, &view.directory) {
                    self.files.attach(&latest, &view.directory);
                }
            }
            Delta::ExecutorForgotten {
                framework,
                executor,
                container_id,
            } => {
                if let Some(view) = self.model.run(framework, container_id) {
                    self.forget(framework, executor, &view.directory);
                }
            }
            Delta::FrameworkForgotten(framework) => {
                for view in self.model.runs(framework) {
                    let executor = ExecutorId::from(&view.info.executor_id);
                    self.forget(framework, &executor, &view.directory);
                }
            }
            _ => {}
        }
    }

    fn forget(&self, framework: &FrameworkId, executor: &ExecutorId, directory: &str) {
        self.files.detach(directory);
        for latest in latest(framework, executor, directory) {
            self.files.detach_if(&latest, directory);
        }
    }
}

/// The paths of an executor's latest run: the virtual one, and the one beside the runs.
fn latest(framework: &FrameworkId, executor: &ExecutorId, directory: &str) -> [String; 2] {
    let runs = directory.rsplit_once('/').map_or("", |(runs, _)| runs);
    [
        format!("/frameworks/{framework}/executors/{executor}/runs/latest"),
        format!("{runs}/latest"),
    ]
}

impl Edge for Agent {
    fn has_actor(&self, name: &str) -> bool {
        name == "slave(1)"
    }

    async fn deliver(&self, letter: Letter) {
        let event = Event::MessageReceived {
            from: letter.from,
            to: letter.to,
            epoch: letter.epoch,
            message: letter.message,
        };
        // The receiver is gone only when the agent ends.
        let _ = self.events.send(event).await;
    }

    fn takes_calls(&self, path: &str) -> bool {
        path == "/api/v1/executor" || path == "/slave(1)/api/v1/executor"
    }

    fn call(self: &Arc<Self>, request: &Request) -> Called {
        executor::call(self, request)
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        routes::answer(self, request).await
    }
}
