//! Counters agree with a recount: what masters and agents counted is what they showed. (The masters'
//! own recount of their books is made beside it, by the world.)

use std::collections::BTreeMap;

use meseta_agent::event::{Effect as AgentEffect, Event as AgentEvent};
use meseta_agent::view::Counter as AgentCounter;
use meseta_master::event::Effect as MasterEffect;
use meseta_master::view::{AgentFate, Counter as MasterCounter, Delta};
use meseta_proto::mesos::v1::task_status::{Reason, Source};
use meseta_proto::mesos::v1::{self, TaskState};
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen, told_update};

const MASTER: &str = "a master's counters agree with a recount";
const AGENT: &str = "an agent's counters agree with a recount";

/// What was counted and what is counted again, per name.
#[derive(Debug, Default, Clone)]
struct Tellers {
    /// Counted by the core minus counted here.
    difference: BTreeMap<String, i64>,
    changed: bool,
    /// What it shows now is what an earlier life counted.
    recovers: bool,
}

impl Tellers {
    fn counted(&mut self, name: String, by: u64) {
        *self.difference.entry(name).or_default() += i64::try_from(by).unwrap_or(i64::MAX);
        self.changed = true;
    }

    fn recounted(&mut self, name: String, by: u64) {
        *self.difference.entry(name).or_default() -= i64::try_from(by).unwrap_or(i64::MAX);
        self.changed = true;
    }

    /// What does not agree.
    fn wrong(&mut self) -> Option<String> {
        self.changed = false;
        self.difference.retain(|_, difference| *difference != 0);
        let (name, difference) = self.difference.first_key_value()?;
        Some(format!("{name} is off by {difference}"))
    }
}

pub(super) struct Recount {
    masters: Vec<Tellers>,
    agents: Vec<Tellers>,
}

impl Recount {
    pub(super) fn new(masters: usize, agents: usize) -> Self {
        Self {
            masters: vec![Tellers::default(); masters],
            agents: vec![Tellers::default(); agents],
        }
    }
}

fn ended(state: TaskState) -> String {
    format!("tasks ended as {}", state.as_str_name())
}

const OFFERS: &str = "offers made";
const UNREACHABLE: &str = "agents unreachable";

/// A task that the master itself turned down when it was to be launched: it was in no book.
fn is_turned_down(status: &v1::TaskStatus) -> bool {
    let reasons = [
        Reason::TaskInvalid,
        Reason::TaskGroupInvalid,
        Reason::InvalidOffers,
    ];
    let by_master = status.source() == Source::Master && status.uuid.is_none();
    by_master && reasons.contains(&status.reason())
}

fn master_counted(tellers: &mut Tellers, counter: MasterCounter, by: u64) {
    match counter {
        MasterCounter::TasksEnded(state) => tellers.counted(ended(state), by),
        MasterCounter::OffersMade => tellers.counted(OFFERS.to_owned(), by),
        MasterCounter::AgentUnreachable("completed") => {
            tellers.counted(UNREACHABLE.to_owned(), by);
        }
        _ => {}
    }
}

impl Invariant for Recount {
    fn kinds(&self) -> &'static [&'static str] {
        &[MASTER, AGENT]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::MasterStarts { master } => self.masters[*master] = Tellers::default(),
            Seen::AgentStarts { agent } => self.agents[*agent] = Tellers::default(),
            Seen::AgentTakes { agent, event } => {
                self.agents[*agent].recovers = matches!(event, AgentEvent::Started(_));
            }
            Seen::MasterDoes {
                master,
                output: Output::Effect(effect),
            } => {
                let tellers = &mut self.masters[*master];
                if let Some(state) = books.masters[*master].ended {
                    tellers.recounted(ended(state), 1);
                }
                match effect {
                    MasterEffect::Count { counter, by } => master_counted(tellers, *counter, *by),
                    MasterEffect::Changed(Delta::Offer(_)) => {
                        tellers.recounted(OFFERS.to_owned(), 1);
                    }
                    MasterEffect::Changed(Delta::AgentRemoved {
                        to: AgentFate::Unreachable,
                        ..
                    }) => tellers.recounted(UNREACHABLE.to_owned(), 1),
                    _ => {}
                }
                if let Some(status) = told_update(effect)
                    && is_turned_down(&status)
                {
                    tellers.recounted(ended(status.state()), 1);
                }
            }
            Seen::AgentDoes {
                agent,
                output: Output::Effect(effect),
            } => {
                let tellers = &mut self.agents[*agent];
                if tellers.recovers {
                    return;
                }
                if let Some(state) = books.agents[*agent].ended {
                    tellers.recounted(ended(state), 1);
                }
                if let AgentEffect::Count {
                    counter: AgentCounter::TasksEnded(state),
                    by,
                } = effect
                {
                    tellers.counted(ended(*state), *by);
                }
            }
            Seen::MasterRests { master } if self.masters[*master].changed => {
                let wrong = self.masters[*master].wrong();
                found.check(MASTER, wrong.is_none(), || {
                    format!("master{}: {}", master + 1, wrong.unwrap_or_default())
                });
            }
            Seen::AgentRests { agent } if self.agents[*agent].changed => {
                let wrong = self.agents[*agent].wrong();
                found.check(AGENT, wrong.is_none(), || {
                    format!("agent{}: {}", agent + 1, wrong.unwrap_or_default())
                });
            }
            _ => {}
        }
    }
}
