//! None is forgotten: every task that reached an agent and whose end nobody told is answered for by its
//! agent, the leader, or the registry's digest; the digest holds what the leader sent; and no container
//! runs that its agent does not know. (Design decision 7.)

use std::collections::{BTreeMap, BTreeSet};

use meseta_agent::event::{Effect as AgentEffect, Event};
use meseta_agent::view::{Delta as AgentDelta, TaskList};
use meseta_master::event::Effect as MasterEffect;
use meseta_master::view::{Delta as MasterDelta, TaskList as MasterList};
use meseta_model::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use meseta_model::step::Write;
use meseta_model::task_state::is_terminal;
use meseta_runtime::Output;

use super::books::TaskKey;
use super::durable::writes_of;
use super::{Books, Found, Invariant, Seen, told_update};
use crate::limits::SECOND_US;

const ANSWERED: &str = "somebody answers for every task";
const DIGEST: &str = "the digest holds what was sent";
const CONTAINERS: &str = "agents know the containers that run";

/// Digests are written ten times a second; a busy registry may take a little longer.
const DIGEST_US: u64 = 4 * SECOND_US;

/// How long an agent that is up may not know a container that is on its way out.
const UNKNOWN_US: u64 = 150 * SECOND_US;

/// A task that reached an agent.
#[derive(Debug)]
struct Reached {
    agent: usize,
    container: ContainerId,
    id: Option<AgentId>,
    since_us: u64,
    /// Its description is on the agent's disk.
    durable: bool,
    /// The digest was seen to hold it, or the leader had its time to see to that.
    owed: bool,
}

pub(super) struct Forgotten {
    reached: BTreeMap<TaskKey, Reached>,
    /// Containers that run, and since when.
    running: Vec<BTreeMap<ContainerId, u64>>,
    up_since_us: Vec<u64>,
}

impl Forgotten {
    pub(super) fn new(agents: usize) -> Self {
        Self {
            reached: BTreeMap::new(),
            running: vec![BTreeMap::new(); agents],
            up_since_us: vec![0; agents],
        }
    }

    /// Somebody was told of its end, or it ended with something larger.
    fn settle_task(&mut self, key: &TaskKey) {
        self.reached.remove(key);
    }

    fn agent_shows(&mut self, agent: usize, delta: &AgentDelta, books: &Books, now_us: u64) {
        let AgentDelta::Task {
            task,
            list,
            container_id,
        } = delta
        else {
            return;
        };
        let key = (
            FrameworkId::from(&task.framework_id),
            TaskId::from(&task.task_id),
        );
        match list {
            TaskList::Queued => {
                let known = self.reached.get(&key);
                if known.is_some_and(|known| known.container == *container_id) {
                    // Queued once more by an agent that restarted.
                    return;
                }
                let reached = Reached {
                    agent,
                    container: container_id.clone(),
                    id: books.agents[agent].id.clone(),
                    since_us: now_us,
                    durable: false,
                    owed: false,
                };
                self.reached.insert(key, reached);
            }
            TaskList::Completed => self.settle_task(&key),
            TaskList::Launched | TaskList::Terminated => {}
        }
    }

    fn written(&mut self, agent: usize, writes: &[Write]) {
        let infos: BTreeSet<&str> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Put { path, .. } => path.strip_suffix("/task.info"),
                _ => None,
            })
            .filter_map(|path| path.rsplit('/').next())
            .collect();
        if infos.is_empty() {
            return;
        }
        for ((_, task), reached) in &mut self.reached {
            if reached.agent == agent && infos.contains(task.as_str()) {
                reached.durable = true;
            }
        }
    }

    /// The leader tells a framework of an end, or takes a task off its books for good.
    fn master_does(&mut self, effect: &MasterEffect, books: &Books) {
        if let MasterEffect::Changed(MasterDelta::TaskMoved {
            framework,
            task,
            to: MasterList::Completed,
            ..
        }) = effect
        {
            self.settle_task(&(framework.clone(), task.clone()));
        }
        if let Some(status) = told_update(effect)
            && is_terminal(status.state())
        {
            let task = TaskId::from(&status.task_id);
            for framework in books.schedulers.keys() {
                self.settle_task(&(framework.clone(), task.clone()));
            }
        }
    }

    fn look_at_digests(&mut self, books: &Books, master: usize, since_us: u64, found: &mut Found) {
        let now_us = found.now_us();
        for (key, task) in &books.masters[master].tasks {
            let known_us = now_us.saturating_sub(task.since_us.max(since_us));
            if known_us < DIGEST_US || is_terminal(task.state) {
                continue;
            }
            let digest = books.registry.digest(&task.agent);
            let holds = digest.is_some_and(|digest| digest.contains(key));
            found.check(DIGEST, holds, || {
                format!("{} {} on {} is not in the digest", key.0, key.1, task.agent)
            });
            if let Some(reached) = self.reached.get_mut(key) {
                reached.owed |= holds;
            }
        }
    }

    fn look_at_tasks(&mut self, books: &Books, master: usize, found: &mut Found) {
        let book = &books.masters[master];
        for (key, reached) in &self.reached {
            let gone = reached.id.as_ref().is_none_or(|id| {
                let registry = &books.registry;
                registry.gone().contains_key(id) || registry.digest(id).is_none()
            });
            let removed = !books.registry.frameworks().contains_key(&key.0);
            if gone || removed {
                continue;
            }
            let agent = &books.agents[reached.agent];
            let on_agent = agent.tasks.contains_key(key) || (!agent.up && reached.durable);
            let in_master = book.tasks.contains_key(key) || book.unreachable.contains_key(key);
            let digest = reached.id.as_ref().and_then(|id| books.registry.digest(id));
            let in_digest = digest.is_some_and(|digest| digest.contains(key));
            // What an agent lost before it was written, at the very moment when the leader that had
            // just sent it fell, nobody can know; the framework's reconciliation finds it.
            let kept = reached.durable && !books.forgiven.contains(&reached.agent);
            let owed = reached.owed || kept;
            found.check(
                ANSWERED,
                !owed || on_agent || in_master || in_digest,
                || {
                    format!(
                        "{} {}, which reached agent{} at {} s",
                        key.0,
                        key.1,
                        reached.agent + 1,
                        reached.since_us / SECOND_US
                    )
                },
            );
        }
    }

    fn look_at_containers(&self, books: &Books, found: &mut Found) {
        let now_us = found.now_us();
        for (a, running) in self.running.iter().enumerate() {
            let agent = &books.agents[a];
            if !agent.up || !agent.recovered {
                continue;
            }
            for (container, since_us) in running {
                let both_us = now_us.saturating_sub((*since_us).max(self.up_since_us[a]));
                let known = agent.executors.contains_key(container) || both_us < UNKNOWN_US;
                found.check(CONTAINERS, known, || {
                    format!("container {container} runs on agent{} unknown to it", a + 1)
                });
            }
        }
    }
}

impl Invariant for Forgotten {
    fn kinds(&self) -> &'static [&'static str] {
        &[ANSWERED, DIGEST, CONTAINERS]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::AgentStarts { agent } => self.up_since_us[*agent] = found.now_us(),
            Seen::AgentTakes {
                agent,
                event: Event::Started(started),
            } => self.written(*agent, &writes_of(&started.meta)),
            Seen::AgentDoes {
                agent,
                output: Output::Effect(AgentEffect::Changed(delta)),
            } => self.agent_shows(*agent, delta, books, found.now_us()),
            Seen::Flushed {
                agent,
                writes,
                done: true,
            } => self.written(*agent, writes),
            Seen::MasterDoes {
                output: Output::Effect(effect),
                ..
            } => self.master_does(effect, books),
            Seen::ContainerRuns { agent, container } => {
                let now_us = found.now_us();
                self.running[*agent].insert((*container).clone(), now_us);
            }
            Seen::ContainerEnds { agent, container } => {
                self.running[*agent].remove(*container);
            }
            _ => {}
        }
    }

    fn look(&mut self, books: &Books, steady: Option<(usize, u64)>, found: &mut Found) {
        self.look_at_containers(books, found);
        if let Some((master, since_us)) = steady {
            self.look_at_digests(books, master, since_us, found);
            self.look_at_tasks(books, master, found);
        }
    }

    fn settle(&mut self, books: &Books, found: &mut Found) {
        for (a, running) in self.running.iter().enumerate() {
            let left = running.keys().next();
            found.check(CONTAINERS, left.is_none() || !books.agents[a].up, || {
                format!("container {left:?} is left on agent{}", a + 1)
            });
        }
    }
}
