//! TaskInfo of a LAUNCH: the task itself, and its executor if it brings one.

use meseta_proto::mesos::v1;

use super::check::{InvalidCheck, check, health_check};
use super::command::{InvalidCommand, InvalidContainer, command, container};
use super::executor::{InvalidExecutor, executor};
use super::id::{InvalidId, id};
use super::resources::{
    InvalidMix, InvalidResourceList, allocated_to_one_role, not_both_revocable_and_firm, overlap,
    resources, unique_volumes,
};
use crate::capabilities::AgentCapabilities;
use crate::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::resources::{ResourceName, Resources, Scalar};
use crate::units::Bytes;

/// Why a task is refused. The framework hears it in TASK_ERROR.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidTask {
    /// A bad id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The id of a task that lives.
    #[error("Task has duplicate ID: {0}")]
    Live(TaskId),
    /// The id of a task that may still live.
    #[error("Task reuses the ID of an unreachable task: {0}")]
    Unreachable(TaskId),
    /// Another agent than the offers are from.
    #[error("Task uses invalid agent {actual} while agent {expected} is expected")]
    Agent {
        /// What it says.
        actual: String,
        /// Where the offers are from.
        expected: AgentId,
    },
    /// A grace period below zero.
    #[error("Task's 'kill_policy.grace_period' must be non-negative")]
    GracePeriod,
    /// A longest run below zero.
    #[error("Task's `max_completion_time` must be non-negative")]
    MaxCompletionTime,
    /// A bad check.
    #[error("Task uses invalid check: {0}")]
    Check(InvalidCheck),
    /// A bad health check.
    #[error("Task uses invalid health check: {0}")]
    HealthCheck(InvalidCheck),
    /// No resources at all.
    #[error("Task uses no resources")]
    NoResources,
    /// Bad resources.
    #[error("Task uses invalid resources: {0}")]
    Resources(#[from] InvalidResourceList),
    /// A volume twice.
    #[error("Task uses duplicate persistence ID: {0}")]
    DuplicateVolume(InvalidMix),
    /// Resources of nobody or of several roles.
    #[error("Invalid task resources: {0}")]
    Allocation(InvalidMix),
    /// Firm and revocable resources.
    #[error("Task mixes revocable and non-revocable resources: {0}")]
    Mixed(InvalidMix),
    /// A bad command.
    #[error("Task's `CommandInfo` is invalid: {0}")]
    Command(#[from] InvalidCommand),
    /// A bad container.
    #[error("Task's `ContainerInfo` is invalid: {0}")]
    Container(#[from] InvalidContainer),
    /// Limits at an agent that ignores them.
    #[error("Agent is not capable of handling task resource limits")]
    LimitsNotSupported,
    /// Limits of other resources.
    #[error("Only cpus and mem may be included in a task's resource limits")]
    LimitOfOther,
    /// A cpu limit without a cpu request.
    #[error("When a CPU limit is specified, a CPU request must also be specified")]
    CpuLimitAlone,
    /// A cpu limit below the request.
    #[error("The cpu limit must be greater than or equal to the cpu request")]
    CpuLimitLow,
    /// A memory limit without a memory request.
    #[error("When a memory limit is specified, a memory request must also be specified")]
    MemLimitAlone,
    /// A memory limit below the request.
    #[error("The memory limit must be greater than or equal to the memory request")]
    MemLimitLow,
    /// Both a command and an executor, or neither.
    #[error("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present")]
    CommandAndExecutor,
    /// A bad executor.
    #[error(transparent)]
    Executor(#[from] InvalidExecutor),
    /// A built-in executor in a LAUNCH.
    #[error("'ExecutorInfo.type' must be 'CUSTOM'")]
    ExecutorType,
    /// An executor without a command.
    #[error("'ExecutorInfo.command' must be set")]
    ExecutorCommand,
    /// Shared resources of an executor.
    #[error("Executor resources {0} should not contain any shared resources")]
    SharedExecutor(Box<Resources>),
    /// An executor that wants to share its own cgroups.
    #[error("The 'share_cgroups' field cannot be set to 'true' on executor containers")]
    ExecutorSharesCgroups,
    /// A port or item claimed by task and executor.
    #[error(
        "There are overlapping resources in the task resources {task} and executor resources \
         {executor}"
    )]
    Overlap {
        /// The task's.
        task: Box<Resources>,
        /// The executor's.
        executor: Box<Resources>,
    },
    /// A volume used by task and executor.
    #[error("Task and its executor use duplicate persistence ID: {0}")]
    TotalDuplicateVolume(InvalidMix),
    /// Firm resources in the one, revocable in the other.
    #[error("Task and its executor mix revocable and non-revocable resources: {0}")]
    TotalMixed(InvalidMix),
    /// More than was offered.
    #[error(
        "Total resources {total} required by task and its executor is more than available {offered}"
    )]
    TooMuch {
        /// What is needed.
        total: Box<Resources>,
        /// What is left of the offers.
        offered: Box<Resources>,
    },
    /// Cgroups of its own outside a task group.
    #[error("Only tasks in a task group may have 'share_cgroups' set to 'false'")]
    OwnCgroups,
}

/// What a master knows that decides whether a task is valid.
pub trait Known {
    /// Whether the framework has a live task of this id.
    fn is_live(&self, task: &TaskId) -> bool;
    /// Whether the framework has an unreachable task of this id.
    fn is_unreachable(&self, task: &TaskId) -> bool;
    /// The framework's executor of this id on the agent, if one runs or starts there.
    fn executor(&self, executor: &ExecutorId) -> Option<&v1::ExecutorInfo>;
    /// Whether the live and unreachable tasks of that executor share its cgroups; `None` if it has
    /// no tasks.
    fn shares_cgroups(&self, executor: &ExecutorId) -> Option<bool>;
}

/// Where a task is to be launched.
#[derive(Clone, Copy)]
pub struct TaskContext<'a> {
    /// Who launches.
    pub framework_id: &'a FrameworkId,
    /// Where the offers are from.
    pub agent_id: &'a AgentId,
    /// What that agent can handle.
    pub agent_capabilities: AgentCapabilities,
    /// What is left of the offers.
    pub offered: &'a Resources,
    /// What else there is.
    pub known: &'a dyn Known,
}

/// Checks a task of a LAUNCH and says what it takes from the offers: its own resources, and its
/// executor's unless that runs already. The caller has put the offers' allocation and the framework
/// id of the executor in where they were left out.
///
/// # Errors
/// The first thing wrong with it.
pub fn task(info: &v1::TaskInfo, context: &TaskContext<'_>) -> Result<Resources, InvalidTask> {
    let used = check_task(info, context)?;
    let executor_used = check_executor(info, context)?;
    let mut total = used.clone();
    if let Some((executor_used, runs)) = executor_used {
        check_together(&used, &executor_used)?;
        if !runs {
            total += executor_used;
        }
    }
    if !context.offered.contains(&total) {
        return Err(InvalidTask::TooMuch {
            total: Box::new(total),
            offered: Box::new(context.offered.clone()),
        });
    }
    if shares_cgroups(info.container.as_deref()) == Some(false) {
        return Err(InvalidTask::OwnCgroups);
    }
    Ok(total)
}

/// What LAUNCH and LAUNCH_GROUP ask of every task.
pub(super) fn check_task(
    info: &v1::TaskInfo,
    context: &TaskContext<'_>,
) -> Result<Resources, InvalidTask> {
    id(&info.task_id.value)?;
    let task_id = TaskId::from(&info.task_id);
    if context.known.is_live(&task_id) {
        return Err(InvalidTask::Live(task_id));
    }
    if context.known.is_unreachable(&task_id) {
        return Err(InvalidTask::Unreachable(task_id));
    }
    if info.agent_id.value != context.agent_id.as_str() {
        return Err(InvalidTask::Agent {
            actual: info.agent_id.value.clone(),
            expected: context.agent_id.clone(),
        });
    }
    let grace_period = info.kill_policy.and_then(|policy| policy.grace_period);
    if grace_period.is_some_and(|period| period.nanoseconds < 0) {
        return Err(InvalidTask::GracePeriod);
    }
    if info
        .max_completion_time
        .is_some_and(|time| time.nanoseconds < 0)
    {
        return Err(InvalidTask::MaxCompletionTime);
    }
    info.check
        .as_ref()
        .map_or(Ok(()), check)
        .map_err(InvalidTask::Check)?;
    info.health_check
        .as_ref()
        .map_or(Ok(()), health_check)
        .map_err(InvalidTask::HealthCheck)?;
    let used = check_resources(info)?;
    info.command.as_ref().map_or(Ok(()), command)?;
    info.container.as_deref().map_or(Ok(()), container)?;
    check_limits(info, &used, context.agent_capabilities)?;
    Ok(used)
}

fn check_resources(info: &v1::TaskInfo) -> Result<Resources, InvalidTask> {
    if info.resources.is_empty() {
        return Err(InvalidTask::NoResources);
    }
    let used = resources(&info.resources)?;
    unique_volumes(&used).map_err(InvalidTask::DuplicateVolume)?;
    allocated_to_one_role(&used).map_err(InvalidTask::Allocation)?;
    not_both_revocable_and_firm(&used).map_err(InvalidTask::Mixed)?;
    Ok(used)
}

fn check_limits(
    info: &v1::TaskInfo,
    used: &Resources,
    agent: AgentCapabilities,
) -> Result<(), InvalidTask> {
    if info.limits.is_empty() {
        return Ok(());
    }
    if !agent.has(v1::agent_info::capability::Type::TaskResourceLimits) {
        return Err(InvalidTask::LimitsNotSupported);
    }
    if info
        .limits
        .keys()
        .any(|name| !matches!(name.as_str(), "cpus" | "mem"))
    {
        return Err(InvalidTask::LimitOfOther);
    }
    let requested = |name| Some(used.total(&name)).filter(|quantity| !quantity.is_zero());
    // A limit that is no number is below everything.
    let below = |limit: f64, floor: f64| limit.is_nan() || limit < floor;
    if let Some(limit) = info.limits.get("cpus") {
        let cpus = requested(ResourceName::Cpus).ok_or(InvalidTask::CpuLimitAlone)?;
        if below(limit.value, cpus.to_f64()) {
            return Err(InvalidTask::CpuLimitLow);
        }
    }
    if let Some(limit) = info.limits.get("mem") {
        let mem = requested(ResourceName::Mem).ok_or(InvalidTask::MemLimitAlone)?;
        if below(limit.value, mem.to_f64().floor()) {
            return Err(InvalidTask::MemLimitLow);
        }
    }
    Ok(())
}

/// The executor's resources, and whether it runs already.
fn check_executor(
    info: &v1::TaskInfo,
    context: &TaskContext<'_>,
) -> Result<Option<(Resources, bool)>, InvalidTask> {
    if info.executor.is_some() == info.command.is_some() {
        return Err(InvalidTask::CommandAndExecutor);
    }
    let Some(wanted) = &info.executor else {
        return Ok(None);
    };
    let running = context
        .known
        .executor(&ExecutorId::from(&wanted.executor_id));
    let used = executor(wanted, context.framework_id, running)?;
    if wanted
        .r#type
        .is_some_and(|kind| kind != v1::executor_info::Type::Custom as i32)
    {
        return Err(InvalidTask::ExecutorType);
    }
    if wanted.command.is_none() {
        return Err(InvalidTask::ExecutorCommand);
    }
    if !used.shared().is_empty() {
        return Err(InvalidTask::SharedExecutor(Box::new(used)));
    }
    if shares_cgroups(wanted.container.as_deref()) == Some(true) {
        return Err(InvalidTask::ExecutorSharesCgroups);
    }
    Ok(Some((used, running.is_some())))
}

fn check_together(task: &Resources, executor: &Resources) -> Result<(), InvalidTask> {
    if overlap(&[task, executor]) {
        return Err(InvalidTask::Overlap {
            task: Box::new(task.clone()),
            executor: Box::new(executor.clone()),
        });
    }
    let total = task.clone() + executor;
    unique_volumes(&total).map_err(InvalidTask::TotalDuplicateVolume)?;
    not_both_revocable_and_firm(&total).map_err(InvalidTask::TotalMixed)
}

/// What a container says about sharing its executor's cgroups; `None` when it does not say.
pub(super) fn shares_cgroups(container: Option<&v1::ContainerInfo>) -> Option<bool> {
    container?.linux_info.as_ref()?.share_cgroups
}

/// The least cpu and memory of an executor (Mesos: `MIN_CPUS` 0.01, `MIN_MEM` 32 MB).
pub(super) const EXECUTOR_MIN_CPUS: Scalar = Scalar::from_thousandths(10);
/// See [`EXECUTOR_MIN_CPUS`].
pub(super) const EXECUTOR_MIN_MEM: Bytes = Bytes::from_megabytes(32);
