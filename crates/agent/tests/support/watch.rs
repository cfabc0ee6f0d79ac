//! What must hold of every effect, whatever the events were.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_agent::event::{Effect, MetaEntry, Timer};
use meseta_agent::view::{Delta, TaskList};
use meseta_model::edge::RequestId;
use meseta_model::step::Effect as Wish;
use meseta_model::task_state::is_terminal;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::{StatusUpdate, StatusUpdateRecord};
use meseta_proto::mesos::v1;

use super::world::World;

pub type TaskKey = (String, String);

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Given,
    /// Its end is acknowledged.
    Settled,
}

/// Watches effects as they come.
#[derive(Default)]
pub struct Watch {
    /// Requests without an answer.
    pub open: BTreeSet<RequestId>,
    /// The update of each task that is on its way to the master.
    pub in_flight: BTreeMap<TaskKey, StatusUpdate>,
    /// Tasks whose present update the test acknowledged.
    pub acknowledged: BTreeSet<TaskKey>,
    /// All UUIDs that went to the master.
    pub sent: BTreeSet<(TaskKey, Bytes)>,
    /// UUIDs that an executor was told are safe, with their tasks.
    pub promised: BTreeSet<(TaskKey, Bytes)>,
    /// Terminal states seen in the views, by run and task.
    over: BTreeMap<(String, String), v1::TaskState>,
    /// UUIDs of updates that a task shows: taken over, and owed to the master.
    pub accepted: BTreeSet<(TaskKey, Bytes)>,
    /// Containers asked for since the test looked last.
    pub runs: Vec<String>,
    launched: BTreeSet<String>,
    released: BTreeSet<String>,
    pub exited: Option<String>,
    /// Given to an executor.
    pub given: BTreeSet<TaskKey>,
    /// When tasks were given and settled, by the number of writes done until then.
    pub history: Vec<(usize, TaskKey, Fate)>,
}

impl Watch {
    /// The process died: what it promised to masters starts anew, what it promised to executors of
    /// checkpointing frameworks stays.
    pub fn restarted(&mut self, checkpoints: &BTreeSet<String>) {
        self.open.clear();
        // What was held died with the process.
        let released = &self.released;
        self.launched.retain(|run| released.contains(run));
        self.in_flight.clear();
        self.acknowledged.clear();
        self.over.clear();
        self.promised
            .retain(|((framework, _), _)| checkpoints.contains(framework));
        // What was not safe may be gone; the executor keeps it.
        let promised = &self.promised;
        self.accepted.retain(|update| promised.contains(update));
        self.given
            .retain(|(framework, _)| checkpoints.contains(framework));
    }

    /// Checks one effect, with the disk as it was when it came.
    pub fn check(
        &mut self,
        wish: &Wish<Timer, Effect>,
        world: &World,
        checkpoints: &BTreeSet<String>,
    ) {
        assert!(self.exited.is_none(), "an effect after the exit: {wish:?}");
        let Wish::Do { effect, .. } = wish else {
            return;
        };
        match effect {
            Effect::Reply { request, .. } => {
                assert!(self.open.remove(request), "{request:?} was answered before");
            }
            Effect::Exit { reason } => self.exited = Some(reason.clone()),
            Effect::LaunchContainer(spec) => {
                let run = spec.container_id.to_string();
                if checkpoints.contains(&spec.environment["MESOS_FRAMEWORK_ID"]) {
                    assert!(
                        on_disk(world, &format!("runs/{run}/tasks/")),
                        "no task.info"
                    );
                }
                self.runs.push(run.clone());
                assert!(self.launched.insert(run), "launched twice");
            }
            Effect::ReleaseContainer(run) => {
                let run = run.to_string();
                assert!(self.launched.contains(&run));
                assert!(self.released.insert(run), "released twice");
            }
            Effect::SendEvent { event, .. } => self.check_event(event, world, checkpoints),
            Effect::Send { message, .. } => {
                if let Message::StatusUpdate(message) = message.as_ref() {
                    self.check_update(&message.update, world, checkpoints);
                }
            }
            Effect::Changed(Delta::Task {
                container_id,
                task,
                list,
            }) => {
                let last = task.statuses.last().and_then(|status| status.uuid.clone());
                let id = task.task_id.value.clone();
                let owner = (framework_of(&id), id);
                self.accepted.extend(last.map(|uuid| (owner.clone(), uuid)));
                if *list == TaskList::Queued {
                    // What was said of the id before is settled.
                    self.in_flight.remove(&owner);
                    self.given.remove(&owner);
                }
                let key = (container_id.to_string(), task.task_id.value.clone());
                if *list == TaskList::Queued {
                    self.over.remove(&key);
                }
                if let Some(state) = self.over.get(&key) {
                    assert_eq!(*state, task.state(), "{key:?} changed after its end");
                }
                if is_terminal(task.state()) {
                    self.over.insert(key, task.state());
                }
            }
            _ => {}
        }
    }

    fn check_event(
        &mut self,
        event: &v1::executor::Event,
        world: &World,
        checkpoints: &BTreeSet<String>,
    ) {
        if let Some(acknowledged) = &event.acknowledged {
            let task = acknowledged.task_id.value.clone();
            let framework = framework_of(&task);
            let safe = holds(world, &task, &acknowledged.uuid);
            let checkpointed = checkpoints.contains(&framework);
            let promise = ((framework, task), acknowledged.uuid.clone());
            // What came after the end of its task is of no use to anyone.
            if self.accepted.contains(&promise) {
                assert!(safe || !checkpointed, "{promise:?} was not safe yet");
                self.promised.insert(promise);
            }
        }
        let launched = event.launch.iter().map(|launch| &launch.task);
        let groups = event.launch_group.iter();
        let grouped = groups.flat_map(|group| &group.task_group.tasks);
        for task in launched.chain(grouped) {
            let id = task.task_id.value.clone();
            let framework = framework_of(&id);
            if checkpoints.contains(&framework) {
                assert!(has_task(world, &framework, &id), "{id} is not on disk");
            }
            let key = (framework, id);
            self.history
                .push((world.written.len(), key.clone(), Fate::Given));
            assert!(self.given.insert(key), "given twice");
        }
    }

    fn check_update(
        &mut self,
        update: &StatusUpdate,
        world: &World,
        checkpoints: &BTreeSet<String>,
    ) {
        let framework = update.framework_id.value.clone();
        let task = update.status.task_id.value.clone();
        let uuid = update.uuid.clone().unwrap();
        let checkpointed = checkpoints.contains(&framework);
        let key = (framework, task);
        // What is said of tasks that are not here is not written down.
        if checkpointed && self.accepted.contains(&(key.clone(), uuid.clone())) {
            assert!(
                holds(world, &key.1, &uuid),
                "{key:?} went out before it was safe"
            );
        }
        if let Some(previous) = self.in_flight.get(&key) {
            let same = previous.uuid == update.uuid;
            assert!(
                same || self.acknowledged.contains(&key),
                "{key:?}: the next update went out before the first was acknowledged"
            );
            let old = previous.uuid.clone().unwrap();
            let goes_on = !is_terminal(previous.status.state());
            if !same
                && goes_on
                && checkpointed
                && self.accepted.contains(&(key.clone(), old.clone()))
            {
                assert!(
                    holds_ack(world, &key.1, &old),
                    "{key:?}: its acknowledgement is not safe"
                );
            }
        }
        self.acknowledged.remove(&key);
        self.sent.insert((key.clone(), uuid));
        self.in_flight.insert(key, update.clone());
    }
}

/// In these tests a task's id begins with its framework's.
pub fn framework_of(task: &str) -> String {
    task.split('.').next().unwrap().to_owned()
}

fn on_disk(world: &World, part: &str) -> bool {
    world
        .meta
        .keys()
        .any(|path| path.contains(part) && path.ends_with("task.info"))
}

pub fn has_task(world: &World, framework: &str, task: &str) -> bool {
    let ending = format!("/tasks/{task}/task.info");
    let part = format!("/frameworks/{framework}/");
    let mut paths = world.meta.keys();
    paths.any(|path| path.ends_with(&ending) && path.contains(&part))
}

/// Whether the update is in the task's file.
fn holds(world: &World, task: &str, uuid: &Bytes) -> bool {
    let is_it = |record: &StatusUpdateRecord| {
        let update = record.update.as_ref();
        update.is_some_and(|update| update.uuid.as_ref() == Some(uuid))
    };
    task_records(world, task).iter().any(is_it)
}

/// Whether the update's acknowledgement is in the task's file.
fn holds_ack(world: &World, task: &str, uuid: &Bytes) -> bool {
    let is_it = |record: &StatusUpdateRecord| record.uuid.as_ref() == Some(uuid);
    task_records(world, task).iter().any(is_it)
}

fn task_records(world: &World, task: &str) -> Vec<StatusUpdateRecord> {
    let ending = format!("/tasks/{task}/task.updates");
    let files = world
        .meta
        .iter()
        .filter(|(path, _)| path.ends_with(&ending));
    files.flat_map(|(_, entry)| records(entry)).collect()
}

/// The records of a `task.updates` file, all of which must be whole.
pub fn records(entry: &MetaEntry) -> Vec<StatusUpdateRecord> {
    let MetaEntry::File { bytes, path } = entry else {
        panic!("no file: {entry:?}");
    };
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let record = rest.get(4..4 + length);
        let record = record.unwrap_or_else(|| panic!("{path} ends within a record"));
        all.push(meseta_proto::decode(record).unwrap());
        rest = &rest[4 + length..];
    }
    all
}
