//! Updates on their way: to disk, back to the executor, on to the master, until acknowledged.
//!
//! The oldest of each stream goes out once it is safe, and again after 10 s, doubling to 10 minutes;
//! the next one goes when it is acknowledged. Without a master all rest.

use std::time::Duration;

use bytes::Bytes;
use meseta_model::ids::{ExecutorId, FrameworkId, TaskId};
use meseta_model::step::Seq;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::internal::{self, StatusUpdate};
use meseta_proto::mesos::v1;

use crate::agent::{Agent, Phase};
use crate::checkpoint::Then;
use crate::event::Timer;
use crate::executor::{State, event};
use crate::gc::Garbage;
use crate::limits;
use crate::outbox::Outbox;
use crate::update_stream::{self, Stream};
use crate::updates::Key;

impl Agent {
    pub(crate) fn write_stream(&mut self, out: &mut Outbox<'_>, key: &Key) {
        let stream = self.updates.streams.get_mut(key);
        let Some(write) = stream.and_then(Stream::next_write) else {
            return;
        };
        let then = Then::Updates(key.0.clone(), key.1.clone());
        let seq = self.persist(out, vec![write], then);
        if let Some(stream) = self.updates.streams.get_mut(key) {
            stream.write_started(seq);
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
        let framework = self.frameworks.get(framework);
        let owner = framework.and_then(|found| found.tasks.get(task).cloned());
        if let Some(owner) = owner {
            self.tell_exit_if_safe(out, &key.0, &owner);
        }
    }

    pub(crate) fn updates_not_persisted(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        seq: Seq,
        error: &str,
    ) {
        let key = (framework.clone(), task.clone());
        let stream = self.updates.streams.get_mut(&key);
        let stream = stream.filter(|stream| stream.is_writing(seq));
        let Some(failures) = stream.and_then(Stream::not_written) else {
            return;
        };
        if failures < limits::UPDATE_WRITES_FAILED {
            let wait = update_stream::retry_after(failures);
            return out.wake(Timer::UpdateWriteRetry(key.0, key.1), wait);
        }
        let work = &self.config.work_dir;
        let reason = format!(
            "the status updates of task {task} of framework {framework} could not be written \
             {failures} times in a row, at last: {error}. See to the disk of '{work}/meta' and start \
             the agent again; executors keep what it has not acknowledged"
        );
        self.exit(out, reason);
    }

    pub(crate) fn acknowledge_to_executor(
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
    pub(crate) fn forward(&mut self, out: &mut Outbox<'_>, key: &Key) {
        let stream = self.updates.streams.get(key);
        if stream.is_some_and(|stream| stream.sent().is_none()) {
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
        stream.note_sent(again_after);
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

    /// Nobody acknowledged the update that is on its way.
    pub(crate) fn update_retry(
        &mut self,
        out: &mut Outbox<'_>,
        framework: FrameworkId,
        task: TaskId,
    ) {
        let key = (framework, task);
        let stream = self.updates.streams.get(&key);
        if let Some(waited) = stream.and_then(Stream::sent) {
            let longer = (waited * 2).min(limits::UPDATE_RETRY_MAX);
            self.send_oldest(out, &key, longer);
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
        let Some(oldest) = self.updates.acknowledge(&key, uuid) else {
            return;
        };
        out.cancel(Timer::UpdateRetry(key.0.clone(), key.1.clone()));
        self.write_stream(out, &key);
        let owned = self
            .frameworks
            .get(&key.0)
            .is_some_and(|f| f.tasks.contains_key(&key.1));
        if is_terminal(oldest.status.state()) {
            self.updates.remove(&key);
            self.task_over(out, &key.0, &key.1);
        } else if !owned && self.updates.streams.get(&key).is_some_and(|s| s.is_empty()) {
            self.updates.remove(&key);
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

    /// A task is launched under an id that something was said of when no task here had it. That is
    /// settled: the launch comes from a scheduler that may use the id again.
    pub(crate) fn drop_stray_stream(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        task: &TaskId,
    ) {
        let key = (framework.clone(), task.clone());
        if self.updates.remove(&key) {
            out.cancel(Timer::UpdateRetry(key.0, key.1));
        }
    }

    /// Nobody will acknowledge anything of this framework any more.
    pub(crate) fn drop_framework_streams(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId) {
        let keys: Vec<Key> = self.updates.of_framework(framework).cloned().collect();
        for key in keys {
            self.updates.remove(&key);
            out.cancel(Timer::UpdateRetry(key.0.clone(), key.1.clone()));
            out.cancel(Timer::UpdateWriteRetry(key.0, key.1));
        }
    }
}
