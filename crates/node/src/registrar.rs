//! How long the registry of a master takes, and how much it holds: `registrar/…`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use meseta_api::MasterApi;
use meseta_master::event::Event;
use meseta_model::step::Seq;

fn ms_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1_000.0
}

/// What is on its way to the registry, and how much that holds.
#[derive(Clone)]
pub(crate) struct Registrar {
    api: MasterApi,
    state: Arc<Mutex<State>>,
}

struct State {
    /// When the master stood for election.
    begun: Instant,
    /// Proposals without an answer. Bounded by what a core may hold back.
    proposed: BTreeMap<u64, Instant>,
    /// What the next leader would read: the latest snapshot and the ops behind it.
    bytes: u64,
}

impl Registrar {
    pub(crate) fn new(api: MasterApi) -> Self {
        let registrar = Self {
            api,
            state: Arc::new(Mutex::new(State {
                begun: Instant::now(),
                proposed: BTreeMap::new(),
                bytes: 0,
            })),
        };
        registrar.show(&registrar.lock());
        registrar
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &State) {
        let queued = state.proposed.len() as f64;
        self.api.set_gauge("registrar/queued_operations", queued);
        let bytes = state.bytes as f64;
        self.api.set_gauge("registrar/registry_size_bytes", bytes);
    }

    /// An op is proposed.
    pub(crate) fn proposed(&self, seq: Seq) {
        let mut state = self.lock();
        state.proposed.insert(seq.0, Instant::now());
        self.show(&state);
    }

    /// A snapshot takes the place of the ops before it.
    pub(crate) fn snapshot(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = bytes as u64;
        self.show(&state);
    }

    /// What was agreed on, on its way to the core.
    pub(crate) fn heard(&self, event: &Event) {
        let mut state = self.lock();
        match event {
            Event::Led { snapshot, ops, .. } => {
                let took_ms = ms_since(state.begun);
                self.api.set_gauge("registrar/state_fetch_ms", took_ms);
                let snapshot = snapshot.as_ref().map_or(0, |(_, bytes)| bytes.len());
                let ops: usize = ops.iter().map(|(_, op)| op.len()).sum();
                state.bytes = (snapshot + ops) as u64;
            }
            Event::Committed { seq, op, .. } => {
                state.bytes += op.len() as u64;
                if let Some(begun) = state.proposed.remove(&seq.0) {
                    self.api.time("registrar/state_store_ms", ms_since(begun));
                }
            }
            Event::Refused { seq, .. } | Event::Unknown { seq } => {
                state.proposed.remove(&seq.0);
            }
            _ => return,
        }
        self.show(&state);
    }
}
