//! What is acknowledged is not said again: an agent that has taken an acknowledgement does not send that
//! update any more, and one that has written it down does not even after a restart. (Semantics 71, 72.)

use std::collections::BTreeSet;

use bytes::Bytes;
use meseta_agent::event::{Effect, Event};
use meseta_model::ids::{FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::status_update_record::Type;
use meseta_runtime::Output;

use super::books::TaskKey;
use super::durable::{records_in, writes_of};
use super::{Books, Found, Invariant, Seen};

const AGAIN: &str = "what was acknowledged is not said again";

/// What one agent must not say any more.
#[derive(Default)]
struct Agent {
    /// Updates that it sent in this life.
    sent: BTreeSet<(TaskKey, Bytes)>,
    /// Acknowledged in this life, of what it had sent.
    acknowledged: BTreeSet<(TaskKey, Bytes)>,
    /// Acknowledgements that were on its disk when this life began.
    written: BTreeSet<Bytes>,
    /// The highest epoch that it was told of in this life.
    epoch: Option<u64>,
}

pub(super) struct Resent {
    agents: Vec<Agent>,
}

impl Resent {
    pub(super) fn new(agents: usize) -> Self {
        Self {
            agents: (0..agents).map(|_| Agent::default()).collect(),
        }
    }
}

/// The uuids of the acknowledgements in these writes.
fn acknowledgements_in(writes: &[Write]) -> BTreeSet<Bytes> {
    let records = records_in(writes).into_iter();
    let acknowledgements = records.filter(|record| record.r#type() == Type::Ack);
    acknowledgements.filter_map(|record| record.uuid).collect()
}

impl Invariant for Resent {
    fn kinds(&self) -> &'static [&'static str] {
        &[AGAIN]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::AgentTakes {
                agent,
                event: Event::Started(started),
            } => {
                self.agents[*agent] = Agent {
                    written: acknowledgements_in(&writes_of(&started.meta)),
                    ..Agent::default()
                };
            }
            Seen::AgentTakes {
                agent,
                event:
                    Event::MessageReceived {
                        from,
                        epoch,
                        message,
                        ..
                    },
            } => {
                let own = &mut self.agents[*agent];
                let is_old = *epoch < own.epoch;
                own.epoch = own.epoch.max(*epoch);
                let Message::StatusUpdateAcknowledgement(ack) = message else {
                    return;
                };
                let framework = FrameworkId::from(&ack.framework_id);
                let task = (framework, TaskId::from(&ack.task_id));
                let update = (task, ack.uuid.clone());
                // It takes them from the master that it is registered with only: another one does not lead.
                let book = &books.agents[*agent];
                let master = from.to_string();
                let takes = book.registered && book.master.as_ref() == Some(&master) && !is_old;
                if own.sent.contains(&update) && takes {
                    own.acknowledged.insert(update);
                }
            }
            Seen::AgentDoes {
                agent,
                output: Output::Effect(Effect::Send { message, .. }),
            } => {
                let Message::StatusUpdate(message) = &**message else {
                    return;
                };
                let Some(uuid) = &message.update.uuid else {
                    return;
                };
                let framework = FrameworkId::from(&message.update.framework_id);
                let task = (framework, TaskId::from(&message.update.status.task_id));
                let update = (task, uuid.clone());
                let own = &mut self.agents[*agent];
                let fine = !own.acknowledged.contains(&update) && !own.written.contains(uuid);
                own.sent.insert(update);
                found.check(AGAIN, fine, || {
                    let task = &message.update.status.task_id.value;
                    format!("agent{} repeats an update of {task}", agent + 1)
                });
            }
            _ => {}
        }
    }
}
