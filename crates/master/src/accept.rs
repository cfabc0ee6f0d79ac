//! ACCEPT: offers are taken, operations run one after the other, what is left goes back.

use std::borrow::Cow;

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Conversion, Resources};
use meseta_model::roles::Role;
use meseta_proto::actor::Message;
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
use crate::view::{Counter, FrameworkCounter};

/// Where operations run, and what they may still use. Each operation sees what those before it left
/// and made.
pub(crate) struct Purse {
    pub(crate) agent: AgentId,
    pub(crate) role: Role,
    /// As it was on offer, allocated to the role.
    offered: Resources,
    /// Allocated to the role.
    pub(crate) left: Resources,
    /// What GROW_VOLUME and SHRINK_VOLUME made. compat: nothing else in the same call may use it.
    pub(crate) resized: Resources,
    /// Shared volumes, one copy of each: any number of tasks may use them.
    pub(crate) shared: Resources,
    /// What was converted so far, without allocation: the books follow at the end, all at once.
    pub(crate) steps: Vec<Conversion>,
    /// How often that was tried.
    pub(crate) tried: usize,
    /// Whether the books were asked for what was offered, and have it.
    pub(crate) is_held: bool,
    /// All that the agent has after these, without allocation.
    pub(crate) total: Resources,
    /// What tasks and executors on the agent have of volumes, once it was asked for.
    pub(crate) volumes_used: Option<Resources>,
    /// What the agent is told at the end, behind what it must have written down before.
    pub(crate) messages: Vec<Message>,
}

impl Purse {
    /// `total` is all that the agent of the offers has.
    fn new(taken: Taken, total: Resources) -> Self {
        let offered = taken.resources.allocated_to(&taken.role);
        Self {
            agent: taken.agent,
            role: taken.role,
            left: offered.clone(),
            resized: Resources::new(),
            shared: offered.shared(),
            offered,
            steps: Vec::new(),
            tried: 0,
            is_held: false,
            total,
            volumes_used: None,
            messages: Vec::new(),
        }
    }

    /// What a task may use: what is left, and shared volumes even if other tasks took all copies.
    pub(crate) fn available(&self) -> Cow<'_, Resources> {
        if self.shared.is_empty() {
            Cow::Borrowed(&self.left)
        } else {
            Cow::Owned(self.left.non_shared() + &self.shared)
        }
    }

    /// Takes out what a valid task uses. Gives the copies of shared volumes that were not on offer.
    pub(crate) fn spend(&mut self, used: &Resources) -> Resources {
        if self.shared.is_empty() {
            let fits = self.left.try_sub_assign(used);
            assert!(fits, "validation lets no task take more than is left");
            return Resources::new();
        }
        let fits = self.left.contains(&used.non_shared());
        assert!(fits, "validation lets no task take more than is left");
        let copies = used.shared().saturating_sub(&self.left);
        self.left = self.left.saturating_sub(used);
        copies
    }

    /// What operations made, and what nothing was done with.
    fn split(self) -> (Resources, Resources) {
        let all = self.left + &self.resized;
        let made = all.saturating_sub(&self.offered);
        let unused = all.saturating_sub(&made);
        (made.unallocated(), unused.unallocated())
    }
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
        count_launches(turn, &accept.operations);
        if accept.operations.iter().all(is_nothing) {
            let declined = self.decline(turn, framework, &ids, filters.as_ref());
            let accepted = if declined == ids.len() { declined } else { 0 };
            return turn.count_of(framework, FrameworkCounter::OffersAccepted, accepted);
        }
        let taken = match self.take_offers(turn, framework, &ids) {
            Ok(taken) => taken,
            Err(reason) => return self.void(turn, framework, accept.operations, &reason),
        };
        turn.count_of(framework, FrameworkCounter::OffersAccepted, ids.len());
        let total = self.agents.get(&taken.agent).map(|it| it.total.clone());
        let mut purse = Purse::new(taken, total.unwrap_or_default());
        let mut operations = accept.operations;
        operations.retain_mut(|operation| self.admit(turn, framework, &purse, operation));
        for operation in operations {
            self.operate(turn, framework, &mut purse, operation);
        }
        self.carry_out(turn, framework, &mut purse);
        let (agent, role) = (purse.agent.clone(), purse.role.clone());
        let (made, unused) = purse.split();
        // What a framework had made for itself it did not refuse.
        self.give_back(turn, framework, &role, &agent, &made);
        let refusal = refusal(filters.as_ref());
        self.refuse_resources(turn, framework, &role, &agent, &unused, refusal);
    }

    fn operate(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: Operation,
    ) {
        let kind = operation.r#type();
        let before = purse.messages.len();
        let done = match (kind, operation) {
            (Type::Launch, Operation { launch, .. }) => {
                for task in launch.unwrap_or_default().task_infos {
                    self.launch(turn, framework, purse, task);
                }
                purse.messages.len() - before
            }
            (Type::LaunchGroup, Operation { launch_group, .. }) => {
                if let Some(group) = launch_group {
                    self.launch_group(turn, framework, purse, group);
                }
                purse.messages.len() - before
            }
            (_, operation) => self.convert(turn, framework, purse, operation).into(),
        };
        turn.count_of(framework, FrameworkCounter::Operations(kind), done);
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
            if !matches!(operation.r#type(), Type::Launch | Type::LaunchGroup) {
                let reason = format!("Operation attempted with invalid offers: {reason}");
                self.fail_operation(turn, framework, &operation, &reason);
                continue;
            }
            let text = format!("Task launched with invalid offers: {reason}");
            let state = TaskState::TaskDropped;
            for task in tasks_of(&operation) {
                let text = text.clone();
                self.turn_down(turn, framework, task, state, Reason::InvalidOffers, text);
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

    /// Tells a framework that an operation failed; what the operation would have used stays with the
    /// offer and goes back at the end.
    ///
    /// compat: Mesos says nothing of operations without an id. Here they are told of too, by a status
    /// without an id that begins with the operation's type. A driver that has no handler
    /// for it drops it.
    pub(crate) fn fail_operation(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        operation: &Operation,
        reason: &str,
    ) {
        let state = v1::OperationState::OperationError;
        turn.count(Counter::Operations(operation.r#type(), state));
        let message = match &operation.id {
            Some(_) => reason.to_owned(),
            None => format!("{}: {reason}", operation.r#type().as_str_name()),
        };
        let status = v1::OperationStatus {
            operation_id: operation.id.clone(),
            state: state as i32,
            message: Some(message),
            ..Default::default()
        };
        self.tell_operation(turn, framework, status);
    }

    /// Passes the status of an operation on to its framework.
    pub(crate) fn tell_operation(
        &self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        status: v1::OperationStatus,
    ) {
        let owner = self.frameworks.get(framework);
        let connection = owner.and_then(|owner| owner.connection.as_ref());
        turn.tell(connection, Notice::OperationStatus(Box::new(status)));
    }
}

/// The tasks of a LAUNCH or LAUNCH_GROUP.
pub(crate) fn tasks_of(operation: &Operation) -> &[v1::TaskInfo] {
    let (launch, group) = (operation.launch.as_ref(), operation.launch_group.as_ref());
    match operation.r#type() {
        Type::Launch => launch.map_or(&[], |launch| &launch.task_infos),
        Type::LaunchGroup => group.map_or(&[], |group| &group.task_group.tasks),
        _ => &[],
    }
}

/// Whether an operation has nothing to do.
fn is_nothing(operation: &Operation) -> bool {
    operation.r#type() == Type::Launch && tasks_of(operation).is_empty()
}

/// compat: what Mesos counts as messages that launch tasks, and as messages that decline offers.
fn count_launches(turn: &mut Turn<'_>, operations: &[Operation]) {
    let launches = operations.iter().filter(|one| one.r#type() == Type::Launch);
    let (empty, full): (Vec<_>, Vec<_>) = launches.partition(|one| is_nothing(one));
    for (name, count) in [
        ("launch_tasks", full.len()),
        ("decline_offers", empty.len()),
    ] {
        if count > 0 {
            turn.count_by(Counter::Message(name), count as u64);
        }
    }
}
