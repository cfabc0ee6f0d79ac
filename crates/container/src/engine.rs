//! The agent's side at work: one thread, one epoll set, all containers.
//!
//! It only waits for descriptors (supervisors that end, memory bounds that are passed, commands)
//! and for deadlines; everything slow happens in the supervisors. `launch` starts them, `end`
//! follows a container from its last process to its report, `recovery` finds those of an earlier
//! life, `usage` reads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meseta_model::container::{ContainerLimits, ContainerReport, Limitation};
use meseta_model::ids::ContainerId;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use crate::cgroup::oom::OomWatch;
use crate::containerizer::Config;
use crate::counts::Counts;
use crate::execute::execute;
use crate::kernel::Linux;
use crate::procfs::{self, Process};
use crate::queue::{Command, Queue};
use crate::record::RuntimeDir;
use crate::sys;

mod end;
mod launch;
mod recovery;
#[cfg(test)]
mod tests;
mod usage;

/// Commands done in one turn, launches that can wait aside; ends are not kept waiting by a burst.
const COMMANDS_A_TURN: usize = 64;
/// Events taken in one turn.
const EVENTS_A_TURN: usize = 256;
/// The token of the command queue.
const BELL: u64 = 0;

/// The room's thread and all it knows.
pub(crate) struct Engine {
    config: Config,
    runtime: RuntimeDir,
    boot: String,
    user: String,
    root: bool,
    epoll: OwnedFd,
    queue: Arc<Queue>,
    report: Box<dyn FnMut(ContainerReport) + Send>,
    counts: Arc<Counts>,
    containers: BTreeMap<ContainerId, Container>,
    /// Whom a descriptor belongs to.
    tokens: BTreeMap<u64, (ContainerId, Watched)>,
    next_token: u64,
    deadlines: BTreeSet<(Instant, ContainerId)>,
    /// Ended and reported in this life, oldest first; their records are kept for a while.
    ended: VecDeque<ContainerId>,
    /// The process table and when it was read.
    table: Option<(Instant, Vec<Process>)>,
}

/// What a descriptor in the epoll set tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// The supervisor ended.
    Supervisor,
    /// Memory ran out.
    Memory,
    /// The supervisor closed its end of the pipe: URIs are fetched, or it ended.
    Fetch,
}

/// One container that is not over and reported.
struct Container {
    state: State,
    supervisor: Option<Supervisor>,
    /// Closed by a release (after the word) or a destroy (without).
    go: Option<OwnedFd>,
    /// There are URIs to fetch.
    has_uris: bool,
    /// What `go` becomes while they are fetched.
    fetching: Option<OwnedFd>,
    limits: ContainerLimits,
    memory: Option<OomWatch>,
    limitation: Option<Limitation>,
    /// How often to look yet whether a notice of memory pressure was one.
    memory_looks: u32,
    /// Why its launch failed although its supervisor was started.
    failed: Option<String>,
    /// Somebody wants it gone.
    destroyed: bool,
    /// Started by an earlier life.
    recovered: bool,
    /// Recovery did not name it: its record goes with it.
    orphan: bool,
    tokens: Vec<u64>,
    deadline: Option<Instant>,
}

/// The process that stands for a container.
struct Supervisor {
    process: Process,
    pidfd: OwnedFd,
    /// Not a supervisor at all but the first process itself, started by an agent that is not ours.
    adopted: bool,
}

/// Where a container is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its supervisor runs, and it may.
    Running,
    /// To be killed as soon as those nested in it are over.
    Doomed,
    /// Its supervisor kills; at the deadline that is taken out of its hands.
    Destroying,
    /// Its supervisor, if there is one, is not known and will say that it is over, until this time.
    Unnamed(Instant),
    /// No supervisor: what is left is looked for; so many rounds in a row found nothing.
    Sweeping(u32),
    /// No process is left; waits for those nested in it.
    Settled,
    /// Its control groups are removed, tried again until this time.
    Removing(Instant),
}

impl Engine {
    /// Opens what it needs.
    pub(crate) fn new(
        config: Config,
        queue: Arc<Queue>,
        report: Box<dyn FnMut(ContainerReport) + Send>,
        counts: Arc<Counts>,
    ) -> io::Result<Self> {
        let runtime = RuntimeDir::open(&config.runtime_dir)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            queue.bell(),
            EventData::new_u64(BELL),
            EventFlags::IN,
        )?;
        Ok(Self {
            config,
            runtime,
            boot: procfs::boot_id(),
            user: sys::current_user(),
            root: rustix::process::geteuid().is_root(),
            epoll,
            queue,
            report,
            counts,
            containers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: BELL + 1,
            deadlines: BTreeSet::new(),
            ended: VecDeque::new(),
            table: None,
        })
    }

    /// Serves until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS_A_TURN);
        let mut more = false;
        loop {
            let timeout = if more {
                Some(Duration::ZERO)
            } else {
                self.until_deadline()
            };
            let timeout = timeout.map(|wait| Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            });
            events.clear();
            // Interrupted or out of memory: the next turn tries again.
            let _ = epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            );
            for event in &events {
                let event: &epoll::Event = event;
                self.on_event(event.data.u64());
            }
            self.on_deadlines();
            match self.on_commands() {
                Turn::Done => more = false,
                Turn::More => more = true,
                Turn::Stop => return,
            }
        }
    }

    fn until_deadline(&self) -> Option<Duration> {
        let (at, _) = self.deadlines.first()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn on_event(&mut self, token: u64) {
        if token == BELL {
            let mut count = [0_u8; 8];
            let _ = rustix::io::read(self.queue.bell(), &mut count);
            return;
        }
        match self.tokens.get(&token).cloned() {
            Some((id, Watched::Supervisor)) => self.on_supervisor_ended(&id),
            Some((id, Watched::Memory)) => self.on_memory_notice(&id),
            Some((id, Watched::Fetch)) => self.on_fetch_over(&id),
            // Closed earlier in this turn.
            None => {}
        }
    }

    fn on_deadlines(&mut self) {
        let now = Instant::now();
        while let Some((at, id)) = self.deadlines.first().cloned() {
            if at > now {
                return;
            }
            self.set_deadline(&id, None);
            self.deadlines.remove(&(at, id.clone()));
            self.on_deadline(&id);
        }
    }

    fn on_deadline(&mut self, id: &ContainerId) {
        match self.containers.get(id).map(|container| container.state) {
            Some(State::Destroying) => self.on_destroy_overdue(id),
            Some(State::Unnamed(until)) => self.await_unnamed(id, until),
            Some(State::Sweeping(quiet)) => self.sweep(id, quiet),
            Some(State::Removing(until)) => self.remove(id, until),
            Some(State::Running) => self.look_at_memory(id),
            Some(State::Doomed | State::Settled) | None => {}
        }
    }

    fn on_commands(&mut self) -> Turn {
        for _ in 0..COMMANDS_A_TURN {
            match self.queue.pop() {
                Some(Command::Launch(spec)) => self.launch(&spec),
                Some(Command::Release(id)) => self.release(&id),
                Some(Command::Destroy(id)) => self.destroy(&id),
                Some(Command::Recover(containers)) => self.recover(&containers),
                Some(Command::Update(id, limits)) => self.update(&id, limits),
                Some(Command::Usage(id, reply)) => reply(self.usage(&id)),
                Some(Command::Stop) => return Turn::Stop,
                None => break,
            }
        }
        // One a turn: it is slow, and the containers there are go on first.
        if let Some(spec) = self.queue.pop_launch() {
            self.launch(&spec);
        }
        if self.queue.is_empty() {
            Turn::Done
        } else {
            Turn::More
        }
    }

    fn update(&mut self, id: &ContainerId, limits: ContainerLimits) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.limits = limits;
        let Some(cgroups) = &self.config.isolation.cgroups else {
            return;
        };
        let hard_now = crate::cgroup::usage::hard_bytes_now(cgroups, id);
        let steps = cgroups.update(id, &limits, hard_now);
        if let Err(fault) = execute(&mut Linux::default(), &steps) {
            tracing::warn!(container = %id, %fault, "the container keeps its bounds");
        }
    }

    /// Adds a descriptor of a container to the epoll set.
    fn watch(
        &mut self,
        id: &ContainerId,
        what: Watched,
        descriptor: impl AsFd,
        interest: EventFlags,
    ) -> io::Result<u64> {
        let token = self.next_token;
        epoll::add(&self.epoll, descriptor, EventData::new_u64(token), interest)?;
        self.next_token += 1;
        self.tokens.insert(token, (id.clone(), what));
        Ok(token)
    }

    /// Starts watching the memory of a container, if it is bounded.
    fn watch_memory(&mut self, id: &ContainerId) {
        let Some(cgroups) = &self.config.isolation.cgroups else {
            return;
        };
        let Some(watch) = OomWatch::start(cgroups, id) else {
            return;
        };
        let token = self.watch(id, Watched::Memory, &watch, watch.interest());
        if let (Ok(token), Some(container)) = (token, self.containers.get_mut(id)) {
            container.tokens.push(token);
            container.memory = Some(watch);
        }
    }

    fn set_deadline(&mut self, id: &ContainerId, at: Option<Instant>) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        if let Some(old) = container.deadline.take() {
            self.deadlines.remove(&(old, id.clone()));
        }
        container.deadline = at;
        if let Some(at) = at {
            self.deadlines.insert((at, id.clone()));
        }
    }

    /// The containers directly nested in this one.
    fn children(&self, id: &ContainerId) -> Vec<ContainerId> {
        let depth = id.path().len();
        // Ids sort by their path, so all below one follow it without a gap.
        self.containers
            .range(id.clone()..)
            .skip(1)
            .map(|(other, _)| other)
            .take_while(|other| other.path().starts_with(id.path()))
            .filter(|other| other.path().len() == depth + 1)
            .cloned()
            .collect()
    }
}

/// What a turn of commands came to.
enum Turn {
    Done,
    More,
    Stop,
}

/// The container that one is nested in.
fn parent(id: &ContainerId) -> Option<ContainerId> {
    let (_, path) = id.path().split_last()?;
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(ContainerId::root(first.clone()), |id, element| {
            id.child(element.clone())
        })
}

impl Container {
    fn new() -> Self {
        Self {
            state: State::Running,
            supervisor: None,
            go: None,
            has_uris: false,
            fetching: None,
            limits: ContainerLimits::default(),
            memory: None,
            limitation: None,
            memory_looks: 0,
            failed: None,
            destroyed: false,
            recovered: false,
            orphan: false,
            tokens: Vec::new(),
            deadline: None,
        }
    }
}
