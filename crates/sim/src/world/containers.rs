//! Containers on an agent's host: made, held, released, ended; they outlive the agent's process, and
//! how they ended can be asked for by its next life.
//!
//! This stands for the container room and its supervisors, and promises what they promise: a program
//! runs only after its release; a container that was not released when the agent died never runs; the
//! wait status is kept; what recovery does not name is destroyed.

use std::collections::BTreeSet;

use meseta_agent::event::{Effect, Event};
use meseta_model::container::{
    ContainerReport, LaunchSpec, Program, RecoverableContainer, Termination,
};
use meseta_model::ids::ContainerId;
use meseta_model::wait_status::WaitStatus;

use super::executors::SimExecutor;
use super::{Happening, World};
use crate::invariants::Seen;
use crate::limits::MILLISECOND_US;
use crate::tally::Fault;

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Being made; nothing of it runs.
    Making,
    /// Its supervisor runs and waits for the word to go.
    Held,
    /// Its program runs.
    Running,
    /// No process of it is left, and its program never ran.
    Unreleased,
    /// No process of it is left.
    Over,
}

impl Stage {
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Unreleased | Self::Over)
    }
}

/// One container.
pub(crate) struct SimContainer {
    pub(crate) spec: LaunchSpec,
    pub(crate) stage: Stage,
    pid: u32,
    destroyed: bool,
    wait_status: Option<i32>,
    pub(crate) executor: Option<SimExecutor>,
}

/// What happens to a container next.
#[derive(Debug)]
pub(crate) enum ContainerStep {
    /// It is made, or not.
    Made,
    /// Its program starts.
    Started,
    /// Its last process is gone.
    Ended(Option<i32>),
}

impl World {
    /// The effects that the container room performs.
    pub(super) fn container_effect(&mut self, a: usize, effect: Effect) {
        match effect {
            Effect::LaunchContainer(spec) => self.launch_container(a, *spec),
            Effect::ReleaseContainer(id) => self.release_container(a, &id),
            Effect::DestroyContainer(id) => self.destroy_container(a, &id),
            Effect::RecoverContainers(wanted) => self.recover_containers(a, &wanted),
            // Bounds are the kernel's business.
            _ => {}
        }
    }

    fn launch_container(&mut self, a: usize, spec: LaunchSpec) {
        let id = spec.container_id.clone();
        let after = self.draws.spread((200, 40 * MILLISECOND_US));
        let host = &mut self.agents[a];
        let known = host.containers.get(&id);
        if known.is_some_and(|container| !container.stage.is_over()) {
            return;
        }
        host.next_pid += 1;
        let container = SimContainer {
            spec,
            stage: Stage::Making,
            pid: host.next_pid,
            destroyed: false,
            wait_status: None,
            executor: None,
        };
        host.containers.insert(id.clone(), container);
        self.later(
            after,
            Happening::Container(a, id, Box::new(ContainerStep::Made)),
        );
    }

    fn release_container(&mut self, a: usize, id: &ContainerId) {
        let after = self.draws.spread((100, 30 * MILLISECOND_US));
        let Some(container) = self.agents[a].containers.get_mut(id) else {
            return;
        };
        if container.stage == Stage::Held && !container.destroyed {
            container.stage = Stage::Running;
            let step = Box::new(ContainerStep::Started);
            self.later(after, Happening::Container(a, id.clone(), step));
        }
    }

    fn destroy_container(&mut self, a: usize, id: &ContainerId) {
        let after = self.draws.spread((200, 100 * MILLISECOND_US));
        let Some(container) = self.agents[a].containers.get_mut(id) else {
            let termination = Termination {
                message: "there is no such container".to_owned(),
                ..Termination::default()
            };
            return self.report_termination(a, id, termination);
        };
        container.destroyed = true;
        let status = match container.stage {
            Stage::Making | Stage::Unreleased | Stage::Over => return,
            Stage::Held => None,
            Stage::Running => Some(WaitStatus::signaled(9).0),
        };
        let step = Box::new(ContainerStep::Ended(status));
        self.later(after, Happening::Container(a, id.clone(), step));
    }

    pub(super) fn container_step(&mut self, a: usize, id: &ContainerId, step: ContainerStep) {
        match step {
            ContainerStep::Made => self.container_made(a, id),
            ContainerStep::Started => self.container_started(a, id),
            ContainerStep::Ended(status) => self.container_ended(a, id, status),
        }
    }

    fn container_made(&mut self, a: usize, id: &ContainerId) {
        let failures = self.plan.agents[a].launch_failures_permille;
        let fails = self.draws.permille(failures);
        let Some(container) = self.agents[a].containers.get_mut(id) else {
            return;
        };
        if container.stage != Stage::Making {
            return;
        }
        let container_id = id.clone();
        if fails {
            container.stage = Stage::Over;
            self.fired(Fault::LaunchFailed);
            let message = "cannot start a supervisor: out of memory".to_owned();
            let report = ContainerReport::LaunchFailed {
                container_id,
                message,
            };
            return self.report(a, report);
        }
        container.stage = Stage::Held;
        let (pid, destroyed) = (container.pid, container.destroyed);
        self.report(a, ContainerReport::Launched { container_id, pid });
        if destroyed {
            self.destroy_container(a, id);
        }
    }

    fn container_started(&mut self, a: usize, id: &ContainerId) {
        let Some(container) = self.agents[a].containers.get(id) else {
            return;
        };
        if container.stage != Stage::Running {
            return;
        }
        let (program, environment) = (
            container.spec.program.clone(),
            container.spec.environment.clone(),
        );
        self.see(&Seen::ContainerRuns {
            agent: a,
            container: id,
        });
        if is_mute(&program) {
            self.fired(Fault::ExecutorMute);
        }
        let seed = self.draws.bits();
        match SimExecutor::start(&program, &environment, seed) {
            Some(executor) => {
                if let Some(container) = self.agents[a].containers.get_mut(id) {
                    container.executor = Some(executor);
                }
                self.executor_starts(a, id);
            }
            // No such program.
            None => self.container_ended(a, id, Some(WaitStatus::exited(127).0)),
        }
    }

    /// The last process of a container is gone.
    pub(super) fn container_ended(&mut self, a: usize, id: &ContainerId, status: Option<i32>) {
        let Some(container) = self.agents[a].containers.get_mut(id) else {
            return;
        };
        if container.stage.is_over() {
            return;
        }
        container.stage = Stage::Over;
        container.wait_status = status;
        container.executor = None;
        self.see(&Seen::ContainerEnds {
            agent: a,
            container: id,
        });
        self.executor_gone(a, id);
        self.report_termination(a, id, termination(status));
    }

    fn report_termination(&mut self, a: usize, id: &ContainerId, termination: Termination) {
        let container_id = id.clone();
        self.report(
            a,
            ContainerReport::Terminated {
                container_id,
                termination,
            },
        );
    }

    /// Tells the present life of the agent, in order; a later one asks.
    fn report(&mut self, a: usize, report: ContainerReport) {
        let at_us = self.now_us + self.draws.between((20, 2 * MILLISECOND_US));
        let host = &mut self.agents[a];
        host.reported_us = host.reported_us.max(at_us);
        let (at_us, life) = (host.reported_us, host.life);
        let event = Box::new(Event::Container(report));
        self.queue
            .plan(at_us, Happening::AgentEvent(a, life, event));
    }

    /// As the engine of the container room: those named are taken up or told to be over, all others
    /// are told of and destroyed.
    fn recover_containers(&mut self, a: usize, wanted: &[RecoverableContainer]) {
        let named: BTreeSet<&ContainerId> = wanted
            .iter()
            .map(|container| &container.container_id)
            .collect();
        let others: Vec<ContainerId> = self.agents[a]
            .containers
            .keys()
            .filter(|id| !named.contains(id))
            .cloned()
            .collect();
        let containers = others.clone();
        self.report(a, ContainerReport::OrphansFound { containers });
        for id in named {
            let container_id = id.clone();
            match self.agents[a].containers.get(id) {
                Some(container) if container.stage == Stage::Unreleased => {
                    self.report(a, ContainerReport::NeverReleased { container_id });
                }
                Some(container) if container.stage == Stage::Over => {
                    let status = container.wait_status;
                    self.report_termination(a, id, termination(status));
                }
                Some(_) => {}
                None => self.report_termination(a, id, termination(None)),
            }
        }
        for id in others {
            self.kill_orphan(a, &id);
            self.report_termination(a, &id, termination(None));
        }
    }

    fn kill_orphan(&mut self, a: usize, id: &ContainerId) {
        let Some(container) = self.agents[a].containers.remove(id) else {
            return;
        };
        if !container.stage.is_over() {
            self.see(&Seen::ContainerEnds {
                agent: a,
                container: id,
            });
            self.executor_gone(a, id);
        }
    }

    /// The agent's process is gone: what it had not released never runs.
    pub(super) fn agent_process_gone(&mut self, a: usize) {
        let mut held = 0;
        for container in self.agents[a].containers.values_mut() {
            if matches!(container.stage, Stage::Making | Stage::Held) {
                container.stage = Stage::Unreleased;
                held += 1;
            }
        }
        for _ in 0..held {
            self.fired(Fault::AgentCrashedInLaunch);
        }
    }

    /// The host is gone: nothing on it runs any more, and nobody saw how it ended.
    pub(super) fn end_containers_with_host(&mut self, a: usize) {
        let ids: Vec<ContainerId> = self.agents[a].containers.keys().cloned().collect();
        for id in ids {
            if let Some(container) = self.agents[a].containers.get_mut(&id)
                && container.stage != Stage::Over
            {
                container.stage = Stage::Over;
                container.executor = None;
                self.see(&Seen::ContainerEnds {
                    agent: a,
                    container: &id,
                });
            }
        }
    }

    /// The containers of a host in which something runs.
    pub(crate) fn running_containers(&self, a: usize) -> Vec<ContainerId> {
        let running = self.agents[a]
            .containers
            .iter()
            .filter(|(_, container)| container.executor.is_some());
        running.map(|(id, _)| id.clone()).collect()
    }
}

fn termination(status: Option<i32>) -> Termination {
    let message = match status {
        Some(status) => WaitStatus(status).to_string(),
        None => "how it ended is not known".to_owned(),
    };
    Termination {
        wait_status: status,
        limitation: None,
        message,
    }
}

/// The program of a custom executor, as the workloads name it.
pub(crate) const CUSTOM_EXECUTOR: &str = "sim-executor";

/// One that starts and never subscribes.
pub(crate) const MUTE_EXECUTOR: &str = "sim-executor-mute";

/// Whether this program is a custom executor.
pub(crate) fn is_custom(program: &Program) -> bool {
    is_mute(program)
        || matches!(program, Program::Command(command) if command.value() == CUSTOM_EXECUTOR)
}

/// Whether this program is a custom executor that never subscribes.
pub(crate) fn is_mute(program: &Program) -> bool {
    matches!(program, Program::Command(command) if command.value() == MUTE_EXECUTOR)
}
