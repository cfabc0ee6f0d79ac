//! What is said of a task, on its way to the master.
//!
//! Each task has one stream. An update enters it, is written down if its framework checkpoints, is
//! then acknowledged to the executor and sent to the master, and stays until the scheduler
//! acknowledges it; only then the next one goes. One write per stream is in flight at a time and
//! takes along everything that came meanwhile, so the file keeps the order of the stream, also when
//! a write fails and is tried again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meseta_model::edge::{Refusal, RefusalKind};
use meseta_model::ids::{ExecutorId, FrameworkId, TaskId};
use meseta_model::step::{Seq, Write};
use meseta_model::task_state::{is_terminal, may_come_from_executor};
use meseta_proto::mesos::internal::{self, StatusUpdate, StatusUpdateRecord, status_update_record};
use meseta_proto::mesos::v1;
use v1::task_status::{Reason, Source};

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::event::Timer;
use crate::executor::{State, event};
use crate::gc::Garbage;
use crate::limits;
use crate::outbox::Outbox;
use crate::task;
use crate::view::Counter;

type Key = (FrameworkId, TaskId);

/// All streams with something unacknowledged, or of a task that is not over.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    streams: BTreeMap<Key, Stream>,
}

impl Updates {
    pub(crate) fn has_framework(&self, framework: &FrameworkId) -> bool {
        self.of_framework(framework).next().is_some()
    }

    fn of_framework(&self, framework: &FrameworkId) -> impl Iterator<Item = &Key> {
        let first = (framework.clone(), TaskId::from(""));
        let all = self.streams.range(first..).map(|(key, _)| key);
        all.take_while(move |(owner, _)| owner == framework)
    }

    /// A stream of an earlier life: what of it is unacknowledged, and what was seen of it.
    pub(crate) fn restore(&mut self, key: Key, path: String, stream: Restored) {
        let pending = stream.pending.into_iter().map(|update| Pending {
            update,
            durability: Durability::Durable,
            sender: None,
        });
        let restored = Stream {
            pending: pending.collect(),
            seen: stream.seen.into_iter().collect(),
            log: Some(Log::new(path)),
            ..Stream::default()
        };
        self.streams.insert(key, restored);
    }
}

/// What recovery found in a `task.updates` file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Restored {
    /// Not acknowledged, oldest first.
    pub(crate) pending: Vec<StatusUpdate>,
    /// The UUIDs of all updates in the file.
    pub(crate) seen: Vec<Bytes>,
}

/// The updates of one task.
#[derive(Debug, Default)]
struct Stream {
    /// Oldest first.
    pending: VecDeque<Pending>,
    /// UUIDs taken lately, at most [`limits::REMEMBERED_UUIDS`].
    seen: VecDeque<Bytes>,
    /// Where it is written down; `None` if its framework does not checkpoint.
    log: Option<Log>,
    /// The oldest is on its way, and will be sent again after this.
    sent: Option<Duration>,
}

#[derive(Debug)]
struct Pending {
    update: StatusUpdate,
    durability: Durability,
    /// The executor that waits to hear that the agent has it.
    sender: Option<ExecutorId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Unwritten,
    Writing,
    Durable,
}

/// One `task.updates` file.
#[derive(Debug)]
struct Log {
    path: String,
    /// Records that are in no write yet.
    unwritten: BytesMut,
    /// Whether one of them is an acknowledgement.
    unwritten_ack: bool,
    in_flight: Option<InFlight>,
    retry: Duration,
}

#[derive(Debug)]
struct InFlight {
    /// Known once the write is asked for.
    seq: Option<Seq>,
    bytes: Bytes,
    ack: bool,
}

impl Log {
    fn new(path: String) -> Self {
        Self {
            path,
            unwritten: BytesMut::new(),
            unwritten_ack: false,
            in_flight: None,
            retry: limits::WRITE_RETRY_MIN,
        }
    }

    /// An acknowledgement that a crash could still undo: the next update must not overtake it.
    fn owes_ack(&self) -> bool {
        self.unwritten_ack || self.in_flight.as_ref().is_some_and(|write| write.ack)
    }
}

impl Stream {
    fn has_seen(&self, uuid: &Bytes) -> bool {
        self.seen.contains(uuid)
    }

    fn remember(&mut self, uuid: Bytes) {
        self.seen.push_back(uuid);
        if self.seen.len() > limits::REMEMBERED_UUIDS {
            self.seen.pop_front();
        }
    }

    /// The oldest update, if it may go out.
    fn ready(&self) -> Option<&StatusUpdate> {
        let oldest = self.pending.front()?;
        let owes_ack = self.log.as_ref().is_some_and(Log::owes_ack);
        (oldest.durability == Durability::Durable && !owes_ack).then_some(&oldest.update)
    }

    /// What the next write has to hold, if a write can start.
    fn next_write(&mut self) -> Option<Write> {
        let log = self.log.as_mut()?;
        if log.in_flight.is_some() || log.unwritten.is_empty() {
            return None;
        }
        let bytes = log.unwritten.split().freeze();
        log.in_flight = Some(InFlight {
            seq: None,
            bytes: bytes.clone(),
            ack: std::mem::take(&mut log.unwritten_ack),
        });
        for pending in &mut self.pending {
            if pending.durability == Durability::Unwritten {
                pending.durability = Durability::Writing;
            }
        }
        Some(Write::Append {
            path: log.path.clone(),
            bytes,
        })
    }

    /// Whether this write is the one in flight, and not one of an earlier task of the same id.
    fn is_writing(&self, seq: Seq) -> bool {
        let in_flight = self.log.as_ref().and_then(|log| log.in_flight.as_ref());
        in_flight.is_some_and(|write| write.seq == Some(seq))
    }

    /// The write is done: who waits to hear of which update.
    fn written(&mut self) -> Vec<(ExecutorId, Bytes)> {
        if let Some(log) = &mut self.log {
            log.in_flight = None;
            log.retry = limits::WRITE_RETRY_MIN;
        }
        let mut acknowledge = Vec::new();
        for pending in &mut self.pending {
            if pending.durability == Durability::Writing {
                pending.durability = Durability::Durable;
                let uuid = pending.update.uuid.clone().unwrap_or_default();
                acknowledge.extend(pending.sender.take().map(|sender| (sender, uuid)));
            }
        }
        acknowledge
    }

    /// The write failed: its records go back to the front, and when to try again.
    fn not_written(&mut self) -> Option<Duration> {
        let log = self.log.as_mut()?;
        let failed = log.in_flight.take()?;
        let mut bytes = BytesMut::from(failed.bytes.as_ref());
        bytes.unsplit(std::mem::take(&mut log.unwritten));
        log.unwritten = bytes;
        log.unwritten_ack |= failed.ack;
        let wait = log.retry;
        log.retry = (log.retry * 2).min(limits::WRITE_RETRY_MAX);
        for pending in &mut self.pending {
            if pending.durability == Durability::Writing {
                pending.durability = Durability::Unwritten;
            }
        }
        Some(wait)
    }
}

fn update_record(update: &StatusUpdate) -> Bytes {
    checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Update.into(),
        update: Some(update.clone()),
        uuid: None,
    })
}

fn ack_record(uuid: Bytes) -> Bytes {
    checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Ack.into(),
        update: None,
        uuid: Some(uuid),
    })
}

impl Agent {
    /// An update that the agent makes itself.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn agent_update(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        executor: Option<&ExecutorId>,
        state: v1::TaskState,
        reason: Reason,
        message: &str,
    ) -> StatusUpdate {
        let uuid = Bytes::copy_from_slice(&self.rng.uuid_bytes());
        let timestamp = out.now.wall_seconds();
        StatusUpdate {
            framework_id: framework.to_wire(),
            executor_id: executor.map(ExecutorId::to_wire),
            slave_id: Some(self.wire_id()),
            status: v1::TaskStatus {
                task_id: task.to_wire(),
                state: state.into(),
                source: Some(Source::Agent.into()),
                message: Some(message.to_owned()),
                reason: Some(reason.into()),
                agent_id: Some(self.wire_id()),
                executor_id: executor.map(ExecutorId::to_wire),
                timestamp: Some(timestamp),
                uuid: Some(uuid.clone()),
                ..Default::default()
            },
            timestamp,
            uuid: Some(uuid),
            latest_state: None,
        }
    }

    /// An executor's UPDATE. Accepted means that it is taken or of no use; it is acknowledged to the
    /// executor once it is safe.
    pub(crate) fn executor_update(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        mut status: v1::TaskStatus,
    ) -> Result<(), Refusal> {
        let own = self.wire_id();
        let is_uuid = |uuid: &Bytes| uuid.len() == 16;
        let Some(uuid) = status.uuid.clone().filter(is_uuid) else {
            out.count(Counter::InvalidStatusUpdates);
            return Err(Refusal::invalid(
                "Failed to validate Executor::Call: Expecting 'uuid' to be present",
            ));
        };
        let meant_here = status.agent_id.as_ref().is_none_or(|agent| *agent == own);
        let terminating = self.frameworks.get(framework).is_none_or(|f| f.terminating);
        if !meant_here || terminating {
            out.count(Counter::InvalidStatusUpdates);
            return Ok(());
        }
        let timestamp = status.timestamp.unwrap_or_else(|| out.now.wall_seconds());
        status.agent_id = Some(own.clone());
        status.source = Some(Source::Executor.into());
        status.executor_id.get_or_insert_with(|| executor.to_wire());
        if !may_come_from_executor(status.state()) {
            // Only agents and masters may say so; an executor that does is broken.
            out.count(Counter::InvalidStatusUpdates);
            self.shutdown_executor(out, framework, executor);
            return Ok(());
        }
        let update = StatusUpdate {
            framework_id: framework.to_wire(),
            executor_id: status.executor_id.clone(),
            slave_id: Some(own),
            status,
            timestamp,
            uuid: Some(uuid),
            latest_state: None,
        };
        self.check_room(out, framework, &update)?;
        self.status_update(out, update, Some(executor.clone()));
        Ok(())
    }

    /// A stream that is full takes only the end of its task.
    fn check_room(
        &self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        update: &StatusUpdate,
    ) -> Result<(), Refusal> {
        let task = TaskId::from(&update.status.task_id);
        let stream = self.updates.streams.get(&(framework.clone(), task.clone()));
        let known = self.frameworks.get(framework);
        let is_stray = known.is_some_and(|f| !f.tasks.contains_key(&task));
        let full = match stream {
            Some(stream) => {
                let uuid = update.uuid.clone().unwrap_or_default();
                stream.pending.len() >= limits::UNACKNOWLEDGED_UPDATES_PER_TASK
                    && !stream.has_seen(&uuid)
                    && (is_stray || !is_terminal(update.status.state()))
            }
            None => is_stray && self.has_too_many_strays(framework),
        };
        if !full {
            return Ok(());
        }
        out.count(Counter::InvalidStatusUpdates);
        Err(Refusal::new(
            RefusalKind::TooMany,
            "Too many updates of this task are not acknowledged yet",
        ))
    }

    fn has_too_many_strays(&self, framework: &FrameworkId) -> bool {
        let owned = self.frameworks.get(framework).map(|found| &found.tasks);
        let streams = self.updates.of_framework(framework);
        let strays =
            streams.filter(|(_, task)| !owned.is_some_and(|tasks| tasks.contains_key(task)));
        strays.count() >= limits::STRAY_STREAMS_PER_FRAMEWORK
    }

    /// Takes an update over: changes the task, and puts it into the task's stream.
    pub(crate) fn status_update(
        &mut self,
        out: &mut Outbox<'_>,
        mut update: StatusUpdate,
        sender: Option<ExecutorId>,
    ) {
        let framework = FrameworkId::from(&update.framework_id);
        let task = TaskId::from(&update.status.task_id);
        let uuid = update.uuid.clone().unwrap_or_default();
        let Some(found) = self.frameworks.get(&framework).filter(|f| !f.terminating) else {
            return out.count(Counter::InvalidStatusUpdates);
        };
        let owner = found.tasks.get(&task).cloned();
        if self.is_repeated_update(out, &framework, &task, &uuid, sender.as_ref()) {
            return;
        }
        let Some(owner) = owner else {
            return self.unowned_update(out, update, sender);
        };
        self.fill_container_status(&framework, &owner, &mut update.status);
        if !self.change_task(out, &framework, &owner, &update) {
            // Of no use any more; the executor need not keep it.
            if let Some(sender) = sender {
                self.acknowledge_to_executor(out, &framework, &sender, &task, uuid);
            }
            return;
        }
        out.count(Counter::ValidStatusUpdates);
        let path = self.log_path(&framework, &owner, &task);
        self.enter_stream(out, update, sender, path);
    }

    /// An update that the stream has, or had: the executor did not hear of it.
    fn is_repeated_update(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        uuid: &Bytes,
        sender: Option<&ExecutorId>,
    ) -> bool {
        let key = (framework.clone(), task.clone());
        let Some(stream) = self.updates.streams.get_mut(&key) else {
            return false;
        };
        if !stream.has_seen(uuid) {
            return false;
        }
        let waiting = stream.pending.iter_mut().find(|pending| {
            pending.update.uuid.as_ref() == Some(uuid) && pending.durability != Durability::Durable
        });
        match waiting {
            Some(pending) => pending.sender = sender.cloned(),
            None => {
                if let Some(sender) = sender.cloned() {
                    self.acknowledge_to_executor(out, framework, &sender, task, uuid.clone());
                }
            }
        }
        true
    }

    /// No executor here has the task: it is over and acknowledged, or an executor speaks of one that
    /// was never its own. compat: slave.cpp statusUpdate forwards the latter.
    fn unowned_update(
        &mut self,
        out: &mut Outbox<'_>,
        update: StatusUpdate,
        sender: Option<ExecutorId>,
    ) {
        let framework = FrameworkId::from(&update.framework_id);
        let task = TaskId::from(&update.status.task_id);
        let uuid = update.uuid.clone().unwrap_or_default();
        out.count(Counter::ValidStatusUpdates);
        let is_over = sender.as_ref().is_some_and(|sender| {
            let executor = self.executor(&framework, sender);
            executor.is_some_and(|e| e.completed.iter().any(|t| t.task_id.value == task.as_str()))
        });
        if !is_over {
            self.stray_update(out, update);
        }
        if let Some(sender) = sender {
            self.acknowledge_to_executor(out, &framework, &sender, &task, uuid);
        }
    }

    /// An update of a task that is not here: sent like any other, but never written down. What is too
    /// much is dropped; the master asks again when the agent registers again.
    pub(crate) fn stray_update(&mut self, out: &mut Outbox<'_>, update: StatusUpdate) {
        if self.has_too_many_strays(&FrameworkId::from(&update.framework_id)) {
            return out.count(Counter::InvalidStatusUpdates);
        }
        self.enter_stream(out, update, None, None);
    }

    /// Where the task runs, as far as the executor did not say so itself. A task that never reached
    /// its executor has no container.
    fn fill_container_status(
        &self,
        framework: &FrameworkId,
        owner: &ExecutorId,
        status: &mut v1::TaskStatus,
    ) {
        let Some(executor) = self.executor(framework, owner) else {
            return;
        };
        let task = executor.tasks.get(&TaskId::from(&status.task_id));
        if task.is_none_or(|task| task.phase == task::Phase::Queued) {
            return;
        }
        let known = status.container_status.get_or_insert_with(Default::default);
        let is_own = known
            .container_id
            .as_ref()
            .is_none_or(|id| *id == executor.container_id.to_wire());
        if is_own {
            known.container_id = Some(executor.container_id.to_wire());
            known.executor_pid = known.executor_pid.or(executor.pid);
        }
        if known.network_infos.is_empty() {
            known.network_infos.push(v1::NetworkInfo {
                ip_addresses: vec![v1::network_info::IpAddress {
                    ip_address: Some(self.pid.address.ip().to_string()),
                    ..Default::default()
                }],
                ..Default::default()
            });
        }
    }

    /// False when the update comes too late to change anything.
    fn change_task(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        owner: &ExecutorId,
        update: &StatusUpdate,
    ) -> bool {
        let task = TaskId::from(&update.status.task_id);
        let Some(executor) = self.executor_mut(framework, owner) else {
            return false;
        };
        let Some(live) = executor.tasks.get_mut(&task) else {
            return false;
        };
        if live.update(&update.status).is_err() {
            out.count(Counter::InvalidStatusUpdates);
            return false;
        }
        let state = update.status.state();
        executor.show_task(out, &task);
        if is_terminal(state) {
            out.count(Counter::TasksEnded(state));
            // A command executor has nothing to do without its task; its bounds die with it.
            if !executor.generated && executor.state == State::Running {
                executor.update_limits(out);
            }
        }
        true
    }

    fn log_path(
        &self,
        framework: &FrameworkId,
        owner: &ExecutorId,
        task: &TaskId,
    ) -> Option<String> {
        let executor = self.executor(framework, owner)?;
        let run_dir = self.run_dir_of(executor);
        executor
            .checkpoint
            .then(|| format!("{}/task.updates", checkpoint::task_dir(&run_dir, task)))
    }

    fn enter_stream(
        &mut self,
        out: &mut Outbox<'_>,
        update: StatusUpdate,
        sender: Option<ExecutorId>,
        path: Option<String>,
    ) {
        let key = (
            FrameworkId::from(&update.framework_id),
            TaskId::from(&update.status.task_id),
        );
        let uuid = update.uuid.clone().unwrap_or_default();
        let stream = self.updates.streams.entry(key.clone());
        let stream = stream.or_insert_with(|| Stream {
            log: path.map(Log::new),
            ..Stream::default()
        });
        stream.remember(uuid.clone());
        match &mut stream.log {
            Some(log) => {
                log.unwritten.extend_from_slice(&update_record(&update));
                stream.pending.push_back(Pending {
                    update,
                    durability: Durability::Unwritten,
                    sender,
                });
                self.write_stream(out, &key);
            }
            None => {
                stream.pending.push_back(Pending {
                    update,
                    durability: Durability::Durable,
                    sender: None,
                });
                if let Some(sender) = sender {
                    self.acknowledge_to_executor(out, &key.0, &sender, &key.1, uuid);
                }
            }
        }
        self.forward(out, &key);
    }

    fn write_stream(&mut self, out: &mut Outbox<'_>, key: &Key) {
        let stream = self.updates.streams.get_mut(key);
        let Some(write) = stream.and_then(Stream::next_write) else {
            return;
        };
        let then = Then::Updates(key.0.clone(), key.1.clone());
        let seq = self.persist(out, vec![write], then);
        let stream = self.updates.streams.get_mut(key);
        let log = stream.and_then(|stream| stream.log.as_mut());
        if let Some(in_flight) = log.and_then(|log| log.in_flight.as_mut()) {
            in_flight.seq = Some(seq);
        }
    }

    pub(crate) fn updates_persisted(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        seq: Seq,
    ) {
        let key = (framework.clone(), task.clone());
        let stream = self.updates.streams.get_mut(&key);
        let Some(stream) = stream.filter(|stream| stream.is_writing(seq)) else {
            return;
        };
        for (sender, uuid) in stream.written() {
            self.acknowledge_to_executor(out, framework, &sender, task, uuid);
        }
        self.write_stream(out, &key);
        self.forward(out, &key);
    }

    pub(crate) fn updates_not_persisted(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        seq: Seq,
    ) {
        let key = (framework.clone(), task.clone());
        let stream = self.updates.streams.get_mut(&key);
        let stream = stream.filter(|stream| stream.is_writing(seq));
        if let Some(wait) = stream.and_then(Stream::not_written) {
            out.wake(Timer::UpdateRetry(key.0, key.1), wait);
        }
    }

    fn acknowledge_to_executor(
        &self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        task: &TaskId,
        uuid: Bytes,
    ) {
        let acknowledged = v1::executor::event::Acknowledged {
            task_id: task.to_wire(),
            uuid,
        };
        if let Some(executor) = self.executor(framework, executor) {
            executor.send(
                out,
                v1::executor::Event {
                    acknowledged: Some(acknowledged),
                    ..event(v1::executor::event::Type::Acknowledged)
                },
            );
        }
    }

    /// Sends the oldest update if it may go and is not on its way.
    fn forward(&mut self, out: &mut Outbox<'_>, key: &Key) {
        let stream = self.updates.streams.get(key);
        if stream.is_some_and(|stream| stream.sent.is_none()) {
            self.send_oldest(out, key, limits::UPDATE_RETRY_MIN);
        }
    }

    fn send_oldest(&mut self, out: &mut Outbox<'_>, key: &Key, again_after: Duration) {
        let (Some(master), Phase::Running) = (self.registration.master.clone(), self.phase) else {
            return;
        };
        let Some(stream) = self.updates.streams.get_mut(key) else {
            return;
        };
        let Some(update) = stream.ready() else {
            return;
        };
        let mut update = update.clone();
        stream.sent = Some(again_after);
        update.latest_state = self.note_sent(key, &update);
        let message = internal::StatusUpdateMessage {
            update,
            pid: Some(self.pid.to_string()),
        };
        out.send(&master, message);
        out.wake(
            Timer::UpdateRetry(key.0.clone(), key.1.clone()),
            again_after,
        );
    }

    /// Notes on the task which update is on its way (re-registration tells it), and answers its
    /// newest state, which lets the master free resources early.
    fn note_sent(&mut self, key: &Key, update: &StatusUpdate) -> Option<i32> {
        let framework = self.frameworks.get_mut(&key.0)?;
        let owner = framework.tasks.get(&key.1)?;
        let executor = framework.executors.get_mut(owner)?;
        let live = executor.tasks.get_mut(&key.1)?;
        live.task.status_update_state = Some(update.status.state);
        live.task.status_update_uuid = update.uuid.clone();
        Some(live.task.state)
    }

    /// The retry timer of a stream: a write that failed, or an update that nobody acknowledged.
    pub(crate) fn update_retry(
        &mut self,
        out: &mut Outbox<'_>,
        framework: FrameworkId,
        task: TaskId,
    ) {
        let key = (framework, task);
        self.write_stream(out, &key);
        let Some(stream) = self.updates.streams.get(&key) else {
            return;
        };
        match stream.sent {
            Some(waited) => {
                let longer = (waited * 2).min(limits::UPDATE_RETRY_MAX);
                self.send_oldest(out, &key, longer);
            }
            None => self.forward(out, &key),
        }
    }

    /// A master is there again: the oldest of every stream goes out once more.
    pub(crate) fn resume_updates(&mut self, out: &mut Outbox<'_>) {
        let keys: Vec<Key> = self.updates.streams.keys().cloned().collect();
        for key in keys {
            self.send_oldest(out, &key, limits::UPDATE_RETRY_MIN);
        }
    }

    /// The framework has a new scheduler, which did not get what was sent to the old one.
    pub(crate) fn resend_framework_heads(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId) {
        let keys: Vec<Key> = self.updates.of_framework(framework).cloned().collect();
        for key in keys {
            self.send_oldest(out, &key, limits::UPDATE_RETRY_MIN);
        }
    }

    /// The scheduler has the update. Any other than the one on its way is of an earlier sending.
    pub(crate) fn update_acknowledged(
        &mut self,
        out: &mut Outbox<'_>,
        framework: FrameworkId,
        task: TaskId,
        uuid: &Bytes,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let key = (framework, task);
        let Some(stream) = self.updates.streams.get_mut(&key) else {
            return;
        };
        let is_oldest = stream
            .ready()
            .is_some_and(|oldest| oldest.uuid.as_ref() == Some(uuid));
        if !is_oldest || stream.sent.is_none() {
            return;
        }
        let Some(oldest) = stream.pending.pop_front() else {
            return;
        };
        stream.sent = None;
        out.cancel(Timer::UpdateRetry(key.0.clone(), key.1.clone()));
        if let Some(log) = &mut stream.log {
            log.unwritten.extend_from_slice(&ack_record(uuid.clone()));
            log.unwritten_ack = true;
        }
        self.write_stream(out, &key);
        let owned = self
            .frameworks
            .get(&key.0)
            .is_some_and(|f| f.tasks.contains_key(&key.1));
        if is_terminal(oldest.update.status.state()) {
            self.updates.streams.remove(&key);
            self.task_over(out, &key.0, &key.1);
        } else if !owned
            && self
                .updates
                .streams
                .get(&key)
                .is_some_and(|s| s.pending.is_empty())
        {
            self.updates.streams.remove(&key);
            self.remove_framework_if_idle(out, &key.0);
        } else {
            self.forward(out, &key);
        }
    }

    /// The end of a task is acknowledged: history from here on.
    fn task_over(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId, task: &TaskId) {
        let Some(found) = self.frameworks.get_mut(framework) else {
            return;
        };
        let owner = found.tasks.remove(task);
        if let Some(owner) = &owner
            && let Some(executor) = found.executors.get_mut(owner)
        {
            let run = executor.container_id.clone();
            executor.complete(out, task);
            if executor.checkpoint && executor.state != State::Terminated && !executor.generated {
                let garbage = Garbage::Task(framework.clone(), owner.clone(), run, task.clone());
                self.collect(out, garbage);
            }
        }
        if let Some(owner) = owner {
            self.remove_executor_if_done(out, framework, &owner);
        }
        self.remove_framework_if_idle(out, framework);
    }

    /// Nobody will acknowledge anything of this framework any more.
    pub(crate) fn drop_framework_streams(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId) {
        let keys: Vec<Key> = self.updates.of_framework(framework).cloned().collect();
        for key in keys {
            self.updates.streams.remove(&key);
            out.cancel(Timer::UpdateRetry(key.0, key.1));
        }
    }
}
