//! Terminal is final. A task that an agent showed as over is over for as long as that agent lives; a
//! framework that was told of an end that wants an acknowledgement hears nothing else of that task any
//! more; a task whose end an agent told does not start. (Semantics 66 to 68.)
//!
//! What a master says by its own word (LOST of an agent that may come back, an answer to RECONCILE about
//! a task that is on its way) is no end in this sense: it wants no acknowledgement.

use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_agent::event::Effect;
use meseta_agent::view::{Delta, TaskList};
use meseta_model::ids::{ContainerId, FrameworkId, TaskId};
use meseta_model::task_state::is_terminal;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::{self, TaskState};
use meseta_runtime::Output;

use super::books::TaskKey;
use super::{Books, Found, Invariant, Seen};

const AGENT: &str = "what an agent showed as over stays over";
const TOLD: &str = "an end that was told stays the end";
const START: &str = "nothing starts after its end was told";

/// How the message begins that tells the end of a task that a broken disk kept from starting.
const UNWRITTEN: &str = "Failed to checkpoint";

#[derive(Default)]
pub(super) struct Terminal {
    /// Tasks that an agent showed as over, in its present life.
    over: BTreeMap<(usize, ContainerId, TaskKey), TaskList>,
    /// Ends that frameworks heard and that wanted an acknowledgement, and whether their agent may forget
    /// them: it could not write the task down.
    heard: BTreeMap<TaskKey, (TaskState, bool)>,
    /// How often agents sent each update, and how often frameworks heard it. What is sent again may be
    /// heard again, however late.
    repeated: BTreeMap<Bytes, (u64, u64)>,
    /// Ends that agents sent.
    sent: BTreeMap<TaskKey, TaskState>,
}

fn is_reused(framework: &FrameworkId, books: &Books) -> bool {
    let kind = books.plan(framework).map(|plan| plan.kind);
    kind == Some(crate::workloads::Kind::ReusedIds)
}

impl Terminal {
    fn shown(
        &mut self,
        agent: usize,
        container: &ContainerId,
        task: &v1::Task,
        list: TaskList,
        found: &mut Found,
    ) {
        let key = (
            FrameworkId::from(&task.framework_id),
            TaskId::from(&task.task_id),
        );
        let at = (agent, container.clone(), key);
        if matches!(list, TaskList::Terminated | TaskList::Completed) {
            self.over.insert(at, list);
        } else {
            // Once an end is acknowledged the id is free for another task.
            let before = self.over.get(&at).copied();
            let anew = list == TaskList::Queued && before == Some(TaskList::Completed);
            if anew {
                self.over.remove(&at);
            }
            found.check(AGENT, before.is_none() || anew, || {
                format!(
                    "{} {} on agent{} is {list:?} again",
                    at.2.0,
                    at.2.1,
                    agent + 1
                )
            });
        }
    }

    fn heard(
        &mut self,
        framework: FrameworkId,
        status: &v1::TaskStatus,
        forgetful: bool,
        found: &mut Found,
    ) {
        let state = status.state();
        let wants_answer = status.uuid.as_ref().is_some_and(|uuid| !uuid.is_empty());
        let key = (framework, TaskId::from(&status.task_id));
        if let Some(uuid) = status.uuid.as_ref().filter(|_| wants_answer) {
            let (sent, heard) = self.repeated.entry(uuid.clone()).or_default();
            *heard += 1;
            if *heard > 1 && heard <= sent {
                return;
            }
        }
        if let Some((end, unwritten)) = self.heard.get(&key) {
            let vague = matches!(state, TaskState::TaskUnreachable | TaskState::TaskUnknown);
            let fine = if wants_answer {
                // An agent that was not to remember the task may not have heard that it is settled.
                let forgetful = forgetful || *unwritten;
                state == *end || (forgetful && is_terminal(state))
            } else {
                is_terminal(state) || vague
            };
            found.check(TOLD, fine, || {
                let (was, is) = (end.as_str_name(), state.as_str_name());
                format!("{} {} was {was} and is {is}", key.0, key.1)
            });
        } else if wants_answer && is_terminal(state) {
            let unwritten = status.message().starts_with(UNWRITTEN);
            self.heard.insert(key, (state, unwritten));
        }
    }
}

impl Invariant for Terminal {
    fn kinds(&self) -> &'static [&'static str] {
        &[AGENT, TOLD, START]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::AgentStarts { agent } => self.over.retain(|(host, _, _), _| host != agent),
            Seen::AgentDoes {
                agent,
                output: Output::Effect(effect),
            } => match effect {
                Effect::Changed(Delta::Task {
                    container_id,
                    task,
                    list,
                }) => self.shown(*agent, container_id, task, *list, found),
                Effect::Send { message, .. } => {
                    if let Message::StatusUpdate(message) = &**message {
                        let update = &message.update;
                        if let Some(uuid) = &update.uuid {
                            self.repeated.entry(uuid.clone()).or_default().0 += 1;
                        }
                        let state = update.status.state();
                        let key = (
                            FrameworkId::from(&update.framework_id),
                            TaskId::from(&update.status.task_id),
                        );
                        if is_terminal(state) && !is_reused(&key.0, books) {
                            self.sent.insert(key, state);
                        }
                    }
                }
                _ => {}
            },
            Seen::SchedulerHears { scheduler, event } => {
                let framework = books
                    .schedulers
                    .iter()
                    .find(|(_, place)| *place == scheduler)
                    .map(|(framework, _)| framework.clone());
                if let (Some(update), Some(framework)) = (&event.update, framework)
                    && !is_reused(&framework, books)
                {
                    let agent = update.status.agent_id.as_ref();
                    let forgiven = agent.is_some_and(|agent| books.is_forgiven(agent));
                    let forgetful = !books.plans[*scheduler].checkpoint || forgiven;
                    self.heard(framework, &update.status, forgetful, found);
                }
            }
            Seen::TaskStarts {
                container, task, ..
            } => {
                if let Some(framework) = books.containers.get(*container) {
                    let key = (framework.clone(), TaskId::from(*task));
                    let end = self.sent.get(&key);
                    found.check(START, end.is_none(), || {
                        format!("{} {} is told to be {end:?}", key.0, key.1)
                    });
                }
            }
            _ => {}
        }
    }
}
