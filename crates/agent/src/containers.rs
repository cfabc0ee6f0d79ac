//! What the container room reports, and what it means for executors and their tasks.

use meseta_model::container::{ContainerReport, Termination};
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_proto::mesos::v1;
use v1::task_status::Reason;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::event::{Effect, Timer};
use crate::executor::{Container, Executor, State};
use crate::framework::CompletedExecutor;
use crate::gc::Garbage;
use crate::limits;
use crate::outbox::Outbox;
use crate::task::{self, Verdict};
use crate::view::{Counter, Delta};

/// The status that stands for an unknown one, as in Mesos.
const UNKNOWN_STATUS: i32 = -1;

impl Agent {
    pub(crate) fn container_reported(&mut self, out: &mut Outbox<'_>, report: ContainerReport) {
        match report {
            ContainerReport::Launched { container_id, pid } => {
                self.container_launched(out, &container_id, pid);
            }
            ContainerReport::LaunchFailed {
                container_id,
                message,
            } => self.container_launch_failed(out, &container_id, &message),
            ContainerReport::Terminated {
                container_id,
                termination,
            } => {
                self.orphan_ended(out, &container_id);
                if let Some((framework, executor)) = self.by_container(&container_id) {
                    self.container_terminated(out, &framework, &executor, termination);
                }
            }
            ContainerReport::NeverReleased { container_id } => {
                if let Some((framework, executor)) = self.by_container(&container_id) {
                    self.container_never_released(out, &framework, &executor);
                }
            }
            ContainerReport::OrphansFound { containers } => self.orphans_found(out, containers),
        }
    }

    /// The first process exists and is held. It may run once its pid is on disk, so that a restarted
    /// agent finds it.
    fn container_launched(&mut self, out: &mut Outbox<'_>, run: &ContainerId, pid: u32) {
        let Some((framework, id)) = self.by_container(run) else {
            // Of an executor that is forgotten already.
            return out.push(Effect::DestroyContainer(run.clone()));
        };
        let Some(executor) = self.executor_mut(&framework, &id) else {
            return;
        };
        if executor.container != Container::Launching {
            return;
        }
        executor.container = Container::Launched;
        executor.pid = Some(pid);
        if matches!(executor.state, State::Terminating | State::Terminated) {
            return out.push(Effect::DestroyContainer(run.clone()));
        }
        if !executor.checkpoint {
            return self.release(out, run);
        }
        if let Some(executor) = self.executor(&framework, &id) {
            let path = checkpoint::pid_file(&self.run_dir_of(executor));
            let write = checkpoint::put(path, pid.to_string());
            self.persist(out, vec![write], Then::Release(run.clone()));
        }
    }

    pub(crate) fn release(&mut self, out: &mut Outbox<'_>, run: &ContainerId) {
        let Some((framework, id)) = self.by_container(run) else {
            return;
        };
        let Some(executor) = self.executor_mut(&framework, &id) else {
            return;
        };
        match executor.state {
            State::Registering | State::Running => {
                executor.released = true;
                out.push(Effect::ReleaseContainer(run.clone()));
            }
            State::Terminating => out.push(Effect::DestroyContainer(run.clone())),
            State::Terminated => {}
        }
    }

    fn container_launch_failed(&mut self, out: &mut Outbox<'_>, run: &ContainerId, message: &str) {
        let Some((framework, id)) = self.by_container(run) else {
            return;
        };
        out.count(Counter::ContainerLaunchErrors);
        if let Some(executor) = self.executor_mut(&framework, &id) {
            executor.ending.get_or_insert(Verdict::new(
                v1::TaskState::TaskFailed,
                Reason::ContainerLaunchFailed,
                format!("Failed to launch container: {message}"),
            ));
        }
        self.executor_terminated(out, &framework, &id, None);
    }

    /// An executor that should have subscribed and did not: its tasks are told this reason when its
    /// container is over.
    pub(crate) fn end_unsubscribed(
        &mut self,
        out: &mut Outbox<'_>,
        run: &ContainerId,
        verdict: Verdict,
    ) {
        let Some((framework, id)) = self.by_container(run) else {
            return;
        };
        let Some(executor) = self.executor_mut(&framework, &id) else {
            return;
        };
        if executor.state != State::Registering {
            return;
        }
        executor.state = State::Terminating;
        executor.ending.get_or_insert(verdict);
        out.push(Effect::DestroyContainer(run.clone()));
    }

    /// Nothing of the container is left. Tasks that were not over are now.
    pub(crate) fn executor_terminated(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        termination: Option<Termination>,
    ) {
        let framework_terminating = self.frameworks.get(framework).is_none_or(|f| f.terminating);
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        if executor.state == State::Terminated {
            return;
        }
        executor.state = State::Terminated;
        executor.container = Container::Over;
        executor.awaited = false;
        let generated = executor.generated;
        let run = executor.container_id.clone();
        let stream = executor.stream.take();
        let ending = ending_of(executor, termination.as_ref());
        let live: Vec<TaskId> = executor
            .tasks
            .values()
            .filter(|live| live.phase != task::Phase::Terminated)
            .map(|live| live.id())
            .collect();
        out.count(Counter::ExecutorsTerminated);
        if let Some(stream) = stream {
            self.streams.remove(&stream);
            out.push(Effect::CloseStream(stream));
        }
        self.cancel_executor_timers(out, framework, id, &run);
        if !framework_terminating {
            for task in live {
                self.end_task(out, framework, id, &task, &ending, termination.as_ref());
            }
        }
        if !generated {
            let status = termination.and_then(|termination| termination.wait_status);
            if let Some(executor) = self.executor_mut(framework, id) {
                executor.exit_owed = Some(status.unwrap_or(UNKNOWN_STATUS));
            }
            self.tell_exit_if_safe(out, framework, id);
        }
        self.remove_executor_if_done(out, framework, id);
        self.remove_framework_if_idle(out, framework);
        self.finish_recovery_if_complete(out);
    }

    pub(crate) fn cancel_executor_timers(
        &self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        run: &ContainerId,
    ) {
        let key = || (framework.clone(), id.clone(), run.clone());
        let (f, e, c) = key();
        out.cancel(Timer::ExecutorRegistration(f, e, c));
        let (f, e, c) = key();
        out.cancel(Timer::ExecutorShutdown(f, e, c));
        out.cancel(Timer::Heartbeat(run.clone()));
    }

    /// Tells the master that an executor is over, once no restart can undo that.
    pub(crate) fn tell_exit_if_safe(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) {
        let executor = self.executor(framework, id);
        let is_safe = executor.is_some_and(|executor| self.exit_is_safe(executor));
        // A master that does not count on this agent would drop it.
        if !is_safe || self.phase != Phase::Running {
            return;
        }
        let executor = self.executor_mut(framework, id);
        if let Some(status) = executor.and_then(|executor| executor.exit_owed.take()) {
            self.send_exited_executor(out, framework, id, status);
        }
    }

    /// Whether no restart would start the executor again.
    pub(crate) fn exit_is_safe(&self, executor: &Executor) -> bool {
        let could_start_again = executor.checkpoint && !executor.released;
        let is_unsafe = |task: &TaskId| {
            let key = (executor.framework.clone(), task.clone());
            let stream = self.updates.streams.get(&key);
            stream.is_some_and(|stream| !stream.is_durable())
        };
        !could_start_again || !executor.tasks.keys().any(is_unsafe)
    }

    /// The last of an executor whose end the master was not told of. Nothing of it starts again.
    fn tell_or_owe_exit(&mut self, out: &mut Outbox<'_>, executor: &Executor, status: i32) {
        let (framework, id) = (&executor.framework, &executor.id);
        if self.phase == Phase::Running {
            return self.send_exited_executor(out, framework, id, status);
        }
        if executor.listed {
            // What is not listed is gone: the next registration tells that.
            let owed = &mut self.registration.exits_owed;
            owed.push_back((framework.clone(), id.clone(), status));
            if owed.len() > limits::EXITS_OWED {
                owed.pop_front();
            }
        }
    }

    /// A master has admitted the agent: it is told of the executors that ended meanwhile.
    pub(crate) fn tell_owed_exits(&mut self, out: &mut Outbox<'_>) {
        for (framework, id, status) in std::mem::take(&mut self.registration.exits_owed) {
            self.send_exited_executor(out, &framework, &id, status);
        }
        let executors = self.frameworks.values_mut();
        let executors = executors.flat_map(|found| found.executors.values_mut());
        let mut owing = Vec::new();
        for executor in executors {
            executor.listed = false;
            if executor.exit_owed.is_some() {
                owing.push((executor.framework.clone(), executor.id.clone()));
            }
        }
        for (framework, id) in owing {
            self.tell_exit_if_safe(out, &framework, &id);
        }
    }

    fn end_task(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        task: &TaskId,
        ending: &Verdict,
        termination: Option<&Termination>,
    ) {
        let mut update = self.agent_update(out, framework, task, Some(id), ending);
        let limitation = termination.and_then(|termination| termination.limitation.as_ref());
        let exceeded = limitation.map_or(&[][..], |limitation| &limitation.resources);
        if !exceeded.is_empty() && is_container_limitation(ending.reason) {
            update.status.limitation = Some(v1::TaskResourceLimitation {
                resources: exceeded.to_vec(),
            });
        }
        self.status_update(out, update, None);
    }

    /// A run whose container is over and whose tasks are all acknowledged becomes history; one of a
    /// framework that is going cannot wait for acknowledgements.
    pub(crate) fn remove_executor_if_done(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) {
        let Some(found) = self.frameworks.get(framework) else {
            return;
        };
        let Some(executor) = found.executors.get(id) else {
            return;
        };
        let waits = !executor.tasks.is_empty() && !found.terminating;
        if executor.state != State::Terminated || waits {
            return;
        }
        if executor.checkpoint {
            let sentinel = format!("{}/executor.sentinel", self.run_dir_of(executor));
            self.persist(out, vec![checkpoint::put(sentinel, "")], Then::Nothing);
        }
        let Some(mut executor) = self.take_executor(framework, id) else {
            return;
        };
        if let Some(status) = executor.exit_owed.take() {
            self.tell_or_owe_exit(out, &executor, status);
        }
        let run = executor.container_id.clone();
        executor.abandon_tasks(out);
        self.containers.remove(&run);
        self.collect(
            out,
            Garbage::Run(framework.clone(), id.clone(), run.clone()),
        );
        self.collect(out, Garbage::Executor(framework.clone(), id.clone()));
        out.changed(Delta::ExecutorCompleted {
            framework: framework.clone(),
            executor: id.clone(),
            container_id: run,
        });
        self.keep_as_history(out, framework, executor);
    }

    fn take_executor(&mut self, framework: &FrameworkId, id: &ExecutorId) -> Option<Executor> {
        let found = self.frameworks.get_mut(framework)?;
        let executor = found.executors.remove(id)?;
        for task in executor.tasks.keys() {
            found.tasks.remove(task);
        }
        Some(executor)
    }

    pub(crate) fn keep_as_history(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: Executor,
    ) {
        let limit = self.config.max_completed_executors_per_framework;
        let Some(found) = self.frameworks.get_mut(framework) else {
            return;
        };
        let mut tasks = executor.completed;
        tasks.extend(executor.tasks.into_values().map(|live| live.task));
        found.completed.push_back(CompletedExecutor {
            id: executor.id,
            container_id: executor.container_id,
            tasks,
        });
        while found.completed.len() > limit
            && let Some(oldest) = found.completed.pop_front()
        {
            out.changed(Delta::ExecutorForgotten {
                framework: framework.clone(),
                executor: oldest.id,
                container_id: oldest.container_id,
            });
        }
    }

    /// Recovery is over once every executor of the earlier life is back or gone.
    pub(crate) fn finish_recovery_if_complete(&mut self, out: &mut Outbox<'_>) {
        if self.phase != Phase::Recovering {
            return;
        }
        let mut executors = self.frameworks.values().flat_map(|f| f.executors.values());
        if !executors.any(|executor| executor.awaited && executor.state == State::Registering) {
            self.finish_recovery(out);
        }
    }
}

fn is_container_limitation(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ContainerLimitation
            | Reason::ContainerLimitationDisk
            | Reason::ContainerLimitationMemory
    )
}

/// What the tasks of a run that ended are told: the bound that was passed, else what the agent had
/// decided before, else that the executor is gone.
fn ending_of(executor: &Executor, termination: Option<&Termination>) -> Verdict {
    let limitation = termination.and_then(|termination| termination.limitation.as_ref());
    let decided = executor.ending.as_ref();
    let own = limitation
        .map(|limitation| limitation.message.as_str())
        .or(termination.map(|termination| termination.message.as_str()));
    let sentences = [decided.map(|ending| ending.message.as_str()), own];
    let known: Vec<&str> = sentences
        .into_iter()
        .flatten()
        .filter(|sentence| !sentence.is_empty())
        .collect();
    Verdict {
        state: match (limitation, decided) {
            (None, Some(ending)) => ending.state,
            (Some(_), _) | (None, None) => v1::TaskState::TaskFailed,
        },
        reason: match (limitation, decided) {
            (Some(limitation), _) => limitation.reason,
            (None, Some(ending)) => ending.reason,
            (None, None) => Reason::ExecutorTerminated,
        },
        message: match known.as_slice() {
            [] => "Executor terminated".to_owned(),
            known => known.join("; "),
        },
    }
}
