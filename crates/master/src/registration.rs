//! Agents come in: registration, and return.

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{AgentProfile, Attribute, Site};
use meseta_model::caller::Caller;
use meseta_model::capabilities::AgentCapabilities;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceFormat, Resources, reformat};
use meseta_model::upid::Upid;
use meseta_proto::mesos::{internal, v1};
use meseta_proto::slave_info::shown_by_master;
use v1::agent_info::capability::Type as Capability;

use crate::agents::{Agent, Over};
use crate::event::{Effect, Timer};
use crate::master::Reign;
use crate::permissions;
use crate::proposals::Pending;
use crate::registry::Op;
use crate::turn::Turn;
use crate::verdicts::MARKED_GONE;
use crate::view::{Counter, Delta};

/// A description of an agent that makes sense.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) info: v1::AgentInfo,
    pub(crate) total: Resources,
    pub(crate) version: String,
    pub(crate) capabilities: AgentCapabilities,
    pub(crate) resource_version: Option<v1::Uuid>,
}

/// A new agent whose admission is being written.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) pid: Upid,
    pub(crate) id: AgentId,
    pub(crate) description: Description,
}

/// A known agent whose return is being written, or needs no writing.
#[derive(Debug)]
pub(crate) struct Return {
    pub(crate) pid: Upid,
    pub(crate) id: AgentId,
    pub(crate) description: Description,
    pub(crate) executors: Vec<v1::ExecutorInfo>,
    pub(crate) tasks: Vec<v1::Task>,
    pub(crate) frameworks: Vec<v1::FrameworkInfo>,
    /// It was unreachable: frameworks are told where their tasks stand.
    pub(crate) was_unreachable: bool,
}

impl Reign {
    /// `RegisterSlaveMessage`: an agent that has no id yet.
    pub(crate) fn register_agent(
        &mut self,
        turn: &mut Turn<'_>,
        pid: Upid,
        caller: &Caller,
        message: internal::RegisterSlaveMessage,
    ) {
        turn.count(Counter::Message("register_slave"));
        if !permissions::register_agent(caller) {
            return turn.count(Counter::DroppedMessages);
        }
        let Some(description) = describe(
            message.slave,
            &message.checkpointed_resources,
            message.version,
            &message.agent_capabilities,
            message.resource_version_uuid,
        ) else {
            return turn.count(Counter::DroppedMessages);
        };
        if let Some(agent) = self
            .agents
            .by_pid
            .get(&pid)
            .and_then(|id| self.agents.get(id))
        {
            if agent.connected && agent.over.is_none() {
                // A retry: our answer was lost.
                let (id, pid) = (agent.id.clone(), agent.pid.clone());
                let is_busy = !agent.tasks.is_empty() || !agent.executors.is_empty();
                let owes = self.registry.digest(&id).is_some_and(|due| !due.is_empty());
                let mut info = description.info;
                info.id.clone_from(&agent.info.id);
                let is_changed = info != agent.info;
                self.greet(turn, &id, &pid);
                if is_busy || owes || is_changed {
                    self.ask_to_return(turn, &id);
                }
                return;
            }
            let id = agent.id.clone();
            self.remove_agent(turn, &id, Over::Replaced);
        }
        if self.agents.admitting.contains(&pid) || self.proposals.is_full() {
            return;
        }
        self.agents.admitting.insert(pid.clone());
        let id = AgentId::new(format!("{}-S{}", self.info.id, self.agents.next_number));
        self.agents.next_number += 1;
        let mut description = description;
        description.info.id = Some(id.to_wire());
        let op = Op::AgentAdmitted {
            info: Box::new(description.info.clone()),
        };
        let admission = Admission {
            pid,
            id,
            description,
        };
        self.propose(turn, &op, Pending::Admit(Box::new(admission)));
    }

    /// The admission is durable.
    pub(crate) fn agent_admitted(&mut self, turn: &mut Turn<'_>, admission: Admission) {
        let Admission {
            pid,
            id,
            description,
        } = admission;
        self.agents.admitting.remove(&pid);
        turn.count(Counter::AgentRegistrations);
        self.add_agent(turn, &id, pid.clone(), description, None);
        self.greet(turn, &id, &pid);
        self.nudge(turn);
    }

    fn greet(&mut self, turn: &mut Turn<'_>, id: &AgentId, pid: &Upid) {
        let message = internal::SlaveRegisteredMessage {
            slave_id: id.to_wire(),
            connection: Some(self.connection_terms()),
        };
        turn.send(pid, message);
    }

    fn connection_terms(&self) -> internal::MasterSlaveConnection {
        internal::MasterSlaveConnection {
            total_ping_timeout_seconds: Some(self.config.total_ping_timeout_seconds()),
        }
    }

    /// `ReregisterSlaveMessage`: an agent that has an id, from this master or an earlier one.
    pub(crate) fn reregister_agent(
        &mut self,
        turn: &mut Turn<'_>,
        pid: Upid,
        caller: &Caller,
        message: internal::ReregisterSlaveMessage,
    ) {
        turn.count(Counter::Message("reregister_slave"));
        if !permissions::register_agent(caller) {
            return turn.count(Counter::DroppedMessages);
        }
        let Some(wire_id) = message.slave.id.clone() else {
            return turn.count(Counter::DroppedMessages);
        };
        let id = AgentId::from(&wire_id);
        let Some(description) = describe(
            message.slave,
            &message.checkpointed_resources,
            message.version,
            &message.agent_capabilities,
            message.resource_version_uuid,
        ) else {
            return turn.count(Counter::DroppedMessages);
        };
        if let Some(reason) = self.must_shut_down(&id, &pid, &description.info) {
            let message = Some(reason);
            return turn.send(&pid, internal::ShutdownMessage { message });
        }
        let leaving = self
            .agents
            .get(&id)
            .is_some_and(|agent| agent.leaving.is_some());
        if self.agents.returning.contains(&id) {
            // What is being written for it may be older words.
            self.agents.insisting.insert(id.clone());
        }
        if leaving || self.agents.returning.contains(&id) || self.proposals.is_full() {
            // It asks again, and by then the op on its way has had its effect.
            return;
        }
        let back = Return {
            was_unreachable: self.registry.unreachable().contains_key(&id),
            pid,
            id,
            description,
            executors: message.executor_infos,
            tasks: message.tasks,
            frameworks: message.frameworks,
        };
        self.let_back_in(turn, back);
    }

    /// Why an agent may not come back (semantic 89).
    fn must_shut_down(&self, id: &AgentId, pid: &Upid, info: &v1::AgentInfo) -> Option<String> {
        if self.registry.gone().contains_key(id) {
            return Some(MARKED_GONE.to_owned());
        }
        let known = self.registry.agents().get(id)?;
        let moved = self
            .agents
            .get(id)
            .is_some_and(|agent| agent.pid.address.ip() != pid.address.ip());
        (moved || known.info.hostname != info.hostname)
            .then(|| "Agent attempted to reregister with different IP / hostname".to_owned())
    }

    /// Writes what must be written first: unknown frameworks, then the agent itself.
    fn let_back_in(&mut self, turn: &mut Turn<'_>, back: Return) {
        let met = crate::reign::unknown_frameworks(self, back.frameworks.iter());
        let info = Box::new(back.description.info.clone());
        let op = match self.registry.agents().get(&back.id) {
            Some(record) if record.info == *info && met.is_empty() => {
                return self.agent_returned(turn, back);
            }
            // Also when only frameworks are new: what follows must come after them.
            Some(_) => Op::AgentUpdated { info },
            None => Op::AgentReachable { info },
        };
        for info in met {
            let info = Box::new(info);
            self.propose(turn, &Op::FrameworkAdded { info }, Pending::Meet);
        }
        self.agents.returning.insert(back.id.clone());
        self.propose(turn, &op, Pending::Return(Box::new(back)));
    }

    /// The agent may come back, durably so.
    pub(crate) fn agent_returned(&mut self, turn: &mut Turn<'_>, back: Return) {
        self.agents.returning.remove(&back.id);
        let insists = self.agents.insisting.remove(&back.id);
        let id = back.id.clone();
        if !crate::reign::unknown_frameworks(self, back.frameworks.iter()).is_empty() {
            // A framework that it brings could not be written: its tasks would be taken for orphans.
            // The agent asks again.
            return;
        }
        turn.count(Counter::AgentReregistrations);
        if self.agents.registered.contains_key(&back.id) {
            self.known_agent_returned(turn, back);
        } else {
            self.readmit(turn, back);
        }
        if insists {
            self.ask_to_return(turn, &id);
        }
    }

    /// An agent that this master has not had registered, with everything that runs on it.
    fn readmit(&mut self, turn: &mut Turn<'_>, back: Return) {
        let id = back.id.clone();
        self.agents.expect_no_more(&id);
        if self.agents.recovered.is_empty() {
            turn.cancel(Timer::RecoveredAgents);
        }
        let now = turn.now.wall_seconds();
        let orphans = self.orphans(&back);
        self.add_agent(turn, &id, back.pid.clone(), back.description, Some(now));
        self.adopt_executors(turn, &id, back.executors);
        let reported = self.adopt_tasks(turn, &id, back.tasks, back.was_unreachable);
        let questions = self.questions(turn, &id, &reported, back.was_unreachable);
        self.welcome_back(turn, &id, questions, &back.frameworks, orphans);
        self.nudge(turn);
    }

    /// An agent that is registered here: its link broke, its process restarted, or it only thinks so.
    fn known_agent_returned(&mut self, turn: &mut Turn<'_>, back: Return) {
        let id = back.id.clone();
        let now = turn.now.wall_seconds();
        let orphans = self.orphans(&back);
        let Some(agent) = self.agents.get_mut(&id) else {
            return;
        };
        let was_connected = agent.connected;
        let old_pid = std::mem::replace(&mut agent.pid, back.pid.clone());
        let total = total_of(agent, &back.description);
        agent.shrunk |= !total.contains(&agent.total);
        agent.total = total;
        let missed = agent.total != back.description.total;
        agent.info = back.description.info;
        agent.version = back.description.version;
        agent.capabilities = back.description.capabilities;
        agent.resource_version = back.description.resource_version;
        agent.reregistered_time = Some(now);
        agent.connected = true;
        agent.active = agent.leaving.is_none() && agent.over.is_none();
        agent.missed_pings = 0;
        agent.ping_unanswered = false;
        if old_pid != back.pid && self.agents.by_pid.get(&old_pid) == Some(&id) {
            self.agents.by_pid.remove(&old_pid);
            turn.push(Effect::Unlink(old_pid));
        }
        self.vacate(turn, &back.pid, &id);
        turn.push(Effect::Link(back.pid.clone()));
        self.agents.by_pid.insert(back.pid, id.clone());
        turn.cancel(Timer::AgentReregister(id.clone()));
        self.rescind_agent_offers(turn, &id);
        self.refresh(turn, &id);
        self.agent_changed(turn, &id);
        self.drop_vanished_executors(turn, &id, &back.executors);
        self.adopt_executors(turn, &id, back.executors);
        let mut tasks = back.tasks;
        if was_connected {
            self.leave_out_settled(&mut tasks);
        }
        let reported = self.adopt_tasks(turn, &id, tasks, false);
        let mut believed = reported.clone();
        if was_connected {
            believed.retain(|task| !self.is_live(task));
        }
        let questions = self.questions(turn, &id, &believed, false);
        self.welcome_back(turn, &id, questions, &back.frameworks, orphans);
        if missed && let Some(agent) = self.agents.get(&id) {
            crate::operations::checkpoint(turn, agent);
        }
        self.kill_again(turn, &id, &reported);
        self.nudge(turn);
    }

    /// An agent that moved in is where another was: there cannot be two at one address, and that this
    /// link of the other's is broken was only not noticed yet. The other's tasks may run all the same,
    /// and it may come back from elsewhere: it has the time for it that any broken link leaves.
    fn vacate(&mut self, turn: &mut Turn<'_>, pid: &Upid, id: &AgentId) {
        let other = self.agents.by_pid.get(pid).filter(|other| *other != id);
        if let Some(other) = other.cloned() {
            self.disconnect_agent(turn, &other);
        }
    }

    /// The allocator learns what an agent has now, and that it may be offered.
    fn refresh(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        let now = turn.now.mono_us;
        let active = agent.active;
        let told = self.allocator.update_agent(now, id, profile(agent));
        assert!(told.is_ok(), "the allocator knows every registered agent");
        if active {
            self.allocator.activate_agent(now, id);
        }
    }

    /// Enters an agent into the books and starts to ping it.
    fn add_agent(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        pid: Upid,
        description: Description,
        reregistered_time: Option<f64>,
    ) {
        match self.agents.by_pid.get(&pid).cloned() {
            // Semantic 90: a new agent is where another was, and that one is no more.
            Some(other) if reregistered_time.is_none() => {
                self.remove_agent(turn, &other, Over::Replaced);
            }
            _ => self.vacate(turn, &pid, id),
        }
        let observer = self.agents.number_observer(id);
        let agent = Agent {
            id: id.clone(),
            info: description.info,
            pid: pid.clone(),
            version: description.version,
            capabilities: description.capabilities,
            shrunk: false,
            total: description.total,
            resource_version: description.resource_version,
            connected: true,
            active: true,
            leaving: None,
            over: None,
            registered_time: turn.now.wall_seconds(),
            reregistered_time,
            observer,
            ping_unanswered: false,
            missed_pings: 0,
            tasks: BTreeMap::new(),
            executors: BTreeMap::new(),
            offers: BTreeSet::new(),
            killed: BTreeSet::new(),
            expected: BTreeMap::new(),
            operations: BTreeMap::new(),
        };
        self.allocator
            .add_agent(turn.now.mono_us, id, profile(&agent), &[]);
        turn.changed(Delta::Agent(Box::new(agent.view())));
        turn.push(Effect::Link(pid.clone()));
        self.agents.by_pid.insert(pid, id.clone());
        self.agents.registered.insert(id.clone(), agent);
        self.ping(turn, id);
    }

    /// Tells the read model how the agent is now.
    pub(crate) fn agent_changed(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        if let Some(agent) = self.agents.get(id) {
            turn.changed(Delta::Agent(Box::new(agent.view())));
        }
    }

    /// `SlaveReregisteredMessage`, with questions about what the agent did not report, and where the
    /// frameworks are that it did. What it has of removed frameworks it is told to end, behind that: an
    /// agent obeys nothing of the kind before it is registered.
    fn welcome_back(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        reconciliations: Vec<internal::ReconcileTasksMessage>,
        frameworks: &[v1::FrameworkInfo],
        orphans: BTreeSet<FrameworkId>,
    ) {
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        let message = internal::SlaveReregisteredMessage {
            slave_id: id.to_wire(),
            reconciliations,
            connection: Some(self.connection_terms()),
        };
        turn.send(&agent.pid, message);
        for id in frameworks.iter().filter_map(|info| info.id.as_ref()) {
            if let Some(framework) = self.frameworks.get(&FrameworkId::from(id))
                && framework.connection.is_some()
            {
                let message = internal::UpdateFrameworkMessage {
                    framework_id: framework.id.to_wire(),
                    pid: Some(framework.pid()),
                    framework_info: Some(framework.info.clone()),
                };
                turn.send(&agent.pid, message);
            }
        }
        for id in orphans {
            let framework_id = id.to_wire();
            turn.send(
                &agent.pid,
                internal::ShutdownFrameworkMessage { framework_id },
            );
        }
    }

    /// `UpdateSlaveMessage`: the agent's own word on its resources after registration.
    pub(crate) fn update_agent(
        &mut self,
        turn: &mut Turn<'_>,
        from: &Upid,
        message: internal::UpdateSlaveMessage,
    ) {
        turn.count(Counter::Message("update_slave"));
        let id = AgentId::from(&message.slave_id);
        let Some(agent) = self.agents.get_mut(&id).filter(|agent| agent.pid == *from) else {
            return turn.count(Counter::DroppedMessages);
        };
        agent.resource_version = message
            .resource_version_uuid
            .or(agent.resource_version.take());
        if agent.capabilities.has(Capability::ResourceProvider) {
            let reported = message.operations.unwrap_or_default().operations;
            self.compare_operations(turn, &id, reported);
        }
    }
}

/// How the allocator sees an agent.
pub(crate) fn profile(agent: &Agent) -> AgentProfile {
    let domain = agent
        .info
        .domain
        .as_ref()
        .and_then(|domain| domain.fault_domain.as_ref());
    let attributes = agent.info.attributes.iter().map(|attribute| Attribute {
        name: attribute.name.clone(),
        text: attribute.text.as_ref().map(|text| text.value.clone()),
    });
    AgentProfile {
        total: agent.total.clone(),
        hierarchical_role: agent.capabilities.has(Capability::HierarchicalRole),
        multi_role: agent.capabilities.has(Capability::MultiRole),
        site: Site {
            hostname: agent.info.hostname.clone(),
            attributes: attributes.collect(),
            region: domain.map(|domain| domain.region.name.clone()),
            zone: domain.map(|domain| domain.zone.name.clone()),
        },
    }
}

/// What the agent says of itself, if it makes sense and the agent is young enough to talk to.
///
/// compat: agents before 1.0.0 are ignored without a word.
fn describe(
    mut slave: internal::SlaveInfo,
    checkpointed: &[v1::Resource],
    version: Option<String>,
    capabilities: &[v1::agent_info::Capability],
    resource_version: Option<v1::Uuid>,
) -> Option<Description> {
    let version = version?;
    let major: u64 = version.split('.').next()?.parse().ok()?;
    if major < 1 {
        return None;
    }
    reformat(&mut slave.resources, ResourceFormat::PostRefinement).ok()?;
    let total = Resources::from_wire(&slave.resources).ok()?;
    let checkpointed = Resources::from_wire(checkpointed).ok()?;
    let total = total.with_checkpointed(&checkpointed).ok()?;
    Some(Description {
        info: shown_by_master(slave),
        total,
        version,
        capabilities: AgentCapabilities::from_wire(capabilities),
        resource_version,
    })
}

/// What an agent that is known here has when it comes back.
///
/// compat: an agent that applies operations itself knows best. Another may have missed what it was told
/// to write down: what is in the books stands, unless it does not fit the agent any more, and the agent
/// is told again (Mesos says it even to agents that have it).
fn total_of(known: &Agent, now: &Description) -> Resources {
    if known.capabilities.has(Capability::ResourceProvider) {
        return now.total.clone();
    }
    Resources::from_wire(&now.info.resources)
        .ok()
        .and_then(|configured| configured.with_checkpointed(&known.checkpointed()).ok())
        .unwrap_or_else(|| now.total.clone())
}
