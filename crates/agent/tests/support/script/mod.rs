//! Scripts: one event a line, the whole list of effects below it.
//!
//! ```text
//! > run-task f1 t1 sh="sleep 1"
//! LaunchContainer …
//! ```
//!
//! A line that begins with `#` is a comment. `MESETA_BLESS=1 cargo test -p meseta-agent` writes what
//! the agent does now into the files; the difference is then for reading.

pub mod events;
mod line;
mod shown;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use meseta_agent::event::{Effect, Event, MetaEntry, Timer};
use meseta_agent::{Config, ReconfigurationPolicy, Recover};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::step::Effect as Wish;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::{internal, v1};

use super::print::Names;
use super::world::{DiskMode, World};
use events::agent_id;
use line::Line;

/// Sees each effect with the world as it is by then.
pub type Watcher<'a> = dyn FnMut(&Wish<Timer, Effect>, &World) + 'a;

pub const AGENT_ID: &str = "m-S0";

/// One script's state.
pub struct Script {
    pub world: World,
    pub names: Names,
    master: Upid,
    requests: u64,
    /// Frameworks declared with `framework`.
    frameworks: BTreeMap<String, v1::FrameworkInfo>,
    /// The update of each task that went to the master last.
    sent: BTreeMap<(String, String), Bytes>,
    boot_id: String,
    started: u64,
    /// Deltas are shown unless the script says `views off`.
    views: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self::new(test_config())
    }
}

pub fn test_config() -> Config {
    Config {
        work_dir: "/w".to_owned(),
        launcher_dir: "/l".to_owned(),
        ..Config::default()
    }
}

impl Script {
    pub fn new(config: Config) -> Self {
        Self {
            world: World::new(config),
            names: Names::default(),
            master: "master@127.0.0.1:5050".parse().unwrap(),
            requests: 0,
            frameworks: BTreeMap::new(),
            sent: BTreeMap::new(),
            boot_id: "boot-1".to_owned(),
            started: 0,
            views: true,
        }
    }

    /// Runs one line; the effects as text, one a line.
    pub fn run(&mut self, text: &str) -> Vec<String> {
        let wishes = self.run_watched(text, &mut |_, _| {});
        self.note_sent(&wishes);
        let shown = wishes.iter().filter(|wish| self.is_shown(wish));
        let shown: Vec<_> = shown.cloned().collect();
        shown.iter().map(|wish| self.print(wish)).collect()
    }

    fn note_sent(&mut self, wishes: &[Wish<Timer, Effect>]) {
        for wish in wishes {
            if let Wish::Do {
                effect: Effect::Send { message, .. },
                ..
            } = wish
                && let Message::StatusUpdate(message) = message.as_ref()
            {
                let update = &message.update;
                let key = (
                    update.framework_id.value.clone(),
                    update.status.task_id.value.clone(),
                );
                self.sent.insert(key, update.uuid.clone().unwrap());
            }
        }
    }

    fn is_shown(&self, wish: &Wish<Timer, Effect>) -> bool {
        let is_view = matches!(
            wish,
            Wish::Do {
                effect: Effect::Changed(_),
                ..
            }
        );
        self.views || !is_view
    }

    /// Runs one line and shows each effect to `watch`.
    pub fn run_watched(&mut self, text: &str, watch: &mut Watcher<'_>) -> Vec<Wish<Timer, Effect>> {
        let line = &Line::parse(text);
        match line.word(0) {
            "config" => self.configure(line),
            "views" => self.views = line.word(1) == "on",
            "reboot" => self.boot_id = line.word(1).to_owned(),
            "disk" => return self.set_disk(line.word(1), watch),
            "flush" => {
                let done = self.world.flush_one().expect("a held write");
                return self.world.step_watched(done, watch);
            }
            "agent" => {
                let role = meseta_model::roles::Role::new("*");
                let resources = Resources::parse(line.word(1), &role).unwrap();
                self.world.info.resources = resources.to_wire(ResourceFormat::PreRefinement);
            }
            "fail" => {
                let failed = self.world.fail_one().expect("a held write");
                return self.world.step_watched(failed, watch);
            }
            "framework" => self.declare_framework(line),
            "tear" => self.tear(line.word(1)),
            "damage" => self.damage(line.word(1)),
            "advance" => {
                let by: meseta_model::units::Duration = line.word(1).parse().unwrap();
                return self.world.advance_watched(by.as_micros(), watch);
            }
            "restart" => {
                self.world.restart();
                return self.start(watch);
            }
            "start" => return self.start(watch),
            _ => {
                let event = self.event(line);
                return self.world.step_watched(event, watch);
            }
        }
        Vec::new()
    }

    fn start(&mut self, watch: &mut Watcher<'_>) -> Vec<Wish<Timer, Effect>> {
        self.started += 1;
        let event = self.world.started(self.started, &self.boot_id);
        self.world.step_watched(event, watch)
    }

    /// What is held is done, or fails, before anything later: a disk keeps the order.
    fn set_disk(&mut self, mode: &str, watch: &mut Watcher<'_>) -> Vec<Wish<Timer, Effect>> {
        self.world.disk = match mode {
            "works" => DiskMode::Works,
            "holds" => DiskMode::Holds,
            "fails" => DiskMode::Fails,
            other => panic!("no such disk: {other}"),
        };
        let mut all = Vec::new();
        loop {
            let next = match self.world.disk {
                DiskMode::Works => self.world.flush_one(),
                DiskMode::Fails => self.world.fail_one(),
                DiskMode::Holds => None,
            };
            let Some(event) = next else {
                return all;
            };
            all.extend(self.world.step_watched(event, watch));
        }
    }

    /// The event of a line, if it is one.
    pub fn parse(&mut self, text: &str) -> Option<Event> {
        const DIRECTIVES: [&str; 12] = [
            "config",
            "views",
            "reboot",
            "disk",
            "flush",
            "fail",
            "agent",
            "framework",
            "tear",
            "damage",
            "advance",
            "restart",
        ];
        let line = Line::parse(text);
        let verb = line.word(0);
        let is_event = !DIRECTIVES.contains(&verb) && verb != "start";
        is_event.then(|| self.event(&line))
    }

    /// The master says that the scheduler has this update.
    pub fn acknowledgement(&self, update: &internal::StatusUpdate) -> Event {
        Event::MessageReceived {
            from: self.master.clone(),
            to: "slave(1)".to_owned(),
            epoch: None,
            message: internal::StatusUpdateAcknowledgementMessage {
                slave_id: agent_id(),
                framework_id: update.framework_id.clone(),
                task_id: update.status.task_id.clone(),
                uuid: update.uuid.clone().unwrap(),
            }
            .into(),
        }
    }

    fn configure(&mut self, line: &Line) {
        let mut config = self.world.config.clone();
        for (key, value) in &line.options {
            let duration = || -> Duration {
                let parsed: meseta_model::units::Duration = value.parse().unwrap();
                parsed.to_std()
            };
            match key.as_str() {
                "recover" if value == "cleanup" => config.recover = Recover::Cleanup,
                "recover" => config.recover = Recover::Reconnect,
                "strict" => config.strict = value == "true",
                "policy" if value == "additive" => {
                    config.reconfiguration_policy = ReconfigurationPolicy::Additive;
                }
                "policy" => config.reconfiguration_policy = ReconfigurationPolicy::Equal,
                "heartbeat" => config.executor_heartbeat_interval = duration(),
                "gc_delay" => config.gc_delay = duration(),
                "switch_user" => config.switch_user = value == "true",
                "completed_executors" => {
                    config.max_completed_executors_per_framework = value.parse().unwrap();
                }
                other => panic!("no such setting: {other}"),
            }
        }
        config.validate().unwrap();
        self.world.config = config;
        self.world.restart();
    }

    fn declare_framework(&mut self, line: &Line) {
        use v1::framework_info::capability::Type;
        let id = line.word(1);
        let mut capabilities = Vec::new();
        if line.has("aware") {
            capabilities.push(v1::framework_info::Capability {
                r#type: Some(Type::PartitionAware.into()),
            });
        }
        let info = v1::FrameworkInfo {
            user: line.option("user").unwrap_or("root").to_owned(),
            name: "n".to_owned(),
            id: Some(v1::FrameworkId {
                value: id.to_owned(),
            }),
            checkpoint: line.has("checkpoint").then_some(true),
            capabilities,
            ..Default::default()
        };
        self.frameworks.insert(id.to_owned(), info);
    }

    fn framework(&self, id: &str) -> v1::FrameworkInfo {
        let known = self.frameworks.get(id).cloned();
        known.unwrap_or_else(|| panic!("no framework {id} declared"))
    }

    /// The content of the file with this ending.
    fn file(&mut self, ending: &str) -> &mut Bytes {
        let mut entries = self.world.meta.iter_mut();
        let entry = entries.find(|(path, _)| path.ends_with(ending));
        let Some((_, MetaEntry::File { bytes, .. })) = entry else {
            panic!("no file {ending}");
        };
        bytes
    }

    /// Cuts the last byte off the file with this ending.
    fn tear(&mut self, ending: &str) {
        let bytes = self.file(ending);
        bytes.truncate(bytes.len() - 1);
    }

    fn damage(&mut self, ending: &str) {
        *self.file(ending) = Bytes::from_static(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }
}
