//! How far the runs of executors are, as their streams tell: `slave/executors_registering` and its kin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use meseta_agent::view::Delta;
use meseta_model::edge::StreamId;
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1::executor::Event;
use meseta_proto::mesos::v1::executor::event::Type;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It was started, or is to come back, and has not subscribed yet.
    Registering,
    /// It has.
    Running,
    /// It was told to shut down.
    Terminating,
}

/// The runs that are not over. One that is not named here is [`Phase::Registering`].
#[derive(Debug, Default)]
pub(super) struct Phases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<StreamId, ContainerId>,
    subscribed: BTreeSet<ContainerId>,
    terminating: BTreeSet<ContainerId>,
}

impl Phases {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets runs that are over.
    pub(super) fn apply(&self, delta: &Delta) {
        if let Delta::ExecutorCompleted { container_id, .. } = delta {
            let mut state = self.lock();
            state.subscribed.remove(container_id);
            state.terminating.remove(container_id);
        }
    }

    /// An event goes to an executor. The first one says which run it is of.
    pub(super) fn sent(&self, stream: &StreamId, event: &Event) {
        match event.r#type() {
            Type::Subscribed => {
                let subscribed = event.subscribed.as_ref();
                let container = subscribed.and_then(|part| part.container_id.as_ref());
                let Some(container) = container.and_then(ContainerId::from_wire) else {
                    return;
                };
                let mut state = self.lock();
                state.subscribed.insert(container.clone());
                state.streams.insert(stream.clone(), container);
            }
            Type::Shutdown => {
                let mut state = self.lock();
                if let Some(container) = state.streams.get(stream).cloned() {
                    state.terminating.insert(container);
                }
            }
            _ => {}
        }
    }

    /// A stream is over; its run may not be.
    pub(super) fn closed(&self, stream: &StreamId) {
        self.lock().streams.remove(stream);
    }

    pub(super) fn of(&self, run: &ContainerId) -> Phase {
        let state = self.lock();
        if state.terminating.contains(run) {
            Phase::Terminating
        } else if state.subscribed.contains(run) {
            Phase::Running
        } else {
            Phase::Registering
        }
    }
}
