//! Launches that were under way when the agent died, and go on in its next life.
//!
//! A launch of a checkpointing framework passes these points: its task is on disk → the supervisor is
//! started → its pid is on disk → it is released → the executor subscribes → it is given the task → it
//! speaks of it. Whatever the agent died between, the next life finds the task under `meta/`, with the
//! event that gives it to its executor behind it, and nothing told of it. It then knows for sure
//! whether the task began:
//!
//! - No pid on disk, or the container room found that the supervisor was held to its end: the program
//!   never ran. The same run starts once more.
//! - The executor subscribes and speaks of the task: it has it.
//! - The executor subscribes and does not speak of it: it never got it, and is given it now. This is
//!   what SUBSCRIBE's `unacknowledged_tasks` are for; Mesos, which does not have the description any
//!   more, answers TASK_DROPPED here.
//! - Neither: the executor ran and is gone, or the host was started anew. The task may have begun, and
//!   is told to be over.
//!
//! Nothing starts, and no task is given, before a master has admitted the agent again: it may have
//! decided about the task while the agent was away.

use std::collections::BTreeSet;

use meseta_model::container::Termination;
use meseta_model::ids::{ExecutorId, FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_proto::mesos::v1::{self, executor};
use v1::task_status::Reason;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::executor::{Container, Executor, Past, Queued, State};
use crate::framework::Framework;
use crate::launch::Start;
use crate::outbox::Outbox;
use crate::task::{self, LiveTask, Verdict};

impl Executor {
    /// Puts back into the queue what may have to be given (again): tasks of which nothing was told.
    /// They count as launched until it is known that they are not.
    pub(crate) fn remember_launches(
        &mut self,
        launches: Vec<executor::Event>,
        untold: &BTreeSet<TaskId>,
    ) {
        for event in launches {
            let (infos, is_group) = match (event.launch, event.launch_group) {
                (Some(launch), _) => (vec![launch.task], false),
                (None, Some(group)) => (group.task_group.tasks, true),
                (None, None) => continue,
            };
            let ids: Vec<TaskId> = infos.iter().map(|info| (&info.task_id).into()).collect();
            let is_whole = ids
                .iter()
                .all(|id| untold.contains(id) && self.tasks.contains_key(id));
            if !is_whole {
                continue;
            }
            for (id, info) in ids.iter().zip(infos) {
                if let Some(live) = self.tasks.get_mut(id) {
                    live.info = Some(Box::new(info));
                }
            }
            self.queue.push_back(match ids.as_slice() {
                [only] if !is_group => Queued::Task(only.clone()),
                _ => Queued::Group(ids),
            });
        }
    }

    /// Launched tasks that the executor does not speak of and that said nothing themselves. A group is
    /// given as a whole: one that it speaks of in part cannot be given again.
    fn never_received(&mut self, known: &BTreeSet<TaskId>) -> Vec<TaskId> {
        for queued in &self.queue {
            if queued.tasks().iter().any(|task| known.contains(task)) {
                for task in queued.tasks() {
                    if let Some(live) = self.tasks.get_mut(task) {
                        live.info = None;
                    }
                }
            }
        }
        let is_lost = |live: &LiveTask| {
            live.phase == task::Phase::Launched
                && live.task.state() == v1::TaskState::TaskStaging
                && !known.contains(&live.id())
        };
        let tasks = self.tasks.values();
        tasks
            .filter(|live| is_lost(live))
            .map(|live| live.id())
            .collect()
    }

    fn can_start_again(&self) -> bool {
        let mut tasks = self.tasks.values();
        self.state == State::Registering
            && self.container == Container::Launched
            && tasks.any(|live| live.phase == task::Phase::Launched && live.info.is_some())
    }
}

impl Agent {
    /// What becomes of the tasks of a run whose program never ran and will not.
    pub(crate) fn never_started(&self, framework: &FrameworkId) -> Verdict {
        let state = self.frameworks.get(framework).map(Framework::dropped_state);
        Verdict::new(
            state.unwrap_or(v1::TaskState::TaskLost),
            Reason::AgentRestarted,
            "The agent restarted before the task was started",
        )
    }

    /// Whatever the container room says of a run without a pid on disk: it never ran.
    pub(crate) fn container_terminated(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        termination: Termination,
    ) {
        let past = self.executor(framework, id).map(|executor| executor.past);
        if past != Some(Past::Held) || !self.start_again(out, framework, id) {
            self.executor_terminated(out, framework, id, Some(termination));
        }
    }

    pub(crate) fn container_never_released(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) {
        let past = self.executor(framework, id).map(|executor| executor.past);
        if past == Some(Past::Lost) {
            // The container room's records are not flushed: of a run of another boot they may be old.
            return self.executor_terminated(out, framework, id, Some(Termination::default()));
        }
        if self.start_again(out, framework, id) {
            return;
        }
        let verdict = self.never_started(framework);
        if let Some(executor) = self.executor_mut(framework, id) {
            executor.ending.get_or_insert(verdict);
        }
        self.executor_terminated(out, framework, id, None);
    }

    /// Prepares the same run once more. False if there is nothing to start it for.
    fn start_again(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) -> bool {
        let Some(found) = self.frameworks.get(framework).filter(|f| !f.terminating) else {
            return false;
        };
        let Some(executor) = found.executors.get(id).filter(|e| e.can_start_again()) else {
            return false;
        };
        if self.phase == Phase::Terminating {
            return false;
        }
        let spec = self.launch_spec(&Start {
            framework: &found.info,
            executor: &executor.info,
            generated: executor.generated,
            run: &executor.container_id,
            directory: &executor.directory,
            limits: executor.usage.limits(),
        });
        let (run, run_dir) = (executor.container_id.clone(), self.run_dir_of(executor));
        self.cancel_executor_timers(out, framework, id, &run);
        let Some(executor) = self.executor_mut(framework, id) else {
            return false;
        };
        executor.container = Container::Preparing(Box::new(spec));
        executor.past = Past::None;
        executor.released = false;
        executor.awaited = false;
        executor.ending = None;
        let had_pid = executor.pid.is_some();
        let lost = executor.never_received(&BTreeSet::new());
        self.queue_again(out, framework, id, &lost);
        // The last task may just have been dropped or killed.
        let executor = self.executor(framework, id);
        if !executor.is_some_and(|executor| executor.has_work()) {
            self.executor_terminated(out, framework, id, None);
        } else if had_pid {
            // Were it still there when the supervisor starts anew, a crash before its pid is written
            // would leave the wrong one.
            let then = Then::Tasks {
                framework: framework.clone(),
                executor: id.clone(),
                run,
                tasks: Vec::new(),
            };
            let path = checkpoint::pid_file(&run_dir);
            self.persist(out, vec![Write::Delete { path }], then);
        } else {
            self.launch_container(out, framework, id);
        }
        self.finish_recovery_if_complete(out);
        true
    }

    /// An executor subscribed: what it never got of what it should have is queued for it, or dropped
    /// if this agent does not have the description.
    pub(crate) fn settle_never_received(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        subscribe: &executor::call::Subscribe,
    ) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let updates = &subscribe.unacknowledged_updates;
        executor.ever_sent |= !updates.is_empty();
        let tasks = subscribe
            .unacknowledged_tasks
            .iter()
            .map(|info| &info.task_id);
        let spoken_of = updates.iter().map(|update| &update.status.task_id);
        let known: BTreeSet<TaskId> = tasks.chain(spoken_of).map(TaskId::from).collect();
        let lost = executor.never_received(&known);
        self.queue_again(out, framework, id, &lost);
    }

    /// Tasks that count as launched and never were. What is then left of those that count as launched,
    /// the executor has.
    fn queue_again(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        tasks: &[TaskId],
    ) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let (mut dropped, mut killed) = (Vec::new(), Vec::new());
        for task in tasks {
            let Some(live) = executor.tasks.get_mut(task) else {
                continue;
            };
            if live.info.is_none() {
                dropped.push(task.clone());
                continue;
            }
            live.phase = task::Phase::Queued;
            killed.extend(live.kill.take().map(|_| task.clone()));
            executor.show_task(out, task);
        }
        for live in executor.tasks.values_mut() {
            if live.phase != task::Phase::Queued {
                live.info = None;
            }
        }
        let state = self.frameworks.get(framework).map(Framework::dropped_state);
        let verdict = Verdict::new(
            state.unwrap_or(v1::TaskState::TaskLost),
            Reason::AgentRestarted,
            "Task launched during agent restart",
        );
        for task in dropped {
            self.tell(out, framework, &task, Some(id), &verdict);
        }
        for task in killed {
            self.kill_queued(out, framework, id, &task);
        }
    }

    /// A master has admitted the agent: what waited for that goes on.
    pub(crate) fn resume_launches(&mut self, out: &mut Outbox<'_>) {
        let executors = self.frameworks.values().flat_map(|f| f.executors.values());
        let all: Vec<_> = executors
            .map(|executor| (executor.framework.clone(), executor.id.clone()))
            .collect();
        for (framework, id) in all {
            let Some(executor) = self.executor_mut(&framework, &id) else {
                continue;
            };
            let is_prepared = matches!(executor.container, Container::Preparing(_));
            match (is_prepared, executor.pid) {
                (true, None) => self.launch_container(out, &framework, &id),
                // Its old pid is on its way off the disk.
                (true, Some(_)) => {}
                (false, _) => executor.deliver(out),
            }
        }
    }
}
