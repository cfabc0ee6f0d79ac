//! The master's read model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use bytes::Bytes;
use meseta_master::view::{
    AgentFate, AgentView, Delta, FrameworkState, FrameworkView, MasterView, TaskList,
};
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use meseta_model::resources::Resources;
use meseta_model::task_state::{is_removable, is_terminal};
use meseta_proto::mesos::v1;

use super::sequence::Sequence;
use super::{Fragments, Task};
use crate::limits;

/// An agent and what its resources are in use for.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) view: AgentView,
    pub(crate) total: Resources,
    pub(crate) used: Resources,
    pub(crate) offered: Resources,
    pub(crate) fragments: Fragments,
}

/// A framework and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) view: FrameworkView,
    pub(crate) used: Resources,
    pub(crate) offered: Resources,
}

/// An executor on an agent.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    pub(crate) agent: AgentId,
    pub(crate) info: v1::ExecutorInfo,
}

/// An outstanding offer.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) agent: AgentId,
    pub(crate) framework: FrameworkId,
    pub(crate) offer: v1::Offer,
    /// When it became known here.
    pub(crate) since: Instant,
}

/// A framework with everything of it.
#[derive(Debug)]
struct Known {
    framework: Arc<Framework>,
    active: Sequence,
    unreachable: Sequence,
    completed: Sequence,
    executors: BTreeMap<(AgentId, ExecutorId), Arc<Executor>>,
    ended: BTreeMap<v1::TaskState, u64>,
}

/// What a delta meant to who watches the cluster.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// Everything known before is void.
    Voided,
    AgentAdded(Arc<Agent>),
    AgentRemoved(AgentId),
    FrameworkAdded(Arc<Framework>),
    FrameworkUpdated(Arc<Framework>),
    FrameworkRemoved(Arc<Framework>),
    TaskAdded(Arc<Task>),
    TaskUpdated {
        framework: &'a FrameworkId,
        state: v1::TaskState,
        status: &'a v1::TaskStatus,
    },
    /// Nothing that the event stream tells.
    Other,
}

/// What is readable of a master.
#[derive(Debug, Default)]
pub(crate) struct Master {
    master: Option<Arc<MasterView>>,
    agents: BTreeMap<AgentId, Arc<Agent>>,
    frameworks: BTreeMap<FrameworkId, Known>,
    offers: BTreeMap<OfferId, Arc<Offer>>,
    /// By UUID.
    operations: BTreeMap<Bytes, Arc<v1::Operation>>,
    /// Agents that stopped answering; at most [`limits::UNREACHABLE_AGENTS`].
    unreachable: BTreeSet<AgentId>,
}

/// The model and its lock.
#[derive(Debug, Default)]
pub(crate) struct MasterModel(RwLock<Master>);

/// One moment of the cluster, for one answer. Nothing in it is copied but pointers.
#[derive(Debug, Default)]
pub(crate) struct MasterRead {
    pub(crate) master: Option<Arc<MasterView>>,
    /// By id.
    pub(crate) agents: Vec<Arc<Agent>>,
    /// By id, completed ones last in the order in which they ended.
    pub(crate) frameworks: Vec<FrameworkRead>,
    pub(crate) unreachable_agents: usize,
}

/// One framework at that moment.
#[derive(Debug)]
pub(crate) struct FrameworkRead {
    pub(crate) framework: Arc<Framework>,
    pub(crate) active: Vec<Arc<Task>>,
    pub(crate) unreachable: Vec<Arc<Task>>,
    pub(crate) completed: Vec<Arc<Task>>,
    pub(crate) executors: Vec<Arc<Executor>>,
    pub(crate) offers: Vec<Arc<Offer>>,
    /// Tasks that ended while this master led, by how.
    pub(crate) ended: BTreeMap<v1::TaskState, u64>,
}

impl MasterModel {
    fn lock(&self) -> RwLockReadGuard<'_, Master> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a delta.
    pub(crate) fn apply<'a>(&self, delta: &'a Delta) -> Change<'a> {
        let mut model = self.0.write().unwrap_or_else(PoisonError::into_inner);
        model.apply(delta)
    }

    /// Everything.
    pub(crate) fn read(&self) -> MasterRead {
        self.lock().read(true)
    }

    /// Operations that are not over, or whose end is not acknowledged.
    pub(crate) fn operations(&self) -> Vec<Arc<v1::Operation>> {
        self.lock().operations.values().cloned().collect()
    }

    /// Everything but tasks.
    pub(crate) fn read_without_tasks(&self) -> MasterRead {
        self.lock().read(false)
    }
}

impl Master {
    fn read(&self, tasks: bool) -> MasterRead {
        let collect = |sequence: &Sequence| {
            if tasks {
                sequence.collect()
            } else {
                Vec::new()
            }
        };
        let mut frameworks: Vec<FrameworkRead> = self
            .frameworks
            .values()
            .map(|known| FrameworkRead {
                framework: known.framework.clone(),
                active: collect(&known.active),
                unreachable: collect(&known.unreachable),
                completed: collect(&known.completed),
                executors: known.executors.values().cloned().collect(),
                offers: Vec::new(),
                ended: known.ended.clone(),
            })
            .collect();
        for offer in self.offers.values() {
            let place =
                frameworks.binary_search_by(|known| known.framework.id.cmp(&offer.framework));
            if let Ok(place) = place {
                frameworks[place].offers.push(offer.clone());
            }
        }
        let ended = |known: &FrameworkRead| known.framework.view.unregistered_time.unwrap_or(0.0);
        frameworks.sort_by(|a, b| ended(a).total_cmp(&ended(b)));
        MasterRead {
            master: self.master.clone(),
            agents: self.agents.values().cloned().collect(),
            frameworks,
            unreachable_agents: self.unreachable.len(),
        }
    }

    fn apply<'a>(&mut self, delta: &'a Delta) -> Change<'a> {
        match delta {
            Delta::Elected(view) => {
                *self = Self {
                    master: Some(Arc::new((**view).clone())),
                    ..Self::default()
                };
                return Change::Voided;
            }
            Delta::Agent(view) => return self.agent(view),
            Delta::AgentRemoved { agent, to } => return self.agent_removed(agent, *to),
            Delta::Framework(view) => return self.framework(view),
            Delta::FrameworkForgotten(id) => drop(self.frameworks.remove(id)),
            Delta::TaskAdded { task, list } => return self.task_added(task, *list),
            Delta::TaskUpdated {
                framework,
                task,
                state,
                status,
            } => {
                self.task_updated(framework, task, *state, status.as_deref());
                return match status {
                    Some(status) => Change::TaskUpdated {
                        framework,
                        state: *state,
                        status,
                    },
                    None => Change::Other,
                };
            }
            Delta::TaskMoved {
                framework,
                task,
                from,
                to,
            } => self.task_moved(framework, task, *from, *to),
            Delta::TaskForgotten {
                framework,
                task,
                list,
            } => {
                if let Some(known) = self.frameworks.get_mut(framework)
                    && let Some(task) = known.list(*list).take_oldest(task)
                {
                    self.discharge(framework, *list, &task);
                }
            }
            Delta::Executor {
                agent,
                info,
                framework,
            } => self.executor(agent, info, framework),
            Delta::ExecutorRemoved {
                agent,
                framework,
                executor,
            } => self.executor_removed(agent, framework, executor),
            Delta::Offer(offer) => self.offer(offer),
            Delta::OfferRemoved(id) => self.offer_removed(id),
            Delta::Operation(operation) => self.operation(operation),
            Delta::OperationRemoved { uuid } => {
                self.operations.remove(uuid);
            }
        }
        Change::Other
    }

    fn operation(&mut self, operation: &v1::Operation) {
        let uuid = operation.uuid.value.clone();
        self.operations.insert(uuid, Arc::new(operation.clone()));
    }

    fn agent(&mut self, view: &AgentView) -> Change<'static> {
        let id = view.info.id.as_ref().map(AgentId::from);
        let Some(id) = id else {
            tracing::error!("an agent without an id is not shown");
            return Change::Other;
        };
        self.unreachable.remove(&id);
        let before = self.agents.get(&id);
        let (used, offered) = before.map_or_else(Default::default, |before| {
            (before.used.clone(), before.offered.clone())
        });
        let came = !view.recovered
            && before.is_none_or(|before| {
                before.view.recovered || before.view.reregistered_time != view.reregistered_time
            });
        let agent = Arc::new(Agent {
            view: view.clone(),
            total: Resources::from_wire(&view.total).unwrap_or_default(),
            used,
            offered,
            fragments: Fragments::default(),
        });
        self.agents.insert(id, agent.clone());
        if came {
            Change::AgentAdded(agent)
        } else {
            Change::Other
        }
    }

    fn agent_removed(&mut self, id: &AgentId, to: AgentFate) -> Change<'static> {
        match to {
            AgentFate::Unreachable => {
                self.unreachable.insert(id.clone());
                if self.unreachable.len() > limits::UNREACHABLE_AGENTS {
                    self.unreachable.pop_first();
                }
            }
            AgentFate::Gone | AgentFate::Removed => {
                self.unreachable.remove(id);
            }
        }
        self.agents.remove(id);
        for known in self.frameworks.values_mut() {
            let gone = |(agent, _): &(AgentId, ExecutorId)| agent == id;
            let lost: Vec<_> = known
                .executors
                .keys()
                .filter(|key| gone(key))
                .cloned()
                .collect();
            for executor in lost.iter().filter_map(|key| known.executors.remove(key)) {
                let amount = Resources::from_wire(&executor.info.resources).unwrap_or_default();
                add(
                    &mut Arc::make_mut(&mut known.framework).used,
                    &amount,
                    false,
                );
            }
        }
        Change::AgentRemoved(id.clone())
    }

    fn framework(&mut self, view: &FrameworkView) -> Change<'static> {
        let id = view.info.id.as_ref().map(FrameworkId::from);
        let Some(id) = id else {
            tracing::error!("a framework without an id is not shown");
            return Change::Other;
        };
        let Some(known) = self.frameworks.get_mut(&id) else {
            let framework = Arc::new(Framework {
                id: id.clone(),
                view: view.clone(),
                used: Resources::new(),
                offered: Resources::new(),
            });
            self.frameworks.insert(id, Known::new(framework.clone()));
            return Change::FrameworkAdded(framework);
        };
        let was = known.framework.view.state;
        Arc::make_mut(&mut known.framework).view = view.clone();
        let framework = known.framework.clone();
        if view.state == FrameworkState::Completed && was != FrameworkState::Completed {
            Change::FrameworkRemoved(framework)
        } else {
            Change::FrameworkUpdated(framework)
        }
    }

    fn task_added(&mut self, task: &v1::Task, list: TaskList) -> Change<'static> {
        let framework = FrameworkId::from(&task.framework_id);
        let mut task = Task::new(task.clone());
        if list == TaskList::Completed {
            task.pack();
        }
        let task = Arc::new(task);
        let Some(known) = self.frameworks.get_mut(&framework) else {
            tracing::error!(%framework, task = %task.id, "a task of no known framework is not shown");
            return Change::Other;
        };
        known.list(list).push(task.clone());
        self.charge(&framework, list, &task);
        match list {
            TaskList::Active => Change::TaskAdded(task),
            TaskList::Unreachable | TaskList::Completed => Change::Other,
        }
    }

    fn task_updated(
        &mut self,
        framework: &FrameworkId,
        id: &TaskId,
        state: v1::TaskState,
        status: Option<&v1::TaskStatus>,
    ) {
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        for list in [TaskList::Active, TaskList::Unreachable, TaskList::Completed] {
            let Some(task) = known.list(list).newest_mut(id) else {
                continue;
            };
            let (was, is) = (is_charged(list, task.state), is_charged(list, state));
            let ends = is_terminal(state) && !is_terminal(task.state);
            task.update(state, status);
            if list == TaskList::Completed {
                task.pack();
            }
            let changed = (was != is).then(|| (task.agent.clone(), resources_of(task)));
            if ends {
                *known.ended.entry(state).or_default() += 1;
            }
            if let Some((agent, resources)) = changed {
                self.use_more(framework, &agent, &resources, is);
            }
            return;
        }
    }

    fn task_moved(&mut self, framework: &FrameworkId, id: &TaskId, from: TaskList, to: TaskList) {
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        let Some(mut task) = known.list(from).take_newest(id) else {
            return;
        };
        if to == TaskList::Completed {
            Arc::make_mut(&mut task).pack();
        }
        known.list(to).push(task.clone());
        self.discharge(framework, from, &task);
        self.charge(framework, to, &task);
    }

    fn charge(&mut self, framework: &FrameworkId, list: TaskList, task: &Task) {
        if is_charged(list, task.state) {
            self.use_more(framework, &task.agent, &resources_of(task), true);
        }
    }

    fn discharge(&mut self, framework: &FrameworkId, list: TaskList, task: &Task) {
        if is_charged(list, task.state) {
            self.use_more(framework, &task.agent, &resources_of(task), false);
        }
    }

    /// Adds to (or takes from) what a framework uses of an agent.
    fn use_more(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        amount: &Resources,
        more: bool,
    ) {
        if let Some(known) = self.frameworks.get_mut(framework) {
            add(&mut Arc::make_mut(&mut known.framework).used, amount, more);
        }
        if let Some(agent) = self.agents.get_mut(agent) {
            let agent = Arc::make_mut(agent);
            add(&mut agent.used, amount, more);
            agent.fragments.forget();
        }
    }

    fn executor(&mut self, agent: &AgentId, info: &v1::ExecutorInfo, framework: &FrameworkId) {
        let id = ExecutorId::from(&info.executor_id);
        self.executor_removed(agent, framework, &id);
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        let executor = Executor {
            agent: agent.clone(),
            info: info.clone(),
        };
        known
            .executors
            .insert((agent.clone(), id), Arc::new(executor));
        let resources = Resources::from_wire(&info.resources).unwrap_or_default();
        self.use_more(framework, agent, &resources, true);
    }

    fn executor_removed(&mut self, agent: &AgentId, framework: &FrameworkId, id: &ExecutorId) {
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        if let Some(executor) = known.executors.remove(&(agent.clone(), id.clone())) {
            let resources = Resources::from_wire(&executor.info.resources).unwrap_or_default();
            self.use_more(framework, agent, &resources, false);
        }
    }

    fn offer(&mut self, offer: &v1::Offer) {
        let entry = Offer {
            agent: AgentId::from(&offer.agent_id),
            framework: FrameworkId::from(&offer.framework_id),
            offer: offer.clone(),
            since: Instant::now(),
        };
        self.offer_more(&entry, true);
        self.offers
            .insert(OfferId::from(&offer.id), Arc::new(entry));
    }

    fn offer_removed(&mut self, id: &OfferId) {
        if let Some(offer) = self.offers.remove(id) {
            self.offer_more(&offer, false);
        }
    }

    fn offer_more(&mut self, offer: &Offer, more: bool) {
        let amount = Resources::from_wire(&offer.offer.resources).unwrap_or_default();
        if let Some(known) = self.frameworks.get_mut(&offer.framework) {
            add(
                &mut Arc::make_mut(&mut known.framework).offered,
                &amount,
                more,
            );
        }
        if let Some(agent) = self.agents.get_mut(&offer.agent) {
            let agent = Arc::make_mut(agent);
            add(&mut agent.offered, &amount, more);
            agent.fragments.forget();
        }
    }
}

impl Known {
    fn new(framework: Arc<Framework>) -> Self {
        Self {
            framework,
            active: Sequence::default(),
            unreachable: Sequence::default(),
            completed: Sequence::default(),
            executors: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    fn list(&mut self, list: TaskList) -> &mut Sequence {
        match list {
            TaskList::Active => &mut self.active,
            TaskList::Unreachable => &mut self.unreachable,
            TaskList::Completed => &mut self.completed,
        }
    }
}

/// Whether a task holds resources: it is neither over nor out of sight.
fn is_charged(list: TaskList, state: v1::TaskState) -> bool {
    list == TaskList::Active && !is_removable(state)
}

fn resources_of(task: &Task) -> Resources {
    Resources::from_wire(&task.whole().resources).unwrap_or_default()
}

fn add(sum: &mut Resources, amount: &Resources, more: bool) {
    if more {
        *sum += amount;
    } else {
        *sum = sum.saturating_sub(amount);
    }
}
