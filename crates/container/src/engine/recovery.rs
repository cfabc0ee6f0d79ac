//! Finds the containers of an earlier life of the agent.

use std::collections::BTreeSet;
use std::time::Instant;

use meseta_model::container::{ContainerReport, RecoverableContainer};
use meseta_model::ids::ContainerId;
use rustix::event::epoll::EventFlags;

use super::{Container, Engine, State, Supervisor, Watched};
use crate::limits::{HELD_PATIENCE, SWEEP_PAUSE};
use crate::procfs::{self, Process};

impl Engine {
    pub(super) fn recover(&mut self, containers: &[RecoverableContainer]) {
        let named: BTreeSet<&ContainerId> = containers
            .iter()
            .map(|container| &container.container_id)
            .collect();
        let outermost: BTreeSet<&String> =
            named.iter().filter_map(|id| id.path().first()).collect();
        let recorded = self.runtime.list();

        // All are known before any is acted upon: ends and destroys go by who is nested in whom.
        let mut over = Vec::new();
        for wanted in containers {
            if !self.take_up(&wanted.container_id, Some(wanted)) {
                over.push(wanted.container_id.clone());
            }
        }
        let mut orphans = Vec::new();
        for id in recorded.iter().filter(|id| !named.contains(id)) {
            let mine = id
                .path()
                .first()
                .is_some_and(|first| outermost.contains(first));
            if !mine {
                orphans.push(id.clone());
            }
            if !self.take_up(id, None) {
                over.push(id.clone());
            }
        }
        for id in &orphans {
            if let Some(container) = self.containers.get_mut(id) {
                container.orphan = true;
            }
        }
        let containers = orphans.clone();
        (self.report)(ContainerReport::OrphansFound { containers });
        for id in &over {
            self.end_without_supervisor(id);
        }
        for id in &orphans {
            tracing::info!(container = %id, "destroying an orphan");
            if self.containers.contains_key(id) {
                self.destroy(id);
            }
        }
    }

    /// Enters a container into the books; `false` if nothing runs that stands for it.
    fn take_up(&mut self, id: &ContainerId, wanted: Option<&RecoverableContainer>) -> bool {
        if self.containers.contains_key(id) {
            return true;
        }
        let supervisor = self.find_supervisor(id, wanted);
        let mut container = Container::new();
        container.recovered = true;
        let runs = match supervisor {
            Some(supervisor) => {
                let token = self.watch(id, Watched::Supervisor, &supervisor.pidfd, EventFlags::IN);
                container.tokens.extend(token);
                container.supervisor = Some(supervisor);
                true
            }
            None => false,
        };
        self.containers.insert(id.clone(), container);
        if runs {
            self.watch_memory(id);
        }
        runs
    }

    fn find_supervisor(
        &self,
        id: &ContainerId,
        wanted: Option<&RecoverableContainer>,
    ) -> Option<Supervisor> {
        let record = self.runtime.record(id);
        if record.exists() {
            let process = record.live_supervisor(&self.boot)?;
            return Some(Supervisor {
                process,
                pidfd: process.open()?,
                adopted: false,
            });
        }
        // Without a record it may be an executor of a Mesos agent that had this node before: the
        // pid alone proves nothing, its environment does.
        let wanted = wanted?;
        let process = procfs::read(wanted.pid?.cast_signed()).filter(|p| !p.is_over())?;
        let pidfd = process.open()?;
        started_in(&process, &wanted.sandbox).then_some(Supervisor {
            process,
            pidfd,
            adopted: true,
        })
    }

    fn end_without_supervisor(&mut self, id: &ContainerId) {
        let record = self.runtime.record(id);
        if record.is_over() || record.from_another_boot(&self.boot) {
            self.settle(id);
        } else if record.exists() && !record.names_supervisor() {
            self.await_unnamed(id, Instant::now() + HELD_PATIENCE);
        } else {
            self.sweep(id, 0);
        }
    }

    /// The agent died around the start of a supervisor, before it wrote down which process that is. If
    /// there is one, it is held, learns from its pipe that nobody will release it, and says so; until
    /// then the id must not be launched again, or its last words would be taken for the next one's.
    pub(super) fn await_unnamed(&mut self, id: &ContainerId, until: Instant) {
        let now = Instant::now();
        if self.runtime.record(id).is_over() {
            return self.settle(id);
        }
        if now >= until {
            return self.sweep(id, 0);
        }
        if let Some(container) = self.containers.get_mut(id) {
            container.state = State::Unnamed(until);
        }
        self.set_deadline(id, Some(now + SWEEP_PAUSE));
    }
}

/// Whether a process is the executor of this sandbox: both variables are Mesos's.
fn started_in(process: &Process, sandbox: &str) -> bool {
    ["MESOS_SANDBOX", "MESOS_DIRECTORY"]
        .iter()
        .any(|name| procfs::started_with(process.pid, &format!("{name}={sandbox}")))
}
