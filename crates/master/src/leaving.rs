//! Frameworks go: disconnected, failed over too late, torn down.

use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RequestId, StreamId};
use meseta_model::ids::{FrameworkId, TaskId};
use meseta_model::task_state::is_terminal;
use meseta_model::upid::Upid;
use meseta_proto::mesos::{internal, v1};
use v1::TaskState;
use v1::task_status::Reason;

use crate::event::{Effect, Timer};
use crate::frameworks::{Connection, Framework};
use crate::limits::RETRY_US;
use crate::master::Reign;
use crate::permissions;
use crate::proposals::Pending;
use crate::registry::{Disconnected, Op};
use crate::turn::Turn;
use crate::verdicts::Word;
use crate::view::{Counter, Delta, FrameworkState, TaskList};

impl Reign {
    /// A scheduler's stream ended.
    pub(crate) fn stream_closed(&mut self, turn: &mut Turn<'_>, stream: &StreamId) {
        self.subscriber_gone(&Connection::Stream(stream.clone()));
        if let Some(id) = self.frameworks.streams.get(stream).cloned() {
            self.disconnect_framework(turn, &id);
        }
    }

    /// The link to a v0 driver broke.
    ///
    /// One that has subscribed again since we linked may have noticed before we did: then it is still
    /// there, and would never learn that it is not served any more. A second break is meant for it.
    pub(crate) fn driver_gone(&mut self, turn: &mut Turn<'_>, upid: &Upid) {
        if self.frameworks.returned.remove(upid) {
            return turn.push(Effect::Link(upid.clone()));
        }
        self.subscriber_gone(&Connection::Driver(upid.clone()));
        if let Some(id) = self.frameworks.drivers.get(upid).cloned() {
            self.disconnect_framework(turn, &id);
        }
    }

    fn subscriber_gone(&mut self, connection: &Connection) {
        for subscriber in self.frameworks.subscribing.values_mut() {
            subscriber.gone |= subscriber.connection == *connection;
        }
    }

    /// A framework lost its connection: its offers go, and it has its `failover_timeout` to come back.
    pub(crate) fn disconnect_framework(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let connection = self
            .frameworks
            .get_mut(id)
            .and_then(|f| f.connection.take());
        let Some(connection) = connection else {
            return;
        };
        self.detach(turn, id, &connection);
        self.allocator.deactivate_framework(id);
        self.withdraw_offers(turn, id);
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        framework.active = false;
        turn.changed(Delta::Framework(Box::new(framework.view())));
        if framework.removing {
            return;
        }
        let timeout_us = framework.failover_timeout_us();
        if timeout_us == 0 && self.is_coming(id) {
            // It is back already: only the end of its old connection was noticed late.
            return turn.timer(Timer::Failover(id.clone()), RETRY_US);
        }
        if timeout_us == 0 {
            return self.remove_framework(turn, id, None);
        }
        turn.timer(Timer::Failover(id.clone()), timeout_us);
        let op = Op::FrameworkDisconnected {
            framework: id.clone(),
            disconnected: Disconnected {
                since_ns: turn.now.wall_ns,
                failover_timeout_ns: timeout_us.saturating_mul(1_000),
            },
        };
        self.propose(turn, &op, Pending::Record);
    }

    /// A disconnected framework did not come back in time, unless it is about to.
    pub(crate) fn failover_due(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let away = self
            .frameworks
            .get(id)
            .is_some_and(|framework| framework.connection.is_none() && !framework.removing);
        if away && self.is_coming(id) {
            turn.timer(Timer::Failover(id.clone()), RETRY_US);
        } else if away {
            self.remove_framework(turn, id, None);
        }
    }

    /// Whether a subscription of this framework is being written.
    fn is_coming(&self, id: &FrameworkId) -> bool {
        let subscriber = self.frameworks.subscribing.get(id);
        subscriber.is_some_and(|subscriber| !subscriber.gone)
    }

    /// TEARDOWN; the request is answered when it is done.
    pub(crate) fn teardown(
        &mut self,
        turn: &mut Turn<'_>,
        request: Option<RequestId>,
        id: &FrameworkId,
    ) {
        turn.count(Counter::Message("unregister_framework"));
        self.remove_framework(turn, id, request);
    }

    /// `/teardown` and TEARDOWN of the operator API; answered when it is done.
    pub(crate) fn teardown_by_operator(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        caller: &Caller,
        id: &FrameworkId,
    ) -> Result<Option<Outcome>, Refusal> {
        let Some(framework) = self.frameworks.get(id) else {
            return Err(Refusal::invalid("No framework found with specified ID"));
        };
        permissions::teardown(caller, framework)?;
        self.remove_framework(turn, id, Some(request));
        Ok(None)
    }

    /// Has it written that a framework is removed, or waits with whoever asked before.
    fn remove_framework(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        request: Option<RequestId>,
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        if std::mem::replace(&mut framework.removing, true) {
            for pending in self.proposals.pending_mut() {
                if let Pending::Teardown(known, requests) = pending
                    && known == id
                {
                    requests.extend(request);
                }
            }
            return;
        }
        let op = Op::FrameworkRemoved {
            framework: id.clone(),
        };
        let requests = request.into_iter().collect();
        self.propose(turn, &op, Pending::Teardown(id.clone(), requests));
    }

    /// The removal was not taken: it is tried again if nobody waits for it.
    pub(crate) fn removal_failed(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.removing = false;
            if framework.connection.is_none() {
                turn.timer(Timer::Failover(id.clone()), RETRY_US);
            }
        }
    }

    /// It is written that a framework is removed: agents end what it runs, the books are closed.
    pub(crate) fn framework_removed(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        requests: Vec<RequestId>,
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        framework.active = false;
        let connection = framework.connection.take();
        self.allocator.deactivate_framework(id);
        self.withdraw_offers(turn, id);
        self.shut_down_on_hosts(turn, id);
        self.end_all_tasks(turn, id);
        self.drop_all_executors(turn, id);
        self.allocator.remove_framework(turn.now.mono_us, id);
        self.digest.forget(|task| task.framework == *id);
        turn.cancel(Timer::Failover(id.clone()));
        if let Some(connection) = connection {
            self.detach(turn, id, &connection);
            turn.hang_up(&connection);
        }
        if let Some(framework) = self.frameworks.registered.remove(id) {
            self.keep_completed_framework(turn, &framework);
        }
        self.nudge(turn);
        for request in requests {
            turn.reply(request, Outcome::Accepted);
        }
    }

    fn shut_down_on_hosts(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        for agent in framework
            .hosts
            .keys()
            .filter_map(|agent| self.agents.connected(agent))
        {
            let framework_id = id.to_wire();
            turn.send(
                &agent.pid,
                internal::ShutdownFrameworkMessage { framework_id },
            );
        }
    }

    /// Its tasks count as killed; nobody is left to hear of it.
    fn end_all_tasks(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        let tasks: Vec<TaskId> = framework.tasks.keys().cloned().collect();
        for task in tasks {
            let framework = &self.frameworks.registered[id];
            let known = &framework.tasks[&task];
            if !is_terminal(known.state) {
                let text = format!("Framework {id} removed");
                let word = Word::new(TaskState::TaskKilled, Reason::FrameworkRemoved, text);
                let update = word.update(turn, id, &task, Some(&known.agent));
                self.apply_update(turn, id, &task, &update);
            }
            self.remove_task(turn, id, &task, TaskList::Completed);
        }
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        for (task, _) in std::mem::take(&mut framework.unreachable) {
            turn.changed(Delta::TaskMoved {
                framework: id.clone(),
                task: task.clone(),
                from: TaskList::Unreachable,
                to: TaskList::Completed,
            });
            let most = self.config.max_completed_tasks_per_framework;
            crate::tasks::keep_completed(turn, framework, task, most);
        }
    }

    fn drop_all_executors(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let hosts: Vec<_> = self
            .frameworks
            .get(id)
            .map(|framework| framework.hosts.keys().cloned().collect())
            .unwrap_or_default();
        for agent in hosts {
            self.remove_executors_of(turn, &agent, id);
        }
        for agent in self.agents.registered.values_mut() {
            agent.expected.retain(|(framework, _), _| framework != id);
        }
    }

    fn keep_completed_framework(&mut self, turn: &mut Turn<'_>, framework: &Framework) {
        let mut view = framework.view();
        view.state = FrameworkState::Completed;
        view.unregistered_time = Some(turn.now.wall_seconds());
        turn.changed(Delta::Framework(Box::new(view)));
        self.frameworks.completed.push_back(framework.id.clone());
        while self.frameworks.completed.len() > self.config.max_completed_frameworks {
            if let Some(oldest) = self.frameworks.completed.pop_front() {
                turn.changed(Delta::FrameworkForgotten(oldest));
            }
        }
    }
}
