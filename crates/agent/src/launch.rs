//! How a task gets from the master to its executor.
//!
//! A task is looked over, queued with its executor (which is made if there is none), written down if
//! its framework checkpoints, and given to the executor once that has subscribed. Whatever is wrong
//! ends in a status update, never in silence.

use meseta_model::container::{ContainerClass, ContainerLimits, LaunchSpec, Program};
use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_model::task;
use meseta_model::upid::Upid;
use meseta_proto::mesos::{internal, v1};
use v1::task_status::Reason;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::command_executor::command_executor;
use crate::config::spelled;
use crate::environment;
use crate::event::{Effect, Timer};
use crate::executor::{Container, Executor, Past, Queued, State, launch_event, launch_group_event};
use crate::gc::Garbage;
use crate::outbox::Outbox;
use crate::task::{LiveTask, Verdict};
use crate::usage::Usage;

/// One launch: a task alone, or a group that starts as one.
pub(crate) struct Launch {
    pub(crate) framework: FrameworkId,
    pub(crate) info: v1::FrameworkInfo,
    /// Where the framework's v0 driver listens.
    pid: Option<Upid>,
    pub(crate) executor: v1::ExecutorInfo,
    pub(crate) generated: bool,
    pub(crate) tasks: Vec<v1::TaskInfo>,
    pub(crate) group: bool,
    pub(crate) versions: Vec<internal::ResourceVersionUuid>,
    /// Whether the master expects a new executor; older masters do not say.
    pub(crate) launch_executor: Option<bool>,
}

impl Launch {
    /// What the executor is told.
    fn event(&self) -> v1::executor::Event {
        match (self.group, self.tasks.as_slice()) {
            (false, [only]) => launch_event(only.clone()),
            (_, all) => launch_group_event(all.to_vec()),
        }
    }
}

/// A run that is about to start.
pub(crate) struct Start<'a> {
    pub(crate) framework: &'a v1::FrameworkInfo,
    pub(crate) executor: &'a v1::ExecutorInfo,
    pub(crate) generated: bool,
    pub(crate) run: &'a ContainerId,
    pub(crate) directory: &'a str,
    pub(crate) limits: ContainerLimits,
}

impl Agent {
    pub(crate) fn run_task(&mut self, out: &mut Outbox<'_>, message: internal::RunTaskMessage) {
        let info = message.framework;
        let framework = FrameworkId::from(&info.id.clone().unwrap_or_default());
        let task = message.task;
        let own = task.executor.clone();
        let generated = own.is_none();
        let executor =
            own.unwrap_or_else(|| command_executor(&self.config.launcher_dir, &framework, &task));
        self.launch(
            out,
            Launch {
                framework,
                pid: message.pid.and_then(|pid| pid.parse().ok()),
                info,
                executor,
                generated,
                tasks: vec![task],
                group: false,
                versions: message.resource_version_uuids,
                launch_executor: message.launch_executor,
            },
        );
    }

    pub(crate) fn run_task_group(
        &mut self,
        out: &mut Outbox<'_>,
        message: internal::RunTaskGroupMessage,
    ) {
        let info = message.framework;
        self.launch(
            out,
            Launch {
                framework: FrameworkId::from(&info.id.clone().unwrap_or_default()),
                info,
                pid: None,
                executor: message.executor,
                generated: false,
                tasks: message.task_group.tasks,
                group: true,
                versions: message.resource_version_uuids,
                launch_executor: message.launch_executor,
            },
        );
    }

    fn launch(&mut self, out: &mut Outbox<'_>, mut launch: Launch) {
        let meant_here = launch
            .tasks
            .iter()
            .all(|task| self.id.as_ref() == Some(&AgentId::from(&task.agent_id)));
        // A launch that waited while the agent told a master (again) what it has comes too late: that
        // master may have given the resources to others by now. It asks about the task when it lets
        // the agent in, and hears that it never started.
        let serves = self.phase == Phase::Running;
        if !meant_here || !serves || launch.tasks.is_empty() {
            return;
        }
        if !checkpoint::is_path_component(launch.framework.as_str()) {
            return;
        }
        let wire_id = launch.framework.to_wire();
        launch.executor.framework_id.get_or_insert(wire_id);
        launch.inject_allocation_roles();
        let upgraded = launch.upgrade_resources();
        self.add_framework(out, &launch.info, launch.pid.clone());
        if self.is_repeated(&launch) {
            return;
        }
        match upgraded.and_then(|()| self.check_launch(&launch)) {
            Ok(()) => self.accept_launch(out, launch),
            Err(refused) => self.refuse_launch(out, &launch, &refused),
        }
    }

    fn refuse_launch(&mut self, out: &mut Outbox<'_>, launch: &Launch, refused: &Verdict) {
        let executor = ExecutorId::from(&launch.executor.executor_id);
        for task in &launch.tasks {
            let id = TaskId::from(&task.task_id);
            self.tell(out, &launch.framework, &id, Some(&executor), refused);
        }
        if launch.launch_executor == Some(true) {
            self.executor_wanted_but_not_launched(out, launch, &executor);
        }
        self.remove_framework_if_idle(out, &launch.framework);
    }

    /// The master counts on a new executor that there will not be: it must hear of its end, or the
    /// present one's, to charge the right resources.
    fn executor_wanted_but_not_launched(
        &mut self,
        out: &mut Outbox<'_>,
        launch: &Launch,
        executor: &ExecutorId,
    ) {
        let existing = self.executor(&launch.framework, executor);
        match existing.map(|existing| existing.state) {
            _ if launch.generated => {}
            None | Some(State::Terminated) => {
                self.send_exited_executor(out, &launch.framework, executor, -1);
            }
            Some(State::Registering | State::Running) => {
                self.shutdown_executor(out, &launch.framework, executor);
            }
            Some(State::Terminating) => {}
        }
    }

    fn accept_launch(&mut self, out: &mut Outbox<'_>, launch: Launch) {
        let executor = ExecutorId::from(&launch.executor.executor_id);
        let checkpoints = launch.info.checkpoint();
        let exists = self.executor(&launch.framework, &executor).is_some();
        let mut writes = Vec::new();
        if !exists {
            writes = self.add_executor(&launch);
        }
        for task in &launch.tasks {
            self.drop_stray_stream(out, &launch.framework, &TaskId::from(&task.task_id));
        }
        let tasks = self.enqueue(&launch, &executor, &mut writes);
        let Some(found) = self.executor(&launch.framework, &executor) else {
            return;
        };
        let run = found.container_id.clone();
        if !exists || !found.generated {
            found.show(out);
        }
        for task in &tasks {
            found.show_task(out, task);
        }
        if checkpoints {
            let then = Then::Tasks {
                framework: launch.framework,
                executor,
                run,
                tasks,
            };
            self.persist(out, writes, then);
        } else if exists {
            self.deliver(out, &launch.framework, &executor);
        } else {
            self.launch_container(out, &launch.framework, &executor);
        }
    }

    fn enqueue(
        &mut self,
        launch: &Launch,
        executor_id: &ExecutorId,
        writes: &mut Vec<Write>,
    ) -> Vec<TaskId> {
        let agent = self.id.clone().unwrap_or_else(|| AgentId::from(""));
        let Some(framework) = self.frameworks.get_mut(&launch.framework) else {
            return Vec::new();
        };
        let Some(executor) = framework.executors.get_mut(executor_id) else {
            return Vec::new();
        };
        let run_dir =
            checkpoint::run_dir(&agent, &framework.id, executor_id, &executor.container_id);
        let mut ids = Vec::new();
        let mut event = executor.checkpoint.then(|| launch.event());
        for info in &launch.tasks {
            let id = TaskId::from(&info.task_id);
            let task = LiveTask::queued(info.clone(), &framework.id, !executor.checkpoint);
            if executor.checkpoint {
                let event = event.take();
                writes.push(checkpoint::task_write(&run_dir, &task.task, event.as_ref()));
                let (run, task_id) = (executor.container_id.clone(), id.clone());
                let old = Garbage::Task(framework.id.clone(), executor_id.clone(), run, task_id);
                if self.gc.unschedule(&old) {
                    // An earlier task of this id in this run: its updates are not this one's. They go
                    // last: without them the earlier task would look as if it had not begun.
                    let path = checkpoint::updates_file(&run_dir, &id);
                    writes.push(Write::Delete { path });
                }
            }
            executor.usage.add_task(&task.task);
            executor.tasks.insert(id.clone(), Box::new(task));
            framework.tasks.insert(id.clone(), executor_id.clone());
            ids.push(id);
        }
        executor
            .queue
            .push_back(match (launch.group, ids.as_slice()) {
                (false, [only]) => Queued::Task(only.clone()),
                _ => Queued::Group(ids.clone()),
            });
        ids
    }

    /// Makes the executor and what its container will be; answers what to write down first.
    fn add_executor(&mut self, launch: &Launch) -> Vec<Write> {
        let Some(agent) = self.id.clone() else {
            return Vec::new();
        };
        let id = ExecutorId::from(&launch.executor.executor_id);
        let run = ContainerId::root(self.rng.uuid());
        let run_dir = checkpoint::run_dir(&agent, &launch.framework, &id, &run);
        let directory = format!("{}/{run_dir}", self.config.work_dir);
        let mut usage = Usage::of_executor(&launch.executor);
        for task in &launch.tasks {
            let staging = v1::TaskState::TaskStaging;
            usage.add_task(&task::task(task, &launch.framework, staging));
        }
        let spec = self.launch_spec(&Start {
            framework: &launch.info,
            executor: &launch.executor,
            generated: launch.generated,
            run: &run,
            directory: &directory,
            limits: usage.limits(),
        });
        let executor = Executor {
            id: id.clone(),
            framework: launch.framework.clone(),
            info: launch.executor.clone(),
            container_id: run.clone(),
            directory,
            generated: launch.generated,
            checkpoint: launch.info.checkpoint(),
            state: State::Registering,
            usage: Usage::of_executor(&launch.executor),
            limits: spec.limits,
            container: Container::Preparing(Box::new(spec)),
            pid: None,
            stream: None,
            tasks: Default::default(),
            queue: Default::default(),
            completed: Default::default(),
            ending: None,
            ever_sent: false,
            released: false,
            past: Past::None,
            exit_owed: None,
            listed: false,
            awaited: false,
            subscribed_before: false,
        };
        self.gc
            .unschedule(&Garbage::Executor(launch.framework.clone(), id.clone()));
        self.containers
            .insert(run, (launch.framework.clone(), id.clone()));
        let Some(framework) = self.frameworks.get_mut(&launch.framework) else {
            return Vec::new();
        };
        let mut writes = Vec::new();
        if executor.checkpoint {
            if std::mem::take(&mut framework.unsaved) {
                writes = checkpoint::framework_writes(&agent, framework);
            }
            writes.extend(checkpoint::executor_writes(&agent, &executor));
        }
        framework.executors.insert(id, executor);
        writes
    }

    pub(crate) fn launch_spec(&self, start: &Start<'_>) -> LaunchSpec {
        let info = start.executor;
        let command = info.command.clone().unwrap_or_default();
        let container = info.container.as_ref();
        let rlimits = container.and_then(|container| container.rlimit_info.as_ref());
        let user = command
            .user
            .clone()
            .unwrap_or_else(|| start.framework.user.clone());
        LaunchSpec {
            container_id: start.run.clone(),
            class: ContainerClass::Default,
            environment: environment::variables(&environment::Context {
                config: &self.config,
                info,
                directory: start.directory,
                agent_id: self.wire_id().value,
                agent_pid: self.pid.to_string(),
                agent_endpoint: self.pid.address.to_string(),
                checkpoint: start.framework.checkpoint(),
            }),
            user: self.config.switch_user.then_some(user),
            sandbox: start.directory.to_owned(),
            create_sandbox: true,
            uris: command.uris.clone(),
            limits: start.limits,
            rlimits: rlimits.map(|all| all.rlimits.clone()).unwrap_or_default(),
            container: info.container.clone(),
            program: if start.generated {
                Program::CommandExecutor
            } else {
                Program::Command(command)
            },
        }
    }

    /// Starts the container that was prepared, and the time it has to register. One of an earlier life
    /// waits until a master has admitted this agent, and with it the task.
    pub(crate) fn launch_container(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let timeout = self.config.executor_registration_timeout;
        if !self.registration.admitted {
            return;
        }
        let Some(found) = self.executor_mut(framework, executor) else {
            return;
        };
        let prepared = std::mem::replace(&mut found.container, Container::Launching);
        let Container::Preparing(spec) = prepared else {
            found.container = prepared;
            return;
        };
        out.push(Effect::LaunchContainer(spec));
        out.wake(
            Timer::ExecutorRegistration(
                framework.clone(),
                executor.clone(),
                found.container_id.clone(),
            ),
            timeout,
        );
    }

    /// Ends tasks that will not be given to their executor after all.
    pub(crate) fn drop_queued(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        tasks: &[TaskId],
        message: &str,
    ) {
        let Some(found) = self.frameworks.get(framework) else {
            return;
        };
        let state = found.dropped_state();
        let verdict = Verdict::new(state, Reason::ContainerLaunchFailed, message);
        for task in tasks {
            let framework_now = self.frameworks.get(framework);
            let owner = framework_now.and_then(|found| found.tasks.get(task).cloned());
            self.tell(out, framework, task, owner.as_ref(), &verdict);
        }
    }

    pub(crate) fn send_exited_executor(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        status: i32,
    ) {
        let Some(master) = &self.registration.master else {
            return;
        };
        let message = internal::ExitedExecutorMessage {
            slave_id: self.wire_id(),
            framework_id: framework.to_wire(),
            executor_id: executor.to_wire(),
            status,
        };
        out.send(master, message);
    }

    /// The executor had its time to subscribe and did not.
    pub(crate) fn executor_not_registered(&mut self, out: &mut Outbox<'_>, run: &ContainerId) {
        let timeout = self.config.executor_registration_timeout;
        let message = format!("Executor did not register within {}", spelled(timeout));
        let reason = Reason::ExecutorRegistrationTimeout;
        let verdict = Verdict::new(v1::TaskState::TaskFailed, reason, message);
        self.end_unsubscribed(out, run, verdict);
    }
}
