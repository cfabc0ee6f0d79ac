//! Frameworks are told of their own business only, and can touch nothing else: no offer and no agent's
//! word about a task reaches another framework, and what one asks for is done to its own tasks and
//! executors. (Design decision 13; Mesos checks the same against the sender of a call.)

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_agent::event::Effect as AgentEffect;
use meseta_master::event::{Effect, Event};
use meseta_model::ids::FrameworkId;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::{TaskState, scheduler};
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen};
use crate::process::Process;

const OFFERS: &str = "offers reach their own framework";
const UPDATES: &str = "updates reach their own framework";
const WORDS: &str = "a master answers about own tasks only";
const DEEDS: &str = "calls touch own tasks only";

#[derive(Default)]
pub(super) struct Others {
    /// Whose each update is, as agents said.
    updates: BTreeMap<Bytes, FrameworkId>,
    /// The tasks that each scheduler ever named in a launch.
    launched: BTreeMap<usize, BTreeSet<String>>,
    /// Who calls, in the step under way of each master.
    caller: BTreeMap<usize, FrameworkId>,
}

impl Others {
    fn scheduler_hears(
        &self,
        scheduler: usize,
        event: &scheduler::Event,
        books: &Books,
        found: &mut Found,
    ) {
        let is_own = |framework: &FrameworkId| books.schedulers.get(framework) == Some(&scheduler);
        for offer in event.offers.iter().flat_map(|offers| &offers.offers) {
            let framework = FrameworkId::from(&offer.framework_id);
            found.check(OFFERS, is_own(&framework), || {
                format!("scheduler{} is offered for {framework}", scheduler + 1)
            });
        }
        let Some(status) = event.update.as_ref().map(|update| &update.status) else {
            return;
        };
        let task = &status.task_id.value;
        let said = status.uuid.as_ref().and_then(|uuid| self.updates.get(uuid));
        if let Some(framework) = said {
            return found.check(UPDATES, is_own(framework), || {
                format!("scheduler{} hears of {framework} {task}", scheduler + 1)
            });
        }
        // Of what it never launched, all that it may hear is that nobody knows it.
        let vague = matches!(
            status.state(),
            TaskState::TaskUnknown | TaskState::TaskLost | TaskState::TaskUnreachable
        );
        let gone = matches!(
            status.state(),
            TaskState::TaskGone | TaskState::TaskGoneByOperator
        );
        let launched = self.launched.get(&scheduler);
        let own = launched.is_some_and(|launched| launched.contains(task));
        found.check(WORDS, own || vague || gone, || {
            let state = status.state().as_str_name();
            format!("scheduler{} hears that {task} is {state}", scheduler + 1)
        });
    }

    fn master_takes(&mut self, master: usize, event: &Event, books: &Books) {
        self.caller.remove(&master);
        let caller = match event {
            Event::SchedulerCalled { call, .. } => call.framework_id.as_ref(),
            Event::MessageReceived {
                from,
                message: Message::SchedulerCall(call),
                ..
            } => {
                // Whoever sends it, a driver speaks for the framework of its host.
                let host = Process::at(from.address);
                let Some(Process::Scheduler(place)) = host else {
                    return;
                };
                let id = call.framework_id.as_ref().map(FrameworkId::from);
                if id.is_none_or(|id| books.schedulers.get(&id) != Some(&place)) {
                    return;
                }
                call.framework_id.as_ref()
            }
            _ => None,
        };
        if let Some(caller) = caller {
            self.caller.insert(master, FrameworkId::from(caller));
        }
    }

    /// What a master has agents do while it serves a call.
    fn master_does(&self, master: usize, message: &Message, found: &mut Found) {
        let Some(caller) = self.caller.get(&master) else {
            return;
        };
        let touched = match message {
            Message::KillTask(m) => Some(&m.framework_id),
            Message::StatusUpdateAcknowledgement(m) => Some(&m.framework_id),
            Message::FrameworkToExecutor(m) => Some(&m.framework_id),
            Message::ShutdownExecutor(m) => m.framework_id.as_ref(),
            Message::RunTask(m) => m.framework.id.as_ref(),
            _ => None,
        };
        if let Some(touched) = touched.map(FrameworkId::from) {
            found.check(DEEDS, touched == *caller, || {
                format!("{caller} touches {touched}: {message:?}")
            });
        }
    }
}

impl Invariant for Others {
    fn kinds(&self) -> &'static [&'static str] {
        &[OFFERS, UPDATES, WORDS, DEEDS]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::AgentDoes {
                output: Output::Effect(AgentEffect::Send { message, .. }),
                ..
            } => {
                if let Message::StatusUpdate(message) = &**message
                    && let Some(uuid) = &message.update.uuid
                {
                    let framework = FrameworkId::from(&message.update.framework_id);
                    self.updates.insert(uuid.clone(), framework);
                }
            }
            Seen::SchedulerSays { scheduler, call } => {
                let operations = call.accept.iter().flat_map(|accept| &accept.operations);
                let launches = operations.filter_map(|operation| operation.launch.as_ref());
                let tasks = launches.flat_map(|launch| &launch.task_infos);
                let ids = tasks.map(|task| task.task_id.value.clone());
                self.launched.entry(*scheduler).or_default().extend(ids);
            }
            Seen::SchedulerHears { scheduler, event } => {
                self.scheduler_hears(*scheduler, event, books, found);
            }
            Seen::MasterTakes { master, event } => self.master_takes(*master, event, books),
            Seen::MasterRests { master } | Seen::MasterWakes { master } => {
                self.caller.remove(master);
            }
            Seen::MasterDoes {
                master,
                output: Output::Effect(Effect::Send { message, .. }),
            } => self.master_does(*master, message, found),
            _ => {}
        }
    }
}
