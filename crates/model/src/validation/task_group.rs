//! LAUNCH_GROUP: tasks that start and end together on one built-in executor.

use meseta_proto::mesos::v1;

use super::command::InvalidCommand;
use super::executor::{InvalidExecutor, executor};
use super::resources::{InvalidMix, not_both_revocable_and_firm, overlap, unique_volumes};
use super::task::{
    EXECUTOR_MIN_CPUS, EXECUTOR_MIN_MEM, InvalidTask, TaskContext, check_task, shares_cgroups,
};
use crate::ids::{ExecutorId, TaskId};
use crate::resources::{ResourceName, Resources, Scalar};
use crate::units::Bytes;

/// Why a task group is refused as a whole. Every task of it hears it in TASK_ERROR.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidTaskGroup {
    /// One of the tasks.
    #[error("Task '{task}' is invalid: {reason}")]
    Task {
        /// Which.
        task: String,
        /// What is wrong.
        reason: InvalidGroupTask,
    },
    /// Two tasks of one id.
    #[error("Task has duplicate ID: {0}")]
    DuplicateTask(TaskId),
    /// A bad executor.
    #[error(transparent)]
    Executor(#[from] InvalidExecutor),
    /// An executor without a type.
    #[error("'ExecutorInfo.type' must be set")]
    ExecutorTypeMissing,
    /// The type UNKNOWN, or one that nobody knows.
    #[error("Unknown executor type")]
    ExecutorTypeUnknown,
    /// An executor in a docker container.
    #[error("Docker ContainerInfo is not supported on the executor")]
    DockerExecutor,
    /// A task with another executor than the group's.
    #[error("The `ExecutorInfo` of task '{task}' is different from executor '{executor}'")]
    ExecutorDiffers {
        /// Which task.
        task: String,
        /// The group's executor.
        executor: String,
    },
    /// Too little cpu for the executor.
    #[error(
        "Executor '{executor}' uses less CPUs ({cpus}) than the minimum required ({})",
        EXECUTOR_MIN_CPUS
    )]
    ExecutorCpus {
        /// Which.
        executor: String,
        /// What it has.
        cpus: String,
    },
    /// Too little memory for the executor.
    #[error(
        "Executor '{executor}' uses less memory ({mem}) than the minimum required ({})",
        EXECUTOR_MIN_MEM
    )]
    ExecutorMem {
        /// Which.
        executor: String,
        /// What it has.
        mem: String,
    },
    /// No disk for the executor.
    #[error("Executor '{0}' uses no disk")]
    ExecutorDisk(String),
    /// A volume used twice.
    #[error("Task group and executor use duplicate persistence ID: {0}")]
    DuplicateVolume(InvalidMix),
    /// Firm and revocable resources.
    #[error("Task group and executor mix revocable and non-revocable resources: {0}")]
    Mixed(InvalidMix),
    /// A port or item claimed twice.
    #[error(
        "There are overlapping resources in the task group's task resources {{ {tasks} }} and/or \
         executor resources {executor}"
    )]
    Overlap {
        /// The tasks'.
        tasks: String,
        /// The executor's.
        executor: Box<Resources>,
    },
    /// More than was offered.
    #[error(
        "Total resources {total} required by task group and its executor are more than available \
         {offered}"
    )]
    TooMuch {
        /// What is needed.
        total: Box<Resources>,
        /// What is left of the offers.
        offered: Box<Resources>,
    },
    /// A bad command of the executor.
    #[error("Executor '{executor}'contains an invalid command: {reason}")]
    Command {
        /// Which.
        executor: String,
        /// What is wrong.
        reason: InvalidCommand,
    },
    /// An executor that wants to share its own cgroups.
    #[error("The 'share_cgroups' field cannot be set to 'true' on executor containers")]
    ExecutorSharesCgroups,
    /// Tasks that differ in sharing cgroups.
    #[error(
        "If set, the value of 'share_cgroups' must be the same for all tasks in each task group \
         and under a single executor"
    )]
    CgroupsDiffer,
}

/// Why one task of a group is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidGroupTask {
    /// For a reason that any task could have.
    #[error(transparent)]
    Task(#[from] InvalidTask),
    /// It does not name the group's executor.
    #[error("'TaskInfo.executor' must be set")]
    ExecutorMissing,
    /// A probe that cannot reach it.
    #[error(
        "HTTP and TCP health checks are not supported for nested containers not joining parent's \
         network"
    )]
    NetworkHealthCheck,
    /// A docker container.
    #[error("Docker ContainerInfo is not supported on the task")]
    Docker,
    /// Limits without cgroups of its own.
    #[error(
        "Resource limits may only be set for tasks within a task group when the 'share_cgroups' \
         field is set to 'false'."
    )]
    LimitsInSharedCgroups,
}

/// Checks a LAUNCH_GROUP and says what it takes from the offers: all tasks' resources, and the
/// executor's unless that runs already. The caller has put the group's executor into tasks that name
/// none, and the offers' allocation and the framework id in where they were left out.
///
/// # Errors
/// The first thing wrong with any task, or with the group.
pub fn task_group(
    group: &v1::TaskGroupInfo,
    info: &v1::ExecutorInfo,
    context: &TaskContext<'_>,
) -> Result<Resources, InvalidTaskGroup> {
    let mut used = Vec::with_capacity(group.tasks.len());
    for task in &group.tasks {
        used.push(
            check_group_task(task, context).map_err(|reason| InvalidTaskGroup::Task {
                task: task.task_id.value.clone(),
                reason,
            })?,
        );
    }
    check_distinct(group)?;
    let executor_id = ExecutorId::from(&info.executor_id);
    let running = context.known.executor(&executor_id);
    let executor_used = executor(info, context.framework_id, running)?;
    check_group_executor(group, info)?;
    check_minimum(info, &executor_used)?;
    check_together(&used, &executor_used)?;
    let mut total: Resources = used.iter().sum();
    if running.is_none() {
        total += executor_used;
    }
    if !context.offered.contains(&total) {
        return Err(InvalidTaskGroup::TooMuch {
            total: Box::new(total),
            offered: Box::new(context.offered.clone()),
        });
    }
    check_cgroups(group, info, context.known.shares_cgroups(&executor_id))?;
    Ok(total)
}

fn check_group_task(
    info: &v1::TaskInfo,
    context: &TaskContext<'_>,
) -> Result<Resources, InvalidGroupTask> {
    use v1::health_check::Type;
    let used = check_task(info, context)?;
    if info.executor.is_none() {
        return Err(InvalidGroupTask::ExecutorMissing);
    }
    if let Some(container) = &info.container {
        let probe = info.health_check.as_ref().map(v1::HealthCheck::r#type);
        if !container.network_infos.is_empty() && matches!(probe, Some(Type::Http | Type::Tcp)) {
            return Err(InvalidGroupTask::NetworkHealthCheck);
        }
        if container.r#type() == v1::container_info::Type::Docker {
            return Err(InvalidGroupTask::Docker);
        }
    }
    if !info.limits.is_empty() && shares_cgroups(info.container.as_deref()) != Some(false) {
        return Err(InvalidGroupTask::LimitsInSharedCgroups);
    }
    Ok(used)
}

/// Mesos overlooks two tasks of one id within a group; the second would be lost.
fn check_distinct(group: &v1::TaskGroupInfo) -> Result<(), InvalidTaskGroup> {
    let mut seen = std::collections::BTreeSet::new();
    match group
        .tasks
        .iter()
        .find(|task| !seen.insert(task.task_id.value.as_str()))
    {
        Some(task) => Err(InvalidTaskGroup::DuplicateTask(TaskId::from(&task.task_id))),
        None => Ok(()),
    }
}

fn check_group_executor(
    group: &v1::TaskGroupInfo,
    info: &v1::ExecutorInfo,
) -> Result<(), InvalidTaskGroup> {
    match info.r#type.map(v1::executor_info::Type::try_from) {
        None => return Err(InvalidTaskGroup::ExecutorTypeMissing),
        Some(Ok(v1::executor_info::Type::Unknown) | Err(_)) => {
            return Err(InvalidTaskGroup::ExecutorTypeUnknown);
        }
        Some(Ok(_)) => {}
    }
    let docker = v1::container_info::Type::Docker;
    if info
        .container
        .as_ref()
        .is_some_and(|container| container.r#type() == docker)
    {
        return Err(InvalidTaskGroup::DockerExecutor);
    }
    let differs = |task: &&v1::TaskInfo| task.executor.as_ref().is_some_and(|own| own != info);
    match group.tasks.iter().find(differs) {
        Some(task) => Err(InvalidTaskGroup::ExecutorDiffers {
            task: task.task_id.value.clone(),
            executor: info.executor_id.value.clone(),
        }),
        None => Ok(()),
    }
}

fn check_minimum(info: &v1::ExecutorInfo, used: &Resources) -> Result<(), InvalidTaskGroup> {
    let executor = || info.executor_id.value.clone();
    let cpus = used.total(&ResourceName::Cpus);
    if cpus < EXECUTOR_MIN_CPUS {
        let cpus = if cpus == Scalar::ZERO {
            "None".to_owned()
        } else {
            cpus.to_string()
        };
        return Err(InvalidTaskGroup::ExecutorCpus {
            executor: executor(),
            cpus,
        });
    }
    let mem = used.total(&ResourceName::Mem);
    let bytes = Bytes::from_megabytes(mem.thousandths().unsigned_abs() / 1000);
    if bytes < EXECUTOR_MIN_MEM {
        let mem = if mem == Scalar::ZERO {
            "None".to_owned()
        } else {
            bytes.to_string()
        };
        return Err(InvalidTaskGroup::ExecutorMem {
            executor: executor(),
            mem,
        });
    }
    if used.total(&ResourceName::Disk) == Scalar::ZERO {
        return Err(InvalidTaskGroup::ExecutorDisk(executor()));
    }
    Ok(())
}

fn check_together(tasks: &[Resources], executor: &Resources) -> Result<(), InvalidTaskGroup> {
    let total = tasks.iter().sum::<Resources>() + executor;
    unique_volumes(&total).map_err(InvalidTaskGroup::DuplicateVolume)?;
    not_both_revocable_and_firm(&total).map_err(InvalidTaskGroup::Mixed)?;
    let lists: Vec<&Resources> = tasks.iter().chain([executor]).collect();
    if overlap(&lists) {
        let tasks: Vec<String> = tasks.iter().map(Resources::to_string).collect();
        return Err(InvalidTaskGroup::Overlap {
            tasks: tasks.join(", "),
            executor: Box::new(executor.clone()),
        });
    }
    Ok(())
}

fn check_cgroups(
    group: &v1::TaskGroupInfo,
    info: &v1::ExecutorInfo,
    already: Option<bool>,
) -> Result<(), InvalidTaskGroup> {
    if shares_cgroups(info.container.as_deref()) == Some(true) {
        return Err(InvalidTaskGroup::ExecutorSharesCgroups);
    }
    // A task that does not say shares them.
    let said = group
        .tasks
        .iter()
        .map(|t| shares_cgroups(t.container.as_deref()).unwrap_or(true));
    let mut all = already.into_iter().chain(said);
    match all.next() {
        Some(first) if all.any(|other| other != first) => Err(InvalidTaskGroup::CgroupsDiffer),
        _ => Ok(()),
    }
}
