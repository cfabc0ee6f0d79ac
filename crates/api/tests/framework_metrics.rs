//! What single frameworks called and were sent, over HTTP and as v0 drivers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_master::event::Event;
use meseta_master::view::{Delta, FrameworkCounter, FrameworkState, FrameworkView, TaskList};
use meseta_model::edge::Outcome;
use meseta_model::ids::{FrameworkId, TaskId};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler::{self, event};
use meseta_proto::mesos::{internal, v1};
use support::{MasterServed, framework_view, master, master_of, post};

const SCHEDULER: &str = "/api/v1/scheduler";
const JSON: &str = "Content-Type: application/json\r\n";
const DRIVER: &str = "scheduler-1@10.0.0.9:8000";

fn framework(id: &str, pid: Option<&str>, state: FrameworkState) -> Delta {
    let info = v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "a b".to_owned(),
        id: Some(v1::FrameworkId {
            value: id.to_owned(),
        }),
        ..Default::default()
    };
    Delta::Framework(Box::new(FrameworkView {
        pid: pid.map(str::to_owned),
        ..framework_view(info, state)
    }))
}

fn offer(framework: &str, id: &str) -> v1::Offer {
    let value = |value: &str| value.to_owned();
    v1::Offer {
        id: v1::OfferId { value: value(id) },
        framework_id: v1::FrameworkId {
            value: value(framework),
        },
        agent_id: v1::AgentId { value: value("a") },
        hostname: value("h"),
        ..Default::default()
    }
}

/// Every metric of a framework that is not 0 and no time, without what comes before its own part.
async fn counted(master: &MasterServed, id: &str) -> Vec<(String, f64)> {
    let snapshot = master.get("/metrics/snapshot").await.json();
    let prefix = format!("master/frameworks/a%20b/{id}/");
    let own = snapshot.as_object().unwrap().iter().filter_map(|(k, v)| {
        let name = k.strip_prefix(&prefix)?.to_owned();
        Some((name, v.as_f64()?))
    });
    own.filter(|(name, value)| *value != 0.0 && !name.ends_with("_secs"))
        .collect()
}

fn named(rows: &[(&str, f64)]) -> Vec<(String, f64)> {
    let rows = rows.iter();
    rows.map(|(name, value)| ((*name).to_owned(), *value))
        .collect()
}

#[tokio::test]
async fn what_passes_over_http_is_counted() {
    let mut master = master().await;
    let mut client = master.connect().await;
    let subscribe =
        r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}"#;
    client.write(post(SCHEDULER, JSON, subscribe)).await;
    let Event::SchedulerSubscribed { stream, .. } = master.event().await else {
        panic!("not a subscription");
    };
    master
        .api
        .apply(&framework("f", None, FrameworkState::Registered));
    let event = |kind: event::Type| scheduler::Event {
        r#type: Some(kind.into()),
        ..Default::default()
    };
    let subscribed = scheduler::Event {
        subscribed: Some(event::Subscribed {
            framework_id: v1::FrameworkId {
                value: "f".to_owned(),
            },
            ..Default::default()
        }),
        ..event(event::Type::Subscribed)
    };
    let offers = vec![offer("f", "o1"), offer("f", "o2"), offer("f", "o3")];
    let offers = scheduler::Event {
        offers: Some(event::Offers { offers }),
        ..event(event::Type::Offers)
    };
    for event in [
        subscribed,
        offers,
        event(event::Type::Rescind),
        event(event::Type::Heartbeat),
    ] {
        master.api.send_event(&stream, &event);
    }
    for body in [
        r#"{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"offer_ids":[{"value":"o1"}],"operations":[{"type":"LAUNCH","launch":{}}]}}"#,
        r#"{"type":"DECLINE","framework_id":{"value":"f"},"decline":{"offer_ids":[{"value":"o2"},{"value":"o3"}]}}"#,
        r#"{"type":"REVIVE","framework_id":{"value":"nobody"}}"#,
    ] {
        let mut client = master.connect().await;
        client.write(post(SCHEDULER, JSON, body)).await;
        let Event::SchedulerCalled { request, .. } = master.event().await else {
            panic!("not a call");
        };
        master.api.reply(request, Outcome::Accepted);
        assert_eq!(client.answer().await.code(), 202);
    }
    let expected = named(&[
        ("calls", 3.0),
        ("calls/accept", 1.0),
        ("calls/decline", 1.0),
        ("calls/subscribe", 1.0),
        ("events", 4.0),
        ("events/heartbeat", 1.0),
        ("events/offers", 1.0),
        ("events/rescind", 1.0),
        ("events/subscribed", 1.0),
        ("offers/rescinded", 1.0),
        ("offers/sent", 3.0),
        ("subscribed", 1.0),
    ]);
    assert_eq!(counted(&master, "f").await, expected);
    // Forgotten with its framework, and then known to nobody.
    master
        .api
        .apply(&Delta::FrameworkForgotten(FrameworkId::from("f")));
    master
        .api
        .send_event(&stream, &event(event::Type::Heartbeat));
    assert_eq!(counted(&master, "f").await, []);
}

#[tokio::test]
async fn what_a_driver_says_and_hears_is_counted() {
    let mut master = master().await;
    master
        .api
        .apply(&framework("f", Some(DRIVER), FrameworkState::Registered));
    let driver: Upid = DRIVER.parse().unwrap();
    let registered = internal::FrameworkRegisteredMessage::default();
    let offers = internal::ResourceOffersMessage {
        offers: vec![offer("f", "o1"), offer("f", "o2")],
        ..Default::default()
    };
    master.api.sent(&driver, &Message::from(registered.clone()));
    master.api.sent(&driver, &Message::from(offers));
    // Not to it, and nothing that a driver is told.
    let other: Upid = "scheduler-2@10.0.0.9:8000".parse().unwrap();
    master.api.sent(&other, &Message::from(registered));
    let ping = Message::from(internal::PongSlaveMessage {});
    master.api.sent(&driver, &ping);
    for from in [DRIVER, "scheduler-2@10.0.0.9:8000"] {
        let mut client = master.connect().await;
        // REVIVE of framework f.
        let body = "\u{a}\u{3}\u{a}\u{1}f\u{10}\u{5}";
        let headers = format!("Libprocess-From: {from}\r\n");
        client
            .write(post("/master/mesos.scheduler.Call", &headers, body))
            .await;
        assert!(matches!(
            master.event().await,
            Event::MessageReceived { .. }
        ));
    }
    let expected = named(&[
        ("calls", 1.0),
        ("calls/revive", 1.0),
        ("events", 2.0),
        ("events/offers", 1.0),
        ("events/subscribed", 1.0),
        ("offers/sent", 2.0),
        ("subscribed", 1.0),
    ]);
    assert_eq!(counted(&master, "f").await, expected);
}

#[tokio::test]
async fn ended_tasks_are_counted_once() {
    let master = master().await;
    master
        .api
        .apply(&framework("f", None, FrameworkState::Registered));
    let task = v1::Task {
        name: "t".to_owned(),
        task_id: v1::TaskId {
            value: "t".to_owned(),
        },
        framework_id: v1::FrameworkId {
            value: "f".to_owned(),
        },
        agent_id: v1::AgentId {
            value: "a".to_owned(),
        },
        state: v1::TaskState::TaskRunning.into(),
        ..Default::default()
    };
    master.api.apply(&Delta::TaskAdded {
        task: Box::new(task),
        list: TaskList::Active,
    });
    for _ in 0..2 {
        master.api.apply(&Delta::TaskUpdated {
            framework: FrameworkId::from("f"),
            task: TaskId::from("t"),
            state: v1::TaskState::TaskFailed,
            status: None,
        });
    }
    let expected = named(&[("subscribed", 1.0), ("tasks/terminal/task_failed", 1.0)]);
    assert_eq!(counted(&master, "f").await, expected);
}

/// Not what a framework asks for is counted, but what came of it: the core says so.
#[tokio::test]
async fn what_became_of_its_calls_is_counted() {
    use meseta_proto::mesos::v1::offer::operation::Type;
    let master = master().await;
    master
        .api
        .apply(&framework("f", None, FrameworkState::Registered));
    let (own, other) = (FrameworkId::from("f"), FrameworkId::from("nobody"));
    for (id, counter, by) in [
        (&own, FrameworkCounter::Operations(Type::Launch), 2),
        (&own, FrameworkCounter::Operations(Type::Launch), 1),
        (&own, FrameworkCounter::Operations(Type::Reserve), 1),
        (&own, FrameworkCounter::OffersAccepted, 2),
        (&own, FrameworkCounter::OffersDeclined, 4),
        (&other, FrameworkCounter::OffersDeclined, 8),
    ] {
        master.api.count_of(id, counter, by);
    }
    let expected = named(&[
        ("offers/accepted", 2.0),
        ("offers/declined", 4.0),
        ("operations", 4.0),
        ("operations/launch", 3.0),
        ("operations/reserve", 1.0),
        ("subscribed", 1.0),
    ]);
    assert_eq!(counted(&master, "f").await, expected);
    assert_eq!(counted(&master, "nobody").await, []);
}

#[tokio::test]
async fn they_can_be_left_out() {
    let flag = "publish_per_framework_metrics".to_owned();
    let master = master_of(|config| {
        config.flags.insert(flag, "false".to_owned());
    })
    .await;
    master
        .api
        .apply(&framework("f", None, FrameworkState::Registered));
    assert_eq!(counted(&master, "f").await, []);
    let all = master.get("/metrics/snapshot").await.json();
    assert_eq!(all["master/frameworks_active"], 1.0);
}
