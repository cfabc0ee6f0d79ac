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
use crate::master::Reign;
use crate::permissions;
use crate::turn::Turn;

impl Reign {
    /// An operation on resources: carried out, or its framework hears why not.
    pub(crate) fn convert(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: Operation,
    ) {
        match self.converted(turn, framework, purse, &operation) {
            Ok(conversions) => {
                self.carry_out(turn, framework, purse, &conversions);
                self.instruct(turn, framework, &purse.agent, operation);
            }
            Err(reason) => self.fail_operation(turn, framework, &operation, &reason),
        }
    }

    /// Takes what an operation consumes out of the purse and puts in what it makes.
    fn converted(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &mut Purse,
        operation: &Operation,
    ) -> Result<Vec<Conversion>, String> {
        self.check_operation(framework, purse, operation)?;
        self.check_room(&purse.agent)?;
        if let (Type::Destroy, Some(destroy)) = (operation.r#type(), &operation.destroy) {
            self.rescind_volumes(turn, &purse.agent, &destroy.volumes);
        }
        let steps = conversions(operation).map_err(|why| why.to_string())?;
        match operation.r#type() {
            kind @ (Type::GrowVolume | Type::ShrinkVolume) => {
                for step in &steps {
                    let left = purse.left.checked_sub(&step.consumed).ok_or_else(|| {
                        let kind = kind.as_str_name();
                        let (left, consumed) = (&purse.left, &step.consumed);
                        format!("Invalid {kind} operation: {left} does not contain {consumed}")
                    })?;
                    purse.left = left;
                    purse.resized += &step.converted;
                }
            }
            _ => purse.left = purse.left.apply(&steps).map_err(|why| why.to_string())?,
        }
        for step in &steps {
            let kept = purse.shared.saturating_sub(&step.consumed);
            purse.shared = kept + &step.converted.shared();
        }
        Ok(steps)
    }

    fn check_operation(
        &self,
        framework: &FrameworkId,
        purse: &Purse,
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
        let used = match operation.r#type() {
            Type::Destroy => self.used_on(agent),
            _ => Resources::new(),
        };
        let context = OperationContext {
            principal: owner.info.principal.as_deref(),
            agent_capabilities: agent.capabilities,
            framework: Some(OperationFramework {
                id: framework,
                roles: &owner.roles,
                capabilities: owner.capabilities,
            }),
            checkpointed: &agent.checkpointed(),
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

    /// What tasks and executors on an agent use, as long as they are not over.
    fn used_on(&self, agent: &Agent) -> Resources {
        let mut used = Resources::new();
        for (framework, tasks) in &agent.tasks {
            let Some(owner) = self.frameworks.get(framework) else {
                continue;
            };
            let known = tasks.iter().filter_map(|task| owner.tasks.get(task));
            for task in known.filter(|task| !is_terminal(task.state)) {
                used += &task.resources;
            }
        }
        for executor in agent.executors.values().flat_map(|all| all.values()) {
            used += &executor.resources;
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

    /// What was done with offered resources is done in the books: what the agent has in all, and what
    /// the allocator counts as the framework's.
    fn carry_out(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        purse: &Purse,
        steps: &[Conversion],
    ) {
        let now = turn.now.mono_us;
        let Some(agent) = self.agents.get_mut(&purse.agent) else {
            return;
        };
        for step in steps.iter().map(Conversion::unallocated) {
            let total = step.apply(&agent.total);
            assert!(total.is_ok(), "an agent has what is offered of it");
            agent.total = total.unwrap_or_default();
            let (from, to) = (&step.consumed, &step.converted);
            let told = self.allocator.update_allocation(
                now,
                framework,
                &purse.role,
                &purse.agent,
                from,
                to,
            );
            assert!(told.is_ok(), "a framework holds what it was offered");
        }
        self.agent_changed(turn, &purse.agent);
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
    let wanted = Resource::from_wire(source).map_err(|why| why.to_string())?;
    let (left, wanted) = (&purse.left, Resources::from(wanted));
    Err(if left.contains(&wanted) {
        format!("{kind} comes in a later version of Meseta")
    } else {
        format!("Invalid {kind} Operation: {left} does not contain {wanted}")
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
