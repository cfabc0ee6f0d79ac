//! Task status updates: from agents to frameworks, acknowledgements back, and the master's own word.

use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RefusalKind};
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use meseta_model::upid::Upid;
use meseta_proto::mesos::v1::scheduler::call;
use meseta_proto::mesos::{internal, v1};
use v1::TaskState;
use v1::task_status::{Reason, Source};

use crate::frameworks::Framework;
use crate::master::Reign;
use crate::notice::Notice;
use crate::permissions;
use crate::registry::TaskRef;
use crate::turn::Turn;
use crate::view::{Counter, Delta, TaskList};
use meseta_model::task_state::is_terminal;

/// What libprocess writes where there is no actor; drivers know by it that a status needs no answer.
const NOBODY: &str = "@0.0.0.0:0";

impl Reign {
    /// Passes a status on to its framework; `from` is the agent that sent it. Says whether anyone was
    /// there to hear it.
    pub(crate) fn forward(
        &self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        update: internal::StatusUpdate,
        from: Option<&Upid>,
    ) -> bool {
        let connection = self
            .frameworks
            .get(framework)
            .and_then(|framework| framework.connection.as_ref());
        let notice = Notice::Update {
            update: Box::new(update),
            pid: from.map_or_else(|| NOBODY.to_owned(), Upid::to_string),
        };
        turn.tell(connection, notice);
        connection.is_some()
    }

    /// `StatusUpdateMessage` from an agent.
    pub(crate) fn status_update(
        &mut self,
        turn: &mut Turn<'_>,
        from: &Upid,
        message: internal::StatusUpdateMessage,
    ) {
        turn.count(Counter::Message("status_update"));
        let update = message.update;
        let agent = update.slave_id.as_ref().map(AgentId::from);
        let known = agent
            .as_ref()
            .and_then(|id| self.agents.get(id))
            .is_some_and(|agent| agent.pid == *from && agent.leaving.is_none());
        let (Some(agent), true) = (agent, known) else {
            // It comes again when the agent has registered.
            return turn.count(Counter::InvalidStatusUpdates);
        };
        let framework = FrameworkId::from(&update.framework_id);
        let task = TaskId::from(&update.status.task_id);
        let on_agent = self
            .frameworks
            .get(&framework)
            .and_then(|framework| framework.tasks.get(&task))
            .is_some_and(|task| task.agent == agent);
        if on_agent {
            self.apply_update(turn, &framework, &task, &update);
        } else {
            self.answer_arrived(turn, &agent, &framework, &task, &update);
        }
        let heard = self.forward(turn, &framework, update, Some(from));
        turn.count(if heard && on_agent {
            Counter::ValidStatusUpdates
        } else {
            Counter::InvalidStatusUpdates
        });
    }

    /// Brings a task up to date. Resources go back as soon as the newest state is terminal, even if
    /// the status itself is older (semantic 75).
    pub(crate) fn apply_update(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        id: &TaskId,
        update: &internal::StatusUpdate,
    ) {
        let Some(task) = self
            .frameworks
            .get_mut(framework)
            .and_then(|framework| framework.tasks.get_mut(id))
        else {
            return;
        };
        let shown = TaskState::try_from(update.status.state).unwrap_or(task.state);
        let newest = update
            .latest_state
            .and_then(|state| TaskState::try_from(state).ok())
            .unwrap_or(shown);
        let before = task.state;
        if !is_terminal(before) {
            task.state = newest;
        }
        if let Some(uuid) = &update.uuid {
            task.update = Some((shown, uuid.clone()));
        }
        let mut status = crate::notice::status_for_stream(update);
        status.data = None;
        task.status = Some(Box::new(v1::TaskStatus {
            message: None,
            ..status.clone()
        }));
        let executor = task.executor.clone();
        let (state, role) = (task.state, task.role.clone());
        let (agent, resources) = (task.agent.clone(), task.resources.clone());
        turn.changed(Delta::TaskUpdated {
            framework: framework.clone(),
            task: id.clone(),
            state,
            status: Some(Box::new(status)),
        });
        if is_terminal(state) && !is_terminal(before) {
            count_end(turn, state, &update.status);
            self.give_back(turn, framework, &role, &agent, &resources);
        }
        if let Some(executor) = executor {
            if update.status.source() == Source::Executor {
                self.confirm_executor(&agent, framework, &executor);
            } else if is_terminal(state) {
                self.drop_if_never_started(turn, &agent, framework, &executor);
            }
        }
    }

    /// ACKNOWLEDGE: goes on to the agent; the task is forgotten when it was about its end.
    pub(crate) fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        call: call::Acknowledge,
    ) {
        turn.count(Counter::Message("status_update_acknowledgement"));
        let (agent, task) = (AgentId::from(&call.agent_id), TaskId::from(&call.task_id));
        if self.agents.connected(&agent).is_none() {
            // The update comes again when the agent is back.
            return turn.count(Counter::InvalidStatusUpdateAcknowledgements);
        }
        let ack = internal::StatusUpdateAcknowledgementMessage {
            slave_id: call.agent_id,
            framework_id: framework.to_wire(),
            task_id: call.task_id,
            uuid: call.uuid.clone(),
        };
        let known = self
            .frameworks
            .get(framework)
            .and_then(|framework| framework.tasks.get(&task))
            .filter(|task| task.agent == agent);
        let reference = TaskRef {
            agent: agent.clone(),
            framework: framework.clone(),
            task: task.clone(),
        };
        if self.digest.is_settled(&reference) {
            // Once more what was acknowledged before: it leaves when the registry has forgotten the task.
            // Going past that, it would let the agent forget a task that a new leader still expects.
            return turn.count(Counter::InvalidStatusUpdateAcknowledgements);
        }
        let last = match known.map(|task| task.update.as_ref()) {
            Some(Some((state, uuid))) => is_terminal(*state) && *uuid == call.uuid,
            Some(None) => return turn.count(Counter::InvalidStatusUpdateAcknowledgements),
            None => self.answer_acknowledged(&reference, &call.uuid),
        };
        if last {
            self.remove_task(turn, framework, &task, TaskList::Completed);
            self.acknowledge_last(turn, reference, ack);
        } else if let Some(agent) = self.agents.get(&agent) {
            turn.send(&agent.pid, ack);
            turn.count(Counter::ValidStatusUpdateAcknowledgements);
        }
    }

    /// KILL: to the agent; asked again when it comes back.
    pub(crate) fn kill(&mut self, turn: &mut Turn<'_>, framework: &FrameworkId, kill: call::Kill) {
        turn.count(Counter::Message("kill_task"));
        let id = TaskId::from(&kill.task_id);
        let agent = kill.agent_id.as_ref().map(AgentId::from);
        let Some(task) = self
            .frameworks
            .get(framework)
            .and_then(|f| f.tasks.get(&id))
        else {
            return self.reconcile_one(turn, framework, &id, agent.as_ref());
        };
        if agent.is_some_and(|agent| agent != task.agent) {
            return;
        }
        let Some(agent) = self.agents.registered.get_mut(&task.agent) else {
            return;
        };
        agent.killed.insert((framework.clone(), id));
        if agent.connected {
            let message = internal::KillTaskMessage {
                framework_id: framework.to_wire(),
                task_id: kill.task_id,
                kill_policy: kill.kill_policy,
            };
            turn.send(&agent.pid, message);
        }
    }

    /// KILL_TASK of the operator API, ours: as if the task's own scheduler asked.
    pub(crate) fn kill_by_operator(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &Caller,
        framework: &FrameworkId,
        task: &TaskId,
        policy: Option<v1::KillPolicy>,
    ) -> Result<Option<Outcome>, Refusal> {
        let owner = self.frameworks.get(framework);
        let lives = |owner: &&Framework| {
            let known = owner.tasks.get(task);
            known.is_some_and(|known| !is_terminal(known.state))
        };
        let Some(owner) = owner.filter(lives) else {
            let text = format!("No live task '{task}' of framework '{framework}'");
            return Err(Refusal::new(RefusalKind::NotFound, text));
        };
        permissions::teardown(caller, owner)?;
        let kill = call::Kill {
            task_id: task.to_wire(),
            agent_id: None,
            kill_policy: policy,
        };
        self.kill(turn, framework, kill);
        Ok(Some(Outcome::Accepted))
    }

    /// SHUTDOWN: asks the agent to end an executor.
    pub(crate) fn shutdown_executor(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        call: &call::Shutdown,
    ) {
        let (agent, executor) = (
            AgentId::from(&call.agent_id),
            ExecutorId::from(&call.executor_id),
        );
        let known = self
            .agents
            .connected(&agent)
            .filter(|agent| agent.executor(framework, &executor).is_some());
        if let Some(agent) = known {
            let message = internal::ShutdownExecutorMessage {
                executor_id: Some(executor.to_wire()),
                framework_id: Some(framework.to_wire()),
            };
            turn.send(&agent.pid, message);
        }
    }

    /// MESSAGE: bytes for an executor, as good as the connection.
    pub(crate) fn message_to_executor(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        call: call::Message,
    ) {
        turn.count(Counter::Message("framework_to_executor"));
        let agent = AgentId::from(&call.agent_id);
        if let Some(agent) = self.agents.connected(&agent) {
            let message = internal::FrameworkToExecutorMessage {
                slave_id: call.agent_id,
                framework_id: framework.to_wire(),
                executor_id: call.executor_id,
                data: call.data,
            };
            turn.send(&agent.pid, message);
        } else {
            turn.count(Counter::DroppedMessages);
        }
    }

    /// Bytes from an executor for its framework.
    pub(crate) fn executor_message(
        &mut self,
        turn: &mut Turn<'_>,
        message: internal::ExecutorToFrameworkMessage,
    ) {
        turn.count(Counter::Message("executor_to_framework"));
        let framework = FrameworkId::from(&message.framework_id);
        match self
            .frameworks
            .get(&framework)
            .map(|f| f.connection.as_ref())
        {
            Some(connection @ Some(_)) => turn.tell(connection, Notice::Message(Box::new(message))),
            _ => turn.count(Counter::DroppedMessages),
        }
    }

    /// `ExitedExecutorMessage`: an executor is over; its framework hears how it ended.
    pub(crate) fn executor_exited(
        &mut self,
        turn: &mut Turn<'_>,
        from: &Upid,
        message: internal::ExitedExecutorMessage,
    ) {
        turn.count(Counter::Message("exited_executor"));
        let agent = AgentId::from(&message.slave_id);
        let framework = FrameworkId::from(&message.framework_id);
        let executor = ExecutorId::from(&message.executor_id);
        if self
            .agents
            .get(&agent)
            .is_none_or(|agent| agent.pid != *from)
        {
            return turn.count(Counter::DroppedMessages);
        }
        if !self.remove_executor(turn, &agent, &framework, &executor) {
            // Told already: by a registration that does not list it, or by its agent twice.
            return turn.count(Counter::DroppedMessages);
        }
        if let Some(framework) = self.frameworks.get(&framework) {
            let notice = Notice::ExecutorExited(Box::new(message));
            turn.tell(framework.connection.as_ref(), notice);
        }
    }
}

/// Counts the end of a task, by state, and by source and reason where they are known.
pub(crate) fn count_end(turn: &mut Turn<'_>, state: TaskState, status: &v1::TaskStatus) {
    turn.count(Counter::TasksEnded(state));
    let source = status
        .source
        .and_then(|source| Source::try_from(source).ok());
    let reason = status
        .reason
        .and_then(|reason| Reason::try_from(reason).ok());
    if let (Some(source), Some(reason)) = (source, reason) {
        turn.count(Counter::TaskEndedBecause(state, source, reason));
    }
}
