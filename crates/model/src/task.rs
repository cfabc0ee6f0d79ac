//! Tasks and their status updates as master and agent both make them.

use meseta_proto::mesos::{internal, v1};
use v1::TaskState;
use v1::task_status::Source;

use crate::ids::{AgentId, FrameworkId, TaskId};
use crate::limits::STATUSES_PER_TASK;
use crate::step::Now;
use crate::task_state::told;

/// The record of a task that master and agent keep and show, from what the framework asked for.
#[must_use]
pub fn task(info: &v1::TaskInfo, framework_id: &FrameworkId, state: TaskState) -> v1::Task {
    let command_user = info
        .command
        .as_ref()
        .and_then(|command| command.user.clone());
    let executor_user = || info.executor.as_ref()?.command.as_ref()?.user.clone();
    v1::Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id: framework_id.to_wire(),
        executor_id: info
            .executor
            .as_ref()
            .map(|executor| executor.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: state as i32,
        resources: info.resources.clone(),
        limits: info.limits.clone(),
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        health_check: info.health_check.clone(),
        kill_policy: info.kill_policy,
        user: command_user.or_else(executor_user),
        statuses: Vec::new(),
        status_update_state: None,
        status_update_uuid: None,
    }
}

/// Notes a status in a task's history: one per stretch of equal states, the latest of it. Its data,
/// which may be large and belongs to the framework, is not kept. Past [`STATUSES_PER_TASK`] the second
/// oldest makes room.
pub fn push_status(task: &mut v1::Task, status: &v1::TaskStatus) {
    if task
        .statuses
        .last()
        .is_some_and(|last| last.state == status.state)
    {
        task.statuses.pop();
    }
    if task.statuses.len() >= STATUSES_PER_TASK {
        task.statuses.remove(1);
    }
    task.statuses.push(v1::TaskStatus {
        data: None,
        ..status.clone()
    });
}

/// A status that says the least: task, state, source and time. Fill in the rest with struct update:
/// `TaskStatus { message: …, ..status(…) }`. Without a uuid it asks for no acknowledgement.
#[must_use]
pub fn status(task_id: &TaskId, state: TaskState, source: Source, now: Now) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: task_id.to_wire(),
        state: state as i32,
        source: Some(source as i32),
        timestamp: Some(now.wall_seconds()),
        ..Default::default()
    }
}

/// Wraps a status for the way between agent and master. What the status says about executor, time
/// and uuid is repeated around it; the agent is added to a status that does not name it.
#[must_use]
pub fn status_update(
    framework_id: &FrameworkId,
    agent_id: Option<&AgentId>,
    status: v1::TaskStatus,
    now: Now,
) -> internal::StatusUpdate {
    let slave_id = agent_id.map(AgentId::to_wire);
    internal::StatusUpdate {
        framework_id: framework_id.to_wire(),
        executor_id: status.executor_id.clone(),
        timestamp: status.timestamp.unwrap_or_else(|| now.wall_seconds()),
        uuid: status.uuid.clone(),
        latest_state: None,
        status: v1::TaskStatus {
            agent_id: status.agent_id.clone().or_else(|| slave_id.clone()),
            ..status
        },
        slave_id,
    }
}

/// Rewrites a status for a framework that cannot tell the ways to lose a task apart.
pub fn downgrade(status: &mut v1::TaskStatus, partition_aware: bool) {
    status.state = told(status.state(), partition_aware) as i32;
}

/// Whether the last status says that the task is healthy; `None` if it does not say.
#[must_use]
pub fn health(task: &v1::Task) -> Option<bool> {
    task.statuses.last().and_then(|status| status.healthy)
}

/// The latest container status that any status brought.
#[must_use]
pub fn container_status(task: &v1::Task) -> Option<&v1::ContainerStatus> {
    task.statuses
        .iter()
        .rev()
        .find_map(|status| status.container_status.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const NOW: Now = Now {
        mono_us: 7,
        wall_ns: 1_500_000_000,
    };

    fn info() -> v1::TaskInfo {
        v1::TaskInfo {
            name: "n".to_owned(),
            task_id: TaskId::new("t").to_wire(),
            agent_id: AgentId::new("s").to_wire(),
            command: Some(v1::CommandInfo {
                user: Some("u".to_owned()),
                ..Default::default()
            }),
            data: Some(Bytes::from_static(b"secret")),
            ..Default::default()
        }
    }

    #[test]
    fn a_task_is_what_was_asked_for() {
        let made = task(&info(), &"f".into(), TaskState::TaskStaging);
        let wanted = v1::Task {
            name: "n".to_owned(),
            task_id: TaskId::new("t").to_wire(),
            framework_id: FrameworkId::new("f").to_wire(),
            agent_id: AgentId::new("s").to_wire(),
            state: TaskState::TaskStaging as i32,
            user: Some("u".to_owned()),
            ..Default::default()
        };
        assert_eq!(made, wanted);
    }

    #[test]
    fn the_user_comes_from_the_executor_if_the_command_names_none() {
        let executor = v1::ExecutorInfo {
            command: Some(v1::CommandInfo {
                user: Some("e".to_owned()),
                ..Default::default()
            }),
            executor_id: v1::ExecutorId {
                value: "x".to_owned(),
            },
            ..Default::default()
        };
        let info = v1::TaskInfo {
            command: None,
            executor: Some(executor),
            ..info()
        };
        let made = task(&info, &"f".into(), TaskState::TaskStaging);
        assert_eq!(made.user.as_deref(), Some("e"));
        assert_eq!(
            made.executor_id,
            Some(v1::ExecutorId {
                value: "x".to_owned()
            })
        );
    }

    fn running(message: &str) -> v1::TaskStatus {
        v1::TaskStatus {
            message: Some(message.to_owned()),
            data: Some(Bytes::from_static(b"large")),
            ..status(&"t".into(), TaskState::TaskRunning, Source::Executor, NOW)
        }
    }

    #[test]
    fn history_keeps_the_last_of_each_stretch_without_data() {
        let mut made = task(&info(), &"f".into(), TaskState::TaskStaging);
        let killing = status(&"t".into(), TaskState::TaskKilling, Source::Executor, NOW);
        for status in [&running("1"), &running("2"), &killing, &running("3")] {
            push_status(&mut made, status);
        }
        let kept = |message: &str| v1::TaskStatus {
            data: None,
            ..running(message)
        };
        assert_eq!(made.statuses, [kept("2"), killing, kept("3")]);
    }

    #[test]
    fn history_is_bounded_and_keeps_its_beginning() {
        let mut made = task(&info(), &"f".into(), TaskState::TaskStaging);
        push_status(&mut made, &running("first"));
        for i in 0..STATUSES_PER_TASK {
            let state = [TaskState::TaskKilling, TaskState::TaskRunning][i % 2];
            push_status(
                &mut made,
                &status(&"t".into(), state, Source::Executor, NOW),
            );
        }
        assert_eq!(made.statuses.len(), STATUSES_PER_TASK);
        assert_eq!(made.statuses[0].message.as_deref(), Some("first"));
        assert_eq!(
            made.statuses[1].state(),
            TaskState::TaskRunning,
            "one KILLING made room"
        );
    }

    #[test]
    fn an_update_repeats_its_status() {
        let uuid = Bytes::from_static(&[1; 16]);
        let status = v1::TaskStatus {
            uuid: Some(uuid.clone()),
            executor_id: Some(v1::ExecutorId {
                value: "e".to_owned(),
            }),
            ..running("")
        };
        let update = status_update(
            &"f".into(),
            Some(&"s".into()),
            status.clone(),
            Now::default(),
        );
        let wanted = internal::StatusUpdate {
            framework_id: FrameworkId::new("f").to_wire(),
            executor_id: Some(v1::ExecutorId {
                value: "e".to_owned(),
            }),
            slave_id: Some(AgentId::new("s").to_wire()),
            timestamp: 1.5,
            uuid: Some(uuid),
            latest_state: None,
            status: v1::TaskStatus {
                agent_id: Some(AgentId::new("s").to_wire()),
                ..status
            },
        };
        assert_eq!(update, wanted);
        let bare = v1::TaskStatus {
            timestamp: None,
            ..running("")
        };
        assert_eq!(status_update(&"f".into(), None, bare, NOW).timestamp, 1.5);
    }

    #[test]
    fn health_and_container_come_from_the_history() {
        let mut made = task(&info(), &"f".into(), TaskState::TaskRunning);
        assert_eq!((health(&made), container_status(&made)), (None, None));
        let container = v1::ContainerStatus {
            executor_pid: Some(5),
            ..Default::default()
        };
        let first = v1::TaskStatus {
            container_status: Some(container.clone()),
            ..running("")
        };
        push_status(&mut made, &first);
        let second = status(&"t".into(), TaskState::TaskKilling, Source::Executor, NOW);
        push_status(
            &mut made,
            &v1::TaskStatus {
                healthy: Some(false),
                ..second
            },
        );
        assert_eq!(
            (health(&made), container_status(&made)),
            (Some(false), Some(&container))
        );
    }

    #[test]
    fn downgrading_changes_the_state_only() {
        let unreachable = status(&"t".into(), TaskState::TaskUnreachable, Source::Master, NOW);
        let mut told = unreachable.clone();
        downgrade(&mut told, true);
        assert_eq!(told, unreachable);
        downgrade(&mut told, false);
        assert_eq!(
            told,
            v1::TaskStatus {
                state: TaskState::TaskLost as i32,
                ..unreachable
            }
        );
    }
}
