//! What the master does, as those around it see it; what must hold at every step.

use bytes::Bytes;
use meseta_master::event::Effect as Wish;
use meseta_master::view::{Counter, Delta, FrameworkState, TaskList};
use meseta_model::edge::Outcome;
use meseta_model::ids::AgentId;
use meseta_model::resources::{Conversion, Resource, Resources, conversions};
use meseta_model::task_state::is_terminal;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal;
use meseta_proto::mesos::v1::scheduler::{self, event};
use meseta_proto::mesos::v1::task_status::Reason;
use meseta_proto::mesos::v1::{self, TaskState};

use super::super::{Effect1, wishes};
use super::agents::{configured, driver, pid};
use super::{Cluster, Running};

impl Cluster {
    pub(super) fn take(&mut self, effects: Vec<Effect1>) {
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
}
