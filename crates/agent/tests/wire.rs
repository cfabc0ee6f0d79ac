//! A recorded flow between a master and an agent of Apache Mesos drives this agent: the master's
//! messages go in, what executors said is said again, and what the agent sends is compared with what
//! the recorded one sent, message by message.
//!
//! Operations, draining, task groups on the built-in executor and reserved resources are left out of
//! the recording: this agent does not announce those capabilities.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use meseta_agent::event::{Effect, Event, Started};
use meseta_model::container::{ContainerReport, Termination};
use meseta_model::edge::{RequestId, StreamId};
use meseta_model::ids::ContainerId;
use meseta_model::step::Effect as Wish;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::StatusUpdate;
use meseta_proto::mesos::v1::executor;
use meseta_proto::slave_info::to_agent_info;
use support::script::test_config;
use support::world::World;

/// Framework and task, or framework and executor.
type Key = (String, String);

fn read(text: &str) -> Vec<(Upid, Message)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [name, from, hex] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let digits = hex.as_bytes().chunks(2);
            let bytes: Vec<u8> = digits
                .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
                .collect();
            (
                from.parse().unwrap(),
                Message::decode(name, &bytes).unwrap(),
            )
        })
        .collect()
}

fn task_key(update: &StatusUpdate) -> Key {
    let task = &update.status.task_id;
    (update.framework_id.value.clone(), task.value.clone())
}

fn executor_key(update: &StatusUpdate) -> Key {
    let executor = update.executor_id.as_ref().unwrap();
    (update.framework_id.value.clone(), executor.value.clone())
}

struct Replay {
    world: World,
    /// Everything this agent sent.
    sent: Vec<Message>,
    /// What the recorded executors still have to say, by task.
    said: BTreeMap<Key, VecDeque<StatusUpdate>>,
    /// The pid that the recorded agent had for each executor.
    pids: BTreeMap<Key, u32>,
    exits: BTreeMap<Key, i32>,
    runs: BTreeMap<Key, ContainerId>,
    /// Recorded containers and those here.
    containers: BTreeMap<String, ContainerId>,
    version: Bytes,
}

impl Replay {
    fn new(recorded: &[(Upid, Message)]) -> Self {
        let mut replay = Self {
            world: World::new(test_config()),
            sent: Vec::new(),
            said: BTreeMap::new(),
            pids: BTreeMap::new(),
            exits: BTreeMap::new(),
            runs: BTreeMap::new(),
            containers: BTreeMap::new(),
            version: Bytes::new(),
        };
        let mut uuids = BTreeSet::new();
        for (_, message) in recorded {
            match message {
                Message::StatusUpdate(message) => {
                    let update = &message.update;
                    let status = update.status.container_status.as_ref().unwrap();
                    let pid = status.executor_pid.unwrap();
                    replay.pids.insert(executor_key(update), pid);
                    if uuids.insert(update.uuid.clone()) {
                        let said = replay.said.entry(task_key(update)).or_default();
                        said.push_back(update.clone());
                    }
                }
                Message::ExitedExecutor(message) => {
                    let framework = message.framework_id.value.clone();
                    let key = (framework, message.executor_id.value.clone());
                    replay.exits.insert(key, message.status);
                }
                _ => {}
            }
        }
        replay
    }

    fn step(&mut self, event: Event) {
        let wishes = self.world.step(event);
        self.follow(wishes);
    }

    /// Containers start, executors subscribe.
    fn follow(&mut self, wishes: Vec<Wish<meseta_agent::event::Timer, Effect>>) {
        for wish in wishes {
            let Wish::Do { effect, .. } = wish else {
                continue;
            };
            match effect {
                Effect::Send { message, .. } => self.sent.push(*message),
                Effect::LaunchContainer(spec) => {
                    let key = (
                        spec.environment["MESOS_FRAMEWORK_ID"].clone(),
                        spec.environment["MESOS_EXECUTOR_ID"].clone(),
                    );
                    let pid = self.pids[&key];
                    let container_id = spec.container_id.clone();
                    self.runs.insert(key, container_id.clone());
                    let report = ContainerReport::Launched { container_id, pid };
                    self.step(Event::Container(report));
                }
                Effect::ReleaseContainer(run) => self.subscribe(&run),
                _ => {}
            }
        }
    }

    fn subscribe(&mut self, run: &ContainerId) {
        let mut runs = self.runs.iter();
        let (framework, executor) = runs.find(|(_, known)| *known == run).unwrap().0.clone();
        let call = executor::Call {
            subscribe: Some(executor::call::Subscribe::default()),
            ..call(&framework, &executor, executor::call::Type::Subscribe)
        };
        self.step(Event::ExecutorSubscribed {
            stream: StreamId::new(run.value()),
            caller: Default::default(),
            call: Box::new(call),
        });
    }

    /// The next thing that the recorded executor of this task said.
    fn say(&mut self, task: &Key) {
        let said = self.said.get_mut(task).unwrap();
        let update = said.pop_front().expect("an update that was recorded");
        let (framework, executor) = executor_key(&update);
        let recorded = update.status.container_status.as_ref().unwrap();
        let recorded = recorded.container_id.as_ref().unwrap().value.clone();
        let run = self.runs[&(framework.clone(), executor.clone())].clone();
        self.containers.insert(recorded, run);
        let mut status = update.status.clone();
        status.container_status = None;
        status.agent_id = None;
        let call = executor::Call {
            update: Some(executor::call::Update { status }),
            ..call(&framework, &executor, executor::call::Type::Update)
        };
        self.step(Event::ExecutorCalled {
            request: RequestId(0),
            caller: Default::default(),
            call: Box::new(call),
        });
    }

    fn has_sent(&self, uuid: &Bytes) -> bool {
        self.sent.iter().any(|message| match message {
            Message::StatusUpdate(message) => message.update.uuid.as_ref() == Some(uuid),
            _ => false,
        })
    }

    fn master_says(&mut self, from: Upid, mut message: Message) {
        match &mut message {
            Message::StatusUpdateAcknowledgement(ack) => {
                let task = (ack.framework_id.value.clone(), ack.task_id.value.clone());
                while !self.has_sent(&ack.uuid) {
                    self.say(&task);
                }
            }
            Message::RunTask(run) => {
                for version in &mut run.resource_version_uuids {
                    version.uuid.value = self.version.clone();
                }
            }
            Message::ShutdownFramework(shutdown) => {
                self.say_the_rest(&shutdown.framework_id.value.clone());
            }
            _ => {}
        }
        let ended = match &message {
            Message::ShutdownFramework(shutdown) => Some(shutdown.framework_id.value.clone()),
            _ => None,
        };
        self.step(Event::MessageReceived {
            from,
            to: "slave(1)".to_owned(),
            epoch: None,
            message,
        });
        if let Some(framework) = ended {
            self.end(&framework);
        }
    }

    fn say_the_rest(&mut self, framework: &str) {
        let tasks: Vec<Key> = self.said.keys().cloned().collect();
        for task in tasks.iter().filter(|(owner, _)| owner == framework) {
            while !self.said[task].is_empty() {
                self.say(task);
            }
        }
    }

    fn end(&mut self, framework: &str) {
        let runs: Vec<_> = self.runs.clone().into_iter().collect();
        for (key, container_id) in runs
            .into_iter()
            .filter(|((owner, _), _)| owner == framework)
        {
            let termination = Termination {
                wait_status: Some(self.exits.get(&key).copied().unwrap_or(0)),
                ..Termination::default()
            };
            self.step(Event::Container(ContainerReport::Terminated {
                container_id,
                termination,
            }));
        }
    }

    /// The recorded message as this agent should say it: only what is drawn anew differs.
    fn translated(&self, recorded: &Message) -> Message {
        let mut message = recorded.clone();
        match &mut message {
            Message::RegisterSlave(register) => {
                register.version = Some("1.11.0".to_owned());
                register.agent_capabilities.retain(|capability| {
                    use meseta_proto::mesos::v1::agent_info::capability::Type as T;
                    !matches!(
                        capability.r#type(),
                        T::ResourceProvider
                            | T::ResizeVolume
                            | T::AgentOperationFeedback
                            | T::AgentDraining
                    )
                });
                register.resource_version_uuid.as_mut().unwrap().value = self.version.clone();
            }
            Message::UpdateSlave(update) => {
                update.resource_version_uuid.as_mut().unwrap().value = self.version.clone();
            }
            Message::StatusUpdate(update) => {
                let status = update.update.status.container_status.as_mut().unwrap();
                let container = status.container_id.as_mut().unwrap();
                *container = self.containers[&container.value].to_wire();
            }
            _ => {}
        }
        message
    }
}

fn call(framework: &str, executor: &str, kind: executor::call::Type) -> executor::Call {
    executor::Call {
        framework_id: support::script::events::framework_id(framework),
        executor_id: support::script::events::executor_id(executor),
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

/// Messages by what their order matters within: a task's updates, and each other kind for itself.
fn by_stream(messages: impl IntoIterator<Item = Message>) -> BTreeMap<String, Vec<Message>> {
    let mut streams: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for message in messages {
        let stream = match &message {
            Message::StatusUpdate(update) => format!("{:?}", task_key(&update.update)),
            other => other.name().to_owned(),
        };
        streams.entry(stream).or_default().push(message);
    }
    streams
}

/// Without what the clock decides: the agent's time where the executor gave none, and how far the
/// task was by then (recorded executors were sometimes two updates ahead of their agent).
fn without_time(message: &Message) -> Message {
    let mut message = message.clone();
    if let Message::StatusUpdate(update) = &mut message {
        let update = &mut update.update;
        assert!(update.latest_state.take().is_some());
        if update.status.timestamp.is_none() {
            update.timestamp = 0.0;
        }
    }
    message
}

#[test]
fn says_what_a_genuine_agent_said() {
    let incoming = read(include_str!("wire/master_to_agent.txt"));
    let recorded = read(include_str!("wire/agent_to_master.txt"));
    let mut replay = Replay::new(&recorded);
    let Message::RegisterSlave(register) = &recorded[0].1 else {
        panic!("the recording begins with the registration");
    };
    replay.step(Event::Started(Box::new(Started {
        seed: 7,
        boot_id: "boot".to_owned(),
        pid: recorded[0].0.clone(),
        info: to_agent_info(register.slave.clone()),
        meta: Vec::new(),
        ended: Default::default(),
    })));
    let master = incoming[1].0.clone();
    replay.step(Event::MasterDetected(master));
    let wishes = replay.world.advance_watched(1_000_000, &mut |_, _| {});
    replay.follow(wishes);
    let Some(Message::RegisterSlave(own)) = replay.sent.first() else {
        panic!("no registration: {:?}", replay.sent);
    };
    replay.version = own.resource_version_uuid.as_ref().unwrap().value.clone();
    for (from, message) in incoming {
        replay.master_says(from, message);
    }
    let expected = recorded
        .iter()
        .map(|(_, message)| replay.translated(message));
    let expected = by_stream(expected);
    let sent = by_stream(replay.sent.clone());
    assert_eq!(
        sent.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (stream, messages) in expected {
        let own: Vec<Message> = sent[&stream].iter().map(without_time).collect();
        let recorded: Vec<Message> = messages.iter().map(without_time).collect();
        assert_eq!(own, recorded, "{stream}");
    }
}
