//! From a spec to a supervisor that is held.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use meseta_model::container::{ContainerReport, LaunchSpec};
use meseta_model::ids::ContainerId;
use rustix::event::epoll::EventFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Container, Engine, State, Supervisor, Watched, parent};
use crate::execute::execute;
use crate::kernel::Linux;
use crate::limits::{CONTAINERS, PLAN_BYTES};
use crate::plan::{Plan, Surroundings, check_id, plan};
use crate::procfs;
use crate::record::Record;
use crate::supervise::{GO, memory_file};

impl Engine {
    pub(super) fn launch(&mut self, spec: &LaunchSpec) {
        let id = &spec.container_id;
        if self.containers.contains_key(id) {
            // The caller's mistake; a report would speak of the one that runs.
            tracing::error!(container = %id, "launched twice, the second time without effect");
            return;
        }
        match self.try_launch(spec) {
            Ok(pid) => {
                let container_id = id.clone();
                (self.report)(ContainerReport::Launched { container_id, pid });
            }
            Err(message) => {
                let container_id = id.clone();
                (self.report)(ContainerReport::LaunchFailed {
                    container_id,
                    message,
                });
            }
        }
    }

    /// On an error everything that was made is gone again.
    fn try_launch(&mut self, spec: &LaunchSpec) -> Result<u32, String> {
        let id = &spec.container_id;
        check_id(id).map_err(|refusal| refusal.to_string())?;
        self.may_launch(id)?;
        let record = self.runtime.record(id);
        let around = Surroundings {
            runtime_dir: self.runtime.path(),
            record: record.path(),
            root: self.root,
            user: &self.user,
            roles: &self.config.roles,
            fetch_environment: &self.config.fetch_environment,
            fetch_stall_timeout: self.config.fetch_stall_timeout,
            isolation: &self.config.isolation,
        };
        let plan = plan(spec, &around).map_err(|refusal| refusal.to_string())?;
        record.create().map_err(|error| {
            format!(
                "cannot make the record {}: {error}",
                record.path().display()
            )
        })?;
        let started = execute(&mut Linux::default(), &plan.place)
            .map_err(|fault| fault.to_string())
            .and_then(|()| self.start(spec, &plan, &record));
        if started.is_err() && !self.containers.contains_key(id) {
            self.remove_groups(id);
            record.remove();
        }
        started
    }

    fn may_launch(&self, id: &ContainerId) -> Result<(), String> {
        if self.containers.len() >= CONTAINERS {
            return Err(format!("the agent has {CONTAINERS} containers, its limit"));
        }
        let Some(parent) = parent(id) else {
            return Ok(());
        };
        match self.containers.get(&parent) {
            Some(Container {
                state: State::Running,
                destroyed: false,
                ..
            }) => Ok(()),
            Some(_) => Err(format!("parent container {parent} is being destroyed")),
            None => Err(format!("parent container {parent} does not run")),
        }
    }

    fn start(&mut self, spec: &LaunchSpec, plan: &Plan, record: &Record) -> Result<u32, String> {
        let text = |error: &dyn std::fmt::Display| format!("cannot start a supervisor: {error}");
        let bytes = serde_json::to_vec(plan).map_err(|error| text(&error))?;
        if bytes.len() > PLAN_BYTES {
            return Err(format!(
                "environment and arguments exceed {PLAN_BYTES} bytes"
            ));
        }
        let plan = memory_file(&bytes).map_err(|error| text(&error))?;
        let (held, go) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| text(&error))?;
        let roles = &self.config.roles;
        // Only what the standard library can do with posix_spawn(3): no copy of the agent's
        // page tables, and the agent's other threads run on.
        #[allow(clippy::zombie_processes)] // waited for when its descriptor says that it ended
        let child = Command::new(&roles.program)
            .arg0(&roles.name)
            .args(&roles.launch)
            // For `ps` only.
            .arg(spec.container_id.to_string())
            .env_clear()
            .stdin(plan)
            .stdout(held)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| text(&error))?;
        let pid = child.id();

        let id = &spec.container_id;
        let mut container = Container::new();
        (container.go, container.limits) = (Some(go), spec.limits);
        container.has_uris = !spec.uris.is_empty();
        let watched = self.watch_child(id, pid, &mut container);
        let written = match (&watched, &container.supervisor) {
            (Ok(()), Some(supervisor)) => record
                .write_supervisor(&supervisor.process, &self.boot)
                .map_err(|error| format!("cannot write to {}: {error}", record.path().display())),
            _ => watched,
        };
        if let (Err(message), None) = (&written, &container.supervisor) {
            // Never seen in the table or not watchable: end it right here. It is held, so closing
            // the pipe ends it at once.
            drop(container.go);
            let mut child = child;
            let _ = child.wait();
            return Err(message.clone());
        }
        self.containers.insert(id.clone(), container);
        if let Err(message) = written {
            self.fail(id, message);
            return Ok(pid);
        }
        self.watch_memory(id);
        Ok(pid)
    }

    fn watch_child(
        &mut self,
        id: &ContainerId,
        pid: u32,
        container: &mut Container,
    ) -> Result<(), String> {
        let number = pid.cast_signed();
        let lost = || format!("the supervisor {pid} is not to be found");
        let process = procfs::read(number).ok_or_else(lost)?;
        // Our own child, not waited for: the id is its own until then.
        let pidfd = Pid::from_raw(number)
            .ok_or_else(lost)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).map_err(|e| e.to_string()))?;
        let token = self
            .watch(id, Watched::Supervisor, &pidfd, EventFlags::IN)
            .map_err(|error| format!("cannot watch the supervisor: {error}"))?;
        container.tokens.push(token);
        container.supervisor = Some(Supervisor {
            process,
            pidfd,
            adopted: false,
        });
        Ok(())
    }

    /// Takes back a launch whose supervisor runs already; `LaunchFailed` follows when it is gone.
    fn fail(&mut self, id: &ContainerId, message: String) {
        if let Some(container) = self.containers.get_mut(id) {
            container.failed = Some(message);
        }
        self.destroy(id);
    }

    pub(super) fn release(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let Some(go) = container.go.take() else {
            return;
        };
        // If the supervisor is dead already, its end is told by its descriptor.
        let _ = rustix::io::write(&go, GO);
        if container.has_uris {
            self.watch_fetch(id, go);
        }
    }

    /// Keeps the pipe until its other end is closed, by which a fetch is known to be over.
    fn watch_fetch(&mut self, id: &ContainerId, go: OwnedFd) {
        // Of a pipe's writing end, an error is always told, asked for or not.
        let token = self.watch(id, Watched::Fetch, &go, EventFlags::empty());
        let container = self.containers.get_mut(id);
        match (token, container) {
            (Ok(token), Some(container)) => {
                container.tokens.push(token);
                container.fetching = Some(go);
            }
            _ => tracing::warn!(container = %id, "its fetch is not counted: it cannot be watched"),
        }
    }

    pub(super) fn on_fetch_over(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        if container.fetching.take().is_some() {
            self.counts.fetched(self.runtime.record(id).is_fetched());
        }
    }
}
