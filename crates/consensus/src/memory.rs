//! The engine in memory: [`crate::spec`] without delays, behind the same face as the durable one.
//!
//! For tests and `--registry=in_memory`. What is agreed on lives as long as the [`MemoryLog`] that its
//! engines were opened on: closing an engine and opening another is a restart of the node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::coordinator::{Coordinator, Event, Refusal};
use crate::events::{self, Events, NotSent, Sender};
use crate::limits;
use crate::spec::{Agreement, Delays};
use bytes::Bytes;

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
    events: Sender,
    /// The bytes of the ops that wait for their outcome, by the number of the proposal.
    ops: BTreeMap<u64, usize>,
}

impl Open {
    fn hear(&mut self, event: Event) -> Result<(), NotSent> {
        let outcome_of = match &event {
            Event::Committed { seq, .. } | Event::Refused { seq, .. } | Event::Unknown { seq } => {
                self.ops.remove(seq)
            }
            _ => None,
        };
        self.events.try_send(event, outcome_of)
    }
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
        let (sender, events) = events::channel();
        let mut shared = self.lock();
        shared.opened += 1;
        let opened = shared.opened;
        let open = Open {
            opened,
            events: sender,
            ops: BTreeMap::new(),
        };
        shared.nodes.insert(node, open);
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
                let open = self.nodes.get_mut(&node);
                let sent = open.is_some_and(|open| open.hear(event).is_ok());
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

    /// This opening of the node's engine, if it has not ended.
    fn open(&mut self, node: u64, opened: u64) -> Result<&mut Open, Refusal> {
        let open = self
            .nodes
            .get_mut(&node)
            .filter(|open| open.opened == opened);
        open.filter(|open| !open.events.is_closed())
            .ok_or(Refusal::Stopped)
    }
}

#[derive(Debug)]
struct Handle {
    log: MemoryLog,
    node: u64,
    opened: u64,
}

impl Coordinator for Handle {
    fn campaign(&self) -> Result<(), Refusal> {
        let mut shared = self.log.lock();
        shared.open(self.node, self.opened)?;
        shared.act(|agreement, now| agreement.campaign(now, self.node));
        Ok(())
    }

    fn propose(&self, seq: u64, op: Bytes) -> Result<(), Refusal> {
        let mut shared = self.log.lock();
        let open = shared.open(self.node, self.opened)?;
        open.events.waiting().enter(op.len())?;
        open.ops.insert(seq, op.len());
        shared.act(|agreement, now| agreement.propose(now, self.node, seq, op));
        Ok(())
    }

    fn snapshot(&self, index: u64, bytes: Bytes) -> Result<(), Refusal> {
        let mut shared = self.log.lock();
        let open = shared.open(self.node, self.opened)?;
        open.events.waiting().enter_snapshot(bytes.len())?;
        shared.act(|agreement, now| agreement.snapshot(now, self.node, index, bytes));
        Ok(())
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
