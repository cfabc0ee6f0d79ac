//! What a restart of the agent's process found on disk goes on: no task that never began is told so
//! because of it. Only a host that lost power may leave doubts.

use std::collections::BTreeSet;

use meseta_agent::event::Effect;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::task_status::Reason;
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen};

const RESUMED: &str = "launches on disk go on after a restart";

/// What an agent says that gives up a run which never began.
const GIVEN_UP: &str = "The agent restarted before the task was started";

#[derive(Default)]
pub(super) struct Resumed {
    /// Agents whose hosts lost power at some time.
    dark: BTreeSet<usize>,
}

impl Invariant for Resumed {
    fn kinds(&self) -> &'static [&'static str] {
        &[RESUMED]
    }

    fn see(&mut self, seen: &Seen<'_>, _books: &Books, found: &mut Found) {
        match seen {
            Seen::PowerLost { agent } => {
                self.dark.insert(*agent);
            }
            Seen::AgentDoes {
                agent,
                output: Output::Effect(Effect::Send { message, .. }),
            } => {
                let Message::StatusUpdate(message) = &**message else {
                    return;
                };
                let status = &message.update.status;
                let restarted = status.reason() == Reason::AgentRestarted;
                let given_up = restarted && status.message() == GIVEN_UP;
                let excused = self.dark.contains(agent);
                found.check(RESUMED, !given_up || excused, || {
                    format!("task {} on agent{}", status.task_id.value, agent + 1)
                });
            }
            _ => {}
        }
    }
}
