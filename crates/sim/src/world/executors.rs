//! Executors: the real command executor and a custom one, and what the processes around them do.
//!
//! They talk to their agent over the loopback of one host: a stream of events down, calls up, each in
//! order. Neither survives the agent's process; executors do.

use std::collections::BTreeMap;

use meseta_agent::event::Event as AgentEvent;
use meseta_executor::command::{self, CommandExecutor};
use meseta_model::caller::Caller;
use meseta_model::container::Program;
use meseta_model::edge::StreamId;
use meseta_model::ids::ContainerId;
use meseta_model::step::Now;
use meseta_model::units;
use meseta_model::validation;
use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1::{self, executor};
use meseta_runtime::{Driver, Output};

use super::alarm::Alarm;
use super::containers::{ContainerStep, is_custom, is_mute};
use super::{Happening, World};
use crate::executors::custom::{self, CustomExecutor};
use crate::executors::program;
use crate::invariants::Seen;
use crate::limits::MILLISECOND_US;
use crate::process::Process;
use crate::show;
use crate::tally::{Fault, Situation};

/// An executor at work.
pub(crate) struct SimExecutor {
    core: ExecutorCore,
    /// Which of its attempts to subscribe counts.
    subscription: u64,
    /// When the last thing it said arrives.
    said_us: u64,
    /// When the last thing it is told arrives.
    told_us: u64,
    alarm: Alarm,
    /// The task of a command executor that runs.
    program: Option<program::Program>,
}

enum ExecutorCore {
    Command(Driver<CommandExecutor, ()>),
    Custom(Driver<CustomExecutor, ()>),
}

/// Something for an executor.
#[derive(Debug)]
pub(crate) enum ExecutorInput {
    /// Over this subscription.
    Event(u64, Box<executor::Event>),
    /// This subscription ended or never came about.
    Disconnected(u64),
    /// The process of its task started.
    ProgramStarted,
    /// The process of its task ended.
    ProgramEnded(WaitStatus),
}

/// Something that an executor says, over this subscription.
#[derive(Debug)]
pub(crate) enum Said {
    Subscribe(u64, Box<executor::Call>),
    Call(u64, Box<executor::Call>),
}

/// What either core asks for.
enum Act {
    Subscribe(Box<executor::Call>),
    Send(Box<executor::Call>),
    StartTask(Box<v1::TaskInfo>),
    Signal(i32),
    Began(v1::TaskId),
    Exit(u8),
}

impl SimExecutor {
    /// The executor that a program stands for; `None` if there is no such program.
    pub(super) fn start(
        program: &Program,
        environment: &BTreeMap<String, String>,
        seed: u64,
    ) -> Option<Self> {
        let core = match program {
            Program::CommandExecutor => {
                let config = command_config(environment, seed);
                ExecutorCore::Command(Driver::new(CommandExecutor::new(config), |_| None))
            }
            program if is_custom(program) => {
                let config = command_config(environment, seed);
                let core = CustomExecutor::new(config, is_mute(program));
                ExecutorCore::Custom(Driver::new(core, |_| None))
            }
            Program::Command(_) => return None,
        };
        Some(Self {
            core,
            subscription: 0,
            said_us: 0,
            told_us: 0,
            alarm: Alarm::default(),
            program: None,
        })
    }

    fn next_timer(&self) -> Option<u64> {
        match &self.core {
            ExecutorCore::Command(driver) => driver.next_timer(),
            ExecutorCore::Custom(driver) => driver.next_timer(),
        }
    }

    fn fire_due(&mut self, now: Now) -> Vec<Act> {
        match &mut self.core {
            ExecutorCore::Command(driver) => {
                let mut outputs = Vec::new();
                driver.fire_due(now, &mut outputs);
                outputs.into_iter().filter_map(command_act).collect()
            }
            ExecutorCore::Custom(driver) => {
                let mut outputs = Vec::new();
                driver.fire_due(now, &mut outputs);
                outputs.into_iter().filter_map(custom_act).collect()
            }
        }
    }

    fn handle(&mut self, now: Now, input: CoreInput) -> Vec<Act> {
        match &mut self.core {
            ExecutorCore::Command(driver) => {
                let mut outputs = Vec::new();
                driver.handle(now, input.command(), &mut outputs);
                outputs.into_iter().filter_map(command_act).collect()
            }
            ExecutorCore::Custom(driver) => {
                let mut outputs = Vec::new();
                if let Some(event) = input.custom() {
                    driver.handle(now, event, &mut outputs);
                }
                outputs.into_iter().filter_map(custom_act).collect()
            }
        }
    }
}

/// What either core takes.
enum CoreInput {
    Started,
    Received(Box<executor::Event>),
    Disconnected,
    TaskStarted,
    TaskExited(WaitStatus),
}

impl CoreInput {
    fn command(self) -> command::Event {
        match self {
            Self::Started => command::Event::Started,
            Self::Received(event) => command::Event::Received(event),
            Self::Disconnected => command::Event::Disconnected,
            Self::TaskStarted => command::Event::TaskStarted,
            Self::TaskExited(status) => command::Event::TaskExited { status },
        }
    }

    fn custom(self) -> Option<custom::Event> {
        match self {
            Self::Started => Some(custom::Event::Started),
            Self::Received(event) => Some(custom::Event::Received(event)),
            Self::Disconnected => Some(custom::Event::Disconnected),
            Self::TaskStarted | Self::TaskExited(_) => None,
        }
    }
}

fn command_act(output: Output<CommandExecutor>) -> Option<Act> {
    let Output::Effect(effect) = output else {
        return None;
    };
    Some(match effect {
        command::Effect::Subscribe(call) => Act::Subscribe(call),
        command::Effect::Send(call) => Act::Send(call),
        command::Effect::StartTask(task) => Act::StartTask(task),
        command::Effect::SignalTask { signal } => Act::Signal(signal),
        command::Effect::Exit { code } => Act::Exit(code),
    })
}

fn custom_act(output: Output<CustomExecutor>) -> Option<Act> {
    let Output::Effect(effect) = output else {
        return None;
    };
    Some(match effect {
        custom::Effect::Subscribe(call) => Act::Subscribe(call),
        custom::Effect::Send(call) => Act::Send(call),
        custom::Effect::Began(task) => Act::Began(task),
        custom::Effect::Exit { code } => Act::Exit(code),
    })
}

/// Reads the environment contract as the real process does.
fn command_config(environment: &BTreeMap<String, String>, seed: u64) -> command::Config {
    let text = |name: &str| environment.get(name).cloned().unwrap_or_default();
    let duration_us = |name: &str, default_us: u64| {
        let read = text(name).parse::<units::Duration>().ok();
        let nanos = read.and_then(|duration| u64::try_from(duration.as_nanos()).ok());
        nanos.map_or(default_us, |nanos| nanos / 1_000)
    };
    command::Config {
        framework_id: text("MESOS_FRAMEWORK_ID"),
        executor_id: text("MESOS_EXECUTOR_ID"),
        checkpoint: text("MESOS_CHECKPOINT") == "1",
        recovery_timeout_us: duration_us("MESOS_RECOVERY_TIMEOUT", 900_000_000),
        backoff_max_us: duration_us("MESOS_SUBSCRIPTION_BACKOFF_MAX", 2_000_000),
        seed,
    }
}

impl World {
    pub(super) fn executor_starts(&mut self, a: usize, id: &ContainerId) {
        self.drive_executor(a, id, CoreInput::Started);
    }

    pub(super) fn executor_input(&mut self, a: usize, id: &ContainerId, input: ExecutorInput) {
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        let input = match input {
            ExecutorInput::Event(subscription, event) => {
                if subscription != executor.subscription {
                    return;
                }
                self.see(&Seen::ExecutorHears {
                    agent: a,
                    container: id,
                    event: &event,
                });
                self.note(|| format!("executor {id} hears {}", show::executor_event(&event)));
                CoreInput::Received(event)
            }
            ExecutorInput::Disconnected(subscription) => {
                if subscription != executor.subscription {
                    return;
                }
                self.note(|| format!("executor {id} is disconnected"));
                CoreInput::Disconnected
            }
            ExecutorInput::ProgramStarted => CoreInput::TaskStarted,
            ExecutorInput::ProgramEnded(status) => {
                executor.program = None;
                CoreInput::TaskExited(status)
            }
        };
        self.drive_executor(a, id, input);
    }

    pub(super) fn executor_wake(&mut self, a: usize, id: &ContainerId) {
        let now = self.now(Process::Agent(a));
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        executor.alarm.rang();
        let acts = executor.fire_due(now);
        self.perform_executor(a, id, acts);
    }

    fn executor(&mut self, a: usize, id: &ContainerId) -> Option<&mut SimExecutor> {
        self.agents[a].containers.get_mut(id)?.executor.as_mut()
    }

    fn drive_executor(&mut self, a: usize, id: &ContainerId, input: CoreInput) {
        let now = self.now(Process::Agent(a));
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        let acts = executor.handle(now, input);
        self.perform_executor(a, id, acts);
    }

    fn perform_executor(&mut self, a: usize, id: &ContainerId, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Subscribe(call) => {
                    let Some(executor) = self.executor(a, id) else {
                        return;
                    };
                    executor.subscription += 1;
                    let subscription = executor.subscription;
                    self.see(&Seen::ExecutorSays {
                        agent: a,
                        container: id,
                        call: &call,
                    });
                    self.executor_says(a, id, Said::Subscribe(subscription, call));
                }
                Act::Send(call) => {
                    let Some(executor) = self.executor(a, id) else {
                        return;
                    };
                    let subscription = executor.subscription;
                    self.see(&Seen::ExecutorSays {
                        agent: a,
                        container: id,
                        call: &call,
                    });
                    self.executor_says(a, id, Said::Call(subscription, call));
                }
                Act::StartTask(task) => self.start_program(a, id, &task),
                Act::Signal(signal) => self.signal_program(a, id, signal),
                Act::Began(task) => self.see(&Seen::TaskStarts {
                    agent: a,
                    container: id,
                    task: &task,
                }),
                Act::Exit(code) => {
                    self.note(|| format!("executor {id} exits with {code}"));
                    let status = Some(WaitStatus::exited(code).0);
                    let step = Box::new(ContainerStep::Ended(status));
                    return self.later(100, Happening::Container(a, id.clone(), step));
                }
            }
        }
        self.plan_executor_wake(a, id);
    }

    fn plan_executor_wake(&mut self, a: usize, id: &ContainerId) {
        let now_us = self.now_us;
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        let next_timer = executor.next_timer();
        if let Some(at) = executor.alarm.set(now_us, next_timer) {
            self.queue.plan(at, Happening::ExecutorWake(a, id.clone()));
        }
    }

    /// The task of a command executor starts.
    fn start_program(&mut self, a: usize, id: &ContainerId, task: &v1::TaskInfo) {
        self.see(&Seen::TaskStarts {
            agent: a,
            container: id,
            task: &task.task_id,
        });
        let program = program::Program::of_task(task);
        let after = self.draws.between((100, 5 * MILLISECOND_US));
        if let Some(executor) = self.executor(a, id) {
            executor.program = Some(program);
        }
        let started = Box::new(ExecutorInput::ProgramStarted);
        self.later(after, Happening::Executor(a, id.clone(), started));
        let ended = Box::new(ExecutorInput::ProgramEnded(program.status()));
        self.later(
            after + program.run_us,
            Happening::Executor(a, id.clone(), ended),
        );
    }

    fn signal_program(&mut self, a: usize, id: &ContainerId, signal: i32) {
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        let Some(program) = executor.program else {
            return;
        };
        if signal == 15 && program.ignores_term {
            return;
        }
        if signal == 9 && program.ignores_term {
            self.met(Situation::KilledAfterGrace);
        }
        let after = self.draws.spread((100, 200 * MILLISECOND_US));
        let ended = ExecutorInput::ProgramEnded(WaitStatus::signaled(signal));
        self.later(after, Happening::Executor(a, id.clone(), Box::new(ended)));
    }

    fn executor_says(&mut self, a: usize, id: &ContainerId, said: Said) {
        let at_us = self.now_us + self.draws.between((20, 400));
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        executor.said_us = executor.said_us.max(at_us);
        let at_us = executor.said_us;
        self.queue
            .plan(at_us, Happening::ToAgent(a, id.clone(), Box::new(said)));
    }

    /// What an executor said reaches the agent's edge.
    pub(super) fn executor_said(&mut self, a: usize, id: &ContainerId, said: Said) {
        let (subscription, call, opens) = match said {
            Said::Subscribe(subscription, call) => (subscription, call, true),
            Said::Call(subscription, call) => (subscription, call, false),
        };
        self.note(|| format!("executor {id} says {}", show::executor_call(&call)));
        let number = self.number();
        let refused = validation::executor_call(&call).is_err();
        let Some(process) = &mut self.agents[a].process else {
            return self.executor_stream_lost(a, id, subscription);
        };
        if opens {
            let stream = StreamId::new(&format!("executor-stream-{number}"));
            let behind = (id.clone(), subscription);
            process.streams.insert(stream.clone(), behind);
            let event = AgentEvent::ExecutorSubscribed {
                stream,
                caller: Caller::default(),
                call,
            };
            return self.agent_event(a, event);
        }
        if refused {
            return;
        }
        let request = process.new_request();
        let updates = call.r#type() == executor::call::Type::Update;
        let event = AgentEvent::ExecutorCalled {
            request,
            caller: Caller::default(),
            call,
        };
        self.agent_event(a, event);
        let deaths = self.plan.agents[a].unheard_deaths_permille;
        if updates && self.draws.permille(deaths) && self.executor(a, id).is_some() {
            // Its acknowledgement is on its way, or waits for the disk.
            self.fired(Fault::ExecutorCrashedUnacknowledged);
            self.crash_executor(a, id, WaitStatus::signaled(11));
        }
    }

    /// The agent writes to an executor's stream.
    pub(super) fn tell_executor(
        &mut self,
        a: usize,
        stream: &StreamId,
        event: Box<executor::Event>,
    ) {
        let process = self.agents[a].process.as_ref();
        let behind = process.and_then(|process| process.streams.get(stream));
        if let Some((container, subscription)) = behind.cloned() {
            let input = ExecutorInput::Event(subscription, event);
            self.input_executor(a, &container, input);
        }
    }

    pub(super) fn close_executor_stream(&mut self, a: usize, stream: &StreamId) {
        let process = self.agents[a].process.as_mut();
        let behind = process.and_then(|process| process.streams.remove(stream));
        if let Some((container, subscription)) = behind {
            self.executor_stream_lost(a, &container, subscription);
        }
    }

    pub(super) fn executor_stream_lost(&mut self, a: usize, id: &ContainerId, subscription: u64) {
        self.input_executor(a, id, ExecutorInput::Disconnected(subscription));
    }

    fn input_executor(&mut self, a: usize, id: &ContainerId, input: ExecutorInput) {
        let at_us = self.now_us + self.draws.between((20, 400));
        let Some(executor) = self.executor(a, id) else {
            return;
        };
        executor.told_us = executor.told_us.max(at_us);
        let at_us = executor.told_us;
        let input = Box::new(input);
        self.queue
            .plan(at_us, Happening::Executor(a, id.clone(), input));
    }

    /// An executor is gone: its agent sees its streams end.
    pub(super) fn executor_gone(&mut self, a: usize, id: &ContainerId) {
        for stream in self.executor_streams(a, id) {
            self.agent_sees_stream_end(a, stream);
        }
    }

    fn executor_streams(&self, a: usize, id: &ContainerId) -> Vec<StreamId> {
        let Some(process) = &self.agents[a].process else {
            return Vec::new();
        };
        let own = process
            .streams
            .iter()
            .filter(|(_, (container, _))| container == id);
        own.map(|(stream, _)| stream.clone()).collect()
    }

    fn agent_sees_stream_end(&mut self, a: usize, stream: StreamId) {
        let after = self.draws.between((20, 400));
        let life = self.agents[a].life;
        if let Some(process) = &mut self.agents[a].process {
            process.streams.remove(&stream);
        }
        let event = Box::new(AgentEvent::StreamClosed { stream });
        self.later(after, Happening::AgentEvent(a, life, event));
    }

    /// A fault: the stream between an executor and its agent breaks. Whether there was one.
    pub(crate) fn break_executor_stream(&mut self, a: usize, id: &ContainerId) -> bool {
        let streams = self.executor_streams(a, id);
        for stream in &streams {
            let process = self.agents[a].process.as_ref();
            let behind = process.and_then(|process| process.streams.get(stream));
            let Some((_, subscription)) = behind.cloned() else {
                continue;
            };
            self.executor_stream_lost(a, id, subscription);
            self.agent_sees_stream_end(a, stream.clone());
        }
        !streams.is_empty()
    }

    /// A fault: an executor dies.
    pub(crate) fn crash_executor(&mut self, a: usize, id: &ContainerId, status: WaitStatus) {
        self.note(|| format!("executor {id} dies"));
        self.container_ended(a, id, Some(status.0));
    }
}
