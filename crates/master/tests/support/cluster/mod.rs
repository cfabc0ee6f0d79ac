//! Agents and schedulers around a master: they do what the master tells them, and whatever else a test
//! makes them do.

mod agents;
mod ending;
mod heard;
mod operations;
mod schedulers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_master::event::Event;
use meseta_master::registry::{Op, Registry};
use meseta_model::caller::Caller;
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1::TaskState;
use meseta_proto::mesos::{internal, v1};

use super::{World, config};
use agents::pid;

pub type TaskKey = (String, String);

/// A task as its agent has it.
#[derive(Debug, Clone)]
pub struct Running {
    pub info: v1::TaskInfo,
    pub state: TaskState,
    /// The update that waits for its acknowledgement.
    pub unacknowledged: Option<(TaskState, Bytes)>,
}

#[derive(Debug, Default)]
pub struct FakeAgent {
    pub id: Option<String>,
    pub tasks: BTreeMap<TaskKey, Running>,
    pub executors: BTreeMap<TaskKey, v1::ExecutorInfo>,
    /// Told to shut down: it does not come back as this agent.
    pub dead: bool,
    /// Does not answer pings.
    pub silent: bool,
    /// Its connection broke and nobody noticed: what it is sent is lost, until it comes back.
    pub deaf: bool,
    /// Its reservations and volumes.
    pub checkpointed: Resources,
    /// Operations that it was told of, by uuid, and that are not acknowledged.
    pub operations: BTreeMap<Bytes, v1::Operation>,
}

#[derive(Debug, Default)]
pub struct FakeScheduler {
    pub id: Option<String>,
    /// The stream that is subscribed or about to be.
    pub stream: Option<String>,
    pub subscribed: bool,
    pub offers: BTreeMap<String, v1::Offer>,
    /// Statuses to acknowledge: agent, task, uuid.
    pub unacknowledged: Vec<(String, String, Bytes)>,
    /// Operation statuses to acknowledge: agent, operation, uuid.
    pub operations: Vec<(v1::AgentId, v1::OperationId, Bytes)>,
    pub removed: bool,
}

pub struct Cluster {
    pub world: World,
    pub agents: Vec<FakeAgent>,
    pub schedulers: Vec<FakeScheduler>,
    next: u64,
    asked: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    /// Every offer ever made, and whether it is still out.
    offers: BTreeMap<String, bool>,
    /// Tasks by the read model's book: the state shown.
    shown: BTreeMap<TaskKey, TaskState>,
    /// The end that each framework was told of each task.
    told: BTreeMap<TaskKey, TaskState>,
    ended: BTreeMap<TaskState, u64>,
    counted: BTreeMap<TaskState, u64>,
    /// Tasks ever sent to an agent.
    sent: BTreeSet<TaskKey>,
    /// Those of them that the agent took.
    reached: BTreeSet<TaskKey>,
    /// Tasks by the read model's book that are not over, with their agents.
    active: BTreeMap<TaskKey, String>,
    /// The last that each framework heard of each task.
    heard: BTreeMap<TaskKey, TaskState>,
    /// Frameworks that were removed.
    completed: BTreeSet<String>,
    /// What agents have, by the read model.
    totals: BTreeMap<String, Resources>,
    /// Tasks that left the active list in this step.
    left: Vec<TaskKey>,
    /// Every stream there ever was, and whose.
    streams: BTreeMap<String, usize>,
    /// Pings to answer: agent and observer.
    pings: Vec<(usize, String)>,
}

impl Cluster {
    pub fn new(agents: usize, schedulers: usize) -> Self {
        let mut cluster = Self {
            world: World::new(config()),
            agents: (0..agents).map(|_| FakeAgent::default()).collect(),
            schedulers: (0..schedulers).map(|_| FakeScheduler::default()).collect(),
            next: 0,
            asked: BTreeSet::new(),
            answered: BTreeSet::new(),
            offers: BTreeMap::new(),
            shown: BTreeMap::new(),
            told: BTreeMap::new(),
            ended: BTreeMap::new(),
            counted: BTreeMap::new(),
            sent: BTreeSet::new(),
            reached: BTreeSet::new(),
            active: BTreeMap::new(),
            heard: BTreeMap::new(),
            pings: Vec::new(),
            totals: BTreeMap::new(),
            left: Vec::new(),
            completed: BTreeSet::new(),
            streams: BTreeMap::new(),
        };
        let effects = cluster.world.lead(1, 11);
        cluster.take(effects);
        cluster
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn uuid(&mut self) -> Bytes {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&self.number().to_be_bytes());
        Bytes::copy_from_slice(&bytes)
    }

    pub fn step(&mut self, event: Event) {
        let effects = self.world.step(event);
        self.take(effects);
        while let Some((agent, to)) = self.pings.pop() {
            let effects = self.world.step(Event::MessageReceived {
                caller: Caller::default(),
                from: pid(agent),
                to,
                message: internal::PongSlaveMessage::default().into(),
            });
            self.take(effects);
        }
    }

    pub fn commit_next(&mut self) {
        if let Some(effects) = self.world.commit_next() {
            self.take(effects);
        }
    }

    pub fn refuse_next(&mut self) {
        if let Some(effects) = self.world.refuse_next("no quorum") {
            self.take(effects);
        }
    }

    pub fn commit_all(&mut self) {
        while !self.world.proposed.is_empty() {
            self.commit_next();
        }
    }

    pub fn wait(&mut self, us: u64) {
        let until = self.world.mono_us + us;
        while let Some(timer) = self.world.next_timer(until) {
            self.step(Event::TimerFired(timer));
        }
        self.world.mono_us = until;
    }

    /// Another master takes over; everyone notices.
    pub fn fail_over(&mut self) {
        // A launch of the last moment may be known to its agent only.
        let durable = self.durable();
        self.reached.retain(|key| durable.contains(key));
        // An end that was not acknowledged is not known to the next master.
        self.told.retain(|key, _| !durable.contains(key));
        self.world.restart(config());
        self.asked.clear();
        self.answered.clear();
        self.shown.clear();
        self.active.clear();
        self.offers.values_mut().for_each(|out| *out = false);
        for scheduler in &mut self.schedulers {
            scheduler.stream = None;
            scheduler.subscribed = false;
            scheduler.offers.clear();
        }
        let seed = self.number();
        let effects = self.world.lead(seed, seed + 1_000_000);
        self.take(effects);
    }

    /// What the log says of tasks.
    fn durable(&self) -> BTreeSet<TaskKey> {
        let mut registry = self
            .world
            .snapshot
            .as_ref()
            .map_or_else(Registry::default, |(_, bytes)| {
                Registry::decode(bytes).unwrap()
            });
        for (_, op) in &self.world.log {
            let _ = registry.apply(&Op::decode(op).unwrap());
        }
        let admitted = registry.agents().values().map(|record| &record.digest);
        let unreachable = registry.unreachable().values().map(|record| &record.digest);
        admitted
            .chain(unreachable)
            .flatten()
            .map(|(framework, task)| (framework.to_string(), task.to_string()))
            .collect()
    }
}
