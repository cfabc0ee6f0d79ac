//! Whole effect lists of the command executor, one story each.

use meseta_model::step::{Core, Effect as Asked, Effects, Now};
use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1::{self, TaskState, executor};

use super::{CommandExecutor, Config, Effect, Event, LINGER_US, Timer};

const SECOND: u64 = 1_000_000;

/// What a start asks for.
const STARTED: [&str; 2] = ["set Recovery +900000000us", "subscribe tasks=0 updates=0"];

/// And the end of a subscription, with its random pause.
const LOST: [&str; 3] = [
    "cancel Linger",
    "set Recovery +900000000us",
    "set Subscribe +8834us",
];

/// Drives one executor and tells what it asked for in short words.
struct Story {
    core: CommandExecutor,
    out: Effects<Timer, Effect>,
    at_us: u64,
    uuids: Vec<bytes::Bytes>,
}

impl Story {
    fn new(checkpoint: bool) -> Self {
        let config = Config {
            framework_id: "F".into(),
            executor_id: "t1".into(),
            checkpoint,
            recovery_timeout_us: 900 * SECOND,
            backoff_max_us: 2 * SECOND,
            seed: 7,
        };
        let core = CommandExecutor::new(config);
        Self {
            core,
            out: Effects::default(),
            at_us: 0,
            uuids: Vec::new(),
        }
    }

    fn check(&mut self, event: Event, expected: &[&str]) {
        let now = Now {
            mono_us: self.at_us,
            wall_ns: self.at_us * 1000,
        };
        self.core.step(now, event, &mut self.out);
        let told: Vec<String> = self
            .out
            .take()
            .into_iter()
            .map(|asked| self.words(asked))
            .collect();
        assert_eq!(told, expected);
    }

    fn words(&mut self, asked: Asked<Timer, Effect>) -> String {
        match asked {
            Asked::SetTimer { key, at_us } => format!("set {key:?} +{}us", at_us - self.at_us),
            Asked::CancelTimer { key } => format!("cancel {key:?}"),
            Asked::Do {
                after: None,
                effect,
            } => self.effect_words(effect),
            other => format!("{other:?}"),
        }
    }

    fn effect_words(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Subscribe(call) => {
                let subscribe = call.subscribe.expect("SUBSCRIBE carries its message");
                let (tasks, updates) = (
                    subscribe.unacknowledged_tasks,
                    subscribe.unacknowledged_updates,
                );
                format!("subscribe tasks={} updates={}", tasks.len(), updates.len())
            }
            Effect::Send(call) => {
                let status = call.update.expect("only updates are sent").status;
                self.uuids.extend(status.uuid.clone());
                format!("send {:?} {}", status.state(), status.message())
            }
            Effect::StartTask(task) => format!("start {}", task.task_id.value),
            other => format!("{other:?}"),
        }
    }

    fn subscribed(&mut self) {
        let expected = ["cancel Recovery", "cancel Subscribe"];
        self.check(Event::Received(Box::new(subscribed())), &expected);
    }

    fn launch(&mut self, task: v1::TaskInfo, expected: &[&str]) {
        let event = executor::Event {
            r#type: Some(executor::event::Type::Launch as i32),
            launch: Some(executor::event::Launch { task }),
            ..Default::default()
        };
        self.check(Event::Received(Box::new(event)), expected);
    }

    fn running() -> Self {
        let mut story = Self::new(true);
        story.check(Event::Started, &STARTED);
        story.subscribed();
        story.launch(task(), &["send TaskStarting ", "start t1"]);
        story.check(Event::TaskStarted, &["send TaskRunning "]);
        story
    }

    fn acknowledge_all(&mut self, last: &[&str]) {
        let uuids = std::mem::take(&mut self.uuids);
        let count = uuids.len();
        for (i, uuid) in uuids.into_iter().enumerate() {
            let task_id = v1::TaskId { value: "t1".into() };
            let event = executor::Event {
                r#type: Some(executor::event::Type::Acknowledged as i32),
                acknowledged: Some(executor::event::Acknowledged { task_id, uuid }),
                ..Default::default()
            };
            let expected = if i + 1 == count { last } else { &[] };
            self.check(Event::Received(Box::new(event)), expected);
        }
    }

    fn kill(&mut self, grace_ns: Option<i64>, expected: &[&str]) {
        let grace_period = grace_ns.map(|nanoseconds| v1::DurationInfo { nanoseconds });
        let kill = executor::event::Kill {
            task_id: v1::TaskId { value: "t1".into() },
            kill_policy: Some(v1::KillPolicy { grace_period }),
        };
        let event = executor::Event {
            r#type: Some(executor::event::Type::Kill as i32),
            kill: Some(kill),
            ..Default::default()
        };
        self.check(Event::Received(Box::new(event)), expected);
    }
}

fn task() -> v1::TaskInfo {
    v1::TaskInfo {
        name: "t1".into(),
        task_id: v1::TaskId { value: "t1".into() },
        command: Some(v1::CommandInfo {
            value: Some("true".into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

const FINISH: [&str; 3] = [
    "cancel KillGrace",
    "cancel MaxCompletion",
    "set Linger +60000000us",
];

fn finishing(update: &'static str) -> Vec<&'static str> {
    FINISH.into_iter().chain([update]).collect()
}

#[test]
fn a_command_that_succeeds_finishes_and_leaves_once_acknowledged() {
    let mut story = Story::running();
    let status = WaitStatus::exited(0);
    let expected = finishing("send TaskFinished Command exited with status 0");
    story.check(Event::TaskExited { status }, &expected);
    story.acknowledge_all(&["Exit { code: 0 }"]);
}

#[test]
fn a_command_that_fails_says_how() {
    let mut story = Story::running();
    let expected = finishing("send TaskFailed Command terminated with signal Segmentation fault");
    story.check(
        Event::TaskExited {
            status: WaitStatus::signaled(11),
        },
        &expected,
    );
}

#[test]
fn a_kill_escalates_after_its_grace_and_a_later_one_may_only_shorten_it() {
    let mut story = Story::running();
    story.kill(
        None,
        &[
            "cancel MaxCompletion",
            "SignalTask { signal: 15 }",
            "set KillGrace +3000000us",
        ],
    );
    story.kill(Some(10_000_000_000), &[]);
    story.kill(Some(1_000_000_000), &["set KillGrace +1000000us"]);
    story.at_us += SECOND;
    story.check(
        Event::TimerFired(Timer::KillGrace),
        &["SignalTask { signal: 9 }"],
    );
    let expected = finishing("send TaskKilled Command terminated with signal Killed");
    story.check(
        Event::TaskExited {
            status: WaitStatus::signaled(9),
        },
        &expected,
    );
}

#[test]
fn a_kill_that_overtakes_the_start_reaches_the_process_once_it_runs() {
    let mut story = Story::new(true);
    story.check(Event::Started, &STARTED);
    story.subscribed();
    story.launch(task(), &["send TaskStarting ", "start t1"]);
    story.kill(None, &["cancel MaxCompletion", "set KillGrace +3000000us"]);
    story.check(
        Event::TaskStarted,
        &["send TaskRunning ", "SignalTask { signal: 15 }"],
    );
}

#[test]
fn an_agent_that_goes_away_gets_everything_unacknowledged_again() {
    let mut story = Story::running();
    story.core.rng = meseta_model::rng::Rng::new(0);
    story.check(Event::Disconnected, &LOST);
    let exited = Event::TaskExited {
        status: WaitStatus::exited(0),
    };
    // The time to wait for its acknowledgement begins when there is somebody to give it.
    story.check(exited, &["cancel KillGrace", "cancel MaxCompletion"]);
    story.check(
        Event::TimerFired(Timer::Subscribe),
        &["subscribe tasks=1 updates=3"],
    );
    let expected = [
        "cancel Recovery",
        "cancel Subscribe",
        "set Linger +60000000us",
    ];
    story.check(Event::Received(Box::new(subscribed())), &expected);
    story.core.rng = meseta_model::rng::Rng::new(0);
    story.check(Event::Disconnected, &LOST);
}

#[test]
fn a_call_that_is_not_taken_is_said_again_with_or_without_checkpoint() {
    for checkpoint in [true, false] {
        let mut story = Story::new(checkpoint);
        story.check(Event::Started, &STARTED);
        story.subscribed();
        story.launch(task(), &["send TaskStarting ", "start t1"]);
        story.core.rng = meseta_model::rng::Rng::new(0);
        story.check(Event::Refused, &LOST);
        story.check(
            Event::TimerFired(Timer::Subscribe),
            &["subscribe tasks=1 updates=1"],
        );
    }
}

#[test]
fn an_agent_that_never_answers_is_not_waited_for_for_ever() {
    for checkpoint in [true, false] {
        let mut story = Story::new(checkpoint);
        story.check(Event::Started, &STARTED);
        story.core.rng = meseta_model::rng::Rng::new(0);
        story.check(Event::Disconnected, &["set Subscribe +8834us"]);
        story.check(Event::TimerFired(Timer::Recovery), &["Exit { code: 1 }"]);
    }
}

#[test]
fn what_happens_while_it_subscribes_is_said_once_it_is_subscribed() {
    let mut story = Story::running();
    story.core.rng = meseta_model::rng::Rng::new(0);
    story.check(Event::Disconnected, &LOST);
    story.check(
        Event::TimerFired(Timer::Subscribe),
        &["subscribe tasks=1 updates=2"],
    );
    let exited = Event::TaskExited {
        status: WaitStatus::exited(0),
    };
    story.check(exited, &["cancel KillGrace", "cancel MaxCompletion"]);
    let said = "send TaskFinished Command exited with status 0";
    let expected = [
        "cancel Recovery",
        "cancel Subscribe",
        "set Linger +60000000us",
        said,
    ];
    story.check(Event::Received(Box::new(subscribed())), &expected);
}

#[test]
fn without_checkpoint_nobody_waits_for_a_lost_agent() {
    let mut story = Story::new(false);
    story.check(Event::Started, &STARTED);
    story.subscribed();
    story.check(Event::Disconnected, &["Exit { code: 1 }"]);
}

#[test]
fn a_task_past_its_completion_time_fails_for_that_reason() {
    let mut story = Story::new(true);
    story.check(Event::Started, &STARTED);
    story.subscribed();
    let max_completion_time = Some(v1::DurationInfo {
        nanoseconds: 2_000_000_000,
    });
    let limited = v1::TaskInfo {
        max_completion_time,
        ..task()
    };
    let expected = [
        "send TaskStarting ",
        "set MaxCompletion +2000000us",
        "start t1",
    ];
    story.launch(limited, &expected);
    story.check(Event::TaskStarted, &["send TaskRunning "]);
    let expected = [
        "cancel MaxCompletion",
        "SignalTask { signal: 15 }",
        "set KillGrace +3000000us",
    ];
    story.check(Event::TimerFired(Timer::MaxCompletion), &expected);
    let expected = finishing("send TaskFailed Command terminated with signal Terminated");
    story.check(
        Event::TaskExited {
            status: WaitStatus::signaled(15),
        },
        &expected,
    );
    assert_eq!(
        story
            .core
            .unacknowledged
            .back()
            .map(|u| u.update.status.reason()),
        Some(v1::task_status::Reason::MaxCompletionTimeReached)
    );
}

#[test]
fn what_it_cannot_honour_fails_the_task_by_name() {
    let mut story = Story::new(true);
    story.check(Event::Started, &STARTED);
    story.subscribed();
    let checked = v1::TaskInfo {
        health_check: Some(v1::HealthCheck::default()),
        ..task()
    };
    let expected =
        finishing("send TaskFailed The command executor does not support 'health_check' yet");
    story.launch(checked, &expected);
}

#[test]
fn a_second_task_is_refused_and_the_first_goes_on() {
    let mut story = Story::running();
    let other = v1::TaskInfo {
        task_id: v1::TaskId { value: "t2".into() },
        ..task()
    };
    let expected = ["send TaskFailed The command executor runs one task in its life"];
    story.launch(other, &expected);
    assert_eq!(story.core.phase, super::Phase::Running);
}

#[test]
fn shutdown_without_a_task_ends_at_once_and_lingering_is_bounded() {
    let mut story = Story::new(true);
    story.check(Event::Started, &STARTED);
    story.subscribed();
    let event = executor::Event {
        r#type: Some(executor::event::Type::Shutdown as i32),
        ..Default::default()
    };
    story.check(Event::Received(Box::new(event)), &["Exit { code: 0 }"]);

    let mut story = Story::running();
    story.check(
        Event::TaskExited {
            status: WaitStatus::exited(0),
        },
        &finishing("send TaskFinished Command exited with status 0"),
    );
    story.at_us += LINGER_US;
    story.check(Event::TimerFired(Timer::Linger), &["Exit { code: 1 }"]);
    assert_eq!(
        story
            .core
            .unacknowledged
            .back()
            .map(|u| u.update.status.state()),
        Some(TaskState::TaskFinished)
    );
}

fn subscribed() -> executor::Event {
    executor::Event {
        r#type: Some(executor::event::Type::Subscribed as i32),
        subscribed: Some(executor::event::Subscribed::default()),
        ..Default::default()
    }
}
