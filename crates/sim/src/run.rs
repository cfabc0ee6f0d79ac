//! One seed: a safety phase with faults, a liveness phase without, and what came of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::limits::{HAPPENINGS, LIVENESS_US, SECOND_US};
use crate::plants::PlantedBug;
use crate::process::Process;
use crate::tally::Tally;
use crate::workloads::FrameworkPlan;
use crate::world::{AUDIT, SHOWN, World};

/// Between two looks at the whole.
const LOOK_US: u64 = 5 * SECOND_US;

const QUIET: &str = "everything comes right once faults are off";
const FREE: &str = "everything is free in the end";

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// What was violated; empty if all is well.
    pub violations: Vec<String>,
    /// What fired and what was checked.
    pub tally: Tally,
    /// Two runs of a seed have the same.
    pub fingerprint: u64,
    /// Virtual microseconds.
    pub lasted_us: u64,
    /// How many things happened.
    pub happenings: u64,
    /// Line by line, if asked for.
    pub trace: Vec<String>,
}

/// How far the end of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Safety,
    /// Faults are off; frameworks end what they run.
    Ending,
    /// All is over; frameworks are torn down.
    Dismissing,
    /// A last framework waits for everything to be offered.
    Probing,
    Over,
}

struct Run {
    world: World,
    phase: Phase,
    deadline_us: u64,
    happenings: u64,
    /// Since when the present leader has led without standing still.
    steady: Option<(usize, u64, u64)>,
}

/// Runs one seed. With `keep_trace`, every line of what happened is kept.
#[must_use]
pub fn run(seed: u64, plant: Option<&PlantedBug>, keep_trace: bool) -> Outcome {
    let plant = plant.map(|planted| (planted.plant)());
    let mut run = Run {
        world: World::new(seed, keep_trace, plant),
        phase: Phase::Safety,
        deadline_us: 0,
        happenings: 0,
        steady: None,
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| run.finish())).err();
    let mut violations = run.world.oracle.violations().to_vec();
    if let Some(panic) = panicked {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        violations.push(format!("a core panicked: {}", text.unwrap_or_default()));
    }
    let mut tally = run.world.tally.clone();
    tally.checks.clone_from(run.world.oracle.checks());
    for (situation, count) in run.world.oracle.situations() {
        *tally.situations.entry(*situation).or_default() += count;
    }
    Outcome {
        seed,
        violations,
        tally,
        fingerprint: run.world.trace.fingerprint(),
        lasted_us: run.world.now_us,
        happenings: run.happenings,
        trace: run.world.trace.into_lines(),
    }
}

impl Run {
    fn finish(&mut self) {
        for kind in [AUDIT, SHOWN, QUIET, FREE] {
            self.world.oracle.announce(kind);
        }
        while self.phase != Phase::Over && self.world.oracle.violations().is_empty() {
            let until_us = self.world.now_us + LOOK_US;
            while self.world.step(until_us) {
                self.happenings += 1;
                if !self.world.oracle.violations().is_empty() {
                    return;
                }
            }
            self.look();
            self.advance();
            if self.happenings > HAPPENINGS {
                let stuck = "the run turns in circles".to_owned();
                self.world.oracle.check(QUIET, false, || stuck);
            }
        }
    }

    /// A look at the whole.
    fn look(&mut self) {
        let steady = self.steady_leader();
        let now_us = self.world.now_us;
        self.world.oracle.look(now_us, steady);
        for m in 0..self.world.masters.len() {
            self.world.audit_master(m);
        }
    }

    /// The leader, and since when it has led without a break or a pause.
    fn steady_leader(&mut self) -> Option<(usize, u64)> {
        let world = &self.world;
        let leader = world.leading_master();
        let leader = leader.filter(|m| !world.paused.contains_key(&Process::Master(*m)));
        let Some(m) = leader else {
            self.steady = None;
            return None;
        };
        let life = world.masters[m].life;
        let pauses = world.masters[m].pauses;
        match self.steady {
            Some((known, since_us, mark)) if known == m && mark == life + (pauses << 32) => {
                Some((m, since_us))
            }
            _ => {
                self.steady = Some((m, world.now_us, life + (pauses << 32)));
                Some((m, world.now_us))
            }
        }
    }

    fn advance(&mut self) {
        let now_us = self.world.now_us;
        match self.phase {
            Phase::Safety if now_us >= self.world.plan.safety_us => {
                self.world.calm_down();
                self.enter(Phase::Ending);
            }
            Phase::Ending if self.all_ended() => {
                self.world.oracle.ending();
                for s in 0..self.world.schedulers.len() {
                    self.world.dismiss_scheduler(s);
                }
                self.enter(Phase::Dismissing);
            }
            Phase::Dismissing if self.all_dismissed() => {
                self.world.oracle.probing();
                self.world.add_probe(FrameworkPlan::probe());
                self.enter(Phase::Probing);
            }
            Phase::Probing if self.all_offered() => {
                self.world.oracle.check(FREE, true, String::new);
                self.world.oracle.check(QUIET, true, String::new);
                self.world.oracle.settle();
                self.phase = Phase::Over;
            }
            Phase::Safety | Phase::Over => {}
            _ => {
                self.world.dismiss_again();
                if now_us > self.deadline_us {
                    let what = self.what_is_missing();
                    self.world.oracle.check(QUIET, false, || what);
                }
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline_us = self.world.now_us + LIVENESS_US;
        self.world.note(|| format!("== {phase:?}"));
    }

    fn healthy_agents(&self) -> impl Iterator<Item = usize> {
        let lost = self.world.lost_agents.clone();
        (0..self.world.agents.len()).filter(move |a| !lost.contains(a))
    }

    /// All good frameworks know that all they launched is over, and so does everybody else.
    fn all_ended(&self) -> bool {
        let good = |s: &usize| !self.world.schedulers[*s].plan.is_wrong();
        let schedulers = 0..self.world.schedulers.len();
        schedulers.filter(good).all(|s| {
            let scheduler = &self.world.schedulers[s];
            scheduler.is_done() && (scheduler.ended || scheduler.is_subscribed())
        }) && self.books_are_empty()
            && self.agents_are_back()
    }

    fn agents_are_back(&self) -> bool {
        let books = self.world.oracle.books();
        self.healthy_agents().all(|a| books.agents[a].registered)
    }

    /// No task is left anywhere.
    fn books_are_empty(&self) -> bool {
        let books = self.world.oracle.books();
        let Some(m) = self.world.leading_master() else {
            return false;
        };
        let digests = books.registry.agents().values();
        books.masters[m].tasks.is_empty()
            && digests.map(|record| &record.digest).all(|d| d.is_empty())
            && self
                .healthy_agents()
                .all(|a| books.agents[a].tasks.is_empty())
    }

    /// No framework, executor or container is left.
    fn all_dismissed(&self) -> bool {
        let books = self.world.oracle.books();
        let Some(m) = self.world.leading_master() else {
            return false;
        };
        let dismissed = &self.world.dismissed;
        let gone = |id| !books.registry.frameworks().contains_key(id);
        dismissed.iter().all(gone)
            && books.masters[m].executors.is_empty()
            && self.healthy_agents().all(|a| {
                books.agents[a].executors.is_empty() && self.world.running_containers(a).is_empty()
            })
    }

    /// All that the agents have was on offer since the last framework came: not at the same time, as an
    /// offer may have an end of its own.
    fn all_offered(&self) -> bool {
        let books = self.world.oracle.books();
        let Some(m) = self.world.leading_master() else {
            return false;
        };
        self.healthy_agents().all(|a| {
            let id = books.agents[a].id.as_ref();
            let row = id.and_then(|id| books.masters[m].agents.get(id));
            row.is_some_and(|row| row.active && row.whole)
        })
    }

    fn what_is_missing(&self) -> String {
        let books = self.world.oracle.books();
        let mut missing = vec![format!("{:?} did not come to an end", self.phase)];
        for (s, scheduler) in self.world.schedulers.iter().enumerate() {
            if !scheduler.is_done() && !scheduler.plan.is_wrong() {
                let left = scheduler.unfinished().join(", ");
                missing.push(format!("scheduler{} waits for {left}", s + 1));
            }
            if !scheduler.is_subscribed() && !scheduler.ended {
                missing.push(format!("scheduler{} is not subscribed", s + 1));
            }
        }
        for a in self.healthy_agents() {
            let agent = &books.agents[a];
            let tasks: Vec<String> = agent.tasks.keys().map(|(_, t)| t.to_string()).collect();
            let executors = agent.executors.iter();
            let executors: Vec<String> = executors
                .map(|(c, (_, e, _))| format!("{e} in {c}"))
                .collect();
            let (registered, running) = (agent.registered, self.world.running_containers(a));
            missing.push(format!(
                "agent{}: registered {registered}, executors {executors:?}, running {running:?}, tasks {tasks:?}",
                a + 1
            ));
        }
        match self.world.leading_master() {
            None => missing.push("nobody leads".to_owned()),
            Some(m) => {
                let master = &books.masters[m];
                let tasks: Vec<String> = master.tasks.keys().map(|(_, t)| t.to_string()).collect();
                let executors = master.executors.len();
                missing.push(format!(
                    "master{}: {executors} executors, tasks {tasks:?}",
                    m + 1
                ));
                for (id, row) in &master.agents {
                    let (active, used, total) = (row.active, &row.used, &row.total);
                    missing.push(format!("{id}: active {active}, gives {used} of {total}"));
                }
            }
        }
        for record in books.registry.agents().values() {
            if !record.digest.is_empty() {
                missing.push(format!("digest {:?}", record.digest));
            }
        }
        missing.join("; ")
    }
}
