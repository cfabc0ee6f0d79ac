//! Ending executors, frameworks, and the agent as a whole.

use std::collections::BTreeSet;

use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId};
use meseta_model::step::Write;
use meseta_proto::mesos::internal;
use meseta_proto::mesos::v1::executor::event::Type;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::config::Recover;
use crate::environment;
use crate::event::{Effect, Timer};
use crate::executor::{Container, State, event};
use crate::limits;
use crate::outbox::Outbox;

impl Agent {
    /// Asks an executor to go, and ends its container if it has not gone within its grace.
    pub(crate) fn shutdown_executor(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
    ) {
        let default_grace = self.config.executor_shutdown_grace_period;
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        if !matches!(executor.state, State::Registering | State::Running) {
            return;
        }
        let is_idle = executor.state == State::Registering && !executor.was_given_work();
        executor.state = State::Terminating;
        if matches!(executor.container, Container::Preparing(_)) {
            // Nothing was started yet, and nothing will be.
            return self.executor_terminated(out, framework, id, None);
        }
        executor.send(out, event(Type::Shutdown));
        let run = executor.container_id.clone();
        if is_idle && executor.container == Container::Launched {
            // Nobody hears the SHUTDOWN, and there is nothing to end well.
            out.push(Effect::DestroyContainer(run.clone()));
        }
        let grace = environment::shutdown_grace(default_grace, &executor.info);
        out.wake(
            Timer::ExecutorShutdown(framework.clone(), id.clone(), run),
            grace,
        );
    }

    pub(crate) fn executor_not_shut_down(&mut self, out: &mut Outbox<'_>, run: &ContainerId) {
        let Some((framework, id)) = self.by_container(run) else {
            return;
        };
        let executor = self.executor(&framework, &id);
        if executor.is_some_and(|executor| executor.state == State::Terminating) {
            out.push(Effect::DestroyContainer(run.clone()));
        }
    }

    pub(crate) fn shutdown_executor_message(
        &mut self,
        out: &mut Outbox<'_>,
        message: internal::ShutdownExecutorMessage,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let framework = FrameworkId::from(&message.framework_id.unwrap_or_default());
        let id = ExecutorId::from(&message.executor_id.unwrap_or_default());
        if self
            .frameworks
            .get(&framework)
            .is_some_and(|f| !f.terminating)
        {
            self.shutdown_executor(out, &framework, &id);
        }
    }

    pub(crate) fn shutdown_framework_message(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
    ) {
        if self.phase == Phase::Running {
            self.shutdown_framework(out, framework);
        }
    }

    /// Ends all executors of a framework that nobody speaks for any more. No update of it goes out
    /// from here on: nobody would acknowledge it.
    pub(crate) fn shutdown_framework(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId) {
        let Some(found) = self.frameworks.get_mut(framework) else {
            return;
        };
        if found.terminating {
            return;
        }
        found.terminating = true;
        let executors: Vec<ExecutorId> = found.executors.keys().cloned().collect();
        self.drop_framework_streams(out, framework);
        for id in executors {
            self.shutdown_executor(out, framework, &id);
            self.remove_executor_if_done(out, framework, &id);
        }
        self.remove_framework_if_idle(out, framework);
    }

    /// The master will not have this agent any more.
    pub(crate) fn shutdown_message(&mut self, out: &mut Outbox<'_>, message: Option<&str>) {
        let reason = match message {
            Some(text) if !text.is_empty() => {
                format!("the master told the agent to shut down: {text}")
            }
            Some(_) | None => "the master told the agent to shut down".to_owned(),
        };
        self.shutdown(out, reason);
    }

    /// The operator will not have it any more. The master need not wait for it to come back.
    pub(crate) fn shutdown_requested(&mut self, out: &mut Outbox<'_>) {
        if matches!(self.phase, Phase::Starting | Phase::Exited) {
            return self.exit(out, "the operator ended the agent");
        }
        if let (Some(master), Some(_)) = (&self.registration.master, &self.id) {
            let slave_id = self.wire_id();
            out.send(master, internal::UnregisterSlaveMessage { slave_id });
        }
        self.shutdown(out, "the operator ended the agent".to_owned());
    }

    /// Ends everything that runs here, then the agent.
    pub(crate) fn shutdown(&mut self, out: &mut Outbox<'_>, reason: String) {
        if matches!(self.phase, Phase::Terminating | Phase::Exited) {
            return;
        }
        self.phase = Phase::Terminating;
        self.exit_reason = reason;
        out.cancel(Timer::Register);
        out.cancel(Timer::PingTimeout);
        self.show_agent(out);
        let frameworks: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        if frameworks.is_empty() {
            return self.finish_shutdown(out);
        }
        // The last of them to go finishes the shutdown.
        for framework in frameworks {
            self.shutdown_framework(out, &framework);
        }
    }

    /// `--recover=cleanup`: ends what an earlier life left, known under `meta/` or not.
    pub(crate) fn clean_up(&mut self, out: &mut Outbox<'_>) {
        let default_grace = self.config.executor_shutdown_grace_period;
        let executors = self.frameworks.values().flat_map(|f| f.executors.values());
        let graces = executors.map(|e| environment::shutdown_grace(default_grace, &e.info));
        let longest = graces.max().unwrap_or_default();
        out.wake(
            Timer::Cleanup,
            longest.saturating_add(limits::CLEANUP_PATIENCE),
        );
        self.shutdown(out, "cleanup of the earlier life is complete".to_owned());
    }

    pub(crate) fn orphans_found(&mut self, out: &mut Outbox<'_>, orphans: Vec<ContainerId>) {
        self.orphans = Some(orphans.into_iter().collect());
        self.finish_shutdown_if_idle(out);
    }

    pub(crate) fn orphan_ended(&mut self, out: &mut Outbox<'_>, id: &ContainerId) {
        let was_one = self.orphans.as_mut().is_some_and(|all| all.remove(id));
        if was_one {
            self.finish_shutdown_if_idle(out);
        }
    }

    fn finish_shutdown_if_idle(&mut self, out: &mut Outbox<'_>) {
        if self.phase == Phase::Terminating && self.frameworks.is_empty() {
            self.finish_shutdown(out);
        }
    }

    /// What could not be ended stays known, for another try.
    pub(crate) fn cleanup_overdue(&mut self, out: &mut Outbox<'_>) {
        let orphans = self.orphans.iter().flatten();
        let left: Vec<String> = orphans
            .chain(self.containers.keys())
            .map(ToString::to_string)
            .collect();
        let reason = format!(
            "cannot clean up: these containers of the earlier life did not end: {}. See what their \
             processes wait for, and start the agent with --recover=cleanup again",
            left.join(", ")
        );
        self.exit(out, reason);
    }

    /// Nothing runs here any more, except for orphans, which a cleanup waits for. The next start is that
    /// of a new agent, so the link to this one's directory goes first.
    pub(crate) fn finish_shutdown(&mut self, out: &mut Outbox<'_>) {
        let are_gone = self.orphans.as_ref().is_some_and(BTreeSet::is_empty);
        if self.config.recover == Recover::Cleanup && !are_gone {
            return;
        }
        let path = checkpoint::LATEST_AGENT.to_owned();
        self.persist(out, vec![Write::Delete { path }], Then::Exit);
    }
}
