//! What a genuine master and its agent said to one another (Mesos 1.12, one agent, ten frameworks one
//! after the other): the agent's messages are fed to our master, schedulers do what they did then, and
//! what our master sends must be what the genuine one sent, message by message.
//!
//! Left out: framework 0005, which lives on reservations, and what operators did (reservations, volumes,
//! draining). Ids of masters are `M` on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, VecDeque};

use meseta_master::event::{Effect as Wish, Event};
use meseta_master::view::Delta;
use meseta_model::caller::Caller;
use meseta_model::edge::RequestId;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::{self, scheduler, scheduler::call};
use meseta_proto::mesos::{internal, scheduler as v0};
use support::drivers::to_v0;
use support::words::{message, message_text};
use support::{Effect1, World, config, subscribes, wishes};

/// One message as it was recorded: from, to, what.
#[derive(Debug, Clone)]
struct Line {
    from: String,
    to: String,
    message: Message,
}

fn recorded(text: &str, master: &str) -> VecDeque<Line> {
    text.lines()
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap().to_owned();
            let (from, to, name, body) = (word(), word(), word(), word());
            let body = body
                .replace("\"M-", &format!("\"{master}-"))
                .replace("\"M\"", &format!("\"{master}\""));
            Line {
                from,
                to,
                message: message(&name, &body),
            }
        })
        .collect()
}

struct Replay {
    world: World,
    master: String,
    /// What our master sent to the agent, and to others.
    to_agent: VecDeque<Message>,
    to_others: Vec<(Upid, Message)>,
    pings: usize,
    from_agent: VecDeque<Line>,
    /// The offers out, by framework.
    offers: BTreeMap<String, v1::OfferId>,
    requests: u64,
}

/// Frameworks whose messages need what is not done yet.
fn is_left_out(message: &Message) -> bool {
    let framework = match message {
        Message::ApplyOperation(_)
        | Message::AcknowledgeOperationStatus(_)
        | Message::UpdateOperationStatus(_)
        | Message::DrainSlave(_) => return true,
        Message::RunTask(message) => message.framework.id.clone(),
        Message::StatusUpdateAcknowledgement(message) => Some(message.framework_id.clone()),
        Message::ShutdownFramework(message) => Some(message.framework_id.clone()),
        Message::StatusUpdate(message) => Some(message.update.framework_id.clone()),
        _ => None,
    };
    framework.is_some_and(|id| id.value.ends_with("-0005"))
}

impl Replay {
    fn new() -> Self {
        let mut world = World::new(config());
        let effects = world.lead(1, 3);
        let master = wishes(&effects)
            .find_map(|wish| match wish {
                Wish::Changed(Delta::Elected(view)) => Some(view.info.id.clone()),
                _ => None,
            })
            .unwrap();
        let from_agent = recorded(include_str!("recorded/from_agent.txt"), &master);
        Self {
            world,
            from_agent: from_agent
                .into_iter()
                .filter(|line| !is_left_out(&line.message))
                .collect(),
            master,
            to_agent: VecDeque::new(),
            to_others: Vec::new(),
            pings: 0,
            offers: BTreeMap::new(),
            requests: 0,
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.world.step(event);
        self.take(&effects);
        while let Some(effects) = self.world.commit_next() {
            self.take(&effects);
        }
    }

    fn take(&mut self, effects: &[Effect1]) {
        for wish in wishes(effects) {
            match wish {
                Wish::Send { to, message, .. } if to.name == "slave(1)" => match &**message {
                    Message::PingSlave(ping) => {
                        assert!(ping.connected);
                        self.pings += 1;
                    }
                    message => self.to_agent.push_back(message.clone()),
                },
                Wish::Send { to, message, .. } => {
                    self.to_others.push((to.clone(), (**message).clone()));
                }
                Wish::Changed(Delta::Offer(offer)) => {
                    self.offers
                        .insert(offer.framework_id.value.clone(), offer.id.clone());
                }
                _ => {}
            }
        }
    }

    fn wait(&mut self, us: u64) {
        let until = self.world.mono_us + us;
        while let Some(timer) = self.world.next_timer(until) {
            self.step(Event::TimerFired(timer));
        }
        self.world.mono_us = until;
    }

    /// Feeds the agent's next message.
    fn hear_agent(&mut self) -> Message {
        let Line { from, to, message } = self.from_agent.pop_front().unwrap();
        self.step(Event::MessageReceived {
            caller: Caller::default(),
            from: from.parse().unwrap(),
            to,
            message: message.clone(),
        });
        message
    }

    fn call(&mut self, framework: &v1::FrameworkId, pid: Option<&Upid>, call: scheduler::Call) {
        let call = scheduler::Call {
            framework_id: Some(framework.clone()),
            ..call
        };
        let event = match pid {
            Some(pid) => Event::MessageReceived {
                caller: Caller::default(),
                from: pid.clone(),
                to: "master".to_owned(),
                message: to_v0(call).into(),
            },
            None => {
                self.requests += 1;
                Event::SchedulerCalled {
                    request: RequestId(self.requests),
                    caller: Caller::default(),
                    stream_id: Some(framework.value.clone()),
                    call: Box::new(call),
                }
            }
        };
        self.step(event);
    }

    /// Subscribes as the framework of a recorded message, unless it is; waits for its offer.
    fn subscribe(&mut self, info: &v1::FrameworkInfo, pid: Option<&Upid>) {
        let id = info.id.clone().unwrap();
        let framework_info = v1::FrameworkInfo {
            id: None,
            ..info.clone()
        };
        let event = match pid {
            Some(pid) => Event::MessageReceived {
                caller: Caller::default(),
                from: pid.clone(),
                to: "master".to_owned(),
                message: v0::Call {
                    r#type: Some(v0::call::Type::Subscribe as i32),
                    subscribe: Some(v0::call::Subscribe {
                        framework_info,
                        ..Default::default()
                    }),
                    ..Default::default()
                }
                .into(),
            },
            None => subscribes(&id.value, framework_info),
        };
        self.step(event);
        self.wait(2_000);
        assert!(self.offers.contains_key(&id.value), "{id:?} gets an offer");
    }

    fn accept(
        &mut self,
        framework: &v1::FrameworkId,
        pid: Option<&Upid>,
        operation: v1::offer::Operation,
    ) {
        let offer = self.offers.remove(&framework.value).unwrap();
        let accept = call::Accept {
            offer_ids: vec![offer],
            operations: vec![operation],
            filters: None,
        };
        let call = scheduler::Call {
            r#type: Some(call::Type::Accept as i32),
            accept: Some(accept),
            ..Default::default()
        };
        self.call(framework, pid, call);
    }

    fn expect(&mut self, wanted: &Message) {
        let found = self.to_agent.pop_front();
        let found = found.map(|found| message_text(&found));
        assert_eq!(found, Some(message_text(wanted)));
    }
}

/// The address of a driver; HTTP frameworks have none.
fn driver(pid: &str) -> Option<Upid> {
    pid.starts_with("scheduler-").then(|| pid.parse().unwrap())
}

/// What a scheduler sent: no allocation, no framework in the executor.
fn as_sent(mut task: v1::TaskInfo) -> v1::TaskInfo {
    let strip = |resources: &mut Vec<v1::Resource>| {
        for resource in resources {
            resource.allocation_info = None;
        }
    };
    strip(&mut task.resources);
    if let Some(executor) = &mut task.executor {
        strip(&mut executor.resources);
    }
    task
}

fn launch(task_infos: Vec<v1::TaskInfo>) -> v1::offer::Operation {
    v1::offer::Operation {
        r#type: Some(v1::offer::operation::Type::Launch as i32),
        launch: Some(v1::offer::operation::Launch { task_infos }),
        ..Default::default()
    }
}

fn launch_group(message: &internal::RunTaskGroupMessage) -> v1::offer::Operation {
    let mut executor = message.executor.clone();
    for resource in &mut executor.resources {
        resource.allocation_info = None;
    }
    let tasks = message
        .task_group
        .tasks
        .iter()
        .cloned()
        .map(|task| v1::TaskInfo {
            executor: None,
            ..as_sent(task)
        });
    let task_group = v1::TaskGroupInfo {
        tasks: tasks.collect(),
    };
    v1::offer::Operation {
        r#type: Some(v1::offer::operation::Type::LaunchGroup as i32),
        launch_group: Some(v1::offer::operation::LaunchGroup {
            executor,
            task_group,
        }),
        ..Default::default()
    }
}

#[test]
fn agents_are_told_what_a_genuine_master_tells_them() {
    let mut replay = Replay::new();
    let mut wanted: VecDeque<Line> =
        recorded(include_str!("recorded/to_agent.txt"), &replay.master)
            .into_iter()
            .filter(|line| !is_left_out(&line.message))
            .collect();
    let mut drivers: BTreeMap<String, Option<Upid>> = BTreeMap::new();
    let mut pings = 0;
    let mut compared = 0;
    replay.hear_agent();
    while let Some(Line { message, .. }) = wanted.pop_front() {
        match &message {
            Message::PingSlave(_) => {
                pings += 1;
                while replay.pings < pings {
                    replay.wait(1_000_000);
                }
                continue;
            }
            Message::RunTask(first) => {
                let id = first.framework.id.clone().unwrap();
                let pid = driver(first.pid.as_deref().unwrap());
                skip_left_out(&mut replay, &id);
                replay.subscribe(&first.framework, pid.as_ref());
                drivers.insert(id.value.clone(), pid.clone());
                // Tasks of one framework in a row were launched by one ACCEPT.
                let mut batch = vec![message.clone()];
                while let Some(Line {
                    message: next @ Message::RunTask(_),
                    ..
                }) = wanted.front()
                {
                    batch.push(next.clone());
                    wanted.pop_front();
                }
                let tasks = batch.iter().map(|message| match message {
                    Message::RunTask(message) => as_sent(message.task.clone()),
                    _ => unreachable!("only RunTask is collected"),
                });
                replay.accept(&id, pid.as_ref(), launch(tasks.collect()));
                compared += batch.len();
                batch.iter().for_each(|message| replay.expect(message));
                continue;
            }
            Message::RunTaskGroup(group) => {
                let id = group.framework.id.clone().unwrap();
                replay.subscribe(&group.framework, None);
                replay.accept(&id, None, launch_group(group));
            }
            Message::StatusUpdateAcknowledgement(ack) => {
                // The update that is acknowledged came before.
                while !matches!(
                    replay.hear_agent(),
                    Message::StatusUpdate(heard) if heard.update.uuid.as_ref() == Some(&ack.uuid)
                ) {}
                acknowledge(&mut replay, &drivers, ack);
            }
            Message::ShutdownFramework(shutdown) => {
                let pid = drivers.get(&shutdown.framework_id.value).cloned().flatten();
                let teardown = scheduler::Call {
                    r#type: Some(call::Type::Teardown as i32),
                    ..Default::default()
                };
                replay.call(&shutdown.framework_id, pid.as_ref(), teardown);
            }
            Message::SlaveRegistered(_) => {}
            other => panic!("nobody knows what led to {other:?}"),
        }
        replay.expect(&message);
        compared += 1;
    }
    assert_eq!(replay.to_agent, [], "nothing else was sent");
    assert_eq!((compared, pings), (82, 4));
    replay.world.master.audit().unwrap();
}

fn acknowledge(
    replay: &mut Replay,
    drivers: &BTreeMap<String, Option<Upid>>,
    ack: &internal::StatusUpdateAcknowledgementMessage,
) {
    let pid = drivers.get(&ack.framework_id.value).cloned().flatten();
    let call = scheduler::Call {
        r#type: Some(call::Type::Acknowledge as i32),
        acknowledge: Some(call::Acknowledge {
            agent_id: ack.slave_id.clone(),
            task_id: ack.task_id.clone(),
            uuid: ack.uuid.clone(),
        }),
        ..Default::default()
    };
    replay.call(&ack.framework_id, pid.as_ref(), call);
}

/// The framework that is left out takes its number all the same, and is compared as far as it goes:
/// what its driver was told first.
fn skip_left_out(replay: &mut Replay, next: &v1::FrameworkId) {
    if !next.value.ends_with("-0006") {
        return;
    }
    let subscribe = recorded(include_str!("recorded/from_driver.txt"), &replay.master)
        .pop_front()
        .unwrap();
    let pid: Upid = subscribe.from.parse().unwrap();
    replay.to_others.clear();
    replay.step(Event::MessageReceived {
        caller: Caller::default(),
        from: pid.clone(),
        to: subscribe.to,
        message: subscribe.message,
    });
    replay.wait(2_000);
    let wanted = recorded(include_str!("recorded/to_driver.txt"), &replay.master);
    for (wanted, (_, found)) in wanted.iter().zip(&replay.to_others) {
        assert_eq!(without_runs(found), without_runs(&wanted.message));
    }
    assert_eq!(replay.to_others.len(), wanted.len());
    let id = v1::FrameworkId {
        value: next.value.replace("-0006", "-0005"),
    };
    let teardown = scheduler::Call {
        r#type: Some(call::Type::Teardown as i32),
        ..Default::default()
    };
    replay.call(&id, Some(&pid), teardown);
}

/// What differs from run to run is left out: the master's own address and name, the offer's number, the
/// order of resources; the version and capabilities are ours to state.
fn without_runs(message: &Message) -> (&'static str, String) {
    let mut message = message.clone();
    match &mut message {
        Message::FrameworkRegistered(message) => {
            message.master_info = v1::MasterInfo {
                id: message.master_info.id.clone(),
                ..Default::default()
            };
        }
        Message::ResourceOffers(message) => {
            for offer in &mut message.offers {
                offer.id = v1::OfferId::default();
                offer.resources.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        _ => {}
    }
    message_text(&message)
}
