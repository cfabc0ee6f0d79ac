//! What can be said of an operation before any of its ACCEPT is carried out.

use meseta_model::ids::FrameworkId;
use meseta_model::resources::{ResourceFormat, reformat};
use meseta_proto::mesos::v1;
use v1::TaskState;
use v1::agent_info::capability::Type as Capability;
use v1::offer::Operation;
use v1::offer::operation::Type;
use v1::task_status::Reason;

use crate::accept::{Purse, tasks_of};
use crate::frameworks::Connection;
use crate::master::Reign;
use crate::notice::Notice;
use crate::turn::Turn;

/// What a driver hears that wants to know what became of an operation. compat: Mesos's words; drivers
/// abort at them.
const DRIVER_WANTS_FEEDBACK: &str = "The 'id' field was set in an offer operation, but operation \
    feedback is not supported for the SchedulerDriver API; please use the HTTP scheduler API for this \
    feature";

impl Reign {
    /// Whether an operation may be carried out, as far as it can be told without looking at resources.
    /// If not, its framework was told. Its resources are in the new format afterwards, and allocated
    /// to the role of the offers where nothing else is said (semantic 62).
    pub(crate) fn admit(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &Purse,
        operation: &mut Operation,
    ) -> bool {
        match operation.r#type() {
            Type::Launch | Type::LaunchGroup => {
                operation.id.is_none() || self.launch_with_id(turn, framework, operation)
            }
            _ => match self.inadmissible(framework, purse, operation) {
                None => true,
                Some(reason) if self.is_driver(framework) && operation.id.is_some() => {
                    self.abort_driver(turn, framework, reason);
                    false
                }
                Some(reason) => {
                    self.fail_operation(turn, framework, operation, &reason);
                    false
                }
            },
        }
    }

    fn launch_with_id(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        operation: &Operation,
    ) -> bool {
        let reason = match operation.r#type() {
            Type::LaunchGroup => Reason::TaskGroupInvalid,
            _ => Reason::TaskInvalid,
        };
        let kind = operation.r#type().as_str_name();
        for task in tasks_of(operation) {
            let text = format!("The `id` field cannot be set on {kind} operations");
            self.turn_down(turn, framework, task, TaskState::TaskError, reason, text);
        }
        false
    }

    fn is_driver(&self, framework: &FrameworkId) -> bool {
        let owner = self.frameworks.get(framework);
        let connection = owner.and_then(|owner| owner.connection.as_ref());
        matches!(connection, Some(Connection::Driver(_)))
    }

    fn abort_driver(&self, turn: &mut Turn<'_>, framework: &FrameworkId, reason: String) {
        let owner = self.frameworks.get(framework);
        let connection = owner.and_then(|owner| owner.connection.as_ref());
        turn.tell(connection, Notice::Error(reason));
    }

    /// Why an operation on resources is not even looked at. In Mesos's order and words.
    fn inadmissible(
        &self,
        framework: &FrameworkId,
        purse: &Purse,
        operation: &mut Operation,
    ) -> Option<String> {
        for list in lists(operation) {
            if let Err(why) = reformat(list, ResourceFormat::PostRefinement) {
                return Some(format!("Operation attempted with invalid resources: {why}"));
            }
        }
        let reserve = operation.reserve.as_ref();
        let again = reserve.is_some_and(|reserve| !reserve.source.is_empty());
        if again && operation.r#type() == Type::Reserve {
            // compat: Mesos's refusal, in its words.
            let why = "Reservation updates are not yet implemented for the scheduler API.";
            return Some(format!("Operation attempted with invalid resources: {why}"));
        }
        if operation.id.is_some() {
            if self.is_driver(framework) {
                return Some(DRIVER_WANTS_FEEDBACK.to_owned());
            }
            if let Some(reason) = self.no_feedback(purse) {
                return Some(reason);
            }
        }
        for resource in lists(operation).into_iter().flatten() {
            resource
                .allocation_info
                .get_or_insert_with(|| v1::resource::AllocationInfo {
                    role: Some(purse.role.to_string()),
                });
        }
        None
    }

    /// Why an agent cannot say what became of an operation.
    fn no_feedback(&self, purse: &Purse) -> Option<String> {
        let capabilities = self.agents.get(&purse.agent)?.capabilities;
        let agent = &purse.agent;
        if !capabilities.has(Capability::ResourceProvider) {
            return Some(format!(
                "Operation requested feedback, but agent {agent} does not have the required \
                 RESOURCE_PROVIDER capability"
            ));
        }
        (!capabilities.has(Capability::AgentOperationFeedback)).then(|| {
            format!(
                "Operation on agent default resources requested feedback, but agent {agent} does not \
                 have the required AGENT_OPERATION_FEEDBACK and RESOURCE_PROVIDER capabilities"
            )
        })
    }
}

/// All resources that an operation on resources names.
fn lists(operation: &mut Operation) -> Vec<&mut [v1::Resource]> {
    let Operation {
        reserve,
        unreserve,
        create,
        destroy,
        grow_volume,
        shrink_volume,
        create_disk,
        destroy_disk,
        ..
    } = operation;
    let mut lists: Vec<&mut [v1::Resource]> = Vec::new();
    if let Some(reserve) = reserve {
        lists.extend([&mut *reserve.source, &mut *reserve.resources]);
    }
    lists.extend(unreserve.iter_mut().map(|all| &mut *all.resources));
    lists.extend(create.iter_mut().map(|all| &mut *all.volumes));
    lists.extend(destroy.iter_mut().map(|all| &mut *all.volumes));
    if let Some(grow) = grow_volume {
        lists.push(std::slice::from_mut(&mut grow.volume));
        lists.push(std::slice::from_mut(&mut grow.addition));
    }
    let single = std::slice::from_mut::<v1::Resource>;
    lists.extend(shrink_volume.iter_mut().map(|one| single(&mut one.volume)));
    lists.extend(create_disk.iter_mut().map(|one| single(&mut one.source)));
    lists.extend(destroy_disk.iter_mut().map(|one| single(&mut one.source)));
    lists
}
