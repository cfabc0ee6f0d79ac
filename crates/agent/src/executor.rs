//! One run of an executor.

use std::collections::{BTreeMap, VecDeque};

use meseta_model::container::{ContainerLimits, LaunchSpec};
use meseta_model::edge::StreamId;
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::resources::ResourceFormat;
use meseta_proto::mesos::v1::{self, executor};

use crate::agent::Agent;
use crate::event::Effect;
use crate::limits;
use crate::outbox::Outbox;
use crate::task::{LiveTask, Phase, Verdict};
use crate::usage::Usage;
use crate::view::{Delta, ExecutorView, TaskList};

/// How far the executor is. Mesos's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Launched or recovered, not yet subscribed.
    Registering,
    /// Subscribed once in this life of the agent.
    Running,
    /// Told to go.
    Terminating,
    /// Its container is over; updates of its tasks may still be unacknowledged.
    Terminated,
}

/// What this life of the agent knows of an earlier one's part in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// None: the run began in this life, or begins anew in it.
    None,
    /// Its pid is not on disk, so its program was never released: it never ran.
    Held,
    /// Its program ran, unless the container room knows better.
    Released,
    /// The host was started anew since; whatever ran is gone, and nothing tells whether it did.
    Lost,
}

/// How far its container is.
#[derive(Debug, PartialEq)]
pub(crate) enum Container {
    /// Its infos are on the way to the disk; it starts after them.
    Preparing(Box<LaunchSpec>),
    /// Asked for.
    Launching,
    /// Its first process exists.
    Launched,
    /// No process of it is left.
    Over,
}

/// What is waiting for the executor to subscribe, in order of arrival.
#[derive(Debug)]
pub(crate) enum Queued {
    Task(TaskId),
    Group(Vec<TaskId>),
}

impl Queued {
    pub(crate) fn tasks(&self) -> &[TaskId] {
        match self {
            Self::Task(task) => std::slice::from_ref(task),
            Self::Group(tasks) => tasks,
        }
    }
}

/// One run of an executor.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) id: ExecutorId,
    pub(crate) framework: FrameworkId,
    pub(crate) info: v1::ExecutorInfo,
    pub(crate) container_id: ContainerId,
    /// Absolute path of the sandbox.
    pub(crate) directory: String,
    /// Made up here for a command task; the master does not know it.
    pub(crate) generated: bool,
    pub(crate) checkpoint: bool,
    pub(crate) state: State,
    pub(crate) container: Container,
    pub(crate) pid: Option<u32>,
    pub(crate) stream: Option<StreamId>,
    pub(crate) tasks: BTreeMap<TaskId, Box<LiveTask>>,
    pub(crate) queue: VecDeque<Queued>,
    /// Oldest first; at most [`limits::COMPLETED_TASKS_PER_EXECUTOR`].
    pub(crate) completed: VecDeque<v1::Task>,
    /// What its tasks are told when its container ends, decided before it ends.
    pub(crate) ending: Option<Verdict>,
    /// What it and its tasks that are not over hold.
    pub(crate) usage: Usage,
    /// The bounds its container has.
    pub(crate) limits: ContainerLimits,
    /// Was ever given a task.
    pub(crate) ever_sent: bool,
    /// Its program may run, now or in an earlier life.
    pub(crate) released: bool,
    pub(crate) past: Past,
    /// Its wait status, until the master has been told that it is over: not before the ends of its tasks
    /// are on disk if it never ran, for until then a restarted agent would start it.
    pub(crate) exit_owed: Option<i32>,
    /// A ReregisterSlave that is not answered yet says that it is there.
    pub(crate) listed: bool,
    /// Recovery waits for it to come back or to end.
    pub(crate) awaited: bool,
    /// It subscribed in an earlier life, as far as is known.
    pub(crate) subscribed_before: bool,
}

impl Executor {
    /// Whether a task is queued or launched: something that can still run.
    pub(crate) fn has_work(&self) -> bool {
        self.tasks
            .values()
            .any(|task| task.phase != Phase::Terminated)
    }

    /// Whether a task may be running in it, as far as is known.
    pub(crate) fn was_given_work(&self) -> bool {
        let mut tasks = self.tasks.values();
        self.ever_sent || tasks.any(|task| task.phase == Phase::Launched)
    }

    /// Writes an event to its stream; without one the event is dropped.
    pub(crate) fn send(&self, out: &mut Outbox<'_>, event: executor::Event) -> bool {
        let Some(stream) = &self.stream else {
            return false;
        };
        out.push(Effect::SendEvent {
            stream: stream.clone(),
            event: Box::new(event),
        });
        true
    }

    /// Gives it what is queued, in order, as far as that is on disk.
    pub(crate) fn deliver(&mut self, out: &mut Outbox<'_>) {
        if self.state != State::Running || self.stream.is_none() {
            return;
        }
        let mut given = Vec::new();
        while let Some(next) = self.queue.front() {
            let is_waiting = |task: &LiveTask| task.phase == Phase::Queued && !task.durable;
            let ready = next
                .tasks()
                .iter()
                .all(|id| !self.tasks.get(id).is_some_and(|task| is_waiting(task)));
            if !ready {
                break;
            }
            given.extend(self.queue.pop_front());
        }
        if given.is_empty() {
            return;
        }
        self.update_limits(out);
        for queued in given {
            self.give(out, &queued);
        }
    }

    /// Tasks that were killed while they waited are still in the queue; they are passed over.
    fn give(&mut self, out: &mut Outbox<'_>, queued: &Queued) {
        let mut infos = Vec::new();
        for id in queued.tasks() {
            let waiting = self.tasks.get_mut(id);
            if let Some(task) = waiting.filter(|task| task.phase == Phase::Queued) {
                task.phase = Phase::Launched;
                infos.extend(task.info.take().map(|info| *info));
            }
        }
        if infos.is_empty() {
            return;
        }
        self.ever_sent = true;
        let event = match queued {
            Queued::Task(_) => infos.pop().map(launch_event),
            Queued::Group(_) => Some(launch_group_event(infos)),
        };
        if let Some(event) = event {
            self.send(out, event);
        }
        for id in queued.tasks() {
            self.show_task(out, id);
        }
    }

    /// Tells the container room when the bounds are other than those the container has.
    pub(crate) fn update_limits(&mut self, out: &mut Outbox<'_>) {
        let wanted = self.usage.limits();
        if wanted == self.limits || self.container != Container::Launched {
            return;
        }
        self.limits = wanted;
        out.push(Effect::UpdateContainer {
            container_id: self.container_id.clone(),
            limits: wanted,
        });
    }

    /// A task holds nothing any more. A command executor has nothing to do without its task; its
    /// bounds die with it.
    pub(crate) fn task_ended(&mut self, out: &mut Outbox<'_>, id: &TaskId) {
        if let Some(live) = self.tasks.get(id) {
            self.usage.remove_task(&live.task);
        }
        if self.generated {
            return;
        }
        if self.state == State::Running {
            self.update_limits(out);
        }
        self.show(out);
    }

    /// Its framework is gone: what its tasks came to will not be acknowledged, or was never said.
    pub(crate) fn abandon_tasks(&mut self, out: &mut Outbox<'_>) {
        let left: Vec<TaskId> = self.tasks.keys().cloned().collect();
        for id in left {
            if let Some(live) = self.tasks.get_mut(&id) {
                live.phase = Phase::Terminated;
            }
            self.show_task(out, &id);
        }
    }

    /// A task that is history whatever is known of it.
    pub(crate) fn abandon_task(&mut self, out: &mut Outbox<'_>, id: &TaskId) {
        if let Some(live) = self.tasks.get_mut(id) {
            live.phase = Phase::Terminated;
        }
        self.complete(out, id);
    }

    /// Moves a task whose end is acknowledged into the bounded history.
    pub(crate) fn complete(&mut self, out: &mut Outbox<'_>, id: &TaskId) -> bool {
        let over = self
            .tasks
            .get(id)
            .is_some_and(|task| task.phase == Phase::Terminated);
        if !over {
            return false;
        }
        let Some(live) = self.tasks.remove(id) else {
            return false;
        };
        out.changed(Delta::Task {
            container_id: self.container_id.clone(),
            task: Box::new(live.task.clone()),
            list: TaskList::Completed,
        });
        self.completed.push_back(live.task);
        if self.completed.len() > limits::COMPLETED_TASKS_PER_EXECUTOR
            && let Some(oldest) = self.completed.pop_front()
        {
            out.changed(Delta::TaskForgotten {
                framework: self.framework.clone(),
                container_id: self.container_id.clone(),
                task: TaskId::from(&oldest.task_id),
            });
        }
        true
    }

    pub(crate) fn show(&self, out: &mut Outbox<'_>) {
        out.changed(Delta::Executor(Box::new(ExecutorView {
            framework: self.framework.clone(),
            info: self.info.clone(),
            container_id: self.container_id.clone(),
            directory: self.directory.clone(),
            command_executor: self.generated,
            resources: self.usage.held().to_wire(ResourceFormat::PostRefinement),
        })));
    }

    pub(crate) fn show_task(&self, out: &mut Outbox<'_>, id: &TaskId) {
        let Some(live) = self.tasks.get(id) else {
            return;
        };
        out.changed(Delta::Task {
            container_id: self.container_id.clone(),
            task: Box::new(live.task.clone()),
            list: match live.phase {
                Phase::Queued => TaskList::Queued,
                Phase::Launched => TaskList::Launched,
                Phase::Terminated => TaskList::Terminated,
            },
        });
    }
}

pub(crate) fn event(kind: executor::event::Type) -> executor::Event {
    executor::Event {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

pub(crate) fn launch_event(task: v1::TaskInfo) -> executor::Event {
    executor::Event {
        launch: Some(executor::event::Launch { task }),
        ..event(executor::event::Type::Launch)
    }
}

pub(crate) fn launch_group_event(tasks: Vec<v1::TaskInfo>) -> executor::Event {
    executor::Event {
        launch_group: Some(executor::event::LaunchGroup {
            task_group: v1::TaskGroupInfo { tasks },
        }),
        ..event(executor::event::Type::LaunchGroup)
    }
}

impl Agent {
    /// Gives the executor what it can have now.
    pub(crate) fn deliver(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        if let Some(executor) = self.executor_mut(framework, executor) {
            executor.deliver(out);
        }
    }
}
