//! What must be true of a launch before anything of it happens here. The master checks the same and
//! more; an agent that relied on that would break with the master.

use std::collections::BTreeSet;

use meseta_model::environment::resolve;
use meseta_model::ids::{ExecutorId, TaskId};
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1;
use v1::task_status::Reason;

use crate::agent::Agent;
use crate::checkpoint;
use crate::executor::{Executor, State};
use crate::format;
use crate::launch::Launch;
use crate::limits;
use crate::task::Verdict;

impl Agent {
    /// A task that is live here already: this launch is a repetition of one that was taken.
    pub(crate) fn is_repeated(&self, launch: &Launch) -> bool {
        let framework = self.frameworks.get(&launch.framework);
        framework.is_some_and(|framework| {
            let mut ids = launch.tasks.iter().map(|task| TaskId::from(&task.task_id));
            framework.terminating || ids.any(|id| framework.tasks.contains_key(&id))
        })
    }

    pub(crate) fn check_launch(&self, launch: &Launch) -> Result<(), Verdict> {
        let framework = self.frameworks.get(&launch.framework);
        let dropped = framework.map_or(v1::TaskState::TaskLost, |f| f.dropped_state());
        launch.check_ids()?;
        launch.check_executor_type()?;
        launch.check_secrets()?;
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
    fn check_versions(&self, launch: &Launch, dropped: v1::TaskState) -> Result<(), Verdict> {
        let own = launch
            .versions
            .iter()
            .find(|version| version.resource_provider_id.is_none());
        match own {
            Some(version) if version.uuid.value != self.registration.resource_version => {
                let message = "Task assumes outdated resource state";
                refuse(dropped, Reason::InvalidOffers, message)
            }
            _ => Ok(()),
        }
    }

    /// Reservations and volumes exist here only once the master had them written down.
    fn check_checkpointed(&self, launch: &Launch, dropped: v1::TaskState) -> Result<(), Verdict> {
        let of_tasks = launch.tasks.iter().flat_map(|task| &task.resources);
        let refused = |message: &str| refuse(dropped, Reason::ResourcesUnknown, message);
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
}

impl Launch {
    /// Masters before multi-role frameworks leave the role of an allocation to the agent.
    pub(crate) fn inject_allocation_roles(&mut self) {
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
    pub(crate) fn upgrade_resources(&mut self) -> Result<(), Verdict> {
        let mut result = format::upgrade(&mut self.executor.resources);
        for task in &mut self.tasks {
            if let Some(executor) = &mut task.executor {
                result = result.and_then(|()| format::upgrade(&mut executor.resources));
            }
            result = result.and_then(|()| format::upgrade(&mut task.resources));
        }
        result.map_err(|error| self.invalid(error.to_string()))
    }

    /// Ids become directory names, so those that could leave the work directory are refused here
    /// too, whatever the master let pass.
    fn check_ids(&self) -> Result<(), Verdict> {
        let executor = self.executor.executor_id.value.as_str();
        let is_bad = |id: &str| !checkpoint::is_path_component(id);
        let found = self
            .task_ids()
            .find(|id| is_bad(id))
            .or(is_bad(executor).then_some(executor));
        if let Some(id) = found {
            return Err(self.invalid(format!("'{id}' is not a valid id")));
        }
        let distinct: BTreeSet<&str> = self.task_ids().collect();
        if distinct.len() < self.tasks.len() {
            return Err(self.invalid("A task group has two tasks of the same id".to_owned()));
        }
        Ok(())
    }

    fn task_ids(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| task.task_id.value.as_str())
    }

    /// A secret that cannot be resolved must not become an empty variable.
    fn check_secrets(&self) -> Result<(), Verdict> {
        let executor = self.executor.command.as_ref();
        let tasks = self.tasks.iter().filter_map(|task| task.command.as_ref());
        for command in executor.into_iter().chain(tasks) {
            let environment = command.environment.clone().unwrap_or_default();
            if let Err(unresolved) = resolve(&environment) {
                return refuse(
                    v1::TaskState::TaskError,
                    Reason::TaskInvalid,
                    &unresolved.to_string(),
                );
            }
        }
        Ok(())
    }

    fn check_executor_type(&self) -> Result<(), Verdict> {
        if self.executor.r#type() != v1::executor_info::Type::Default {
            return Ok(());
        }
        Err(self.invalid(
            "The built-in default executor is not part of this version of Meseta: use command \
             tasks, or an executor of type CUSTOM"
                .to_owned(),
        ))
    }

    fn invalid(&self, message: String) -> Verdict {
        let reason = if self.group {
            Reason::TaskGroupInvalid
        } else {
            Reason::TaskInvalid
        };
        Verdict::new(v1::TaskState::TaskError, reason, message)
    }

    /// The master says whether it expects a new executor; where it is wrong, nothing is started.
    fn check_expectation(
        &self,
        existing: Option<&Executor>,
        dropped: v1::TaskState,
    ) -> Result<(), Verdict> {
        let refused = |reason, message: &str| refuse(dropped, reason, message);
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

    fn check_existing(&self, existing: &Executor, dropped: v1::TaskState) -> Result<(), Verdict> {
        match existing.state {
            State::Terminating => {
                return refuse(dropped, Reason::ExecutorTerminated, "Executor terminating");
            }
            State::Terminated => {
                return refuse(dropped, Reason::ExecutorTerminated, "Executor terminated");
            }
            State::Registering | State::Running => {}
        }
        if !is_same_executor(&existing.info, &self.executor) {
            let message = "ExecutorInfo is not compatible with existing ExecutorInfo with same \
                           ExecutorID";
            return refuse(v1::TaskState::TaskError, Reason::TaskInvalid, message);
        }
        if existing.queue.len() >= limits::QUEUED_TASKS_PER_EXECUTOR {
            let message = "Too many tasks are waiting for the executor to subscribe";
            return refuse(dropped, Reason::InvalidOffers, message);
        }
        Ok(())
    }
}

/// Field for field, resources as the amounts that they say.
fn is_same_executor(running: &v1::ExecutorInfo, wanted: &v1::ExecutorInfo) -> bool {
    if running == wanted {
        return true;
    }
    let amounts = |info: &v1::ExecutorInfo| Resources::from_wire(&info.resources).ok();
    let same_rest = || {
        let rest = v1::ExecutorInfo {
            resources: running.resources.clone(),
            ..wanted.clone()
        };
        *running == rest
    };
    amounts(running) == amounts(wanted) && same_rest()
}

fn refuse(state: v1::TaskState, reason: Reason, message: &str) -> Result<(), Verdict> {
    Err(Verdict::new(state, reason, message))
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
