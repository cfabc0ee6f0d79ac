//! The first event: what an earlier life left, and what becomes of it.

use bytes::Bytes;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::event::{Started, Timer};
use crate::outbox::Outbox;
use crate::view::Delta;

impl Agent {
    pub(crate) fn start(&mut self, out: &mut Outbox<'_>, started: Started) {
        if self.phase != Phase::Starting {
            return;
        }
        self.rng = meseta_model::rng::Rng::new(started.seed);
        self.registration.resource_version = Bytes::copy_from_slice(&self.rng.uuid_bytes());
        self.pid = started.pid;
        self.total = started.info.resources.clone();
        self.info = started.info;
        self.start_time = out.now.wall_seconds();
        self.phase = Phase::Recovering;
        let writes = vec![
            checkpoint::put(checkpoint::BOOT_ID.to_owned(), started.boot_id),
            checkpoint::put(
                checkpoint::FORMAT.to_owned(),
                checkpoint::FORMAT_VERSION,
            ),
        ];
        self.persist(out, writes, Then::Nothing);
        out.wake(Timer::Gc, self.config.disk_watch_interval);
        self.finish_recovery_if_complete(out);
    }

    /// The window for executors of the earlier life is over.
    pub(crate) fn reregistration_window_over(&mut self, out: &mut Outbox<'_>) {
        if self.phase == Phase::Recovering {
            self.finish_recovery(out);
        }
    }

    pub(crate) fn finish_recovery(&mut self, out: &mut Outbox<'_>) {
        self.phase = Phase::Disconnected;
        out.cancel(Timer::ExecutorReregistration);
        out.changed(Delta::Recovered);
        if self.registration.master.is_some() {
            self.disconnected(out);
        } else {
            self.show_agent(out);
        }
    }
}
