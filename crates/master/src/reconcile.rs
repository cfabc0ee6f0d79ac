//! RECONCILE: what is true of tasks, by the master's own word (semantics 76 to 79).

use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OperationId, TaskId};
use meseta_model::task_state::told;
use meseta_proto::mesos::v1;
use v1::TaskState;
use v1::scheduler::call;
use v1::task_status::Reason;

use crate::frameworks::{Framework, Task};
use crate::master::Reign;
use crate::turn::Turn;
use crate::verdicts::Word;
use crate::view::Counter;

/// What is known of a task that is in no book.
struct Unknown {
    state: TaskState,
    text: &'static str,
    since_ns: Option<u64>,
}

impl Reign {
    /// With tasks named: what is true of each. Without: every task in the books.
    pub(crate) fn reconcile(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        call: &call::Reconcile,
    ) {
        turn.count(Counter::Message("reconcile_tasks"));
        if !call.tasks.is_empty() {
            for task in &call.tasks {
                let agent = task.agent_id.as_ref().map(AgentId::from);
                self.reconcile_one(turn, id, &TaskId::from(&task.task_id), agent.as_ref());
            }
            return;
        }
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        for (task, known) in &framework.tasks {
            self.tell_latest(turn, framework, task, known);
        }
    }

    /// What is true of one task; nothing is said as long as the agent that may have it is expected.
    pub(crate) fn reconcile_one(
        &self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        task: &TaskId,
        agent: Option<&AgentId>,
    ) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        if let Some(known) = framework.tasks.get(task) {
            return self.tell_latest(turn, framework, task, known);
        }
        let unreachable = framework.unreachable.get(task);
        let agent = agent.or(unreachable.map(|task| &task.agent));
        let Some(unknown) = self.unknown_task(framework, task, agent) else {
            return;
        };
        let state = told(unknown.state, framework.is_partition_aware());
        let word = Word {
            since_ns: unknown.since_ns,
            ..Word::new(state, Reason::Reconciliation, unknown.text)
        };
        let mut update = word.update(turn, id, task, agent);
        update.executor_id = unreachable
            .and_then(|task| task.executor.as_ref())
            .map(ExecutorId::to_wire);
        self.forward(turn, id, update, None);
    }

    fn unknown_task(
        &self,
        framework: &Framework,
        task: &TaskId,
        agent: Option<&AgentId>,
    ) -> Option<Unknown> {
        let unreachable = framework.unreachable.get(task);
        let Some(agent) = agent else {
            return self.agents.recovered.is_empty().then_some(UNKNOWN);
        };
        if self.agents.recovered.contains(agent) {
            return None;
        }
        let since = self
            .registry
            .unreachable()
            .get(agent)
            .map(|record| record.since_ns);
        Some(if let Some(task) = unreachable {
            Unknown {
                state: TaskState::TaskUnreachable,
                text: "Reconciliation: Task is unreachable",
                since_ns: Some(since.unwrap_or(task.since_ns)),
            }
        } else if self.agents.get(agent).is_some() {
            Unknown {
                state: TaskState::TaskGone,
                text: "Reconciliation: Task is unknown to the agent",
                since_ns: None,
            }
        } else if let Some(since_ns) = since {
            Unknown {
                state: TaskState::TaskUnreachable,
                text: "Reconciliation: Task is unreachable",
                since_ns: Some(since_ns),
            }
        } else if self.registry.gone().contains_key(agent) {
            Unknown {
                state: TaskState::TaskGoneByOperator,
                text: "Reconciliation: Task is gone",
                since_ns: None,
            }
        } else {
            UNKNOWN
        })
    }

    /// The state that a framework was told last, or the newest, by the master's own word.
    pub(crate) fn tell_latest(
        &self,
        turn: &mut Turn<'_>,
        owner: &Framework,
        id: &TaskId,
        task: &Task,
    ) {
        let text = "Reconciliation: Latest task state";
        let word = Word::new(task.shown_state(), Reason::Reconciliation, text);
        let mut update = word.update(turn, &owner.id, id, Some(&task.agent));
        update.executor_id = task.executor.as_ref().map(ExecutorId::to_wire);
        if let Some(last) = &task.status {
            update.status.healthy = last.healthy;
            update.status.check_status = last.check_status;
            update
                .status
                .container_status
                .clone_from(&last.container_status);
        }
        self.forward(turn, &owner.id, update, None);
    }

    /// RECONCILE_OPERATIONS: what is true of each operation that is named; of every one in the books if
    /// none is. Nobody acknowledges the answers.
    pub(crate) fn reconcile_operations(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        call: &call::ReconcileOperations,
    ) {
        turn.count(Counter::Message("reconcile_operations"));
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        if call.operations.is_empty() {
            for operation in framework.operations.keys() {
                if let Some(status) = self.latest_of(framework, operation) {
                    self.tell_operation(turn, id, status);
                }
            }
        }
        for asked in &call.operations {
            let operation = OperationId::from(&asked.operation_id);
            let status = self.latest_of(framework, &operation).unwrap_or_else(|| {
                let agent = asked.agent_id.as_ref().map(AgentId::from);
                let (state, text) = self.unknown_operation(agent.as_ref());
                v1::OperationStatus {
                    operation_id: Some(operation.to_wire()),
                    state: state as i32,
                    message: Some(text.to_owned()),
                    agent_id: asked.agent_id.clone(),
                    resource_provider_id: asked.resource_provider_id.clone(),
                    ..Default::default()
                }
            });
            self.tell_operation(turn, id, status);
        }
    }

    /// The status that was passed on last of an operation that is in the books, or the first.
    fn latest_of(&self, owner: &Framework, operation: &OperationId) -> Option<v1::OperationStatus> {
        let (agent, uuid) = owner.operations.get(operation)?;
        let known = self.agents.get(agent)?.operations.get(uuid)?;
        let last = known.statuses.last().unwrap_or(&known.latest_status);
        Some(v1::OperationStatus {
            uuid: None,
            ..last.clone()
        })
    }

    /// compat: Mesos's states and words, but that an operation without an agent is not called unknown as
    /// long as agents are expected.
    fn unknown_operation(&self, agent: Option<&AgentId>) -> (v1::OperationState, &'static str) {
        use v1::OperationState::*;
        match agent {
            None if self.agents.recovered.is_empty() => (
                OperationUnknown,
                "Reconciliation: Operation is unknown and no 'agent_id' was provided",
            ),
            None => (
                OperationRecovering,
                "Reconciliation: Agents are recovered but have not re-registered",
            ),
            Some(agent) if self.agents.recovered.contains(agent) => (
                OperationRecovering,
                "Reconciliation: Agent is recovered but has not re-registered",
            ),
            Some(agent) if self.agents.get(agent).is_some() => {
                (OperationUnknown, "Reconciliation: Operation is unknown")
            }
            Some(agent) if self.registry.unreachable().contains_key(agent) => {
                (OperationUnreachable, "Reconciliation: Agent is unreachable")
            }
            Some(agent) if self.registry.gone().contains_key(agent) => (
                OperationGoneByOperator,
                "Reconciliation: Agent marked gone by operator",
            ),
            Some(_) => (
                OperationUnknown,
                "Reconciliation: Both operation and agent are unknown",
            ),
        }
    }
}

const UNKNOWN: Unknown = Unknown {
    state: TaskState::TaskUnknown,
    text: "Reconciliation: Task is unknown",
    since_ns: None,
};
