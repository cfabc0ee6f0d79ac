//! An agent with a disk, timers and a clock around it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meseta_agent::event::{Effect, Event, MetaEntry, Started, Timer};
use meseta_agent::{Agent, Config};
use meseta_model::step::{Core, Effect as Wish, Effects, Now, Seq, Write};
use meseta_proto::mesos::v1;

pub const WALL_START: u64 = 1_000_000_000_000_000_000;

/// What the disk does with the next writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskMode {
    Works,
    Holds,
    Fails,
}

pub struct World {
    pub agent: Agent,
    pub info: v1::AgentInfo,
    pub config: Config,
    pub effects: Effects<Timer, Effect>,
    pub now_us: u64,
    pub timers: BTreeMap<Timer, u64>,
    pub meta: BTreeMap<String, MetaEntry>,
    pub disk: DiskMode,
    pub held: VecDeque<(Seq, Vec<Write>)>,
    /// When the runs that are over ended, as [`Started::ended`] has it.
    pub ended: BTreeMap<String, u64>,
    /// Every write that was done, in order.
    pub written: Vec<Write>,
}

impl World {
    pub fn new(config: Config) -> Self {
        config.validate().unwrap();
        Self {
            agent: Agent::new(config.clone()),
            info: agent_info(),
            config,
            effects: Effects::default(),
            now_us: 0,
            timers: BTreeMap::new(),
            meta: BTreeMap::new(),
            disk: DiskMode::Works,
            held: VecDeque::new(),
            ended: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    pub fn started(&self, seed: u64, boot_id: &str) -> Event {
        Event::Started(Box::new(Started {
            seed,
            boot_id: boot_id.to_owned(),
            pid: "slave(1)@127.0.0.1:5051".parse().unwrap(),
            info: self.info.clone(),
            meta: self.meta.values().cloned().collect(),
            ended: self.ended.clone(),
        }))
    }

    /// The process dies and starts anew; only the disk is left.
    pub fn restart(&mut self) {
        self.agent = Agent::new(self.config.clone());
        self.timers.clear();
        self.held.clear();
    }

    pub fn now(&self) -> Now {
        Now {
            mono_us: self.now_us,
            wall_ns: WALL_START + self.now_us * 1000,
        }
    }

    /// One event; what follows from done writes is part of it.
    pub fn step(&mut self, event: Event) -> Vec<Wish<Timer, Effect>> {
        self.step_watched(event, &mut |_, _| {})
    }

    /// The same; `watch` sees each effect with the disk as it is by then.
    pub fn step_watched(
        &mut self,
        event: Event,
        watch: &mut dyn FnMut(&Wish<Timer, Effect>, &Self),
    ) -> Vec<Wish<Timer, Effect>> {
        let mut all = Vec::new();
        let mut next = VecDeque::from([event]);
        while let Some(event) = next.pop_front() {
            let now = self.now();
            self.agent.step(now, event, &mut self.effects);
            for wish in self.effects.take() {
                match &wish {
                    Wish::SetTimer { key, at_us } => {
                        self.timers.insert(key.clone(), *at_us);
                    }
                    Wish::CancelTimer { key } => {
                        self.timers.remove(key);
                    }
                    Wish::Persist { seq, writes } => {
                        next.extend(self.write(*seq, writes.clone()));
                    }
                    Wish::Propose { .. } => panic!("agents propose nothing"),
                    Wish::Do { after, .. } => assert!(after.is_none()),
                }
                watch(&wish, self);
                all.push(wish);
            }
        }
        all
    }

    fn write(&mut self, seq: Seq, writes: Vec<Write>) -> Option<Event> {
        let mode = match self.held.is_empty() {
            true => self.disk,
            false => DiskMode::Holds,
        };
        match mode {
            DiskMode::Works => {
                self.apply(&writes);
                Some(Event::Persisted { seq })
            }
            DiskMode::Fails => Some(Event::PersistFailed {
                seq,
                error: "No space left on device".to_owned(),
            }),
            DiskMode::Holds => {
                self.held.push_back((seq, writes));
                None
            }
        }
    }

    /// Lets the oldest held write through.
    pub fn flush_one(&mut self) -> Option<Event> {
        let (seq, writes) = self.held.pop_front()?;
        self.apply(&writes);
        Some(Event::Persisted { seq })
    }

    /// The disk refuses the oldest held write.
    pub fn fail_one(&mut self) -> Option<Event> {
        let (seq, _) = self.held.pop_front()?;
        Some(Event::PersistFailed {
            seq,
            error: "No space left on device".to_owned(),
        })
    }

    pub fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            self.written.push(write.clone());
            if let Write::Put { path, .. } = write
                && path.ends_with("/executor.sentinel")
            {
                self.ended.insert(path.clone(), self.now().wall_ns);
            }
            apply(&mut self.meta, write);
        }
    }

    /// The timers that are due within this time fire, in order.
    pub fn advance_watched(
        &mut self,
        by_us: u64,
        watch: &mut dyn FnMut(&Wish<Timer, Effect>, &Self),
    ) -> Vec<Wish<Timer, Effect>> {
        let end = self.now_us + by_us;
        let mut all = Vec::new();
        loop {
            let due = self.timers.iter().min_by_key(|(_, at)| **at);
            let Some((key, at)) = due.map(|(key, at)| (key.clone(), *at)) else {
                break;
            };
            if at > end {
                break;
            }
            self.now_us = self.now_us.max(at);
            self.timers.remove(&key);
            all.extend(self.step_watched(Event::TimerFired(key), watch));
        }
        self.now_us = end;
        all
    }
}

/// What a write does to the files below `meta/`.
pub fn apply(meta: &mut BTreeMap<String, MetaEntry>, write: &Write) {
    match write.clone() {
        Write::Put { path, bytes } => {
            meta.insert(path.clone(), MetaEntry::File { path, bytes });
        }
        Write::Append { path, bytes } => {
            let mut content = match meta.get(&path) {
                Some(MetaEntry::File { bytes, .. }) => bytes.to_vec(),
                _ => Vec::new(),
            };
            content.extend_from_slice(&bytes);
            let bytes = Bytes::from(content);
            meta.insert(path.clone(), MetaEntry::File { path, bytes });
        }
        Write::Symlink { path, target } => {
            meta.insert(path.clone(), MetaEntry::Symlink { path, target });
        }
        Write::Delete { path } => {
            let below = format!("{path}/");
            meta.retain(|name, _| *name != path && !name.starts_with(&below));
        }
    }
}

pub fn scalar(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        r#type: v1::value::Type::Scalar.into(),
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    }
}

pub fn agent_info() -> v1::AgentInfo {
    v1::AgentInfo {
        hostname: "host".to_owned(),
        port: Some(5051),
        resources: vec![scalar("cpus", 8.0), scalar("mem", 16384.0)],
        ..Default::default()
    }
}
