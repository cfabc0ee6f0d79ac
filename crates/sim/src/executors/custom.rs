//! A custom executor as a framework would bring it: many tasks in one process.
//!
//! It keeps to the executor API and trusts its agent: whatever it is told to launch it starts, also a
//! second time. What is unacknowledged goes out again with the next SUBSCRIBE.

use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_executor::command::Config;
use meseta_model::rng::Rng;
use meseta_model::step::{Core, Effects, Now};
use meseta_proto::mesos::v1::{self, TaskState, executor, task_status::Source};

use super::program::Program;

/// First pause before the next attempt to subscribe; doubles up to the configured maximum.
const RESUBSCRIBE_FIRST_US: u64 = 10_000;

/// Between two RUNNING updates of a task that runs for long.
const REPORT_US: u64 = 4_000_000;

/// How long a task takes to end after KILL.
const KILL_US: u64 = 50_000;

/// How long it stays after SHUTDOWN for its last acknowledgements.
const LINGER_US: u64 = 2_000_000;

/// What can happen to it.
#[derive(Debug)]
pub(crate) enum Event {
    Started,
    Received(Box<executor::Event>),
    Disconnected,
    TimerFired(Timer),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Subscribe,
    Recovery,
    /// The task's program is over.
    End(String),
    /// The task says once more that it runs.
    Report(String),
    Leave,
}

/// What it can ask for.
#[derive(Debug)]
pub(crate) enum Effect {
    Subscribe(Box<executor::Call>),
    Send(Box<executor::Call>),
    /// A task's program starts.
    Began(v1::TaskId),
    Exit {
        code: u8,
    },
}

#[derive(Debug)]
struct Task {
    info: v1::TaskInfo,
    acknowledged: bool,
    killed: bool,
    over: bool,
}

/// A custom executor.
#[derive(Debug)]
pub(crate) struct CustomExecutor {
    config: Config,
    rng: Rng,
    connected: bool,
    backoff_us: u64,
    tasks: BTreeMap<String, Task>,
    /// Each with whether it went out, with the present SUBSCRIBE or behind it.
    unacknowledged: Vec<(executor::call::Update, bool)>,
    leaving: bool,
    /// It never subscribes.
    mute: bool,
}

type Out = Effects<Timer, Effect>;

impl CustomExecutor {
    pub(crate) fn new(config: Config, mute: bool) -> Self {
        Self {
            rng: Rng::new(config.seed),
            config,
            connected: false,
            backoff_us: RESUBSCRIBE_FIRST_US,
            tasks: BTreeMap::new(),
            unacknowledged: Vec::new(),
            leaving: false,
            mute,
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
        for (_, said) in &mut self.unacknowledged {
            *said = true;
        }
        let updates = self.unacknowledged.iter().map(|(update, _)| update.clone());
        let updates = updates.collect();
        let open = self.tasks.values().filter(|task| !task.acknowledged);
        let mut call = self.call(executor::call::Type::Subscribe);
        call.subscribe = Some(executor::call::Subscribe {
            unacknowledged_tasks: open.map(|task| task.info.clone()).collect(),
            unacknowledged_updates: updates,
        });
        out.push(Effect::Subscribe(Box::new(call)));
    }

    fn received(&mut self, now: Now, event: executor::Event, out: &mut Out) {
        use executor::event::Type;
        match event.r#type() {
            Type::Subscribed => {
                self.connected = true;
                self.backoff_us = RESUBSCRIBE_FIRST_US;
                out.cancel_timer(Timer::Recovery);
                out.cancel_timer(Timer::Subscribe);
                self.say_the_rest(out);
            }
            Type::Launch => {
                if let Some(launch) = event.launch {
                    self.launch(now, launch.task, out);
                }
            }
            Type::Kill => {
                if let Some(kill) = event.kill {
                    self.kill(now, &kill.task_id.value, out);
                }
            }
            Type::Acknowledged => {
                if let Some(acknowledged) = event.acknowledged {
                    self.acknowledged(&acknowledged, out);
                }
            }
            Type::Shutdown => self.shut_down(now, out),
            _ => {}
        }
    }

    fn launch(&mut self, now: Now, info: v1::TaskInfo, out: &mut Out) {
        let id = info.task_id.clone();
        let program = Program::of_task(&info);
        let task = Task {
            info,
            acknowledged: false,
            killed: false,
            over: false,
        };
        self.tasks.insert(id.value.clone(), task);
        out.push(Effect::Began(id.clone()));
        if self.rng.below(2) == 0 {
            self.update(now, &id, TaskState::TaskStarting, out);
        }
        self.update(now, &id, TaskState::TaskRunning, out);
        out.set_timer(Timer::End(id.value.clone()), now.mono_us + program.run_us);
        if program.run_us > REPORT_US {
            out.set_timer(Timer::Report(id.value), now.mono_us + REPORT_US);
        }
    }

    fn kill(&mut self, now: Now, id: &str, out: &mut Out) {
        if let Some(task) = self.tasks.get_mut(id).filter(|task| !task.over) {
            task.killed = true;
            out.set_timer(Timer::End(id.to_owned()), now.mono_us + KILL_US);
        }
    }

    fn end(&mut self, now: Now, id: &str, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| !task.over) else {
            return;
        };
        task.over = true;
        let state = match (task.killed, Program::of_task(&task.info).exit_code) {
            (true, _) => TaskState::TaskKilled,
            (false, 0) => TaskState::TaskFinished,
            (false, _) => TaskState::TaskFailed,
        };
        let id = task.info.task_id.clone();
        out.cancel_timer(Timer::Report(id.value.clone()));
        self.update(now, &id, state, out);
    }

    fn report(&mut self, now: Now, id: &str, out: &mut Out) {
        let running = self.tasks.get(id).filter(|task| !task.over && !task.killed);
        if let Some(task) = running {
            let id = task.info.task_id.clone();
            self.update(now, &id, TaskState::TaskRunning, out);
            out.set_timer(Timer::Report(id.value), now.mono_us + REPORT_US);
        }
    }

    fn acknowledged(&mut self, acknowledged: &executor::event::Acknowledged, out: &mut Out) {
        let id = &acknowledged.task_id.value;
        if let Some(task) = self.tasks.get_mut(id) {
            task.acknowledged = true;
        }
        let uuid = &acknowledged.uuid;
        self.unacknowledged
            .retain(|(update, _)| update.status.uuid.as_ref() != Some(uuid));
        let unfinished = self.unacknowledged.iter();
        let waits = unfinished.map(|(update, _)| &update.status.task_id.value);
        let waits: Vec<&String> = waits.collect();
        self.tasks
            .retain(|id, task| !task.over || waits.contains(&id));
        self.leave_if_done(out);
    }

    fn shut_down(&mut self, now: Now, out: &mut Out) {
        self.leaving = true;
        let running: Vec<String> = self.tasks.keys().cloned().collect();
        for id in running {
            self.kill(now, &id, out);
        }
        out.set_timer(Timer::Leave, now.mono_us + LINGER_US);
        self.leave_if_done(out);
    }

    fn leave_if_done(&self, out: &mut Out) {
        if self.leaving && self.tasks.is_empty() && self.unacknowledged.is_empty() {
            out.push(Effect::Exit { code: 0 });
        }
    }

    fn disconnected(&mut self, now: Now, out: &mut Out) {
        if std::mem::replace(&mut self.connected, false) {
            if !self.config.checkpoint {
                return out.push(Effect::Exit { code: 1 });
            }
            let deadline = now.mono_us + self.config.recovery_timeout_us;
            out.set_timer(Timer::Recovery, deadline);
        }
        let pause = self.rng.below(self.backoff_us) + 1;
        self.backoff_us = (self.backoff_us * 2).min(self.config.backoff_max_us.max(1));
        out.set_timer(Timer::Subscribe, now.mono_us + pause);
    }

    fn update(&mut self, now: Now, id: &v1::TaskId, state: TaskState, out: &mut Out) {
        let status = v1::TaskStatus {
            task_id: id.clone(),
            state: state as i32,
            source: Some(Source::Executor as i32),
            executor_id: Some(v1::ExecutorId {
                value: self.config.executor_id.clone(),
            }),
            timestamp: Some(now.wall_seconds()),
            uuid: Some(Bytes::copy_from_slice(&self.rng.uuid_bytes())),
            ..Default::default()
        };
        let update = executor::call::Update { status };
        self.unacknowledged.push((update, false));
        if self.connected {
            self.say_the_rest(out);
        }
    }

    /// Sends what went out neither with the last SUBSCRIBE nor behind it.
    fn say_the_rest(&mut self, out: &mut Out) {
        let mut calls = Vec::new();
        for (update, said) in &mut self.unacknowledged {
            if !std::mem::replace(said, true) {
                calls.push(update.clone());
            }
        }
        for update in calls {
            let mut call = self.call(executor::call::Type::Update);
            call.update = Some(update);
            out.push(Effect::Send(Box::new(call)));
        }
    }
}

impl Core for CustomExecutor {
    type Event = Event;
    type Timer = Timer;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Out) {
        match event {
            Event::Started if self.mute => {}
            Event::Started => self.subscribe(out),
            Event::Received(event) => self.received(now, *event, out),
            Event::Disconnected => self.disconnected(now, out),
            Event::TimerFired(Timer::Subscribe) => self.subscribe(out),
            Event::TimerFired(Timer::Recovery) if !self.connected => {
                out.push(Effect::Exit { code: 1 });
            }
            Event::TimerFired(Timer::Recovery) => {}
            Event::TimerFired(Timer::End(id)) => self.end(now, &id, out),
            Event::TimerFired(Timer::Report(id)) => self.report(now, &id, out),
            Event::TimerFired(Timer::Leave) => out.push(Effect::Exit { code: 0 }),
        }
    }

    fn timer_fired(key: Timer) -> Event {
        Event::TimerFired(key)
    }
}
