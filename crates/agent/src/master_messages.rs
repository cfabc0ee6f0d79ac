//! The table of actor messages, and what a master may tell an agent to do.

use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use meseta_model::task_state::told;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::{internal, v1};

use crate::agent::{Agent, Phase};
use crate::executor;
use crate::framework;
use crate::outbox::Outbox;
use crate::task::Verdict;
use crate::view::Counter;

impl Agent {
    pub(crate) fn message_received(
        &mut self,
        out: &mut Outbox<'_>,
        from: &Upid,
        epoch: Option<u64>,
        message: Message,
    ) {
        if matches!(self.phase, Phase::Starting | Phase::Exited) {
            return;
        }
        if self.is_fenced(out, from, epoch) {
            return;
        }
        match message {
            Message::PingSlave(ping) => self.pinged(out, from, ping.connected),
            // The process that the agent lives in speaks for its operator.
            Message::Shutdown(_) if *from == self.pid => self.shutdown_requested(out),
            Message::RegisterExecutor(message) => {
                let executor = ExecutorId::from(&message.executor_id);
                let framework = FrameworkId::from(&message.framework_id);
                self.refuse_driver_executor(out, &framework, &executor);
            }
            Message::FrameworkToExecutor(message) => self.framework_message(out, *message),
            message if self.registration.is_master(from) => self.master_message(out, message),
            // From a master that does not lead (any more), or a stranger.
            _ => {}
        }
    }

    /// An executor that is linked with the v0 driver would wait for an answer until its time to
    /// register is over; its tasks are told at once what is wrong.
    fn refuse_driver_executor(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let Some(found) = self.executor(framework, executor) else {
            return;
        };
        let run = found.container_id.clone();
        let verdict = Verdict::new(
            v1::TaskState::TaskFailed,
            v1::task_status::Reason::ExecutorTerminated,
            "The executor uses the v0 driver, which is not part of this version of Meseta: use the v1 \
             executor API",
        );
        self.end_unsubscribed(out, &run, verdict);
    }

    fn master_message(&mut self, out: &mut Outbox<'_>, message: Message) {
        match message {
            Message::SlaveRegistered(m) => {
                self.registered(out, AgentId::from(&m.slave_id), m.connection);
            }
            Message::SlaveReregistered(m) => {
                let id = AgentId::from(&m.slave_id);
                self.reregistered(out, id, m.reconciliations, m.connection);
            }
            Message::RunTask(m) => self.run_task(out, *m),
            Message::RunTaskGroup(m) => self.run_task_group(out, *m),
            Message::KillTask(m) => self.kill_task(out, *m),
            Message::StatusUpdateAcknowledgement(m) => {
                let framework = FrameworkId::from(&m.framework_id);
                self.update_acknowledged(out, framework, TaskId::from(&m.task_id), &m.uuid);
            }
            Message::ShutdownExecutor(m) => self.shutdown_executor_message(out, *m),
            Message::ShutdownFramework(m) => {
                self.shutdown_framework_message(out, &FrameworkId::from(&m.framework_id));
            }
            Message::UpdateFramework(m) => {
                let id = FrameworkId::from(&m.framework_id);
                let pid = m.pid.and_then(|pid| pid.parse().ok());
                self.update_framework(out, &id, pid, m.framework_info);
            }
            Message::ReconcileTasks(m) if self.phase == Phase::Running => self.reconcile(out, *m),
            Message::CheckpointResources(m) => self.checkpoint_resources(out, &m.resources),
            Message::Shutdown(m) => self.shutdown_message(out, m.message.as_deref()),
            // Not meant for agents, or for capabilities that this agent does not announce.
            _ => {}
        }
    }

    /// The master knows tasks here that may never have arrived: it is told of each that is unknown.
    pub(crate) fn reconcile(
        &mut self,
        out: &mut Outbox<'_>,
        message: internal::ReconcileTasksMessage,
    ) {
        let id = FrameworkId::from(&message.framework_id);
        let info = message.framework.as_ref();
        let aware = info.is_some_and(|info| framework::capabilities(info).is_partition_aware());
        let state = told(v1::TaskState::TaskDropped, aware);
        let verdict = Verdict::new(
            state,
            v1::task_status::Reason::Reconciliation,
            "Reconciliation: task unknown to the agent",
        );
        for status in message.statuses {
            let task = TaskId::from(&status.task_id);
            let known = self.frameworks.get(&id);
            if known.is_some_and(|framework| framework.tasks.contains_key(&task)) {
                continue;
            }
            let update = self.agent_update(out, &id, &task, None, &verdict);
            self.stray_update(out, update);
        }
    }

    /// Bytes from a scheduler to one of its executors, best effort.
    fn framework_message(
        &mut self,
        out: &mut Outbox<'_>,
        message: internal::FrameworkToExecutorMessage,
    ) {
        let framework = FrameworkId::from(&message.framework_id);
        let executor = ExecutorId::from(&message.executor_id);
        let addressed = self.id.is_some() && message.slave_id == self.wire_id();
        let terminating = self
            .frameworks
            .get(&framework)
            .is_none_or(|framework| framework.terminating);
        let found = self.executor(&framework, &executor);
        let running = found.filter(|executor| executor.state == executor::State::Running);
        let event = v1::executor::Event {
            message: Some(v1::executor::event::Message { data: message.data }),
            ..executor::event(v1::executor::event::Type::Message)
        };
        let is_sent =
            addressed && !terminating && running.is_some_and(|executor| executor.send(out, event));
        out.count(if is_sent {
            Counter::ValidFrameworkMessages
        } else {
            Counter::InvalidFrameworkMessages
        });
    }
}
