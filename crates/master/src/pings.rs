//! Whether agents answer: pings, and links that break.

use meseta_model::ids::AgentId;
use meseta_model::upid::Upid;
use meseta_proto::mesos::internal;

use crate::event::Timer;
use crate::master::Reign;
use crate::turn::Turn;
use crate::verdicts::Silence;
use crate::view::Counter;

/// What pings are sent by; its number is in the name.
const OBSERVER: &str = "slave-observer";

impl Reign {
    /// Sends a ping and waits for its pong. Where another agent is by now nothing is sent, and waited all
    /// the same.
    pub(crate) fn ping(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let after = self.config.agent_ping_timeout_us;
        let Some(agent) = self.agents.registered.get_mut(id) else {
            return;
        };
        agent.ping_unanswered = true;
        if self.agents.by_pid.get(&agent.pid) == Some(id) {
            let from = format!("{OBSERVER}({})", agent.observer);
            let connected = agent.connected;
            turn.send_as(&from, &agent.pid, internal::PingSlaveMessage { connected });
        }
        turn.timer(Timer::Ping(id.clone()), after);
    }

    /// Has an agent register again and say what it is and has. One that asks for an id although things
    /// run on it, or that is not what it was, has lost its memory, and another process than we think is
    /// there: what the old one had must not stay in the books. compat: Mesos gives it the old id and keeps what the new one has not.
    pub(crate) fn ask_to_return(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        if let Some(agent) = self.agents.get(id) {
            let from = format!("{OBSERVER}({})", agent.observer);
            let connected = false;
            turn.send_as(&from, &agent.pid, internal::PingSlaveMessage { connected });
        }
    }

    /// The last ping has had its time: one more is missed, or all is well; the next goes out anyway.
    pub(crate) fn ping_due(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let limit = self.config.max_agent_ping_timeouts;
        let Some(agent) = self.agents.get_mut(id) else {
            return;
        };
        if agent.ping_unanswered {
            agent.missed_pings = agent.missed_pings.saturating_add(1);
        }
        let (over, missed) = (agent.over, agent.missed_pings);
        if agent.leaving.is_none() {
            match over {
                Some(over) => self.remove_agent(turn, id, over),
                None if missed >= limit => self.give_up(turn, id, Silence::Pings),
                None => {}
            }
        }
        self.ping(turn, id);
    }

    /// `PongSlaveMessage`, addressed to the observer that pinged.
    pub(crate) fn pong(&mut self, turn: &mut Turn<'_>, to: &str) {
        let number = to
            .strip_prefix(OBSERVER)
            .and_then(|rest| rest.strip_prefix('('))
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|number| number.parse().ok());
        let agent = number
            .and_then(|number: u64| self.agents.observers.get(&number))
            .and_then(|id| self.agents.registered.get_mut(id));
        match agent {
            Some(agent) => {
                agent.ping_unanswered = false;
                agent.missed_pings = 0;
            }
            None => turn.count(Counter::DroppedMessages),
        }
    }

    /// A connection to an agent or a driver is gone.
    pub(crate) fn link_broken(&mut self, turn: &mut Turn<'_>, peer: &Upid) {
        if let Some(id) = self.agents.by_pid.get(peer).cloned() {
            self.disconnect_agent(turn, &id);
        }
        self.driver_gone(turn, peer);
    }

    /// The link to an agent broke: no more offers of it, and it has a while to come back.
    ///
    /// compat: tasks of frameworks without checkpoint are lost at once (semantic 87).
    pub(crate) fn disconnect_agent(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.connected) else {
            return;
        };
        agent.connected = false;
        agent.active = false;
        let frameworks = agent.frameworks();
        self.allocator.deactivate_agent(id);
        self.rescind_agent_offers(turn, id);
        for framework in frameworks {
            let checkpoints = self
                .frameworks
                .get(&framework)
                .is_some_and(|framework| framework.info.checkpoint());
            if !checkpoints {
                self.lose_framework_on(turn, id, &framework);
            }
        }
        self.agent_changed(turn, id);
        let wait = self.config.agent_reregister_timeout_us;
        turn.timer(Timer::AgentReregister(id.clone()), wait);
    }

    /// A disconnected agent did not come back in time, even if it answers pings.
    pub(crate) fn agent_stayed_away(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let away = |agent: &crate::agents::Agent| !agent.connected && agent.leaving.is_none();
        if self.agents.get(id).is_some_and(away) {
            let waited = self.config.agent_reregister_timeout_us;
            self.give_up(turn, id, Silence::Disconnected(waited));
        }
    }
}
