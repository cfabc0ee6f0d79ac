//! The way from an engine to its caller, and the bound on what is on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::coordinator::{Event, Refusal};
use crate::limits;

/// What an engine reports, in order. It ends when the engine has stopped.
///
/// A proposal counts against [`limits::PROPOSALS`] and [`limits::PROPOSAL_BYTES`] until its outcome is
/// read here, and so does the one snapshot that may be under way: a caller that does not read is
/// refused, and nothing piles up. Of all other events [`limits::OTHER_EVENTS`] may wait; then the engine
/// stands still until they are read.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Sent>,
    waiting: Arc<Waiting>,
}

/// An event, and the bytes of the op whose outcome it is, if it is one.
#[derive(Debug)]
struct Sent {
    event: Event,
    outcome_of: Option<usize>,
}

impl Events {
    /// Waits for the next event; `None` once the engine has stopped.
    pub async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await.map(|sent| self.read(sent))
    }

    /// As [`Events::recv`], for a thread outside of an asynchronous runtime.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        self.events.blocking_recv().map(|sent| self.read(sent))
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.events.try_recv().ok().map(|sent| self.read(sent))
    }

    fn read(&self, sent: Sent) -> Event {
        if let Some(bytes) = sent.outcome_of {
            self.waiting.leave(bytes);
        }
        if matches!(
            sent.event,
            Event::Snapshotted { .. } | Event::SnapshotRefused { .. }
        ) {
            self.waiting.leave_snapshot();
        }
        sent.event
    }
}

/// The engine's side.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    events: mpsc::Sender<Sent>,
    waiting: Arc<Waiting>,
}

/// Nobody listens any more, or does not read.
pub(crate) struct NotSent;

pub(crate) fn channel() -> (Sender, Events) {
    let (sender, receiver) = mpsc::channel(limits::PROPOSALS + limits::OTHER_EVENTS);
    let waiting = Arc::new(Waiting::default());
    let events = Events {
        events: receiver,
        waiting: waiting.clone(),
    };
    (
        Sender {
            events: sender,
            waiting,
        },
        events,
    )
}

impl Sender {
    pub(crate) fn waiting(&self) -> Arc<Waiting> {
        self.waiting.clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.events.is_closed()
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn closed(&self) {
        self.events.closed().await;
    }

    /// Waits for room. `outcome_of` are the bytes of the op whose outcome this is.
    pub(crate) async fn send(
        &self,
        event: Event,
        outcome_of: Option<usize>,
    ) -> Result<(), NotSent> {
        self.events
            .send(Sent { event, outcome_of })
            .await
            .map_err(|_| NotSent)
    }

    /// Fails if there is no room.
    pub(crate) fn try_send(&self, event: Event, outcome_of: Option<usize>) -> Result<(), NotSent> {
        self.events
            .try_send(Sent { event, outcome_of })
            .map_err(|_| NotSent)
    }
}

/// What has no outcome yet, or one that was not read yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    proposals: AtomicUsize,
    bytes: AtomicUsize,
    snapshot: AtomicBool,
}

impl Waiting {
    /// Counts a proposal, if there is room for it.
    pub(crate) fn enter(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes > limits::OP_BYTES {
            return Err(Refusal::OpTooLarge(bytes));
        }
        let proposals = self.proposals.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if proposals < limits::PROPOSALS && before.saturating_add(bytes) <= limits::PROPOSAL_BYTES {
            return Ok(());
        }
        self.leave(bytes);
        Err(Refusal::Overloaded)
    }

    /// Notes a snapshot, if none is under way.
    pub(crate) fn enter_snapshot(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes > limits::SNAPSHOT_BYTES {
            return Err(Refusal::SnapshotTooLarge(bytes));
        }
        let under_way = self.snapshot.swap(true, Ordering::Relaxed);
        if under_way {
            Err(Refusal::SnapshotUnderWay)
        } else {
            Ok(())
        }
    }

    pub(crate) fn leave_snapshot(&self) {
        self.snapshot.store(false, Ordering::Relaxed);
    }

    /// Uncounts a proposal.
    pub(crate) fn leave(&self, bytes: usize) {
        self.proposals.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
