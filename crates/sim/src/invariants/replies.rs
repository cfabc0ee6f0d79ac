//! Every request is answered exactly once. (Core contract.)

use std::collections::BTreeSet;

use meseta_agent::event::{Effect as AgentEffect, Event as AgentEvent};
use meseta_master::event::{Effect as MasterEffect, Event as MasterEvent};
use meseta_model::edge::RequestId;
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen};

const ONCE: &str = "a request is answered once";
const ALWAYS: &str = "every request is answered";

pub(super) struct Replies {
    masters: Vec<BTreeSet<RequestId>>,
    agents: Vec<BTreeSet<RequestId>>,
}

impl Replies {
    pub(super) fn new(masters: usize, agents: usize) -> Self {
        Self {
            masters: vec![BTreeSet::new(); masters],
            agents: vec![BTreeSet::new(); agents],
        }
    }
}

impl Invariant for Replies {
    fn kinds(&self) -> &'static [&'static str] {
        &[ONCE, ALWAYS]
    }

    fn see(&mut self, seen: &Seen<'_>, _books: &Books, found: &mut Found) {
        match seen {
            Seen::MasterStarts { master } | Seen::MasterEnds { master } => {
                self.masters[*master].clear();
            }
            Seen::AgentStarts { agent } | Seen::AgentEnds { agent } => self.agents[*agent].clear(),
            Seen::MasterTakes {
                master,
                event:
                    MasterEvent::SchedulerCalled { request, .. }
                    | MasterEvent::OperatorCalled { request, .. },
            } => {
                self.masters[*master].insert(*request);
            }
            Seen::AgentTakes {
                agent,
                event: AgentEvent::ExecutorCalled { request, .. },
            } => {
                self.agents[*agent].insert(*request);
            }
            Seen::MasterDoes {
                master,
                output: Output::Effect(MasterEffect::Reply { request, .. }),
            } => {
                let open = self.masters[*master].remove(request);
                found.check(ONCE, open, || format!("master{}: {request:?}", master + 1));
            }
            Seen::AgentDoes {
                agent,
                output: Output::Effect(AgentEffect::Reply { request, .. }),
            } => {
                let open = self.agents[*agent].remove(request);
                found.check(ONCE, open, || format!("agent{}: {request:?}", agent + 1));
            }
            // An agent waits for nothing before it answers.
            Seen::AgentRests { agent } => {
                let open = &self.agents[*agent];
                found.check(ALWAYS, open.is_empty(), || {
                    format!("agent{} does not answer {open:?}", agent + 1)
                });
            }
            _ => {}
        }
    }

    fn settle(&mut self, _books: &Books, found: &mut Found) {
        for (master, open) in self.masters.iter().enumerate() {
            found.check(ALWAYS, open.is_empty(), || {
                format!("master{} does not answer {open:?}", master + 1)
            });
        }
    }
}
