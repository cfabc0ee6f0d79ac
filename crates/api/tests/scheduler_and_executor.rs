//! The scheduler and executor endpoints of a live server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_agent::event as agent_event;
use meseta_api::{Leadership, limits};
use meseta_master::event::Event;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, StreamId};
use meseta_proto::mesos::v1::{executor, scheduler};
use support::{agent, assert_golden, master, master_with, post, soon};

const SCHEDULER: &str = "/api/v1/scheduler";
const EXECUTOR: &str = "/api/v1/executor";
const JSON: &str = "Content-Type: application/json\r\n";
const SUBSCRIBE: &str =
    r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}"#;
const TEARDOWN: &str = r#"{"type":"TEARDOWN","framework_id":{"value":"f"}}"#;

#[tokio::test]
async fn refusals_are_worded_as_mesos_words_them() {
    let master = master().await;
    assert_golden("sched-get", &master.get(SCHEDULER).await);
    assert_golden("notfound", &master.get("/nosuch").await);
    assert_golden("master-notfound", &master.get("/master/nosuch").await);
    let with_stream = format!("{JSON}Mesos-Stream-Id: x\r\n");
    let not_acceptable = format!("{JSON}Accept: text/html\r\n");
    for (name, headers, body) in [
        ("sched-no-content-type", "", "{}"),
        (
            "sched-bad-content-type",
            "Content-Type: text/plain\r\n",
            "{}",
        ),
        ("sched-bad-json", JSON, "{"),
        ("sched-empty-json", JSON, "{}"),
        (
            "sched-bad-pb",
            "Content-Type: application/x-protobuf\r\n",
            "",
        ),
        ("sched-no-framework-id", JSON, r#"{"type":"TEARDOWN"}"#),
        ("sched-no-subscribe-body", JSON, r#"{"type":"SUBSCRIBE"}"#),
        ("sched-not-acceptable", &not_acceptable, SUBSCRIBE),
        ("sched-subscribe-with-stream-id", &with_stream, SUBSCRIBE),
    ] {
        assert_golden(name, &master.post(SCHEDULER, headers, body).await);
    }
    let agent = agent().await;
    assert_golden("exec-get", &agent.get(EXECUTOR).await);
    let answer = agent.post(EXECUTOR, JSON, r#"{"type":"SUBSCRIBE"}"#).await;
    assert_golden("exec-no-sub", &answer);
}

#[tokio::test]
async fn a_master_that_does_not_lead_sends_clients_on() {
    let master = master().await;
    master
        .api
        .set_leadership(Leadership::LedBy("other:5050".to_owned()));
    let answer = master
        .post("/master/api/v1/scheduler?x=1", JSON, SUBSCRIBE)
        .await;
    assert_eq!(answer.code(), 307);
    assert_eq!(
        answer.headers["location"],
        "//other:5050/master/api/v1/scheduler?x=1"
    );
    assert_eq!(
        master.get("/redirect").await.headers["location"],
        "//other:5050"
    );
    assert_eq!(master.get("/redirect/x").await.code(), 404);
    master.api.set_leadership(Leadership::NotLeading);
    let answer = master.post(SCHEDULER, JSON, SUBSCRIBE).await;
    assert_eq!(
        (answer.code(), answer.text().as_str()),
        (503, "No leader elected")
    );
    master.api.set_leadership(Leadership::Recovering);
    let answer = master.get(SCHEDULER).await;
    assert_eq!(
        (answer.code(), answer.text().as_str()),
        (503, "Master has not finished recovery")
    );
    master.api.set_leadership(Leadership::Leading);
    let answer = master.get("/redirect").await;
    assert_eq!(
        answer.headers["location"],
        format!("//localhost:{}", master.address().port())
    );
}

fn heartbeat() -> scheduler::Event {
    scheduler::Event {
        r#type: Some(scheduler::event::Type::Heartbeat.into()),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_subscription_is_a_stream_of_one_record_a_chunk() {
    let mut master = master().await;
    let mut client = master.connect().await;
    client
        .write(post(
            SCHEDULER,
            &format!("{JSON}Connection: close\r\n"),
            SUBSCRIBE,
        ))
        .await;
    let Event::SchedulerSubscribed { stream, call, .. } = master.event().await else {
        panic!("not a subscription");
    };
    assert_eq!(call.subscribe.unwrap().framework_info.name, "n");
    let head = client.head().await;
    assert_eq!(head.code(), 200);
    assert_eq!(head.headers["content-type"], "application/json");
    assert_eq!(head.headers["transfer-encoding"], "chunked");
    assert_eq!(head.headers["mesos-stream-id"], stream.to_string());
    for _ in 0..3 {
        master.api.send_event(&stream, &heartbeat());
    }
    for _ in 0..3 {
        assert_eq!(
            client.chunk().await.unwrap(),
            b"20\n{\"type\":\"HEARTBEAT\"}"
        );
    }
    master.api.send_event(&stream, &heartbeat());
    master.api.close_stream(&stream);
    assert!(client.chunk().await.is_some());
    assert_eq!(client.chunk().await, None);
    // The core ended it itself: it is not told again.
    master.post(SCHEDULER, JSON, SUBSCRIBE).await;
    assert!(matches!(
        master.event().await,
        Event::SchedulerSubscribed { .. }
    ));
}

#[tokio::test]
async fn a_scheduler_that_goes_away_is_noticed() {
    let mut master = master().await;
    let mut client = master.connect().await;
    let headers = "Content-Type: application/json\r\nAccept: application/x-protobuf\r\n";
    client.write(post(SCHEDULER, headers, SUBSCRIBE)).await;
    let Event::SchedulerSubscribed { stream, .. } = master.event().await else {
        panic!("not a subscription");
    };
    assert_eq!(
        client.head().await.headers["content-type"],
        "application/x-protobuf"
    );
    drop(client);
    assert_eq!(master.event().await, Event::StreamClosed { stream });
}

#[tokio::test]
async fn a_scheduler_that_does_not_read_is_cut_off() {
    let mut master = master().await;
    let mut client = master.connect().await;
    client.write(post(SCHEDULER, JSON, SUBSCRIBE)).await;
    let Event::SchedulerSubscribed { stream, .. } = master.event().await else {
        panic!("not a subscription");
    };
    let big = scheduler::Event {
        error: Some(scheduler::event::Error {
            message: "x".repeat(1 << 20),
        }),
        ..heartbeat()
    };
    // What the kernel buffers comes on top of the limit.
    let closed = loop {
        for _ in 0..=limits::STREAM_BYTES >> 20 {
            master.api.send_event(&stream, &big);
        }
        tokio::task::yield_now().await;
        if let Ok(event) = master.events.try_recv() {
            break event;
        }
    };
    assert_eq!(closed, Event::StreamClosed { stream });
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_slow_reader_gets_every_record() {
    let mut master = master().await;
    let mut client = master.connect().await;
    client.write(post(SCHEDULER, JSON, SUBSCRIBE)).await;
    let Event::SchedulerSubscribed { stream, .. } = master.event().await else {
        panic!("not a subscription");
    };
    client.head().await;
    for number in 0..20 {
        let event = scheduler::Event {
            error: Some(scheduler::event::Error {
                message: format!("{}{number:010}", "x".repeat(1 << 20)),
            }),
            ..heartbeat()
        };
        master.api.send_event(&stream, &event);
    }
    for number in 0..20 {
        let chunk = String::from_utf8(client.chunk().await.unwrap()).unwrap();
        assert!(chunk.ends_with(&format!("{number:010}\"}}}}")), "{number}");
    }
}

#[tokio::test]
async fn a_call_waits_for_the_core_and_gets_its_outcome() {
    let mut master = master().await;
    for (outcome, code, text) in [
        (Outcome::Accepted, 202, ""),
        (Outcome::Done, 200, ""),
        (
            Outcome::Refused(Refusal::invalid("Framework cannot be found")),
            400,
            "Framework cannot be found",
        ),
    ] {
        let mut client = master.connect().await;
        client
            .write(post(
                SCHEDULER,
                &format!("{JSON}Mesos-Stream-Id: s\r\n"),
                TEARDOWN,
            ))
            .await;
        let Event::SchedulerCalled {
            request, stream_id, ..
        } = master.event().await
        else {
            panic!("not a call");
        };
        assert_eq!(stream_id.as_deref(), Some("s"));
        master.api.reply(request, outcome);
        let answer = client.answer().await;
        assert_eq!((answer.code(), answer.text().as_str()), (code, text));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let mut master = master_with(1).await;
    let mut waits = master.connect().await;
    waits.write(post(SCHEDULER, JSON, TEARDOWN)).await;
    soon(async {
        while master.events.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = master.post(SCHEDULER, JSON, TEARDOWN).await;
    assert_eq!(refused.code(), 503);
    assert_eq!(refused.text(), "Too many requests are waiting; try again");
    assert!(matches!(
        master.event().await,
        Event::SchedulerCalled { .. }
    ));
}

#[tokio::test]
async fn unknown_types_and_uuids_are_refused() {
    let master = master().await;
    let answer = master
        .post(
            SCHEDULER,
            JSON,
            r#"{"type":"UNKNOWN","framework_id":{"value":"f"}}"#,
        )
        .await;
    assert_eq!(answer.code(), 501);
    let answer = master
        .post(SCHEDULER, JSON, r#"{"type":"NEVER_HEARD"}"#)
        .await;
    assert_golden("sched-empty-json", &answer);
    let body = r#"{"type":"ACKNOWLEDGE","framework_id":{"value":"f"},
        "acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"AAAA"}}"#;
    let answer = master.post(SCHEDULER, JSON, body).await;
    assert_eq!(answer.code(), 400);
    assert_eq!(
        answer.text(),
        "Failed to validate scheduler::Call: Not a valid UUID"
    );
}

const EXECUTOR_IDS: &str = r#""executor_id":{"value":"e"},"framework_id":{"value":"f"}"#;

#[tokio::test]
async fn an_executor_subscribes_and_reports() {
    let mut agent = agent().await;
    let mut client = agent.connect().await;
    let body = format!(r#"{{"type":"SUBSCRIBE",{EXECUTOR_IDS},"subscribe":{{}}}}"#);
    client
        .write(post("/slave(1)/api/v1/executor", JSON, &body))
        .await;
    let agent_event::Event::ExecutorSubscribed { stream, .. } = agent.event().await else {
        panic!("not a subscription");
    };
    let event = executor::Event {
        r#type: Some(executor::event::Type::Shutdown.into()),
        ..Default::default()
    };
    agent.api.send_event(&stream, &event);
    assert_eq!(client.head().await.code(), 200);
    assert_eq!(
        client.chunk().await.unwrap(),
        b"19\n{\"type\":\"SHUTDOWN\"}"
    );
    let heartbeat = format!(r#"{{"type":"HEARTBEAT",{EXECUTOR_IDS}}}"#);
    assert_eq!(agent.post(EXECUTOR, JSON, &heartbeat).await.code(), 202);
    drop(client);
    assert_eq!(
        agent.event().await,
        agent_event::Event::StreamClosed { stream }
    );
}

#[tokio::test]
async fn a_subscription_that_the_core_refuses_gets_a_status() {
    let mut agent = agent().await;
    let mut client = agent.connect().await;
    let body = format!(r#"{{"type":"SUBSCRIBE",{EXECUTOR_IDS},"subscribe":{{}}}}"#);
    let invalid = |text| Refusal::new(RefusalKind::Invalid, text);
    let unavailable = |text| Refusal::new(RefusalKind::Unavailable, text);
    for (refusal, code) in [
        (invalid("Framework cannot be found"), 400),
        (invalid("Executor cannot be found"), 400),
        (unavailable("Agent has not finished recovery"), 503),
    ] {
        client.write(post(EXECUTOR, JSON, &body)).await;
        let agent_event::Event::ExecutorSubscribed { stream, .. } = agent.event().await else {
            panic!("not a subscription");
        };
        agent.api.refuse_stream(&stream, refusal.clone());
        let answer = client.answer().await;
        assert_eq!((answer.code(), answer.text()), (code, refusal.text));
    }
    // The connection lives on, and of the streams nothing more is said.
    client.write(post(EXECUTOR, JSON, &body)).await;
    let agent_event::Event::ExecutorSubscribed { stream, .. } = agent.event().await else {
        panic!("not a subscription");
    };
    agent.api.close_stream(&stream);
    assert_eq!(client.head().await.code(), 200);
    assert_eq!(client.chunk().await, None);
}

#[tokio::test]
async fn an_executor_that_does_not_wait_for_its_stream_is_told_of() {
    let mut agent = agent().await;
    let mut client = agent.connect().await;
    let body = format!(r#"{{"type":"SUBSCRIBE",{EXECUTOR_IDS},"subscribe":{{}}}}"#);
    client.write(post(EXECUTOR, JSON, &body)).await;
    let agent_event::Event::ExecutorSubscribed { stream, .. } = agent.event().await else {
        panic!("not a subscription");
    };
    drop(client);
    assert_eq!(
        agent.event().await,
        agent_event::Event::StreamClosed { stream }
    );
}

#[tokio::test]
async fn an_update_must_be_complete() {
    let agent = agent().await;
    let update = |status: &str| {
        format!(
            r#"{{"type":"UPDATE",{EXECUTOR_IDS},"update":{{"status":{{"task_id":{{"value":"t"}},{status}}}}}}}"#
        )
    };
    const UUID: &str = r#""uuid":"AAAAAAAAAAAAAAAAAAAAAA==""#;
    for (status, why) in [
        (
            r#""state":"TASK_RUNNING""#.to_owned(),
            "Expecting 'uuid' to be present",
        ),
        (
            format!(r#""state":"TASK_RUNNING",{UUID}"#),
            "Received Call from executor e of framework f with invalid source, expecting 'SOURCE_EXECUTOR'",
        ),
        (
            format!(r#""state":"TASK_STAGING","source":"SOURCE_EXECUTOR",{UUID}"#),
            "Received TASK_STAGING from executor e of framework f which is not allowed",
        ),
        (
            format!(r#""state":"TASK_RUNNING","executor_id":{{"value":"x"}},{UUID}"#),
            "ExecutorID in Call: e does not match ExecutorID in TaskStatus: x",
        ),
    ] {
        let answer = agent.post(EXECUTOR, JSON, &update(&status)).await;
        assert_eq!(
            answer.text(),
            format!("Failed to validate Executor::Call: {why}")
        );
        assert_eq!(answer.code(), 400);
    }
}

#[tokio::test]
async fn events_to_unknown_streams_are_dropped() {
    let master = master().await;
    master
        .api
        .send_event(&StreamId::new("nobody"), &heartbeat());
    master.api.close_stream(&StreamId::new("nobody"));
    assert_eq!(soon(master.get("/health")).await.code(), 200);
}

#[tokio::test]
async fn calls_of_one_connection_are_under_way_together_and_answered_in_order() {
    let mut master = master().await;
    let mut client = master.connect().await;
    let call = |number: usize| TEARDOWN.replace(r#""f""#, &format!("\"{number}\""));
    let mut all = String::new();
    for number in 0..100 {
        all += &post(SCHEDULER, JSON, &call(number));
    }
    // One that is refused at once, one that takes the long way, one more behind it.
    all += &post(SCHEDULER, JSON, "{}");
    all += "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    all += &post(SCHEDULER, JSON, &call(100));
    client.write(&all).await;
    let mut requests = Vec::new();
    for number in 0..100 {
        let Event::SchedulerCalled { request, call, .. } = master.event().await else {
            panic!("not a call");
        };
        assert_eq!(call.framework_id.unwrap().value, number.to_string());
        requests.push(request);
    }
    // Answered in whatever order, read in theirs.
    for (number, request) in requests.iter().enumerate().rev() {
        let refusal = Refusal::invalid(number.to_string());
        master.api.reply(*request, Outcome::Refused(refusal));
    }
    for number in 0..100 {
        let answer = client.answer().await;
        assert_eq!((answer.code(), answer.text()), (400, number.to_string()));
        assert!(answer.headers.contains_key("date"), "{answer:?}");
    }
    assert_golden("sched-empty-json", &client.answer().await);
    assert_eq!(client.answer().await.code(), 200);
    let Event::SchedulerCalled { request, .. } = master.event().await else {
        panic!("not a call");
    };
    master.api.reply(request, Outcome::Accepted);
    let answer = client.answer().await;
    assert_eq!((answer.code(), answer.body.len()), (202, 0));
}

#[tokio::test]
async fn a_subscription_behind_calls_opens_its_stream() {
    let mut master = master().await;
    let mut client = master.connect().await;
    client
        .write(post(SCHEDULER, JSON, TEARDOWN) + &post(SCHEDULER, JSON, SUBSCRIBE))
        .await;
    let Event::SchedulerCalled { request, .. } = master.event().await else {
        panic!("not a call");
    };
    master.api.reply(request, Outcome::Accepted);
    assert_eq!(client.answer().await.code(), 202);
    let Event::SchedulerSubscribed { stream, .. } = master.event().await else {
        panic!("not a subscription");
    };
    assert_eq!(
        client.head().await.headers["mesos-stream-id"],
        stream.to_string()
    );
    master.api.send_event(&stream, &heartbeat());
    assert_eq!(
        client.chunk().await.unwrap(),
        b"20\n{\"type\":\"HEARTBEAT\"}"
    );
}

#[tokio::test]
async fn one_connection_has_a_bounded_number_of_calls_under_way() {
    let mut master = master_with(2 * limits::PIPELINED_CALLS).await;
    let mut client = master.connect().await;
    let all = post(SCHEDULER, JSON, TEARDOWN).repeat(limits::PIPELINED_CALLS + 10);
    client.write(all).await;
    let mut requests = Vec::new();
    while requests.len() < limits::PIPELINED_CALLS {
        let Event::SchedulerCalled { request, .. } = master.event().await else {
            panic!("not a call");
        };
        requests.push(request);
    }
    assert!(master.events.try_recv().is_err());
    for request in requests {
        master.api.reply(request, Outcome::Accepted);
    }
    for _ in 0..10 {
        assert!(matches!(
            master.event().await,
            Event::SchedulerCalled { .. }
        ));
    }
}
