//! LAUNCH and LAUNCH_GROUP: tasks are checked, charged and sent to their agent.

use meseta_model::ids::{ExecutorId, FrameworkId, TaskId};
use meseta_model::resources::{ResourceFormat, Resources, reformat};
use meseta_model::validation::{self, Known, TaskContext};
use meseta_proto::mesos::{internal, v1};
use v1::TaskState;
use v1::task_status::Reason;

use crate::accept::Purse;
use crate::agents::{Agent, Agents, Executor};
use crate::frameworks::{Framework, Task};
use crate::master::Reign;
use crate::registry::TaskRef;
use crate::turn::Turn;

/// What decides whether a task is valid, looked up when it is asked for.
struct Books<'a> {
    framework: &'a Framework,
    agent: &'a Agent,
    agents: &'a Agents,
}

impl Known for Books<'_> {
    fn is_live(&self, task: &TaskId) -> bool {
        // Beyond what Mesos looks at: after an election a task may live on an agent that is not back yet.
        self.framework.tasks.contains_key(task) || self.agents.is_awaited(&self.framework.id, task)
    }

    fn is_unreachable(&self, task: &TaskId) -> bool {
        self.framework.unreachable.contains_key(task)
    }

    fn executor(&self, executor: &ExecutorId) -> Option<&v1::ExecutorInfo> {
        let known = self.agent.executor(&self.framework.id, executor)?;
        Some(&known.info)
    }

    fn shares_cgroups(&self, executor: &ExecutorId) -> Option<bool> {
        self.agent
            .executor(&self.framework.id, executor)?
            .tasks_share_cgroups
    }
}

impl Reign {
    fn check<R>(
        &self,
        framework: &FrameworkId,
        purse: &Purse,
        offered: &Resources,
        check: impl FnOnce(&TaskContext<'_>) -> Result<R, String>,
    ) -> Result<R, String> {
        let (Some(owner), Some(agent)) = (
            self.frameworks.get(framework),
            self.agents.get(&purse.agent),
        ) else {
            return Err("The agent is gone".to_owned());
        };
        let known = Books {
            framework: owner,
            agent,
            agents: &self.agents,
        };
        check(&TaskContext {
            framework_id: framework,
            agent_id: &purse.agent,
            agent_capabilities: agent.capabilities,
            offered,
            known: &known,
        })
    }

    fn may_run(&self, framework: &FrameworkId, task: &v1::TaskInfo) -> Result<(), String> {
        let owner = self.frameworks.get(framework);
        owner.map_or(Ok(()), |owner| crate::permissions::run(owner, task))
    }

    /// One task of a LAUNCH.
    pub(crate) fn launch(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        mut task: v1::TaskInfo,
    ) {
        complete(&mut task, framework, purse);
        if let Err(why) = self.may_run(framework, &task) {
            let (state, reason) = (TaskState::TaskError, Reason::TaskUnauthorized);
            return self.turn_down(turn, framework, &task, state, reason, why);
        }
        let available = purse.available();
        let checked = self.check(framework, purse, &available, |context| {
            validation::task(&task, context).map_err(crate::reason::reason)
        });
        let total = match checked {
            Ok(total) => total,
            Err(why) => {
                let (state, reason) = (TaskState::TaskError, Reason::TaskInvalid);
                return self.turn_down(turn, framework, &task, state, reason, why);
            }
        };
        let copies = purse.spend(&total).unallocated();
        if !copies.is_empty() {
            self.track(&purse.agent, framework, &purse.role, &copies);
        }
        let starts_executor = self.charge(turn, framework, purse, &task);
        let (Some(owner), Some(agent)) = (
            self.frameworks.get(framework),
            self.agents.get(&purse.agent),
        ) else {
            return;
        };
        rewrite(&mut task, agent.format());
        let message = internal::RunTaskMessage {
            framework: owner.info.clone(),
            task,
            resource_version_uuids: agent.resource_versions(),
            pid: Some(owner.pid()),
            launch_executor: Some(starts_executor),
            ..Default::default()
        };
        purse.messages.push(message.into());
    }

    /// The tasks of a LAUNCH_GROUP start together or not at all.
    pub(crate) fn launch_group(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        group: v1::offer::operation::LaunchGroup,
    ) {
        let (mut executor, mut tasks) = (group.executor, group.task_group);
        complete_executor(&mut executor, framework, purse);
        for task in &mut tasks.tasks {
            task.executor.get_or_insert_with(|| executor.clone());
            complete(task, framework, purse);
        }
        let checked = self.check(framework, purse, &purse.left, |context| {
            validation::task_group(&tasks, &executor, context).map_err(crate::reason::reason)
        });
        let allowed = tasks
            .tasks
            .iter()
            .try_for_each(|task| self.may_run(framework, task));
        let checked = allowed
            .map_err(|why| (Reason::TaskGroupUnauthorized, why))
            .and(checked.map_err(|why| (Reason::TaskGroupInvalid, why)));
        let total = match checked {
            Ok(total) => total,
            Err((reason, why)) => {
                for task in &tasks.tasks {
                    let state = TaskState::TaskError;
                    self.turn_down(turn, framework, task, state, reason, why.clone());
                }
                return;
            }
        };
        let fits = purse.left.try_sub_assign(&total);
        assert!(fits, "validation lets no task group take more than is left");
        let mut starts_executor = false;
        for task in &tasks.tasks {
            starts_executor |= self.charge(turn, framework, purse, task);
        }
        let (Some(owner), Some(agent)) = (
            self.frameworks.get(framework),
            self.agents.get(&purse.agent),
        ) else {
            return;
        };
        let format = agent.format();
        tasks
            .tasks
            .iter_mut()
            .for_each(|task| rewrite(task, format));
        let _ = reformat(&mut executor.resources, format);
        let message = internal::RunTaskGroupMessage {
            framework: owner.info.clone(),
            executor,
            task_group: tasks,
            resource_version_uuids: agent.resource_versions(),
            launch_executor: Some(starts_executor),
        };
        purse.messages.push(message.into());
    }

    /// Enters a valid task, and its executor if it is new, into the books. Says whether the agent has
    /// to start an executor for it.
    fn charge(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        info: &v1::TaskInfo,
    ) -> bool {
        purse.volumes_used = None;
        let id = TaskId::from(&info.task_id);
        let executor = info
            .executor
            .as_ref()
            .map(|info| ExecutorId::from(&info.executor_id));
        let runs = executor.as_ref().is_some_and(|executor| {
            let agent = self.agents.get(&purse.agent);
            agent.is_some_and(|agent| agent.executor(framework, executor).is_some())
        });
        if let (Some(wanted), false) = (&info.executor, runs) {
            let executor = Executor {
                unconfirmed: false,
                role: purse.role.clone(),
                resources: own_resources(&wanted.resources),
                tasks_share_cgroups: shares_cgroups(info),
                info: wanted.clone(),
            };
            self.add_executor(turn, &purse.agent, framework, executor);
        }
        let task = Task {
            agent: purse.agent.clone(),
            executor,
            state: TaskState::TaskStaging,
            role: purse.role.clone(),
            resources: own_resources(&info.resources),
            update: None,
            status: None,
        };
        let shown = meseta_model::task::task(info, framework, TaskState::TaskStaging);
        let reference = TaskRef {
            agent: purse.agent.clone(),
            framework: framework.clone(),
            task: id.clone(),
        };
        self.note_sent(turn, reference);
        self.add_task(turn, framework, id, task, shown);
        !runs
    }
}

/// What validated resources are, without saying to whom they are allocated.
fn own_resources(wire: &[v1::Resource]) -> Resources {
    let resources = Resources::from_wire(wire);
    assert!(resources.is_ok(), "only what is valid is charged");
    resources.unwrap_or_default().unallocated()
}

/// Whether the tasks of this task's executor share its cgroups: what its first task says.
fn shares_cgroups(task: &v1::TaskInfo) -> Option<bool> {
    let linux = task
        .container
        .as_ref()
        .and_then(|container| container.linux_info.as_ref());
    Some(linux.and_then(|linux| linux.share_cgroups).unwrap_or(true))
}

/// Fills in what a framework may leave out: to whom resources are allocated, and whose the executor is.
fn complete(task: &mut v1::TaskInfo, framework: &FrameworkId, purse: &Purse) {
    allocate(&mut task.resources, purse);
    if let Some(executor) = &mut task.executor {
        complete_executor(executor, framework, purse);
    }
}

fn complete_executor(executor: &mut v1::ExecutorInfo, framework: &FrameworkId, purse: &Purse) {
    allocate(&mut executor.resources, purse);
    executor
        .framework_id
        .get_or_insert_with(|| framework.to_wire());
}

fn allocate(resources: &mut [v1::Resource], purse: &Purse) {
    for resource in resources {
        resource
            .allocation_info
            .get_or_insert_with(|| v1::resource::AllocationInfo {
                role: Some(purse.role.to_string()),
            });
    }
}

/// Writes a task's resources as its agent reads them. They are valid, so nothing can fail.
fn rewrite(task: &mut v1::TaskInfo, format: ResourceFormat) {
    let _ = reformat(&mut task.resources, format);
    if let Some(executor) = &mut task.executor {
        let _ = reformat(&mut executor.resources, format);
    }
}
