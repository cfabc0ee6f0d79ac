//! Killing tasks: those that wait, those that run, those that nobody here knows.

use meseta_model::ids::{ExecutorId, FrameworkId, TaskId};
use meseta_proto::mesos::{internal, v1};
use v1::executor::event::Kill;
use v1::task_status::Reason;

use crate::agent::{Agent, Phase};
use crate::executor::{Queued, State};
use crate::executor_api::kill_event;
use crate::outbox::Outbox;
use crate::task::{self, Verdict};

impl Agent {
    pub(crate) fn kill_task(&mut self, out: &mut Outbox<'_>, message: internal::KillTaskMessage) {
        if !matches!(self.phase, Phase::Disconnected | Phase::Running) {
            return;
        }
        let framework = FrameworkId::from(&message.framework_id);
        let task = TaskId::from(&message.task_id);
        // A framework that is not here, or is on its way out, cannot acknowledge an answer.
        let Some(found) = self.frameworks.get(&framework).filter(|f| !f.terminating) else {
            return;
        };
        let Some(owner) = found.tasks.get(&task).cloned() else {
            return self.kill_unknown(out, &framework, &task);
        };
        let Some(executor) = found.executors.get(&owner) else {
            return;
        };
        let phase = executor.tasks.get(&task).map(|live| live.phase);
        match (executor.state, phase) {
            (State::Terminating | State::Terminated, _) | (_, None) => {}
            (State::Registering | State::Running, Some(task::Phase::Queued)) => {
                self.kill_queued(out, &framework, &owner, &task);
            }
            (State::Registering | State::Running, Some(task::Phase::Launched)) => {
                let kill = Kill {
                    task_id: message.task_id,
                    kill_policy: message.kill_policy,
                };
                self.kill_launched(out, &framework, &owner, &task, kill);
            }
            (State::Registering | State::Running, Some(task::Phase::Terminated)) => {}
        }
    }

    fn kill_unknown(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId, task: &TaskId) {
        let state = self
            .frameworks
            .get(framework)
            .map_or(v1::TaskState::TaskLost, |found| found.dropped_state());
        let verdict = Verdict::new(state, Reason::ExecutorTerminated, "Cannot find executor");
        self.tell(out, framework, task, None, &verdict);
    }

    /// The executor never gets it, and with it none of its group.
    pub(crate) fn kill_queued(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        owner: &ExecutorId,
        task: &TaskId,
    ) {
        let Some(executor) = self.executor(framework, owner) else {
            return;
        };
        let group = executor.queue.iter().find_map(|queued| match queued {
            Queued::Group(tasks) if tasks.contains(task) => Some(tasks.clone()),
            Queued::Group(_) | Queued::Task(_) => None,
        });
        let message = match group {
            Some(_) => "A task within the task group was killed before delivery to the executor",
            None => "Killed before delivery to the executor",
        };
        let verdict = Verdict::new(
            v1::TaskState::TaskKilled,
            Reason::TaskKilledDuringLaunch,
            message,
        );
        for task in group.unwrap_or_else(|| vec![task.clone()]) {
            self.tell(out, framework, &task, Some(owner), &verdict);
        }
        // An executor that is there and has nothing to do would wait for ever. One that has not
        // subscribed yet is told when it does.
        let executor = self.executor(framework, owner);
        let is_idle = |e: &crate::executor::Executor| {
            e.state == State::Running && !e.ever_sent && !e.has_work()
        };
        if executor.is_some_and(is_idle) {
            self.shutdown_executor(out, framework, owner);
        }
    }

    /// The executor answers with an update. One that has lost its connection for a moment is told
    /// when it is back.
    fn kill_launched(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        owner: &ExecutorId,
        task: &TaskId,
        kill: Kill,
    ) {
        let Some(executor) = self.executor_mut(framework, owner) else {
            return;
        };
        if executor.send(out, kill_event(kill.clone())) {
            return;
        }
        if let Some(live) = executor.tasks.get_mut(task) {
            live.kill = Some(kill);
        }
    }
}
