//! From the last process of a container to its report.
//!
//! Supervisor ended → (its record says that nothing is left | sweep until nothing is) → those nested
//! in it → control groups → report.

use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use meseta_model::container::{ContainerReport, Termination};
use meseta_model::ids::ContainerId;
use meseta_model::wait_status::WaitStatus;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::{Container, Engine, State, Supervisor, parent};
use crate::cgroup::oom;
use crate::limits::{
    CGROUP_REMOVAL, DESTROY_PATIENCE, ENDED_RECORDS, MEMORY_LOOKS, MEMORY_PAUSE, SWEEP_PAUSE,
    SWEEP_QUIET_ROUNDS,
};
use crate::record::{Ending, NEVER_RELEASED};
use crate::tree::{self, Sweep};
use crate::{procfs, tag};

/// Pause between two tries to remove control groups.
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// What is said of a container whose supervisor could not write down how it ended.
const UNKNOWN: &str = "the container's supervisor was killed, its exit status is unknown";

impl Engine {
    pub(super) fn destroy(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id) else {
            return self.destroy_unknown(id);
        };
        container.destroyed = true;
        if container.state != State::Running {
            return;
        }
        container.state = State::Doomed;
        for child in self.children(id) {
            self.destroy(&child);
        }
        self.kill_if_doomed(id);
    }

    /// Nobody may wait for ever: what is not there is over.
    fn destroy_unknown(&mut self, id: &ContainerId) {
        if self.ended.contains(id) {
            return;
        }
        let message = "there is no such container".to_owned();
        let termination = Termination {
            message,
            ..Termination::default()
        };
        (self.report)(ContainerReport::Terminated {
            container_id: id.clone(),
            termination,
        });
    }

    /// Kills a container that waits for it, once nothing nested in it is left.
    fn kill_if_doomed(&mut self, id: &ContainerId) {
        let children = self.children(id);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        if container.state != State::Doomed || !children.is_empty() {
            return;
        }
        container.state = State::Destroying;
        drop(container.go.take());
        if let Some(supervisor) = &container.supervisor {
            if supervisor.adopted {
                kill_adopted(supervisor);
            } else {
                // A container of the same user could have stopped its supervisor.
                let _ = pidfd_send_signal(&supervisor.pidfd, Signal::CONT);
                let _ = pidfd_send_signal(&supervisor.pidfd, Signal::USR1);
            }
        }
        self.set_deadline(id, Some(Instant::now() + DESTROY_PATIENCE));
    }

    /// The supervisor did not do it in time: it goes too, and a sweep does the rest.
    pub(super) fn on_destroy_overdue(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        let Some(supervisor) = &container.supervisor else {
            return;
        };
        tracing::warn!(container = %id, "its supervisor is overdue with killing it");
        if supervisor.adopted {
            kill_adopted(supervisor);
        } else {
            let _ = pidfd_send_signal(&supervisor.pidfd, Signal::KILL);
        }
        // An adopted process that cannot be killed now is tried again.
        self.set_deadline(id, Some(Instant::now() + DESTROY_PATIENCE));
    }

    pub(super) fn on_memory_notice(&mut self, id: &ContainerId) {
        if let Some(container) = self.containers.get_mut(id) {
            container.memory_looks = MEMORY_LOOKS;
            self.look_at_memory(id);
        }
    }

    /// The notice of version 1 comes before the kernel has chosen whom to kill, so the proof may
    /// take a moment.
    pub(super) fn look_at_memory(&mut self, id: &ContainerId) {
        let Some(cgroups) = &self.config.isolation.cgroups else {
            return;
        };
        let limitation = oom::limitation(cgroups, id);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        if container.state != State::Running {
            return;
        }
        if let Some(limitation) = limitation {
            container.limitation.get_or_insert(limitation);
            return self.destroy(id);
        }
        container.memory_looks = container.memory_looks.saturating_sub(1);
        let again = (container.memory_looks > 0).then(|| Instant::now() + MEMORY_PAUSE);
        self.set_deadline(id, again);
    }

    pub(super) fn on_supervisor_ended(&mut self, id: &ContainerId) {
        // Its end closed the pipe too; which of the two is told first is chance.
        self.on_fetch_over(id);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        if let Some(supervisor) = container.supervisor.take() {
            // Waits for it if it is our child; the child of an earlier life is init's by now.
            let _ = waitid(
                WaitId::PidFd(supervisor.pidfd.as_fd()),
                WaitIdOptions::EXITED,
            );
        }
        // The descriptors leave the epoll set by being closed; a late event finds no token.
        for token in container.tokens.drain(..) {
            self.tokens.remove(&token);
        }
        container.memory = None;
        if self.runtime.record(id).is_over() {
            self.settle(id);
        } else {
            self.sweep(id, 0);
        }
    }

    /// One round of looking for what a dead supervisor left.
    pub(super) fn sweep(&mut self, id: &ContainerId, quiet: u32) {
        let sweep = Sweep {
            tag: tag::tag(self.runtime.path(), id),
            cgroups: self
                .config
                .isolation
                .cgroups
                .as_ref()
                .map(|cgroups| (cgroups, id)),
        };
        let quiet = if tree::sweep(&sweep) == 0 {
            quiet + 1
        } else {
            0
        };
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.state = State::Sweeping(quiet);
        if quiet < SWEEP_QUIET_ROUNDS {
            return self.set_deadline(id, Some(Instant::now() + SWEEP_PAUSE));
        }
        let record = self.runtime.record(id);
        if record.exists() {
            let _ = record.write_over();
        }
        self.settle(id);
    }

    /// No process of the container itself is left; those nested in it go now.
    pub(super) fn settle(&mut self, id: &ContainerId) {
        self.set_deadline(id, None);
        if let Some(container) = self.containers.get_mut(id) {
            container.state = State::Settled;
        }
        for child in self.children(id) {
            self.destroy(&child);
        }
        self.finish_if_settled(id);
    }

    fn finish_if_settled(&mut self, id: &ContainerId) {
        let alone = self.children(id).is_empty();
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        if container.state != State::Settled || !alone {
            return;
        }
        if let Some(cgroups) = &self.config.isolation.cgroups
            && container.limitation.is_none()
        {
            // The kernel may have killed the first process before anybody heard of it.
            container.limitation = oom::limitation(cgroups, id);
        }
        self.remove(id, Instant::now() + CGROUP_REMOVAL);
    }

    /// Removes the control groups; a process that has just died may hold them for a moment.
    pub(super) fn remove(&mut self, id: &ContainerId, until: Instant) {
        if !self.remove_groups(id) {
            if Instant::now() < until {
                if let Some(container) = self.containers.get_mut(id) {
                    container.state = State::Removing(until);
                }
                return self.set_deadline(id, Some(Instant::now() + REMOVAL_PAUSE));
            }
            tracing::error!(container = %id, "its control groups cannot be removed");
            self.counts.destroy_error();
        }
        self.finish(id);
    }

    /// Whether none is left.
    pub(super) fn remove_groups(&self, id: &ContainerId) -> bool {
        let Some(cgroups) = &self.config.isolation.cgroups else {
            return true;
        };
        let mut gone = true;
        for directory in cgroups.directories(id) {
            // What separates nested containers from files, if there were any.
            let _ = fs::remove_dir(directory.join("mesos"));
            let _ = fs::remove_dir(&directory);
            gone &= !directory.exists();
        }
        gone
    }

    pub(super) fn finish(&mut self, id: &ContainerId) {
        self.set_deadline(id, None);
        let Some(container) = self.containers.remove(id) else {
            return;
        };
        let record = self.runtime.record(id);
        let report = final_report(id, &container, record.ending());
        if container.orphan {
            record.remove();
        } else {
            self.keep_record(id);
        }
        (self.report)(report);
        if let Some(parent) = parent(id) {
            self.kill_if_doomed(&parent);
            self.finish_if_settled(&parent);
        }
    }

    /// The record stays until others have ended, for an agent that dies before it has acted on the
    /// report.
    fn keep_record(&mut self, id: &ContainerId) {
        // One that was never released may have been launched again.
        self.ended.retain(|ended| ended != id);
        self.ended.push_back(id.clone());
        if self.ended.len() > ENDED_RECORDS
            && let Some(oldest) = self.ended.pop_front()
            && !self.containers.contains_key(&oldest)
        {
            self.runtime.record(&oldest).remove();
        }
    }
}

fn final_report(id: &ContainerId, container: &Container, ending: Ending) -> ContainerReport {
    let container_id = id.clone();
    if let Some(message) = &container.failed {
        return ContainerReport::LaunchFailed {
            container_id,
            message: message.clone(),
        };
    }
    let (wait_status, message) = match ending {
        Ending::Ended(status) => (Some(status), WaitStatus(status).to_string()),
        Ending::Failed(message) if !container.destroyed && !container.recovered => {
            return ContainerReport::LaunchFailed {
                container_id,
                message,
            };
        }
        Ending::Failed(message) => (None, message),
        Ending::NeverReleased if container.recovered && !container.orphan => {
            return ContainerReport::NeverReleased { container_id };
        }
        // Destroyed before it was released, in this life.
        Ending::NeverReleased => (None, NEVER_RELEASED.to_owned()),
        Ending::Unknown => (None, UNKNOWN.to_owned()),
    };
    let limitation = container.limitation.clone();
    let message = limitation
        .as_ref()
        .map_or(message, |limitation| limitation.message.clone());
    let termination = Termination {
        wait_status,
        limitation,
        message,
    };
    ContainerReport::Terminated {
        container_id,
        termination,
    }
}

/// Kills a process of another agent's making with its session and its descendants: all that can be
/// known of it, and what that agent would do itself.
fn kill_adopted(supervisor: &Supervisor) {
    let first = supervisor.process.pid;
    let table = procfs::table();
    let below = procfs::descendants(&table, first);
    let session = table
        .iter()
        .filter(|process| process.session == first && process.pid != first);
    for process in below.iter().chain(session) {
        process.signal(Signal::KILL);
    }
    let _ = pidfd_send_signal(&supervisor.pidfd, Signal::KILL);
}
