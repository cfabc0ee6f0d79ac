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
    /// And over which stream, the last one.
    subscribed: BTreeMap<ContainerId, StreamId>,
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
                self.lock().subscribed.insert(container, stream.clone());
            }
            Type::Shutdown => {
                let mut state = self.lock();
                let mut runs = state.subscribed.iter();
                let told = runs.find_map(|(run, over)| (over == stream).then(|| run.clone()));
                state.terminating.extend(told);
            }
            _ => {}
        }
    }

    pub(super) fn of(&self, run: &ContainerId) -> Phase {
        let state = self.lock();
        if state.terminating.contains(run) {
            Phase::Terminating
        } else if state.subscribed.contains_key(run) {
            Phase::Running
        } else {
            Phase::Registering
        }
    }
}

#[cfg(test)]
mod tests {
    use meseta_model::ids::{ExecutorId, FrameworkId};
    use meseta_proto::mesos::v1::executor::event;

    use super::*;

    /// The edge hears that an executor hung up before the core does: nobody says of a stream that is
    /// answered by then that it is over.
    #[test]
    fn of_each_run_the_last_stream_is_known_until_the_run_is_over() {
        let (phases, run) = (Phases::default(), ContainerId::root("run"));
        let subscribed = Event {
            r#type: Some(Type::Subscribed.into()),
            subscribed: Some(event::Subscribed {
                container_id: Some(run.to_wire()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let shutdown = Event {
            r#type: Some(Type::Shutdown.into()),
            ..Default::default()
        };
        let (first, last) = (StreamId::new("s1"), StreamId::new("s2"));
        assert_eq!(phases.of(&run), Phase::Registering);
        phases.sent(&first, &subscribed);
        phases.sent(&last, &subscribed);
        let known: Vec<_> = phases.lock().subscribed.clone().into_iter().collect();
        assert_eq!(known, [(run.clone(), last.clone())]);
        phases.sent(&first, &shutdown);
        assert_eq!(phases.of(&run), Phase::Running);
        phases.sent(&last, &shutdown);
        assert_eq!(phases.of(&run), Phase::Terminating);
        phases.apply(&Delta::ExecutorCompleted {
            framework: FrameworkId::from("f"),
            executor: ExecutorId::from("e"),
            container_id: run.clone(),
        });
        assert_eq!(phases.of(&run), Phase::Registering);
        let state = phases.lock();
        assert!(state.subscribed.is_empty() && state.terminating.is_empty());
    }
}
