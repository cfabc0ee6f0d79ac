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
    /// Finished writes; closed for cores without a disk. Bounded by the writes under way: without room for
    /// more ([`Driver::has_room`]) no event is taken. A bound of its own could stop the disk while the
    /// loop waits for it.
    pub finished: mpsc::UnboundedReceiver<Finished>,
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use meseta_model::step::{Effects, Now, Write};
    use meseta_runtime::{Disk, Files};

    use super::*;

    /// More than any queue on the way has room for.
    const WRITES: usize = 30_000;

    /// Asks for many writes in one step, as when an executor with many tasks ends.
    #[derive(Default)]
    struct Burst {
        durable: usize,
    }

    enum Happened {
        Begin,
        Persisted,
    }

    impl Core for Burst {
        type Event = Happened;
        type Timer = ();
        type Effect = ();

        fn step(&mut self, _: Now, event: Happened, out: &mut Effects<(), ()>) {
            match event {
                Happened::Begin => {
                    for at in 0..WRITES {
                        out.persist(vec![Write::Append {
                            path: format!("file-{}", at % 8),
                            bytes: Bytes::from_static(b"x"),
                        }]);
                    }
                }
                Happened::Persisted => {
                    self.durable += 1;
                    if self.durable == WRITES {
                        out.push(());
                    }
                }
            }
        }

        fn timer_fired((): ()) -> Happened {
            Happened::Begin
        }

        fn persisted(_: Seq) -> Option<Happened> {
            Some(Happened::Persisted)
        }
    }

    struct OnDisk {
        disk: Disk,
        is_over: bool,
    }

    impl Perform<Burst> for OnDisk {
        fn perform(&mut self, output: Output<Burst>) {
            match output {
                Output::Persist { seq, writes } => {
                    self.disk.persist(seq, writes).expect("a disk");
                }
                Output::Effect(()) => self.is_over = true,
                Output::Propose { .. } => {}
            }
        }

        fn is_over(&self) -> bool {
            self.is_over
        }
    }

    #[tokio::test]
    async fn one_step_may_ask_for_any_number_of_writes() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path()).expect("files");
        let (finish, finished) = mpsc::unbounded_channel();
        let disk = Disk::start(files, move |completion| {
            let _ = finish.send((completion.seq, completion.result));
        });
        let (events, received) = mpsc::channel(1);
        events.send(Happened::Begin).await.unwrap_or_default();
        let pump = Pump {
            driver: Driver::new(Burst::default(), |(): &()| None::<()>),
            clock: Clock::start(),
            events: received,
            finished,
            performer: OnDisk {
                disk: disk.expect("a disk"),
                is_over: false,
            },
        };
        assert!(pump.run().await.is_over);
    }
}
