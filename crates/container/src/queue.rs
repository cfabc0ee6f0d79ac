//! Commands on their way to the room's thread.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meseta_model::container::{ContainerLimits, LaunchSpec, RecoverableContainer};
use meseta_model::ids::ContainerId;
use rustix::event::{EventfdFlags, eventfd};

use crate::containerizer::{Refusal, UsageReply};
use crate::limits::COMMANDS_WAITING;

pub(crate) enum Command {
    Launch(Box<LaunchSpec>),
    Release(ContainerId),
    Destroy(ContainerId),
    Recover(Vec<RecoverableContainer>),
    Update(ContainerId, ContainerLimits),
    Usage(ContainerId, UsageReply),
    Stop,
}

impl Command {
    /// Whether it may be refused: what makes work. What lets work go on or ends it is always taken, and
    /// is bounded by the work: one release and few destroys a container, and one update that waits.
    fn is_refusable(&self) -> bool {
        matches!(self, Self::Launch(_) | Self::Usage(..))
    }
}

/// The commands that wait.
///
/// Launches wait behind everything else: with a thousand of them, those that are held already are let
/// go and those that are to end are ended first, so that work flows through the machine instead of
/// piling up in it. What is done with one container keeps its order.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bell: OwnedFd,
}

#[derive(Default)]
struct Waiting {
    /// By their turn.
    launches: BTreeMap<u64, Box<LaunchSpec>>,
    /// The turn of each container's launch.
    turns: BTreeMap<ContainerId, u64>,
    next_turn: u64,
    others: VecDeque<Command>,
    /// The newest bounds of each container that has an update among the others.
    updates: BTreeMap<ContainerId, ContainerLimits>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.launches.len() + self.others.len()
    }

    fn push(&mut self, command: Command) {
        match command {
            // A second launch of one that waits is the caller's mistake; it is met behind the first.
            Command::Launch(spec) if !self.turns.contains_key(&spec.container_id) => {
                self.turns.insert(spec.container_id.clone(), self.next_turn);
                self.launches.insert(self.next_turn, spec);
                self.next_turn += 1;
            }
            Command::Launch(spec) => self.urge(&spec.container_id.clone(), Command::Launch(spec)),
            Command::Destroy(id) => self.urge(&id.clone(), Command::Destroy(id)),
            Command::Update(id, limits) => {
                if self.updates.insert(id.clone(), limits).is_none() {
                    self.urge(&id.clone(), Command::Update(id, limits));
                }
            }
            other => self.others.push_back(other),
        }
    }

    /// Puts a command behind the launch of its container, whose turn it is now, if that waits.
    fn urge(&mut self, id: &ContainerId, command: Command) {
        let launch = self.turns.remove(id);
        let launch = launch.and_then(|turn| self.launches.remove(&turn));
        self.others.extend(launch.map(Command::Launch));
        self.others.push_back(command);
    }

    fn pop_launch(&mut self) -> Option<Box<LaunchSpec>> {
        let (_, spec) = self.launches.pop_first()?;
        self.turns.remove(&spec.container_id);
        Some(spec)
    }
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            waiting: Mutex::default(),
            bell,
        })
    }

    pub(crate) fn push(&self, command: Command) -> Result<(), Refusal> {
        let mut waiting = self.waiting();
        if waiting.len() >= COMMANDS_WAITING && command.is_refusable() {
            return Err(Refusal::Busy);
        }
        waiting.push(command);
        drop(waiting);
        // Fails only when the counter is full, and then the bell rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }

    /// The next command, launches that can wait aside.
    pub(crate) fn pop(&self) -> Option<Command> {
        let mut waiting = self.waiting();
        let command = waiting.others.pop_front()?;
        let Command::Update(id, old) = command else {
            return Some(command);
        };
        let newest = waiting.updates.remove(&id).unwrap_or(old);
        Some(Command::Update(id, newest))
    }

    /// The next launch.
    pub(crate) fn pop_launch(&self) -> Option<Box<LaunchSpec>> {
        self.waiting().pop_launch()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().len() == 0
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Readable when there may be commands; read it before [`Queue::pop`].
    pub(crate) fn bell(&self) -> &OwnedFd {
        &self.bell
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use meseta_model::container::{ContainerClass, Program};

    use super::*;

    fn launch(id: &str) -> Command {
        Command::Launch(Box::new(LaunchSpec {
            container_id: ContainerId::root(id),
            class: ContainerClass::Default,
            program: Program::CommandExecutor,
            environment: BTreeMap::new(),
            user: None,
            sandbox: "/s".to_owned(),
            create_sandbox: false,
            uris: Vec::new(),
            limits: ContainerLimits::default(),
            rlimits: Vec::new(),
            container: None,
        }))
    }

    fn release(id: &str) -> Command {
        Command::Release(ContainerId::root(id))
    }

    fn destroy(id: &str) -> Command {
        Command::Destroy(ContainerId::root(id))
    }

    fn names(queue: &Queue) -> Vec<String> {
        let name = |command| match command {
            Command::Launch(spec) => format!("launch {}", spec.container_id),
            Command::Release(id) => format!("release {id}"),
            Command::Destroy(id) => format!("destroy {id}"),
            Command::Update(id, _) => format!("update {id}"),
            Command::Recover(_) => "recover".to_owned(),
            Command::Usage(id, _) => format!("usage {id}"),
            Command::Stop => "stop".to_owned(),
        };
        let next = || {
            queue
                .pop()
                .or_else(|| queue.pop_launch().map(Command::Launch))
        };
        std::iter::from_fn(next).map(name).collect()
    }

    #[test]
    fn launches_wait_behind_what_is_there_already() {
        let queue = Queue::new().unwrap();
        for command in [
            launch("c"),
            launch("a"),
            launch("b"),
            release("x"),
            destroy("y"),
            Command::Recover(Vec::new()),
        ] {
            queue.push(command).unwrap();
        }
        let order = [
            "release x",
            "destroy y",
            "recover",
            "launch c",
            "launch a",
            "launch b",
        ];
        assert_eq!(names(&queue), order);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_launch_that_waits_comes_before_what_else_is_done_with_its_container() {
        let queue = Queue::new().unwrap();
        let limits = ContainerLimits::default();
        for command in [
            launch("a"),
            launch("b"),
            launch("c"),
            launch("d"),
            destroy("b"),
            Command::Update(ContainerId::root("c"), limits),
            launch("d"),
            destroy("c"),
            launch("b"),
        ] {
            queue.push(command).unwrap();
        }
        let order = [
            "launch b",
            "destroy b",
            "launch c",
            "update c",
            "launch d",
            "launch d",
            "destroy c",
            // Again, after its end: the caller's business.
            "launch a",
            "launch b",
        ];
        assert_eq!(names(&queue), order);
    }

    #[test]
    fn only_what_makes_work_is_refused_beyond_the_limit() {
        let queue = Queue::new().unwrap();
        for number in 0..COMMANDS_WAITING {
            assert_eq!(queue.push(launch(&number.to_string())), Ok(()));
        }
        assert_eq!(queue.push(launch("a")), Err(Refusal::Busy));
        let usage = Command::Usage(ContainerId::root("0"), Box::new(|_| ()));
        assert_eq!(queue.push(usage), Err(Refusal::Busy));
        for command in [release("r"), destroy("d"), Command::Stop] {
            assert_eq!(queue.push(command), Ok(()));
        }
        assert!(queue.pop_launch().is_some());
    }

    #[test]
    fn of_updates_that_wait_only_the_newest_counts() {
        let queue = Queue::new().unwrap();
        let bounds = |cpus_millis| ContainerLimits {
            cpus_millis,
            ..ContainerLimits::default()
        };
        for cpus_millis in 1..=1000 {
            let id = ContainerId::root("a");
            queue
                .push(Command::Update(id, bounds(cpus_millis)))
                .unwrap();
        }
        assert!(matches!(queue.pop(), Some(Command::Update(_, limits)) if limits == bounds(1000)));
        assert!(queue.is_empty());
        let id = ContainerId::root("a");
        queue.push(Command::Update(id, bounds(7))).unwrap();
        assert!(matches!(queue.pop(), Some(Command::Update(_, limits)) if limits == bounds(7)));
    }
}
