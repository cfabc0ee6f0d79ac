//! What makes a call, a framework, a task or an operation valid: typed refusals in Mesos's words.
//!
//! Nothing here knows what else exists in the cluster, except where a function is told. Checks run in
//! Mesos's order, because the first failure is the one that the client sees. Whoever calls first makes
//! sure that required fields are there (the decoders do); what a field says is looked at here.

mod call;
mod check;
mod command;
mod executor;
mod framework;
mod id;
mod invalid_operation;
mod operation;
mod resources;
mod task;
mod task_group;

pub use call::{InvalidCall, UUID_BYTES, executor_call, scheduler_call, uuid};
pub use check::{InvalidCheck, check, check_status, health_check};
pub use command::{
    InvalidCommand, InvalidContainer, InvalidSecret, InvalidVolume, command, container,
    environment, secret, volume,
};
pub use executor::{InvalidExecutor, executor};
pub use framework::{
    InvalidFramework, check_offer_constraint_count, check_offer_constraint_roles,
    check_suppressed_roles, check_update, framework, keep_immutable_fields, roles,
};
pub use id::{InvalidId, container_id, id};
pub use invalid_operation::{InvalidOperation, InvalidReservations, NotAVolume};
pub use operation::{OperationContext, OperationFramework, operation};
pub use resources::{InvalidDisk, InvalidMix, InvalidResourceList, resources};
pub use task::{InvalidTask, Known, TaskContext, task};
pub use task_group::{InvalidGroupTask, InvalidTaskGroup, task_group};

#[cfg(test)]
mod tests;
