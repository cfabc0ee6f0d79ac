//! What an agent gives (tasks, executors, offers) is never more than it has. (Issue 2, item 10; Mesos
//! asserts the same in its sorters.)

use meseta_agent::event::Effect;
use meseta_agent::view::{Delta, TaskList};
use meseta_model::task_state::is_terminal;
use meseta_runtime::Output;

use super::books::{AgentBook, TaskKey};
use super::{Books, Found, Invariant, Seen};
use crate::workloads::Kind;

const FITS: &str = "allocated is at most total";
const RUNS: &str = "what runs on an agent fits it";
const EMPTY: &str = "a removed agent gives nothing";

pub(super) struct Allocated;

/// Tasks that an agent is about to run or runs, as far as their frameworks are not removed: what those
/// leave is given to others while it still goes down. A master that finds one id on two agents charges
/// one of them only, so that a framework that uses ids again is left out.
///
/// An agent that was registered with what its host had before it was started anew is left out as well,
/// until it registers again: nobody knows better meanwhile. And so is a task whose end a master has
/// heard: an agent that could not write it down holds it for alive until it has looked.
fn runs(agent: &AgentBook, place: usize, books: &Books, found: &mut Found) {
    let shown = books.masters.iter().filter_map(|master| {
        let row = master.agents.get(agent.id.as_ref()?)?;
        (!row.recovered).then_some(&row.total)
    });
    if shown.into_iter().any(|total| *total != agent.total) {
        return;
    }
    let mut left = agent.total.clone();
    let heard_over = |key: &TaskKey| {
        let known = books
            .masters
            .iter()
            .find_map(|master| master.tasks.get(key));
        known.is_some_and(|task| is_terminal(task.state))
    };
    let live = agent.tasks.iter().filter(|(key @ (framework, _), task)| {
        matches!(task.list, TaskList::Queued | TaskList::Launched)
            && !heard_over(key)
            && books.registry.frameworks().contains_key(framework)
            && books
                .plan(framework)
                .is_none_or(|plan| plan.kind != Kind::ReusedIds)
    });
    let mut over = None;
    for ((_, id), task) in live {
        if !left.try_sub_assign(&task.resources) {
            over = Some(id);
        }
    }
    found.check(RUNS, over.is_none(), || {
        let total = &agent.total;
        format!("agent{} has {total} and no room for {over:?}", place + 1)
    });
}

impl Invariant for Allocated {
    fn kinds(&self) -> &'static [&'static str] {
        &[FITS, EMPTY, RUNS]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        if let Seen::AgentDoes {
            agent,
            output: Output::Effect(Effect::Changed(Delta::Task { list, .. })),
        } = seen
            && *list == TaskList::Queued
        {
            return runs(&books.agents[*agent], *agent, books, found);
        }
        let Seen::MasterDoes { master, .. } = seen else {
            return;
        };
        let book = &books.masters[*master];
        let Some(agent) = &book.touched else {
            return;
        };
        match book.agents.get(agent) {
            Some(row) => {
                let excused = row.recovered || row.shrunk;
                found.check(FITS, excused || row.total.contains(&row.used), || {
                    format!("{agent} has {} and gives {}", row.total, row.used)
                });
            }
            None => {
                let tasks = book.tasks.values().any(|task| task.agent == *agent);
                let offers = book.offers.values().any(|(host, _)| host == agent);
                let executors = book.executors.keys().any(|(host, _, _)| host == agent);
                found.check(EMPTY, !tasks && !offers && !executors, || {
                    format!("{agent}: tasks {tasks}, offers {offers}, executors {executors}")
                });
            }
        }
    }
}
