//! A master's face: what it answers, and what its node tells it.

mod documents;
mod metrics;
mod operations;
mod operator;
mod roles;
mod routes;
mod scheduler;
mod subscribers;
mod tallies;
mod views;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use meseta_master::event::Event;
use meseta_master::view::{Counter, Delta, FrameworkCounter};
use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, RequestId, StreamId};
use meseta_model::ids::FrameworkId;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler as wire;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::codec;
use crate::files::Files;
use crate::lead::{Lead, Leadership};
use crate::limits;
use crate::logging::Logs;
use crate::metrics::{Counters, Gauges, Timers};
use crate::pending::Pending;
use crate::read::MasterModel;
use crate::server::{self, Called, Edge, Letter, Request, Server};
use crate::streams::Streams;
use subscribers::Subscribers;
use tallies::Tallies;

/// What a master's face knows from its start.
#[derive(Debug, Clone)]
pub struct MasterConfig {
    /// Where it is reached: `ip:port` as peers are told.
    pub address: SocketAddr,
    /// The name that it advertises; in redirects and `/state`.
    pub hostname: String,
    /// What `/flags` shows, by flag name.
    pub flags: BTreeMap<String, String>,
    /// How much the process logs, and where that is shown.
    pub logs: Logs,
    /// Connections that may be open at a time: [`limits::CONNECTIONS`].
    pub connections: usize,
}

impl MasterConfig {
    /// A master at `address` that goes by its IP.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            hostname: address.ip().to_string(),
            flags: BTreeMap::new(),
            logs: Logs::default(),
            connections: limits::CONNECTIONS,
        }
    }

    /// `--max_operator_event_stream_subscribers`, as the flags have it.
    fn operator_streams(&self) -> usize {
        let flag = self.flags.get("max_operator_event_stream_subscribers");
        let count = flag.and_then(|value| value.parse().ok());
        count
            .filter(|count| *count > 0)
            .unwrap_or(limits::OPERATOR_STREAMS)
    }

    /// `--publish_per_framework_metrics`, as the flags have it.
    fn publishes_per_framework_metrics(&self) -> bool {
        let flag = self.flags.get("publish_per_framework_metrics");
        flag.is_none_or(|value| !matches!(value.as_str(), "false" | "0"))
    }
}

/// The HTTP face of one master. Cheap to clone; all methods may be called from any thread, and none
/// waits.
///
/// The node performs the core's effects on it in order: a reply leaves after the changes before it
/// were applied, so who asks next sees them.
#[derive(Debug, Clone)]
pub struct MasterApi {
    edge: Arc<Master>,
}

/// What stands behind the port.
#[derive(Debug)]
pub(crate) struct Master {
    config: MasterConfig,
    events: mpsc::Sender<Event>,
    lead: Lead,
    pending: Arc<Pending>,
    streams: Streams,
    model: MasterModel,
    subscribers: Subscribers,
    counters: Counters<Counter>,
    tallies: Tallies,
    gauges: Gauges,
    timers: Timers,
    files: Files,
    started: Instant,
}

impl MasterApi {
    /// A face that hands what comes in to `events`, the core's queue. Its bound is the node's choice:
    /// while it is full, actor messages wait and requests are refused with 503.
    #[must_use]
    pub fn new(config: MasterConfig, events: mpsc::Sender<Event>) -> Self {
        let files = Files::default();
        if let Some(log) = &config.logs.file {
            files.attach("/master/log", log);
        }
        let edge = Master {
            config,
            events,
            lead: Lead::default(),
            pending: Arc::default(),
            streams: Streams::default(),
            model: MasterModel::default(),
            subscribers: Subscribers::default(),
            counters: Counters::default(),
            tallies: Tallies::default(),
            gauges: Gauges::default(),
            timers: Timers::default(),
            files,
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

    /// Where the master stands from now on; at first nobody leads. Who watches a master that does not
    /// lead any more is cut off, to find the one that does.
    pub fn set_leadership(&self, leadership: Leadership) {
        let leads = leadership == Leadership::Leading;
        self.edge.lead.set(leadership);
        if !leads {
            self.edge.subscribers.cut();
        }
    }

    /// Takes in what became visible, and tells it to who watches.
    pub fn apply(&self, delta: &Delta) {
        let edge = &self.edge;
        edge.tallies.apply(delta);
        edge.subscribers.tell(|| edge.model.apply(delta));
    }

    /// A counter grew.
    pub fn count(&self, counter: Counter, by: u64) {
        self.edge.counters.add(counter, by);
    }

    /// A counter of one framework grew.
    pub fn count_of(&self, framework: &FrameworkId, counter: FrameworkCounter, by: u64) {
        self.edge.tallies.count(framework, counter, by);
    }

    /// Sets a metric that only the node knows, for example `registrar/registry_size_bytes`.
    pub fn set_gauge(&self, name: &'static str, value: f64) {
        self.edge.gauges.set(name, value);
    }

    /// Sets all metrics of a family at once, those that are gone included: names and values.
    pub fn set_gauges(&self, family: &'static str, values: Vec<(String, f64)>) {
        self.edge.gauges.set_family(family, values);
    }

    /// Something took so long once more: `allocator/mesos/allocation_run_ms`.
    pub fn time(&self, name: &'static str, ms: f64) {
        self.edge.timers.add(name, ms);
    }

    /// An actor message went out. Those to drivers are counted as events of their frameworks.
    pub fn sent(&self, to: &Upid, message: &Message) {
        self.edge.tallies.sent_to(to, message);
    }

    /// Writes an event to a scheduler's stream. A stream that is gone is fine: the core is told by
    /// `StreamClosed`.
    pub fn send_event(&self, stream: &StreamId, event: &wire::Event) {
        self.edge.tallies.sent_over(stream, event);
        if let Some(stream) = self.edge.streams.get(stream) {
            stream.send(codec::record(stream.media_type, event));
        }
    }

    /// Ends a scheduler's stream behind what was written to it. No `StreamClosed` follows.
    pub fn close_stream(&self, stream: &StreamId) {
        if let Some(stream) = self.edge.streams.remove(stream) {
            stream.end();
        }
    }

    /// Answers a request.
    pub fn reply(&self, request: RequestId, outcome: Outcome) {
        self.edge.pending.reply(request, outcome);
    }
}

impl Edge for Master {
    fn has_actor(&self, name: &str) -> bool {
        name == "master" || name.starts_with("slave-observer(")
    }

    async fn deliver(&self, letter: Letter) {
        self.tallies.received(&letter.from, &letter.message);
        let event = Event::MessageReceived {
            from: letter.from,
            caller: Caller::default(),
            to: letter.to,
            message: letter.message,
        };
        // The receiver is gone only when the master ends.
        let _ = self.events.send(event).await;
    }

    fn takes_calls(&self, path: &str) -> bool {
        path == "/api/v1/scheduler" || path == "/master/api/v1/scheduler"
    }

    fn call(self: &Arc<Self>, request: &Request) -> Called {
        scheduler::call(self, request)
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        routes::answer(self, request).await
    }
}
