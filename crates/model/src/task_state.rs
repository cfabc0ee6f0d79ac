//! The life cycle of tasks and operations: which states end it, and who may hear of which.

use meseta_proto::mesos::v1::{OperationState, TaskState};

/// Whether a task in this state is over: its resources are free, and no later update but a better
/// informed one of the same kind is expected.
///
/// compat: LOST and GONE_BY_OPERATOR count as over although such a task may reappear as RUNNING when
/// its agent returns; UNREACHABLE and UNKNOWN do not.
#[must_use]
pub const fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}

/// Whether the master no longer charges a task in this state to its agent: over or unreachable.
#[must_use]
pub const fn is_removable(state: TaskState) -> bool {
    is_terminal(state) || matches!(state, TaskState::TaskUnreachable)
}

/// Whether the state exists only for frameworks with the PARTITION_AWARE capability.
#[must_use]
pub const fn is_partition_state(state: TaskState) -> bool {
    matches!(
        state,
        TaskState::TaskDropped
            | TaskState::TaskUnreachable
            | TaskState::TaskGone
            | TaskState::TaskGoneByOperator
            | TaskState::TaskUnknown
    )
}

/// The state as a framework is told it: all ways to lose a task are LOST to one that is not
/// partition-aware.
#[must_use]
pub const fn told(state: TaskState, partition_aware: bool) -> TaskState {
    if is_partition_state(state) && !partition_aware {
        TaskState::TaskLost
    } else {
        state
    }
}

/// Whether an executor may report this state: not STAGING, which only the master and agent use.
#[must_use]
pub const fn may_come_from_executor(state: TaskState) -> bool {
    !matches!(state, TaskState::TaskStaging)
}

/// Whether an operation in this state is over.
#[must_use]
pub const fn is_terminal_operation(state: OperationState) -> bool {
    match state {
        OperationState::OperationFinished
        | OperationState::OperationFailed
        | OperationState::OperationError
        | OperationState::OperationDropped
        | OperationState::OperationGoneByOperator => true,
        OperationState::OperationUnsupported
        | OperationState::OperationPending
        | OperationState::OperationUnreachable
        | OperationState::OperationRecovering
        | OperationState::OperationUnknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state: number on the wire, terminal, removable, told to the unaware.
    const TABLE: [(i32, bool, bool, TaskState); 14] = [
        (0, false, false, TaskState::TaskStarting),
        (1, false, false, TaskState::TaskRunning),
        (2, true, true, TaskState::TaskFinished),
        (3, true, true, TaskState::TaskFailed),
        (4, true, true, TaskState::TaskKilled),
        (5, true, true, TaskState::TaskLost),
        (6, false, false, TaskState::TaskStaging),
        (7, true, true, TaskState::TaskError),
        (8, false, false, TaskState::TaskKilling),
        (9, true, true, TaskState::TaskLost),
        (10, false, true, TaskState::TaskLost),
        (11, true, true, TaskState::TaskLost),
        (12, true, true, TaskState::TaskLost),
        (13, false, false, TaskState::TaskLost),
    ];

    #[test]
    fn every_state_is_placed() {
        for (number, terminal, removable, unaware) in TABLE {
            let state = TaskState::try_from(number).unwrap_or_else(|_| panic!("no state {number}"));
            let name = state.as_str_name();
            assert_eq!(is_terminal(state), terminal, "{name}");
            assert_eq!(is_removable(state), removable, "{name}");
            assert_eq!(told(state, false), unaware, "{name}");
            assert_eq!(told(state, true), state, "{name}");
            assert_eq!(is_partition_state(state), number >= 9, "{name}");
            assert_eq!(may_come_from_executor(state), number != 6, "{name}");
        }
        assert!(
            TaskState::try_from(14).is_err(),
            "a state was added: place it"
        );
    }

    #[test]
    fn every_operation_state_is_placed() {
        let terminal = [
            false, false, true, true, true, true, false, true, false, false,
        ];
        for (number, terminal) in (0..).zip(terminal) {
            let state = OperationState::try_from(number).unwrap_or_else(|_| panic!("no {number}"));
            assert_eq!(
                is_terminal_operation(state),
                terminal,
                "{}",
                state.as_str_name()
            );
        }
        assert!(
            OperationState::try_from(10).is_err(),
            "a state was added: place it"
        );
    }
}
