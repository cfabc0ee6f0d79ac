//! No task is started twice: its program starts at most as often as a master sent it to an agent, and a
//! master does not send a task that is live. (Semantics 60 and 104.)

use std::collections::BTreeMap;

use meseta_master::event::Effect;
use meseta_model::ids::{FrameworkId, TaskId};
use meseta_model::task_state::is_terminal;
use meseta_proto::actor::Message;
use meseta_runtime::Output;

use super::books::TaskKey;
use super::{Books, Found, Invariant, Seen};

const STARTED: &str = "no task is started twice";
const SENT: &str = "no live task is sent again";

#[derive(Default)]
pub(super) struct StartedOnce {
    sent: BTreeMap<TaskKey, u64>,
    started: BTreeMap<TaskKey, u64>,
    /// Sent by this master in the step under way, before its books say so.
    live: BTreeMap<(usize, TaskKey), ()>,
}

impl StartedOnce {
    fn task_sent(&mut self, key: TaskKey) {
        *self.sent.entry(key).or_default() += 1;
    }
}

impl Invariant for StartedOnce {
    fn kinds(&self) -> &'static [&'static str] {
        &[STARTED, SENT]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::MasterDoes {
                master,
                output: Output::Effect(Effect::Send { message, .. }),
            } => {
                let Message::RunTask(message) = &**message else {
                    return;
                };
                let framework = message.framework.id.as_ref().map(FrameworkId::from);
                let framework = framework.unwrap_or_else(|| FrameworkId::from(""));
                let key = (framework, TaskId::from(&message.task.task_id));
                // The books have it by now: it is added before it is sent.
                let row = books.masters[*master].tasks.get(&key);
                let alive = row.is_some_and(|row| !is_terminal(row.state));
                let new = self.live.insert((*master, key.clone()), ()).is_none();
                found.check(SENT, alive && new, || format!("{} {}", key.0, key.1));
                self.task_sent(key);
            }
            Seen::MasterRests { .. } => self.live.clear(),
            Seen::TaskStarts {
                container, task, ..
            } => {
                let Some(framework) = books.containers.get(*container) else {
                    return;
                };
                let key = (framework.clone(), TaskId::from(*task));
                let started = self.started.entry(key.clone()).or_default();
                *started += 1;
                let sent = self.sent.get(&key).copied().unwrap_or(0);
                found.check(STARTED, *started <= sent, || {
                    format!(
                        "{} {} started {started} times, sent {sent} times",
                        key.0, key.1
                    )
                });
            }
            _ => {}
        }
    }
}
