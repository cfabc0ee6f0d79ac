//! ExecutorInfo.

use meseta_proto::mesos::v1;
use v1::executor_info::Type;

use super::command::{InvalidCommand, InvalidContainer, command, container};
use super::id::{InvalidId, id};
use super::resources::{
    InvalidMix, InvalidResourceList, allocated_to_one_role, not_both_revocable_and_firm, resources,
    unique_volumes,
};
use crate::ids::FrameworkId;
use crate::resources::Resources;

/// Why an executor is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidExecutor {
    /// A command for the built-in executor.
    #[error("'ExecutorInfo.command' must not be set for 'DEFAULT' executor")]
    CommandOnDefault,
    /// A docker container for the built-in executor.
    #[error("'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor")]
    ContainerOnDefault,
    /// An image for the built-in executor.
    #[error("'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor")]
    ImageOnDefault,
    /// No command for a framework's own executor.
    #[error("'ExecutorInfo.command' must be set for 'CUSTOM' executor")]
    CommandOnCustom,
    /// A bad id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A shutdown grace period below zero.
    #[error("ExecutorInfo's 'shutdown_grace_period' must be non-negative")]
    ShutdownGracePeriod,
    /// A bad command.
    #[error("Executor's `CommandInfo` is invalid: {0}")]
    Command(#[from] InvalidCommand),
    /// A bad container.
    #[error("Executor's `ContainerInfo` is invalid: {0}")]
    Container(#[from] InvalidContainer),
    /// No framework.
    #[error("'ExecutorInfo.framework_id' must be set")]
    FrameworkIdMissing,
    /// Somebody else's executor.
    #[error("ExecutorInfo has an invalid FrameworkID (Actual: {actual} vs Expected: {expected})")]
    FrameworkId {
        /// What it says.
        actual: String,
        /// Who launches it.
        expected: FrameworkId,
    },
    /// Bad resources.
    #[error("Executor uses invalid resources: {0}")]
    Resources(#[from] InvalidResourceList),
    /// A volume twice.
    #[error("Executor uses duplicate persistence ID: {0}")]
    DuplicateVolume(InvalidMix),
    /// Resources of nobody or of several roles.
    #[error("Invalid executor resources: {0}")]
    Allocation(InvalidMix),
    /// Firm and revocable resources.
    #[error("Executor mixes revocable and non-revocable resources: {0}")]
    Mixed(InvalidMix),
    /// Another description than that of the running executor of this id.
    #[error(
        "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n\
         ------------------------------------------------------------\n\
         Existing ExecutorInfo:\n{existing:?}\n\
         ------------------------------------------------------------\n\
         ExecutorInfo:\n{wanted:?}\n\
         ------------------------------------------------------------\n"
    )]
    Incompatible {
        /// The running one.
        existing: Box<v1::ExecutorInfo>,
        /// The one that was to be launched.
        wanted: Box<v1::ExecutorInfo>,
    },
}

/// Checks an executor that a framework wants launched, or used if one of that id runs on the agent
/// (`running`), and hands out its resources.
///
/// # Errors
/// The first thing wrong with it.
pub fn executor(
    info: &v1::ExecutorInfo,
    framework_id: &FrameworkId,
    running: Option<&v1::ExecutorInfo>,
) -> Result<Resources, InvalidExecutor> {
    check_type(info)?;
    id(&info.executor_id.value)?;
    if info
        .shutdown_grace_period
        .is_some_and(|period| period.nanoseconds < 0)
    {
        return Err(InvalidExecutor::ShutdownGracePeriod);
    }
    info.command.as_ref().map_or(Ok(()), command)?;
    info.container.as_deref().map_or(Ok(()), container)?;
    let owner = info
        .framework_id
        .as_ref()
        .ok_or(InvalidExecutor::FrameworkIdMissing)?;
    if owner.value != framework_id.as_str() {
        return Err(InvalidExecutor::FrameworkId {
            actual: owner.value.clone(),
            expected: framework_id.clone(),
        });
    }
    let used = resources(&info.resources)?;
    unique_volumes(&used).map_err(InvalidExecutor::DuplicateVolume)?;
    allocated_to_one_role(&used).map_err(InvalidExecutor::Allocation)?;
    not_both_revocable_and_firm(&used).map_err(InvalidExecutor::Mixed)?;
    match running {
        Some(existing) if !same_executor(existing, info) => Err(InvalidExecutor::Incompatible {
            existing: Box::new(existing.clone()),
            wanted: Box::new(info.clone()),
        }),
        _ => Ok(used),
    }
}

fn check_type(info: &v1::ExecutorInfo) -> Result<(), InvalidExecutor> {
    match info.r#type.map(Type::try_from) {
        Some(Ok(Type::Default)) => {
            if info.command.is_some() {
                return Err(InvalidExecutor::CommandOnDefault);
            }
            let Some(container) = &info.container else {
                return Ok(());
            };
            if container.r#type() != v1::container_info::Type::Mesos {
                return Err(InvalidExecutor::ContainerOnDefault);
            }
            if container
                .mesos
                .as_ref()
                .is_some_and(|mesos| mesos.image.is_some())
            {
                return Err(InvalidExecutor::ImageOnDefault);
            }
            Ok(())
        }
        Some(Ok(Type::Custom)) if info.command.is_none() => Err(InvalidExecutor::CommandOnCustom),
        // A type that a newer framework knows is the agent's affair.
        _ => Ok(()),
    }
}

/// Whether two descriptions are the same, field for field; resources count in any format and order.
#[must_use]
fn same_executor(a: &v1::ExecutorInfo, b: &v1::ExecutorInfo) -> bool {
    let bare = |info: &v1::ExecutorInfo| v1::ExecutorInfo {
        resources: vec![],
        ..info.clone()
    };
    let same_resources = a.resources == b.resources
        || matches!(
            (Resources::from_wire(&a.resources), Resources::from_wire(&b.resources)),
            (Ok(a), Ok(b)) if a == b
        );
    same_resources && bare(a) == bare(b)
}
