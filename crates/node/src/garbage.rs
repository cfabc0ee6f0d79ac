//! An agent's core under watch: how many paths wait to be removed.

use meseta_agent::Agent;
use meseta_agent::event::{Effect, Event, Timer};
use meseta_api::AgentApi;
use meseta_model::step::{Core, Effects, Now, Seq};

const PENDING: &str = "gc/path_removals_pending";

/// See the module.
pub(crate) struct Watched {
    core: Agent,
    api: AgentApi,
    shown: usize,
}

impl Watched {
    pub(crate) fn new(core: Agent, api: AgentApi) -> Self {
        api.set_gauge(PENDING, 0.0);
        Self {
            core,
            api,
            shown: 0,
        }
    }
}

impl Core for Watched {
    type Event = Event;
    type Timer = Timer;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Effects<Timer, Effect>) {
        self.core.step(now, event, out);
        let pending = self.core.paths_to_remove();
        if pending != self.shown {
            self.shown = pending;
            self.api.set_gauge(PENDING, pending as f64);
        }
    }

    fn timer_fired(key: Timer) -> Event {
        Agent::timer_fired(key)
    }

    fn persisted(seq: Seq) -> Option<Event> {
        Agent::persisted(seq)
    }

    fn persist_failed(seq: Seq, error: String) -> Option<Event> {
        Agent::persist_failed(seq, error)
    }
}
