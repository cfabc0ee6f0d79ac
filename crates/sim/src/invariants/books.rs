//! What masters and agents show of themselves, put together again from what they say that changed, and
//! what the registry holds, put together from what was agreed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use meseta_agent::event::Effect as AgentEffect;
use meseta_agent::view::{Delta as AgentDelta, TaskList as AgentList};
use meseta_master::Survey;
use meseta_master::event::Effect as MasterEffect;
use meseta_master::registry::{Op, Registry};
use meseta_master::view::{
    AgentFate, AgentView, Delta as MasterDelta, FrameworkState, FrameworkView,
    TaskList as MasterList,
};
use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, OfferId, TaskId};
use meseta_model::resources::Resources;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1::{self, TaskState};
use meseta_runtime::Output;

use super::Seen;
use crate::workloads::FrameworkPlan;

pub(crate) type TaskKey = (FrameworkId, TaskId);

/// A task in a master's books.
#[derive(Debug, Clone)]
pub(crate) struct MasterTask {
    pub(crate) agent: AgentId,
    pub(crate) state: TaskState,
    resources: Resources,
    pub(crate) since_us: u64,
}

/// An agent in a master's books.
#[derive(Debug, Clone, Default)]
pub(crate) struct MasterAgent {
    pub(crate) total: Resources,
    /// What its tasks, executors and offers add up to.
    pub(crate) used: Resources,
    /// All of it was given at once, at some time since somebody last asked.
    pub(crate) whole: bool,
    /// It came back with less than it gave: until what it has not answered for is off the books.
    pub(crate) shrunk: bool,
    pub(crate) recovered: bool,
    pub(crate) active: bool,
}

/// One life of a master.
#[derive(Debug, Default)]
pub(crate) struct MasterBook {
    pub(crate) epoch: Option<u64>,
    pub(crate) agents: BTreeMap<AgentId, MasterAgent>,
    pub(crate) tasks: BTreeMap<TaskKey, MasterTask>,
    pub(crate) unreachable: BTreeMap<TaskKey, AgentId>,
    pub(crate) executors: BTreeMap<(AgentId, FrameworkId, ExecutorId), Resources>,
    pub(crate) offers: BTreeMap<OfferId, (AgentId, Resources)>,
    /// Those that are not removed, and whether each is connected.
    frameworks: BTreeMap<FrameworkId, bool>,
    /// The agent that the last change was about, if what it gives changed.
    pub(crate) touched: Option<AgentId>,
    /// A task that the last change ended.
    pub(crate) ended: Option<TaskState>,
}

/// A task in an agent's books.
#[derive(Debug, Clone)]
pub(crate) struct AgentTask {
    pub(crate) container: ContainerId,
    pub(crate) list: AgentList,
    pub(crate) resources: Resources,
}

/// One life of an agent.
#[derive(Debug, Default)]
pub(crate) struct AgentBook {
    pub(crate) id: Option<AgentId>,
    pub(crate) recovered: bool,
    pub(crate) registered: bool,
    /// The master that it takes orders from, as it shows it.
    pub(crate) master: Option<String>,
    pub(crate) up: bool,
    /// Since it ended, its host lost power; it will have other resources. After both it begins anew, as
    /// another agent, as Mesos's do.
    pub(crate) power_lost: bool,
    pub(crate) reconfigured: bool,
    pub(crate) total: Resources,
    pub(crate) frameworks: BTreeMap<FrameworkId, v1::FrameworkInfo>,
    pub(crate) executors: BTreeMap<ContainerId, (FrameworkId, ExecutorId, String)>,
    /// Not acknowledged as over.
    pub(crate) tasks: BTreeMap<TaskKey, AgentTask>,
    /// A task that the last change ended.
    pub(crate) ended: Option<TaskState>,
}

/// Everything.
pub(crate) struct Books {
    pub(crate) masters: Vec<MasterBook>,
    pub(crate) agents: Vec<AgentBook>,
    pub(crate) registry: Registry,
    committed: u64,
    /// What each scheduler is like.
    pub(crate) plans: Vec<FrameworkPlan>,
    /// Whose framework each is.
    pub(crate) schedulers: BTreeMap<FrameworkId, usize>,
    /// Whose each container is or was.
    pub(crate) containers: BTreeMap<ContainerId, FrameworkId>,
    /// Frameworks that were removed although nobody meant to end them yet.
    pub(crate) removed: BTreeSet<FrameworkId>,
    /// From now on frameworks are removed because the run ends.
    pub(crate) ending: bool,
    /// The host of every agent that ever was.
    hosts: BTreeMap<AgentId, usize>,
    /// Hosts whose agent once had to end, with all that ran there.
    pub(crate) forgiven: BTreeSet<usize>,
}

impl Books {
    pub(super) fn new(masters: usize, agents: usize) -> Self {
        Self {
            masters: (0..masters).map(|_| MasterBook::default()).collect(),
            agents: (0..agents).map(|_| AgentBook::default()).collect(),
            registry: Registry::default(),
            committed: 0,
            plans: Vec::new(),
            schedulers: BTreeMap::new(),
            containers: BTreeMap::new(),
            removed: BTreeSet::new(),
            ending: false,
            hosts: BTreeMap::new(),
            forgiven: BTreeSet::new(),
        }
    }

    /// From here on it counts anew which agents were given as a whole.
    pub(super) fn forget_whole(&mut self) {
        let rows = self.masters.iter_mut().flat_map(|m| m.agents.values_mut());
        rows.for_each(|row| row.whole = false);
    }

    /// Whether this agent, or another one of its host, once had to end with all that ran there.
    pub(crate) fn is_forgiven(&self, agent: &v1::AgentId) -> bool {
        let host = self.hosts.get(&AgentId::from(agent));
        host.is_some_and(|host| self.forgiven.contains(host))
    }

    /// Whose framework it is, if its scheduler was ever subscribed.
    pub(crate) fn plan(&self, framework: &FrameworkId) -> Option<&FrameworkPlan> {
        self.plans.get(*self.schedulers.get(framework)?)
    }

    pub(super) fn see(&mut self, now_us: u64, seen: &Seen<'_>) {
        match seen {
            Seen::MasterStarts { master } | Seen::MasterEnds { master } => {
                self.masters[*master] = MasterBook::default();
            }
            Seen::MasterDoes { master, output } => {
                let book = &mut self.masters[*master];
                book.touched = None;
                book.ended = None;
                if let Output::Effect(MasterEffect::Changed(delta)) = output {
                    book.changed(now_us, delta);
                }
            }
            Seen::AgentStarts { agent } => {
                let book = &mut self.agents[*agent];
                let id = book.id.take();
                *book = AgentBook {
                    id,
                    up: true,
                    ..AgentBook::default()
                };
            }
            Seen::AgentEnds { agent } => self.agents[*agent].up = false,
            Seen::PowerLost { agent } | Seen::AgentReconfigured { agent } => {
                let book = &mut self.agents[*agent];
                book.power_lost |= matches!(seen, Seen::PowerLost { .. });
                book.reconfigured |= matches!(seen, Seen::AgentReconfigured { .. });
                if book.power_lost && book.reconfigured {
                    self.forgiven.insert(*agent);
                }
            }
            Seen::AgentExits { agent, .. }
            | Seen::HostReplaced { agent }
            | Seen::AgentEndsAll { agent } => {
                self.forgiven.insert(*agent);
            }
            Seen::AgentDoes { agent, output } => self.agent_does(*agent, output),
            Seen::SchedulerHears { scheduler, event } => {
                if let Some(subscribed) = &event.subscribed {
                    let framework = FrameworkId::from(&subscribed.framework_id);
                    self.schedulers.insert(framework, *scheduler);
                }
            }
            Seen::Led { snapshot, ops } => {
                if let Some((index, bytes)) = snapshot
                    && *index > self.committed
                    && let Ok(registry) = Registry::decode(bytes)
                {
                    self.registry = registry;
                    self.committed = *index;
                }
                for (index, op) in *ops {
                    self.commit(*index, op);
                }
            }
            Seen::Committed { index, op } => self.commit(*index, op),
            _ => {}
        }
    }

    fn commit(&mut self, index: u64, bytes: &[u8]) {
        if index <= self.committed {
            return;
        }
        self.committed = index;
        if let Ok(op) = Op::decode(bytes) {
            if let (Op::FrameworkRemoved { framework }, false) = (&op, self.ending) {
                self.removed.insert(framework.clone());
            }
            // One that does not apply is passed over by every master alike.
            let _ = self.registry.apply(&op);
        }
    }

    fn agent_does(&mut self, agent: usize, output: &Output<meseta_agent::Agent>) {
        let book = &mut self.agents[agent];
        book.ended = None;
        match output {
            Output::Effect(AgentEffect::Changed(delta)) => {
                book.changed(delta);
                let id = book.id.clone();
                self.hosts.extend(id.map(|id| (id, agent)));
            }
            Output::Effect(AgentEffect::LaunchContainer(spec)) => {
                let framework = spec.environment.get("MESOS_FRAMEWORK_ID");
                let framework = framework.map_or("", String::as_str);
                let framework = FrameworkId::from(framework);
                self.containers.insert(spec.container_id.clone(), framework);
            }
            _ => {}
        }
    }
}

/// Where two maps are not the same.
fn first_difference<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    shown: &BTreeMap<K, V>,
    own: &BTreeMap<K, V>,
) -> Option<String> {
    let keys: BTreeSet<&K> = shown.keys().chain(own.keys()).collect();
    let key = keys
        .into_iter()
        .find(|key| shown.get(key) != own.get(key))?;
    let (shown, own) = (shown.get(key), own.get(key));
    Some(format!(
        "{what}: {key:?} is shown as {shown:?} and is {own:?}"
    ))
}

fn resources(wire: &[v1::Resource]) -> Resources {
    Resources::from_wire(wire).unwrap_or_default().unallocated()
}

impl MasterBook {
    /// What these books, put together from deltas, and the master's own do not agree on.
    pub(crate) fn differs(&self, own: &Survey) -> Option<String> {
        let agents: BTreeMap<_, _> = self
            .agents
            .iter()
            .filter(|(_, row)| !row.recovered)
            .map(|(id, row)| (id.clone(), (row.total.clone(), row.active)))
            .collect();
        let tasks: BTreeMap<_, _> = self
            .tasks
            .iter()
            .map(|(key, row)| (key.clone(), (row.agent.clone(), row.state)))
            .collect();
        let offers: BTreeMap<_, _> = self
            .offers
            .iter()
            .map(|(id, (agent, _))| (id.clone(), agent.clone()))
            .collect();
        let unreachable: BTreeSet<_> = self.unreachable.keys().cloned().collect();
        let executors: BTreeSet<_> = self.executors.keys().cloned().collect();
        let totals = own.agents.iter();
        let totals: BTreeMap<_, _> = totals
            .map(|(id, (total, active))| (id.clone(), (total.unallocated(), *active)))
            .collect();
        first_difference("agents", &agents, &totals)
            .or_else(|| first_difference("tasks", &tasks, &own.tasks))
            .or_else(|| first_difference("offers", &offers, &own.offers))
            .or_else(|| first_difference("frameworks", &self.frameworks, &own.frameworks))
            .or_else(|| (unreachable != own.unreachable).then(|| "unreachable tasks".to_owned()))
            .or_else(|| (executors != own.executors).then(|| "executors".to_owned()))
    }

    pub(crate) fn live_tasks(&self) -> Vec<TaskKey> {
        let live = self
            .tasks
            .iter()
            .filter(|(_, task)| !is_terminal(task.state));
        live.map(|(key, _)| key.clone()).collect()
    }

    fn give(&mut self, agent: &AgentId, what: &Resources) {
        let row = self.agents.entry(agent.clone()).or_default();
        row.used += what;
        row.whole |= row.used == row.total;
        self.touched = Some(agent.clone());
    }

    fn take_back(&mut self, agent: &AgentId, what: &Resources) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.used = agent.used.saturating_sub(what);
            agent.shrunk &= !agent.total.contains(&agent.used);
        }
        self.touched = Some(agent.clone());
    }

    fn changed(&mut self, now_us: u64, delta: &MasterDelta) {
        match delta {
            MasterDelta::Elected(view) => {
                *self = Self {
                    epoch: Some(view.epoch),
                    ..Self::default()
                };
            }
            MasterDelta::Agent(view) => self.agent_changed(view),
            MasterDelta::AgentRemoved { agent, to } => self.agent_removed(agent, *to),
            MasterDelta::TaskAdded { task, list } => self.task_added(now_us, task, *list),
            MasterDelta::TaskUpdated {
                framework,
                task,
                state,
                ..
            } => self.task_updated(framework, task, *state),
            MasterDelta::TaskMoved {
                framework,
                task,
                from,
                to,
            } => self.task_moved(framework, task, *from, *to),
            MasterDelta::TaskForgotten {
                framework,
                task,
                list: MasterList::Unreachable,
            } => {
                self.unreachable.remove(&(framework.clone(), task.clone()));
            }
            MasterDelta::Executor {
                agent,
                info,
                framework,
            } => {
                let resources = resources(&info.resources);
                self.give(agent, &resources);
                let id = ExecutorId::from(&info.executor_id);
                let key = (agent.clone(), framework.clone(), id);
                self.executors.insert(key, resources);
            }
            MasterDelta::ExecutorRemoved {
                agent,
                framework,
                executor,
            } => {
                let key = (agent.clone(), framework.clone(), executor.clone());
                if let Some(held) = self.executors.remove(&key) {
                    self.take_back(agent, &held);
                }
            }
            MasterDelta::Offer(offer) => {
                let (agent, held) = (AgentId::from(&offer.agent_id), resources(&offer.resources));
                self.give(&agent, &held);
                self.offers.insert(OfferId::from(&offer.id), (agent, held));
            }
            MasterDelta::OfferRemoved(id) => {
                if let Some((agent, held)) = self.offers.remove(id) {
                    self.take_back(&agent, &held);
                }
            }
            MasterDelta::Framework(view) => self.framework_changed(view),
            // Frameworks here name no operations.
            MasterDelta::FrameworkForgotten(_)
            | MasterDelta::TaskForgotten { .. }
            | MasterDelta::Operation(_)
            | MasterDelta::OperationRemoved { .. } => {}
        }
    }

    fn framework_changed(&mut self, view: &FrameworkView) {
        let Some(id) = view.info.id.as_ref().map(FrameworkId::from) else {
            return;
        };
        if view.state == FrameworkState::Completed {
            self.frameworks.remove(&id);
        } else {
            self.frameworks.insert(id, view.connected);
        }
    }

    fn agent_changed(&mut self, view: &AgentView) {
        let id = view.info.id.as_ref().map(AgentId::from);
        let id = id.unwrap_or_else(|| AgentId::from(""));
        let row = self.agents.entry(id.clone()).or_default();
        let total = resources(&view.total);
        row.shrunk = (row.shrunk || !total.contains(&row.total)) && !total.contains(&row.used);
        row.total = total;
        row.recovered = view.recovered;
        row.active = view.active;
        self.touched = Some(id);
    }

    fn agent_removed(&mut self, agent: &AgentId, to: AgentFate) {
        self.agents.remove(agent);
        self.touched = Some(agent.clone());
        if to != AgentFate::Unreachable {
            self.unreachable.retain(|_, host| host != agent);
        }
    }

    fn task_added(&mut self, now_us: u64, task: &v1::Task, list: MasterList) {
        let key = (
            FrameworkId::from(&task.framework_id),
            TaskId::from(&task.task_id),
        );
        match list {
            MasterList::Active => {}
            MasterList::Unreachable => {
                self.unreachable.insert(key, AgentId::from(&task.agent_id));
                return;
            }
            MasterList::Completed => return,
        }
        let row = MasterTask {
            agent: AgentId::from(&task.agent_id),
            state: task.state(),
            resources: resources(&task.resources),
            since_us: now_us,
        };
        if !is_terminal(row.state) {
            self.give(&row.agent.clone(), &row.resources.clone());
        }
        self.tasks.insert(key, row);
    }

    fn task_updated(&mut self, framework: &FrameworkId, task: &TaskId, state: TaskState) {
        let Some(row) = self.tasks.get_mut(&(framework.clone(), task.clone())) else {
            return;
        };
        let ends = is_terminal(state) && !is_terminal(row.state);
        row.state = state;
        if ends {
            let (agent, held) = (row.agent.clone(), row.resources.clone());
            self.take_back(&agent, &held);
            self.ended = Some(state);
        }
    }

    fn task_moved(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
        from: MasterList,
        to: MasterList,
    ) {
        let key = (framework.clone(), task.clone());
        if from == MasterList::Unreachable {
            self.unreachable.remove(&key);
            return;
        }
        let Some(row) = self.tasks.remove(&key) else {
            return;
        };
        if !is_terminal(row.state) {
            self.take_back(&row.agent, &row.resources);
        }
        if to == MasterList::Unreachable {
            self.unreachable.insert(key, row.agent);
        }
    }
}

impl AgentBook {
    /// Whether a framework wants its tasks to survive a restart of the agent.
    pub(crate) fn checkpoints(&self, framework: &FrameworkId) -> bool {
        self.frameworks
            .get(framework)
            .is_some_and(v1::FrameworkInfo::checkpoint)
    }

    fn changed(&mut self, delta: &AgentDelta) {
        match delta {
            AgentDelta::Agent(view) => {
                self.id = view.info.id.as_ref().map(AgentId::from);
                self.registered = view.registered;
                self.master.clone_from(&view.master);
                self.total = resources(&view.total);
            }
            AgentDelta::Recovered => self.recovered = true,
            AgentDelta::Framework(info) => {
                if let Some(id) = &info.id {
                    self.frameworks
                        .insert(FrameworkId::from(id), (**info).clone());
                }
            }
            AgentDelta::FrameworkCompleted(framework) => {
                self.tasks.retain(|(owner, _), _| owner != framework);
            }
            AgentDelta::Executor(view) => {
                let executor = ExecutorId::from(&view.info.executor_id);
                let row = (view.framework.clone(), executor, view.directory.clone());
                self.executors.insert(view.container_id.clone(), row);
            }
            AgentDelta::ExecutorCompleted { container_id, .. } => {
                self.executors.remove(container_id);
                self.tasks.retain(|_, task| task.container != *container_id);
            }
            AgentDelta::Task {
                container_id,
                task,
                list,
            } => self.task_changed(container_id, task, *list),
            AgentDelta::FrameworkForgotten(_)
            | AgentDelta::ExecutorForgotten { .. }
            | AgentDelta::TaskForgotten { .. } => {}
        }
    }

    fn task_changed(&mut self, container: &ContainerId, task: &v1::Task, list: AgentList) {
        let key = (
            FrameworkId::from(&task.framework_id),
            TaskId::from(&task.task_id),
        );
        let before = self.tasks.get(&key).map(|row| row.list);
        let lives = |list| matches!(list, Some(AgentList::Queued | AgentList::Launched));
        // What dies with a framework that is removed ends without a state of its own.
        if list == AgentList::Terminated && lives(before) && is_terminal(task.state()) {
            self.ended = Some(task.state());
        }
        if list == AgentList::Completed {
            self.tasks.remove(&key);
        } else {
            let row = AgentTask {
                container: container.clone(),
                list,
                resources: resources(&task.resources),
            };
            self.tasks.insert(key, row);
        }
    }
}
