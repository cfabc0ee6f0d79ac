//! SUBSCRIBE of operators: everything that there is, then every change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_api::limits;
use meseta_master::view::{Delta, FrameworkState, MasterView, TaskList};
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::mesos::v1;
use serde_json::Value;
use support::{Client, MasterServed, framework, master, master_of, post, soon, task};

const PATH: &str = "/api/v1";
const JSON: &str = "Content-Type: application/json\r\n";

fn updated(id: &str, state: v1::TaskState) -> Delta {
    Delta::TaskUpdated {
        framework: FrameworkId::from("f"),
        task: TaskId::from(id),
        state,
        status: Some(Box::new(v1::TaskStatus {
            task_id: TaskId::from(id).to_wire(),
            state: state as i32,
            ..Default::default()
        })),
    }
}

async fn subscribe(master: &MasterServed) -> Client {
    let mut client = master.connect().await;
    client
        .write(post(PATH, JSON, r#"{"type":"SUBSCRIBE"}"#))
        .await;
    let head = client.head().await;
    assert_eq!(
        (head.code(), head.headers["content-type"].as_str()),
        (200, "application/json")
    );
    client
}

async fn next(client: &mut Client) -> Value {
    let chunk = client.chunk().await.expect("the stream goes on");
    let text = String::from_utf8(chunk).unwrap();
    let (length, record) = text.split_once('\n').unwrap();
    assert_eq!(length, record.len().to_string());
    serde_json::from_str(record).unwrap()
}

#[tokio::test]
async fn a_subscriber_gets_everything_then_every_change() {
    let master = master().await;
    master
        .api
        .apply(&framework("before", FrameworkState::Registered));
    let mut client = subscribe(&master).await;
    let first = next(&mut client).await;
    assert_eq!(first["type"], "SUBSCRIBED");
    assert_eq!(first["subscribed"]["heartbeat_interval_seconds"], 15.0);
    let known = &first["subscribed"]["get_state"]["get_frameworks"]["frameworks"][0];
    assert_eq!(known["framework_info"]["name"], "before");
    assert_eq!(next(&mut client).await["type"], "HEARTBEAT");
    let agent = meseta_master::view::AgentView {
        info: v1::AgentInfo {
            id: Some(AgentId::from("a").to_wire()),
            ..Default::default()
        },
        pid: "slave(1)@127.0.0.1:1".to_owned(),
        version: "1.11.0".to_owned(),
        capabilities: Vec::new(),
        total: Vec::new(),
        recovered: false,
        connected: true,
        active: true,
        registered_time: 1.0,
        reregistered_time: None,
    };
    master.api.apply(&Delta::Agent(Box::new(agent.clone())));
    let event = next(&mut client).await;
    assert_eq!(
        (
            &event["type"],
            &event["agent_added"]["agent"]["agent_info"]["id"]["value"]
        ),
        (&"AGENT_ADDED".into(), &"a".into())
    );
    // The same agent, otherwise changed: nothing that the stream tells.
    let gone = meseta_master::view::AgentView {
        active: false,
        ..agent
    };
    master.api.apply(&Delta::Agent(Box::new(gone)));
    master
        .api
        .apply(&framework("after", FrameworkState::Registered));
    assert_eq!(
        next(&mut client).await["framework_updated"]["framework"]["framework_info"]["name"],
        "after"
    );
    master.api.apply(&Delta::TaskAdded {
        task: Box::new(task("t")),
        list: TaskList::Active,
    });
    assert_eq!(
        next(&mut client).await["task_added"]["task"]["task_id"]["value"],
        "t"
    );
    master.api.apply(&updated("t", v1::TaskState::TaskRunning));
    let event = next(&mut client).await;
    assert_eq!(event["task_updated"]["state"], "TASK_RUNNING");
    assert_eq!(event["task_updated"]["status"]["task_id"]["value"], "t");
    master
        .api
        .apply(&framework("after", FrameworkState::Completed));
    assert_eq!(
        next(&mut client).await["framework_removed"]["framework_info"]["name"],
        "after"
    );
    let to = meseta_master::view::AgentFate::Gone;
    master.api.apply(&Delta::AgentRemoved {
        agent: AgentId::from("a"),
        to,
    });
    assert_eq!(
        next(&mut client).await["agent_removed"]["agent_id"]["value"],
        "a"
    );
    let subscribers = "master/operator_event_stream_subscribers";
    assert_eq!(
        master.get("/metrics/snapshot").await.json()[subscribers],
        1.0
    );
    // A new reign: whoever listened begins anew.
    master.api.apply(&Delta::Elected(Box::new(MasterView {
        info: v1::MasterInfo::default(),
        start_time: 1.0,
        elected_time: 1.0,
        epoch: 2,
        weights: Default::default(),
    })));
    assert!(client.ends().await);
}

#[tokio::test]
async fn no_change_is_missed_or_told_twice() {
    let master = master().await;
    master
        .api
        .apply(&framework("f", FrameworkState::Registered));
    let api = master.api.clone();
    let changing = tokio::task::spawn_blocking(move || {
        for number in 0..2_000 {
            let task = Box::new(task(&number.to_string()));
            api.apply(&Delta::TaskAdded {
                task,
                list: TaskList::Active,
            });
        }
    });
    for _ in 0..5 {
        let mut client = subscribe(&master).await;
        let first = next(&mut client).await;
        let known = &first["subscribed"]["get_state"]["get_tasks"]["tasks"];
        let mut expected = known.as_array().unwrap().len();
        while expected < 2_000 {
            let event = next(&mut client).await;
            if event["type"] == "TASK_ADDED" {
                assert_eq!(
                    event["task_added"]["task"]["task_id"]["value"],
                    expected.to_string()
                );
                expected += 1;
            }
        }
    }
    soon(changing).await.unwrap();
}

/// That many subscribers are served; one more ends the first.
async fn subscribers_are_bounded(master: &MasterServed, most: usize) {
    let mut first = subscribe(master).await;
    let mut others = Vec::new();
    for _ in 1..most {
        others.push(subscribe(master).await);
    }
    assert_eq!(next(&mut first).await["type"], "SUBSCRIBED");
    others.push(subscribe(master).await);
    assert!(first.ends().await);
    assert_eq!(next(&mut others[0]).await["type"], "SUBSCRIBED");
}

#[tokio::test]
async fn the_oldest_of_too_many_subscribers_is_cut() {
    subscribers_are_bounded(&master().await, limits::OPERATOR_STREAMS).await;
    let flag = "max_operator_event_stream_subscribers".to_owned();
    let narrow = master_of(|config| {
        config.flags.insert(flag, "2".to_owned());
    });
    subscribers_are_bounded(&narrow.await, 2).await;
}
