//! Every limit is reached, and what is written beside it happens.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use meseta_agent::event::{Effect, Event, MetaEntry, Timer};
use meseta_agent::limits;
use meseta_agent::view::Delta;
use meseta_model::edge::{Outcome, RefusalKind};
use meseta_model::limits::STATUSES_PER_TASK;
use meseta_model::step::Effect as Wish;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal;
use meseta_proto::mesos::v1;
use support::script::Script;

type Wishes = Vec<Wish<Timer, Effect>>;

fn run(script: &mut Script, line: &str) -> Wishes {
    script.run_watched(line, &mut |_, _| {})
}

fn started() -> Script {
    let mut script = Script::default();
    for line in ["start", "detect", "advance 2secs", "registered"] {
        run(&mut script, line);
    }
    script
}

/// A registered agent with a running executor `e1` of framework `f1`.
fn with_executor() -> Script {
    let mut script = started();
    script.run("framework f1");
    for line in [
        "run-task f1 t1 executor=e1",
        "container launched c1",
        "subscribe f1 e1",
    ] {
        script.run(line);
    }
    script
}

fn effects(wishes: &Wishes) -> impl Iterator<Item = &Effect> {
    wishes.iter().filter_map(|wish| match wish {
        Wish::Do { effect, .. } => Some(effect),
        _ => None,
    })
}

/// How long from now each such timer was set to.
fn waits(script: &Script, wishes: &Wishes, of: impl Fn(&Timer) -> bool) -> Vec<Duration> {
    let now = script.world.now_us;
    let timers = wishes.iter().filter_map(|wish| match wish {
        Wish::SetTimer { key, at_us } if of(key) => Some(*at_us),
        _ => None,
    });
    timers.map(|at| Duration::from_micros(at - now)).collect()
}

fn fire(script: &mut Script, timer: Timer) -> Wishes {
    let at = script.world.timers.remove(&timer).unwrap();
    script.world.now_us = at;
    script.world.step(Event::TimerFired(timer))
}

fn refusal(wishes: &Wishes) -> Option<RefusalKind> {
    effects(wishes).find_map(|effect| match effect {
        Effect::Reply {
            outcome: Outcome::Refused(refusal),
            ..
        } => Some(refusal.kind),
        _ => None,
    })
}

#[test]
fn registration_attempts_are_at_most_a_minute_apart() {
    let mut script = Script::default();
    run(&mut script, "start");
    run(&mut script, "detect");
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let wishes = fire(&mut script, Timer::Register);
        let wait = waits(&script, &wishes, |timer| *timer == Timer::Register)[0];
        assert!(wait <= limits::REGISTER_RETRY_MAX);
        longest = longest.max(wait);
    }
    assert!(longest > limits::REGISTER_RETRY_MAX / 2, "{longest:?}");
}

#[test]
fn a_broken_link_is_mended_within_a_second() {
    let mut script = started();
    let wishes = run(&mut script, "broken");
    let first = waits(&script, &wishes, |timer| *timer == Timer::Register)[0];
    assert!(first <= limits::RECONNECT_FIRST);
    for _ in 0..200 {
        fire(&mut script, Timer::Register);
        let wishes = run(&mut script, "broken");
        let wait = waits(&script, &wishes, |timer| *timer == Timer::Register)[0];
        assert!(wait <= limits::RECONNECT_RETRY_MAX);
    }
}

#[test]
fn a_master_cannot_announce_any_ping_timeout() {
    let announced = [
        (1e9, limits::PING_TIMEOUT_MAX),
        (1e300, limits::PING_TIMEOUT_DEFAULT),
        (f64::INFINITY, limits::PING_TIMEOUT_DEFAULT),
        (f64::NAN, limits::PING_TIMEOUT_DEFAULT),
        (-3.0, limits::PING_TIMEOUT_DEFAULT),
        (0.5, limits::PING_TIMEOUT_DEFAULT),
        (10.9, Duration::from_secs(10)),
    ];
    for (seconds, expected) in announced {
        let mut script = started();
        let message = internal::SlaveRegisteredMessage {
            slave_id: v1::AgentId {
                value: support::script::AGENT_ID.to_owned(),
            },
            connection: Some(internal::MasterSlaveConnection {
                total_ping_timeout_seconds: Some(seconds),
            }),
        };
        let wishes = script.world.step(Event::MessageReceived {
            from: "master@127.0.0.1:5050".parse().unwrap(),
            to: "slave(1)".to_owned(),
            epoch: None,
            message: message.into(),
        });
        let wait = waits(&script, &wishes, |timer| *timer == Timer::PingTimeout);
        assert_eq!(wait, [expected], "{seconds}");
    }
}

#[test]
fn updates_are_sent_again_at_most_ten_minutes_apart() {
    let mut script = with_executor();
    run(&mut script, "update f1 e1 t1 TASK_RUNNING 1");
    let timer = Timer::UpdateRetry("f1".into(), "t1".into());
    let mut all = Vec::new();
    for _ in 0..9 {
        let wishes = fire(&mut script, timer.clone());
        all.extend(waits(&script, &wishes, |key| *key == timer));
        run(&mut script, "ping from=slave-observer(1)@127.0.0.1:5050");
    }
    let seconds: Vec<u64> = all.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [20, 40, 80, 160, 320, 600, 600, 600, 600]);
}

#[test]
fn writes_that_fail_are_bounded_and_then_the_agent_exits() {
    let mut script = started();
    for line in [
        "framework f1 checkpoint",
        "run-task f1 t1 executor=e1",
        "container launched c1",
        "subscribe f1 e1",
        "disk fails",
    ] {
        script.run(line);
    }
    let mut wishes = run(&mut script, "update f1 e1 t1 TASK_RUNNING 1");
    let mut writes = 0;
    loop {
        let is_write = |wish: &&Wish<_, _>| matches!(wish, Wish::Persist { .. });
        writes += wishes.iter().filter(is_write).count();
        let exits = |effect: &Effect| match effect {
            Effect::Exit { reason } => Some(reason.clone()),
            _ => None,
        };
        if let Some(reason) = effects(&wishes).find_map(exits) {
            assert_eq!(
                reason,
                "the status updates of task t1 of framework f1 could not be written 10 times in a \
                 row, at last: No space left on device. See to the disk of '/w/meta' and start the \
                 agent again; executors keep what it has not acknowledged"
            );
            break;
        }
        assert!(script.world.now_us < 600_000_000, "it goes on for ever");
        wishes = run(&mut script, "advance 100ms");
    }
    assert_eq!(writes, limits::UPDATE_WRITES_FAILED as usize);
}

#[test]
fn unacknowledged_updates_are_bounded_but_for_the_last() {
    let mut script = with_executor();
    for n in 0..limits::UNACKNOWLEDGED_UPDATES_PER_TASK {
        let wishes = run(&mut script, &format!("update f1 e1 t1 TASK_RUNNING {n}"));
        assert_eq!(refusal(&wishes), None);
    }
    let wishes = run(&mut script, "update f1 e1 t1 TASK_RUNNING 5000");
    assert_eq!(refusal(&wishes), Some(RefusalKind::TooMany));
    let wishes = run(&mut script, "update f1 e1 t1 TASK_RUNNING 3");
    assert_eq!(refusal(&wishes), None, "a repetition takes no room");
    let wishes = run(&mut script, "update f1 e1 t1 TASK_FINISHED 5001");
    assert_eq!(refusal(&wishes), None, "the end of a task is always taken");
}

/// As [`with_executor`], of a framework that checkpoints.
fn with_checkpoints() -> Script {
    let mut script = started();
    for line in [
        "framework f1 checkpoint",
        "run-task f1 t1 executor=e1",
        "container launched c1",
        "subscribe f1 e1",
    ] {
        script.run(line);
    }
    script
}

#[test]
fn an_update_that_is_too_large_is_refused() {
    let mut script = with_checkpoints();
    let most = limits::UPDATE_BYTES - 200;
    let line = |n, data| format!("update f1 e1 t1 TASK_RUNNING {n} data={data}");
    let text = script.run(&line(1, limits::UPDATE_BYTES)).join("\n");
    assert!(text.contains("counter: InvalidStatusUpdates"), "{text}");
    let expected = "Failed to validate Executor::Call: The update takes 4194411 bytes, more than the \
                    4194304 that an agent keeps of one";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("Persist"), "{text}");
    let wishes = run(&mut script, &line(2, most));
    assert_eq!(refusal(&wishes), None);
    let all = limits::UNACKNOWLEDGED_BYTES_PER_TASK / most;
    for n in 1..all {
        assert_eq!(refusal(&run(&mut script, &line(2 + n, most))), None);
    }
    let wishes = run(&mut script, &line(90, most));
    assert_eq!(refusal(&wishes), Some(RefusalKind::TooMany));
    let wishes = run(&mut script, &line(2, most));
    assert_eq!(refusal(&wishes), None, "a repetition takes no room");
    let wishes = run(
        &mut script,
        &format!("update f1 e1 t1 TASK_FINISHED 91 data={most}"),
    );
    assert_eq!(refusal(&wishes), None, "the end of a task is always taken");
}

#[test]
fn what_a_framework_has_unacknowledged_is_bounded() {
    let mut script = with_executor();
    let data = limits::UPDATE_BYTES - 200;
    let per_task = limits::UNACKNOWLEDGED_BYTES_PER_TASK / data;
    let all = limits::UNACKNOWLEDGED_BYTES_PER_FRAMEWORK / data;
    let line = |n: usize| {
        let task = n / per_task + 1;
        format!("update f1 e1 t{task} TASK_RUNNING {n} data={data}")
    };
    for n in 2..=all / per_task + 2 {
        run(&mut script, &format!("run-task f1 t{n} executor=e1"));
    }
    for n in 0..all {
        assert_eq!(refusal(&run(&mut script, &line(n))), None, "{n}");
    }
    let too_many = Some(RefusalKind::TooMany);
    assert_eq!(refusal(&run(&mut script, &line(all))), too_many);
    assert_eq!(refusal(&run(&mut script, &line(0))), None, "a repetition");
    run(&mut script, "ack f1 t1 0");
    assert_eq!(
        refusal(&run(&mut script, &line(all))),
        None,
        "there is room"
    );
    assert_eq!(refusal(&run(&mut script, &line(all + 1))), too_many);
    let wishes = run(&mut script, "update f1 e1 t2 TASK_FINISHED 91");
    assert_eq!(refusal(&wishes), None, "the end of a task is always taken");
    script.run("framework f2");
    script.run("run-task f2 u1 executor=e2");
    script.run("container launched c2");
    run(&mut script, "subscribe f2 e2 stream=s2");
    let wishes = run(&mut script, "update f2 e2 u1 TASK_RUNNING 92 data=9999");
    assert_eq!(refusal(&wishes), None, "others have their own room");
}

fn update_sent(effect: &Effect) -> Option<internal::StatusUpdate> {
    match effect {
        Effect::Send { message, .. } => match message.as_ref() {
            Message::StatusUpdate(message) => Some(message.update.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn file_bytes(script: &Script, ending: &str) -> usize {
    let mut files = script.world.meta.values();
    let found = files.find_map(|entry| match entry {
        MetaEntry::File { path, bytes } if path.ends_with(ending) => Some(bytes.len()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn a_file_of_updates_stays_short_and_holds_what_a_restart_needs() {
    let mut script = with_checkpoints();
    let mut written = 0;
    for n in 0..1_500 {
        let wishes = script.run(&format!("update f1 e1 t1 TASK_RUNNING {n} data=500"));
        written += wishes.iter().filter(|wish| wish.contains("put ")).count();
        if n < 1_490 {
            script.run("ack f1 t1");
        }
        let bytes = file_bytes(&script, "task.updates");
        assert!(bytes <= limits::UPDATES_FILE_BYTES, "{bytes} bytes");
    }
    assert!(written > 1 && written < 10, "written anew {written} times");
    run(&mut script, "restart");
    run(&mut script, "detect");
    let text = script.run("subscribe f1 e1 stream=s2 updates=t1:TASK_RUNNING:0");
    let text = text.join("\n");
    assert!(text.contains("type: Acknowledged"), "{text}");
    assert!(!text.contains("task.updates"), "it is known: {text}");
    run(&mut script, "advance 3secs");
    let mut sent = Vec::new();
    let mut wishes = run(&mut script, "reregistered");
    loop {
        let Some(update) = effects(&wishes).find_map(update_sent) else {
            break;
        };
        sent.extend(update.uuid.clone());
        let event = script.acknowledgement(&update);
        wishes = script.world.step(event);
    }
    let left = (1_490..1_500).map(support::script::events::uuid);
    assert_eq!(sent, left.collect::<Vec<_>>());
}

#[test]
fn statuses_shown_per_task_are_bounded() {
    let mut script = with_executor();
    let mut shown = 0;
    for n in 0..=STATUSES_PER_TASK {
        let state = if n % 2 == 0 {
            "TASK_RUNNING"
        } else {
            "TASK_STARTING"
        };
        for effect in effects(&run(&mut script, &format!("update f1 e1 t1 {state} {n}"))) {
            if let Effect::Changed(Delta::Task { task, .. }) = effect {
                shown = task.statuses.len();
            }
        }
    }
    assert_eq!(shown, STATUSES_PER_TASK);
}

#[test]
fn updates_of_tasks_that_never_were_here_are_bounded() {
    let mut script = with_executor();
    for n in 0..limits::STRAY_STREAMS_PER_FRAMEWORK {
        let wishes = run(&mut script, &format!("update f1 e1 x{n} TASK_RUNNING {n}"));
        assert_eq!(refusal(&wishes), None);
    }
    let wishes = run(&mut script, "update f1 e1 y TASK_RUNNING 5000");
    assert_eq!(refusal(&wishes), Some(RefusalKind::TooMany));
    let wishes = run(&mut script, "reconcile f1 z");
    let sent = effects(&wishes).any(|effect| matches!(effect, Effect::Send { .. }));
    assert!(!sent, "the master asks again later");
    let wishes = run(&mut script, "update f1 e1 t1 TASK_RUNNING 5001");
    assert_eq!(
        refusal(&wishes),
        None,
        "a task that is here has its own room"
    );
}

#[test]
fn tasks_that_wait_for_an_executor_are_bounded() {
    let mut script = started();
    script.run("framework f1");
    for n in 0..limits::QUEUED_TASKS_PER_EXECUTOR {
        run(&mut script, &format!("run-task f1 t{n} executor=e1"));
    }
    let text = script.run("run-task f1 more executor=e1").join("\n");
    let expected = "Too many tasks are waiting for the executor to subscribe";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("state: TaskLost"), "{text}");
}

#[test]
fn finished_tasks_of_an_executor_are_bounded() {
    let mut script = with_executor();
    let mut forgotten = Vec::new();
    for n in 0..=limits::COMPLETED_TASKS_PER_EXECUTOR {
        for line in [
            format!("run-task f1 x{n} executor=e1"),
            format!("update f1 e1 x{n} TASK_FINISHED {n}"),
            format!("ack f1 x{n} {n}"),
        ] {
            for effect in effects(&run(&mut script, &line)) {
                if let Effect::Changed(Delta::TaskForgotten { task, .. }) = effect {
                    forgotten.push(task.to_string());
                }
            }
        }
    }
    assert_eq!(forgotten, ["x0"]);
}

#[test]
fn completed_frameworks_are_bounded() {
    let mut script = started();
    let mut forgotten = Vec::new();
    for n in 0..=limits::COMPLETED_FRAMEWORKS {
        script.run(&format!("framework f{n}"));
        script.run(&format!("run-task f{n} t"));
        script.run(&format!("shutdown-framework f{n}"));
        let wishes = run(&mut script, &format!("container failed c{}", n + 1));
        for effect in effects(&wishes) {
            if let Effect::Changed(Delta::FrameworkForgotten(id)) = effect {
                forgotten.push(id.to_string());
            }
        }
    }
    assert_eq!(forgotten, ["f0"]);
}

#[test]
fn executors_that_end_before_the_master_answers_are_bounded() {
    let mut script = started();
    script.run("framework f1");
    let executors = 0..=limits::EXITS_OWED;
    for n in executors.clone() {
        script.run(&format!("run-task f1 t{n} executor=e{n}"));
        for line in [
            format!("container launched c{}", n + 1),
            format!("subscribe f1 e{n}"),
            format!("update f1 e{n} t{n} TASK_FINISHED {n}"),
            format!("ack f1 t{n} {n}"),
        ] {
            run(&mut script, &line);
        }
    }
    run(&mut script, "broken");
    run(&mut script, "advance 300ms");
    for n in executors {
        let line = format!("container terminated c{} status=0", n + 1);
        run(&mut script, &line);
    }
    let mut told = Vec::new();
    for effect in effects(&run(&mut script, "reregistered")) {
        if let Effect::Send { message, .. } = effect
            && let Message::ExitedExecutor(message) = message.as_ref()
        {
            told.push(message.executor_id.value.clone());
        }
    }
    let newest = (1..=limits::EXITS_OWED).map(|n| format!("e{n}"));
    assert_eq!(told, newest.collect::<Vec<_>>());
}

#[test]
fn a_full_disk_is_relieved_by_and_by() {
    let mut script = started();
    script.run("framework f1");
    script.run("run-task f1 stays executor=e");
    let runs = limits::GARBAGE_PER_SLICE;
    for n in 0..runs {
        script.run(&format!("run-task f1 t{n}"));
        script.run(&format!("container failed c{}", n + 2));
        script.run(&format!("ack f1 t{n}"));
        script.world.now_us += 1;
    }
    let paths = script.world.agent.paths_to_remove();
    assert_eq!(paths, 4 * runs, "each run and its executor");
    let is_removal = |effect: &&Effect| matches!(effect, Effect::RemoveDirectory { .. });
    for slice in 1..=2 {
        let wishes = run(&mut script, "disk-used 0.95");
        let removed = effects(&wishes).filter(is_removal).count();
        assert_eq!(removed, 2 * limits::GARBAGE_PER_SLICE);
        let waits = waits(&script, &wishes, |timer| *timer == Timer::Gc);
        assert_eq!(waits, [limits::GARBAGE_PAUSE], "slice {slice}");
        let wishes = fire(&mut script, Timer::Gc);
        let measured = effects(&wishes).any(|effect| *effect == Effect::MeasureDisk);
        assert!(measured, "slice {slice}");
    }
    let wishes = run(&mut script, "disk-used 0.95");
    assert_eq!(effects(&wishes).filter(is_removal).count(), 0);
    assert_eq!(waits(&script, &wishes, |_| true), []);
}
