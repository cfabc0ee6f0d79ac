//! What is said of a task: taken in, looked over, noted on the task.
//!
//! Each task has one [`Stream`]. An update enters it, is written down if its framework checkpoints,
//! and goes on its way to the master in [`crate::forwarding`].

use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_model::edge::{Refusal, RefusalKind};
use meseta_model::ids::{ExecutorId, FrameworkId, TaskId};
use meseta_model::task as model;
use meseta_model::task_state::{is_terminal, may_come_from_executor};
use meseta_proto::mesos::internal::StatusUpdate;
use meseta_proto::mesos::v1;
use v1::TaskState;
use v1::task_status::Source;

use crate::agent::Agent;
use crate::checkpoint;
use crate::limits;
use crate::outbox::Outbox;
use crate::task::{self, Verdict};
use crate::update_stream::{self, Repeated, Restored, Stream};
use crate::view::Counter;

/// Whose stream: a framework's task.
pub(crate) type Key = (FrameworkId, TaskId);

/// All streams with something unacknowledged, or of a task that is not over.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    pub(crate) streams: BTreeMap<Key, Stream>,
    /// What the unacknowledged updates of each framework take, if there are any.
    bytes: BTreeMap<FrameworkId, usize>,
}

impl Updates {
    pub(crate) fn has_framework(&self, framework: &FrameworkId) -> bool {
        self.of_framework(framework).next().is_some()
    }

    pub(crate) fn of_framework(&self, framework: &FrameworkId) -> impl Iterator<Item = &Key> {
        let first = (framework.clone(), TaskId::from(""));
        let all = self.streams.range(first..).map(|(key, _)| key);
        all.take_while(move |(owner, _)| owner == framework)
    }

    /// A stream of an earlier life: what of it is unacknowledged, and what was seen of it.
    pub(crate) fn restore(&mut self, key: Key, path: String, stream: Restored) {
        let stream = Stream::restored(path, stream);
        self.remove(&key);
        self.account(&key.0, 0, stream.bytes());
        self.streams.insert(key, stream);
    }

    /// See [`Stream::push`]; a new stream is written to this path.
    fn push(
        &mut self,
        key: &Key,
        update: StatusUpdate,
        sender: Option<ExecutorId>,
        path: Option<String>,
    ) -> Option<ExecutorId> {
        let stream = self.streams.entry(key.clone());
        let stream = stream.or_insert_with(|| Stream::new(path));
        let before = stream.bytes();
        let told = stream.push(update, sender);
        let after = stream.bytes();
        self.account(&key.0, before, after);
        told
    }

    /// See [`Stream::acknowledge`].
    pub(crate) fn acknowledge(&mut self, key: &Key, uuid: &Bytes) -> Option<StatusUpdate> {
        let stream = self.streams.get_mut(key)?;
        let before = stream.bytes();
        let acknowledged = stream.acknowledge(uuid);
        let after = stream.bytes();
        self.account(&key.0, before, after);
        acknowledged
    }

    /// Forgets a stream. Answers whether there was one.
    pub(crate) fn remove(&mut self, key: &Key) -> bool {
        let Some(stream) = self.streams.remove(key) else {
            return false;
        };
        self.account(&key.0, stream.bytes(), 0);
        true
    }

    /// What the unacknowledged updates of a framework take.
    fn bytes_of(&self, framework: &FrameworkId) -> usize {
        self.bytes.get(framework).copied().unwrap_or(0)
    }

    fn account(&mut self, framework: &FrameworkId, before: usize, after: usize) {
        let bytes = self.bytes_of(framework) + after - before;
        if bytes == 0 {
            self.bytes.remove(framework);
        } else {
            self.bytes.insert(framework.clone(), bytes);
        }
    }
}

impl Agent {
    /// An update that the agent makes itself.
    pub(crate) fn agent_update(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        executor: Option<&ExecutorId>,
        verdict: &Verdict,
    ) -> StatusUpdate {
        let uuid = Bytes::copy_from_slice(&self.rng.uuid_bytes());
        let status = v1::TaskStatus {
            message: Some(verdict.message.clone()),
            reason: Some(verdict.reason.into()),
            executor_id: executor.map(ExecutorId::to_wire),
            uuid: Some(uuid),
            ..model::status(task, verdict.state, Source::Agent, out.now)
        };
        model::status_update(framework, self.id.as_ref(), status, out.now)
    }

    /// The same, taken over at once.
    pub(crate) fn tell(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        executor: Option<&ExecutorId>,
        verdict: &Verdict,
    ) {
        let update = self.agent_update(out, framework, task, executor, verdict);
        self.status_update(out, update, None);
    }

    /// An executor's UPDATE, passed on with the `executor_id` that it holds or does not hold (compat:
    /// slave.cpp adds none for executors of the v1 API). Accepted means that it is taken or of no use; it is acknowledged to the
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
        if !may_come_from_executor(status.state()) {
            // Only agents and masters may say so; an executor that does is broken.
            out.count(Counter::InvalidStatusUpdates);
            self.shutdown_executor(out, framework, executor);
            return Ok(());
        }
        status.source = Some(Source::Executor.into());
        status.uuid = Some(uuid);
        let update = model::status_update(framework, self.id.as_ref(), status, out.now);
        if let Some(executor) = self.executor_mut(framework, executor) {
            executor.ever_sent = true;
        }
        self.check_room(out, framework, &update)?;
        self.status_update(out, update, Some(executor.clone()));
        Ok(())
    }

    /// No update is taken that is too large. A stream that is full takes only the end of its task, and so
    /// do all of a framework whose updates take too much together.
    fn check_room(
        &self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        update: &StatusUpdate,
    ) -> Result<(), Refusal> {
        let bytes = update_stream::record_bytes(update);
        if bytes > limits::UPDATE_BYTES {
            out.count(Counter::InvalidStatusUpdates);
            return Err(Refusal::invalid(format!(
                "Failed to validate Executor::Call: The update takes {bytes} bytes, more than the {} \
                 that an agent keeps of one",
                limits::UPDATE_BYTES
            )));
        }
        let task = TaskId::from(&update.status.task_id);
        let stream = self.updates.streams.get(&(framework.clone(), task.clone()));
        let known = self.frameworks.get(framework);
        let is_stray = known.is_some_and(|f| !f.tasks.contains_key(&task));
        let full = match stream {
            Some(stream) => {
                stream.len() >= limits::UNACKNOWLEDGED_UPDATES_PER_TASK
                    || stream.bytes() + bytes > limits::UNACKNOWLEDGED_BYTES_PER_TASK
            }
            None => is_stray && self.has_too_many_strays(framework),
        };
        let all = self.updates.bytes_of(framework) + bytes;
        let full = full || all > limits::UNACKNOWLEDGED_BYTES_PER_FRAMEWORK;
        let uuid = update.uuid.clone().unwrap_or_default();
        let is_repeated = stream.is_some_and(|stream| stream.has_seen(&uuid));
        let can_wait = is_stray || !is_terminal(update.status.state());
        if !full || is_repeated || !can_wait {
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
        if stream.repeat(uuid, sender) == Repeated::AcknowledgeNow
            && let Some(sender) = sender
        {
            self.acknowledge_to_executor(out, framework, sender, task, uuid.clone());
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
        let is_lost = matches!(status.state(), TaskState::TaskDropped | TaskState::TaskLost);
        let never_arrived = is_lost && status.source() == Source::Agent;
        if never_arrived || task.is_none_or(|task| task.phase == task::Phase::Queued) {
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
            executor.task_ended(out, &task);
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
            .then(|| checkpoint::updates_file(&run_dir, task))
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
        if let Some(sender) = self.updates.push(&key, update, sender, path) {
            self.acknowledge_to_executor(out, &key.0, &sender, &key.1, uuid);
        }
        self.write_stream(out, &key);
        self.forward(out, &key);
    }
}
