//! Agents go: unreachable, gone, removed.

use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, RequestId};
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_model::upid::Upid;
use meseta_proto::mesos::internal;

use crate::agents::{Agent, Leaving, Over};
use crate::event::{Effect, Timer};
use crate::limits::{RECOVERED_PAUSE_US, RECOVERED_SLICE, RETRY_US};
use crate::master::Reign;
use crate::notice::Notice;
use crate::permissions;
use crate::proposals::Pending;
use crate::registry::{Digest, Op};
use crate::turn::Turn;
use crate::verdicts::{MARKED_GONE, Silence, Verdict};
use crate::view::{AgentFate, Counter, Delta};

impl Reign {
    /// Has it written that an agent is unreachable.
    pub(crate) fn give_up(&mut self, turn: &mut Turn<'_>, id: &AgentId, silence: Silence) {
        self.leave(turn, id, Leaving::Unreachable);
        turn.count(Counter::AgentUnreachable("scheduled"));
        let op = Op::AgentUnreachable {
            agent: id.clone(),
            since_ns: turn.now.wall_ns,
        };
        self.propose(turn, &op, Pending::Unreachable(id.clone(), silence));
    }

    /// Has it written that an agent is no more.
    pub(crate) fn remove_agent(&mut self, turn: &mut Turn<'_>, id: &AgentId, over: Over) {
        let leaving = self.agents.get_mut(id).map(|agent| {
            agent.over = Some(over);
            agent.leaving
        });
        if leaving.is_some_and(|leaving| leaving != Some(Leaving::Removed)) {
            self.leave(turn, id, Leaving::Removed);
            let op = Op::AgentRemoved { agent: id.clone() };
            self.propose(turn, &op, Pending::Remove(id.clone()));
        }
    }

    /// An op about the end of this agent is on its way: until it has had its effect the agent may not
    /// come back, and nothing new goes there.
    fn leave(&mut self, turn: &mut Turn<'_>, id: &AgentId, leaving: Leaving) {
        let Some(agent) = self.agents.get_mut(id) else {
            self.agents.returning.insert(id.clone());
            return;
        };
        agent.leaving = Some(leaving);
        agent.active = false;
        self.allocator.deactivate_agent(id);
        self.rescind_agent_offers(turn, id);
        self.agent_changed(turn, id);
    }

    /// The op about an agent's end was not taken.
    pub(crate) fn still_here(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else {
            self.agents.returning.remove(id);
            return;
        };
        agent.leaving = None;
        agent.active = agent.connected && agent.over.is_none();
        if agent.active {
            self.allocator.activate_agent(turn.now.mono_us, id);
            self.nudge(turn);
        }
        self.agent_changed(turn, id);
    }

    /// An agent that could not be given up: missed pings lead there again by themselves, a timer that
    /// has fired does not.
    pub(crate) fn give_up_later(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        match self.agents.get(id) {
            Some(agent) if !agent.connected => {
                turn.timer(Timer::AgentReregister(id.clone()), RETRY_US);
            }
            Some(_) => {}
            None => turn.timer(Timer::RecoveredAgents, RETRY_US),
        }
    }

    /// It is written that the agent is unreachable.
    pub(crate) fn agent_unreachable(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        silence: Silence,
        op: Op,
    ) {
        let since_ns = match op {
            Op::AgentUnreachable { since_ns, .. } => since_ns,
            _ => turn.now.wall_ns,
        };
        turn.count(Counter::AgentUnreachable("completed"));
        turn.count(Counter::AgentRemovals("reason_unhealthy"));
        let verdict = Verdict::unreachable(silence, since_ns);
        let registered = self.agents.get(id).is_some();
        self.forget_agent(turn, id, &verdict, AgentFate::Unreachable);
        if !registered {
            // It has not been back since the election: what it must answer for is in the registry only.
            let digest = self.registry.digest(id).cloned().unwrap_or_default();
            self.remember_unreachable(turn, id, since_ns, &digest);
            self.tell_ends(turn, id, &verdict, &digest);
        }
    }

    /// It is written that the agent was removed.
    pub(crate) fn agent_removed(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        let over = agent.over.unwrap_or(Over::Unregistered);
        let verdict = Verdict::removed(&agent.info.hostname, over.text());
        turn.count(Counter::AgentRemovals(over.metric()));
        // What it was asked about when it came back, and has not answered for.
        self.unreachable_tasks_gone(turn, id, &verdict);
        self.forget_agent(turn, id, &verdict, AgentFate::Removed);
    }

    /// An operator declares an agent gone for good; answered when it is written.
    pub(crate) fn mark_agent_gone(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        caller: &Caller,
        id: &AgentId,
    ) -> Result<Option<Outcome>, Refusal> {
        permissions::mark_agent_gone(caller)?;
        if self.registry.gone().contains_key(id) {
            return Ok(Some(Outcome::Done));
        }
        let busy = self
            .agents
            .get(id)
            .is_some_and(|agent| agent.leaving.is_some());
        if busy || self.agents.returning.contains(id) || self.proposals.is_full() {
            let text = format!("Agent {id} is in another transition; try again");
            return Err(Refusal::new(RefusalKind::Unavailable, text));
        }
        let known =
            self.registry.agents().contains_key(id) || self.registry.unreachable().contains_key(id);
        if !known {
            let text = format!("Agent '{id}' not found");
            return Err(Refusal::new(RefusalKind::NotFound, text));
        }
        self.leave(turn, id, Leaving::Gone);
        let op = Op::AgentGone {
            agent: id.clone(),
            since_ns: turn.now.wall_ns,
        };
        self.propose(turn, &op, Pending::Gone(id.clone(), vec![request]));
        Ok(None)
    }

    /// It is written that the agent is gone.
    pub(crate) fn agent_gone(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        digest: &Digest,
        requests: Vec<RequestId>,
    ) {
        turn.count(Counter::AgentRemovals("reason_gone"));
        let verdict = Verdict::gone();
        let is_there = |agent: &&Agent| self.agents.by_pid.get(&agent.pid) == Some(id);
        if let Some(agent) = self.agents.get(id).filter(is_there) {
            let message = Some(MARKED_GONE.to_owned());
            turn.send(&agent.pid, internal::ShutdownMessage { message });
        }
        let waited_for = self.agents.recovered.contains(id);
        self.unreachable_tasks_gone(turn, id, &verdict);
        self.forget_agent(turn, id, &verdict, AgentFate::Gone);
        if waited_for {
            self.tell_ends(turn, id, &verdict, digest);
        }
        for request in requests {
            turn.reply(request, Outcome::Done);
        }
    }

    /// Takes an agent off the books: its tasks end as the verdict says, its executors and offers go,
    /// and frameworks are told.
    fn forget_agent(
        &mut self,
        turn: &mut Turn<'_>,
        id: &AgentId,
        verdict: &Verdict,
        to: AgentFate,
    ) {
        self.agents.expect_no_more(id);
        let Some(agent) = self.agents.get(id) else {
            self.agents.returning.remove(id);
            let agent = id.clone();
            return turn.changed(Delta::AgentRemoved { agent, to });
        };
        let (pid, observer) = (agent.pid.clone(), agent.observer);
        let tasks: Vec<(FrameworkId, TaskId)> = agent
            .tasks
            .iter()
            .flat_map(|(framework, ids)| ids.iter().map(|id| (framework.clone(), id.clone())))
            .collect();
        self.end_operations(turn, id, to);
        // Before its resources are given back, so that they are not offered again.
        self.allocator.deactivate_agent(id);
        self.rescind_agent_offers(turn, id);
        for (framework, task) in tasks {
            self.end_task(turn, &framework, &task, verdict);
        }
        self.remove_agent_executors(turn, id);
        self.allocator.remove_agent(turn.now.mono_us, id);
        self.agents.registered.remove(id);
        self.agents.observers.remove(&observer);
        if self.agents.by_pid.get(&pid) == Some(id) {
            self.agents.by_pid.remove(&pid);
            turn.push(Effect::Unlink(pid));
        }
        if to != AgentFate::Unreachable {
            self.digest.forget(|task| task.agent == *id);
        }
        turn.cancel(Timer::Ping(id.clone()));
        turn.cancel(Timer::AgentReregister(id.clone()));
        let agent = id.clone();
        turn.changed(Delta::AgentRemoved { agent, to });
        for framework in self.frameworks.registered.values_mut() {
            framework.hosts.remove(id);
            let notice = Notice::AgentLost(id.clone());
            turn.tell(framework.connection.as_ref(), notice);
        }
        self.nudge(turn);
    }

    /// `UnregisterSlaveMessage`: the agent shuts down for good.
    pub(crate) fn unregister_agent(
        &mut self,
        turn: &mut Turn<'_>,
        from: &Upid,
        message: &internal::UnregisterSlaveMessage,
    ) {
        turn.count(Counter::Message("unregister_slave"));
        let id = AgentId::from(&message.slave_id);
        let known = self.agents.get(&id).is_some_and(|agent| agent.pid == *from);
        if known {
            self.remove_agent(turn, &id, Over::Unregistered);
        } else {
            turn.count(Counter::DroppedMessages);
        }
    }

    /// After an election agents have had their time to come back.
    pub(crate) fn recovered_agents_due(&mut self, turn: &mut Turn<'_>) {
        let missing: Vec<AgentId> = self
            .agents
            .recovered
            .iter()
            .filter(|id| !self.agents.returning.contains(*id))
            .cloned()
            .collect();
        let known = self.registry.agents().len();
        let allowed = self.config.recovery_agent_removal_limit * known as f64;
        if missing.len() as f64 > allowed {
            let reason = format!(
                "{} of {known} agents did not come back after the election, more than \
                 recovery_agent_removal_limit allows",
                missing.len()
            );
            return turn.push(Effect::Exit { reason });
        }
        let waited = self.config.agent_reregister_timeout_us;
        for id in missing.iter().take(RECOVERED_SLICE) {
            self.give_up(turn, id, Silence::SinceElection(waited));
        }
        if missing.len() > RECOVERED_SLICE {
            turn.timer(Timer::RecoveredAgents, RECOVERED_PAUSE_US);
        }
    }

    /// Old unreachable and gone entries leave the registry: by age, then by number, oldest first.
    pub(crate) fn registry_gc_due(&mut self, turn: &mut Turn<'_>) {
        turn.timer(Timer::RegistryGc, self.config.registry_gc_interval_us);
        let age_ns = self.config.registry_max_agent_age_us.saturating_mul(1_000);
        let cutoff = turn.now.wall_ns.saturating_sub(age_ns);
        let most = self.config.registry_max_agent_count;
        let unreachable = self.registry.unreachable();
        let unreachable = overdue(
            unreachable.iter().map(|(id, record)| (record.since_ns, id)),
            cutoff,
            most,
        );
        let gone = self.registry.gone();
        let gone = overdue(gone.iter().map(|(id, since)| (*since, id)), cutoff, most);
        if !unreachable.is_empty() || !gone.is_empty() {
            self.propose(turn, &Op::Pruned { unreachable, gone }, Pending::Record);
        }
    }
}

fn overdue<'a>(
    entries: impl Iterator<Item = (u64, &'a AgentId)>,
    cutoff: u64,
    most: usize,
) -> Vec<AgentId> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable();
    let too_many = entries.len().saturating_sub(most);
    entries
        .iter()
        .enumerate()
        .filter(|(i, (since, _))| *i < too_many || *since < cutoff)
        .map(|(_, (_, id))| (*id).clone())
        .collect()
}
