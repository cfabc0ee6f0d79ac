//! The loop around one core: events in, outputs done, timers kept. The same for master, agent and
//! command executor.

use meseta_model::step::{Core, Seq};
use meseta_runtime::{Clock, Driver, Output};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How many events one round takes before it looks at timers and finished writes again.
const EVENTS_PER_ROUND: usize = 256;

/// What a durable write came to.
pub type Finished = (Seq, Result<(), String>);

/// Does what a core asks for. Never blocks: what takes time is handed on.
pub trait Perform<C: Core> {
    /// Does one thing. Called in the order in which the core asked.
    fn perform(&mut self, output: Output<C>);

    /// Called when everything one round brought has been done, for what is better done in bulk.
    fn round_done(&mut self) {}

    /// Whether the core asked to end; the loop then ends after this round.
    fn is_over(&self) -> bool;
}

/// A core, where its events come from, and who does what it asks for.
pub struct Pump<C: Core, K, P> {
    /// The core and what it waits for.
    pub driver: Driver<C, K>,
    /// The time.
    pub clock: Clock,
    /// Events of the core. The loop ends when nobody can send any more.
    pub events: mpsc::Receiver<C::Event>,
    /// Finished writes; closed for cores without a disk.
    pub finished: mpsc::Receiver<Finished>,
    /// Who does it.
    pub performer: P,
}

impl<C: Core, K: Ord + Clone, P: Perform<C>> Pump<C, K, P> {
    /// Runs until the core asks to end or its events do. Gives back the one who did it all.
    pub async fn run(mut self) -> P {
        let mut out = Vec::new();
        let mut batch = Vec::with_capacity(EVENTS_PER_ROUND);
        while !self.performer.is_over() {
            if !self.wait(&mut batch, &mut out).await {
                break;
            }
            while let Ok(finished) = self.finished.try_recv() {
                self.finish(finished, &mut out);
            }
            for event in batch.drain(..) {
                self.driver.handle(self.clock.now(), event, &mut out);
            }
            self.driver.fire_due(self.clock.now(), &mut out);
            for output in out.drain(..) {
                self.performer.perform(output);
            }
            self.performer.round_done();
        }
        self.performer
    }

    /// Waits for something to do; false when nothing can come any more.
    async fn wait(&mut self, batch: &mut Vec<C::Event>, out: &mut Vec<Output<C>>) -> bool {
        let room = self.driver.has_room();
        let due = self
            .driver
            .next_timer()
            .and_then(|at_us| self.clock.instant_at(at_us));
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(Instant::from_std(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(finished) = self.finished.recv() => self.finish(finished, out),
            taken = self.events.recv_many(batch, EVENTS_PER_ROUND), if room => return taken > 0,
            () = timer => {}
        }
        true
    }

    fn finish(&mut self, (seq, result): Finished, out: &mut Vec<Output<C>>) {
        let now = self.clock.now();
        match result {
            Ok(()) => self.driver.persisted(now, seq, out),
            Err(error) => self.driver.persist_failed(now, seq, error, out),
        }
    }
}
