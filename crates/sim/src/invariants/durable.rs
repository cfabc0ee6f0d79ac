//! Nothing leaves before it is on disk: for a checkpointing framework no program runs before its pid is
//! written, no executor is given a task before its description is, no update goes out or is acknowledged
//! before its record is. (Design, section 3; agent invariants.)

use std::collections::BTreeSet;

use bytes::Bytes;
use meseta_agent::event::{Effect, Event, MetaEntry};
use meseta_model::edge::StreamId;
use meseta_model::ids::{ContainerId, FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_proto::actor::Message;
use meseta_proto::decode;
use meseta_proto::mesos::internal::StatusUpdateRecord;
use meseta_proto::mesos::v1::executor;
use meseta_runtime::Output;
use std::collections::BTreeMap;

use super::{Books, Found, Invariant, Seen};

const UPDATE: &str = "updates leave after they are written";
const TAKEN: &str = "updates are acknowledged after they are written";
const PID: &str = "programs run after their pid is written";
const TASK: &str = "tasks are given after they are written";

#[derive(Default)]
struct Disk {
    updates: BTreeSet<Bytes>,
    /// Paths ever written.
    paths: BTreeSet<String>,
    /// The executor behind each stream.
    streams: BTreeMap<StreamId, (FrameworkId, String)>,
}

pub(super) struct Durable {
    agents: Vec<Disk>,
}

impl Durable {
    pub(super) fn new(agents: usize) -> Self {
        Self {
            agents: (0..agents).map(|_| Disk::default()).collect(),
        }
    }
}

/// The records in these writes: a `task.updates` file is a row of messages, each after its length in
/// four bytes.
pub(super) fn records_in(writes: &[Write]) -> Vec<StatusUpdateRecord> {
    let mut found = Vec::new();
    for write in writes {
        let (Write::Put { path, bytes } | Write::Append { path, bytes }) = write else {
            continue;
        };
        if !path.ends_with("/task.updates") {
            continue;
        }
        let mut rest = bytes.clone();
        while let Some(length) = rest.first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if rest.len() < 4 + length {
                break;
            }
            let record = rest.split_to(4 + length).split_off(4);
            found.extend(decode(&record).ok());
        }
    }
    found
}

/// The uuids of the updates in these writes.
pub(super) fn updates_in(writes: &[Write]) -> Vec<Bytes> {
    let updates = records_in(writes)
        .into_iter()
        .filter_map(|record| record.update);
    updates.filter_map(|update| update.uuid).collect()
}

/// What an agent reads when it starts, as the writes that would have made it.
pub(super) fn writes_of(meta: &[MetaEntry]) -> Vec<Write> {
    let files = meta.iter().filter_map(|entry| match entry {
        MetaEntry::File { path, bytes } => Some(Write::Put {
            path: path.clone(),
            bytes: bytes.clone(),
        }),
        MetaEntry::Symlink { .. } => None,
    });
    files.collect()
}

impl Disk {
    fn written(&mut self, writes: &[Write]) {
        self.updates.extend(updates_in(writes));
        for write in writes {
            if let Write::Put { path, .. } = write {
                self.paths.insert(path.clone());
            }
        }
    }

    fn has(&self, end: &str) -> bool {
        self.paths.iter().any(|path| path.ends_with(end))
    }

    fn container_of(&self, stream: &StreamId, agent: usize, books: &Books) -> Option<ContainerId> {
        let (framework, executor) = self.streams.get(stream)?;
        let executors = books.agents[agent].executors.iter();
        let own = executors.filter(|(_, (f, e, _))| f == framework && e.as_str() == executor);
        own.map(|(container, _)| container.clone()).next_back()
    }
}

impl Invariant for Durable {
    fn kinds(&self) -> &'static [&'static str] {
        &[UPDATE, TAKEN, PID, TASK]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::Flushed {
                agent,
                writes,
                done: true,
            } => self.agents[*agent].written(writes),
            Seen::AgentTakes {
                agent,
                event: Event::Started(started),
            } => self.agents[*agent].written(&writes_of(&started.meta)),
            Seen::AgentTakes {
                agent,
                event: Event::ExecutorSubscribed { stream, call, .. },
            } => {
                let framework = FrameworkId::from(&call.framework_id);
                let who = (framework, call.executor_id.value.clone());
                self.agents[*agent].streams.insert(stream.clone(), who);
            }
            Seen::AgentDoes {
                agent,
                output: Output::Effect(effect),
            } => self.effect(*agent, effect, books, found),
            _ => {}
        }
    }
}

impl Durable {
    fn effect(&self, agent: usize, effect: &Effect, books: &Books, found: &mut Found) {
        match effect {
            Effect::Send { message, .. } => {
                if let Message::StatusUpdate(message) = &**message {
                    let update = &message.update;
                    let key = (
                        FrameworkId::from(&update.framework_id),
                        TaskId::from(&update.status.task_id),
                    );
                    let uuid = update.uuid.clone().unwrap_or_default();
                    self.check_update(UPDATE, agent, key, &uuid, books, found);
                }
            }
            Effect::ReleaseContainer(id) => {
                let book = &books.agents[agent];
                let owner = books.containers.get(id);
                if owner.is_some_and(|framework| book.checkpoints(framework)) {
                    let path = format!("/runs/{}/pids/forked.pid", id.value());
                    let written = self.agents[agent].has(&path);
                    found.check(PID, written, || format!("container {id}"));
                }
            }
            Effect::SendEvent { stream, event } => {
                self.executor_event(agent, stream, event, books, found);
            }
            _ => {}
        }
    }

    fn executor_event(
        &self,
        agent: usize,
        stream: &StreamId,
        event: &executor::Event,
        books: &Books,
        found: &mut Found,
    ) {
        let disk = &self.agents[agent];
        let Some((framework, _)) = disk.streams.get(stream) else {
            return;
        };
        if !books.agents[agent].checkpoints(framework) {
            return;
        }
        if let Some(launch) = &event.launch
            && let Some(container) = disk.container_of(stream, agent, books)
        {
            let task = &launch.task.task_id.value;
            let path = format!("/runs/{}/tasks/{task}/task.info", container.value());
            let written = disk.has(&path);
            found.check(TASK, written, || {
                format!("task {task} in container {container}")
            });
        }
        if let Some(acknowledged) = &event.acknowledged {
            let key = (framework.clone(), TaskId::from(&acknowledged.task_id));
            self.check_update(TAKEN, agent, key, &acknowledged.uuid, books, found);
        }
    }

    /// Updates of tasks that the agent has not, or not any more, are written nowhere; those that came
    /// after the end of their task are dropped.
    fn check_update(
        &self,
        kind: &'static str,
        agent: usize,
        key: (FrameworkId, TaskId),
        uuid: &Bytes,
        books: &Books,
        found: &mut Found,
    ) {
        let book = &books.agents[agent];
        let Some(row) = book.tasks.get(&key).filter(|_| book.checkpoints(&key.0)) else {
            return;
        };
        let over = row.list == meseta_agent::view::TaskList::Terminated;
        if kind == TAKEN && over {
            return;
        }
        let written = self.agents[agent].updates.contains(uuid);
        found.check(kind, written, || {
            format!("an update of {} {} on agent{}", key.0, key.1, agent + 1)
        });
    }
}
