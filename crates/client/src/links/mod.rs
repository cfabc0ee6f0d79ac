//! Actor messages out: one connection per receiver, in order, at most once (design §4).
//!
//! [`Links`] is the face, one per process of ours (one per master or agent, also when many live in
//! one operating-system process). Each receiving address has one `link::Link` with one task, which
//! connects, writes whatever has gathered in one go, and discards what the peer answers: some peers
//! answer 202, some never answer, so nothing here waits for it.

mod head;
mod link;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::limits;
pub use head::EPOCH_HEADER;
use link::Link;

/// The connection to a peer we had linked to is gone, or could not be made. Told once per
/// [`Links::link`]; link again to hear again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkBroken {
    /// Whom we had linked to.
    pub peer: Upid,
    /// Why, for people.
    pub reason: String,
}

/// Sends actor messages and reports broken links. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Links {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    own: SocketAddr,
    links: Mutex<BTreeMap<SocketAddr, Arc<Link>>>,
    broken: mpsc::Sender<LinkBroken>,
    handle: Handle,
}

impl Links {
    /// A sender whose actors live at `own`, and where it reports broken links. Connections run on
    /// `handle`.
    #[must_use]
    pub fn new(own: SocketAddr, handle: Handle) -> (Self, mpsc::Receiver<LinkBroken>) {
        let (broken, reports) = mpsc::channel(limits::LINK_REPORTS);
        let shared = Shared {
            own,
            links: Mutex::new(BTreeMap::new()),
            broken,
            handle,
        };
        let links = Self {
            shared: Arc::new(shared),
        };
        (links, reports)
    }

    /// Opens the connection to `peer`'s process if there is none, and reports its loss.
    pub fn link(&self, peer: &Upid) {
        while !self.open(peer.address).watch(peer) {}
    }

    /// The loss of this connection is no longer of interest; it is closed once it has been idle for
    /// [`limits::LINK_IDLE_TIMEOUT`] and nobody else is linked over it.
    pub fn unlink(&self, peer: &Upid) {
        if let Some(link) = self.shared.lock().get(&peer.address) {
            link.unwatch(peer);
        }
    }

    /// Queues a message from our actor `from`. It travels behind everything queued for that address
    /// before it. If the connection breaks first it is lost, which only a linked peer's
    /// [`LinkBroken`] tells. `epoch` goes out as [`EPOCH_HEADER`].
    pub fn send(&self, from: &str, to: &Upid, message: &Message, epoch: Option<u64>) {
        let own = (from, self.shared.own);
        let peer = (to.name.as_str(), to.address);
        while !self
            .open(to.address)
            .push(|out| head::append(out, own, peer, message, epoch))
        {}
    }

    /// Waits until everything queued so far has been written or its link is gone. The caller bounds
    /// the wait.
    pub async fn flush(&self) {
        let links: Vec<_> = self.shared.lock().values().cloned().collect();
        for link in links {
            link.drained().await;
        }
    }

    /// The link to `address`, with its task, opened if needed.
    fn open(&self, address: SocketAddr) -> Arc<Link> {
        let mut links = self.shared.lock();
        if let Some(link) = links.get(&address) {
            return link.clone();
        }
        let link = Arc::new(Link::new(address));
        links.insert(address, link.clone());
        let (shared, runs) = (self.shared.clone(), link.clone());
        self.shared.handle.spawn(async move {
            let reason = runs.run(|| shared.retire(&runs)).await;
            shared.end(&runs, &reason).await;
        });
        link
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SocketAddr, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a link that nobody needs; false if somebody does after all. Both locks are held, so
    /// that no message can slip into a queue that is never written.
    fn retire(&self, link: &Arc<Link>) -> bool {
        let mut links = self.lock();
        let idle = link.close_if_idle();
        if idle {
            links.remove(&link.address);
        }
        idle
    }

    async fn end(&self, link: &Arc<Link>, reason: &str) {
        {
            let mut links = self.lock();
            if links
                .get(&link.address)
                .is_some_and(|known| Arc::ptr_eq(known, link))
            {
                links.remove(&link.address);
            }
        }
        let (watched, lost) = link.close();
        if lost > 0 {
            tracing::warn!(peer = %link.address, lost, reason, "messages were lost with their link");
        }
        for peer in watched {
            let reason = reason.to_owned();
            // The receiver is gone only when the whole process of ours is.
            let _ = self.broken.send(LinkBroken { peer, reason }).await;
        }
    }
}
