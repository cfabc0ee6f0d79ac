//! The loop between the face and openraft.
//!
//! Proposals that wait become one log record, and so share one flush; the next record is made when the
//! last one is committed. That is group commit without a timer: an idle engine commits at once, a busy
//! one in ever larger groups.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use openraft::error::{ClientWriteError, Fatal};
use openraft::raft::ClientWriteResponse;
use openraft::{BasicNode, Raft, RaftMetrics, ServerState, SnapshotPolicy};
use tokio::sync::{mpsc, oneshot, watch};

use super::handle::Link;
use super::log::Log;
use super::machine::Machine;
use super::network::NoPeers;
use super::store::{Store, StoreError};
use super::types::{Batch, Types};
use crate::coordinator::{Event, Refusal};
use crate::events::Sender;
use crate::limits;

/// What the handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Campaign,
    Propose { seq: u64, op: Bytes },
    Snapshot { index: u64, bytes: Bytes },
}

type Metrics = RaftMetrics<u64, BasicNode>;
type Answer = Result<ClientWriteResponse<Types>, ClientWriteError<u64, BasicNode>>;

/// The engine is over: its handle is gone, nobody listens, or its storage failed.
struct Stop;

/// One engine, on its own thread.
pub(crate) struct Engine {
    raft: Raft<Types>,
    store: Arc<Store>,
    metrics: watch::Receiver<Metrics>,
    commands: mpsc::Receiver<Command>,
    out: Out,
    log_bytes: u64,
    lead: Option<Lead>,
}

/// The way out for events.
struct Out {
    events: Sender,
    stopped: oneshot::Receiver<()>,
}

/// While this node leads.
struct Lead {
    epoch: u64,
    /// The index of the next op.
    next: u64,
    /// The last op that was reported committed, or was there before.
    committed: u64,
    queue: VecDeque<(u64, Bytes)>,
    queued_bytes: u64,
    flight: Option<Flight>,
}

/// A batch that openraft has.
struct Flight {
    batch: Batch,
    seqs: Vec<u64>,
    answer: oneshot::Receiver<Answer>,
}

/// What the loop wakes up for.
enum Woken {
    Answered(Result<Answer, oneshot::error::RecvError>),
    Changed(Result<(), watch::error::RecvError>),
    Asked(Option<Command>),
    Stopped,
}

fn raft_config() -> openraft::Config {
    /// Longer than any process lives: with one voter nothing needs to happen by time.
    const NEVER_MS: u64 = 1 << 40;
    openraft::Config {
        cluster_name: "meseta".to_owned(),
        heartbeat_interval: NEVER_MS,
        election_timeout_min: 2 * NEVER_MS,
        election_timeout_max: 3 * NEVER_MS,
        enable_tick: false,
        enable_heartbeat: false,
        enable_elect: false,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        purge_batch_size: 1,
        ..openraft::Config::default()
    }
}

impl Engine {
    pub(crate) async fn start(store: Store, log_bytes: u64, link: Link) -> Result<Self, String> {
        let store = Arc::new(store);
        let machine = Machine::new(store.clone()).map_err(|error| error.to_string())?;
        let config = raft_config()
            .validate()
            .map_err(|error| error.to_string())?;
        let (node, log) = (store.node, Log(store.clone()));
        let raft = Raft::new(node, Arc::new(config), NoPeers, log, machine).await;
        let raft = raft.map_err(|error| error.to_string())?;
        let metrics = raft.metrics();
        let Link {
            commands,
            events,
            stopped,
        } = link;
        let out = Out { events, stopped };
        Ok(Self {
            raft,
            store,
            metrics,
            commands,
            out,
            log_bytes,
            lead: None,
        })
    }

    /// Runs until the handle or the events are dropped, or the storage fails.
    pub(crate) async fn run(mut self) {
        while self.turn().await.is_ok() {}
        // The caller is gone, or has had an answer to everything.
        self.commands.close();
        let _ = self.raft.shutdown().await;
    }

    async fn turn(&mut self) -> Result<(), Stop> {
        match self.woken().await {
            Woken::Answered(answer) => self.answered(answer).await?,
            Woken::Changed(Ok(())) => self.changed().await?,
            Woken::Asked(Some(command)) => self.asked(command).await?,
            Woken::Changed(Err(_)) | Woken::Asked(None) | Woken::Stopped => return Err(Stop),
        }
        self.submit().await
    }

    /// What is committed is reported before a lost lead, and both before new proposals are taken.
    async fn woken(&mut self) -> Woken {
        let flight = self.lead.as_mut().and_then(|lead| lead.flight.as_mut());
        tokio::select! {
            biased;
            _ = &mut self.out.stopped => Woken::Stopped,
            () = self.out.events.closed() => Woken::Stopped,
            Some(answer) = answer(flight) => Woken::Answered(answer),
            changed = self.metrics.changed() => Woken::Changed(changed),
            command = self.commands.recv() => Woken::Asked(command),
        }
    }

    async fn asked(&mut self, command: Command) -> Result<(), Stop> {
        let mut next = Some(command);
        while let Some(command) = next {
            match command {
                Command::Campaign => self.campaign().await?,
                Command::Propose { seq, op } => self.propose(seq, op).await?,
                Command::Snapshot { index, bytes } => self.snapshot(index, bytes).await?,
            }
            next = self.commands.try_recv().ok();
        }
        Ok(())
    }

    async fn campaign(&mut self) -> Result<(), Stop> {
        let outcome = match self.raft.is_initialized().await {
            Ok(true) => self
                .raft
                .trigger()
                .elect()
                .await
                .map_err(|fatal| fatal.to_string()),
            Ok(false) => {
                let voters = BTreeMap::from([(self.store.node, BasicNode::default())]);
                self.raft
                    .initialize(voters)
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(fatal) => Err(fatal.to_string()),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(reason) => self.fail(reason).await,
        }
    }

    async fn propose(&mut self, seq: u64, op: Bytes) -> Result<(), Stop> {
        let stored = self.store.now_known().log_bytes;
        let reason = match &mut self.lead {
            None => Refusal::NotLeading,
            Some(lead) if stored + lead.queued_bytes + op.len() as u64 > self.log_bytes => {
                Refusal::LogFull
            }
            Some(lead) => {
                lead.queued_bytes += op.len() as u64;
                lead.queue.push_back((seq, op));
                return Ok(());
            }
        };
        self.out
            .outcome(op.len(), Event::Refused { seq, reason })
            .await
    }

    async fn snapshot(&mut self, index: u64, bytes: Bytes) -> Result<(), Stop> {
        let event = match self.take_snapshot(index, bytes) {
            Ok(Ok(())) => Event::Snapshotted { index },
            Ok(Err(reason)) => Event::SnapshotRefused { index, reason },
            Err(error) => return self.fail(error.to_string()).await,
        };
        let taken = matches!(event, Event::Snapshotted { .. });
        self.out.emit(event).await?;
        if taken && let Err(fatal) = self.raft.trigger().snapshot().await {
            return self.fail(fatal.to_string()).await;
        }
        Ok(())
    }

    fn take_snapshot(
        &mut self,
        index: u64,
        bytes: Bytes,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let Some(lead) = &self.lead else {
            return Ok(Err(Refusal::NotLeading));
        };
        let old = self.store.snapshot()?;
        let (from, to) = (old.map_or(0, |old| old.last_op()), lead.committed);
        if index < from || index > to {
            return Ok(Err(Refusal::SnapshotOutOfRange { index, from, to }));
        }
        let metrics = self.metrics.borrow();
        let upto = metrics.last_applied.map_or(0, |applied| applied.index);
        let voters = metrics.membership_config.clone();
        drop(metrics);
        let snapshot = self.store.snapshot_at(index, bytes, upto, &voters)?;
        self.store.save_snapshot(&snapshot)?;
        Ok(Ok(()))
    }

    /// Makes a batch of what waits, if openraft has none.
    async fn submit(&mut self) -> Result<(), Stop> {
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.flight.is_none()) else {
            return Ok(());
        };
        let Some((seqs, batch)) = lead.take_batch(self.store.machine) else {
            return Ok(());
        };
        match self.raft.client_write_ff(batch.clone()).await {
            Ok(answer) => {
                lead.flight = Some(Flight {
                    batch,
                    seqs,
                    answer,
                });
                Ok(())
            }
            Err(fatal) => {
                lead.put_back(seqs, batch);
                self.fail(fatal.to_string()).await
            }
        }
    }

    async fn answered(
        &mut self,
        answer: Result<Answer, oneshot::error::RecvError>,
    ) -> Result<(), Stop> {
        let Some(lead) = &mut self.lead else {
            return Ok(());
        };
        let Some(flight) = lead.flight.take() else {
            return Ok(());
        };
        let committed = matches!(answer, Ok(Ok(_)));
        if committed {
            lead.committed = flight.batch.last();
        }
        self.out.flight(flight, committed).await?;
        if committed {
            return Ok(());
        }
        let reason = match answer {
            Ok(Err(error)) => error.to_string(),
            _ => self
                .fatal()
                .map_or("the engine stopped".to_owned(), |fatal| fatal.to_string()),
        };
        self.lose(reason).await
    }

    fn fatal(&self) -> Option<Fatal<u64>> {
        self.metrics.borrow().running_state.clone().err()
    }

    /// The lead may have been won or lost.
    async fn changed(&mut self) -> Result<(), Stop> {
        let (epoch, applied, leads, fatal) = {
            let metrics = self.metrics.borrow_and_update();
            let leads = metrics.state == ServerState::Leader && metrics.vote.is_committed();
            (
                metrics.current_term,
                metrics.last_applied,
                leads,
                fatal_text(&metrics),
            )
        };
        if let Some(reason) = fatal {
            return self.fail(reason).await;
        }
        if self
            .lead
            .as_ref()
            .is_some_and(|lead| !leads || lead.epoch != epoch)
        {
            self.lose(format!("another epoch began: {epoch}")).await?;
        }
        // The first record of the epoch is committed, and so is everything before it.
        let applied = applied.filter(|applied| leads && applied.leader_id.term == epoch);
        match applied {
            Some(applied) if self.lead.is_none() => self.begin(epoch, applied.index).await,
            _ => Ok(()),
        }
    }

    async fn begin(&mut self, epoch: u64, upto: u64) -> Result<(), Stop> {
        let rebuilt = match self.store.rebuild(upto) {
            Ok(rebuilt) => rebuilt,
            Err(error) => return self.fail(error.to_string()).await,
        };
        self.lead = Some(Lead {
            epoch,
            next: rebuilt.last + 1,
            committed: rebuilt.last,
            queue: VecDeque::new(),
            queued_bytes: 0,
            flight: None,
        });
        tracing::info!(epoch, ops = rebuilt.ops.len(), "leads");
        self.out
            .emit(Event::Led {
                epoch,
                snapshot: rebuilt.snapshot,
                ops: rebuilt.ops,
            })
            .await
    }

    /// Ends the lead, if there is one.
    async fn lose(&mut self, reason: String) -> Result<(), Stop> {
        let Some(mut lead) = self.lead.take() else {
            return Ok(());
        };
        if let Some(mut flight) = lead.flight.take() {
            let committed = matches!(flight.answer.try_recv(), Ok(Ok(_)));
            self.out.flight(flight, committed).await?;
        }
        for (seq, op) in lead.queue {
            let event = Event::Refused {
                seq,
                reason: Refusal::NotLeading,
            };
            self.out.outcome(op.len(), event).await?;
        }
        tracing::warn!(epoch = lead.epoch, reason, "leads no longer");
        self.out.emit(Event::Lost { reason }).await
    }

    /// The storage failed: what it holds is only known after it was opened again.
    async fn fail(&mut self, reason: String) -> Result<(), Stop> {
        tracing::error!(reason, "the log cannot be used any longer");
        self.lose(reason.clone()).await?;
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            let refused = Refusal::NotLeading;
            match command {
                Command::Campaign => {}
                Command::Propose { seq, op } => {
                    let event = Event::Refused {
                        seq,
                        reason: refused,
                    };
                    self.out.outcome(op.len(), event).await?;
                }
                Command::Snapshot { index, .. } => {
                    self.out
                        .emit(Event::SnapshotRefused {
                            index,
                            reason: refused,
                        })
                        .await?;
                }
            }
        }
        self.out.emit(Event::Failed { reason }).await?;
        Err(Stop)
    }
}

fn fatal_text(metrics: &Metrics) -> Option<String> {
    metrics.running_state.as_ref().err().map(Fatal::to_string)
}

impl Lead {
    /// What waits, up to the limits of a record.
    fn take_batch(&mut self, machine: u8) -> Option<(Vec<u64>, Batch)> {
        let mut batch = Batch {
            machine,
            first: self.next,
            ops: Vec::new(),
        };
        let (mut seqs, mut bytes) = (Vec::new(), 0);
        while batch.ops.len() < limits::BATCH_OPS && bytes < limits::BATCH_BYTES {
            let Some((seq, op)) = self.queue.pop_front() else {
                break;
            };
            bytes += op.len();
            seqs.push(seq);
            batch.ops.push(op);
        }
        self.queued_bytes -= bytes as u64;
        self.next += batch.ops.len() as u64;
        (!seqs.is_empty()).then_some((seqs, batch))
    }

    /// Undoes [`Lead::take_batch`].
    fn put_back(&mut self, seqs: Vec<u64>, batch: Batch) {
        self.next = batch.first;
        for item in seqs.into_iter().zip(batch.ops).rev() {
            self.queued_bytes += item.1.len() as u64;
            self.queue.push_front(item);
        }
    }
}

impl Out {
    /// Waits until there is room for the event, or the handle is gone.
    async fn send(&mut self, event: Event, outcome_of: Option<usize>) -> Result<(), Stop> {
        tokio::select! {
            biased;
            _ = &mut self.stopped => Err(Stop),
            sent = self.events.send(event, outcome_of) => sent.map_err(|_| Stop),
        }
    }

    async fn emit(&mut self, event: Event) -> Result<(), Stop> {
        self.send(event, None).await
    }

    /// The outcome of one proposal, whose op has so many bytes.
    async fn outcome(&mut self, bytes: usize, event: Event) -> Result<(), Stop> {
        self.send(event, Some(bytes)).await
    }

    /// The outcome of a whole batch.
    async fn flight(&mut self, flight: Flight, committed: bool) -> Result<(), Stop> {
        let indexed = (flight.batch.first..).zip(flight.batch.ops);
        for (seq, (index, op)) in flight.seqs.into_iter().zip(indexed) {
            let bytes = op.len();
            let event = if committed {
                Event::Committed { seq, index, op }
            } else {
                Event::Unknown { seq }
            };
            self.outcome(bytes, event).await?;
        }
        Ok(())
    }
}

async fn answer(flight: Option<&mut Flight>) -> Option<Result<Answer, oneshot::error::RecvError>> {
    Some((&mut flight?.answer).await)
}
