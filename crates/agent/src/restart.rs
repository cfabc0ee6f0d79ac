//! The first event: what an earlier life left, and what becomes of it.
//!
//! Executors of checkpointing frameworks get a short window to come back. Those that do go on as if
//! nothing had happened; the containers of the others are ended, and their tasks told so. Only then
//! the agent registers, with everything it still has.

use std::collections::BTreeSet;

use bytes::Bytes;
use meseta_model::container::RecoverableContainer;
use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::resources::Resources;
use meseta_model::rng::Rng;
use meseta_model::step::Write;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1;
use v1::task_status::{Reason, Source};

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::compatibility;
use crate::config::{Recover, spelled};
use crate::event::{Effect, Started, Timer};
use crate::executor::{Container, Executor, Past, State};
use crate::format;
use crate::framework::Framework;
use crate::gc::{Ended, Garbage};
use crate::outbox::Outbox;
use crate::recovery::{
    self, Recovered, RecoveredExecutor, RecoveredFramework, RecoveredRun, RecoveredTask,
};
use crate::task::{LiveTask, Phase as TaskPhase, Verdict};
use crate::update_stream::Restored;
use crate::usage::Usage;
use crate::view::{Counter, Delta};

/// What is written first, and which containers are taken up.
#[derive(Default)]
struct Plan {
    ended: Ended,
    writes: Vec<Write>,
    containers: Vec<RecoverableContainer>,
}

impl Agent {
    pub(crate) fn start(&mut self, out: &mut Outbox<'_>, started: Started) {
        if self.phase != Phase::Starting {
            return;
        }
        self.rng = Rng::new(started.seed);
        self.registration.resource_version = Bytes::copy_from_slice(&self.rng.uuid_bytes());
        self.pid = started.pid;
        self.info = started.info;
        self.info.id = None;
        self.start_time = out.now.wall_seconds();
        self.phase = Phase::Recovering;
        let recovered = recovery::read(&started.meta, &started.boot_id, self.config.strict);
        let result = recovered
            .map_err(|error| error.to_string())
            .and_then(|recovered| self.take_up(out, recovered, Ended(started.ended)));
        match result {
            Ok(plan) => self.begin_recovery(out, plan, started.boot_id),
            Err(reason) => self.exit(out, self.recovery_failure(&reason)),
        }
    }

    /// compat: slave.cpp __recover says the same to the operator.
    fn recovery_failure(&self, reason: &str) -> String {
        let work = &self.config.work_dir;
        format!(
            "Failed to perform recovery: {reason}\n\
             If recovery failed due to a change in configuration and you want to keep the current \
             agent id, you might want to change the `--reconfiguration_policy` flag to a more \
             permissive value.\n\
             To restart this agent with a new agent id instead, do as follows:\n\
             rm -f {work}/meta/{}\n\
             This ensures that the agent does not recover old live executors.",
            checkpoint::LATEST_AGENT
        )
    }

    fn take_up(
        &mut self,
        out: &mut Outbox<'_>,
        recovered: Recovered,
        ended: Ended,
    ) -> Result<Plan, String> {
        if recovered.errors > 0 {
            out.push(Effect::Count {
                counter: Counter::RecoveryErrors,
                by: recovered.errors,
            });
        }
        self.registration.epoch = recovered.epoch;
        self.registration.saved_epoch = recovered.epoch;
        self.take_up_resources(recovered.checkpointed)?;
        let mut plan = Plan {
            ended,
            ..Plan::default()
        };
        for old in recovered.old_agents {
            self.collect_ended(out, Garbage::Agent(old), &plan.ended);
        }
        let Some(agent) = recovered.agent else {
            return Ok(plan);
        };
        let policy = self.config.reconfiguration_policy;
        let checked = match self.config.recover {
            Recover::Reconnect => compatibility::check(policy, &agent.info, &self.info),
            // It registers with nobody, so what it has does not matter.
            Recover::Cleanup => Ok(()),
        };
        match checked {
            Ok(()) => {
                self.info.id = Some(agent.id.to_wire());
                if self.info != agent.info {
                    // The next change is measured against what the master is told now.
                    plan.writes = checkpoint::agent_writes(&agent.id, &self.info);
                }
                self.id = Some(agent.id);
                for framework in agent.frameworks {
                    self.take_up_framework(out, framework, recovered.rebooted, &mut plan);
                }
            }
            // Nothing runs any more after a reboot, so a changed machine starts as a new agent.
            Err(_) if recovered.rebooted => {
                plan.writes.push(Write::Delete {
                    path: checkpoint::LATEST_AGENT.to_owned(),
                });
                self.collect_ended(out, Garbage::Agent(agent.id), &plan.ended);
            }
            Err(incompatible) => return Err(incompatible.to_string()),
        }
        Ok(plan)
    }

    fn take_up_resources(&mut self, checkpointed: Resources) -> Result<(), String> {
        format::upgrade(&mut self.info.resources).map_err(|error| error.to_string())?;
        let configured = self.configured();
        let total = configured.with_checkpointed(&checkpointed);
        self.total = total.map_err(|error| {
            format!(
                "Checkpointed resources {checkpointed} are incompatible with agent resources \
                 {configured}: {error}"
            )
        })?;
        self.checkpointed = checkpointed;
        Ok(())
    }

    fn take_up_framework(
        &mut self,
        out: &mut Outbox<'_>,
        recovered: RecoveredFramework,
        rebooted: bool,
        plan: &mut Plan,
    ) {
        let id = recovered.id.clone();
        let Some(info) = recovered.info else {
            return self.collect_ended(out, Garbage::Framework(id), &plan.ended);
        };
        let mut framework = Framework::new(info, recovered.pid);
        framework.id = id.clone();
        framework.unsaved = false;
        out.changed(Delta::Framework(Box::new(framework.info.clone())));
        self.frameworks.insert(id.clone(), framework);
        for executor in recovered.executors {
            self.take_up_executor(out, &id, executor, rebooted, plan);
        }
        self.remove_framework_if_idle(out, &id);
        if !self.frameworks.contains_key(&id) {
            self.collect_ended(out, Garbage::Framework(id), &plan.ended);
        }
    }

    fn take_up_executor(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        recovered: RecoveredExecutor,
        rebooted: bool,
        plan: &mut Plan,
    ) {
        let id = recovered.id.clone();
        let (Some(info), Some(latest)) = (recovered.info, recovered.latest) else {
            let garbage = Garbage::Executor(framework.clone(), id);
            return self.collect_ended(out, garbage, &plan.ended);
        };
        for run in recovered.runs {
            if run.id != latest {
                let garbage = Garbage::Run(framework.clone(), id.clone(), run.id);
                self.collect_ended(out, garbage, &plan.ended);
                continue;
            }
            let mut executor =
                self.recovered_executor(framework, &id, info.clone(), recovered.generated, &run);
            if rebooted && !run.completed {
                executor.pid = None;
                executor.past = Past::Lost;
                let run_dir = self.run_dir_of(&executor);
                let marker = checkpoint::reboot_marker(&run_dir);
                plan.writes.push(checkpoint::put(marker, ""));
                let path = checkpoint::pid_file(&run_dir);
                plan.writes.push(Write::Delete { path });
            }
            let completed = run.completed;
            self.add_recovered(out, executor, run.tasks, completed, plan);
        }
    }

    fn recovered_executor(
        &self,
        framework: &FrameworkId,
        id: &ExecutorId,
        info: v1::ExecutorInfo,
        generated: bool,
        run: &RecoveredRun,
    ) -> Executor {
        let agent = self.id.clone().unwrap_or_else(|| AgentId::from(""));
        let run_dir = checkpoint::run_dir(&agent, framework, id, &run.id);
        let past = match run {
            RecoveredRun { rebooted: true, .. } => Past::Lost,
            RecoveredRun { released: true, .. }
            | RecoveredRun {
                subscribed: true, ..
            } => Past::Released,
            _ => Past::Held,
        };
        Executor {
            id: id.clone(),
            framework: framework.clone(),
            info,
            container_id: run.id.clone(),
            directory: format!("{}/{run_dir}", self.config.work_dir),
            generated,
            checkpoint: true,
            state: State::Registering,
            container: Container::Launched,
            pid: run.forked_pid,
            stream: None,
            tasks: Default::default(),
            queue: Default::default(),
            completed: Default::default(),
            ending: (past == Past::Held).then(|| self.never_started(framework)),
            usage: Default::default(),
            limits: Default::default(),
            ever_sent: false,
            released: past != Past::Held,
            past,
            exit_owed: None,
            listed: false,
            awaited: true,
            subscribed_before: run.subscribed,
        }
    }

    fn add_recovered(
        &mut self,
        out: &mut Outbox<'_>,
        mut executor: Executor,
        tasks: Vec<RecoveredTask>,
        completed: bool,
        plan: &mut Plan,
    ) {
        let (framework, id) = (executor.framework.clone(), executor.id.clone());
        let run = executor.container_id.clone();
        let run_dir = self.run_dir_of(&executor);
        executor.show(out);
        let mut live = Vec::new();
        let (mut launches, mut untold) = (Vec::new(), BTreeSet::new());
        for mut task in tasks {
            launches.extend(task.launch.take());
            if task.untold {
                untold.insert(task.id.clone());
            }
            let path = checkpoint::updates_file(&run_dir, &task.id);
            let task_id = task.id.clone();
            let pending = take_up_task(out, &mut executor, task);
            if completed {
                continue;
            }
            self.settle_duplicate(out, &mut executor, &task_id);
            if executor.tasks.contains_key(&task_id) {
                let key = (framework.clone(), task_id.clone());
                self.updates.restore(key, path, pending);
                live.push(task_id);
            } else {
                let garbage = Garbage::Task(framework.clone(), id.clone(), run.clone(), task_id);
                self.collect(out, garbage);
            }
        }
        executor.remember_launches(launches, &untold);
        executor.usage = Usage::of_executor(&executor.info);
        for live in executor.tasks.values() {
            if live.phase != TaskPhase::Terminated {
                executor.usage.add_task(&live.task);
            }
        }
        executor.limits = executor.usage.limits();
        if completed {
            return self.add_recovered_history(out, executor, &plan.ended);
        }
        plan.containers.push(RecoverableContainer {
            container_id: run.clone(),
            pid: executor.pid,
            sandbox: executor.directory.clone(),
        });
        self.containers.insert(run, (framework.clone(), id.clone()));
        if let Some(found) = self.frameworks.get_mut(&framework) {
            found
                .tasks
                .extend(live.into_iter().map(|task| (task, id.clone())));
            found.executors.insert(id, executor);
        }
    }

    /// A task id that two runs have: the scheduler used it again, after the end of the first task was
    /// acknowledged and before that was on disk. The older of them is history.
    fn settle_duplicate(&mut self, out: &mut Outbox<'_>, executor: &mut Executor, id: &TaskId) {
        let Some(framework) = self.frameworks.get_mut(&executor.framework) else {
            return;
        };
        let owner = framework.tasks.get(id).cloned();
        let other = owner.and_then(|owner| framework.executors.get_mut(&owner));
        let (Some(other), Some(own)) = (other, executor.tasks.get(id)) else {
            return;
        };
        let is_newer = other
            .tasks
            .get(id)
            .is_none_or(|theirs| own.is_newer_than(theirs));
        if is_newer {
            other.abandon_task(out, id);
            framework.tasks.remove(id);
        } else {
            executor.abandon_task(out, id);
        }
    }

    /// A run that was over before: history, and garbage.
    fn add_recovered_history(&mut self, out: &mut Outbox<'_>, executor: Executor, ended: &Ended) {
        let (framework, id) = (executor.framework.clone(), executor.id.clone());
        let run: ContainerId = executor.container_id.clone();
        out.changed(Delta::ExecutorCompleted {
            framework: framework.clone(),
            executor: id.clone(),
            container_id: run.clone(),
        });
        let garbage = Garbage::Run(framework.clone(), id.clone(), run);
        self.collect_ended(out, garbage, ended);
        let garbage = Garbage::Executor(framework.clone(), id);
        self.collect_ended(out, garbage, ended);
        self.keep_as_history(out, &framework, executor);
    }

    /// The boot id goes last: a crash before it finds the pids of the earlier boot gone, or this
    /// reboot noticed again.
    fn begin_recovery(&mut self, out: &mut Outbox<'_>, plan: Plan, boot_id: String) {
        let Plan {
            ended: _,
            mut writes,
            containers,
        } = plan;
        writes.push(checkpoint::put(
            checkpoint::FORMAT.to_owned(),
            checkpoint::FORMAT_VERSION,
        ));
        writes.push(checkpoint::put(checkpoint::BOOT_ID.to_owned(), boot_id));
        self.persist(out, writes, Then::Nothing);
        out.push(Effect::RecoverContainers(containers));
        out.wake(Timer::Gc, self.config.disk_watch_interval);
        self.show_agent(out);
        if self.config.recover == Recover::Cleanup {
            out.changed(Delta::Recovered);
            return self.clean_up(out);
        }
        let window = self.config.executor_reregistration_timeout;
        out.wake(Timer::ExecutorReregistration, window);
        self.finish_recovery_if_complete(out);
    }

    /// The window for executors of the earlier life is over: those that did not come back hang. Those
    /// that were only starting get what is theirs, the time to register.
    pub(crate) fn reregistration_window_over(&mut self, out: &mut Outbox<'_>) {
        if self.phase != Phase::Recovering {
            return;
        }
        let window = spelled(self.config.executor_reregistration_timeout);
        let message = format!("Executor did not reregister within {window}");
        let timeout = self.config.executor_registration_timeout;
        let mut hanging = Vec::new();
        for framework in self.frameworks.values_mut() {
            let state = framework.gone_state();
            let executors = framework.executors.values_mut();
            for executor in executors.filter(|e| e.awaited && e.state == State::Registering) {
                executor.awaited = false;
                let run = executor.container_id.clone();
                if executor.subscribed_before {
                    hanging.push((run, state));
                } else {
                    let (framework, id) = (executor.framework.clone(), executor.id.clone());
                    out.wake(Timer::ExecutorRegistration(framework, id, run), timeout);
                }
            }
        }
        for (run, state) in hanging {
            let reason = Reason::ExecutorReregistrationTimeout;
            self.end_unsubscribed(out, &run, Verdict::new(state, reason, message.clone()));
        }
        self.finish_recovery_if_complete(out);
    }

    pub(crate) fn finish_recovery(&mut self, out: &mut Outbox<'_>) {
        self.phase = Phase::Disconnected;
        out.cancel(Timer::ExecutorReregistration);
        out.changed(Delta::Recovered);
        if self.registration.master.is_some() {
            self.disconnected(out);
        } else {
            self.show_agent(out);
        }
    }
}

/// Puts a task back as its updates left it; answers what of them is not acknowledged.
fn take_up_task(
    out: &mut Outbox<'_>,
    executor: &mut Executor,
    recovered: RecoveredTask,
) -> Restored {
    let RecoveredTask {
        id,
        task,
        updates,
        acks,
        updates_bytes,
        torn,
        untold: _,
        launch: _,
    } = recovered;
    let mut live = LiveTask {
        phase: TaskPhase::Launched,
        task,
        info: None,
        durable: true,
        kill: None,
    };
    let mut over = false;
    let mut restored = Restored {
        file_bytes: updates_bytes,
        torn,
        ..Restored::default()
    };
    let held: BTreeSet<Bytes> = updates
        .iter()
        .flat_map(|update| update.uuid.clone())
        .collect();
    let (held, earlier): (Vec<_>, Vec<_>) = acks.into_iter().partition(|uuid| held.contains(uuid));
    restored.acknowledged = earlier;
    let acked: BTreeSet<Bytes> = held.into_iter().collect();
    for update in updates {
        let uuid = update.uuid.clone().unwrap_or_default();
        let acked = acked.contains(&uuid);
        // A second terminal update, which old agents let pass, changes nothing.
        let _ = live.update(&update.status);
        executor.ever_sent |= update.status.source() == Source::Executor;
        over |= acked && is_terminal(update.status.state());
        restored.updates.push((update, acked));
    }
    executor.tasks.insert(id.clone(), Box::new(live));
    executor.show_task(out, &id);
    if over {
        executor.complete(out, &id);
    }
    restored
}
