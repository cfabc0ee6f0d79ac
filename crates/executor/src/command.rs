//! The command executor: one command task, from LAUNCH to its last acknowledged update.
//!
//! Behaviour follows Mesos's command executor (`src/launcher/executor.cpp`): STARTING, RUNNING, then
//! one terminal state; SIGTERM, then SIGKILL after the grace period of the kill policy (3 s when
//! there is none); a later kill may shorten the grace, never lengthen it.

use std::collections::VecDeque;

use bytes::Bytes;
use meseta_model::rng::Rng;
use meseta_model::step::{Core, Effects, Now};
use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1::{self, TaskState, executor, task_status::Reason};

/// Grace between SIGTERM and SIGKILL when neither task nor kill names one. Mesos:
/// `DEFAULT_KILL_GRACE_PERIOD`, 3 s.
pub const KILL_GRACE_US: u64 = 3_000_000;

/// How long the executor stays for the acknowledgement of its last update while it is connected.
/// The agent acknowledges what it has on disk at once, so only a broken agent comes near this.
pub const LINGER_US: u64 = 60_000_000;

/// First pause before the next attempt to subscribe; doubles up to the configured maximum.
const RESUBSCRIBE_FIRST_US: u64 = 10_000;

/// What the environment says (`MESOS_*`, set by the agent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `MESOS_FRAMEWORK_ID`.
    pub framework_id: String,
    /// `MESOS_EXECUTOR_ID`.
    pub executor_id: String,
    /// `MESOS_CHECKPOINT`: whether to wait for the agent when it goes away.
    pub checkpoint: bool,
    /// `MESOS_RECOVERY_TIMEOUT`, microseconds: how long to wait for it.
    pub recovery_timeout_us: u64,
    /// `MESOS_SUBSCRIPTION_BACKOFF_MAX`, microseconds: the longest pause between attempts.
    pub backoff_max_us: u64,
    /// Seeds the UUIDs of the updates.
    pub seed: u64,
}

/// What can happen to the command executor.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The process started.
    Started,
    /// An event came over the subscription.
    Received(Box<executor::Event>),
    /// The subscription ended, or could not be made.
    Disconnected,
    /// The agent is there and did not take a call; the subscription was ended for it.
    Refused,
    /// The task's first process runs.
    TaskStarted,
    /// The task's first process could not be started.
    TaskStartFailed {
        /// What went wrong, for people.
        message: String,
    },
    /// The task's first process is over.
    TaskExited {
        /// As `waitpid` gave it.
        status: WaitStatus,
    },
    /// A timer is due.
    TimerFired(Timer),
}

/// What identifies a timer of the command executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Try to subscribe again.
    Subscribe,
    /// The agent has had its time to come back, or to take the first SUBSCRIBE.
    Recovery,
    /// SIGTERM has had its grace.
    KillGrace,
    /// The task has run for its `max_completion_time`.
    MaxCompletion,
    /// The last update has waited long enough for its acknowledgement.
    Linger,
}

/// What the command executor can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Open a subscription with this call; it replaces an older one.
    Subscribe(Box<executor::Call>),
    /// Send this call on the other connection. Best effort: what must not be lost is sent again with
    /// the next SUBSCRIBE.
    Send(Box<executor::Call>),
    /// Start the task's command in a session of its own.
    StartTask(Box<v1::TaskInfo>),
    /// Send this signal to every process of the task.
    SignalTask {
        /// 15 (SIGTERM) or 9 (SIGKILL).
        signal: i32,
    },
    /// Kill what is left of the task, then end this process.
    Exit {
        /// The exit code.
        code: u8,
    },
}

/// The states of the one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No task yet.
    Idle,
    /// Told to start; no process yet.
    Starting,
    /// The process runs.
    Running,
    /// A terminal update is out.
    Over,
}

/// Why the task is being killed, in the order of what its last state then says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killing {
    No,
    /// By a KILL or SHUTDOWN: it ends as `TASK_KILLED`.
    Asked,
    /// It ran past `max_completion_time`: it ends as `TASK_FAILED`.
    TooLong,
}

/// An update until the agent acknowledges it.
#[derive(Debug)]
struct Kept {
    update: executor::call::Update,
    /// It went out, with the present SUBSCRIBE or behind it. What happens between a SUBSCRIBE and its
    /// SUBSCRIBED is in neither, and goes out then.
    said: bool,
}

/// The command executor's state.
#[derive(Debug)]
pub struct CommandExecutor {
    config: Config,
    rng: Rng,
    connected: bool,
    backoff_us: u64,
    task: Option<Box<v1::TaskInfo>>,
    task_acknowledged: bool,
    sends_killing_state: bool,
    phase: Phase,
    killing: Killing,
    kill_deadline_us: Option<u64>,
    unacknowledged: VecDeque<Kept>,
    leaving: bool,
}

impl CommandExecutor {
    /// An executor that has not begun; feed it [`Event::Started`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            rng: Rng::new(config.seed),
            config,
            connected: false,
            backoff_us: RESUBSCRIBE_FIRST_US,
            task: None,
            task_acknowledged: false,
            sends_killing_state: false,
            phase: Phase::Idle,
            killing: Killing::No,
            kill_deadline_us: None,
            unacknowledged: VecDeque::new(),
            leaving: false,
        }
    }

    fn call(&self, kind: executor::call::Type) -> executor::Call {
        executor::Call {
            executor_id: v1::ExecutorId {
                value: self.config.executor_id.clone(),
            },
            framework_id: v1::FrameworkId {
                value: self.config.framework_id.clone(),
            },
            r#type: Some(kind as i32),
            ..Default::default()
        }
    }

    fn subscribe(&mut self, out: &mut Out) {
        let unacknowledged_tasks = match &self.task {
            Some(task) if !self.task_acknowledged => vec![(**task).clone()],
            _ => Vec::new(),
        };
        let mut call = self.call(executor::call::Type::Subscribe);
        call.subscribe = Some(executor::call::Subscribe {
            unacknowledged_tasks,
            unacknowledged_updates: self.say_all(|_| true),
        });
        out.push(Effect::Subscribe(Box::new(call)));
    }

    /// The kept updates that are meant, which count as said from here on.
    fn say_all(&mut self, meant: impl Fn(&Kept) -> bool) -> Vec<executor::call::Update> {
        let meant = self.unacknowledged.iter_mut().filter(|kept| meant(kept));
        meant
            .map(|kept| {
                kept.said = true;
                kept.update.clone()
            })
            .collect()
    }

    fn received(&mut self, now: Now, event: executor::Event, out: &mut Out) {
        use executor::event::Type;
        match event.r#type() {
            Type::Subscribed => self.subscribed(now, event, out),
            Type::Launch => {
                if let Some(launch) = event.launch {
                    self.launch(now, launch.task, out);
                }
            }
            Type::LaunchGroup => {
                // Nobody sends a group to a command executor; a task of it would be lost silently.
                for task in event
                    .launch_group
                    .map(|g| g.task_group.tasks)
                    .unwrap_or_default()
                {
                    self.refuse(
                        now,
                        &task,
                        "The command executor does not run task groups",
                        out,
                    );
                }
            }
            Type::Kill => {
                let kill = event.kill.unwrap_or_default();
                if self
                    .task
                    .as_ref()
                    .is_some_and(|task| task.task_id == kill.task_id)
                {
                    self.kill(now, kill.kill_policy.as_ref(), Killing::Asked, out);
                }
            }
            Type::Acknowledged => self.acknowledged(&event.acknowledged.unwrap_or_default(), out),
            Type::Shutdown => self.shut_down(now, out),
            Type::Message | Type::Error | Type::Heartbeat | Type::Unknown => {}
        }
    }

    fn subscribed(&mut self, now: Now, event: executor::Event, out: &mut Out) {
        self.connected = true;
        self.backoff_us = RESUBSCRIBE_FIRST_US;
        out.cancel_timer(Timer::Recovery);
        out.cancel_timer(Timer::Subscribe);
        if self.phase == Phase::Over {
            self.linger(now, out);
        }
        if let Some(subscribed) = event.subscribed {
            self.sends_killing_state = subscribed
                .framework_info
                .capabilities
                .iter()
                .any(|c| c.r#type() == v1::framework_info::capability::Type::TaskKillingState);
        }
        for update in self.say_all(|kept| !kept.said) {
            self.send_update(update, out);
        }
    }

    fn send_update(&self, update: executor::call::Update, out: &mut Out) {
        let mut call = self.call(executor::call::Type::Update);
        call.update = Some(update);
        out.push(Effect::Send(Box::new(call)));
    }

    fn launch(&mut self, now: Now, task: v1::TaskInfo, out: &mut Out) {
        if let Some(known) = &self.task {
            if known.task_id != task.task_id {
                self.refuse(
                    now,
                    &task,
                    "The command executor runs one task in its life",
                    out,
                );
            }
            return;
        }
        let unsupported = unsupported(&task);
        self.task = Some(Box::new(task.clone()));
        if let Some(what) = unsupported {
            let message = format!("The command executor does not support '{what}' yet");
            self.finish(
                now,
                TaskState::TaskFailed,
                Some(Reason::TaskInvalid),
                message,
                out,
            );
            return;
        }
        self.phase = Phase::Starting;
        self.update(
            now,
            &task.task_id,
            TaskState::TaskStarting,
            None,
            String::new(),
            out,
        );
        if let Some(limit) = &task.max_completion_time {
            let limit_us = u64::try_from(limit.nanoseconds).unwrap_or(0) / 1000;
            out.set_timer(Timer::MaxCompletion, now.mono_us.saturating_add(limit_us));
        }
        out.push(Effect::StartTask(Box::new(task)));
    }

    fn task_started(&mut self, now: Now, out: &mut Out) {
        if self.phase != Phase::Starting {
            return;
        }
        self.phase = Phase::Running;
        if let Some(id) = self.task_id() {
            self.update(now, &id, TaskState::TaskRunning, None, String::new(), out);
        }
        if self.killing != Killing::No {
            // The kill came while the process was being made.
            out.push(Effect::SignalTask { signal: 15 });
        }
    }

    fn task_exited(&mut self, now: Now, status: WaitStatus, out: &mut Out) {
        if !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        let message = format!("Command {status}");
        let (state, reason) = match self.killing {
            Killing::Asked => (TaskState::TaskKilled, None),
            Killing::TooLong => (
                TaskState::TaskFailed,
                Some(Reason::MaxCompletionTimeReached),
            ),
            Killing::No if status.is_success() => (TaskState::TaskFinished, None),
            Killing::No => (TaskState::TaskFailed, Some(Reason::CommandExecutorFailed)),
        };
        self.finish(now, state, reason, message, out);
    }

    fn kill(&mut self, now: Now, policy: Option<&v1::KillPolicy>, why: Killing, out: &mut Out) {
        if !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        let deadline = now.mono_us.saturating_add(self.grace_us(policy));
        if self.killing == Killing::No {
            self.killing = why;
            out.cancel_timer(Timer::MaxCompletion);
            if self.phase == Phase::Running {
                out.push(Effect::SignalTask { signal: 15 });
            }
            if self.sends_killing_state
                && why == Killing::Asked
                && let Some(id) = self.task_id()
            {
                self.update(now, &id, TaskState::TaskKilling, None, String::new(), out);
            }
        }
        if self.kill_deadline_us.is_none_or(|known| deadline < known) {
            self.kill_deadline_us = Some(deadline);
            out.set_timer(Timer::KillGrace, deadline);
        }
    }

    fn grace_us(&self, policy: Option<&v1::KillPolicy>) -> u64 {
        let own = self
            .task
            .as_ref()
            .and_then(|task| task.kill_policy.as_ref());
        let named = |policy: &v1::KillPolicy| policy.grace_period.as_ref().map(|g| g.nanoseconds);
        policy
            .and_then(named)
            .or_else(|| own.and_then(named))
            .map_or(KILL_GRACE_US, |ns| u64::try_from(ns).unwrap_or(0) / 1000)
    }

    fn shut_down(&mut self, now: Now, out: &mut Out) {
        self.leaving = true;
        match self.phase {
            Phase::Idle => out.push(Effect::Exit { code: 0 }),
            Phase::Starting | Phase::Running => self.kill(now, None, Killing::Asked, out),
            Phase::Over => self.leave_if_done(out),
        }
    }

    fn finish(
        &mut self,
        now: Now,
        state: TaskState,
        reason: Option<Reason>,
        message: String,
        out: &mut Out,
    ) {
        let Some(id) = self.task_id() else { return };
        self.phase = Phase::Over;
        self.leaving = true;
        out.cancel_timer(Timer::KillGrace);
        out.cancel_timer(Timer::MaxCompletion);
        if self.connected {
            self.linger(now, out);
        }
        self.update(now, &id, state, reason, message, out);
    }

    fn linger(&self, now: Now, out: &mut Out) {
        out.set_timer(Timer::Linger, now.mono_us.saturating_add(LINGER_US));
    }

    fn acknowledged(&mut self, ack: &executor::event::Acknowledged, out: &mut Out) {
        self.task_acknowledged |= self
            .task
            .as_ref()
            .is_some_and(|task| task.task_id == ack.task_id);
        self.unacknowledged
            .retain(|kept| kept.update.status.uuid.as_ref() != Some(&ack.uuid));
        self.leave_if_done(out);
    }

    fn leave_if_done(&mut self, out: &mut Out) {
        let running = matches!(self.phase, Phase::Starting | Phase::Running);
        if self.leaving && !running && self.unacknowledged.is_empty() {
            out.push(Effect::Exit { code: 0 });
        }
    }

    fn disconnected(&mut self, now: Now, agent_is_there: bool, out: &mut Out) {
        let was_connected = std::mem::replace(&mut self.connected, false);
        if was_connected {
            if !self.config.checkpoint && !agent_is_there {
                // Nobody will take this task up again: an agent that comes back does not know it.
                out.push(Effect::Exit { code: 1 });
                return;
            }
            out.cancel_timer(Timer::Linger);
            self.await_agent(now, out);
        }
        let pause = self.rng.below(self.backoff_us) + 1;
        self.backoff_us = (self.backoff_us * 2).min(self.config.backoff_max_us.max(1));
        out.set_timer(Timer::Subscribe, now.mono_us.saturating_add(pause));
    }

    fn await_agent(&self, now: Now, out: &mut Out) {
        let until_us = now.mono_us.saturating_add(self.config.recovery_timeout_us);
        out.set_timer(Timer::Recovery, until_us);
    }

    fn timer(&mut self, now: Now, timer: Timer, out: &mut Out) {
        match timer {
            Timer::Subscribe => self.subscribe(out),
            Timer::KillGrace => out.push(Effect::SignalTask { signal: 9 }),
            Timer::MaxCompletion => self.kill(now, None, Killing::TooLong, out),
            Timer::Recovery if !self.connected => out.push(Effect::Exit { code: 1 }),
            Timer::Recovery => {}
            Timer::Linger => out.push(Effect::Exit { code: 1 }),
        }
    }

    fn task_id(&self) -> Option<v1::TaskId> {
        self.task.as_ref().map(|task| task.task_id.clone())
    }

    fn refuse(&mut self, now: Now, task: &v1::TaskInfo, message: &str, out: &mut Out) {
        let reason = Some(Reason::TaskInvalid);
        self.update(
            now,
            &task.task_id,
            TaskState::TaskFailed,
            reason,
            message.to_owned(),
            out,
        );
    }

    fn update(
        &mut self,
        now: Now,
        task_id: &v1::TaskId,
        state: TaskState,
        reason: Option<Reason>,
        message: String,
        out: &mut Out,
    ) {
        let status = v1::TaskStatus {
            task_id: task_id.clone(),
            state: state as i32,
            source: Some(v1::task_status::Source::Executor as i32),
            reason: reason.map(|reason| reason as i32),
            message: (!message.is_empty()).then_some(message),
            executor_id: Some(v1::ExecutorId {
                value: self.config.executor_id.clone(),
            }),
            timestamp: Some(now.wall_seconds()),
            uuid: Some(Bytes::copy_from_slice(&self.rng.uuid_bytes())),
            ..Default::default()
        };
        let update = executor::call::Update { status };
        let said = self.connected;
        let kept = update.clone();
        self.unacknowledged.push_back(Kept { update: kept, said });
        if said {
            self.send_update(update, out);
        }
    }
}

/// A field of the task that this executor would have to honour and does not yet.
fn unsupported(task: &v1::TaskInfo) -> Option<&'static str> {
    if task.health_check.is_some() {
        return Some("health_check");
    }
    if task.check.is_some() {
        return Some("check");
    }
    if task.command.is_none() {
        return Some("no command");
    }
    None
}

type Out = Effects<Timer, Effect>;

impl Core for CommandExecutor {
    type Event = Event;
    type Timer = Timer;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Out) {
        match event {
            Event::Started => {
                self.await_agent(now, out);
                self.subscribe(out);
            }
            Event::Received(event) => self.received(now, *event, out),
            Event::Disconnected => self.disconnected(now, false, out),
            Event::Refused => self.disconnected(now, true, out),
            Event::TaskStarted => self.task_started(now, out),
            Event::TaskStartFailed { message } => {
                let reason = Some(Reason::CommandExecutorFailed);
                self.finish(now, TaskState::TaskFailed, reason, message, out);
            }
            Event::TaskExited { status } => self.task_exited(now, status, out),
            Event::TimerFired(timer) => self.timer(now, timer, out),
        }
    }

    fn timer_fired(key: Timer) -> Event {
        Event::TimerFired(key)
    }
}

#[cfg(test)]
mod tests;
