//! Operations at agents: told, remembered until their end is acknowledged, reconciled.
//!
//! An agent without RESOURCE_PROVIDER is told what to write down, and that is all. Another is told of
//! the operation itself and says what became of it, again and again until that is acknowledged: by the
//! framework if it gave the operation an id, else by the master.

use std::collections::BTreeSet;

use bytes::Bytes;
use meseta_model::ids::{AgentId, FrameworkId, OperationId};
use meseta_model::resources::ResourceFormat;
use meseta_model::upid::Upid;
use meseta_proto::mesos::v1::scheduler::call;
use meseta_proto::mesos::{internal, v1};
use v1::OperationState;
use v1::agent_info::capability::Type as Capability;
use v1::offer;

use crate::accept::Purse;
use crate::agents::Agent;
use crate::limits::{OPERATIONS_PER_AGENT_LIMIT, STATUSES_PER_OPERATION};
use crate::master::Reign;
use crate::turn::Turn;
use crate::verdicts::MARKED_GONE;
use crate::view::{AgentFate, Counter, Delta};

/// Whether nothing follows this state.
fn is_end(state: OperationState) -> bool {
    use OperationState::*;
    matches!(
        state,
        OperationFinished
            | OperationFailed
            | OperationError
            | OperationDropped
            | OperationGoneByOperator
    )
}

/// A number nobody knows is no end: the next status says what it is.
fn state_of(status: &v1::OperationStatus) -> OperationState {
    OperationState::try_from(status.state).unwrap_or(OperationState::OperationPending)
}

impl Reign {
    /// Why an agent takes no further operations.
    pub(crate) fn check_room(&self, agent: &AgentId) -> Result<(), String> {
        let agent = self.agents.get(agent).ok_or("The agent is gone")?;
        if !agent.capabilities.has(Capability::ResourceProvider) {
            return Ok(());
        }
        if agent.resource_version.is_none() {
            return Err(format!("Agent {} has no resource version", agent.named()));
        }
        let most = OPERATIONS_PER_AGENT_LIMIT;
        if agent.operations.len() >= most {
            let named = agent.named();
            return Err(format!("{most} operations on agent {named} are not over"));
        }
        Ok(())
    }

    /// Has an agent that applies operations told of one; others hear at the end what to write down.
    pub(crate) fn instruct(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        info: offer::Operation,
    ) {
        let id = &purse.agent;
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        if !agent.capabilities.has(Capability::ResourceProvider) {
            return;
        }
        let Some(version) = agent.resource_version.clone() else {
            return;
        };
        let uuid = v1::Uuid {
            value: Bytes::copy_from_slice(&self.rng.uuid_bytes()),
        };
        let message = internal::ApplyOperationMessage {
            framework_id: Some(framework.to_wire()),
            operation_info: info.clone(),
            operation_uuid: uuid.clone(),
            resource_version_uuid: internal::ResourceVersionUuid {
                resource_provider_id: None,
                uuid: version,
            },
        };
        purse.messages.push(message.into());
        let operation = v1::Operation {
            framework_id: Some(framework.to_wire()),
            agent_id: Some(id.to_wire()),
            latest_status: v1::OperationStatus {
                operation_id: info.id.clone(),
                agent_id: Some(id.to_wire()),
                state: OperationState::OperationPending as i32,
                ..Default::default()
            },
            statuses: Vec::new(),
            info,
            uuid,
        };
        self.add_operation(turn, operation);
    }

    /// Enters an operation into the books of its agent and, if it has an id, of its framework.
    fn add_operation(&mut self, turn: &mut Turn<'_>, operation: v1::Operation) {
        let Some(id) = operation.agent_id.as_ref().map(AgentId::from) else {
            return;
        };
        let owner = operation.framework_id.as_ref().map(FrameworkId::from);
        let owner = owner.and_then(|owner| self.frameworks.get_mut(&owner));
        let uuid = operation.uuid.value.clone();
        if let (Some(owner), Some(name)) = (owner, &operation.info.id) {
            let at = (id.clone(), uuid.clone());
            owner.operations.insert(OperationId::from(name), at);
        }
        if let Some(agent) = self.agents.get_mut(&id) {
            let state = state_of(&operation.latest_status);
            if is_end(state) {
                turn.count(Counter::Operations(operation.info.r#type(), state));
            }
            turn.changed(Delta::Operation(Box::new(operation.clone())));
            agent.operations.insert(uuid, operation);
        }
    }

    fn remove_operation(&mut self, turn: &mut Turn<'_>, agent: &AgentId, uuid: &Bytes) {
        let operations = self
            .agents
            .get_mut(agent)
            .map(|agent| &mut agent.operations);
        if let Some(operation) = operations.and_then(|operations| operations.remove(uuid)) {
            self.forget_operation(turn, &operation);
        }
    }

    /// Takes an operation that its agent no longer has out of the books of its framework.
    fn forget_operation(&mut self, turn: &mut Turn<'_>, operation: &v1::Operation) {
        let uuid = operation.uuid.value.clone();
        turn.changed(Delta::OperationRemoved { uuid });
        let owner = operation.framework_id.as_ref().map(FrameworkId::from);
        let owner = owner.and_then(|owner| self.frameworks.get_mut(&owner));
        if let (Some(owner), Some(name)) = (owner, &operation.info.id) {
            let name = OperationId::from(name);
            let newest = owner.operations.get(&name);
            if newest.is_some_and(|(_, uuid)| *uuid == operation.uuid.value) {
                owner.operations.remove(&name);
            }
        }
    }

    /// `UpdateOperationStatusMessage`: what became of an operation.
    pub(crate) fn operation_status(
        &mut self,
        turn: &mut Turn<'_>,
        from: &Upid,
        message: internal::UpdateOperationStatusMessage,
    ) {
        turn.count(Counter::Message("operation_status_update"));
        let id = message.slave_id.as_ref().map(AgentId::from);
        let agent = id
            .as_ref()
            .and_then(|id| self.agents.registered.get_mut(id));
        let Some(agent) = agent.filter(|agent| agent.pid == *from) else {
            return turn.count(Counter::InvalidOperationStatusUpdates);
        };
        let framework = message.framework_id.as_ref().map(FrameworkId::from);
        let known = message
            .operation_uuid
            .as_ref()
            .and_then(|uuid| agent.operations.get_mut(&uuid.value));
        let Some(operation) = known else {
            let id = agent.id.clone();
            turn.count(Counter::InvalidOperationStatusUpdates);
            return self.stray_operation_status(turn, &id, framework, message);
        };
        turn.count(Counter::ValidOperationStatusUpdates);
        let mut status = message.status;
        status.operation_id.clone_from(&operation.info.id);
        record(
            turn,
            operation,
            message.latest_status.as_ref().unwrap_or(&status),
        );
        let (agent, operation) = (agent.id.clone(), operation.clone());
        self.pass_status_on(turn, &agent, &operation, status);
    }

    /// What is said of an operation that is in no book: the framework may have asked. Where nobody else
    /// would, the master acknowledges: the agent did not hear it the first time.
    fn stray_operation_status(
        &self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        framework: Option<FrameworkId>,
        message: internal::UpdateOperationStatusMessage,
    ) {
        let status = message.status;
        let known = framework.filter(|framework| self.frameworks.get(framework).is_some());
        match (known, &status.uuid, message.operation_uuid) {
            (Some(framework), ..) if status.operation_id.is_some() => {
                self.tell_operation(turn, &framework, status);
            }
            (_, Some(status_uuid), Some(operation_uuid)) => {
                self.acknowledge_for(turn, id, status_uuid.clone(), operation_uuid);
            }
            _ => {}
        }
    }

    fn acknowledge_for(
        &self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        status_uuid: v1::Uuid,
        operation_uuid: v1::Uuid,
    ) {
        if let Some(agent) = self.agents.get(id) {
            let message = internal::AcknowledgeOperationStatusMessage {
                status_uuid,
                operation_uuid,
                resource_provider_id: None,
            };
            turn.send(&agent.pid, message);
        }
    }

    /// To the framework if it wants to know, which then acknowledges it; else it is acknowledged here.
    fn pass_status_on(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        operation: &v1::Operation,
        status: v1::OperationStatus,
    ) {
        let over = is_end(state_of(&operation.latest_status));
        let latest = operation.statuses.last().unwrap_or(&status);
        let to_acknowledge = latest.uuid.clone();
        let framework = operation.framework_id.as_ref().map(FrameworkId::from);
        let waiting = framework
            .filter(|_| operation.info.id.is_some())
            .filter(|framework| self.frameworks.get(framework).is_some());
        if let Some(framework) = waiting {
            self.tell_operation(turn, &framework, status);
            if over && to_acknowledge.is_none() {
                self.remove_operation(turn, id, &operation.uuid.value);
            }
            return;
        }
        if let Some(status_uuid) = to_acknowledge {
            self.acknowledge_for(turn, id, status_uuid, operation.uuid.clone());
        }
        if over {
            self.remove_operation(turn, id, &operation.uuid.value);
        }
    }

    /// ACKNOWLEDGE_OPERATION_STATUS: goes on to the agent; the operation is forgotten when it was about
    /// its end.
    pub(crate) fn acknowledge_operation(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        call: &call::AcknowledgeOperationStatus,
    ) {
        turn.count(Counter::Message("operation_status_update_acknowledgement"));
        let agent = call.agent_id.as_ref().map(AgentId::from);
        let agent = agent.and_then(|id| self.agents.connected(&id));
        let name = OperationId::from(&call.operation_id);
        let owner = self.frameworks.get(framework);
        let newest = owner.and_then(|owner| owner.operations.get(&name));
        let found = agent.and_then(|agent| {
            let (operation, status) = reported(agent, framework, newest, call)?;
            Some((agent, operation, status))
        });
        let Some((agent, operation, status)) = found else {
            // The status comes again, or is about something that is over.
            return turn.count(Counter::InvalidOperationStatusUpdateAcknowledgements);
        };
        let message = internal::AcknowledgeOperationStatusMessage {
            status_uuid: v1::Uuid {
                value: call.uuid.clone(),
            },
            operation_uuid: operation.uuid.clone(),
            resource_provider_id: call.resource_provider_id.clone(),
        };
        turn.send(&agent.pid, message);
        turn.count(Counter::ValidOperationStatusUpdateAcknowledgements);
        if is_end(state_of(status)) {
            let (agent, uuid) = (agent.id.clone(), operation.uuid.value.clone());
            self.remove_operation(turn, &agent, &uuid);
        }
    }

    /// An agent that makes itself known says which operations it has: others that are in the books it is
    /// asked about, those that are not are entered.
    pub(crate) fn compare_operations(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        reported: Vec<v1::Operation>,
    ) {
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        let there: BTreeSet<&Bytes> = reported.iter().map(|known| &known.uuid.value).collect();
        let missing: Vec<_> = agent
            .operations
            .keys()
            .filter(|uuid| !there.contains(uuid))
            .map(|uuid| internal::reconcile_operations_message::Operation {
                operation_uuid: Some(v1::Uuid {
                    value: uuid.clone(),
                }),
                ..Default::default()
            })
            .collect();
        if !missing.is_empty() {
            let message = internal::ReconcileOperationsMessage {
                operations: missing,
                framework_id: None,
            };
            turn.send(&agent.pid, message);
        }
        for mut operation in reported {
            let Some(agent) = self.agents.get(id) else {
                return;
            };
            let known = agent.operations.contains_key(&operation.uuid.value);
            if known || agent.operations.len() >= OPERATIONS_PER_AGENT_LIMIT {
                continue;
            }
            operation.agent_id = Some(id.to_wire());
            let excess = operation
                .statuses
                .len()
                .saturating_sub(STATUSES_PER_OPERATION);
            operation.statuses.drain(..excess);
            self.add_operation(turn, operation);
        }
    }

    /// An agent goes, and takes its operations along: frameworks hear how that leaves them.
    ///
    /// compat: each is counted as what it is now, also one that was over before and was counted then.
    pub(crate) fn end_operations(&mut self, turn: &mut Turn<'_>, id: &AgentId, to: AgentFate) {
        use OperationState::{OperationGoneByOperator, OperationUnreachable};
        let operations = match self.agents.get_mut(id) {
            Some(agent) => std::mem::take(&mut agent.operations),
            None => return,
        };
        // compat: nothing is said when the agent left by itself.
        let verdict = match to {
            AgentFate::Unreachable => Some((OperationUnreachable, "Agent was marked unreachable")),
            AgentFate::Gone => Some((OperationGoneByOperator, MARKED_GONE)),
            AgentFate::Removed => None,
        };
        for operation in operations.into_values() {
            self.forget_operation(turn, &operation);
            if let Some((state, _)) = verdict {
                turn.count(Counter::Operations(operation.info.r#type(), state));
            }
            let framework = operation.framework_id.as_ref().map(FrameworkId::from);
            let named = operation.info.id.is_some();
            if let (Some(framework), Some((state, text)), true) = (framework, verdict, named) {
                let status = v1::OperationStatus {
                    operation_id: operation.info.id,
                    state: state as i32,
                    message: Some(text.to_owned()),
                    agent_id: Some(id.to_wire()),
                    ..Default::default()
                };
                self.tell_operation(turn, &framework, status);
            }
        }
    }
}

/// The operation and the status that a framework acknowledges.
///
/// An id that was used again names the newest operation, but what the agent says of an older one goes on
/// to the framework as well, and ends only with its acknowledgement. (Mesos finds the newest only.)
fn reported<'a>(
    agent: &'a Agent,
    framework: &FrameworkId,
    newest: Option<&(AgentId, Bytes)>,
    call: &call::AcknowledgeOperationStatus,
) -> Option<(&'a v1::Operation, &'a v1::OperationStatus)> {
    let status_of = |operation: &'a v1::Operation| {
        let is_it = |status: &&v1::OperationStatus| {
            let uuid = status.uuid.as_ref();
            uuid.is_some_and(|uuid| uuid.value == call.uuid)
        };
        Some((operation, operation.statuses.iter().find(is_it)?))
    };
    let newest = newest.filter(|(at, _)| *at == agent.id);
    let newest = newest.and_then(|(_, uuid)| agent.operations.get(uuid));
    newest.and_then(status_of).or_else(|| {
        let is_own = |operation: &&v1::Operation| {
            let owner = operation.framework_id.as_ref();
            operation.info.id.as_ref() == Some(&call.operation_id)
                && owner.is_some_and(|owner| owner.value == framework.as_str())
        };
        let mut own = agent.operations.values().filter(is_own);
        own.find_map(status_of)
    })
}

/// Brings an operation up to date. An end is never left.
fn record(turn: &mut Turn<'_>, operation: &mut v1::Operation, status: &v1::OperationStatus) {
    let known = operation.clone();
    let before = state_of(&known.latest_status);
    let mut status = status.clone();
    status.operation_id.clone_from(&operation.info.id);
    if !is_end(before) {
        operation.latest_status = status.clone();
        if is_end(state_of(&status)) {
            let kind = operation.info.r#type();
            turn.count(Counter::Operations(kind, state_of(&status)));
        }
    }
    if operation.statuses.last() != Some(&status) {
        operation.statuses.push(status);
    }
    let excess = operation
        .statuses
        .len()
        .saturating_sub(STATUSES_PER_OPERATION);
    operation.statuses.drain(..excess);
    if *operation != known {
        turn.changed(Delta::Operation(Box::new(operation.clone())));
    }
}

/// Tells an agent what to write down: all its reservations and volumes as they are from now on.
///
/// compat: refined reservations cannot be said to an agent that does not know them, and then nothing is.
pub(crate) fn checkpoint(turn: &mut Turn<'_>, agent: &Agent) {
    let (all, format) = (agent.checkpointed(), agent.format());
    let refined = all.iter().any(|one| one.has_refined_reservations());
    if refined && format == ResourceFormat::PreRefinement {
        return;
    }
    let resources = all.to_wire(format);
    turn.send(
        &agent.pid,
        internal::CheckpointResourcesMessage { resources },
    );
}
