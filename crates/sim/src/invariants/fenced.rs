//! Epochs fence: an agent that has obeyed a leader does nothing for an older one. (Design decision 8.)
//!
//! Which epoch a master has is known here from the master itself, not from what its messages say.

use meseta_agent::event::{Effect, Event};
use meseta_agent::view::Counter;
use meseta_model::step::Write;
use meseta_runtime::Output;

use super::durable::writes_of;
use super::{Books, Found, Invariant, Seen};
use crate::process::Process;

const OBEYED: &str = "older leaders are not obeyed";

#[derive(Default, Clone)]
struct Agent {
    highest: u64,
    /// The message under way is of an older leader.
    stale: Option<u64>,
}

/// The epoch that a write puts down.
fn epoch_of(write: &Write) -> Option<u64> {
    match write {
        Write::Put { path, bytes } if path == "meseta.epoch" => {
            String::from_utf8_lossy(bytes).parse().ok()
        }
        _ => None,
    }
}

pub(super) struct Fenced {
    agents: Vec<Agent>,
}

impl Fenced {
    pub(super) fn new(agents: usize) -> Self {
        Self {
            agents: vec![Agent::default(); agents],
        }
    }

    fn takes(&mut self, agent: usize, event: &Event, books: &Books) {
        let own = &mut self.agents[agent];
        own.stale = None;
        let Event::MessageReceived { from, epoch, .. } = event else {
            return;
        };
        let Some(Process::Master(m)) = Process::at(from.address) else {
            return;
        };
        // A master that is gone meanwhile has no epoch here; then the message's own counts.
        let Some(actual) = books.masters[m].epoch.or(*epoch) else {
            return;
        };
        let actual = epoch.map_or(actual, |said| said.min(actual));
        if actual < own.highest {
            own.stale = Some(actual);
        } else {
            own.highest = actual;
        }
    }
}

impl Invariant for Fenced {
    fn kinds(&self) -> &'static [&'static str] {
        &[OBEYED]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::AgentTakes {
                agent,
                event: Event::Started(started),
            } => {
                // What was not written yet is not obeyed yet either, as far as its disk knows.
                let written = writes_of(&started.meta);
                let highest = written.iter().find_map(epoch_of).unwrap_or(0);
                self.agents[*agent] = Agent {
                    highest,
                    stale: None,
                };
            }
            Seen::AgentTakes { agent, event } => self.takes(*agent, event, books),
            Seen::AgentDoes { agent, output } => {
                let Some(epoch) = self.agents[*agent].stale else {
                    return;
                };
                let counts = Effect::Count {
                    counter: Counter::FencedMessages,
                    by: 1,
                };
                let fenced = matches!(output, Output::Effect(effect) if *effect == counts);
                found.check(OBEYED, fenced, || {
                    format!(
                        "agent{} obeys a leader of epoch {epoch}: {output:?}",
                        agent + 1
                    )
                });
            }
            Seen::AgentWakes { agent } | Seen::AgentRests { agent } => {
                self.agents[*agent].stale = None;
            }
            _ => {}
        }
    }
}
