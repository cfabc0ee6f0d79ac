//! What must hold, one file each. Invariants see everything that happens ([`Seen`]) and remember what
//! they need; none of them looks into a core, so that a core cannot be wrong in the same way.

mod allocated;
mod books;
mod durable;
mod exits;
mod fenced;
mod forgotten;
mod kept;
mod offers;
mod others;
mod recount;
mod removed;
mod replies;
mod resent;
mod resumed;
mod started_once;
mod terminal;
mod updates;
mod wanted;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_agent::Agent;
use meseta_agent::event::Event as AgentEvent;
use meseta_master::Master;
use meseta_master::event::{Effect as MasterEffect, Event as MasterEvent};
use meseta_master::registry::Registry;
use meseta_model::ids::{ContainerId, FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::{self, executor, scheduler};
use meseta_runtime::Output;

pub(crate) use books::Books;

use crate::tally::Situation;
use crate::workloads::FrameworkPlan;
use crate::world::status_for_driver;

/// Something that happened.
#[derive(Debug)]
#[allow(
    dead_code,
    reason = "the whole vocabulary; no invariant needs every word of it"
)]
pub(crate) enum Seen<'a> {
    /// The process of a master starts.
    MasterStarts {
        master: usize,
    },
    /// It asks to end.
    MasterExits {
        master: usize,
        reason: &'a str,
    },
    /// It is gone.
    MasterEnds {
        master: usize,
    },
    /// It takes an event …
    MasterTakes {
        master: usize,
        event: &'a MasterEvent,
    },
    /// … or looks at its timers and finished writes …
    MasterWakes {
        master: usize,
    },
    /// … does these one after the other …
    MasterDoes {
        master: usize,
        output: &'a Output<Master>,
    },
    /// … and is done with it.
    MasterRests {
        master: usize,
    },
    /// The same of an agent.
    AgentStarts {
        agent: usize,
    },
    AgentExits {
        agent: usize,
        reason: &'a str,
    },
    AgentEnds {
        agent: usize,
    },
    AgentTakes {
        agent: usize,
        event: &'a AgentEvent,
    },
    AgentWakes {
        agent: usize,
    },
    AgentDoes {
        agent: usize,
        output: &'a Output<Agent>,
    },
    AgentRests {
        agent: usize,
    },
    /// The host of an agent lost power.
    PowerLost {
        agent: usize,
    },
    /// An agent will start with other resources than it registered with.
    AgentReconfigured {
        /// Which.
        agent: usize,
    },
    /// Another host took the place of an agent's, with an empty disk.
    HostReplaced {
        agent: usize,
    },
    /// An agent has to end what runs there and itself, and says nothing more of any of it.
    AgentEndsAll {
        agent: usize,
    },
    /// A request of an agent to its disk was carried out, or failed.
    Flushed {
        agent: usize,
        writes: &'a [Write],
        done: bool,
    },
    /// A directory went, as the agent wanted.
    DirectoryRemoved {
        agent: usize,
        path: &'a str,
    },
    /// The program of a container starts.
    ContainerRuns {
        agent: usize,
        container: &'a ContainerId,
    },
    /// Nothing of a container runs any more.
    ContainerEnds {
        agent: usize,
        container: &'a ContainerId,
    },
    ExecutorHears {
        agent: usize,
        container: &'a ContainerId,
        event: &'a executor::Event,
    },
    ExecutorSays {
        agent: usize,
        container: &'a ContainerId,
        call: &'a executor::Call,
    },
    /// The program of a task starts.
    TaskStarts {
        agent: usize,
        container: &'a ContainerId,
        task: &'a v1::TaskId,
    },
    SchedulerHears {
        scheduler: usize,
        event: &'a scheduler::Event,
    },
    SchedulerSays {
        scheduler: usize,
        call: &'a scheduler::Call,
    },
    /// A leader reads the registry.
    Led {
        snapshot: Option<&'a (u64, Bytes)>,
        ops: &'a [(u64, Bytes)],
    },
    /// An op is agreed on.
    Committed {
        index: u64,
        op: &'a Bytes,
    },
}

/// The update a master tells a framework by this effect, over whichever connection.
pub(crate) fn told_update(effect: &MasterEffect) -> Option<Cow<'_, v1::TaskStatus>> {
    match effect {
        MasterEffect::SendEvent { event, .. } => {
            event.update.as_ref().map(|u| Cow::Borrowed(&u.status))
        }
        MasterEffect::Send { message, .. } => match &**message {
            Message::StatusUpdate(m) => Some(Cow::Owned(status_for_driver(m))),
            _ => None,
        },
        _ => None,
    }
}

/// The offer a master takes back by this effect, over whichever connection.
pub(crate) fn told_rescind(effect: &MasterEffect) -> Option<&v1::OfferId> {
    match effect {
        MasterEffect::SendEvent { event, .. } => event.rescind.as_ref().map(|r| &r.offer_id),
        MasterEffect::Send { message, .. } => match &**message {
            Message::RescindResourceOffer(m) => Some(&m.offer_id),
            _ => None,
        },
        _ => None,
    }
}

/// Where invariants note what they checked and what they found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    now_us: u64,
    violations: Vec<String>,
    checks: BTreeMap<&'static str, u64>,
    situations: BTreeMap<Situation, u64>,
}

impl Found {
    /// Counts something that came about.
    pub(crate) fn met(&mut self, situation: Situation) {
        *self.situations.entry(situation).or_default() += 1;
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Counts a check of this kind, and notes what is wrong if it does not hold.
    pub(crate) fn check(&mut self, kind: &'static str, holds: bool, what: impl FnOnce() -> String) {
        *self.checks.entry(kind).or_default() += 1;
        if !holds {
            self.violations.push(format!("{kind}: {}", what()));
        }
    }
}

/// One thing that must hold.
pub(crate) trait Invariant {
    /// The kinds of checks it makes.
    fn kinds(&self) -> &'static [&'static str];

    /// Something happened; `books` already know it.
    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found);

    /// A look at the whole, every few virtual seconds. `steady_since_us`: since when the leader, if
    /// there is one, has led without standing still or being replaced.
    fn look(&mut self, books: &Books, steady: Option<(usize, u64)>, found: &mut Found) {
        let _ = (books, steady, found);
    }

    /// The run is over and everything is quiet.
    fn settle(&mut self, books: &Books, found: &mut Found) {
        let _ = (books, found);
    }
}

/// The one who watches: outside of all cores.
pub(crate) struct Oracle {
    books: Books,
    invariants: Vec<Box<dyn Invariant>>,
    found: Found,
}

impl Oracle {
    pub(crate) fn new(masters: usize, agents: usize) -> Self {
        let invariants: Vec<Box<dyn Invariant>> = vec![
            Box::new(allocated::Allocated),
            Box::new(offers::Offers::new(masters)),
            Box::new(started_once::StartedOnce::default()),
            Box::new(forgotten::Forgotten::new(agents)),
            Box::new(terminal::Terminal::default()),
            Box::new(updates::Updates::default()),
            Box::new(recount::Recount::new(masters, agents)),
            Box::new(replies::Replies::new(masters, agents)),
            Box::new(resumed::Resumed::default()),
            Box::new(durable::Durable::new(agents)),
            Box::new(fenced::Fenced::new(agents)),
            Box::new(exits::Exits),
            Box::new(kept::Kept),
            Box::new(others::Others::default()),
            Box::new(removed::Removed::new(masters)),
            Box::new(resent::Resent::new(agents)),
            Box::new(wanted::Wanted::new(masters)),
        ];
        let mut found = Found::default();
        for kind in invariants.iter().flat_map(|invariant| invariant.kinds()) {
            found.checks.insert(kind, 0);
        }
        Self {
            books: Books::new(masters, agents),
            invariants,
            found,
        }
    }

    pub(crate) fn add_scheduler(&mut self, plan: &FrameworkPlan) {
        self.books.plans.push(plan.clone());
    }

    pub(crate) fn see(&mut self, now_us: u64, seen: &Seen<'_>) {
        self.found.now_us = now_us;
        self.books.see(now_us, seen);
        for invariant in &mut self.invariants {
            invariant.see(seen, &self.books, &mut self.found);
        }
    }

    pub(crate) fn look(&mut self, now_us: u64, steady: Option<(usize, u64)>) {
        self.found.now_us = now_us;
        for invariant in &mut self.invariants {
            invariant.look(&self.books, steady, &mut self.found);
        }
    }

    pub(crate) fn settle(&mut self) {
        for invariant in &mut self.invariants {
            invariant.settle(&self.books, &mut self.found);
        }
    }

    /// The run ends: frameworks are removed from here on.
    pub(crate) fn ending(&mut self) {
        self.books.ending = true;
    }

    /// From here on whatever is free is to be given once more.
    pub(crate) fn probing(&mut self) {
        self.books.forget_whole();
    }

    /// A kind of check that is made from outside.
    pub(crate) fn announce(&mut self, kind: &'static str) {
        self.found.checks.entry(kind).or_default();
    }

    /// A check that is made from outside.
    pub(crate) fn check(&mut self, kind: &'static str, holds: bool, what: impl FnOnce() -> String) {
        self.found.check(kind, holds, what);
    }

    /// What was found wrong so far.
    pub(crate) fn violations(&self) -> &[String] {
        &self.found.violations
    }

    pub(crate) fn checks(&self) -> &BTreeMap<&'static str, u64> {
        &self.found.checks
    }

    /// What came about, as far as invariants know it.
    pub(crate) fn situations(&self) -> &BTreeMap<Situation, u64> {
        &self.found.situations
    }

    /// What all masters have agreed on.
    pub(crate) fn registry(&self) -> &Registry {
        &self.books.registry
    }

    pub(crate) fn books(&self) -> &Books {
        &self.books
    }

    /// The tasks that a master has in its books and that are not over.
    pub(crate) fn live_tasks(&self, master: usize) -> Vec<(FrameworkId, TaskId)> {
        self.books.masters[master].live_tasks()
    }
}
