//! Finding the master, being admitted, noticing that it is gone, coming back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use meseta_model::capabilities::AgentCapabilities;
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId};
use meseta_model::upid::Upid;
use meseta_model::version::MESOS_VERSION;
use meseta_proto::mesos::{internal, v1};
use v1::agent_info::capability::Type;
use v1::task_status::Source;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::event::{Effect, Timer};
use crate::executor::{Executor, State};
use crate::format;
use crate::limits;
use crate::outbox::{Outbox, micros};
use crate::task::LiveTask;
use crate::view::Counter;

/// What this agent really does. A master asks nothing of it that is not here.
pub(crate) const CAPABILITIES: AgentCapabilities = AgentCapabilities::NONE
    .with(Type::MultiRole)
    .with(Type::HierarchicalRole)
    .with(Type::ReservationRefinement)
    .with(Type::TaskResourceLimits);

/// What the agent knows of its master.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) master: Option<Upid>,
    /// The next wait is drawn from zero to this.
    backoff: Duration,
    /// No wait is longer: a minute, or less when a broken link is being mended.
    backoff_max: Duration,
    /// A master has admitted the agent in this life.
    pub(crate) admitted: bool,
    /// The connection to the master is asked for.
    linked: bool,
    ping_timeout: Duration,
    /// The highest leader epoch ever obeyed.
    pub(crate) epoch: Option<u64>,
    /// The epoch on disk, or on its way there.
    pub(crate) saved_epoch: Option<u64>,
    /// The id is not on disk yet.
    pub(crate) unsaved: bool,
    /// It was written along with tasks once, because that had failed before.
    pub(crate) saved_with_tasks: bool,
    /// Changes whenever the agent's resources do.
    pub(crate) resource_version: Bytes,
    /// Executors that the present master may take for alive, and that are forgotten here; with their
    /// wait status, oldest first, at most [`limits::EXITS_OWED`].
    pub(crate) exits_owed: VecDeque<(FrameworkId, ExecutorId, i32)>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            master: None,
            backoff: Duration::ZERO,
            backoff_max: limits::REGISTER_RETRY_MAX,
            admitted: false,
            linked: false,
            ping_timeout: limits::PING_TIMEOUT_DEFAULT,
            epoch: None,
            saved_epoch: None,
            unsaved: false,
            saved_with_tasks: false,
            resource_version: Bytes::new(),
            exits_owed: VecDeque::new(),
        }
    }
}

impl Registration {
    pub(crate) fn is_master(&self, from: &Upid) -> bool {
        self.master.as_ref() == Some(from)
    }

    fn is_process_of_master(&self, from: &Upid) -> bool {
        let master = self.master.as_ref();
        master.is_some_and(|master| master.address == from.address)
    }

    fn version_uuid(&self) -> v1::Uuid {
        v1::Uuid {
            value: self.resource_version.clone(),
        }
    }
}

impl Agent {
    pub(crate) fn master_detected(&mut self, out: &mut Outbox<'_>, master: Upid) {
        let previous = self.registration.master.replace(master.clone());
        if let Some(old) = previous.filter(|old| *old != master) {
            out.push(Effect::Unlink(old));
            self.registration.linked = false;
            self.registration.exits_owed.clear();
        }
        self.registration.backoff = self.config.registration_backoff_factor;
        self.registration.backoff_max = limits::REGISTER_RETRY_MAX;
        match self.phase {
            Phase::Disconnected | Phase::Running => self.disconnected(out),
            // Recovery ends with a first attempt; the others never register.
            Phase::Starting | Phase::Recovering | Phase::Terminating | Phase::Exited => {
                self.show_agent(out);
            }
        }
    }

    pub(crate) fn master_lost(&mut self, out: &mut Outbox<'_>) {
        if let Some(old) = self.registration.master.take() {
            out.push(Effect::Unlink(old));
        }
        self.registration.linked = false;
        self.registration.exits_owed.clear();
        out.cancel(Timer::Register);
        out.cancel(Timer::PingTimeout);
        if self.phase == Phase::Running {
            self.phase = Phase::Disconnected;
        }
        self.show_agent(out);
    }

    /// Not registered (any more): updates rest, and the next attempt is drawn.
    pub(crate) fn disconnected(&mut self, out: &mut Outbox<'_>) {
        self.phase = Phase::Disconnected;
        out.cancel(Timer::PingTimeout);
        self.show_agent(out);
        self.schedule_registration(out);
    }

    /// The next attempt comes within the present back-off, which doubles.
    fn schedule_registration(&mut self, out: &mut Outbox<'_>) {
        let registration = &mut self.registration;
        let wait = self
            .rng
            .below(micros(registration.backoff).saturating_add(1));
        registration.backoff = (registration.backoff * 2).min(registration.backoff_max);
        out.wake(Timer::Register, Duration::from_micros(wait));
    }

    /// The link to the master's process is gone. Mesos waits for the detector or for missed pings;
    /// a master that restarts at the same address would then miss its agents for 75 s, so the agent
    /// knocks again at once.
    pub(crate) fn link_broken(&mut self, out: &mut Outbox<'_>, peer: &Upid) {
        if !self.registration.is_master(peer) {
            return;
        }
        self.registration.linked = false;
        self.registration.backoff_max = limits::RECONNECT_RETRY_MAX;
        match self.phase {
            Phase::Running => {
                self.registration.backoff = limits::RECONNECT_FIRST;
                self.disconnected(out);
            }
            Phase::Disconnected => {
                let backoff = self.registration.backoff;
                self.registration.backoff = backoff.min(limits::RECONNECT_RETRY_MAX);
                self.schedule_registration(out);
            }
            Phase::Starting | Phase::Recovering | Phase::Terminating | Phase::Exited => {}
        }
    }

    /// The register timer: an attempt, and the next one if this one is not answered.
    pub(crate) fn register(&mut self, out: &mut Outbox<'_>) {
        let Some(master) = self.registration.master.clone() else {
            return;
        };
        if self.phase == Phase::Running {
            if self.registration.unsaved {
                self.save_agent_info(out);
            }
            return;
        }
        if self.phase != Phase::Disconnected {
            return;
        }
        if !self.registration.linked {
            self.registration.linked = true;
            out.push(Effect::Link(master.clone()));
        }
        if self.id.is_none() {
            out.send(&master, self.register_message());
        } else {
            out.send(&master, self.reregister_message());
            self.note_listed();
        }
        self.schedule_registration(out);
    }

    fn register_message(&self) -> internal::RegisterSlaveMessage {
        internal::RegisterSlaveMessage {
            slave: format::slave_info(&self.info),
            checkpointed_resources: format::old_list(&self.checkpointed),
            version: Some(MESOS_VERSION.to_owned()),
            agent_capabilities: CAPABILITIES.to_wire(),
            resource_version_uuid: Some(self.registration.version_uuid()),
        }
    }

    /// Everything that a master which knows nothing needs to take the agent over. Command executors
    /// are left out: masters do not know them.
    fn reregister_message(&self) -> internal::ReregisterSlaveMessage {
        let mut message = internal::ReregisterSlaveMessage {
            slave: format::slave_info(&self.info),
            checkpointed_resources: format::old_list(&self.checkpointed),
            version: Some(MESOS_VERSION.to_owned()),
            agent_capabilities: CAPABILITIES.to_wire(),
            resource_version_uuid: Some(self.registration.version_uuid()),
            ..Default::default()
        };
        for framework in self.frameworks.values() {
            message.frameworks.push(framework.info.clone());
            for executor in framework.executors.values() {
                let tasks = executor.tasks.values();
                message
                    .tasks
                    .extend(tasks.map(|live| self.told_task(executor, live)));
                if self.is_listed(executor) {
                    let info = format::old_executor(&executor.info);
                    message.executor_infos.push(info);
                }
            }
        }
        for framework in &self.completed_frameworks {
            let tasks = framework.completed.iter().flat_map(|run| run.tasks.iter());
            let archived = internal::archive::Framework {
                framework_info: framework.info.clone(),
                pid: framework.pid.as_ref().map(Upid::to_string),
                tasks: tasks.map(format::old_task).collect(),
            };
            message.completed_frameworks.push(archived);
        }
        message
    }

    /// Whether a master is told that this executor is there.
    fn is_listed(&self, executor: &Executor) -> bool {
        let is_gone = executor.state == State::Terminated && self.exit_is_safe(executor);
        !executor.generated && !is_gone
    }

    /// What was just listed in ReregisterSlave must be told to be gone when it is.
    fn note_listed(&mut self) {
        let executors = self.frameworks.values().flat_map(|f| f.executors.values());
        let listed = executors.filter(|executor| self.is_listed(executor));
        let listed: Vec<_> = listed
            .map(|executor| (executor.framework.clone(), executor.id.clone()))
            .collect();
        for (framework, id) in listed {
            if let Some(executor) = self.executor_mut(&framework, &id) {
                executor.listed = true;
            }
        }
    }

    /// A launched, terminated or queued task, as a master may know it. An end that the agent gave it
    /// itself is not told before it is on disk: a restart would not know of it, and go on with the task.
    fn told_task(&self, executor: &Executor, live: &LiveTask) -> v1::Task {
        let mut task = format::old_task(&live.task);
        let by_agent = |status: &v1::TaskStatus| status.source() == Source::Agent;
        let stream = self
            .updates
            .streams
            .get(&(executor.framework.clone(), live.id()));
        let is_unsafe = stream.is_some_and(|stream| !stream.is_durable());
        if executor.checkpoint && is_unsafe && task.statuses.iter().all(by_agent) {
            task.state = v1::TaskState::TaskStaging.into();
            task.statuses.clear();
        }
        task
    }

    pub(crate) fn registered(
        &mut self,
        out: &mut Outbox<'_>,
        agent_id: AgentId,
        connection: Option<internal::MasterSlaveConnection>,
    ) {
        if self.is_impostor(out, &agent_id) || !self.admitted(out, connection) {
            return;
        }
        if self.id.is_none() {
            self.info.id = Some(agent_id.to_wire());
            self.id = Some(agent_id);
            self.save_agent_info(out);
        }
        self.start_serving(out);
    }

    pub(crate) fn reregistered(
        &mut self,
        out: &mut Outbox<'_>,
        agent_id: AgentId,
        reconciliations: Vec<internal::ReconcileTasksMessage>,
        connection: Option<internal::MasterSlaveConnection>,
    ) {
        if self.id.is_none() {
            // Meant for one that was here before, and whose memory is gone: it would serve without an id.
            return;
        }
        if self.is_impostor(out, &agent_id) || !self.admitted(out, connection) {
            return;
        }
        if self.registration.unsaved {
            self.save_agent_info(out);
        }
        self.start_serving(out);
        for reconciliation in reconciliations {
            self.reconcile(out, reconciliation);
        }
    }

    /// A master that knows this agent under another id: going on would mix two agents' tasks.
    fn is_impostor(&mut self, out: &mut Outbox<'_>, given: &AgentId) -> bool {
        let Some(own) = self.id.clone().filter(|own| own != given) else {
            return false;
        };
        if matches!(self.phase, Phase::Disconnected | Phase::Running) {
            let reason = format!("Registered but got wrong id: {given} (expected: {own})");
            self.exit(out, reason);
        }
        true
    }

    /// Takes the master's terms over. False when the answer is of no interest in this phase.
    fn admitted(
        &mut self,
        out: &mut Outbox<'_>,
        connection: Option<internal::MasterSlaveConnection>,
    ) -> bool {
        if !matches!(self.phase, Phase::Disconnected | Phase::Running) {
            return false;
        }
        let announced = connection.and_then(|terms| terms.total_ping_timeout_seconds);
        self.registration.ping_timeout = announced.map_or(limits::PING_TIMEOUT_DEFAULT, ping_total);
        out.wake(Timer::PingTimeout, self.registration.ping_timeout);
        out.cancel(Timer::Register);
        true
    }

    fn start_serving(&mut self, out: &mut Outbox<'_>) {
        let resumes = self.phase == Phase::Disconnected;
        self.phase = Phase::Running;
        self.show_agent(out);
        if let Some(master) = self.registration.master.clone() {
            out.send(&master, self.update_slave_message());
        }
        if resumes {
            self.resume_updates(out);
            self.tell_owed_exits(out);
        }
        if !std::mem::replace(&mut self.registration.admitted, true) {
            self.resume_launches(out);
        }
    }

    fn update_slave_message(&self) -> internal::UpdateSlaveMessage {
        internal::UpdateSlaveMessage {
            slave_id: self.wire_id(),
            update_oversubscribed_resources: Some(false),
            operations: Some(internal::update_slave_message::Operations::default()),
            resource_version_uuid: Some(self.registration.version_uuid()),
            resource_providers: Some(internal::update_slave_message::ResourceProviders::default()),
            ..Default::default()
        }
    }

    pub(crate) fn save_agent_info(&mut self, out: &mut Outbox<'_>) {
        let Some(id) = self.id.clone() else {
            return;
        };
        self.registration.unsaved = true;
        let writes = checkpoint::agent_writes(&id, &self.info);
        self.persist(out, writes, Then::AgentInfo);
    }

    pub(crate) fn agent_info_not_saved(&mut self, out: &mut Outbox<'_>) {
        if self.phase == Phase::Running {
            out.wake(Timer::Register, limits::WRITE_RETRY_MIN);
        }
    }

    pub(crate) fn pinged(&mut self, out: &mut Outbox<'_>, from: &Upid, connected: bool) {
        out.send(from, internal::PongSlaveMessage {});
        if !self.registration.is_process_of_master(from) {
            return;
        }
        if self.phase != Phase::Running {
            return;
        }
        out.wake(Timer::PingTimeout, self.registration.ping_timeout);
        if !connected {
            // The master lost the link in one direction only: it takes the agent for gone.
            self.registration.backoff = self.config.registration_backoff_factor;
            self.registration.backoff_max = limits::REGISTER_RETRY_MAX;
            self.disconnected(out);
        }
    }

    pub(crate) fn ping_timed_out(&mut self, out: &mut Outbox<'_>) {
        if self.phase != Phase::Running {
            return;
        }
        if let Some(master) = self.registration.master.clone() {
            out.push(Effect::Unlink(master));
            self.registration.linked = false;
        }
        self.registration.backoff = self.config.registration_backoff_factor;
        self.registration.backoff_max = limits::REGISTER_RETRY_MAX;
        self.disconnected(out);
    }

    /// Whether a message under this epoch is not obeyed. A peer that announces none is not fenced. A
    /// higher epoch of our master, or of the observer that pings for it, is written down; whatever it
    /// leads to is written after it. That of anyone else says nothing here: a master of another cluster
    /// may still ping an agent that had this address.
    pub(crate) fn is_fenced(
        &mut self,
        out: &mut Outbox<'_>,
        from: &Upid,
        epoch: Option<u64>,
    ) -> bool {
        let Some(epoch) = epoch else {
            return false;
        };
        let highest = self.registration.epoch;
        if highest.is_some_and(|highest| epoch < highest) {
            out.count(Counter::FencedMessages);
            return true;
        }
        if !self.registration.is_process_of_master(from) {
            return false;
        }
        self.registration.epoch = Some(epoch);
        if self.registration.saved_epoch != Some(epoch) {
            self.registration.saved_epoch = Some(epoch);
            let write = checkpoint::put(checkpoint::EPOCH.to_owned(), epoch.to_string());
            self.persist(out, vec![write], Then::Epoch);
        }
        false
    }
}

/// The total a master announces, as far as it makes sense.
fn ping_total(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.trunc())
        .ok()
        .filter(|total| !total.is_zero())
        .map_or(limits::PING_TIMEOUT_DEFAULT, |total| {
            total.min(limits::PING_TIMEOUT_MAX)
        })
}
