//! The books on tasks and executors: who has what where, and what is given back when it ends.

use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use meseta_model::resources::Resources;
use meseta_model::roles::Role;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::{internal, v1};
use v1::TaskState;

use crate::agents::Executor;
use crate::frameworks::{Framework, Task, UnreachableTask};
use crate::master::Reign;
use crate::registry::{Digest, TaskRef};
use crate::turn::Turn;
use crate::verdicts::Verdict;
use crate::view::{Delta, TaskList};

/// The state of a task as an agent reports it. A number nobody knows is taken as staging: the next
/// update says what it is.
pub(crate) fn state_of(task: &v1::Task) -> TaskState {
    TaskState::try_from(task.state).unwrap_or(TaskState::TaskStaging)
}

impl Reign {
    /// Enters a task into the books.
    pub(crate) fn add_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        id: TaskId,
        task: Task,
        shown: v1::Task,
    ) {
        let Some(owner) = self.frameworks.get_mut(framework) else {
            return;
        };
        let Some(agent) = self.agents.get_mut(&task.agent) else {
            return;
        };
        agent
            .tasks
            .entry(framework.clone())
            .or_default()
            .insert(id.clone());
        owner.settle(&task.agent);
        owner.tasks.insert(id, task);
        turn.changed(Delta::TaskAdded {
            task: Box::new(shown),
            list: TaskList::Active,
        });
    }

    /// Takes a task out of the books and into `to`; what it still held is given back.
    pub(crate) fn remove_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        id: &TaskId,
        to: TaskList,
    ) {
        let Some(owner) = self.frameworks.get_mut(framework) else {
            return;
        };
        let Some(task) = owner.tasks.remove(id) else {
            return;
        };
        owner.leave(&task.agent);
        if let Some(agent) = self.agents.get_mut(&task.agent) {
            if let Some(ids) = agent.tasks.get_mut(framework) {
                ids.remove(id);
                if ids.is_empty() {
                    agent.tasks.remove(framework);
                }
            }
            agent.killed.remove(&(framework.clone(), id.clone()));
        }
        turn.changed(Delta::TaskMoved {
            framework: framework.clone(),
            task: id.clone(),
            from: TaskList::Active,
            to,
        });
        let config = &self.config;
        match to {
            TaskList::Unreachable => {
                let most = config.max_unreachable_tasks_per_framework;
                let entry = UnreachableTask {
                    agent: task.agent.clone(),
                    executor: task.executor.clone(),
                    since_ns: turn.now.wall_ns,
                };
                keep_unreachable(turn, owner, id, entry, most);
            }
            _ => {
                let most = config.max_completed_tasks_per_framework;
                keep_completed(turn, owner, id.clone(), most);
            }
        }
        if !is_terminal(task.state) {
            self.give_back(turn, framework, &task.role, &task.agent, &task.resources);
        }
    }

    /// Resources of a task or executor that is over become free.
    pub(crate) fn give_back(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        resources: &Resources,
    ) {
        let now = turn.now.mono_us;
        self.allocator
            .recover(now, framework, role, agent, resources, None);
        self.nudge(turn);
    }

    /// Ends a task by the master's own word: state, status to the framework, books.
    ///
    /// A task whose end was passed on before keeps that end. Its framework may have been away then, and
    /// the agent that would have said it again is not there to do so: the framework hears it once more.
    pub(crate) fn end_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        id: &TaskId,
        verdict: &Verdict,
    ) {
        let Some(owner) = self.frameworks.get(framework) else {
            return;
        };
        let Some(task) = owner.tasks.get(id) else {
            return;
        };
        let agent = task.agent.clone();
        let already_over = is_terminal(task.state);
        let passed_on = is_terminal(task.shown_state());
        if passed_on {
            self.tell_latest(turn, owner, id, task);
        }
        let word = verdict.word(owner.is_partition_aware()).clone();
        let mut update = word.update(turn, framework, id, Some(&agent));
        update.executor_id = task.executor.as_ref().map(ExecutorId::to_wire);
        if !already_over {
            self.apply_update(turn, framework, id, &update);
        }
        // LOST in place of UNREACHABLE is not an end either: the agent may come back.
        let may_return = verdict.may_return();
        if may_return && !already_over {
            self.remove_task(turn, framework, id, TaskList::Unreachable);
        } else {
            self.remove_task(turn, framework, id, TaskList::Completed);
            if !may_return {
                let (framework, task) = (framework.clone(), id.clone());
                let task = TaskRef {
                    agent,
                    framework,
                    task,
                };
                self.note_over(turn, &task);
            }
        }
        if !passed_on {
            self.forward(turn, framework, update, None);
        }
    }

    /// Everything that a framework without checkpoint has on an agent that lost its link.
    pub(crate) fn lose_framework_on(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        framework: &FrameworkId,
    ) {
        let Some(host) = self.agents.get(agent) else {
            return;
        };
        let verdict = Verdict::disconnected(&host.info.hostname);
        let tasks = self
            .agents
            .get(agent)
            .and_then(|agent| agent.tasks.get(framework));
        for task in tasks.cloned().unwrap_or_default() {
            self.end_task(turn, framework, &task, &verdict);
        }
        self.remove_executors_of(turn, agent, framework);
    }

    /// Enters an executor into the books.
    pub(crate) fn add_executor(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: Executor,
    ) {
        let id = ExecutorId::from(&executor.info.executor_id);
        let Some(owner) = self.frameworks.get_mut(framework) else {
            return;
        };
        let Some(host) = self.agents.get_mut(agent) else {
            return;
        };
        owner.settle(agent);
        turn.changed(Delta::Executor {
            agent: agent.clone(),
            info: Box::new(executor.info.clone()),
            framework: framework.clone(),
        });
        let executors = host.executors.entry(framework.clone()).or_default();
        executors.insert(id, executor);
    }

    /// Takes an executor out of the books and gives back what it held.
    pub(crate) fn remove_executor(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) -> bool {
        let Some(host) = self.agents.get_mut(agent) else {
            return false;
        };
        let Some(executors) = host.executors.get_mut(framework) else {
            return false;
        };
        let Some(executor) = executors.remove(id) else {
            return false;
        };
        if executors.is_empty() {
            host.executors.remove(framework);
        }
        if let Some(owner) = self.frameworks.get_mut(framework) {
            owner.leave(agent);
        }
        turn.changed(Delta::ExecutorRemoved {
            agent: agent.clone(),
            framework: framework.clone(),
            executor: id.clone(),
        });
        self.give_back(turn, framework, &executor.role, agent, &executor.resources);
        true
    }

    pub(crate) fn remove_executors_of(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        framework: &FrameworkId,
    ) {
        let ids: Vec<ExecutorId> = self
            .agents
            .get(agent)
            .and_then(|agent| agent.executors.get(framework))
            .map(|executors| executors.keys().cloned().collect())
            .unwrap_or_default();
        for id in ids {
            self.remove_executor(turn, agent, framework, &id);
        }
    }

    pub(crate) fn remove_agent_executors(&mut self, turn: &mut Turn<'_>, agent: &AgentId) {
        let frameworks: Vec<FrameworkId> = self
            .agents
            .get(agent)
            .map(|agent| agent.executors.keys().cloned().collect())
            .unwrap_or_default();
        for framework in frameworks {
            self.remove_executors_of(turn, agent, &framework);
        }
    }

    /// An agent that was unreachable is gone for good, and so are its tasks.
    pub(crate) fn unreachable_tasks_gone(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        verdict: &Verdict,
    ) {
        let tasks: Vec<(FrameworkId, TaskId)> = self.unreachable_on(agent).collect();
        for (framework, task) in tasks {
            let Some(owner) = self.frameworks.get_mut(&framework) else {
                continue;
            };
            owner.unreachable.shift_remove(&task);
            let word = verdict.word(owner.is_partition_aware()).clone();
            let state = word.state;
            turn.changed(Delta::TaskUpdated {
                framework: framework.clone(),
                task: task.clone(),
                state,
                status: None,
            });
            turn.changed(Delta::TaskMoved {
                framework: framework.clone(),
                task: task.clone(),
                from: TaskList::Unreachable,
                to: TaskList::Completed,
            });
            let most = self.config.max_completed_tasks_per_framework;
            keep_completed(turn, owner, task.clone(), most);
            let update = word.update(turn, &framework, &task, Some(agent));
            self.forward(turn, &framework, update, None);
        }
    }

    /// Tasks that only the registry knows, on an agent that is not registered: frameworks hear what
    /// became of them.
    pub(crate) fn tell_ends(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        verdict: &Verdict,
        digest: &Digest,
    ) {
        for (framework, task) in digest {
            let Some(owner) = self.frameworks.get(framework) else {
                continue;
            };
            let word = verdict.word(owner.is_partition_aware()).clone();
            let update = word.update(turn, framework, task, Some(agent));
            self.forward(turn, framework, update, None);
        }
    }

    /// Tasks that only the registry knows, on an agent that is unreachable: all that can be shown of
    /// them is that they are.
    pub(crate) fn remember_unreachable(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        since_ns: u64,
        digest: &Digest,
    ) {
        let most = self.config.max_unreachable_tasks_per_framework;
        for (framework, id) in digest {
            let Some(owner) = self.frameworks.get_mut(framework) else {
                continue;
            };
            if owner.tasks.contains_key(id) || owner.unreachable.contains_key(id) {
                continue;
            }
            let state = if owner.is_partition_aware() {
                TaskState::TaskUnreachable
            } else {
                TaskState::TaskLost
            };
            turn.changed(Delta::TaskAdded {
                task: Box::new(v1::Task {
                    name: id.to_string(),
                    task_id: id.to_wire(),
                    framework_id: framework.to_wire(),
                    agent_id: agent.to_wire(),
                    state: state as i32,
                    ..Default::default()
                }),
                list: TaskList::Unreachable,
            });
            let entry = UnreachableTask {
                agent: agent.clone(),
                executor: None,
                since_ns,
            };
            keep_unreachable(turn, owner, id, entry, most);
        }
    }

    /// The tasks that were on this agent when it became unreachable.
    pub(crate) fn unreachable_on(
        &self,
        agent: &AgentId,
    ) -> impl Iterator<Item = (FrameworkId, TaskId)> {
        let frameworks = self.frameworks.registered.values();
        frameworks.flat_map(move |framework| {
            let tasks = framework.unreachable.iter();
            let there = tasks.filter(move |(_, task)| task.agent == *agent);
            there.map(|(task, _)| (framework.id.clone(), task.clone()))
        })
    }
}

fn keep_unreachable(
    turn: &mut Turn<'_>,
    owner: &mut Framework,
    id: &TaskId,
    entry: UnreachableTask,
    most: usize,
) {
    owner.unreachable.insert(id.clone(), entry);
    while owner.unreachable.len() > most {
        if let Some((task, _)) = owner.unreachable.shift_remove_index(0) {
            turn.changed(Delta::TaskForgotten {
                framework: owner.id.clone(),
                task,
                list: TaskList::Unreachable,
            });
        }
    }
}

/// Remembers that a task is over; beyond `most` the oldest is forgotten.
pub(crate) fn keep_completed(turn: &mut Turn<'_>, owner: &mut Framework, id: TaskId, most: usize) {
    owner.completed.push_back(id);
    while owner.completed.len() > most {
        if let Some(task) = owner.completed.pop_front() {
            turn.changed(Delta::TaskForgotten {
                framework: owner.id.clone(),
                task,
                list: TaskList::Completed,
            });
        }
    }
}

/// What the agent is asked about a task that it did not report.
pub(crate) fn question(
    agent: &AgentId,
    task: &TaskId,
    state: TaskState,
    timestamp: f64,
) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: task.to_wire(),
        state: state as i32,
        message: Some("Reconciliation request".to_owned()),
        source: Some(v1::task_status::Source::Master as i32),
        reason: Some(v1::task_status::Reason::Reconciliation as i32),
        agent_id: Some(agent.to_wire()),
        timestamp: Some(timestamp),
        ..Default::default()
    }
}

/// A list of questions about one framework's tasks.
pub(crate) fn questions_about(
    framework: &Framework,
    statuses: Vec<v1::TaskStatus>,
) -> internal::ReconcileTasksMessage {
    internal::ReconcileTasksMessage {
        framework_id: framework.id.to_wire(),
        statuses,
        framework: Some(framework.info.clone()),
    }
}
