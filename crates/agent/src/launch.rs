//! How a task gets from the master to its executor.
//!
//! A task is looked over, queued with its executor (which is made if there is none), written down if
//! its framework checkpoints, and given to the executor once that has subscribed. Whatever is wrong
//! ends in a status update, never in silence.

use meseta_model::container::{ContainerClass, LaunchSpec, Program};
use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_model::upid::Upid;
use meseta_proto::mesos::{internal, v1};
use v1::task_status::Reason;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::config::spelled;
use crate::environment;
use crate::event::{Effect, Timer};
use crate::executor::{Container, Executor, Queued, State};
use crate::format;
use crate::gc::Garbage;
use crate::limits;
use crate::outbox::Outbox;
use crate::task::LiveTask;

/// One launch: a task alone, or a group that starts as one.
pub(crate) struct Launch {
    framework: FrameworkId,
    info: v1::FrameworkInfo,
    /// Where the framework's v0 driver listens.
    pid: Option<Upid>,
    executor: v1::ExecutorInfo,
    generated: bool,
    tasks: Vec<v1::TaskInfo>,
    group: bool,
    versions: Vec<internal::ResourceVersionUuid>,
    /// Whether the master expects a new executor; older masters do not say.
    launch_executor: Option<bool>,
}

/// Why a launch does not happen, as its tasks are told.
pub(crate) struct Refused {
    state: v1::TaskState,
    reason: Reason,
    message: String,
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
        let serves = matches!(self.phase, Phase::Disconnected | Phase::Running);
        if !meant_here || !serves || launch.tasks.is_empty() {
            return;
        }
        if !checkpoint::is_path_component(launch.framework.as_str()) {
            return;
        }
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

    /// A task that is live here already: this launch is a repetition of one that was taken.
    fn is_repeated(&self, launch: &Launch) -> bool {
        let framework = self.frameworks.get(&launch.framework);
        framework.is_some_and(|framework| {
            let mut ids = launch.tasks.iter().map(|task| TaskId::from(&task.task_id));
            framework.terminating || ids.any(|id| framework.tasks.contains_key(&id))
        })
    }

    fn check_launch(&self, launch: &Launch) -> Result<(), Refused> {
        let framework = self.frameworks.get(&launch.framework);
        let dropped = framework.map_or(v1::TaskState::TaskLost, |f| f.dropped_state());
        launch.check_ids()?;
        launch.check_executor_type()?;
        self.check_versions(launch, dropped)?;
        let executor = ExecutorId::from(&launch.executor.executor_id);
        let existing = self.executor(&launch.framework, &executor);
        self.check_checkpointed(launch, dropped)?;
        launch.check_expectation(existing, dropped)?;
        match existing {
            Some(existing) => launch.check_existing(existing, dropped),
            None => Ok(()),
        }
    }

    /// A master that worked with resources this agent no longer has offered what is not there.
    fn check_versions(&self, launch: &Launch, dropped: v1::TaskState) -> Result<(), Refused> {
        let own = launch
            .versions
            .iter()
            .find(|version| version.resource_provider_id.is_none());
        match own {
            Some(version) if version.uuid.value != self.registration.resource_version => {
                Err(Refused {
                    state: dropped,
                    reason: Reason::InvalidOffers,
                    message: "Task assumes outdated resource state".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Reservations and volumes exist here only once the master had them written down.
    fn check_checkpointed(&self, launch: &Launch, dropped: v1::TaskState) -> Result<(), Refused> {
        let of_tasks = launch.tasks.iter().flat_map(|task| &task.resources);
        let refused = |message: &str| {
            Err(Refused {
                state: dropped,
                reason: Reason::ResourcesUnknown,
                message: message.to_owned(),
            })
        };
        if !self.has_checkpointed(of_tasks) {
            return refused(
                "The checkpointed resources being used by the task or task group are unknown to the \
                 agent",
            );
        }
        if !self.has_checkpointed(launch.executor.resources.iter()) {
            return refused(
                "The checkpointed resources being used by the executor are unknown to the agent",
            );
        }
        Ok(())
    }

    fn refuse_launch(&mut self, out: &mut Outbox<'_>, launch: &Launch, refused: &Refused) {
        let executor = ExecutorId::from(&launch.executor.executor_id);
        for task in &launch.tasks {
            let id = TaskId::from(&task.task_id);
            let update = self.agent_update(
                out,
                &launch.framework,
                &id,
                Some(&executor),
                refused.state,
                refused.reason,
                &refused.message,
            );
            self.status_update(out, update, None);
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
        let tasks = self.enqueue(out, &launch, &executor, &mut writes);
        let Some(found) = self.executor(&launch.framework, &executor) else {
            return;
        };
        let run = found.container_id.clone();
        if !exists {
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
        _out: &mut Outbox<'_>,
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
        for info in &launch.tasks {
            let id = TaskId::from(&info.task_id);
            let task = LiveTask::queued(info.clone(), &framework.id, !executor.checkpoint);
            if executor.checkpoint {
                writes.push(checkpoint::task_write(&run_dir, &task.task));
            }
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
        let spec = self.launch_spec(launch, &run, &directory);
        let executor = Executor {
            id: id.clone(),
            framework: launch.framework.clone(),
            info: launch.executor.clone(),
            container_id: run.clone(),
            directory,
            generated: launch.generated,
            checkpoint: launch.info.checkpoint(),
            state: State::Registering,
            limits: spec.limits,
            container: Container::Preparing(Box::new(spec)),
            pid: None,
            stream: None,
            tasks: Default::default(),
            queue: Default::default(),
            completed: Default::default(),
            ending: None,
            ever_sent: false,
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
            if framework.executors.is_empty() {
                writes = checkpoint::framework_writes(&agent, framework);
            }
            writes.extend(checkpoint::executor_writes(&agent, &executor));
        }
        framework.executors.insert(id, executor);
        writes
    }

    fn launch_spec(&self, launch: &Launch, run: &ContainerId, directory: &str) -> LaunchSpec {
        let info = &launch.executor;
        let command = info.command.clone().unwrap_or_default();
        let container = info.container.as_ref();
        let rlimits = container.and_then(|container| container.rlimit_info.as_ref());
        let user = command
            .user
            .clone()
            .unwrap_or_else(|| launch.info.user.clone());
        let tasks = launch
            .tasks
            .iter()
            .map(|task| (task.resources.as_slice(), &task.limits));
        LaunchSpec {
            container_id: run.clone(),
            class: ContainerClass::Default,
            environment: environment::variables(&environment::Context {
                config: &self.config,
                info,
                directory,
                agent_id: self.wire_id().value,
                agent_pid: self.pid.to_string(),
                agent_endpoint: self.pid.address.to_string(),
                checkpoint: launch.info.checkpoint(),
            }),
            user: self.config.switch_user.then_some(user),
            sandbox: directory.to_owned(),
            create_sandbox: true,
            uris: command.uris.clone(),
            limits: environment::container_limits(info, tasks),
            rlimits: rlimits.map(|all| all.rlimits.clone()).unwrap_or_default(),
            container: info.container.clone(),
            program: if launch.generated {
                Program::CommandExecutor
            } else {
                Program::Command(command)
            },
        }
    }

    /// Starts the container that was prepared, and the time it has to register.
    pub(crate) fn launch_container(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let timeout = self.config.executor_registration_timeout;
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
        for task in tasks {
            let executor = self
                .frameworks
                .get(framework)
                .and_then(|found| found.tasks.get(task).cloned());
            let reason = Reason::ContainerLaunchFailed;
            let update = self.agent_update(
                out,
                framework,
                task,
                executor.as_ref(),
                state,
                reason,
                message,
            );
            self.status_update(out, update, None);
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
        // A master that does not count on this agent would drop it; re-registration tells the same.
        if self.phase != Phase::Running {
            return;
        }
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
        let state = v1::TaskState::TaskFailed;
        self.end_unsubscribed(
            out,
            run,
            state,
            Reason::ExecutorRegistrationTimeout,
            message,
        );
    }
}

impl Launch {
    /// Masters before multi-role frameworks leave the role of an allocation to the agent.
    fn inject_allocation_roles(&mut self) {
        let Some(role) = only_role(&self.info) else {
            return;
        };
        let executors = self
            .tasks
            .iter_mut()
            .filter_map(|task| task.executor.as_mut());
        for executor in executors {
            inject(&mut executor.resources, &role);
        }
        inject(&mut self.executor.resources, &role);
        for task in &mut self.tasks {
            inject(&mut task.resources, &role);
        }
    }

    /// To the form of resources that the agent works with.
    fn upgrade_resources(&mut self) -> Result<(), Refused> {
        let executors = self
            .tasks
            .iter_mut()
            .filter_map(|task| task.executor.as_mut());
        let lists = executors.map(|executor| &mut executor.resources);
        let mut result = lists
            .map(|list| format::upgrade(list))
            .collect::<Result<(), _>>();
        result = result.and_then(|()| format::upgrade(&mut self.executor.resources));
        for task in &mut self.tasks {
            result = result.and_then(|()| format::upgrade(&mut task.resources));
        }
        result.map_err(|error| self.invalid(error.to_string()))
    }

    /// Ids become directory names, so those that could leave the work directory are refused here
    /// too, whatever the master let pass.
    fn check_ids(&self) -> Result<(), Refused> {
        let mut ids = self.tasks.iter().map(|task| task.task_id.value.as_str());
        let executor = self.executor.executor_id.value.as_str();
        let is_bad = |id: &str| !checkpoint::is_path_component(id);
        let found = ids
            .find(|id| is_bad(id))
            .or(is_bad(executor).then_some(executor));
        match found {
            Some(id) => Err(self.invalid(format!("'{id}' is not a valid id"))),
            None => Ok(()),
        }
    }

    fn check_executor_type(&self) -> Result<(), Refused> {
        if self.executor.r#type() != v1::executor_info::Type::Default {
            return Ok(());
        }
        Err(self.invalid(
            "The built-in default executor is not part of this version of Meseta: use command \
             tasks, or an executor of type CUSTOM"
                .to_owned(),
        ))
    }

    fn invalid(&self, message: String) -> Refused {
        Refused {
            state: v1::TaskState::TaskError,
            reason: if self.group {
                Reason::TaskGroupInvalid
            } else {
                Reason::TaskInvalid
            },
            message,
        }
    }

    /// The master says whether it expects a new executor; where it is wrong, nothing is started.
    fn check_expectation(
        &self,
        existing: Option<&Executor>,
        dropped: v1::TaskState,
    ) -> Result<(), Refused> {
        let refused = |reason, message: &str| {
            Err(Refused {
                state: dropped,
                reason,
                message: message.to_owned(),
            })
        };
        if self.generated && existing.is_some() {
            return refused(
                Reason::TaskInvalid,
                "Cannot reuse an already existing executor for a command task",
            );
        }
        match (self.launch_executor, existing) {
            (Some(true), Some(_)) if !self.generated => refused(
                Reason::ExecutorTerminated,
                "Master wants to launch executor, but one already exists",
            ),
            (Some(false), None) if !self.generated => refused(
                Reason::ExecutorTerminated,
                "No executor is expected to launch and there is none running",
            ),
            _ => Ok(()),
        }
    }

    fn check_existing(&self, existing: &Executor, dropped: v1::TaskState) -> Result<(), Refused> {
        let refused = |state, reason, message: &str| {
            Err(Refused {
                state,
                reason,
                message: message.to_owned(),
            })
        };
        match existing.state {
            State::Terminating => {
                return refused(dropped, Reason::ExecutorTerminated, "Executor terminating");
            }
            State::Terminated => {
                return refused(dropped, Reason::ExecutorTerminated, "Executor terminated");
            }
            State::Registering | State::Running => {}
        }
        if existing.info != self.executor {
            let message = "ExecutorInfo is not compatible with existing ExecutorInfo with same \
                           ExecutorID";
            return refused(v1::TaskState::TaskError, Reason::TaskInvalid, message);
        }
        if existing.queue.len() >= limits::QUEUED_TASKS_PER_EXECUTOR {
            let message = "Too many tasks are waiting for the executor to subscribe";
            return refused(dropped, Reason::InvalidOffers, message);
        }
        Ok(())
    }
}

/// The role of a framework that has one.
fn only_role(info: &v1::FrameworkInfo) -> Option<String> {
    if !crate::framework::capabilities(info).is_multi_role() {
        #[allow(deprecated)]
        return Some(info.role().to_owned());
    }
    match info.roles.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

fn inject(resources: &mut [v1::Resource], role: &str) {
    for resource in resources {
        resource
            .allocation_info
            .get_or_insert_with(|| v1::resource::AllocationInfo {
                role: Some(role.to_owned()),
            });
    }
}

/// The executor that runs a command task: named after its task, with a little of its own to live on
/// that nobody is charged for.
fn command_executor(
    launcher_dir: &str,
    framework: &FrameworkId,
    task: &v1::TaskInfo,
) -> v1::ExecutorInfo {
    let command = task.command.clone().unwrap_or_default();
    let role = task
        .resources
        .iter()
        .find_map(|resource| resource.allocation_info.clone());
    let kill_grace = task
        .kill_policy
        .as_ref()
        .and_then(|policy| policy.grace_period.as_ref());
    #[allow(deprecated)]
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId {
            value: task.task_id.value.clone(),
        },
        framework_id: Some(framework.to_wire()),
        name: Some(command_executor_name(task, &command)),
        source: Some(task.task_id.value.clone()),
        command: Some(v1::CommandInfo {
            uris: command.uris.clone(),
            environment: command.environment.clone(),
            user: command.user.clone(),
            shell: Some(false),
            value: Some(format!("{launcher_dir}/mesos-executor")),
            arguments: vec![
                "mesos-executor".to_owned(),
                format!("--launcher_dir={launcher_dir}"),
            ],
        }),
        container: task.container.clone(),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        resources: vec![
            overhead("cpus", limits::COMMAND_EXECUTOR_CPUS, role.clone()),
            overhead("mem", limits::COMMAND_EXECUTOR_MEM_MB, role),
        ],
        // Time to report TASK_KILLED after the task's own grace. compat: slave.cpp getExecutorInfo,
        // one second and its reaper's one.
        shutdown_grace_period: kill_grace.map(|grace| v1::DurationInfo {
            nanoseconds: grace.nanoseconds.saturating_add(2_000_000_000),
        }),
        ..Default::default()
    }
}

fn overhead(
    name: &str,
    value: f64,
    allocation_info: Option<v1::resource::AllocationInfo>,
) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        r#type: v1::value::Type::Scalar.into(),
        scalar: Some(v1::value::Scalar { value }),
        allocation_info,
        ..Default::default()
    }
}

/// compat: slave.cpp getExecutorInfo; the texts are in every `/state`.
fn command_executor_name(task: &v1::TaskInfo, command: &v1::CommandInfo) -> String {
    let quoted = match (&command.value, command.shell()) {
        (None, true) => "NO COMMAND".to_owned(),
        (None, false) => "NO EXECUTABLE".to_owned(),
        (Some(line), true) => format!("sh -c '{}'", cut(line, "...")),
        (Some(value), false) => {
            let all = format!("{value}, {}", command.arguments.join(", "));
            format!("[{}]", cut(&all, "..."))
        }
    };
    format!(
        "Command Executor (Task: {}) (Command: {quoted})",
        task.task_id.value
    )
}

fn cut(text: &str, dots: &str) -> String {
    if text.len() <= limits::NAME_COMMAND_BYTES {
        return text.to_owned();
    }
    let mut end = limits::NAME_COMMAND_CUT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{dots}", &text[..end])
}
