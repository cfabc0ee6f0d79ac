//! A master's face: what it answers, and what its node tells it.

mod routes;
mod scheduler;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use meseta_master::event::Event;
use meseta_master::view::{Counter, Delta};
use meseta_model::edge::{Outcome, RequestId, StreamId};
use meseta_proto::mesos::v1::scheduler as wire;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::codec;
use crate::lead::{Lead, Leadership};
use crate::pending::Pending;
use crate::server::{self, Edge, Letter, Request, Server};
use crate::streams::Streams;

/// What a master's face knows from its start.
#[derive(Debug, Clone)]
pub struct MasterConfig {
    /// Where it is reached: `ip:port` as peers are told.
    pub address: SocketAddr,
    /// The name that it advertises; in redirects and `/state`.
    pub hostname: String,
    /// What `/flags` shows, by flag name.
    pub flags: BTreeMap<String, String>,
}

impl MasterConfig {
    /// A master at `address` that goes by its IP.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            hostname: address.ip().to_string(),
            flags: BTreeMap::new(),
        }
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
    pending: Pending,
    streams: Streams,
}

impl MasterApi {
    /// A face that hands what comes in to `events`, the core's queue. Its bound is the node's choice:
    /// while it is full, actor messages wait and requests are refused with 503.
    #[must_use]
    pub fn new(config: MasterConfig, events: mpsc::Sender<Event>) -> Self {
        let edge = Master {
            config,
            events,
            lead: Lead::default(),
            pending: Pending::default(),
            streams: Streams::default(),
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
        server::serve(listener, self.edge.clone())
    }

    /// Where the master stands from now on; at first nobody leads.
    pub fn set_leadership(&self, leadership: Leadership) {
        self.edge.lead.set(leadership);
    }

    /// Takes in what became visible.
    pub fn apply(&self, delta: &Delta) {
        let _ = delta;
    }

    /// A counter grew.
    pub fn count(&self, counter: Counter, by: u64) {
        let _ = (counter, by);
    }

    /// Writes an event to a scheduler's stream. A stream that is gone is fine: the core is told by
    /// `StreamClosed`.
    pub fn send_event(&self, stream: &StreamId, event: &wire::Event) {
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
        let event = Event::MessageReceived {
            from: letter.from,
            to: letter.to,
            message: letter.message,
        };
        // The receiver is gone only when the master ends.
        let _ = self.events.send(event).await;
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        routes::answer(self, request).await
    }
}
