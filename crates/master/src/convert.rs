//! RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME, SHRINK_VOLUME: what an agent has becomes something
//! else, at once in every book here, and then at the agent.
//!
//! Nothing waits for the agent: an operation on an agent's own resources fails there only if the agent
//! fails, and then it comes back and says what it has (compat: Mesos's speculative operations).

use meseta_model::ids::{AgentId, FrameworkId, OfferId};
use meseta_model::resources::{Conversion, Resource, Resources, conversions};
use meseta_model::task_state::is_terminal;
use meseta_model::validation::{self, InvalidOperation, OperationContext, OperationFramework};
use meseta_proto::mesos::v1;
use v1::agent_info::capability::Type as Capability;
use v1::offer::Operation;
use v1::offer::operation::Type;

use crate::accept::Purse;
use crate::agents::Agent;
use crate::limits::{CONVERSIONS_PER_ACCEPT, RESERVATIONS_PER_AGENT};
use crate::master::Reign;
use crate::permissions;
use crate::reason::reason;
use crate::turn::Turn;

impl Reign {
    /// An operation on resources: carried out, or its framework hears why not. Says which.
    pub(crate) fn convert(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: Operation,
    ) -> bool {
        let converted = self.converted(turn, framework, purse, &operation);
        match &converted {
            Ok(()) => self.instruct(turn, framework, purse, operation),
            Err(reason) => self.fail_operation(turn, framework, &operation, reason),
        }
        converted.is_ok()
    }

    /// Takes what an operation consumes out of the purse and puts in what it makes.
    fn converted(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: &Operation,
    ) -> Result<(), String> {
        self.check_operation(framework, purse, operation)?;
        self.check_room(&purse.agent)?;
        self.check_held(framework, purse)?;
        let steps = conversions(operation).map_err(reason)?;
        let most = CONVERSIONS_PER_ACCEPT;
        purse.tried = purse.tried.saturating_add(steps.len());
        if purse.tried > most {
            return Err(format!("One ACCEPT may convert resources {most} times"));
        }
        if let (Type::Destroy, Some(destroy)) = (operation.r#type(), &operation.destroy) {
            self.rescind_volumes(turn, &purse.agent, &destroy.volumes);
        }
        let (mut left, mut resized) = (purse.left.clone(), Resources::new());
        match operation.r#type() {
            kind @ (Type::GrowVolume | Type::ShrinkVolume) => {
                for step in &steps {
                    left = left.checked_sub(&step.consumed).ok_or_else(|| {
                        let (kind, consumed) = (kind.as_str_name(), &step.consumed);
                        let what = format_args!("{left} does not contain {consumed}");
                        reason(format_args!("Invalid {kind} operation: {what}"))
                    })?;
                    resized += &step.converted;
                }
            }
            _ => left = left.apply(&steps).map_err(reason)?,
        }
        let done: Vec<Conversion> = steps.iter().map(Conversion::unallocated).collect();
        let total = purse.total.apply(&done).map_err(reason)?;
        self.check_reservations(purse, &total)?;
        purse.left = left;
        purse.resized += &resized;
        for step in &steps {
            let kept = purse.shared.saturating_sub(&step.consumed);
            purse.shared = kept + &step.converted.shared();
        }
        purse.total = total;
        purse.steps.extend(done);
        Ok(())
    }

    /// Whether the books say that the framework still has what it was offered; the rest of the ACCEPT
    /// then finds it there too.
    fn check_held(&self, framework: &FrameworkId, purse: &mut Purse) -> Result<(), String> {
        if purse.is_held {
            return Ok(());
        }
        let left = purse.left.unallocated();
        let held = self.allocator.held(framework, &purse.role, &purse.agent);
        purse.is_held = purse.total.contains(&left.non_shared())
            && held.is_some_and(|held| held.unallocated().contains(&left));
        if purse.is_held {
            return Ok(());
        }
        Err("What was offered is not there any more".to_owned())
    }

    /// An agent can only have so many reservations and volumes: each further operation has to look at
    /// all of them.
    fn check_reservations(&self, purse: &Purse, total: &Resources) -> Result<(), String> {
        let count = |all: &Resources| all.iter().filter(|one| one.needs_checkpointing()).count();
        let most = RESERVATIONS_PER_AGENT;
        let after = count(total);
        if after <= most || after <= count(&purse.total) {
            return Ok(());
        }
        let agent = self.agents.get(&purse.agent);
        let named = agent.map(Agent::named).unwrap_or_default();
        Err(format!(
            "Agent {named} would have {after} different reservations and volumes, {most} are allowed"
        ))
    }

    fn check_operation(
        &self,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: &Operation,
    ) -> Result<(), String> {
        let (Some(owner), Some(agent)) = (
            self.frameworks.get(framework),
            self.agents.get(&purse.agent),
        ) else {
            return Err("The agent is gone".to_owned());
        };
        let on_agent = |why: String| format!("{why}; on agent {}", agent.named());
        if let Type::CreateDisk | Type::DestroyDisk = operation.r#type()
            && !agent.capabilities.has(Capability::ResourceProvider)
        {
            return Err(format!(
                "Not supported on agent {} because it does not have RESOURCE_PROVIDER capability",
                agent.named()
            ));
        }
        let (mut volumes, mut used) = (Resources::new(), Resources::new());
        if let Type::Create | Type::Destroy = operation.r#type() {
            let is_own = |one: &Resource| one.needs_checkpointing() && one.is_persistent_volume();
            volumes = purse.total.filter(is_own);
            let known = &mut purse.volumes_used;
            used.clone_from(known.get_or_insert_with(|| self.volumes_used_on(agent)));
        }
        let context = OperationContext {
            principal: owner.info.principal.as_deref(),
            agent_capabilities: agent.capabilities,
            framework: Some(OperationFramework {
                id: framework,
                roles: &owner.roles,
                capabilities: owner.capabilities,
            }),
            checkpointed: &volumes,
            used: &used,
        };
        validation::operation(operation, &context).map_err(|why| match why {
            // compat: a part that is not there counts among the resources.
            InvalidOperation::Missing { .. } => {
                format!("Operation attempted with invalid resources: {why}")
            }
            why => on_agent(why.to_string()),
        })?;
        permissions::operate(owner, operation)?;
        check_disks(purse, operation)?;
        check_volumes(agent, operation)
    }

    /// The volumes that tasks and executors on an agent use, as long as they are not over.
    fn volumes_used_on(&self, agent: &Agent) -> Resources {
        let mut used = Resources::new();
        for (framework, tasks) in &agent.tasks {
            let Some(owner) = self.frameworks.get(framework) else {
                continue;
            };
            let known = tasks.iter().filter_map(|task| owner.tasks.get(task));
            for task in known.filter(|task| !is_terminal(task.state)) {
                used += &task.resources.persistent_volumes();
            }
        }
        for executor in agent.executors.values().flat_map(|all| all.values()) {
            used += &executor.resources.persistent_volumes();
        }
        used
    }

    /// Shared volumes may be on offer elsewhere; nobody may take what is about to be destroyed.
    fn rescind_volumes(&mut self, turn: &mut Turn<'_>, agent: &AgentId, wire: &[v1::Resource]) {
        let volumes: Vec<Resources> = wire
            .iter()
            .filter_map(|volume| Resource::from_wire(volume).ok())
            .map(|volume| Resources::from(volume).unallocated())
            .collect();
        let Some(agent) = self.agents.get(agent) else {
            return;
        };
        let has_one = |id: &&OfferId| {
            let offer = self.offers.get(*id);
            let offered = |volume| offer.is_some_and(|offer| offer.resources.contains(volume));
            volumes.iter().any(offered)
        };
        let offers: Vec<OfferId> = agent.offers.iter().filter(has_one).cloned().collect();
        for offer in offers {
            self.rescind(turn, &offer);
        }
    }

    /// What was done with offered resources is done in the books, all of it at once: what the agent has,
    /// and what the allocator counts as the framework's. Then the agent is told.
    ///
    /// What a task of the ACCEPT uses no later operation can take away, so that one word on what to
    /// write down, ahead of all tasks, does for each of them.
    pub(crate) fn carry_out(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
    ) {
        let steps = std::mem::take(&mut purse.steps);
        if !steps.is_empty() {
            let (now, role, id) = (turn.now.mono_us, &purse.role, &purse.agent);
            let pairs = steps.iter().map(|step| (&step.consumed, &step.converted));
            let told = self
                .allocator
                .update_allocation(now, framework, role, id, pairs);
            assert!(told.is_ok(), "a framework holds what it was offered");
            if let Some(agent) = self.agents.get_mut(id) {
                agent.total.clone_from(&purse.total);
            }
            self.agent_changed(turn, id);
        }
        let Some(agent) = self.agents.get(&purse.agent) else {
            return;
        };
        if !steps.is_empty() && !agent.capabilities.has(Capability::ResourceProvider) {
            crate::operations::checkpoint(turn, agent);
        }
        for message in std::mem::take(&mut purse.messages) {
            turn.send(&agent.pid, message);
        }
    }
}

/// No resource provider has its disks in our books.
fn check_disks(purse: &Purse, operation: &Operation) -> Result<(), String> {
    let create = operation.create_disk.as_ref().map(|create| &create.source);
    let destroy = operation.destroy_disk.as_ref();
    let source = create.or(destroy.map(|destroy| &destroy.source));
    let (Type::CreateDisk | Type::DestroyDisk, Some(source)) = (operation.r#type(), source) else {
        return Ok(());
    };
    let kind = operation.r#type().as_str_name();
    let wanted = Resource::from_wire(source).map_err(reason)?;
    let (left, wanted) = (&purse.left, Resources::from(wanted));
    Err(if left.contains(&wanted) {
        format!("{kind} comes in a later version of Meseta")
    } else {
        let what = format_args!("{left} does not contain {wanted}");
        reason(format_args!("Invalid {kind} Operation: {what}"))
    })
}

/// Agents make volumes when they are told of the operation itself. Those that are only told what to
/// write down, as Meseta's are today, would run tasks without: they are not trusted with data.
fn check_volumes(agent: &Agent, operation: &Operation) -> Result<(), String> {
    let makes = agent.capabilities.has(Capability::ResourceProvider);
    if operation.r#type() != Type::Create || makes {
        return Ok(());
    }
    Err(
        "Persistent volumes on agents without RESOURCE_PROVIDER capability come in a later version of \
         Meseta"
            .to_owned(),
    )
}
