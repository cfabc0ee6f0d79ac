//! A whole cluster in one thread: real cores, driven by the real driver, over simulated networks,
//! disks, containers and clocks.
//!
//! [`World::step`] takes the next [`Happening`] and hands it to the process that it concerns. What the
//! cores ask for is performed at once, which plans further happenings. Nothing else moves time.

mod agents;
mod agreed;
mod alarm;
mod calls;
mod containers;
mod disk;
mod drivers;
mod executors;
mod happening;
mod links;
mod masters;
mod operator;
mod schedulers;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use meseta_consensus::spec::Agreement;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::step::Now;

use crate::draws::Draws;
use crate::faults::SOURCES;
use crate::invariants::{Oracle, Seen};
use crate::limits::SECOND_US;
use crate::plan::Plan;
use crate::plants::Plant;
use crate::process::Process;
use crate::queue::Queue;
use crate::tally::{Fault, Situation, Tally};
use crate::trace::Trace;

pub(crate) use agents::AgentHost;
pub(crate) use calls::{Answer, CallFlight};
pub(crate) use containers::{CUSTOM_EXECUTOR, MUTE_EXECUTOR, SimContainer};
pub(crate) use drivers::status_for_driver;
pub(crate) use happening::Happening;
pub(crate) use links::{Flight, Links};
pub(crate) use masters::{AUDIT, MasterHost, SHOWN};
pub(crate) use schedulers::SchedulerHost;
pub(crate) use streams::{StreamItem, Streams};

/// Wall time at the start of every run: 2026-01-01.
const WALL_START_NS: u64 = 1_767_225_600_000_000_000;

/// Monotonic time at the start of every run; its zero is arbitrary, so it is not zero.
const MONO_START_US: u64 = 1_000 * SECOND_US;

/// Two hosts, whichever way they are named.
fn pair(a: Process, b: Process) -> (Process, Process) {
    if a < b { (a, b) } else { (b, a) }
}

/// A whole cluster and everything around it.
pub(crate) struct World {
    pub(crate) now_us: u64,
    pub(crate) queue: Queue<Happening>,
    pub(crate) draws: Draws,
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    pub(crate) oracle: Oracle,
    pub(crate) plant: Option<Box<dyn Plant>>,
    pub(crate) masters: Vec<MasterHost>,
    pub(crate) agents: Vec<AgentHost>,
    pub(crate) schedulers: Vec<SchedulerHost>,
    pub(crate) agreement: Agreement,
    /// Who leads, as a detector sees it.
    pub(crate) leader: Option<usize>,
    pub(crate) links: Links,
    pub(crate) streams: Streams,
    /// Pairs of hosts that cannot reach each other, until when.
    pub(crate) cuts: BTreeMap<(Process, Process), u64>,
    /// Pairs of hosts between which everything takes long: until when, and by how much longer.
    slow: BTreeMap<(Process, Process), (u64, u64)>,
    /// What waits for such a pair to reach each other again, in order.
    held: BTreeMap<(Process, Process), Vec<Happening>>,
    /// Processes that stand still, and what waits for them.
    pub(crate) paused: BTreeMap<Process, Vec<Happening>>,
    /// Faults are off.
    pub(crate) calm: bool,
    /// The agreement is to be polled then.
    pub(crate) agreed_at: Option<u64>,
    /// Agents that never come back.
    pub(crate) lost_agents: BTreeSet<usize>,
    /// Agents that a master declared unreachable and that were not seen since.
    unreachable: BTreeSet<AgentId>,
    /// Frameworks that an operator wants removed.
    pub(crate) dismissed: BTreeSet<FrameworkId>,
    pub(crate) next_number: u64,
}

impl World {
    /// A world in which nothing has started yet; everything starts within its first second.
    pub(crate) fn new(seed: u64, keep_trace: bool, plant: Option<Box<dyn Plant>>) -> Self {
        let mut draws = Draws::new(seed);
        let plan = Plan::draw(&mut draws);
        let voters = if plan.masters > 1 { 3 } else { 1 };
        let agreement = Agreement::new(
            voters,
            draws.bits(),
            plan.agreement,
            meseta_consensus::limits::LOG_BYTES,
        );
        let mut world = Self {
            now_us: 0,
            queue: Queue::new(),
            masters: (0..plan.masters).map(|_| MasterHost::default()).collect(),
            agents: (0..plan.agents.len()).map(AgentHost::new).collect(),
            schedulers: Vec::new(),
            oracle: Oracle::new(plan.masters, plan.agents.len()),
            trace: Trace::new(keep_trace),
            tally: Tally::default(),
            plant,
            agreement,
            leader: None,
            links: Links::default(),
            streams: Streams::default(),
            cuts: BTreeMap::new(),
            slow: BTreeMap::new(),
            held: BTreeMap::new(),
            paused: BTreeMap::new(),
            calm: false,
            agreed_at: None,
            lost_agents: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            dismissed: BTreeSet::new(),
            next_number: 0,
            plan,
            draws,
        };
        world.add_schedulers();
        world.plan_starts(voters);
        world
    }

    fn plan_starts(&mut self, voters: usize) {
        // Voters without a master of their own only vote.
        for voter in self.masters.len()..voters {
            self.agreement.open(0, voter as u64);
        }
        let mut processes = self.all_masters();
        processes.extend(self.all_others());
        for process in processes {
            let at = self.draws.below(SECOND_US);
            self.queue.plan(at, Happening::Start(process));
        }
        for source in 0..SOURCES.len() {
            self.plan_fault(source);
        }
    }

    /// All masters, up or not.
    pub(crate) fn all_masters(&self) -> Vec<Process> {
        (0..self.masters.len()).map(Process::Master).collect()
    }

    /// All that talks to masters, up or not: agents, then schedulers.
    pub(crate) fn all_others(&self) -> Vec<Process> {
        let agents = (0..self.agents.len()).map(Process::Agent);
        let schedulers = (0..self.schedulers.len()).map(Process::Scheduler);
        agents.chain(schedulers).collect()
    }

    /// The time that a process on this host sees.
    pub(crate) fn now(&self, process: Process) -> Now {
        let skew_ns = match process {
            Process::Master(m) => self.masters[m].wall_skew_ns,
            Process::Agent(a) => self.agents[a].wall_skew_ns,
            Process::Scheduler(_) => 0,
        };
        let wall_ns = WALL_START_NS + self.now_us * 1_000;
        Now {
            mono_us: MONO_START_US + self.now_us,
            wall_ns: wall_ns.saturating_add_signed(skew_ns),
        }
    }

    /// The world's time of a monotonic time that a core named.
    pub(crate) fn from_mono(mono_us: u64) -> u64 {
        mono_us.saturating_sub(MONO_START_US)
    }

    /// A number that nothing else in this run has.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(crate) fn later(&mut self, after_us: u64, what: Happening) {
        self.queue.plan(self.now_us.saturating_add(after_us), what);
    }

    pub(crate) fn fired(&mut self, fault: Fault) {
        self.tally.fired(fault);
        self.note(|| format!("-- {fault}"));
    }

    pub(crate) fn met(&mut self, situation: Situation) {
        self.tally.met(situation);
    }

    /// A line of the trace; the text is made only if somebody wants it.
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.trace.keeps() {
            let text = text();
            self.trace.line(self.now_us, &text);
        }
    }

    /// Shows the invariants what happened.
    pub(crate) fn see(&mut self, seen: &Seen<'_>) {
        self.oracle.see(self.now_us, seen);
    }

    /// Takes the next happening; `false` when there is none before `until_us`.
    pub(crate) fn step(&mut self, until_us: u64) -> bool {
        if self.queue.next_at().is_none_or(|at| at > until_us) {
            self.now_us = until_us;
            return false;
        }
        let Some((at, happening)) = self.queue.pop() else {
            return false;
        };
        self.now_us = self.now_us.max(at);
        self.trace.mix(self.now_us);
        self.trace.mix(self.draws.last());
        self.happen(happening);
        self.plan_agreement();
        true
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(target) = self.target(&happening)
            && let Some(waiting) = self.paused.get_mut(&target)
        {
            waiting.push(happening);
            return;
        }
        match happening {
            Happening::Start(process) => self.start(process),
            Happening::Resume(process) => self.resume(process),
            Happening::Wake(process, life) => self.wake(process, life),
            Happening::Agreed => self.agreed(),
            Happening::Detect(listener) => self.detect(listener),
            Happening::Heal(pair) => self.heal(pair),
            Happening::Arrive(conn, flight) => self.message_arrives(conn, *flight),
            Happening::LinkTold(conn) => self.link_told(conn),
            Happening::StreamItem(stream, item) => self.stream_item(&stream, *item),
            Happening::StreamLostAtMaster(stream) => self.stream_lost_at_master(&stream),
            Happening::StreamLostAtScheduler(stream) => self.stream_lost_at_scheduler(&stream),
            Happening::CallArrives(call) => self.call_arrives(*call),
            Happening::AnswerArrives(answer) => self.answer_arrives(*answer),
            Happening::FlushDone(agent, life) => self.flush_done(agent, life),
            Happening::AgentEvent(agent, life, event) => self.agent_hears(agent, life, *event),
            Happening::MasterEvent(master, life, event) => self.master_hears(master, life, *event),
            Happening::Container(agent, id, step) => self.container_step(agent, &id, *step),
            Happening::Executor(agent, id, input) => self.executor_input(agent, &id, *input),
            Happening::ExecutorWake(agent, id) => self.executor_wake(agent, &id),
            Happening::ToAgent(agent, id, said) => self.executor_said(agent, &id, *said),
            Happening::Scheduler(scheduler, what) => self.scheduler_happening(scheduler, *what),
            Happening::Fault(source) => self.fault(source),
        }
    }

    fn start(&mut self, process: Process) {
        match process {
            Process::Master(m) => self.start_master(m),
            Process::Agent(a) => self.start_agent(a),
            Process::Scheduler(s) => self.start_scheduler(s),
        }
    }

    fn wake(&mut self, process: Process, life: u64) {
        match process {
            Process::Master(m) => self.wake_master(m, life),
            Process::Agent(a) => self.wake_agent(a, life),
            Process::Scheduler(s) => self.wake_scheduler(s, life),
        }
    }

    /// Whether a process runs, standing still included.
    pub(crate) fn is_up(&self, process: Process) -> bool {
        match process {
            Process::Master(m) => self.masters.get(m).is_some_and(|m| m.process.is_some()),
            Process::Agent(a) => self.agents.get(a).is_some_and(|a| a.process.is_some()),
            Process::Scheduler(s) => self.schedulers.get(s).is_some_and(|s| s.is_up),
        }
    }

    /// Whether packets between these two hosts get nowhere now, and until when.
    pub(crate) fn cut_until(&self, a: Process, b: Process) -> Option<u64> {
        let until = self.cuts.get(&pair(a, b)).copied();
        until.filter(|until| *until > self.now_us)
    }

    /// Cuts two hosts off from each other.
    pub(crate) fn cut(&mut self, a: Process, b: Process, for_us: u64) {
        let until = self.now_us + for_us;
        let known = self.cuts.entry(pair(a, b)).or_default();
        *known = until.max(*known);
        self.note(|| format!("{a} and {b} are cut off for {} ms", for_us / 1_000));
        self.later(for_us, Happening::Heal(pair(a, b)));
    }

    /// From now on everything between these two takes longer.
    pub(crate) fn slow_down(&mut self, a: Process, b: Process, extra_us: u64, for_us: u64) {
        self.note(|| format!("{a} and {b} are {} ms apart", extra_us / 1_000));
        let until = self.now_us + for_us;
        self.slow.insert(pair(a, b), (until, extra_us));
    }

    /// How much longer than usual packets between these two take now.
    pub(crate) fn slowness(&self, a: Process, b: Process) -> u64 {
        let slow = self.slow.get(&pair(a, b));
        slow.filter(|(until, _)| *until > self.now_us)
            .map_or(0, |(_, extra_us)| *extra_us)
    }

    /// What would cross a cut waits until it is mended.
    pub(crate) fn hold(&mut self, a: Process, b: Process, what: Happening) {
        self.held.entry(pair(a, b)).or_default().push(what);
    }

    fn heal(&mut self, (a, b): (Process, Process)) {
        if self.cut_until(a, b).is_some() {
            // A later cut lasts longer; it has its own end.
            return;
        }
        for happening in self.held.remove(&(a, b)).unwrap_or_default() {
            self.happen(happening);
        }
    }

    /// A process stands still for a while.
    pub(crate) fn pause(&mut self, process: Process, for_us: u64) {
        if self.paused.contains_key(&process) {
            return;
        }
        self.note(|| format!("{process} stands still for {} ms", for_us / 1_000));
        self.paused.insert(process, Vec::new());
        if let Process::Master(m) = process {
            self.masters[m].pauses += 1;
            self.agreement.cut_off(self.now_us, m as u64);
        }
        self.later(for_us, Happening::Resume(process));
    }

    pub(crate) fn resume(&mut self, process: Process) {
        let Some(mut waiting) = self.paused.remove(&process) else {
            return;
        };
        self.note(|| format!("{process} goes on"));
        if let Process::Master(m) = process {
            self.agreement.heal(self.now_us, m as u64);
            if self.masters[m].believes_to_lead() && self.agreement.leader() != Some(m as u64) {
                self.fired(Fault::OldLeaderWoke);
            }
        }
        // Timers and sockets are looked at in no particular order.
        if self.draws.coin() {
            waiting.sort_by_key(|happening| !matches!(happening, Happening::Wake(..)));
        }
        for happening in waiting {
            self.happen(happening);
        }
    }

    /// Plans the next fault of this source, if it fires in this run.
    pub(crate) fn plan_fault(&mut self, source: usize) {
        if let Some(mean_us) = self.plan.sources[source] {
            let after = self.draws.between((1, 2 * mean_us));
            self.later(after, Happening::Fault(source));
        }
    }

    fn fault(&mut self, source: usize) {
        if self.calm {
            return;
        }
        (SOURCES[source].fire)(self);
        self.plan_fault(source);
    }

    /// Ends the safety phase: what is broken is mended, what stands still goes on, what is down comes
    /// up, and nothing fails any more.
    pub(crate) fn calm_down(&mut self) {
        self.note(|| "== faults are off".to_owned());
        self.calm = true;
        self.plan.calm();
        self.cuts.clear();
        self.slow.clear();
        for pair in self.held.keys().copied().collect::<Vec<_>>() {
            self.heal(pair);
        }
        for process in self.paused.keys().copied().collect::<Vec<_>>() {
            self.resume(process);
        }
        if self.plan.loses_an_agent {
            let lost = self.draws.index(self.agents.len());
            self.end_host(lost, &mut |_| 0);
            self.lost_agents.insert(lost);
        }
        for agent in 0..self.agents.len() {
            self.calm_agent(agent);
        }
        for scheduler in 0..self.schedulers.len() {
            self.wind_down_scheduler(scheduler);
        }
    }
}
