//! The listening port: HTTP and actor messages on one socket.
//!
//! Every connection begins the short way ([`short`]), which takes actor messages and ordinary calls, and
//! hands everything else, with what was read already, to hyper ([`requests`]). [`Edge`] is what stands
//! behind: a master's or an agent's face.

mod head;
mod requests;
mod rewind;
mod short;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::Answer;
use crate::limits;
use crate::pending::Asked;
use crate::query::Query;

/// Header with the epoch of the leader that sends a message (design decision 8).
pub const EPOCH_HEADER: &str = "Meseta-Epoch";

/// An actor message as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Letter {
    pub(crate) from: Upid,
    pub(crate) to: String,
    pub(crate) epoch: Option<u64>,
    pub(crate) message: Message,
}

/// A request as handlers see it: whole, decoded.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As sent, percent-encoding and all.
    pub(crate) target: String,
    /// Percent-decoded.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Cuts the connection that the request came over.
    pub(crate) cut: Cut,
}

#[cfg(test)]
impl Request {
    /// A GET of this path.
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            target: path.to_owned(),
            path: path.to_owned(),
            query: Query::default(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            cut: Cut::default(),
        }
    }
}

/// What stands behind a port.
pub(crate) trait Edge: Send + Sync + 'static {
    /// Whether an actor of this name lives here.
    fn has_actor(&self, name: &str) -> bool;

    /// Hands a message to the core, behind all that were handed over before. Waits while the core's
    /// queue is full, and with it the connection.
    fn deliver(&self, letter: Letter) -> impl Future<Output = ()> + Send;

    /// Whether [`Edge::call`] answers requests to this path.
    fn takes_calls(&self, path: &str) -> bool;

    /// Answers a call as [`Edge::answer`] does, as far as that goes without waiting.
    fn call(self: &Arc<Self>, request: &Request) -> Called;

    /// Answers a request.
    fn answer(self: &Arc<Self>, request: Request) -> impl Future<Output = Answer> + Send;
}

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Called {
    /// It is answered.
    Answer(Answer),
    /// The core has it.
    Asked(Asked),
    /// Nothing yet: it opens a stream, for which [`Edge::answer`] is there.
    Stream,
}

/// Cuts a connection from outside of its task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(Arc<Notify>);

impl Cut {
    pub(crate) fn cut(&self) {
        self.0.notify_one();
    }

    async fn happened(&self) {
        self.0.notified().await;
    }
}

/// A served port. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a port until the result is dropped, with at most so many connections open. Must be called
/// within a tokio runtime.
///
/// # Errors
/// The kernel does not tell the listener's address.
pub(crate) fn serve<E: Edge>(
    listener: TcpListener,
    edge: Arc<E>,
    connections: usize,
) -> std::io::Result<Server> {
    let address = listener.local_addr()?;
    let task = tokio::spawn(accept(listener, edge, connections));
    Ok(Server { address, task })
}

/// Connections are the set's tasks: they end with it.
async fn accept<E: Edge>(listener: TcpListener, edge: Arc<E>, most: usize) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < most => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(run(stream, peer, edge.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a connection's task failed");
                }
            }
        }
    }
}

async fn run<E: Edge>(stream: TcpStream, peer: SocketAddr, edge: Arc<E>) {
    prepare(&stream);
    let cut = Cut::default();
    tokio::select! {
        () = carry(stream, peer, edge, cut.clone()) => {}
        () = cut.happened() => tracing::debug!(%peer, "cut a connection"),
    }
}

async fn carry<E: Edge>(mut stream: TcpStream, peer: SocketAddr, edge: Arc<E>, cut: Cut) {
    match short::carry(&mut stream, peer, &edge, &cut).await {
        short::End::Closed => {}
        short::End::Long(read) => requests::carry(stream, read, peer, edge, cut).await,
    }
}

/// No delay for small answers; a dead peer is noticed.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, limits::KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepintvl(stream, limits::KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepcnt(stream, limits::KEEPALIVE_PROBES);
}
