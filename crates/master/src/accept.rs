//! ACCEPT: offers are taken, operations run one after the other, what is left goes back.

use meseta_model::ids::FrameworkId;
use meseta_model::resources::Resources;
use meseta_model::roles::Role;
use meseta_proto::mesos::v1;
use v1::TaskState;
use v1::offer::Operation;
use v1::offer::operation::Type;
use v1::scheduler::call;
use v1::task_status::Reason;

use crate::master::Reign;
use crate::notice::Notice;
use crate::offers::{Taken, refusal};
use crate::turn::Turn;
use crate::verdicts::Word;
use crate::view::Counter;

/// Where operations run, and what they may still use.
pub(crate) struct Purse {
    pub(crate) agent: meseta_model::ids::AgentId,
    pub(crate) role: Role,
    /// Allocated to the role.
    pub(crate) left: Resources,
}

impl Reign {
    /// ACCEPT. Without operations, or with nothing to launch, it is a DECLINE (semantic 59).
    pub(crate) fn accept(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        accept: call::Accept,
    ) {
        let (ids, filters) = (accept.offer_ids, accept.filters);
        if accept.operations.iter().all(is_nothing) {
            return self.decline(turn, framework, &ids, filters.as_ref());
        }
        turn.count(Counter::Message("launch_tasks"));
        let taken = match self.take_offers(turn, framework, &ids) {
            Ok(taken) => taken,
            Err(reason) => return self.void(turn, framework, accept.operations, &reason),
        };
        let Taken {
            agent,
            role,
            resources,
        } = taken;
        let mut purse = Purse {
            left: resources.allocated_to(&role),
            agent,
            role,
        };
        for operation in accept.operations {
            self.operate(turn, framework, &mut purse, operation);
        }
        let left = purse.left.unallocated();
        let refusal = refusal(filters.as_ref());
        self.refuse_resources(turn, framework, &purse.role, &purse.agent, &left, refusal);
    }

    fn operate(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: Operation,
    ) {
        let kind = operation.r#type();
        match (kind, operation) {
            (Type::Launch, Operation { launch, .. }) => {
                for task in launch.unwrap_or_default().task_infos {
                    self.launch(turn, framework, purse, task);
                }
            }
            (Type::LaunchGroup, Operation { launch_group, .. }) => {
                if let Some(group) = launch_group {
                    self.launch_group(turn, framework, purse, group);
                }
            }
            (kind, operation) => {
                let reason = format!("{} comes in a later version of Meseta", kind.as_str_name());
                self.fail_operation(turn, framework, &operation, &reason);
            }
        }
    }

    /// An ACCEPT whose offers are not (all) valid: nothing of it happens, and every part is told so.
    fn void(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        operations: Vec<Operation>,
        reason: &str,
    ) {
        for operation in operations {
            let tasks = match operation.r#type() {
                Type::Launch => operation.launch.map(|launch| launch.task_infos),
                Type::LaunchGroup => operation.launch_group.map(|group| group.task_group.tasks),
                _ => {
                    let reason = format!("Operation attempted with invalid offers: {reason}");
                    self.fail_operation(turn, framework, &operation, &reason);
                    continue;
                }
            };
            for task in tasks.unwrap_or_default() {
                let text = format!("Task launched with invalid offers: {reason}");
                let state = TaskState::TaskDropped;
                self.turn_down(turn, framework, &task, state, Reason::InvalidOffers, text);
            }
        }
    }

    /// Tells a framework that one of its tasks will not be.
    pub(crate) fn turn_down(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        task: &v1::TaskInfo,
        state: TaskState,
        reason: Reason,
        text: String,
    ) {
        let Some(owner) = self.frameworks.get(framework) else {
            return;
        };
        let state = meseta_model::task_state::told(state, owner.is_partition_aware());
        let (id, agent) = ((&task.task_id).into(), (&task.agent_id).into());
        let word = Word::new(state, reason, text);
        let update = word.update(turn, framework, &id, Some(&agent));
        crate::updates::count_end(turn, state, &update.status);
        self.forward(turn, framework, update, None);
    }

    /// Tells a framework that an operation failed, if it gave it a name to tell it by; what the
    /// operation would have used stays with the offer and goes back at the end.
    fn fail_operation(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        operation: &Operation,
        reason: &str,
    ) {
        let Some(id) = &operation.id else {
            return;
        };
        let status = v1::OperationStatus {
            operation_id: Some(id.clone()),
            state: v1::OperationState::OperationError as i32,
            message: Some(reason.to_owned()),
            ..Default::default()
        };
        let connection = self
            .frameworks
            .get(framework)
            .and_then(|f| f.connection.as_ref());
        turn.tell(connection, Notice::OperationStatus(Box::new(status)));
    }
}

/// Whether an operation has nothing to do.
fn is_nothing(operation: &Operation) -> bool {
    operation.r#type() == Type::Launch
        && operation
            .launch
            .as_ref()
            .is_none_or(|launch| launch.task_infos.is_empty())
}
