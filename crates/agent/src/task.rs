//! One task within an executor run.

use meseta_model::ids::{FrameworkId, TaskId};
use meseta_model::task;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1;
use v1::task_status::{Reason, Source};

/// Where a task is between its launch and the acknowledgement of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The executor has not been given it.
    Queued,
    /// The executor has it.
    Launched,
    /// Over; its last update is not acknowledged.
    Terminated,
}

/// What the agent says of a task itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) state: v1::TaskState,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Verdict {
    pub(crate) fn new(state: v1::TaskState, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            state,
            reason,
            message: message.into(),
        }
    }
}

/// A task that is not acknowledged as over.
#[derive(Debug)]
pub(crate) struct LiveTask {
    pub(crate) phase: Phase,
    pub(crate) task: v1::Task,
    /// The whole description, until the executor has it; only its summary is kept after. A launched
    /// task of an earlier life that has one was perhaps never given.
    pub(crate) info: Option<Box<v1::TaskInfo>>,
    /// Its summary is on disk, or need not be.
    pub(crate) durable: bool,
    /// A KILL that came while the executor had no connection: sent when it is back.
    pub(crate) kill: Option<v1::executor::event::Kill>,
}

/// Why an update does not change a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoChange {
    /// Its terminal state is final.
    AlreadyTerminated,
    /// An executor cannot speak for a task it was not given.
    StillQueued,
}

impl LiveTask {
    pub(crate) fn queued(info: v1::TaskInfo, framework: &FrameworkId, durable: bool) -> Self {
        Self {
            phase: Phase::Queued,
            task: task::task(&info, framework, v1::TaskState::TaskStaging),
            info: Some(Box::new(info)),
            durable,
            kill: None,
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId::from(&self.task.task_id)
    }

    /// Which of two tasks of the same id came later: the first had ended when the second began.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        let is_over = |live: &Self| live.phase == Phase::Terminated;
        let last = |live: &Self| {
            live.task
                .statuses
                .last()
                .and_then(|status| status.timestamp)
        };
        match (is_over(self), is_over(other)) {
            (false, true) => true,
            (true, false) => false,
            _ => last(self) > last(other),
        }
    }

    /// Takes a status over.
    pub(crate) fn update(&mut self, status: &v1::TaskStatus) -> Result<(), NoChange> {
        let terminal = is_terminal(status.state());
        match self.phase {
            Phase::Terminated => return Err(NoChange::AlreadyTerminated),
            Phase::Queued if !terminal || status.source() == Source::Executor => {
                return Err(NoChange::StillQueued);
            }
            Phase::Queued | Phase::Launched => {}
        }
        task::push_status(&mut self.task, status);
        self.task.state = status.state;
        if terminal {
            self.phase = Phase::Terminated;
            self.info = None;
            self.kill = None;
        }
        Ok(())
    }
}
