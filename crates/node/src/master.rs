//! A running master: its core, driven; its registry, port and links.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use meseta_api::{Leadership, Logs, MasterApi, MasterConfig, Server};
use meseta_client::Links;
use meseta_consensus::{Coordinator, Event as Agreed, Events as Agreements, memory, raft};
use meseta_master::event::{Effect, Event};
use meseta_master::view::Delta;
use meseta_master::{Config as CoreConfig, Master};
use meseta_model::step::Seq;
use meseta_runtime::{Clock, Driver, Output};
use tokio::sync::mpsc;

use crate::agent::advertised;
use crate::census::Watched;
use crate::pump::{Perform, Pump};
use crate::registrar::Registrar;
use crate::running::{Running, last_words, later};
use crate::start::{EVENTS, StartError, links, listen, lock, other, seed};

/// What a master is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the core is told. Its `address` is where to listen; port 0 takes any free one.
    pub core: CoreConfig,
    /// Where the registry is kept.
    pub registry: Registry,
    /// `--whitelist`: the file that names the hosts whose agents are offered; without one, all are.
    pub whitelist: Option<PathBuf>,
    /// What `/flags` shows.
    pub flags: BTreeMap<String, String>,
    /// How much the process logs, and where that is shown.
    pub logs: Logs,
}

/// Where the registry is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// Below this directory.
    Durable(PathBuf),
    /// Nowhere: the master forgets it when it ends.
    InMemory,
}

/// A master at work. Dropping it lets the master go on.
pub struct RunningMaster {
    address: SocketAddr,
    running: Running,
}

/// Starts a master and campaigns for the lead.
///
/// # Errors
/// [`StartError`] says what is wrong and with which flag or path.
pub async fn start(mut config: Config) -> Result<RunningMaster, StartError> {
    let (listener, bound) = listen(config.core.address).await?;
    let own = advertised(config.core.advertise, bound);
    config.core.address = bound;
    config.core.advertise = Some(own);
    config.core.validate().map_err(other)?;
    let (coordinator, agreements, lock) = open_registry(&config.registry).await?;

    let (events, received) = mpsc::channel(EVENTS);
    let links = links(own, &events, |peer| Event::LinkBroken { peer });
    let api = MasterApi::new(
        MasterConfig {
            hostname: config.core.hostname.clone(),
            flags: config.flags,
            logs: config.logs,
            ..MasterConfig::new(own)
        },
        events.clone(),
    );
    let server = api.serve(listener).map_err(other)?;
    api.set_leadership(Leadership::Recovering);
    if let Some(path) = config.whitelist {
        let shown = path.display().to_string();
        let begun = crate::whitelist::begin(path, &events).await;
        begun.map_err(|error| {
            StartError::Other(format!("--whitelist: cannot read {shown}: {error}"))
        })?;
    }
    let registrar = Registrar::new(api.clone());
    let heard = forward_agreements(agreements, registrar.clone(), events.clone(), seed()?);
    tokio::spawn(heard);
    coordinator.campaign().map_err(other)?;

    let (_, finished) = mpsc::unbounded_channel();
    let watched = Watched::new(Master::new(config.core), api.clone());
    let performer = Performer {
        api,
        links,
        coordinator,
        registrar,
        events,
        epoch: None,
        exit: None,
        _server: server,
        _lock: lock,
    };
    let pump = Pump {
        driver: Driver::new(watched, |_: &Effect| None::<()>),
        clock: Clock::start(),
        events: received,
        finished,
        performer,
    };
    let running = Running::start(async move {
        let performer = pump.run().await;
        last_words(&performer.links).await;
        performer.coordinator.close();
        performer.exit
    });
    Ok(RunningMaster {
        address: bound,
        running,
    })
}

type Opened = (Box<dyn Coordinator>, Agreements, Option<File>);

async fn open_registry(registry: &Registry) -> Result<Opened, StartError> {
    match registry {
        Registry::Durable(work_dir) => {
            let lock = lock(work_dir).await?;
            let config = raft::Config::new(work_dir.join("registry"));
            let (coordinator, events) =
                raft::open(&config).map_err(|error| StartError::Other(error.to_string()))?;
            Ok((coordinator, events, Some(lock)))
        }
        Registry::InMemory => {
            let (coordinator, events) =
                memory::MemoryLog::new(1, meseta_consensus::limits::LOG_BYTES).open(1);
            Ok((coordinator, events, None))
        }
    }
}

/// Turns what is agreed on into the core's events, in order.
async fn forward_agreements(
    mut agreements: Agreements,
    registrar: Registrar,
    events: mpsc::Sender<Event>,
    mut seed: u64,
) {
    while let Some(agreed) = agreements.recv().await {
        let event = match agreed {
            Agreed::Led {
                epoch,
                snapshot,
                ops,
            } => {
                seed = seed.wrapping_add(epoch);
                Event::Led {
                    epoch,
                    seed,
                    snapshot,
                    ops,
                }
            }
            Agreed::Lost { reason } => {
                tracing::error!(reason, "the lead is lost");
                Event::LeadLost
            }
            // Behind `Lost`; the core ends the process for that.
            Agreed::Failed { reason } => {
                tracing::error!(reason, "the registry cannot go on");
                continue;
            }
            Agreed::Committed { seq, index, op } => Event::Committed {
                seq: Seq(seq),
                index,
                op,
            },
            Agreed::Refused { seq, reason } => Event::Refused {
                seq: Seq(seq),
                reason: reason.to_string(),
            },
            Agreed::Unknown { seq } => Event::Unknown { seq: Seq(seq) },
            Agreed::Snapshotted { index } => {
                tracing::info!(index, "registry snapshot taken");
                continue;
            }
            Agreed::SnapshotRefused { index, reason } => {
                tracing::warn!(index, %reason, "registry snapshot refused");
                continue;
            }
        };
        registrar.heard(&event);
        if events.send(event).await.is_err() {
            return;
        }
    }
}

impl RunningMaster {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the master has ended by itself, and says why.
    pub async fn ended(&self) -> String {
        self.running.ended().await
    }

    /// Ends the master. Agents and tasks go on.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Does what the core asks for.
struct Performer {
    api: MasterApi,
    links: Links,
    coordinator: Box<dyn Coordinator>,
    registrar: Registrar,
    events: mpsc::Sender<Event>,
    epoch: Option<u64>,
    exit: Option<String>,
    _server: Server,
    _lock: Option<File>,
}

impl Perform<Watched> for Performer {
    fn perform(&mut self, output: Output<Watched>) {
        match output {
            Output::Propose { seq, op } => {
                self.registrar.proposed(seq);
                if let Err(refusal) = self.coordinator.propose(seq.0, op) {
                    let refused = Event::Refused {
                        seq,
                        reason: refusal.to_string(),
                    };
                    self.registrar.heard(&refused);
                    later(&self.events, refused);
                }
            }
            // A master has no disk of its own.
            Output::Persist { .. } => {}
            Output::Effect(effect) => self.effect(effect),
        }
    }

    fn is_over(&self) -> bool {
        self.exit.is_some()
    }
}

impl Performer {
    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Link(peer) => self.links.link(&peer),
            Effect::Unlink(peer) => self.links.unlink(&peer),
            Effect::Send { from, to, message } => {
                self.api.sent(&to, &message);
                self.links.send(&from, &to, &message, self.epoch);
            }
            Effect::SendEvent { stream, event } => self.api.send_event(&stream, &event),
            Effect::CloseStream(stream) => self.api.close_stream(&stream),
            Effect::Reply { request, outcome } => self.api.reply(request, outcome),
            Effect::Changed(delta) => self.changed(&delta),
            Effect::Count { counter, by } => self.api.count(counter, by),
            Effect::CountOf {
                framework,
                counter,
                by,
            } => self.api.count_of(&framework, counter, by),
            Effect::SnapshotRegistry { index, bytes } => {
                self.registrar.snapshot(bytes.len());
                if let Err(refusal) = self.coordinator.snapshot(index, bytes) {
                    tracing::warn!(index, %refusal, "registry snapshot refused");
                }
            }
            Effect::Exit { reason } => {
                tracing::error!(reason, "the master ends");
                self.exit.get_or_insert(reason);
            }
        }
    }

    fn changed(&mut self, delta: &Delta) {
        self.api.apply(delta);
        if let Delta::Elected(view) = delta {
            self.epoch = Some(view.epoch);
            self.api.set_leadership(Leadership::Leading);
        }
    }
}
