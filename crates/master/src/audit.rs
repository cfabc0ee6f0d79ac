//! A recount of everything, for tests and the simulator.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Resource, Resources};
use meseta_model::roles::Role;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1::TaskState;
use meseta_proto::mesos::v1::agent_info::capability::Type as Capability;

use crate::agents::Agent;
use crate::frameworks::Task;
use crate::master::Reign;

fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Whether `used` is all of what there is. A shared volume counts once, however often it is used.
fn has_all(total: &Resources, used: &Resources) -> bool {
    let once = |volume: &Resource| {
        let same = |other: &Resource| other.is_same_kind(volume) && other.value() == volume.value();
        total.iter().any(same)
    };
    total.contains(&used.non_shared()) && used.shared().iter().all(once)
}

impl Reign {
    /// Counts again and compares. Work is proportional to the cluster.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.audit_allocations()?;
        self.audit_allocator()?;
        self.audit_mirrors()?;
        self.audit_operations()?;
        self.audit_offers()
    }

    /// Tasks, executors and offers on every agent add up to no more than it has, unless it came back with
    /// less.
    ///
    /// An agent that applies operations itself may come back without one that it never heard of, and
    /// without the tasks that were to use what it made. They are in the books until it has answered for
    /// them, but use nothing.
    fn audit_allocations(&self) -> Result<(), String> {
        let mut used: BTreeMap<&AgentId, Resources> = BTreeMap::new();
        for framework in self.frameworks.registered.values() {
            for task in framework
                .tasks
                .values()
                .filter(|task| !is_terminal(task.state))
            {
                let agent = self.agents.get(&task.agent);
                let applies = |agent: &Agent| agent.capabilities.has(Capability::ResourceProvider);
                if task.state == TaskState::TaskStaging && agent.is_some_and(applies) {
                    continue;
                }
                *used.entry(&task.agent).or_default() += &task.resources;
            }
        }
        for offer in self.offers.values() {
            *used.entry(&offer.agent).or_default() += &offer.resources;
        }
        for (id, agent) in &self.agents.registered {
            let used = used.entry(id).or_default();
            for executor in agent.executors.values().flat_map(BTreeMap::values) {
                *used += &executor.resources;
            }
            check(agent.shrunk || has_all(&agent.total, used), || {
                format!("agent {id} has {} and gives {used}", agent.total)
            })?;
        }
        let unknown = used.keys().find(|id| self.agents.get(id).is_none());
        check(unknown.is_none(), || {
            format!("something is used on unknown agent {unknown:?}")
        })
    }

    /// What the allocator has down for every framework, role and agent is what its tasks, executors and
    /// offers add up to there, and the rest of an agent is free. Shared volumes are counted elsewhere.
    fn audit_allocator(&self) -> Result<(), String> {
        let held = self.held();
        let mut used: BTreeMap<&AgentId, Resources> = BTreeMap::new();
        for ((agent, framework, role), ours) in &held {
            let ours = ours.non_shared();
            let theirs = self.allocator.held(framework, role, agent);
            let theirs = theirs.map(|held| held.non_shared().unallocated());
            check(theirs.unwrap_or_default() == ours, || {
                format!("{framework} has {ours} in {role} on {agent}, the allocator disagrees")
            })?;
            *used.entry(*agent).or_default() += &ours;
        }
        for (id, agent) in &self.agents.registered {
            let used = used.remove(id).unwrap_or_default();
            let free = agent.total.non_shared().saturating_sub(&used);
            let theirs = self.allocator.free(id).map(Resources::non_shared);
            check(theirs.as_ref() == Some(&free), || {
                format!("{free} is free on {id}, the allocator says {theirs:?}")
            })?;
        }
        Ok(())
    }

    fn held(&self) -> BTreeMap<(&AgentId, &FrameworkId, &Role), Resources> {
        let mut held: BTreeMap<(&AgentId, &FrameworkId, &Role), Resources> = BTreeMap::new();
        for framework in self.frameworks.registered.values() {
            let live = |task: &&Task| !is_terminal(task.state);
            for task in framework.tasks.values().filter(live) {
                let key = (&task.agent, &framework.id, &task.role);
                *held.entry(key).or_default() += &task.resources;
            }
        }
        for offer in self.offers.values() {
            let key = (&offer.agent, &offer.framework, &offer.role);
            *held.entry(key).or_default() += &offer.resources;
        }
        for (id, agent) in &self.agents.registered {
            for (framework, executors) in &agent.executors {
                for executor in executors.values() {
                    let key = (id, framework, &executor.role);
                    *held.entry(key).or_default() += &executor.resources;
                }
            }
        }
        held
    }

    /// What agents list of frameworks is what frameworks list of agents.
    fn audit_mirrors(&self) -> Result<(), String> {
        let mut hosts: BTreeMap<(&FrameworkId, &AgentId), usize> = BTreeMap::new();
        for (agent_id, agent) in &self.agents.registered {
            for (framework, tasks) in &agent.tasks {
                for task in tasks {
                    let known = self
                        .frameworks
                        .get(framework)
                        .and_then(|f| f.tasks.get(task));
                    check(known.is_some_and(|task| task.agent == *agent_id), || {
                        format!("agent {agent_id} lists task {task}, its framework does not")
                    })?;
                    *hosts.entry((framework, agent_id)).or_default() += 1;
                }
            }
            for (framework, executors) in &agent.executors {
                *hosts.entry((framework, agent_id)).or_default() += executors.len();
            }
        }
        for framework in self.frameworks.registered.values() {
            for (agent, count) in &framework.hosts {
                let counted = hosts.remove(&(&framework.id, agent)).unwrap_or(0);
                check(counted == *count, || {
                    format!(
                        "{} counts {count} on {agent}, it is {counted}",
                        framework.id
                    )
                })?;
            }
            for (id, task) in &framework.tasks {
                let listed = self
                    .agents
                    .get(&task.agent)
                    .and_then(|a| a.tasks.get(&framework.id));
                check(listed.is_some_and(|tasks| tasks.contains(id)), || {
                    format!("task {id} is not listed by its agent {}", task.agent)
                })?;
                check(!framework.unreachable.contains_key(id), || {
                    format!("task {id} is both live and unreachable")
                })?;
            }
        }
        check(hosts.is_empty(), || {
            format!("not counted by frameworks: {hosts:?}")
        })
    }

    /// What frameworks list of operations is at agents, and every id at an agent is listed.
    fn audit_operations(&self) -> Result<(), String> {
        for framework in self.frameworks.registered.values() {
            for (id, (agent, uuid)) in &framework.operations {
                let agent = self.agents.get(agent);
                let known = agent.and_then(|agent| agent.operations.get(uuid));
                let named = known.and_then(|known| known.info.id.as_ref());
                check(
                    named.is_some_and(|named| named.value == id.as_str()),
                    || format!("operation {id} of {} is at no agent", framework.id),
                )?;
            }
        }
        Ok(())
    }

    /// Every offer is listed by its framework and its agent, and nothing else is.
    fn audit_offers(&self) -> Result<(), String> {
        let all: BTreeSet<_> = self.offers.keys().cloned().collect();
        let by_agent = self
            .agents
            .registered
            .values()
            .flat_map(|agent| &agent.offers);
        check(by_agent.cloned().collect::<BTreeSet<_>>() == all, || {
            "agents list other offers than there are".to_owned()
        })?;
        let by_framework = self.frameworks.registered.values().flat_map(|f| &f.offers);
        check(
            by_framework.cloned().collect::<BTreeSet<_>>() == all,
            || "frameworks list other offers than there are".to_owned(),
        )
    }
}
