//! The executor API: who may speak, what is said, what comes back.

use executor::call::Type as Call;
use executor::event::Type;

use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, RequestId, StreamId};
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId};
use meseta_proto::mesos::internal;
use meseta_proto::mesos::v1::executor;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::event::{Effect, Timer};
use crate::executor::{Executor, State, event};
use crate::outbox::Outbox;
use crate::view::Counter;

impl Agent {
    /// A new stream. It replaces an older one of the same executor; what the executor still knows
    /// and the agent may not is taken up first.
    pub(crate) fn executor_subscribed(
        &mut self,
        out: &mut Outbox<'_>,
        stream: StreamId,
        caller: &Caller,
        call: executor::Call,
    ) {
        let framework = FrameworkId::from(&call.framework_id);
        let id = ExecutorId::from(&call.executor_id);
        let allowed = match self.speaker(&framework, &id, caller) {
            // Somebody else speaks for it: a task given to it would begin once more when it starts.
            Ok(executor) if executor.state == State::Registering && !executor.released => {
                Err(Refusal::new(
                    RefusalKind::Unavailable,
                    "Executor's container has not been started",
                ))
            }
            Ok(executor) => Ok(executor.state),
            Err(refusal) => Err(refusal),
        };
        match allowed {
            Err(refusal) => return out.push(Effect::RefuseStream { stream, refusal }),
            // It forked, its first process ended, and the rest of it comes too late.
            Ok(State::Terminating | State::Terminated) => return turn_away(out, stream),
            Ok(State::Registering | State::Running) => {}
        }
        if self.is_shutting_down(&framework) {
            return turn_away(out, stream);
        }
        self.attach_stream(out, &framework, &id, stream);
        let subscribe = call.subscribe.unwrap_or_default();
        self.settle_never_received(out, &framework, &id, &subscribe);
        if self.welcome(out, &framework, &id) {
            for update in subscribe.unacknowledged_updates {
                // What is refused now stays with the executor.
                let _ = self.executor_update(out, &framework, &id, update.status);
            }
            self.catch_up(out, &framework, &id);
        }
        self.finish_recovery_if_complete(out);
    }

    fn is_shutting_down(&self, framework: &FrameworkId) -> bool {
        let terminating = self
            .frameworks
            .get(framework)
            .is_some_and(|f| f.terminating);
        terminating || self.phase == Phase::Terminating
    }

    fn attach_stream(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        id: &ExecutorId,
        stream: StreamId,
    ) {
        let heartbeat = self.config.executor_heartbeat_interval;
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let run = executor.container_id.clone();
        let first = executor.state == State::Registering;
        executor.state = State::Running;
        let previous = executor.stream.replace(stream.clone());
        let checkpoint = executor.checkpoint;
        if first {
            out.cancel(Timer::ExecutorRegistration(
                framework.clone(),
                id.clone(),
                run.clone(),
            ));
        }
        out.wake(Timer::Heartbeat(run.clone()), heartbeat);
        if let Some(previous) = previous {
            self.streams.remove(&previous);
            out.push(Effect::CloseStream(previous));
        }
        self.streams.insert(stream, run);
        if checkpoint && let Some(executor) = self.executor(framework, id) {
            let marker = format!("{}/http.marker", self.run_dir_of(executor));
            self.persist(out, vec![checkpoint::put(marker, "")], Then::Nothing);
        }
    }

    /// SUBSCRIBED, the first event. False if the executor is told to go instead: all it was started
    /// for was killed meanwhile, and it would wait for ever.
    fn welcome(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId, id: &ExecutorId) -> bool {
        let agent_info = self.info.clone();
        let Some(found) = self.frameworks.get(framework) else {
            return false;
        };
        let framework_info = found.info.clone();
        let Some(executor) = found.executors.get(id) else {
            return false;
        };
        if !executor.ever_sent && !executor.has_work() {
            self.shutdown_executor(out, framework, id);
            return false;
        }
        let subscribed = executor::event::Subscribed {
            executor_info: executor.info.clone(),
            framework_info,
            agent_info,
            container_id: Some(executor.container_id.to_wire()),
        };
        executor.send(
            out,
            executor::Event {
                subscribed: Some(subscribed),
                ..event(Type::Subscribed)
            },
        );
        true
    }

    /// What waited for the executor: tasks it never had, kills it missed.
    fn catch_up(&mut self, out: &mut Outbox<'_>, framework: &FrameworkId, id: &ExecutorId) {
        let admitted = self.registration.admitted;
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        if admitted {
            executor.deliver(out);
        }
        let missed: Vec<_> = executor
            .tasks
            .values_mut()
            .filter_map(|live| live.kill.take())
            .collect();
        for kill in missed {
            executor.send(out, kill_event(kill));
        }
    }

    /// Any call but SUBSCRIBE. Order of checks as in Mesos. An executor that is back may speak while
    /// others are still waited for: what is refused it says again with its next SUBSCRIBE only.
    pub(crate) fn executor_called(
        &mut self,
        out: &mut Outbox<'_>,
        request: RequestId,
        caller: &Caller,
        call: executor::Call,
    ) {
        let outcome = match self.handle_call(out, caller, call) {
            Ok(()) => Outcome::Accepted,
            Err(refusal) => Outcome::Refused(refusal),
        };
        out.push(Effect::Reply { request, outcome });
    }

    fn handle_call(
        &mut self,
        out: &mut Outbox<'_>,
        caller: &Caller,
        call: executor::Call,
    ) -> Result<(), Refusal> {
        let kind = call.r#type();
        if kind == Call::Heartbeat {
            // compat: libraries send dummy ids with it.
            return Ok(());
        }
        let framework = FrameworkId::from(&call.framework_id);
        let id = ExecutorId::from(&call.executor_id);
        let speaker = self.speaker(&framework, &id, caller);
        let is_back = matches!(&speaker, Ok(executor) if executor.state != State::Registering);
        if self.phase == Phase::Recovering && !is_back {
            return Err(unavailable());
        }
        if speaker?.state == State::Registering {
            return Err(Refusal::new(
                RefusalKind::Forbidden,
                "Executor is not subscribed",
            ));
        }
        match kind {
            Call::Update => {
                let update = call.update.ok_or_else(|| missing("update"))?;
                self.executor_update(out, &framework, &id, update.status)
            }
            Call::Message => {
                let message = call.message.ok_or_else(|| missing("message"))?;
                self.executor_message(out, &framework, &id, message.data);
                Ok(())
            }
            Call::Subscribe => Err(Refusal::invalid("SUBSCRIBE opens a stream of its own")),
            Call::Unknown | Call::Heartbeat => Err(Refusal::new(
                RefusalKind::NotImplemented,
                "Received 'UNKNOWN' call",
            )),
        }
    }

    /// The executor a caller speaks for, if it may.
    fn speaker(
        &self,
        framework: &FrameworkId,
        id: &ExecutorId,
        caller: &Caller,
    ) -> Result<&Executor, Refusal> {
        if matches!(self.phase, Phase::Starting | Phase::Exited) {
            return Err(unavailable());
        }
        let framework = self
            .frameworks
            .get(framework)
            .ok_or_else(|| Refusal::invalid("Framework cannot be found"))?;
        let executor = framework
            .executors
            .get(id)
            .ok_or_else(|| Refusal::invalid("Executor cannot be found"))?;
        check_claims(caller, executor)?;
        Ok(executor)
    }

    fn executor_message(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        data: bytes::Bytes,
    ) {
        let found = self.frameworks.get(framework).filter(|f| !f.terminating);
        let master = self.registration.master.as_ref();
        let (Some(found), Some(master), Phase::Running) = (found, master, self.phase) else {
            return out.count(Counter::InvalidFrameworkMessages);
        };
        let to = found.pid.as_ref().unwrap_or(master).clone();
        let message = internal::ExecutorToFrameworkMessage {
            slave_id: self.wire_id(),
            framework_id: framework.to_wire(),
            executor_id: executor.to_wire(),
            data,
        };
        out.send(&to, message);
        out.count(Counter::ValidFrameworkMessages);
    }

    /// The executor may come back; nothing is decided by its connection alone.
    pub(crate) fn stream_closed(&mut self, out: &mut Outbox<'_>, stream: &StreamId) {
        let Some(run) = self.streams.remove(stream) else {
            return;
        };
        let Some((framework, id)) = self.by_container(&run) else {
            return;
        };
        if let Some(executor) = self.executor_mut(&framework, &id)
            && executor.stream.as_ref() == Some(stream)
        {
            executor.stream = None;
            out.cancel(Timer::Heartbeat(run));
        }
    }

    pub(crate) fn executor_heartbeat(&mut self, out: &mut Outbox<'_>, run: &ContainerId) {
        let interval = self.config.executor_heartbeat_interval;
        let Some((framework, id)) = self.by_container(run) else {
            return;
        };
        let Some(executor) = self.executor(&framework, &id) else {
            return;
        };
        if executor.send(out, event(Type::Heartbeat)) {
            out.wake(Timer::Heartbeat(run.clone()), interval);
        }
    }
}

pub(crate) fn kill_event(kill: executor::event::Kill) -> executor::Event {
    executor::Event {
        kill: Some(kill),
        ..event(Type::Kill)
    }
}

/// It is known, and is to go.
fn turn_away(out: &mut Outbox<'_>, stream: StreamId) {
    out.push(Effect::SendEvent {
        stream: stream.clone(),
        event: Box::new(event(Type::Shutdown)),
    });
    out.push(Effect::CloseStream(stream));
}

fn unavailable() -> Refusal {
    Refusal::new(RefusalKind::Unavailable, "Agent has not finished recovery")
}

fn missing(part: &str) -> Refusal {
    Refusal::invalid(format!(
        "Failed to validate Executor::Call: Expecting '{part}' to be present"
    ))
}

/// A caller with a token speaks only for the executor that the token was made for.
fn check_claims(caller: &Caller, executor: &Executor) -> Result<(), Refusal> {
    let expected = [
        ("fid", executor.framework.as_str()),
        ("eid", executor.id.as_str()),
        ("cid", executor.container_id.value()),
    ];
    for (claim, value) in expected {
        let claimed = caller.claims.get(claim);
        if !caller.claims.is_empty() && claimed.map(String::as_str) != Some(value) {
            let text =
                format!("Authenticated principal's claim '{claim}' does not match '{value}'");
            return Err(Refusal::new(RefusalKind::Forbidden, text));
        }
    }
    Ok(())
}
