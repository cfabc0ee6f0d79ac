//! One task within an executor run.

use meseta_model::ids::{FrameworkId, TaskId};
use meseta_proto::mesos::v1;

use crate::limits;

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

/// A task that is not acknowledged as over.
#[derive(Debug)]
pub(crate) struct LiveTask {
    pub(crate) phase: Phase,
    pub(crate) task: v1::Task,
    /// The whole description, until the executor has it; only its summary is kept after.
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
            task: summary(&info, framework),
            info: Some(Box::new(info)),
            durable,
            kill: None,
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId::from(&self.task.task_id)
    }

    /// Takes a status over. Of several in a row with the same state only the last is shown.
    pub(crate) fn update(&mut self, status: &v1::TaskStatus) -> Result<(), NoChange> {
        let terminal = is_terminal(status.state());
        match self.phase {
            Phase::Terminated => return Err(NoChange::AlreadyTerminated),
            Phase::Queued if !terminal => return Err(NoChange::StillQueued),
            Phase::Queued | Phase::Launched => {}
        }
        let statuses = &mut self.task.statuses;
        if statuses.last().is_some_and(|last| last.state == status.state) {
            statuses.pop();
        } else if statuses.len() >= limits::STATUSES_PER_TASK {
            statuses.remove(0);
        }
        statuses.push(status.clone());
        self.task.state = status.state;
        if terminal {
            self.phase = Phase::Terminated;
            self.info = None;
            self.kill = None;
        }
        Ok(())
    }
}

/// The states that no other follows (LOST and GONE_BY_OPERATOR included: the agent that said so is
/// done with the task).
pub(crate) fn is_terminal(state: v1::TaskState) -> bool {
    use v1::TaskState as S;
    match state {
        S::TaskFinished
        | S::TaskFailed
        | S::TaskKilled
        | S::TaskError
        | S::TaskLost
        | S::TaskDropped
        | S::TaskGone
        | S::TaskGoneByOperator => true,
        S::TaskStaging
        | S::TaskStarting
        | S::TaskRunning
        | S::TaskKilling
        | S::TaskUnreachable
        | S::TaskUnknown => false,
    }
}

/// What masters, views and `task.info` know of a task.
pub(crate) fn summary(info: &v1::TaskInfo, framework: &FrameworkId) -> v1::Task {
    let executor_user = info.executor.as_ref().and_then(|e| e.command.as_ref());
    let user = match &info.command {
        Some(command) if command.user.is_some() => command.user.clone(),
        _ => executor_user.and_then(|command| command.user.clone()),
    };
    v1::Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id: framework.to_wire(),
        executor_id: info.executor.as_ref().map(|e| e.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: v1::TaskState::TaskStaging.into(),
        resources: info.resources.clone(),
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        health_check: info.health_check.clone(),
        kill_policy: info.kill_policy.clone(),
        user,
        limits: info.limits.clone(),
        ..Default::default()
    }
}
