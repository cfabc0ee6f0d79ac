//! The agent itself: its state, and the table of what happens on which event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::rng::Rng;
use meseta_model::step::{Core, Effects, Now, Seq, Write};
use meseta_model::upid::Upid;
use meseta_proto::mesos::v1;

use crate::checkpoint::Then;
use crate::config::Config;
use crate::event::{Effect, Event, Timer};
use crate::executor::Executor;
use crate::framework::Framework;
use crate::gc::Gc;
use crate::outbox::Outbox;
use crate::registration::{CAPABILITIES, Registration};
use crate::updates::Updates;
use crate::view::{AgentView, Delta};

/// How far the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before [`Event::Started`].
    Starting,
    /// Executors of an earlier life may come back; nobody else is served.
    Recovering,
    /// No master has admitted this agent, or it has lost the one that did.
    Disconnected,
    /// Admitted.
    Running,
    /// Ending everything; exits with the last framework.
    Terminating,
    /// [`Effect::Exit`] is out.
    Exited,
}

/// The decision core of an agent. Drive it with [`Core::step`], beginning with [`Event::Started`].
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    pub(crate) phase: Phase,
    /// `slave(1)@ip:port`.
    pub(crate) pid: Upid,
    /// With its id once a master gave one.
    pub(crate) info: v1::AgentInfo,
    pub(crate) id: Option<AgentId>,
    pub(crate) start_time: f64,
    /// Why the agent is ending, for people.
    pub(crate) exit_reason: String,
    pub(crate) registration: Registration,
    pub(crate) frameworks: BTreeMap<FrameworkId, Framework>,
    /// Oldest first; at most [`crate::limits::COMPLETED_FRAMEWORKS`].
    pub(crate) completed_frameworks: VecDeque<Framework>,
    /// Whose run each live container is.
    pub(crate) containers: BTreeMap<ContainerId, (FrameworkId, ExecutorId)>,
    /// Containers that recovery found and nobody knows, as far as they are not over; `None` until the
    /// container room has told.
    pub(crate) orphans: Option<BTreeSet<ContainerId>>,
    /// Which run each open stream belongs to.
    pub(crate) streams: BTreeMap<meseta_model::edge::StreamId, ContainerId>,
    pub(crate) updates: Updates,
    /// What follows each write in flight.
    pub(crate) writes: BTreeMap<Seq, Then>,
    pub(crate) gc: Gc,
    /// Dynamic reservations and volumes, as the master last told.
    pub(crate) checkpointed: Resources,
    /// They could not be written yet.
    pub(crate) resources_unsaved: bool,
    /// Everything the agent has, with those applied.
    pub(crate) total: Resources,
}

impl Agent {
    /// An agent that waits for [`Event::Started`]. The settings must be valid
    /// ([`Config::validate`]).
    #[must_use]
    pub fn new(config: Config) -> Self {
        let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            config,
            rng: Rng::new(0),
            phase: Phase::Starting,
            pid: Upid::new("slave(1)", nowhere),
            info: v1::AgentInfo::default(),
            id: None,
            start_time: 0.0,
            exit_reason: String::new(),
            registration: Registration::default(),
            frameworks: BTreeMap::new(),
            completed_frameworks: VecDeque::new(),
            containers: BTreeMap::new(),
            orphans: None,
            streams: BTreeMap::new(),
            updates: Updates::default(),
            writes: BTreeMap::new(),
            gc: Gc::default(),
            checkpointed: Resources::new(),
            resources_unsaved: false,
            total: Resources::new(),
        }
    }

    /// The id a master gave, on the wire; empty before.
    pub(crate) fn wire_id(&self) -> v1::AgentId {
        self.id.as_ref().map(AgentId::to_wire).unwrap_or_default()
    }

    pub(crate) fn executor(
        &self,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) -> Option<&Executor> {
        self.frameworks.get(framework)?.executors.get(executor)
    }

    pub(crate) fn executor_mut(
        &mut self,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) -> Option<&mut Executor> {
        let framework = self.frameworks.get_mut(framework)?;
        framework.executors.get_mut(executor)
    }

    /// The executor whose present run is in this container.
    pub(crate) fn by_container(
        &self,
        container_id: &ContainerId,
    ) -> Option<(FrameworkId, ExecutorId)> {
        self.containers.get(container_id).cloned()
    }

    /// Writes to disk and remembers what comes after; see [`Then`].
    pub(crate) fn persist(&mut self, out: &mut Outbox<'_>, writes: Vec<Write>, then: Then) -> Seq {
        let seq = out.effects.persist(writes);
        self.writes.insert(seq, then);
        seq
    }

    pub(crate) fn show_agent(&self, out: &mut Outbox<'_>) {
        out.changed(Delta::Agent(Box::new(AgentView {
            info: self.info.clone(),
            pid: self.pid.to_string(),
            master: self.registration.master.as_ref().map(Upid::to_string),
            registered: self.phase == Phase::Running,
            capabilities: CAPABILITIES.to_wire(),
            total: self.total.to_wire(ResourceFormat::PostRefinement),
            start_time: self.start_time,
        })));
    }

    /// Asks for the end of the process; nothing happens afterwards.
    pub(crate) fn exit(&mut self, out: &mut Outbox<'_>, reason: impl Into<String>) {
        self.phase = Phase::Exited;
        out.push(Effect::Exit {
            reason: reason.into(),
        });
    }

    pub(crate) fn exit_now(&mut self, out: &mut Outbox<'_>) {
        let reason = std::mem::take(&mut self.exit_reason);
        self.exit(out, reason);
    }

    fn due(&mut self, out: &mut Outbox<'_>, timer: Timer) {
        match timer {
            Timer::Register => self.register(out),
            Timer::PingTimeout => self.ping_timed_out(out),
            Timer::ExecutorRegistration(_, _, run) => self.executor_not_registered(out, &run),
            Timer::ExecutorReregistration => self.reregistration_window_over(out),
            // Only executors of the v0 driver are asked; there are none yet.
            Timer::ExecutorReconnect => {}
            Timer::ExecutorShutdown(_, _, run) => self.executor_not_shut_down(out, &run),
            Timer::UpdateRetry(framework, task) => self.update_retry(out, framework, task),
            Timer::UpdateWriteRetry(framework, task) => self.write_stream(out, &(framework, task)),
            Timer::Heartbeat(run) => self.executor_heartbeat(out, &run),
            Timer::Gc => self.gc_due(out),
            Timer::Cleanup => self.cleanup_overdue(out),
        }
    }
}

impl Core for Agent {
    type Event = Event;
    type Timer = Timer;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, effects: &mut Effects<Timer, Effect>) {
        let out = &mut Outbox { now, effects };
        if self.phase == Phase::Exited && !matches!(event, Event::ExecutorCalled { .. }) {
            return;
        }
        match event {
            Event::Started(started) => self.start(out, *started),
            Event::MasterDetected(master) => self.master_detected(out, master),
            Event::MasterLost => self.master_lost(out),
            Event::MessageReceived {
                from,
                to: _,
                epoch,
                message,
            } => self.message_received(out, &from, epoch, message),
            Event::LinkBroken { peer } => self.link_broken(out, &peer),
            Event::ExecutorSubscribed {
                stream,
                caller,
                call,
            } => self.executor_subscribed(out, stream, &caller, *call),
            Event::ExecutorCalled {
                request,
                caller,
                call,
            } => self.executor_called(out, request, &caller, *call),
            Event::StreamClosed { stream } => self.stream_closed(out, &stream),
            Event::Container(report) => self.container_reported(out, report),
            Event::ShutdownRequested => self.shutdown_requested(out),
            Event::DiskMeasured { used } => self.disk_measured(out, used),
            Event::TimerFired(timer) => self.due(out, timer),
            Event::Persisted { seq } => self.write_done(out, seq),
            Event::PersistFailed { seq, error } => self.write_failed(out, seq, &error),
        }
    }

    fn timer_fired(key: Timer) -> Event {
        Event::TimerFired(key)
    }

    fn persisted(seq: Seq) -> Option<Event> {
        Some(Event::Persisted { seq })
    }

    fn persist_failed(seq: Seq, error: String) -> Option<Event> {
        Some(Event::PersistFailed { seq, error })
    }
}
