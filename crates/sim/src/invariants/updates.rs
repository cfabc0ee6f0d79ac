//! Updates go in order, and at least once until they are acknowledged. (Semantics 69 to 74.)
//!
//! Order is checked twice: at the agent, which must not send the next update of a task before the last
//! one is acknowledged, and from end to end, where a framework must not hear an executor's update before
//! it heard all earlier ones. What an agent acknowledged to an executor must arrive in the end, unless
//! it died with an agent that was not to remember it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_agent::event::{Effect, Event, MetaEntry};
use meseta_model::ids::{ContainerId, FrameworkId, TaskId};
use meseta_model::task_state::is_terminal;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::task_status::Source;
use meseta_proto::mesos::v1::{self, executor};
use meseta_runtime::Output;

use super::books::TaskKey;
use super::durable::{updates_in, writes_of};
use super::{Books, Found, Invariant, Seen};
use crate::workloads::Kind;

const ONE: &str = "an update waits for the one before";
const ORDER: &str = "updates are heard in their order";
const ARRIVE: &str = "acknowledged updates arrive";

/// What an agent sent of one task.
#[derive(Default)]
struct Stream {
    sent: Vec<Bytes>,
    acknowledged: BTreeSet<Bytes>,
}

/// An update that an agent has taken over from an executor.
struct Taken {
    key: TaskKey,
    agent: usize,
    life: u64,
    checkpoint: bool,
}

#[derive(Default)]
pub(super) struct Updates {
    lives: BTreeMap<usize, u64>,
    streams: BTreeMap<(usize, TaskKey), Stream>,
    durable: BTreeSet<Bytes>,
    /// Per run of a task, what its executor said, in order.
    said: BTreeMap<(ContainerId, TaskKey), Vec<Bytes>>,
    said_in: BTreeMap<Bytes, ContainerId>,
    heard: BTreeSet<Bytes>,
    taken: BTreeMap<Bytes, Taken>,
    /// Tasks whose end an agent decided; what their executors say later is of no use.
    ended_by_agent: BTreeSet<TaskKey>,
}

impl Updates {
    fn agent_sends(&mut self, agent: usize, message: &Message, books: &Books, found: &mut Found) {
        let Message::StatusUpdate(message) = message else {
            return;
        };
        let update = &message.update;
        let Some(uuid) = &update.uuid else {
            return;
        };
        let key = (
            FrameworkId::from(&update.framework_id),
            TaskId::from(&update.status.task_id),
        );
        if books
            .plan(&key.0)
            .is_some_and(|plan| plan.kind == Kind::ReusedIds)
        {
            // An id that is used again before its end is acknowledged names two tasks.
            return;
        }
        let stream = self.streams.entry((agent, key.clone())).or_default();
        if !stream.sent.contains(uuid) {
            let waiting = stream
                .sent
                .iter()
                .find(|sent| !stream.acknowledged.contains(*sent));
            found.check(ONE, waiting.is_none(), || {
                format!(
                    "agent{} sends the next update of {} {}",
                    agent + 1,
                    key.0,
                    key.1
                )
            });
            stream.sent.push(uuid.clone());
        }
    }

    fn agent_shows(&mut self, task: &v1::Task) {
        let last = task.statuses.last();
        let by_agent = last.is_some_and(|status| status.source() == Source::Agent);
        if by_agent && is_terminal(task.state()) {
            let framework = FrameworkId::from(&task.framework_id);
            self.ended_by_agent
                .insert((framework, TaskId::from(&task.task_id)));
        }
    }

    /// A new life of an agent knows what its disk knew.
    fn agent_starts(&mut self, agent: usize, meta: &[MetaEntry]) {
        let tasks: BTreeSet<&str> = meta
            .iter()
            .filter_map(|entry| match entry {
                MetaEntry::File { path, .. } => path.strip_suffix("/task.info"),
                MetaEntry::Symlink { .. } => None,
            })
            .filter_map(|path| path.rsplit('/').next())
            .collect();
        *self.lives.entry(agent).or_default() += 1;
        for ((host, (_, task)), stream) in &mut self.streams {
            if *host == agent {
                // Records without the task that they are about are forgotten with it.
                let kept = tasks.contains(task.as_str());
                let durable = &self.durable;
                stream.sent.retain(|uuid| kept && durable.contains(uuid));
            }
        }
    }

    fn executor_says(&mut self, container: &ContainerId, call: &executor::Call) {
        let again = call
            .subscribe
            .iter()
            .flat_map(|s| &s.unacknowledged_updates);
        for update in again.chain(&call.update) {
            let Some(uuid) = &update.status.uuid else {
                continue;
            };
            if self.said_in.contains_key(uuid) {
                continue;
            }
            let framework = FrameworkId::from(&call.framework_id);
            let key = (framework, TaskId::from(&update.status.task_id));
            self.said_in.insert(uuid.clone(), container.clone());
            let run = (container.clone(), key);
            self.said.entry(run).or_default().push(uuid.clone());
        }
    }

    fn scheduler_hears(
        &mut self,
        framework: &FrameworkId,
        status: &v1::TaskStatus,
        found: &mut Found,
    ) {
        let Some(uuid) = status.uuid.as_ref().filter(|uuid| !uuid.is_empty()) else {
            return;
        };
        if !self.heard.insert(uuid.clone()) {
            return;
        }
        let Some(container) = self.said_in.get(uuid) else {
            return;
        };
        let key = (framework.clone(), TaskId::from(&status.task_id));
        let said = self.said.get(&(container.clone(), key.clone()));
        let earlier = said.into_iter().flatten().take_while(|said| *said != uuid);
        let missed = earlier.filter(|said| !self.heard.contains(*said)).count();
        found.check(ORDER, missed == 0, || {
            let state = status.state().as_str_name();
            format!(
                "{} {}: {missed} updates before {state} were not heard",
                key.0, key.1
            )
        });
    }

    fn executor_hears(
        &mut self,
        agent: usize,
        container: &ContainerId,
        event: &executor::Event,
        books: &Books,
    ) {
        let (Some(acknowledged), Some(framework)) =
            (&event.acknowledged, books.containers.get(container))
        else {
            return;
        };
        let key = (framework.clone(), TaskId::from(&acknowledged.task_id));
        if self.ended_by_agent.contains(&key) {
            return;
        }
        let taken = Taken {
            key,
            agent,
            life: self.lives.get(&agent).copied().unwrap_or(0),
            checkpoint: books.agents[agent].checkpoints(framework),
        };
        self.taken.insert(acknowledged.uuid.clone(), taken);
    }
}

impl Invariant for Updates {
    fn kinds(&self) -> &'static [&'static str] {
        &[ONE, ORDER, ARRIVE]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::AgentTakes {
                agent,
                event: Event::Started(started),
            } => {
                self.durable.extend(updates_in(&writes_of(&started.meta)));
                self.agent_starts(*agent, &started.meta);
            }
            Seen::AgentTakes {
                agent,
                event:
                    Event::MessageReceived {
                        message: Message::StatusUpdateAcknowledgement(ack),
                        ..
                    },
            } => {
                let framework = FrameworkId::from(&ack.framework_id);
                let key = (framework, TaskId::from(&ack.task_id));
                if let Some(stream) = self.streams.get_mut(&(*agent, key)) {
                    stream.acknowledged.insert(ack.uuid.clone());
                }
            }
            // Nothing of it is said any more, by this agent or another one of its host.
            Seen::AgentEndsAll { agent }
            | Seen::AgentExits { agent, .. }
            | Seen::HostReplaced { agent } => self.streams.retain(|(host, _), _| host != agent),
            Seen::AgentDoes {
                agent,
                output: Output::Effect(effect),
            } => match effect {
                Effect::Send { message, .. } => self.agent_sends(*agent, message, books, found),
                Effect::Changed(meseta_agent::view::Delta::Task { task, .. }) => {
                    self.agent_shows(task);
                }
                _ => {}
            },
            Seen::Flushed {
                writes, done: true, ..
            } => self.durable.extend(updates_in(writes)),
            Seen::ExecutorSays {
                container, call, ..
            } => self.executor_says(container, call),
            Seen::ExecutorHears {
                agent,
                container,
                event,
            } => self.executor_hears(*agent, container, event, books),
            Seen::SchedulerHears { scheduler, event } => {
                if books.plans[*scheduler].kind == Kind::ReusedIds {
                    // Which task of that id an update is about nobody can know.
                    return;
                }
                let own = books.schedulers.iter().find(|(_, s)| *s == scheduler);
                if let (Some(update), Some((framework, _))) = (&event.update, own) {
                    self.scheduler_hears(framework, &update.status, found);
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, books: &Books, found: &mut Found) {
        for (uuid, taken) in &self.taken {
            let trusted = books
                .plan(&taken.key.0)
                .is_some_and(|plan| !plan.is_wrong());
            let same_life = self.lives.get(&taken.agent) == Some(&taken.life);
            let up = books.agents[taken.agent].up;
            if !trusted || !up || !(taken.checkpoint || same_life) {
                continue;
            }
            // An agent that was told to end told nobody, and so did one whose framework was gone.
            let (framework, task) = &taken.key;
            let forgiven =
                books.forgiven.contains(&taken.agent) || books.removed.contains(framework);
            found.check(ARRIVE, forgiven || self.heard.contains(uuid), || {
                format!("an update of {framework} {task} was acknowledged and never heard")
            });
        }
    }
}
