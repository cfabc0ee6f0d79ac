//! A master with a world around it: a clock, timers, a log that takes what is proposed.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod cluster;
pub mod drivers;
pub mod show;
pub mod words;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meseta_master::event::{Effect as Wish, Event, Timer};
use meseta_master::{Config, Master};
use meseta_model::caller::Caller;
use meseta_model::edge::StreamId;
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::step::{Core, Effect, Effects, Now, Seq};
use meseta_proto::mesos::v1::scheduler::{self, call};
use meseta_proto::mesos::{internal, v1};

pub type Effect1 = Effect<Timer, Wish>;

/// The wall clock at the start: round, so that times are easy to read.
pub const WALL_START_S: u64 = 1_000_000_000;

pub struct World {
    pub master: Master,
    effects: Effects<Timer, Wish>,
    pub mono_us: u64,
    pub timers: BTreeMap<Timer, u64>,
    /// Proposed and neither committed nor refused.
    pub proposed: VecDeque<(Seq, Bytes)>,
    /// What the log holds.
    pub log: Vec<(u64, Bytes)>,
    pub snapshot: Option<(u64, Bytes)>,
    pub exited: Option<String>,
}

pub fn config() -> Config {
    Config::new("10.0.0.1:5050".parse().unwrap(), "master.example")
}

impl World {
    pub fn new(config: Config) -> Self {
        config.validate().unwrap();
        Self {
            master: Master::new(config),
            effects: Effects::default(),
            mono_us: 0,
            timers: BTreeMap::new(),
            proposed: VecDeque::new(),
            log: Vec::new(),
            snapshot: None,
            exited: None,
        }
    }

    pub fn now(&self) -> Now {
        Now {
            mono_us: self.mono_us,
            wall_ns: WALL_START_S * 1_000_000_000 + self.mono_us * 1_000,
        }
    }

    /// One event; what follows from it, in order.
    pub fn step(&mut self, event: Event) -> Vec<Effect1> {
        let now = self.now();
        self.master.step(now, event, &mut self.effects);
        let effects = self.effects.take();
        for effect in &effects {
            match effect {
                Effect::SetTimer { key, at_us } => {
                    self.timers.insert(key.clone(), *at_us);
                }
                Effect::CancelTimer { key } => {
                    self.timers.remove(key);
                }
                Effect::Propose { seq, op } => self.proposed.push_back((*seq, op.clone())),
                Effect::Do {
                    effect: Wish::SnapshotRegistry { index, bytes },
                    ..
                } => {
                    self.snapshot = Some((*index, bytes.clone()));
                    self.log.retain(|(at, _)| at > index);
                }
                Effect::Do {
                    effect: Wish::Exit { reason },
                    ..
                } => self.exited = Some(reason.clone()),
                Effect::Do { .. } | Effect::Persist { .. } => {}
            }
        }
        effects
    }

    /// Elects the master with what the log holds.
    pub fn lead(&mut self, epoch: u64, seed: u64) -> Vec<Effect1> {
        let (snapshot, ops) = (self.snapshot.clone(), self.log.clone());
        self.step(Event::Led {
            epoch,
            seed,
            snapshot,
            ops,
        })
    }

    /// Another process takes over: nothing of the old one is left but the log.
    pub fn restart(&mut self, config: Config) {
        self.master = Master::new(config);
        self.effects = Effects::default();
        self.timers.clear();
        self.proposed.clear();
        self.exited = None;
    }

    /// The oldest proposal becomes durable.
    pub fn commit_next(&mut self) -> Option<Vec<Effect1>> {
        let (seq, op) = self.proposed.pop_front()?;
        let last = self.log.last().map(|(index, _)| *index);
        let index = last
            .or(self.snapshot.as_ref().map(|(index, _)| *index))
            .unwrap_or(0)
            + 1;
        self.log.push((index, op.clone()));
        Some(self.step(Event::Committed { seq, index, op }))
    }

    /// The oldest proposal is not taken.
    pub fn refuse_next(&mut self, reason: &str) -> Option<Vec<Effect1>> {
        let (seq, _) = self.proposed.pop_front()?;
        let reason = reason.to_owned();
        Some(self.step(Event::Refused { seq, reason }))
    }

    /// The next timer that is due by `until_us`, if any; the clock moves there.
    pub fn next_timer(&mut self, until_us: u64) -> Option<Timer> {
        let (key, at) = self
            .timers
            .iter()
            .map(|(key, at)| (key.clone(), *at))
            .min_by_key(|(key, at)| (*at, key.clone()))?;
        if at > until_us {
            return None;
        }
        self.timers.remove(&key);
        self.mono_us = self.mono_us.max(at);
        Some(key)
    }
}

/// What a master wants done, without the contract around it.
pub fn wishes(effects: &[Effect1]) -> impl Iterator<Item = &Wish> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Do { effect, .. } => Some(effect),
        _ => None,
    })
}

/// The n-th agent registers, with these resources.
pub fn registers(n: usize, resources: &Resources) -> Event {
    let message = internal::RegisterSlaveMessage {
        slave: internal::SlaveInfo {
            hostname: format!("h{n}"),
            resources: resources.to_wire(ResourceFormat::PostRefinement),
            ..Default::default()
        },
        version: Some("1.11.0".to_owned()),
        agent_capabilities: vec![v1::agent_info::Capability {
            r#type: Some(v1::agent_info::capability::Type::MultiRole.into()),
        }],
        ..Default::default()
    };
    Event::MessageReceived {
        caller: Caller::default(),
        from: format!("slave(1)@10.{}.{}.1:5051", n / 250, n % 250)
            .parse()
            .unwrap(),
        to: "master".to_owned(),
        message: message.into(),
    }
}

/// SUBSCRIBE of this framework over HTTP, on a stream of this name.
pub fn subscribes(stream: &str, framework_info: v1::FrameworkInfo) -> Event {
    Event::SchedulerSubscribed {
        stream: StreamId::new(stream),
        caller: Caller::default(),
        call: Box::new(scheduler::Call {
            framework_id: framework_info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(call::Subscribe {
                framework_info,
                ..Default::default()
            }),
            ..Default::default()
        }),
    }
}
