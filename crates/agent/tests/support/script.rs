//! Scripts: one event a line, the whole list of effects below it.
//!
//! ```text
//! > run-task f1 t1 sh="sleep 1"
//! LaunchContainer …
//! ```
//!
//! A line that begins with `#` is a comment. `MESETA_BLESS=1 cargo test -p meseta-agent` writes what
//! the agent does now into the files; the difference is then for reading.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use meseta_agent::event::{Effect, Event, MetaEntry, Timer};
use meseta_agent::view::Delta;
use meseta_agent::{Config, ReconfigurationPolicy, Recover};
use meseta_model::caller::Caller;
use meseta_model::container::{ContainerReport, Limitation, Termination};
use meseta_model::edge::{RequestId, StreamId};
use meseta_model::ids::ContainerId;
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::step::{Effect as Wish, Write};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::executor::call;
use meseta_proto::mesos::{internal, v1};

use super::print::{Names, compact};
use super::world::{DiskMode, World, scalar};

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

/// The words of a line: `verb a b key=value key="two words"`.
pub struct Line {
    words: Vec<String>,
    options: BTreeMap<String, String>,
}

impl Line {
    fn parse(text: &str) -> Self {
        let mut parts: Vec<String> = Vec::new();
        let mut current = String::new();
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => {
                    if !current.is_empty() {
                        parts.push(std::mem::take(&mut current));
                    }
                }
                c => current.push(c),
            }
        }
        if !current.is_empty() {
            parts.push(current);
        }
        let is_option = |part: &&String| part.contains('=') && !part.starts_with('=');
        let options = parts.iter().filter(is_option).map(|part| {
            let (key, value) = part.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        });
        Self {
            options: options.collect(),
            words: parts.iter().filter(|p| !is_option(p)).cloned().collect(),
        }
    }

    fn word(&self, index: usize) -> &str {
        self.words
            .get(index)
            .unwrap_or_else(|| panic!("word {index} is missing in {:?}", self.words))
    }

    fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word == flag)
    }
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

    /// Cuts the last byte off the file with this ending.
    fn tear(&mut self, ending: &str) {
        let entry = self
            .world
            .meta
            .iter_mut()
            .find(|(path, _)| path.ends_with(ending));
        let Some((_, MetaEntry::File { bytes, .. })) = entry else {
            panic!("no file {ending}");
        };
        bytes.truncate(bytes.len() - 1);
    }

    fn damage(&mut self, ending: &str) {
        let entry = self
            .world
            .meta
            .iter_mut()
            .find(|(path, _)| path.ends_with(ending));
        let Some((_, MetaEntry::File { bytes, .. })) = entry else {
            panic!("no file {ending}");
        };
        *bytes = Bytes::from_static(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }

    fn event(&mut self, line: &Line) -> Event {
        match line.word(0) {
            "detect" => {
                if let Some(text) = line.words.get(1) {
                    self.master = text.parse().unwrap();
                }
                Event::MasterDetected(self.master.clone())
            }
            "lost" => Event::MasterLost,
            "operator-ends" => Event::ShutdownRequested,
            "broken" => Event::LinkBroken {
                peer: self.master.clone(),
            },
            "container" => Event::Container(self.container_report(line)),
            "orphans" => {
                let names = line.words[1..].iter();
                let containers = names.map(ContainerId::root).collect();
                Event::Container(ContainerReport::OrphansFound { containers })
            }
            "closed" => Event::StreamClosed {
                stream: StreamId::new(line.word(1)),
            },
            "disk-used" => Event::DiskMeasured {
                used: line.word(1).parse().unwrap(),
            },
            "subscribe" => Event::ExecutorSubscribed {
                stream: StreamId::new(line.option("stream").unwrap_or("s1")),
                caller: Caller::default(),
                call: Box::new(self.subscribe(line)),
            },
            "update" => self.executor_call(line, self.update_call(line)),
            "message" => self.executor_call(line, message_call(line)),
            "heartbeat" => self.executor_call(line, call_of(call::Type::Heartbeat)),
            "unknown-call" => self.executor_call(line, call_of(call::Type::Unknown)),
            verb => {
                let message = self.message(verb, line);
                let from = line.option("from").map(|text| text.parse().unwrap());
                Event::MessageReceived {
                    from: from.unwrap_or_else(|| self.master.clone()),
                    to: "slave(1)".to_owned(),
                    epoch: line.option("epoch").map(|text| text.parse().unwrap()),
                    message,
                }
            }
        }
    }

    fn message(&mut self, verb: &str, line: &Line) -> Message {
        match verb {
            "registered" => registered(line).into(),
            "reregistered" => reregistered(line, self).into(),
            "ping" => internal::PingSlaveMessage {
                connected: !line.has("disconnected"),
            }
            .into(),
            "run-task" => self.run_task(line).into(),
            "run-group" => self.run_group(line).into(),
            "kill" => internal::KillTaskMessage {
                framework_id: framework_id(line.word(1)),
                task_id: task_id(line.word(2)),
                kill_policy: None,
            }
            .into(),
            "ack" => internal::StatusUpdateAcknowledgementMessage {
                slave_id: agent_id(),
                framework_id: framework_id(line.word(1)),
                task_id: task_id(line.word(2)),
                uuid: match line.words.get(3) {
                    Some(name) => self.uuid(name),
                    None => self.sent[&(line.word(1).to_owned(), line.word(2).to_owned())].clone(),
                },
            }
            .into(),
            "shutdown-executor" => internal::ShutdownExecutorMessage {
                framework_id: Some(framework_id(line.word(1))),
                executor_id: Some(executor_id(line.word(2))),
            }
            .into(),
            "shutdown-framework" => internal::ShutdownFrameworkMessage {
                framework_id: framework_id(line.word(1)),
            }
            .into(),
            "shutdown" => internal::ShutdownMessage {
                message: line.words.get(1).cloned(),
            }
            .into(),
            "update-framework" => internal::UpdateFrameworkMessage {
                framework_id: framework_id(line.word(1)),
                pid: line.option("pid").map(str::to_owned),
                framework_info: Some(self.framework(line.word(1))),
            }
            .into(),
            "register-executor" => internal::RegisterExecutorMessage {
                framework_id: framework_id(line.word(1)),
                executor_id: executor_id(line.word(2)),
            }
            .into(),
            "reconcile" => self.reconcile_message(line, 1).into(),
            "checkpoint-resources" => internal::CheckpointResourcesMessage {
                resources: reserved(
                    line.option("role").unwrap(),
                    line.option("cpus").unwrap_or("2").parse().unwrap(),
                ),
            }
            .into(),
            "framework-message" => internal::FrameworkToExecutorMessage {
                slave_id: agent_id(),
                framework_id: framework_id(line.word(1)),
                executor_id: executor_id(line.word(2)),
                data: Bytes::from_static(b"data"),
            }
            .into(),
            other => panic!("no such verb: {other}"),
        }
    }

    fn reconcile_message(&self, line: &Line, from: usize) -> internal::ReconcileTasksMessage {
        let framework = line.word(from);
        let tasks = &line.words[from + 1..];
        internal::ReconcileTasksMessage {
            framework_id: framework_id(framework),
            framework: self.frameworks.get(framework).cloned(),
            statuses: tasks
                .iter()
                .map(|task| v1::TaskStatus {
                    task_id: task_id(task),
                    ..Default::default()
                })
                .collect(),
        }
    }

    /// The bytes behind a printed name like `u3`, or sixteen bytes made of a number.
    fn uuid(&self, name: &str) -> Bytes {
        match self.names.text(name) {
            Some(debug) => unescape(debug),
            None => uuid(name.parse().unwrap_or_else(|_| panic!("no uuid {name}"))),
        }
    }

    fn task(&self, line: &Line, id: &str) -> v1::TaskInfo {
        let mut resources = vec![
            scalar("cpus", line.option("cpus").unwrap_or("1").parse().unwrap()),
            scalar("mem", 64.0),
        ];
        if let Some(role) = line.option("reserved") {
            resources.extend(reserved(role, 1.0));
        }
        v1::TaskInfo {
            name: id.to_owned(),
            task_id: task_id(id),
            agent_id: line
                .option("agent")
                .map_or_else(agent_id, |id| v1::AgentId {
                    value: id.to_owned(),
                }),
            resources,
            ..Default::default()
        }
    }

    fn executor_info(line: &Line, id: &str) -> v1::ExecutorInfo {
        let default = line.has("default");
        let kind = if default {
            v1::executor_info::Type::Default
        } else {
            v1::executor_info::Type::Custom
        };
        v1::ExecutorInfo {
            r#type: Some(kind.into()),
            executor_id: executor_id(id),
            framework_id: Some(framework_id(line.word(1))),
            command: Some(v1::CommandInfo {
                value: Some(line.option("command").unwrap_or("./executor").to_owned()),
                ..Default::default()
            }),
            resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
            shutdown_grace_period: line.option("grace").map(|text| v1::DurationInfo {
                nanoseconds: text
                    .parse::<meseta_model::units::Duration>()
                    .unwrap()
                    .as_nanos(),
            }),
            ..Default::default()
        }
    }

    fn run_task(&self, line: &Line) -> internal::RunTaskMessage {
        let mut task = self.task(line, line.word(2));
        match line.option("executor") {
            Some(id) => task.executor = Some(Self::executor_info(line, id)),
            None => {
                task.command = Some(v1::CommandInfo {
                    value: Some(line.option("sh").unwrap_or("true").to_owned()),
                    user: line.option("user").map(str::to_owned),
                    ..Default::default()
                });
            }
        }
        internal::RunTaskMessage {
            framework: self.framework(line.word(1)),
            task,
            pid: Some("@0.0.0.0:0".to_owned()),
            launch_executor: line.option("launch_executor").map(|text| text == "true"),
            ..Default::default()
        }
    }

    fn run_group(&self, line: &Line) -> internal::RunTaskGroupMessage {
        let executor = Self::executor_info(line, line.option("executor").unwrap());
        let ids = line.word(2).split(',');
        let tasks = ids.map(|id| v1::TaskInfo {
            executor: Some(executor.clone()),
            ..self.task(line, id)
        });
        internal::RunTaskGroupMessage {
            framework: self.framework(line.word(1)),
            task_group: v1::TaskGroupInfo {
                tasks: tasks.collect(),
            },
            executor,
            launch_executor: line.option("launch_executor").map(|text| text == "true"),
            ..Default::default()
        }
    }

    fn container_report(&self, line: &Line) -> ContainerReport {
        let name = line.word(2);
        let known = self.names.text(name).unwrap_or(name);
        let container_id = ContainerId::root(known);
        match line.word(1) {
            "launched" => ContainerReport::Launched {
                container_id,
                pid: line.option("pid").unwrap_or("77").parse().unwrap(),
            },
            "failed" => ContainerReport::LaunchFailed {
                container_id,
                message: "no such file".to_owned(),
            },
            "never-released" => ContainerReport::NeverReleased { container_id },
            "terminated" => ContainerReport::Terminated {
                container_id,
                termination: Termination {
                    wait_status: line.option("status").map(|text| text.parse().unwrap()),
                    limitation: line.has("memory").then(|| Limitation {
                        reason: v1::task_status::Reason::ContainerLimitationMemory,
                        resources: vec![scalar("mem", 96.0)],
                        message: "Memory limit exceeded".to_owned(),
                    }),
                    message: String::new(),
                },
            },
            other => panic!("no such report: {other}"),
        }
    }

    fn subscribe(&self, line: &Line) -> v1::executor::Call {
        let mut subscribe = call::Subscribe::default();
        // `updates=t1:TASK_RUNNING:7,…`, `tasks=t1,t2`
        for update in line.option("updates").unwrap_or_default().split(',') {
            if let [task, state, number] = update.split(':').collect::<Vec<_>>()[..] {
                let status = self.status(task, state, self.uuid(number));
                subscribe
                    .unacknowledged_updates
                    .push(call::Update { status });
            }
        }
        for task in line.option("tasks").unwrap_or_default().split(',') {
            if !task.is_empty() {
                subscribe.unacknowledged_tasks.push(self.task(line, task));
            }
        }
        v1::executor::Call {
            subscribe: Some(subscribe),
            ..addressed(line, call_of(call::Type::Subscribe))
        }
    }

    fn status(&self, task: &str, state: &str, uuid: Bytes) -> v1::TaskStatus {
        let state = v1::TaskState::from_str_name(state).unwrap_or_else(|| panic!("state {state}"));
        v1::TaskStatus {
            task_id: task_id(task),
            state: state.into(),
            source: Some(v1::task_status::Source::Executor.into()),
            uuid: Some(uuid),
            timestamp: Some(1.0),
            ..Default::default()
        }
    }

    /// `update f e task STATE number`
    fn update_call(&self, line: &Line) -> v1::executor::Call {
        let status = self.status(line.word(3), line.word(4), self.uuid(line.word(5)));
        v1::executor::Call {
            update: Some(call::Update { status }),
            ..call_of(call::Type::Update)
        }
    }

    fn executor_call(&mut self, line: &Line, call: v1::executor::Call) -> Event {
        self.requests += 1;
        let mut caller = Caller::default();
        if let Some(claimed) = line.option("claim") {
            caller.claims.insert("eid".to_owned(), claimed.to_owned());
            caller
                .claims
                .insert("fid".to_owned(), line.word(1).to_owned());
        }
        Event::ExecutorCalled {
            request: RequestId(self.requests),
            caller,
            call: Box::new(addressed(line, call)),
        }
    }

    fn print(&mut self, wish: &Wish<Timer, Effect>) -> String {
        let text = match wish {
            Wish::SetTimer { key, at_us } => {
                let at = meseta_model::units::Duration::from_nanos(*at_us as i64 * 1000);
                format!("SetTimer {} at {at}", compact(&format!("{key:?}")))
            }
            Wish::CancelTimer { key } => format!("CancelTimer {}", compact(&format!("{key:?}"))),
            Wish::Persist { seq: _, writes } => {
                let writes: Vec<String> = writes.iter().map(print_write).collect();
                format!("Persist {}", writes.join(", "))
            }
            Wish::Propose { .. } => unreachable!(),
            Wish::Do { effect, .. } => print_effect(effect),
        };
        self.names.shorten(&text)
    }
}

fn print_effect(effect: &Effect) -> String {
    match effect {
        Effect::Send { to, message } => {
            format!("Send {to}: {}", compact(&format!("{message:?}")))
        }
        Effect::Changed(Delta::Task {
            container_id,
            task,
            list,
        }) => format!(
            "Changed Task {} {} {:?} {} statuses={}",
            container_id,
            task.task_id.value,
            list,
            task.state().as_str_name(),
            task.statuses.len()
        ),
        Effect::Changed(delta) => format!("Changed {}", compact(&format!("{delta:?}"))),
        other => compact(&format!("{other:?}")),
    }
}

fn print_write(write: &Write) -> String {
    match write {
        Write::Put { path, bytes } => format!("put {path} ({} bytes)", bytes.len()),
        Write::Append { path, bytes } => format!("append {path} ({} bytes)", bytes.len()),
        Write::Symlink { path, target } => format!("link {path} -> {target}"),
        Write::Delete { path } => format!("delete {path}"),
    }
}

fn registered(line: &Line) -> internal::SlaveRegisteredMessage {
    internal::SlaveRegisteredMessage {
        slave_id: line.option("id").map_or_else(agent_id, |id| v1::AgentId {
            value: id.to_owned(),
        }),
        connection: Some(internal::MasterSlaveConnection {
            total_ping_timeout_seconds: Some(75.0),
        }),
    }
}

fn reregistered(line: &Line, script: &Script) -> internal::SlaveReregisteredMessage {
    internal::SlaveReregisteredMessage {
        slave_id: agent_id(),
        reconciliations: match line.words.len() {
            1 => Vec::new(),
            _ => vec![script.reconcile_message(line, 1)],
        },
        connection: None,
    }
}

fn reserved(role: &str, cpus: f64) -> Vec<v1::Resource> {
    vec![v1::Resource {
        reservations: vec![v1::resource::ReservationInfo {
            role: Some(role.to_owned()),
            r#type: Some(v1::resource::reservation_info::Type::Dynamic.into()),
            ..Default::default()
        }],
        ..scalar("cpus", cpus)
    }]
}

fn call_of(kind: call::Type) -> v1::executor::Call {
    v1::executor::Call {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

fn message_call(_line: &Line) -> v1::executor::Call {
    v1::executor::Call {
        message: Some(call::Message {
            data: Bytes::from_static(b"data"),
        }),
        ..call_of(call::Type::Message)
    }
}

fn addressed(line: &Line, call: v1::executor::Call) -> v1::executor::Call {
    v1::executor::Call {
        framework_id: framework_id(line.word(1)),
        executor_id: executor_id(line.word(2)),
        ..call
    }
}

/// Sixteen bytes that print as themselves.
pub fn uuid(number: u64) -> Bytes {
    Bytes::from(format!("{number:016}"))
}

fn unescape(debug: &str) -> Bytes {
    let inner = &debug[2..debug.len() - 1];
    let mut bytes = Vec::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.push(c as u8);
            continue;
        }
        match rest.next().unwrap() {
            'x' => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            c => bytes.push(c as u8),
        }
    }
    Bytes::from(bytes)
}

fn agent_id() -> v1::AgentId {
    v1::AgentId {
        value: AGENT_ID.to_owned(),
    }
}

pub fn framework_id(id: &str) -> v1::FrameworkId {
    v1::FrameworkId {
        value: id.to_owned(),
    }
}

pub fn executor_id(id: &str) -> v1::ExecutorId {
    v1::ExecutorId {
        value: id.to_owned(),
    }
}

pub fn task_id(id: &str) -> v1::TaskId {
    v1::TaskId {
        value: id.to_owned(),
    }
}
