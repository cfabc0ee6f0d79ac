//! The engine in memory: [`crate::spec`] without delays, behind the same face as the durable one.
//!
//! For tests and `--registry=in_memory`. What is agreed on lives as long as the [`MemoryLog`] that its
//! engines were opened on: closing an engine and opening another is a restart of the node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::coordinator::{Coordinator, Event, Events, Refusal};
use crate::limits;
use crate::spec::{Agreement, Delays};

/// What the engines of a group share.
#[derive(Clone)]
pub struct MemoryLog(Arc<Mutex<Shared>>);

struct Shared {
    agreement: Agreement,
    /// Goes on by itself, whenever something is due.
    now: u64,
    nodes: BTreeMap<u64, Open>,
    opened: u64,
}

/// An open engine's way out, and which opening it belongs to.
struct Open {
    opened: u64,
    events: mpsc::Sender<Event>,
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryLog").finish_non_exhaustive()
    }
}

impl Default for MemoryLog {
    /// For a node on its own.
    fn default() -> Self {
        Self::new(1, limits::LOG_BYTES)
    }
}

impl MemoryLog {
    /// An empty log for a group of so many voters, with a bound on the log between snapshots.
    #[must_use]
    pub fn new(voters: usize, log_bytes: u64) -> Self {
        let agreement = Agreement::new(voters, 0, Delays::default(), log_bytes);
        let nodes = BTreeMap::new();
        Self(Arc::new(Mutex::new(Shared {
            agreement,
            now: 0,
            nodes,
            opened: 0,
        })))
    }

    /// Starts a node's engine. One that the node had open ends.
    #[must_use]
    pub fn open(&self, node: u64) -> (Box<dyn Coordinator>, Events) {
        let (sender, events) = Events::channel();
        let mut shared = self.lock();
        shared.opened += 1;
        let opened = shared.opened;
        shared.nodes.insert(
            node,
            Open {
                opened,
                events: sender,
            },
        );
        shared.act(|agreement, now| agreement.open(now, node));
        drop(shared);
        (
            Box::new(Handle {
                log: self.clone(),
                node,
                opened,
            }),
            events,
        )
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Does something, then lets everything happen that follows.
    fn act(&mut self, deed: impl FnOnce(&mut Agreement, u64)) {
        deed(&mut self.agreement, self.now);
        let mut out = Vec::new();
        while let Some(at) = self.agreement.next_at() {
            self.now = self.now.max(at);
            self.agreement.poll(self.now, &mut out);
            for (node, event) in out.drain(..) {
                let sent = self
                    .nodes
                    .get(&node)
                    .is_some_and(|open| open.events.try_send(event).is_ok());
                if !sent {
                    // Its events are not read, or nobody listens any more.
                    self.nodes.remove(&node);
                    self.agreement.crash(self.now, node);
                }
            }
        }
    }

    fn close(&mut self, node: u64, opened: u64) {
        if self
            .nodes
            .get(&node)
            .is_some_and(|open| open.opened == opened)
        {
            self.nodes.remove(&node);
            self.act(|agreement, now| agreement.crash(now, node));
        }
    }

    /// Whether this opening of the node's engine may ask for something that makes an event.
    fn admit(&self, node: u64, opened: u64) -> Result<(), Refusal> {
        let open = self.nodes.get(&node).filter(|open| open.opened == opened);
        let open = open
            .filter(|open| !open.events.is_closed())
            .ok_or(Refusal::Stopped)?;
        let waits = self.agreement.under_way(node);
        let room = open.events.capacity().saturating_sub(limits::OTHER_EVENTS);
        if waits < room {
            Ok(())
        } else {
            Err(Refusal::Overloaded)
        }
    }
}

#[derive(Debug)]
struct Handle {
    log: MemoryLog,
    node: u64,
    opened: u64,
}

impl Handle {
    fn ask(&self, deed: impl FnOnce(&mut Agreement, u64)) -> Result<(), Refusal> {
        let mut shared = self.log.lock();
        shared.admit(self.node, self.opened)?;
        shared.act(deed);
        Ok(())
    }
}

impl Coordinator for Handle {
    fn campaign(&self) -> Result<(), Refusal> {
        self.ask(|agreement, now| agreement.campaign(now, self.node))
    }

    fn propose(&self, seq: u64, op: Bytes) -> Result<(), Refusal> {
        if op.len() > limits::OP_BYTES {
            return Err(Refusal::OpTooLarge(op.len()));
        }
        self.ask(|agreement, now| agreement.propose(now, self.node, seq, op))
    }

    fn snapshot(&self, index: u64, bytes: Bytes) -> Result<(), Refusal> {
        if bytes.len() > limits::SNAPSHOT_BYTES {
            return Err(Refusal::SnapshotTooLarge(bytes.len()));
        }
        self.ask(|agreement, now| agreement.snapshot(now, self.node, index, bytes))
    }

    fn close(self: Box<Self>) {
        // Dropping does it.
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.log.lock().close(self.node, self.opened);
    }
}
