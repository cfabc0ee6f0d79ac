//! What an agent brings along when it comes back: executors and tasks, and what it is asked about.

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::Used;
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use meseta_model::resources::Resources;
use meseta_model::roles::Role;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::{internal, v1};
use v1::TaskState;
use v1::task_status::Reason;

use crate::agents::Executor;
use crate::frameworks::{Framework, Task};
use crate::master::Reign;
use crate::registration::Return;
use crate::registry::{Op, TaskRef};
use crate::tasks::{keep_completed, question, questions_about, state_of};
use crate::turn::Turn;
use crate::verdicts::Word;
use crate::view::{Delta, TaskList};

/// What frameworks hear of tasks that were unreachable and are not any more. compat: Mesos's words.
const RETURNED: &str = "Unreachable agent re-reregistered";

impl Reign {
    /// A framework that only an agent knew is in the registry now.
    pub(crate) fn framework_met(&mut self, turn: &mut Turn<'_>, op: Op) {
        if let Op::FrameworkAdded { info } = op {
            self.recover_framework(turn, *info);
        }
    }

    /// Enters the executors that an agent reports and that are not in the books.
    pub(crate) fn adopt_executors(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        executors: Vec<v1::ExecutorInfo>,
    ) {
        for info in executors {
            let Some(framework) = info.framework_id.as_ref().map(FrameworkId::from) else {
                continue;
            };
            let id = ExecutorId::from(&info.executor_id);
            let known = self
                .agents
                .get(agent)
                .and_then(|agent| agent.executor(&framework, &id));
            let Some(owner) = self.frameworks.get(&framework) else {
                continue;
            };
            let Ok(resources) = Resources::from_wire(&info.resources) else {
                continue;
            };
            if known.is_some() {
                self.confirm_executor(agent, &framework, &id);
                continue;
            }
            let role = role_of(&resources, owner);
            let resources = resources.unallocated();
            self.track(agent, &framework, &role, &resources);
            let executor = Executor {
                info,
                unconfirmed: false,
                role,
                resources,
                tasks_share_cgroups: None,
            };
            self.add_executor(turn, agent, &framework, executor);
        }
    }

    /// What runs on an agent without our doing counts from now on.
    pub(crate) fn track(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        role: &Role,
        used: &Resources,
    ) {
        let used = Used {
            framework: framework.clone(),
            role: role.clone(),
            resources: used.clone(),
        };
        let tracked = self.allocator.track(agent, &used);
        assert!(tracked.is_ok(), "an agent is added before its tasks");
    }

    /// An executor is there after all.
    pub(crate) fn confirm_executor(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) {
        let agent = self.agents.get_mut(agent);
        let executors = agent.and_then(|agent| agent.executors.get_mut(framework));
        if let Some(executor) = executors.and_then(|executors| executors.get_mut(id)) {
            executor.unconfirmed = false;
        }
    }

    /// A task is over: if it was the last of those that an executor was to be started for, and nothing
    /// was ever heard of that executor, then it was not started.
    pub(crate) fn drop_if_never_started(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) {
        let host = self.agents.get(agent);
        let executor = host.and_then(|host| host.executor(framework, id));
        let waits = executor.is_some_and(|executor| executor.unconfirmed);
        if waits && !self.has_live_tasks(agent, framework, id) {
            self.remove_executor(turn, agent, framework, id);
        }
    }

    fn has_live_tasks(&self, agent: &AgentId, framework: &FrameworkId, id: &ExecutorId) -> bool {
        let tasks = self.frameworks.get(framework).map(|owner| &owner.tasks);
        tasks.into_iter().flat_map(BTreeMap::values).any(|task| {
            task.agent == *agent && task.executor.as_ref() == Some(id) && !is_terminal(task.state)
        })
    }

    /// Executors that the agent does not have any more. One whose tasks live may be on its way to the
    /// agent, behind what it says now: it counts until its tasks are over.
    ///
    /// compat: Mesos takes it off the books, and offers what it holds to others when it has started.
    pub(crate) fn drop_vanished_executors(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        reported: &[v1::ExecutorInfo],
    ) {
        let reported: BTreeSet<(FrameworkId, ExecutorId)> = reported
            .iter()
            .filter_map(|info| {
                let framework = info.framework_id.as_ref().map(FrameworkId::from)?;
                Some((framework, ExecutorId::from(&info.executor_id)))
            })
            .collect();
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        let vanished: Vec<(FrameworkId, ExecutorId)> = agent
            .executors
            .iter()
            .flat_map(|(framework, executors)| {
                executors
                    .keys()
                    .map(|executor| (framework.clone(), executor.clone()))
            })
            .filter(|key| !reported.contains(key))
            .collect();
        for (framework, executor) in vanished {
            if self.has_live_tasks(id, &framework, &executor) {
                let agent = self.agents.get_mut(id);
                let executors = agent.and_then(|agent| agent.executors.get_mut(&framework));
                if let Some(known) = executors.and_then(|known| known.get_mut(&executor)) {
                    known.unconfirmed = true;
                }
            } else {
                self.remove_executor(turn, id, &framework, &executor);
            }
        }
    }

    /// Enters the tasks that an agent reports and that are not in the books. Says which it reported.
    ///
    /// A task whose last acknowledgement only waits for the registry is settled and stays out, and so is
    /// one of a removed framework.
    pub(crate) fn adopt_tasks(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        tasks: Vec<v1::Task>,
        was_unreachable: bool,
    ) -> BTreeSet<(FrameworkId, TaskId)> {
        let mut reported = BTreeSet::new();
        for shown in tasks {
            let framework = FrameworkId::from(&shown.framework_id);
            let id = TaskId::from(&shown.task_id);
            reported.insert((framework.clone(), id.clone()));
            let reference = TaskRef {
                agent: agent.clone(),
                framework: framework.clone(),
                task: id.clone(),
            };
            let Some(owner) = self.frameworks.get(&framework) else {
                continue;
            };
            if owner.tasks.contains_key(&id) || self.digest.is_settled(&reference) {
                continue;
            }
            self.adopt_task(turn, reference, shown, was_unreachable);
        }
        reported
    }

    /// What is over and in no book, or was completed here, of an agent that is connected: it is settled, and
    /// the agent said this before it knew. Words of its earlier life may come late as well, so that what
    /// lives is asked about once more: an agent that has it says nothing to that.
    pub(crate) fn leave_out_settled(&self, tasks: &mut Vec<v1::Task>) {
        tasks.retain(|task| {
            let framework = FrameworkId::from(&task.framework_id);
            let owner = self.frameworks.get(&framework);
            let id = TaskId::from(&task.task_id);
            let known = owner.is_some_and(|owner| {
                owner.tasks.contains_key(&id) || owner.unreachable.contains_key(&id)
            });
            let over = owner.is_some_and(|owner| owner.completed.contains(&id));
            known || !(over || is_terminal(state_of(task)))
        });
    }

    /// Whether a task is in the books and not over.
    pub(crate) fn is_live(&self, (framework, id): &(FrameworkId, TaskId)) -> bool {
        let owner = self.frameworks.get(framework);
        let task = owner.and_then(|owner| owner.tasks.get(id));
        task.is_some_and(|task| !is_terminal(task.state))
    }

    /// The frameworks that an agent has something of and that were removed while it was away.
    pub(crate) fn orphans(&self, back: &Return) -> BTreeSet<FrameworkId> {
        let infos = back.frameworks.iter().filter_map(|info| info.id.as_ref());
        let executors = &back.executors;
        let executors = executors
            .iter()
            .filter_map(|info| info.framework_id.as_ref());
        let tasks = back.tasks.iter().map(|task| &task.framework_id);
        let all = infos.chain(executors).chain(tasks).map(FrameworkId::from);
        all.filter(|id| self.frameworks.get(id).is_none()).collect()
    }

    fn adopt_task(
        &mut self,
        turn: &mut Turn<'_>,
        at: TaskRef,
        mut shown: v1::Task,
        was_unreachable: bool,
    ) {
        let (Some(owner), Ok(resources)) = (
            self.frameworks.get_mut(&at.framework),
            Resources::from_wire(&shown.resources),
        ) else {
            return;
        };
        let back = owner.unreachable.shift_remove(&at.task).is_some();
        let role = role_of(&resources, owner);
        let resources = resources.unallocated();
        let state = state_of(&shown);
        let uuid = shown.status_update_uuid.clone();
        let about = shown
            .status_update_state
            .and_then(|state| TaskState::try_from(state).ok());
        let task = Task {
            agent: at.agent.clone(),
            executor: shown.executor_id.as_ref().map(ExecutorId::from),
            state,
            role: role.clone(),
            resources: resources.clone(),
            update: about.zip(uuid),
            status: shown
                .statuses
                .last()
                .map(|status| Box::new(without_payload(status))),
        };
        if !is_terminal(state) {
            self.track(&at.agent, &at.framework, &role, &resources);
        }
        if back {
            turn.changed(Delta::TaskForgotten {
                framework: at.framework.clone(),
                task: at.task.clone(),
                list: TaskList::Unreachable,
            });
        }
        for status in &mut shown.statuses {
            status.data = None;
        }
        self.add_task(turn, &at.framework, at.task.clone(), task, shown);
        self.note_sent(turn, at.clone());
        if was_unreachable && !is_terminal(state) {
            let word = Word::new(state, Reason::AgentReregistered, RETURNED);
            let update = word.update(turn, &at.framework, &at.task, Some(&at.agent));
            self.forward(turn, &at.framework, update, None);
        }
    }

    /// Asks an agent about everything it should have and did not report: what it does not know it
    /// declares dropped or lost itself, with an update that is repeated until it is acknowledged.
    pub(crate) fn questions(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        reported: &BTreeSet<(FrameworkId, TaskId)>,
        was_unreachable: bool,
    ) -> Vec<internal::ReconcileTasksMessage> {
        let mut missing: BTreeSet<(FrameworkId, TaskId)> = self.unaccounted(id, reported);
        if was_unreachable {
            missing.extend(self.unreachable_on(id));
        }
        let Some(agent) = self.agents.get_mut(id) else {
            return Vec::new();
        };
        for (framework, tasks) in &agent.tasks {
            missing.extend(tasks.iter().map(|task| (framework.clone(), task.clone())));
        }
        let mut settled = Vec::new();
        let mut by_framework: BTreeMap<FrameworkId, Vec<v1::TaskStatus>> = BTreeMap::new();
        for key in missing.iter().filter(|key| !reported.contains(*key)) {
            let (framework, task) = key;
            let Some(owner) = self.frameworks.registered.get(framework) else {
                continue;
            };
            let at = TaskRef {
                agent: id.clone(),
                framework: framework.clone(),
                task: task.clone(),
            };
            if self.digest.is_settled(&at) {
                continue;
            }
            let state = match owner.tasks.get(task) {
                Some(known) if known.agent == *id && is_terminal(known.shown_state()) => {
                    settled.push(at);
                    continue;
                }
                Some(known) if known.agent == *id => known.shown_state(),
                // The same id runs elsewhere by now; the old one is not asked about.
                Some(_) => continue,
                None => {
                    agent.expected.insert(key.clone(), None);
                    TaskState::TaskStaging
                }
            };
            let status = question(id, task, state, turn.now.wall_seconds());
            let statuses = by_framework.entry(owner.id.clone()).or_default();
            statuses.push(status);
        }
        for task in settled {
            self.settle(turn, &task);
        }
        by_framework
            .into_iter()
            .filter_map(|(id, statuses)| {
                let framework = self.frameworks.registered.get(&id)?;
                Some(questions_about(framework, statuses))
            })
            .collect()
    }

    /// The end of a task was passed on, but is not acknowledged, and its agent does not know the task
    /// any more: it will not repeat that end, and asked it would invent another. The framework hears of
    /// the end once more, by the master's own word, and that is all.
    fn settle(&mut self, turn: &mut Turn<'_>, at: &TaskRef) {
        if let Some(owner) = self.frameworks.get(&at.framework)
            && let Some(known) = owner.tasks.get(&at.task)
        {
            self.tell_latest(turn, owner, &at.task, known);
        }
        self.remove_task(turn, &at.framework, &at.task, TaskList::Completed);
        self.note_over(turn, at);
    }

    /// A status about a task that is not in the books: perhaps the answer to a question.
    pub(crate) fn answer_arrived(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        framework: &FrameworkId,
        task: &TaskId,
        update: &internal::StatusUpdate,
    ) {
        let state = TaskState::try_from(update.status.state).unwrap_or(TaskState::TaskStaging);
        if !is_terminal(state) {
            return;
        }
        let key = (framework.clone(), task.clone());
        if let Some(agent) = self.agents.get_mut(agent)
            && let Some(awaited) = agent.expected.get_mut(&key)
        {
            awaited.clone_from(&update.uuid);
        }
        let most = self.config.max_completed_tasks_per_framework;
        let Some(owner) = self.frameworks.get_mut(framework) else {
            return;
        };
        if owner
            .unreachable
            .get(task)
            .is_some_and(|known| known.agent == *agent)
        {
            owner.unreachable.shift_remove(task);
            turn.changed(Delta::TaskUpdated {
                framework: framework.clone(),
                task: task.clone(),
                state,
                status: Some(Box::new(without_payload(&update.status))),
            });
            turn.changed(Delta::TaskMoved {
                framework: framework.clone(),
                task: task.clone(),
                from: TaskList::Unreachable,
                to: TaskList::Completed,
            });
            keep_completed(turn, owner, task.clone(), most);
        }
    }

    /// Whether this acknowledges the end of a task that an agent was asked about.
    pub(crate) fn answer_acknowledged(&mut self, task: &TaskRef, uuid: &bytes::Bytes) -> bool {
        let key = (task.framework.clone(), task.task.clone());
        let Some(agent) = self.agents.get_mut(&task.agent) else {
            return false;
        };
        let last = agent
            .expected
            .get(&key)
            .is_some_and(|awaited| awaited.as_ref() == Some(uuid));
        if last {
            agent.expected.remove(&key);
        }
        last
    }

    /// Kills that were asked for while the agent was away.
    pub(crate) fn kill_again(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        reported: &BTreeSet<(FrameworkId, TaskId)>,
    ) {
        let Some(agent) = self.agents.get_mut(id) else {
            return;
        };
        let killed = std::mem::take(&mut agent.killed);
        for (framework, task) in killed.intersection(reported) {
            let alive = self
                .frameworks
                .get(framework)
                .and_then(|framework| framework.tasks.get(task))
                .is_some_and(|task| !is_terminal(task.state));
            if alive {
                let message = internal::KillTaskMessage {
                    framework_id: framework.to_wire(),
                    task_id: task.to_wire(),
                    kill_policy: None,
                };
                turn.send(&agent.pid, message);
            }
        }
    }
}

/// The role that resources are allocated to; agents of old say nothing, and then the framework has
/// only one.
pub(crate) fn role_of(resources: &Resources, owner: &Framework) -> Role {
    let named = resources
        .iter()
        .find_map(|resource| resource.allocation_role().cloned());
    named
        .or_else(|| owner.roles.first().cloned())
        .unwrap_or_default()
}

fn without_payload(status: &v1::TaskStatus) -> v1::TaskStatus {
    v1::TaskStatus {
        data: None,
        ..status.clone()
    }
}
