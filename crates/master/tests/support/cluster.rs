//! Agents and schedulers around a master: they do what the master tells them, and whatever else a test
//! makes them do.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_master::event::{Effect as Wish, Event, OperatorCall};
use meseta_master::registry::{Op, Registry};
use meseta_master::view::{Counter, Delta, FrameworkState, TaskList};
use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, RequestId, StreamId};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{
    Conversion, Reservation, Resource, ResourceFormat, Resources, conversions,
};
use meseta_model::task_state::is_terminal;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler::{self, call, event};
use meseta_proto::mesos::v1::task_status::Reason;
use meseta_proto::mesos::v1::{self, TaskState};
use meseta_proto::mesos::{internal, scheduler as v0};

use super::{Effect1, World, config, wishes};

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

fn pid(agent: usize) -> Upid {
    format!("slave(1)@10.0.1.{}:5051", agent + 1)
        .parse()
        .unwrap()
}

/// The last scheduler is a v0 driver.
fn driver() -> Upid {
    "scheduler-d@10.0.2.1:9000".parse().unwrap()
}

fn total() -> Vec<v1::Resource> {
    configured().to_wire(ResourceFormat::PreRefinement)
}

fn configured() -> Resources {
    let text = "cpus:4;mem:1024;disk:1024;ports:[31000-31009]";
    Resources::parse(text, &Default::default()).unwrap()
}

/// The last agent is told of operations; the others only what to write down.
fn applies(agent: usize) -> bool {
    agent == 2
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

    // What agents do.

    pub fn register(&mut self, agent: usize) {
        let known = &self.agents[agent];
        if known.id.is_some() || known.dead {
            return;
        }
        let message = internal::RegisterSlaveMessage {
            slave: slave_info(None),
            version: Some("1.11.0".to_owned()),
            agent_capabilities: capabilities(agent),
            resource_version_uuid: applies(agent).then(v1::Uuid::default),
            checkpointed_resources: known.checkpointed.to_wire(ResourceFormat::PostRefinement),
        };
        self.agent_sends(agent, message);
    }

    pub fn reregister(&mut self, agent: usize) {
        let known = &self.agents[agent];
        let Some(id) = known.id.clone().filter(|_| !known.dead) else {
            return;
        };
        let tasks = known.tasks.iter().map(|((framework, _), running)| {
            let mut task =
                meseta_model::task::task(&running.info, &framework.as_str().into(), running.state);
            if let Some((state, uuid)) = &running.unacknowledged {
                task.status_update_state = Some(*state as i32);
                task.status_update_uuid = Some(uuid.clone());
            }
            task
        });
        let frameworks: BTreeSet<&String> = known.tasks.keys().map(|(id, _)| id).collect();
        let message = internal::ReregisterSlaveMessage {
            slave: slave_info(Some(&id)),
            version: Some("1.11.0".to_owned()),
            agent_capabilities: capabilities(agent),
            resource_version_uuid: applies(agent).then(v1::Uuid::default),
            checkpointed_resources: known.checkpointed.to_wire(ResourceFormat::PostRefinement),
            tasks: tasks.collect(),
            executor_infos: known.executors.values().cloned().collect(),
            frameworks: frameworks
                .into_iter()
                .map(|id| v1::FrameworkInfo {
                    id: Some(FrameworkId::from(id.as_str()).to_wire()),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        self.agent_sends(agent, message);
        if applies(agent) && !self.agents[agent].deaf {
            self.report_operations(agent);
        }
    }

    fn report_operations(&mut self, agent: usize) {
        let known = &self.agents[agent];
        let Some(id) = known.id.clone() else {
            return;
        };
        let operations = known.operations.values().cloned().collect();
        let message = internal::UpdateSlaveMessage {
            slave_id: AgentId::from(id).to_wire(),
            operations: Some(internal::update_slave_message::Operations { operations }),
            ..Default::default()
        };
        self.agent_sends(agent, message);
    }

    /// The agent says again what became of its operations.
    pub fn operation_statuses(&mut self, agent: usize) {
        let operations = self.agents[agent].operations.clone();
        for operation in operations.into_values() {
            let message = internal::UpdateOperationStatusMessage {
                framework_id: operation.framework_id,
                slave_id: operation.agent_id,
                status: operation.latest_status,
                latest_status: None,
                operation_uuid: Some(operation.uuid),
            };
            self.agent_sends(agent, message);
        }
    }

    pub fn break_link(&mut self, agent: usize) {
        self.agents[agent].deaf = false;
        self.step(Event::LinkBroken { peer: pid(agent) });
    }

    /// The agent says `state` of its n-th task, unless that is over.
    pub fn progress(&mut self, agent: usize, task: usize, state: TaskState) {
        let uuid = self.uuid();
        let running = &mut self.agents[agent].tasks;
        let Some(key) = running.keys().nth(task % running.len().max(1)).cloned() else {
            return;
        };
        let running = running.get_mut(&key).unwrap();
        if is_terminal(running.state) || running.unacknowledged.is_some() {
            return self.resend(agent, task);
        }
        running.state = state;
        running.unacknowledged = Some((state, uuid));
        self.send_update(agent, &key);
    }

    /// The agent repeats what was not acknowledged.
    pub fn resend(&mut self, agent: usize, task: usize) {
        let tasks = &self.agents[agent].tasks;
        if let Some(key) = tasks.keys().nth(task % tasks.len().max(1)).cloned() {
            self.send_update(agent, &key);
        }
    }

    fn send_update(&mut self, agent: usize, key: &TaskKey) {
        let known = &self.agents[agent];
        let (Some(id), Some(running)) = (known.id.clone(), known.tasks.get(key)) else {
            return;
        };
        let Some((state, uuid)) = running.unacknowledged.clone() else {
            return;
        };
        let update = internal::StatusUpdate {
            framework_id: FrameworkId::from(key.0.as_str()).to_wire(),
            executor_id: None,
            slave_id: Some(AgentId::from(id).to_wire()),
            status: v1::TaskStatus {
                task_id: running.info.task_id.clone(),
                state: state as i32,
                uuid: Some(uuid.clone()),
                ..Default::default()
            },
            timestamp: 1.0,
            uuid: Some(uuid),
            latest_state: Some(running.state as i32),
        };
        let pid = Some(pid(agent).to_string());
        self.agent_sends(agent, internal::StatusUpdateMessage { update, pid });
    }

    /// One of the agent's executors ends, and its tasks fail.
    pub fn executor_exits(&mut self, agent: usize) {
        let known = &mut self.agents[agent];
        let (Some(id), Some(key)) = (known.id.clone(), known.executors.keys().next().cloned())
        else {
            return;
        };
        let executor = known.executors.remove(&key).unwrap();
        let message = internal::ExitedExecutorMessage {
            slave_id: AgentId::from(id).to_wire(),
            framework_id: FrameworkId::from(key.0.as_str()).to_wire(),
            executor_id: executor.executor_id,
            status: 256,
        };
        self.agent_sends(agent, message);
    }

    pub fn unregister(&mut self, agent: usize) {
        if let Some(id) = self.agents[agent].id.take() {
            self.agents[agent].tasks.clear();
            self.agents[agent].executors.clear();
            self.agents[agent].operations.clear();
            self.agents[agent].checkpointed = Resources::new();
            let slave_id = AgentId::from(id).to_wire();
            self.agent_sends(agent, internal::UnregisterSlaveMessage { slave_id });
        }
    }

    pub fn agent_sends(&mut self, agent: usize, message: impl Into<Message>) {
        self.step(Event::MessageReceived {
            caller: Caller::default(),
            from: pid(agent),
            to: "master".to_owned(),
            message: message.into(),
        });
    }

    // What schedulers do.

    fn is_driver(&self, scheduler: usize) -> bool {
        scheduler + 1 == self.schedulers.len()
    }

    fn framework_info(&self, scheduler: usize) -> v1::FrameworkInfo {
        use v1::framework_info::capability::Type;
        let capability = |kind: Type| v1::framework_info::Capability {
            r#type: Some(kind as i32),
        };
        let mut info = v1::FrameworkInfo {
            user: "u".to_owned(),
            name: format!("f{scheduler}"),
            id: self.schedulers[scheduler]
                .id
                .as_ref()
                .map(|id| FrameworkId::from(id.as_str()).to_wire()),
            ..Default::default()
        };
        if scheduler % 2 == 1 {
            info.failover_timeout = Some(60.0);
            info.checkpoint = Some(true);
            info.roles = vec!["a".to_owned(), "b".to_owned()];
            info.capabilities = vec![
                capability(Type::PartitionAware),
                capability(Type::MultiRole),
                capability(Type::ReservationRefinement),
                capability(Type::SharedResources),
            ];
        }
        info
    }

    pub fn subscribe(&mut self, scheduler: usize) {
        let framework_info = self.framework_info(scheduler);
        if self.is_driver(scheduler) {
            let call = v0::Call {
                framework_id: framework_info.id.clone(),
                r#type: Some(v0::call::Type::Subscribe as i32),
                subscribe: Some(v0::call::Subscribe {
                    framework_info,
                    force: Some(true),
                    ..Default::default()
                }),
                ..Default::default()
            };
            return self.driver_sends(call);
        }
        let stream = format!("S{}", self.number());
        self.streams.insert(stream.clone(), scheduler);
        self.schedulers[scheduler].stream = Some(stream.clone());
        self.schedulers[scheduler].subscribed = false;
        self.schedulers[scheduler].offers.clear();
        self.step(Event::SchedulerSubscribed {
            stream: StreamId::new(&stream),
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
        });
    }

    fn driver_sends(&mut self, call: v0::Call) {
        self.step(Event::MessageReceived {
            caller: Caller::default(),
            from: driver(),
            to: "master".to_owned(),
            message: call.into(),
        });
    }

    pub fn close(&mut self, scheduler: usize) {
        if self.is_driver(scheduler) {
            self.schedulers[scheduler].subscribed = false;
            self.schedulers[scheduler].offers.clear();
            return self.step(Event::LinkBroken { peer: driver() });
        }
        if let Some(stream) = self.schedulers[scheduler].stream.take() {
            self.schedulers[scheduler].subscribed = false;
            self.schedulers[scheduler].offers.clear();
            let stream = StreamId::new(&stream);
            self.step(Event::StreamClosed { stream });
        }
    }

    pub fn call(&mut self, scheduler: usize, call: scheduler::Call) {
        let known = &self.schedulers[scheduler];
        let framework_id = known
            .id
            .as_ref()
            .map(|id| FrameworkId::from(id.as_str()).to_wire());
        let call = scheduler::Call {
            framework_id,
            ..call
        };
        if self.is_driver(scheduler) {
            return self.driver_sends(to_v0(call));
        }
        let stream_id = known.stream.clone();
        let request = self.number();
        self.asked.insert(request);
        self.step(Event::SchedulerCalled {
            request: RequestId(request),
            caller: Caller::default(),
            stream_id,
            call: Box::new(call),
        });
    }

    pub fn operator(&mut self, call: OperatorCall) {
        let request = self.number();
        self.asked.insert(request);
        self.step(Event::OperatorCalled {
            request: RequestId(request),
            caller: Caller::default(),
            call,
        });
    }

    /// Launches tasks on as many offers; one of them may be long gone.
    pub fn accept(&mut self, scheduler: usize, offers: usize, tasks: usize, stale: bool) {
        let known = &self.schedulers[scheduler];
        let Some(first) = known.offers.values().next().cloned() else {
            return;
        };
        let role = first
            .allocation_info
            .as_ref()
            .map(|info| info.role().to_owned());
        let mut ids: Vec<v1::OfferId> = known
            .offers
            .values()
            .take(offers.max(1))
            .map(|offer| offer.id.clone())
            .collect();
        if stale {
            ids.push(first.id.clone());
        }
        let agent_id = first.agent_id;
        let task_infos = (0..tasks).map(|n| {
            let name = format!("t{}", self.number());
            let mut resources = Resources::parse("cpus:1;mem:64", &Default::default()).unwrap();
            if let Some(role) = &role {
                resources = resources.allocated_to(&role.as_str().into());
            }
            let custom = n % 2 == 1;
            v1::TaskInfo {
                name: name.clone(),
                task_id: v1::TaskId { value: name },
                agent_id: agent_id.clone(),
                resources: resources.to_wire(ResourceFormat::PostRefinement),
                command: (!custom).then(Default::default),
                executor: custom.then(|| v1::ExecutorInfo {
                    executor_id: v1::ExecutorId {
                        value: "e".to_owned(),
                    },
                    command: Some(Default::default()),
                    resources: resources.to_wire(ResourceFormat::PostRefinement),
                    ..Default::default()
                }),
                ..Default::default()
            }
        });
        let task_infos: Vec<v1::TaskInfo> = task_infos.collect();
        for id in &ids {
            self.schedulers[scheduler].offers.remove(&id.value);
        }
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Accept as i32),
                accept: Some(call::Accept {
                    offer_ids: ids,
                    operations: vec![v1::offer::Operation {
                        r#type: Some(v1::offer::operation::Type::Launch as i32),
                        launch: Some(v1::offer::operation::Launch { task_infos }),
                        ..Default::default()
                    }],
                    filters: None,
                }),
                ..Default::default()
            },
        );
    }

    /// An ACCEPT of one offer with operations that each go on with what those before them made.
    pub fn operate(&mut self, scheduler: usize, kinds: &[usize], named: bool) {
        // A driver that names an operation is aborted.
        let named = named && !self.is_driver(scheduler);
        let offers = &mut self.schedulers[scheduler].offers;
        let Some((_, offer)) = offers.pop_first() else {
            return;
        };
        let role = offer
            .allocation_info
            .as_ref()
            .map_or("a", |info| info.role());
        let (role, mut left) = (
            role.to_owned(),
            Resources::from_wire(&offer.resources).unwrap(),
        );
        left = left.unallocated();
        let mut operations = Vec::new();
        for kind in kinds {
            let number = self.number();
            let Some(mut operation) = next_operation(*kind, &left, &role, &offer, number) else {
                continue;
            };
            if let Ok(steps) = meseta_model::resources::conversions(&operation)
                && let Ok(after) = left.apply(&steps)
            {
                left = after;
            }
            operation.id = (named && *kind < 4).then(|| v1::OperationId {
                value: format!("o{number}"),
            });
            operations.push(operation);
        }
        let accept = call::Accept {
            offer_ids: vec![offer.id],
            operations,
            filters: None,
        };
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Accept as i32),
                accept: Some(accept),
                ..Default::default()
            },
        );
    }

    pub fn acknowledge_operations(&mut self, scheduler: usize) {
        let open = std::mem::take(&mut self.schedulers[scheduler].operations);
        for (agent, operation_id, uuid) in open {
            let acknowledge = call::AcknowledgeOperationStatus {
                agent_id: Some(agent),
                resource_provider_id: None,
                uuid,
                operation_id,
            };
            let call = scheduler::Call {
                r#type: Some(call::Type::AcknowledgeOperationStatus as i32),
                acknowledge_operation_status: Some(acknowledge),
                ..Default::default()
            };
            self.call(scheduler, call);
        }
    }

    pub fn decline(&mut self, scheduler: usize, seconds: f64) {
        let offers = std::mem::take(&mut self.schedulers[scheduler].offers);
        let offer_ids = offers.into_values().map(|offer| offer.id).collect();
        let filters = Some(v1::Filters {
            refuse_seconds: Some(seconds),
        });
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Decline as i32),
                decline: Some(call::Decline { offer_ids, filters }),
                ..Default::default()
            },
        );
    }

    pub fn acknowledge(&mut self, scheduler: usize, which: usize) {
        let open = &mut self.schedulers[scheduler].unacknowledged;
        if open.is_empty() {
            return;
        }
        let (agent, task, uuid) = open.remove(which % open.len());
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Acknowledge as i32),
                acknowledge: Some(call::Acknowledge {
                    agent_id: AgentId::from(agent).to_wire(),
                    task_id: v1::TaskId { value: task },
                    uuid,
                }),
                ..Default::default()
            },
        );
    }

    /// KILL of the n-th task ever sent, of whichever framework.
    pub fn kill(&mut self, scheduler: usize, which: usize) {
        let Some((_, task)) = self
            .sent
            .iter()
            .nth(which % self.sent.len().max(1))
            .cloned()
        else {
            return;
        };
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Kill as i32),
                kill: Some(call::Kill {
                    task_id: v1::TaskId { value: task },
                    ..Default::default()
                }),
                ..Default::default()
            },
        );
    }

    pub fn simple(&mut self, scheduler: usize, kind: call::Type) {
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(kind as i32),
                reconcile: (kind == call::Type::Reconcile).then(Default::default),
                ..Default::default()
            },
        );
    }

    // What the master does.

    fn take(&mut self, effects: Vec<Effect1>) {
        let list: Vec<Wish> = wishes(&effects).cloned().collect();
        for wish in list {
            match wish {
                Wish::Send { from, to, message } => self.sent_message(&from, &to, *message),
                Wish::SendEvent { stream, event } => self.event(&stream.0, *event),
                Wish::CloseStream(stream) => {
                    for scheduler in &mut self.schedulers {
                        if scheduler.stream.as_deref() == Some(&*stream.0) {
                            scheduler.stream = None;
                            scheduler.subscribed = false;
                            scheduler.offers.clear();
                        }
                    }
                }
                Wish::Reply { request, outcome } => {
                    assert!(self.asked.contains(&request.0), "nobody asked {request:?}");
                    assert!(
                        self.answered.insert(request.0),
                        "{request:?} is answered twice"
                    );
                    assert!(!matches!(outcome, Outcome::Done) || request.0 > 0);
                }
                Wish::Changed(delta) => self.changed(delta),
                Wish::Count {
                    counter: Counter::TasksEnded(state),
                    by,
                } => *self.counted.entry(state).or_default() += by,
                _ => {}
            }
        }
        self.ends_are_told();
        self.world.master.audit().unwrap();
    }

    /// A framework that is connected hears what became of a task that leaves the books.
    fn ends_are_told(&mut self) {
        for key in std::mem::take(&mut self.left) {
            let connected = self
                .schedulers
                .iter()
                .any(|s| s.subscribed && s.id.as_ref() == Some(&key.0));
            let heard = self
                .heard
                .get(&key)
                .is_some_and(|state| is_terminal(*state) || *state == TaskState::TaskUnreachable);
            let removed = self.completed.contains(&key.0);
            assert!(
                heard || !connected || removed,
                "{key:?} left without a word"
            );
        }
    }

    fn sent_message(&mut self, from: &str, to: &Upid, message: Message) {
        if *to == driver() {
            return self.driver_told(message);
        }
        let index = (0..self.agents.len())
            .find(|agent| pid(*agent) == *to)
            .expect("an agent");
        let agent = &mut self.agents[index];
        let reaches = |message: &Message| {
            use Message::*;
            matches!(
                message,
                SlaveRegistered(_) | SlaveReregistered(_) | Shutdown(_)
            )
        };
        if agent.deaf && !reaches(&message) {
            return;
        }
        agent.deaf = false;
        if agent.id.is_some() && self.told_of_operations(index, &message) {
            return;
        }
        let agent = &mut self.agents[index];
        match message {
            Message::SlaveRegistered(message) => agent.id = Some(message.slave_id.value),
            Message::PingSlave(_) if !agent.silent => self.pings.push((index, from.to_owned())),
            Message::Shutdown(_) => {
                agent.dead = true;
                agent.id = None;
                agent.tasks.clear();
                agent.executors.clear();
                agent.operations.clear();
                agent.checkpointed = Resources::new();
            }
            Message::RunTask(message) => {
                let framework = message.framework.id.unwrap().value;
                let key = (framework.clone(), message.task.task_id.value.clone());
                assert!(self.sent.insert(key.clone()), "{key:?} is started twice");
                if agent.id.as_ref() != Some(&message.task.agent_id.value) {
                    return;
                }
                self.reached.insert(key.clone());
                if let Some(executor) = &message.task.executor {
                    let id = executor.executor_id.value.clone();
                    agent.executors.insert((framework, id), executor.clone());
                }
                let running = Running {
                    info: message.task,
                    state: TaskState::TaskStaging,
                    unacknowledged: None,
                };
                agent.tasks.insert(key, running);
            }
            Message::StatusUpdateAcknowledgement(message) => {
                let key = (message.framework_id.value, message.task_id.value);
                if let Some(running) = agent.tasks.get_mut(&key)
                    && running
                        .unacknowledged
                        .as_ref()
                        .is_some_and(|(_, uuid)| *uuid == message.uuid)
                {
                    running.unacknowledged = None;
                    if is_terminal(running.state) {
                        agent.tasks.remove(&key);
                    }
                }
            }
            Message::ShutdownFramework(message) => {
                let gone = message.framework_id.value;
                agent.tasks.retain(|(framework, _), _| *framework != gone);
                agent
                    .executors
                    .retain(|(framework, _), _| *framework != gone);
            }
            Message::SlaveReregistered(message) => {
                let asked = message.reconciliations.into_iter().flat_map(|about| {
                    let framework = about.framework_id.value;
                    about
                        .statuses
                        .into_iter()
                        .map(move |status| (framework.clone(), status))
                });
                for (framework, status) in asked {
                    let key = (framework, status.task_id.value.clone());
                    if agent.tasks.contains_key(&key) {
                        // Asked once more about what it reported: it has nothing to add.
                        continue;
                    }
                    let mut bytes = [1; 16];
                    self.next += 1;
                    bytes[8..].copy_from_slice(&self.next.to_be_bytes());
                    let uuid = Bytes::copy_from_slice(&bytes);
                    let state = TaskState::TaskLost;
                    let info = v1::TaskInfo {
                        task_id: status.task_id,
                        agent_id: status.agent_id.unwrap(),
                        ..Default::default()
                    };
                    let unacknowledged = Some((state, uuid));
                    let running = Running {
                        info,
                        state,
                        unacknowledged,
                    };
                    agent.tasks.insert(key, running);
                }
            }
            _ => {}
        }
    }

    /// What concerns an agent's reservations, volumes and operations.
    fn told_of_operations(&mut self, index: usize, message: &Message) -> bool {
        let agent = &mut self.agents[index];
        let id = AgentId::from(agent.id.clone().unwrap()).to_wire();
        match message {
            Message::CheckpointResources(message) => {
                agent.checkpointed = Resources::from_wire(&message.resources).unwrap();
                configured().with_checkpointed(&agent.checkpointed).unwrap();
            }
            Message::ApplyOperation(message) => {
                let steps = conversions(&message.operation_info).unwrap();
                let steps: Vec<_> = steps.iter().map(Conversion::unallocated).collect();
                let total = configured().with_checkpointed(&agent.checkpointed).unwrap();
                let total = total.apply(&steps).unwrap();
                agent.checkpointed = total.filter(Resource::needs_checkpointing);
                let (info, uuid) = (
                    message.operation_info.clone(),
                    message.operation_uuid.clone(),
                );
                let operation = v1::Operation {
                    framework_id: message.framework_id.clone(),
                    latest_status: v1::OperationStatus {
                        operation_id: info.id.clone(),
                        state: v1::OperationState::OperationFinished as i32,
                        uuid: Some(uuid.clone()),
                        agent_id: Some(id.clone()),
                        ..Default::default()
                    },
                    agent_id: Some(id),
                    info,
                    statuses: Vec::new(),
                    uuid: uuid.clone(),
                };
                agent.operations.insert(uuid.value, operation);
            }
            Message::AcknowledgeOperationStatus(message) => {
                agent.operations.remove(&message.operation_uuid.value);
            }
            Message::ReconcileOperations(message) => {
                let asked = message.operations.iter();
                let asked = asked.filter_map(|asked| asked.operation_uuid.clone());
                let known = |uuid: &v1::Uuid| agent.operations.contains_key(&uuid.value);
                let lost: Vec<v1::Uuid> = asked.filter(|uuid| !known(uuid)).collect();
                for uuid in lost {
                    let message = internal::UpdateOperationStatusMessage {
                        slave_id: Some(id.clone()),
                        status: v1::OperationStatus {
                            state: v1::OperationState::OperationDropped as i32,
                            ..Default::default()
                        },
                        operation_uuid: Some(uuid),
                        ..Default::default()
                    };
                    self.agent_sends(index, message);
                }
            }
            _ => return false,
        }
        true
    }

    fn operation_told(&mut self, scheduler: usize, status: v1::OperationStatus) {
        if let (Some(agent), Some(operation), Some(uuid)) =
            (status.agent_id, status.operation_id, status.uuid)
        {
            let open = &mut self.schedulers[scheduler].operations;
            open.push((agent, operation, uuid.value));
        }
    }

    fn driver_told(&mut self, message: Message) {
        let scheduler = self.schedulers.last_mut().unwrap();
        match message {
            Message::FrameworkRegistered(message) => {
                scheduler.id = Some(message.framework_id.value);
                scheduler.subscribed = true;
            }
            Message::FrameworkReregistered(message) => {
                scheduler.id = Some(message.framework_id.value);
                scheduler.subscribed = true;
            }
            Message::ResourceOffers(message) => {
                assert_eq!(message.offers.len(), message.pids.len());
                for offer in message.offers {
                    scheduler.offers.insert(offer.id.value.clone(), offer);
                }
            }
            Message::FrameworkError(_) if !scheduler.subscribed => scheduler.id = None,
            Message::RescindResourceOffer(message) => {
                scheduler.offers.remove(&message.offer_id.value);
            }
            Message::StatusUpdate(message) => {
                let mut status = message.update.status;
                status.agent_id = message.update.slave_id;
                let last = self.schedulers.len() - 1;
                self.status(last, status, message.update.uuid);
            }
            _ => {}
        }
    }

    fn event(&mut self, stream: &str, event: scheduler::Event) {
        let Some(index) = self
            .schedulers
            .iter()
            .position(|s| s.stream.as_deref() == Some(stream))
        else {
            return self.event_on_old_stream(stream, event);
        };
        let scheduler = &mut self.schedulers[index];
        match event.r#type() {
            event::Type::Subscribed => {
                scheduler.id = Some(event.subscribed.unwrap().framework_id.value);
                scheduler.subscribed = true;
            }
            event::Type::Offers => {
                for offer in event.offers.unwrap().offers {
                    scheduler.offers.insert(offer.id.value.clone(), offer);
                }
            }
            event::Type::Error => {
                // Its framework is no more; it starts anew.
                scheduler.id = None;
            }
            event::Type::Rescind => {
                scheduler
                    .offers
                    .remove(&event.rescind.unwrap().offer_id.value);
            }
            event::Type::Update => {
                let status = event.update.unwrap().status;
                let uuid = status.uuid.clone();
                self.status(index, status, uuid);
            }
            event::Type::UpdateOperationStatus => {
                self.operation_told(index, event.update_operation_status.unwrap().status);
            }
            _ => {}
        }
    }

    /// A scheduler that is about to subscribe anew does not read its old stream; what is written there
    /// is not the master's to know.
    fn event_on_old_stream(&mut self, stream: &str, event: scheduler::Event) {
        if let (Some(scheduler), Some(update)) = (self.streams.get(stream), event.update)
            && let Some(id) = self.schedulers[*scheduler].id.clone()
        {
            let status = update.status;
            self.heard
                .insert((id, status.task_id.value.clone()), status.state());
        }
    }

    fn status(&mut self, scheduler: usize, status: v1::TaskStatus, uuid: Option<Bytes>) {
        let known = &mut self.schedulers[scheduler];
        let key = (known.id.clone().unwrap(), status.task_id.value.clone());
        let shown = key.clone();
        self.heard.insert(key.clone(), status.state());
        if let Some(uuid) = uuid {
            let agent = status.agent_id.clone().unwrap().value;
            known
                .unacknowledged
                .push((agent, status.task_id.value.clone(), uuid));
        }
        if status.reason == Some(Reason::Reconciliation as i32) && status.uuid.is_none() {
            return;
        }
        let state = status.state();
        if let Some(end) = self.told.get(&key) {
            assert_eq!(state, *end, "{key:?} ended as {end:?} before");
        }
        // What is lost may be found again.
        if is_terminal(state)
            && !matches!(state, TaskState::TaskLost | TaskState::TaskGoneByOperator)
        {
            self.told.insert(key, state);
        }
        if !self.shown.contains_key(&shown)
            && is_terminal(state)
            && matches!(status.reason(), Reason::InvalidOffers | Reason::TaskInvalid)
        {
            *self.ended.entry(state).or_default() += 1;
        }
    }

    fn changed(&mut self, delta: Delta) {
        match delta {
            Delta::Agent(view) => {
                let id = view.info.id.unwrap().value;
                self.totals
                    .insert(id, Resources::from_wire(&view.total).unwrap());
            }
            Delta::Offer(offer) => {
                let new = self.offers.insert(offer.id.value.clone(), true).is_none();
                assert!(new, "{} is made twice", offer.id.value);
            }
            Delta::Framework(view) if view.state == FrameworkState::Completed => {
                self.completed.insert(view.info.id.unwrap().value);
            }
            Delta::OfferRemoved(id) => {
                let out = self.offers.insert(id.to_string(), false);
                assert_eq!(out, Some(true), "{id} is answered twice");
            }
            Delta::TaskAdded { task, list } => {
                let key = (task.framework_id.value.clone(), task.task_id.value.clone());
                if list == TaskList::Active {
                    self.active.insert(key.clone(), task.agent_id.value.clone());
                }
                self.shown.insert(key, task.state());
            }
            Delta::TaskMoved {
                framework,
                task,
                from: TaskList::Active,
                ..
            } => {
                let key = (framework.to_string(), task.to_string());
                assert!(self.active.remove(&key).is_some(), "{key:?} was not active");
                self.left.push(key);
            }
            Delta::TaskUpdated {
                framework,
                task,
                state,
                ..
            } => {
                let key = (framework.to_string(), task.to_string());
                let before = self.shown.insert(key.clone(), state);
                let before = before.unwrap_or_else(|| panic!("{key:?} was never shown"));
                if is_terminal(before) {
                    assert_eq!(before, state, "{key:?} comes back");
                } else if is_terminal(state) && before != TaskState::TaskUnreachable {
                    *self.ended.entry(state).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// From now on everyone does their best. In the end nothing may be forgotten.
    pub fn heal(&mut self) {
        for _ in 0..6 {
            for agent in &mut self.agents {
                agent.silent = false;
                if std::mem::take(&mut agent.dead) {
                    agent.id = None;
                }
            }
            for agent in 0..self.agents.len() {
                self.register(agent);
                self.reregister(agent);
            }
            self.commit_all();
            for scheduler in 0..self.schedulers.len() {
                if !self.schedulers[scheduler].subscribed {
                    self.subscribe(scheduler);
                }
                self.commit_all();
            }
            for agent in 0..self.agents.len() {
                for task in 0..self.agents[agent].tasks.len() {
                    self.resend(agent, task);
                }
            }
            for agent in 0..self.agents.len() {
                self.operation_statuses(agent);
            }
            for scheduler in 0..self.schedulers.len() {
                self.acknowledge_operations(scheduler);
                while !self.schedulers[scheduler].unacknowledged.is_empty() {
                    self.acknowledge(scheduler, 0);
                }
            }
            // The digest, and agents that never come back.
            for us in [200_000, 601_000_000, 200_000] {
                self.wait(us);
                self.commit_all();
            }
        }
        self.nothing_is_forgotten();
    }

    /// A scheduler asks about everything that it launched and has not heard the end of.
    fn ask_about_all(&mut self, scheduler: usize) {
        let Some(id) = self.schedulers[scheduler].id.clone() else {
            return;
        };
        let tasks = self
            .reached
            .iter()
            .filter(|(framework, _)| *framework == id);
        let tasks = tasks.map(|(_, task)| call::reconcile::Task {
            task_id: v1::TaskId {
                value: task.clone(),
            },
            agent_id: None,
        });
        let reconcile = Some(call::Reconcile {
            tasks: tasks.collect(),
        });
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Reconcile as i32),
                reconcile,
                ..Default::default()
            },
        );
    }

    fn nothing_is_forgotten(&mut self) {
        for scheduler in 0..self.schedulers.len() {
            self.ask_about_all(scheduler);
        }
        for agent in &self.agents {
            let id = agent.id.as_ref().expect("registered");
            let theirs: BTreeSet<&TaskKey> = agent.tasks.keys().collect();
            let ours: BTreeSet<&TaskKey> = self
                .active
                .iter()
                .filter(|(_, at)| *at == id)
                .map(|(key, _)| key)
                .collect();
            assert_eq!(ours, theirs, "the books and agent {id}");
            let ours = self.totals[id].filter(Resource::needs_checkpointing);
            assert_eq!(ours, agent.checkpointed, "what agent {id} wrote down");
            // A scheduler that began anew has left its old framework without anybody who reads.
            let heard = |operation: &&v1::Operation| {
                let framework = &operation.framework_id.as_ref().unwrap().value;
                let mut schedulers = self.schedulers.iter();
                self.completed.contains(framework)
                    || schedulers.any(|known| known.id.as_ref() == Some(framework))
            };
            let open = agent.operations.values().find(heard);
            assert_eq!(open, None, "of agent {id} is not acknowledged");
        }
        for key in &self.reached {
            let removed = self.completed.contains(&key.0);
            let lives = !removed
                && self
                    .schedulers
                    .iter()
                    .any(|known| known.id.as_ref() == Some(&key.0));
            let over = self.heard.get(key).is_some_and(|state| {
                is_terminal(*state)
                    || matches!(state, TaskState::TaskUnreachable | TaskState::TaskUnknown)
            });
            assert!(
                !lives || over != self.active.contains_key(key),
                "{key:?} is forgotten: heard {:?}, on {:?}",
                self.heard.get(key),
                self.active.get(key)
            );
        }
    }

    /// Everything asked was answered, and what was counted is what was seen.
    pub fn finish(&mut self) {
        self.commit_all();
        assert_eq!(self.answered, self.asked, "every request gets an answer");
        self.ended.retain(|_, count| *count > 0);
        assert_eq!(self.counted, self.ended, "ends counted and ends seen");
    }
}

fn slave_info(id: Option<&str>) -> internal::SlaveInfo {
    internal::SlaveInfo {
        hostname: "h".to_owned(),
        resources: total(),
        id: id.map(|id| AgentId::from(id).to_wire()),
        ..Default::default()
    }
}

fn capabilities(agent: usize) -> Vec<v1::agent_info::Capability> {
    use v1::agent_info::capability::Type;
    let all = meseta_model::capabilities::AgentCapabilities::ALL;
    let some = all
        .without(Type::ResourceProvider)
        .without(Type::AgentOperationFeedback);
    if applies(agent) { all } else { some }.to_wire()
}

/// One more operation of a kind, on what earlier ones left of an offer; not all can be carried out.
fn next_operation(
    kind: usize,
    left: &Resources,
    role: &str,
    offer: &v1::Offer,
    number: u64,
) -> Option<v1::offer::Operation> {
    use v1::offer::operation::*;
    let wire = |resources: Resources| resources.to_wire(ResourceFormat::PostRefinement);
    let mut operation = v1::offer::Operation::default();
    let space = |resource: &&Resource| {
        let name = resource.name().as_str();
        name == "disk" && !resource.is_unreserved() && !resource.is_persistent_volume()
    };
    let volume = left.iter().find(|resource| resource.is_persistent_volume());
    let kind = match kind {
        0 => {
            let reservation = Reservation::dynamic(role.into());
            let some = Resources::of(&[("cpus", 1.0), ("mem", 64.0), ("disk", 100.0)]);
            operation.reserve = Some(Reserve {
                resources: wire(some.push_reservation(&reservation)),
                ..Default::default()
            });
            Type::Reserve
        }
        1 => {
            let reserved = left.reserved().filter(|one| !one.is_persistent_volume());
            let one = reserved.iter().next()?.clone();
            let resources = wire(one.into());
            operation.unreserve = Some(Unreserve { resources });
            Type::Unreserve
        }
        2 => {
            let space = left.iter().find(space)?.clone();
            let mut volume = space.to_wire(ResourceFormat::PostRefinement);
            let disk = volume.disk.get_or_insert_default();
            disk.persistence = Some(v1::resource::disk_info::Persistence {
                id: format!("v{number}"),
                principal: None,
            });
            disk.volume = Some(v1::Volume {
                mode: v1::volume::Mode::Rw as i32,
                container_path: "data".to_owned(),
                ..Default::default()
            });
            volume.shared = number.is_multiple_of(2).then(Default::default);
            operation.create = Some(Create {
                volumes: vec![volume],
            });
            Type::Create
        }
        3 => {
            let volumes = wire(volume?.clone().into());
            operation.destroy = Some(Destroy { volumes });
            Type::Destroy
        }
        _ => {
            let shared = volume.is_some_and(Resource::is_shared);
            let mut used = left.reserved().filter(|one| one.name().as_str() == "cpus");
            if shared {
                used = Resources::of(&[("cpus", 0.5)]);
            }
            used += Resources::from_iter(volume.cloned());
            let task = |half: &str| v1::TaskInfo {
                name: "t".to_owned(),
                task_id: v1::TaskId {
                    value: format!("t{number}{half}"),
                },
                agent_id: offer.agent_id.clone(),
                resources: wire(used.clone()),
                command: Some(Default::default()),
                ..Default::default()
            };
            let task_infos = if shared {
                vec![task("a"), task("b")]
            } else {
                vec![task("")]
            };
            operation.launch = Some(Launch { task_infos });
            Type::Launch
        }
    };
    operation.r#type = Some(kind as i32);
    Some(operation)
}

fn to_v0(call: scheduler::Call) -> v0::Call {
    v0::Call {
        framework_id: call.framework_id,
        r#type: call.r#type,
        accept: call.accept.map(|a| v0::call::Accept {
            offer_ids: a.offer_ids,
            operations: a.operations,
            filters: a.filters,
        }),
        decline: call.decline.map(|d| v0::call::Decline {
            offer_ids: d.offer_ids,
            filters: d.filters,
        }),
        kill: call.kill.map(|k| v0::call::Kill {
            task_id: k.task_id,
            slave_id: k.agent_id,
            kill_policy: k.kill_policy,
        }),
        acknowledge: call.acknowledge.map(|a| v0::call::Acknowledge {
            slave_id: a.agent_id,
            task_id: a.task_id,
            uuid: a.uuid,
        }),
        reconcile: call.reconcile.map(|r| v0::call::Reconcile {
            tasks: r
                .tasks
                .into_iter()
                .map(|task| v0::call::reconcile::Task {
                    task_id: task.task_id,
                    slave_id: task.agent_id,
                })
                .collect(),
        }),
        ..Default::default()
    }
}
