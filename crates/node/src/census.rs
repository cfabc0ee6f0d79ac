//! A master's core with a stop-watch: how long its allocation runs take, how roles fare with offers, and
//! a warning for each that starves.

use std::time::Instant;

use meseta_api::MasterApi;
use meseta_master::Master;
use meseta_master::event::{Effect, Event, Timer};
use meseta_model::step::{Core, Effects, Now};

/// How often roles and offers are counted, at most, microseconds.
const INTERVAL_US: u64 = 1_000_000;

/// See the module.
pub(crate) struct Watched {
    core: Master,
    api: MasterApi,
    next_us: u64,
}

impl Watched {
    pub(crate) fn new(core: Master, api: MasterApi) -> Self {
        Self {
            core,
            api,
            next_us: 0,
        }
    }

    fn ran(&self, begun: Instant) {
        let Some(run) = self.core.last_run().filter(|run| run.agents > 0) else {
            return;
        };
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        self.api.time("allocator/mesos/allocation_run_ms", ms);
        let waited_ms = run.waited_us as f64 / 1e3;
        self.api
            .time("allocator/mesos/allocation_run_latency_ms", waited_ms);
    }

    fn count(&mut self, now: Now) {
        let seconds = |us: u64| us as f64 / 1e6;
        let mut values = Vec::new();
        for role in self.core.role_offers(now) {
            let name = &role.role;
            let filters = format!("allocator/mesos/offer_filters/roles/{name}/active");
            values.push((filters, role.filters as f64));
            let useful = format!("allocator/mesos/roles/{name}/secs_since_useful_offer");
            values.push((useful, seconds(role.since_useful_us(now.mono_us))));
        }
        self.api.set_gauges("offers", values);
        for starving in self.core.take_starving(now) {
            let waited = seconds(now.mono_us.saturating_sub(starving.since_us));
            let role = starving.role.as_str();
            tracing::warn!(
                role,
                waited,
                "a role waits in vain for an offer that is of use"
            );
        }
    }
}

impl Core for Watched {
    type Event = Event;
    type Timer = Timer;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Effects<Timer, Effect>) {
        let is_run = matches!(event, Event::TimerFired(Timer::Allocate));
        let begun = is_run.then(Instant::now);
        self.core.step(now, event, out);
        if let Some(begun) = begun {
            self.ran(begun);
        }
        if now.mono_us >= self.next_us {
            self.next_us = now.mono_us.saturating_add(INTERVAL_US);
            self.count(now);
        }
    }

    fn timer_fired(key: Timer) -> Event {
        Master::timer_fired(key)
    }
}
