//! The agent's read model.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use meseta_agent::view::{AgentView, Delta, ExecutorView, TaskList};
use meseta_model::ids::{ContainerId, FrameworkId, TaskId};
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1;

use super::Task;
use super::sequence::Sequence;

/// A framework on this agent and its executors' runs.
#[derive(Debug)]
struct Workload {
    info: Arc<v1::FrameworkInfo>,
    completed: bool,
    /// In the order in which they started.
    runs: Vec<Run>,
}

/// One run of an executor.
#[derive(Debug)]
struct Run {
    view: Arc<ExecutorView>,
    completed: bool,
    queued: Sequence,
    launched: Sequence,
    terminated: Sequence,
    completed_tasks: Sequence,
}

/// What is readable of an agent.
#[derive(Debug, Default)]
struct Agent {
    agent: Option<Arc<AgentView>>,
    workloads: BTreeMap<FrameworkId, Workload>,
}

/// The model and its lock.
#[derive(Debug, Default)]
pub(crate) struct AgentModel(RwLock<Agent>);

/// One moment of the agent, for one answer.
#[derive(Debug, Default)]
pub(crate) struct AgentRead {
    pub(crate) agent: Option<Arc<AgentView>>,
    pub(crate) workloads: Vec<WorkloadRead>,
}

/// One framework at that moment.
#[derive(Debug)]
pub(crate) struct WorkloadRead {
    pub(crate) info: Arc<v1::FrameworkInfo>,
    pub(crate) completed: bool,
    pub(crate) runs: Vec<RunRead>,
}

/// One run at that moment.
#[derive(Debug)]
pub(crate) struct RunRead {
    pub(crate) view: Arc<ExecutorView>,
    pub(crate) completed: bool,
    pub(crate) queued: Vec<Arc<Task>>,
    pub(crate) launched: Vec<Arc<Task>>,
    pub(crate) terminated: Vec<Arc<Task>>,
    pub(crate) completed_tasks: Vec<Arc<Task>>,
}

impl AgentRead {
    /// What live executors and their tasks hold.
    pub(crate) fn allocated(&self) -> Resources {
        let mut sum = Resources::new();
        for run in self.runs().filter(|run| !run.completed) {
            sum += &Resources::from_wire(&run.view.resources).unwrap_or_default();
        }
        sum
    }

    /// Every run of every framework.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &RunRead> {
        self.workloads.iter().flat_map(|workload| &workload.runs)
    }
}

impl AgentModel {
    fn lock(&self) -> RwLockReadGuard<'_, Agent> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a delta.
    pub(crate) fn apply(&self, delta: &Delta) {
        let mut model = self.0.write().unwrap_or_else(PoisonError::into_inner);
        model.apply(delta);
    }

    /// Everything.
    pub(crate) fn read(&self) -> AgentRead {
        let model = self.lock();
        AgentRead {
            agent: model.agent.clone(),
            workloads: model.workloads.values().map(Workload::read).collect(),
        }
    }

    /// The run in a container, if it is known.
    pub(crate) fn run(
        &self,
        framework: &FrameworkId,
        id: &ContainerId,
    ) -> Option<Arc<ExecutorView>> {
        let model = self.lock();
        let mut runs = model.workloads.get(framework)?.runs.iter();
        runs.find(|run| run.view.container_id == *id)
            .map(|run| run.view.clone())
    }
}

impl AgentModel {
    /// Every run of a framework.
    pub(crate) fn runs(&self, framework: &FrameworkId) -> Vec<Arc<ExecutorView>> {
        let model = self.lock();
        let runs = model
            .workloads
            .get(framework)
            .map(|workload| &workload.runs);
        let runs = runs.into_iter().flatten();
        runs.map(|run| run.view.clone()).collect()
    }
}

impl Agent {
    fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::Agent(view) => self.agent = Some(Arc::new((**view).clone())),
            Delta::Recovered => {}
            Delta::Framework(info) => self.framework(info),
            Delta::FrameworkCompleted(id) => {
                if let Some(workload) = self.workloads.get_mut(id) {
                    workload.completed = true;
                }
            }
            Delta::FrameworkForgotten(id) => {
                self.workloads.remove(id);
            }
            Delta::Executor(view) => self.executor(view),
            Delta::ExecutorCompleted {
                framework,
                container_id,
                ..
            } => {
                if let Some(run) = self.run(framework, container_id) {
                    run.completed = true;
                }
            }
            Delta::ExecutorForgotten {
                framework,
                container_id,
                ..
            } => {
                if let Some(workload) = self.workloads.get_mut(framework) {
                    workload
                        .runs
                        .retain(|run| run.view.container_id != *container_id);
                }
            }
            Delta::Task {
                container_id,
                task,
                list,
            } => {
                let framework = FrameworkId::from(&task.framework_id);
                if let Some(run) = self.run(&framework, container_id) {
                    run.task(task, *list);
                }
            }
            Delta::TaskForgotten {
                framework,
                container_id,
                task,
            } => {
                if let Some(run) = self.run(framework, container_id) {
                    run.completed_tasks.take_oldest(task);
                }
            }
        }
    }

    fn framework(&mut self, info: &v1::FrameworkInfo) {
        let Some(id) = info.id.as_ref().map(FrameworkId::from) else {
            tracing::error!("a framework without an id is not shown");
            return;
        };
        let workload = self.workloads.entry(id).or_insert_with(|| Workload {
            info: Arc::default(),
            completed: false,
            runs: Vec::new(),
        });
        workload.info = Arc::new(info.clone());
        workload.completed = false;
    }

    fn executor(&mut self, view: &ExecutorView) {
        let Some(workload) = self.workloads.get_mut(&view.framework) else {
            tracing::error!(framework = %view.framework, "an executor of no known framework is not shown");
            return;
        };
        let shared = Arc::new(view.clone());
        let mut runs = workload.runs.iter_mut();
        match runs.find(|run| run.view.container_id == view.container_id) {
            Some(run) => run.view = shared,
            None => workload.runs.push(Run::new(shared)),
        }
    }

    fn run(&mut self, framework: &FrameworkId, id: &ContainerId) -> Option<&mut Run> {
        let mut runs = self.workloads.get_mut(framework)?.runs.iter_mut();
        runs.find(|run| run.view.container_id == *id)
    }
}

impl Workload {
    fn read(&self) -> WorkloadRead {
        WorkloadRead {
            info: self.info.clone(),
            completed: self.completed,
            runs: self.runs.iter().map(Run::read).collect(),
        }
    }
}

impl Run {
    fn new(view: Arc<ExecutorView>) -> Self {
        Self {
            view,
            completed: false,
            queued: Sequence::default(),
            launched: Sequence::default(),
            terminated: Sequence::default(),
            completed_tasks: Sequence::default(),
        }
    }

    fn list(&mut self, list: TaskList) -> &mut Sequence {
        match list {
            TaskList::Queued => &mut self.queued,
            TaskList::Launched => &mut self.launched,
            TaskList::Terminated => &mut self.terminated,
            TaskList::Completed => &mut self.completed_tasks,
        }
    }

    /// Takes in a task's new description: in its place if it stays in its list, at the end of the
    /// other list if it moves. Completed ones never change, so that an id may be used again.
    fn task(&mut self, task: &v1::Task, list: TaskList) {
        let mut entry = Task::new(task.clone());
        if list == TaskList::Completed {
            entry.pack();
        }
        let mut entry = Arc::new(entry);
        if list != TaskList::Completed {
            match self.list(list).replace_newest(entry) {
                Ok(()) => return,
                Err(new) => entry = new,
            }
        }
        let id = TaskId::from(&task.task_id);
        for earlier in [TaskList::Queued, TaskList::Launched, TaskList::Terminated] {
            if self.list(earlier).take_newest(&id).is_some() {
                break;
            }
        }
        self.list(list).push(entry);
    }

    fn read(&self) -> RunRead {
        RunRead {
            view: self.view.clone(),
            completed: self.completed,
            queued: self.queued.collect(),
            launched: self.launched.collect(),
            terminated: self.terminated.collect(),
            completed_tasks: self.completed_tasks.collect(),
        }
    }
}
