//! `/api/v1`: refusals, coverage of every call, changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_api::{Leadership, Verbosity};
use meseta_master::event::{Event, OperatorCall, Question};
use meseta_master::view::{Delta, FrameworkState, MasterView, TaskList};
use meseta_model::edge::{Outcome, Refusal, RefusalKind};
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::Wire;
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::{agent as agent_wire, master as wire};
use serde_json::Value;
use support::{agent, agent_with, assert_golden, framework, master, post, task};

const PATH: &str = "/api/v1";
const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn refusals_are_worded_as_mesos_words_them() {
    let master = master().await;
    assert_golden("op-get", &master.get(PATH).await);
    let health = r#"{"type":"GET_HEALTH"}"#;
    assert_golden(
        "op-bad-content",
        &master
            .post(PATH, "Content-Type: text/plain\r\n", health)
            .await,
    );
    let headers = format!("{JSON}Accept: text/html\r\n");
    assert_golden(
        "op-not-acceptable",
        &master.post(PATH, &headers, health).await,
    );
    assert_golden(
        "op-unknown-type",
        &master.post(PATH, JSON, r#"{"type":"NO_SUCH_CALL"}"#).await,
    );
    assert_golden("teardown-none", &master.post("/teardown", "", "").await);
    let answer = master.post(PATH, JSON, r#"{"type":"TEARDOWN"}"#).await;
    assert_eq!(
        answer.text(),
        "Failed to validate master::Call: Expecting 'teardown' to be present"
    );
    master
        .api
        .set_leadership(Leadership::LedBy("other:5050".to_owned()));
    for path in ["/api/v1", "/state", "/slaves", "/teardown"] {
        let answer = master.get(path).await;
        assert_eq!(answer.code(), 307, "{path}");
        assert_eq!(answer.headers["location"], format!("//other:5050{path}"));
    }
    for path in [
        "/version",
        "/health",
        "/flags",
        "/metrics/snapshot",
        "/files/debug",
    ] {
        assert_eq!(master.get(path).await.code(), 200, "{path}");
    }
}

/// The names of all values of a message's `type` field.
fn calls<M: Wire>() -> Vec<&'static str> {
    let slot = M::TABLE.slot_named("type").unwrap();
    match M::TABLE.fields[slot].kind {
        meseta_proto::reflect::Kind::Enum(table) => names(table),
        _ => panic!("no enum"),
    }
}

/// The names of an enum's values: Mesos's, and ours from 10000 up.
fn names(table: &meseta_proto::reflect::EnumTable) -> Vec<&'static str> {
    (0..1_000)
        .chain(10_000..11_000)
        .filter_map(|number| table.name(number))
        .collect()
}

/// Calls that change something in the core, or ask it, with the part that they need.
const FOR_THE_CORE: &[(&str, &str)] = &[
    ("TEARDOWN", r#""teardown":{"framework_id":{"value":"f"}}"#),
    (
        "MARK_AGENT_GONE",
        r#""mark_agent_gone":{"agent_id":{"value":"a"}}"#,
    ),
    (
        "KILL_TASK",
        r#""kill_task":{"framework_id":{"value":"f"},"task_id":{"value":"t"}}"#,
    ),
    (
        "EXPLAIN_OFFERS",
        r#""explain_offers":{"framework_id":{"value":"f"},"role":"r","agent_id":{"value":"a"},"list":true}"#,
    ),
];

/// Every call of the master's table is carried out, answered, or refused by its name. What is refused
/// changes nothing.
#[tokio::test]
async fn every_call_of_a_master_is_known() {
    let mut master = master().await;
    let mut names = calls::<wire::Call>();
    names.retain(|name| {
        *name != "SUBSCRIBE" && !FOR_THE_CORE.iter().any(|(known, _)| known == name)
    });
    let (answered, refused) = answered_and_refused::<wire::Call>(&master, &names).await;
    assert_eq!(
        (answered.len(), refused.len()),
        (20, 16),
        "{answered:?} {refused:?}"
    );
    assert!(master.events.try_recv().is_err());
    for (name, part) in FOR_THE_CORE {
        let mut client = master.connect().await;
        client
            .write(post(PATH, JSON, &format!(r#"{{"type":"{name}",{part}}}"#)))
            .await;
        let Event::OperatorCalled { request, call, .. } = master.event().await else {
            panic!("{name}");
        };
        let expected = match *name {
            "TEARDOWN" => OperatorCall::Teardown(FrameworkId::from("f")),
            "MARK_AGENT_GONE" => OperatorCall::MarkAgentGone(AgentId::from("a")),
            "EXPLAIN_OFFERS" => OperatorCall::ExplainOffers(Question {
                framework: Some(FrameworkId::from("f")),
                role: Some("r".into()),
                agent: Some(AgentId::from("a")),
                list: true,
            }),
            _ => OperatorCall::KillTask {
                framework: FrameworkId::from("f"),
                task: TaskId::from("t"),
                policy: None,
            },
        };
        assert_eq!(call, expected);
        master.api.reply(request, Outcome::Done);
        assert_eq!(client.answer().await.code(), 200);
    }
}

#[tokio::test]
async fn every_call_of_an_agent_is_known() {
    let agent = agent().await;
    let names = calls::<agent_wire::Call>();
    let (answered, refused) = answered_and_refused::<agent_wire::Call>(&agent, &names).await;
    assert_eq!(
        (answered.len(), refused.len()),
        (16, 16),
        "{answered:?} {refused:?}"
    );
}

/// Makes each call: which are answered, and which are refused by their name.
async fn answered_and_refused<M: Wire>(
    served: &support::Served<impl Sized, impl Sized>,
    names: &[&'static str],
) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    for &name in names {
        match whole_call::<M>(served, name).await {
            (200, _) => answered.push(name),
            (501, text) if name == "UNKNOWN" => assert_eq!(text, "501 Not Implemented."),
            (501, text) => {
                assert_eq!(text, format!("Meseta does not do {name} yet"));
                refused.push(name);
            }
            (404, _) if name == "LIST_FILES" || name == "READ_FILE" => answered.push(name),
            other => panic!("{name}: {other:?}"),
        }
    }
    (answered, refused)
}

/// Sends a call with an empty part of its own name, filled as its required fields demand.
async fn whole_call<M: Wire>(
    served: &support::Served<impl Sized, impl Sized>,
    name: &str,
) -> (u16, String) {
    let field = name.to_lowercase();
    let mut body = format!(r#"{{"type":"{name}"}}"#);
    if let Some(slot) = M::TABLE.slot_named(&field)
        && let meseta_proto::reflect::Kind::Message(table) = M::TABLE.fields[slot].kind
    {
        body = format!(r#"{{"type":"{name}","{field}":{}}}"#, sample(table));
    }
    let answer = served.post(PATH, JSON, &body).await;
    (answer.code(), answer.text())
}

/// A message with its required fields only.
fn sample(table: &meseta_proto::reflect::Table) -> String {
    use meseta_proto::reflect::{Kind, Label};
    let required = table
        .fields
        .iter()
        .filter(|field| field.label == Label::Required);
    let fields = required.map(|field| {
        let value = match field.kind {
            Kind::Message(inner) => sample(inner),
            Kind::Enum(inner) => format!("\"{}\"", names(inner)[0]),
            Kind::Bool => "true".to_owned(),
            Kind::String | Kind::Bytes => "\"x\"".to_owned(),
            _ => "0".to_owned(),
        };
        format!("\"{}\":{value}", field.name())
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// What the core tells is passed on in the form that the caller takes.
#[tokio::test]
async fn what_the_core_tells_is_passed_on_in_either_form() {
    let mut master = master().await;
    let told = wire::Response {
        r#type: Some(wire::response::Type::ExplainOffers.into()),
        explain_offers: Some(wire::response::ExplainOffers {
            agents: Some(3),
            cut: Some(false),
            ..Default::default()
        }),
        ..Default::default()
    };
    for form in ["application/json", "application/x-protobuf"] {
        let mut client = master.connect().await;
        let headers = format!("{JSON}Accept: {form}\r\n");
        client
            .write(post(PATH, &headers, r#"{"type":"EXPLAIN_OFFERS"}"#))
            .await;
        let Event::OperatorCalled { request, call, .. } = master.event().await else {
            panic!("not a call");
        };
        assert_eq!(call, OperatorCall::ExplainOffers(Question::default()));
        master
            .api
            .reply(request, Outcome::Told(Box::new(told.clone())));
        let answer = client.answer().await;
        assert_eq!(
            (answer.code(), answer.headers["content-type"].as_str()),
            (200, form)
        );
        if form == "application/json" {
            let expected = serde_json::json!({
                "type": "EXPLAIN_OFFERS",
                "explain_offers": {"agents": 3, "cut": false},
            });
            assert_eq!(answer.json(), expected);
        } else {
            let read: wire::Response = meseta_proto::decode(&answer.body).unwrap();
            assert_eq!(read, told);
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_core_becomes_a_status() {
    let mut master = master().await;
    for (kind, code) in [
        (RefusalKind::Invalid, 400),
        (RefusalKind::Forbidden, 403),
        (RefusalKind::NotFound, 404),
        (RefusalKind::Conflict, 409),
        (RefusalKind::TooMany, 429),
        (RefusalKind::NotImplemented, 501),
        (RefusalKind::Unavailable, 503),
    ] {
        let mut client = master.connect().await;
        client
            .write(post("/master/teardown", "", "frameworkId=f%2F1"))
            .await;
        let Event::OperatorCalled { request, call, .. } = master.event().await else {
            panic!("not a call");
        };
        assert_eq!(call, OperatorCall::Teardown(FrameworkId::from("f/1")));
        let refusal = Refusal::new(kind, "No framework found with specified ID");
        master.api.reply(request, Outcome::Refused(refusal));
        let answer = client.answer().await;
        assert_eq!(answer.code(), code);
        if code == 400 {
            assert_golden("teardown-bad", &answer);
        }
    }
}

#[tokio::test]
async fn a_large_answer_reaches_a_slow_reader_whole() {
    let master = master().await;
    master
        .api
        .apply(&framework("f", FrameworkState::Registered));
    for number in 0..20_000 {
        let task = Box::new(task(&format!("{number:0100}")));
        master.api.apply(&Delta::TaskAdded {
            task,
            list: TaskList::Completed,
        });
    }
    let mut client = master.connect().await;
    // Three answers of several megabytes each are asked for before the first is read.
    client
        .write("GET /state HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3))
        .await;
    for _ in 0..3 {
        let answer = client.answer().await;
        assert!(answer.body.len() > 4_000_000, "{}", answer.body.len());
        let state: Value = serde_json::from_slice(&answer.body).unwrap();
        let tasks = state["frameworks"][0]["completed_tasks"]
            .as_array()
            .unwrap();
        assert_eq!(tasks.len(), 20_000);
    }
}

/// Words as a genuine Mesos answers them.
#[tokio::test]
async fn the_logging_level_is_toggled_for_a_while() {
    let master = master().await;
    let toggle = async |query: &str| {
        let answer = master.get(&format!("/logging/toggle{query}")).await;
        (answer.code(), answer.text())
    };
    for (query, why) in [
        ("?level=1", "Expecting 'duration=value' in query."),
        ("?duration=1secs", "Expecting 'level=value' in query."),
        (
            "?level=x&duration=1secs",
            "Failed to convert 'x' to number.",
        ),
        ("?level=-1&duration=1secs", "Invalid level '-1'."),
        ("?level=1&duration=x", "Failed to convert '' to number."),
        ("?level=1&duration=1", "Invalid duration '1'."),
    ] {
        assert_eq!(toggle(query).await, (400, format!("{why}\n")), "{query}");
    }
    assert_eq!(toggle("").await, (200, "0\n".to_owned()));
    assert_eq!(toggle("?level=2&duration=1hrs").await, (200, String::new()));
    assert_eq!(toggle("").await, (200, "2\n".to_owned()));
}

#[tokio::test]
async fn operators_set_the_logging_level() {
    let (applied, seen) = std::sync::mpsc::channel();
    let verbosity = Verbosity::new(move |level| applied.send(level).unwrap());
    let agent = agent_with(|config| config.logs.verbosity = verbosity).await;
    let master = master().await;
    let body = |level: u32| {
        format!(
            r#"{{"type":"SET_LOGGING_LEVEL","set_logging_level":{{"level":{level},"duration":{{"nanoseconds":3600000000000}}}}}}"#
        )
    };
    let get = r#"{"type":"GET_LOGGING_LEVEL"}"#;
    for level in [1, 0] {
        let answers = [
            agent.post(PATH, JSON, &body(level)).await,
            master.post(PATH, JSON, &body(level)).await,
        ];
        for answer in answers {
            assert_eq!((answer.code(), answer.body.len()), (200, 0));
        }
        for answer in [
            agent.post(PATH, JSON, get).await,
            master.post(PATH, JSON, get).await,
        ] {
            assert_eq!(answer.json()["get_logging_level"]["level"], level);
        }
    }
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [1, 0]);
    let incomplete = r#"{"type":"SET_LOGGING_LEVEL","set_logging_level":{"level":1}}"#;
    assert_eq!(
        master.post(PATH, JSON, incomplete).await.text(),
        "Failed to convert JSON into Call protobuf: \
         Missing required fields: set_logging_level.duration"
    );
}

#[tokio::test]
async fn the_age_of_held_offers_is_shown() {
    let master = master().await;
    let oldest = async || {
        let metrics = master.get("/metrics/snapshot").await.json();
        metrics["master/offers/oldest_secs"].as_f64()
    };
    assert_eq!(oldest().await, Some(0.0));
    master
        .api
        .apply(&framework("f", FrameworkState::Registered));
    let offer = v1::Offer {
        framework_id: FrameworkId::from("f").to_wire(),
        ..v1::Offer::default()
    };
    master.api.apply(&Delta::Offer(Box::new(offer)));
    let first = oldest().await;
    assert!(first > Some(0.0));
    assert!(oldest().await > first, "it grows older");
    let answered = meseta_model::ids::OfferId::from("");
    master.api.apply(&Delta::OfferRemoved(answered));
    assert_eq!(oldest().await, Some(0.0));
}

#[tokio::test]
async fn weights_are_shown_where_they_are_set() {
    let master = master().await;
    let plain = master.post(PATH, JSON, r#"{"type":"GET_WEIGHTS"}"#).await;
    assert_eq!(plain.text(), r#"{"type":"GET_WEIGHTS"}"#);
    master.api.apply(&Delta::Elected(Box::new(MasterView {
        info: v1::MasterInfo::default(),
        start_time: 1.0,
        elected_time: 1.0,
        epoch: 2,
        weights: [("a/b".to_owned(), 2.5), ("c".to_owned(), 2.0)].into(),
    })));
    let all = master.get("/weights").await.text();
    assert_eq!(
        all,
        r#"[{"role":"a/b","weight":2.5},{"role":"c","weight":2.0}]"#
    );
    let infos = master.post(PATH, JSON, r#"{"type":"GET_WEIGHTS"}"#).await;
    assert_eq!(
        infos.text(),
        r#"{"type":"GET_WEIGHTS","get_weights":{"weight_infos":[{"weight":2.5,"role":"a/b"},{"weight":2.0,"role":"c"}]}}"#
    );
    master
        .api
        .apply(&framework("f", FrameworkState::Registered));
    let roles = master.get("/roles").await.json();
    assert_eq!(roles["roles"][0]["weight"], 1.0, "nobody said otherwise");
}

/// Paths of parts that do not exist yet: reading shows that there is nothing, changing is refused.
#[tokio::test]
async fn later_endpoints_say_so() {
    let master = master().await;
    for (path, body) in [
        ("/weights", "[]"),
        ("/quota", "{}"),
        ("/maintenance/schedule", "{}"),
        ("/master/maintenance/status", "{}"),
    ] {
        assert_eq!(master.get(path).await.text(), body, "{path}");
    }
    for (method, path) in [
        ("POST", "/reserve"),
        ("PUT", "/weights"),
        ("POST", "/quota"),
        ("POST", "/machine/down"),
        ("POST", "/maintenance/schedule"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = master.ask(&request).await;
        assert_eq!(
            (answer.code(), answer.text()),
            (501, format!("Meseta does not do {method} {path} yet"))
        );
    }
    for (method, path, allow) in [
        ("GET", "/reserve", "POST"),
        ("POST", "/weights", "GET, PUT"),
        ("PUT", "/quota", "GET, POST, DELETE"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = master.ask(&request).await;
        assert_eq!(answer.code(), 405);
        assert_eq!(answer.headers["allow"], allow);
    }
    for (timeout, why) in [
        ("x", "Failed to convert '' to number"),
        ("5", "Invalid duration '5'"),
    ] {
        let path = format!("/metrics/snapshot?timeout={timeout}");
        let answer = master.get(&path).await;
        assert_eq!(
            (answer.code(), answer.text()),
            (400, format!("Invalid timeout '{timeout}': {why}.\n"))
        );
    }
    let timed = master.get("/metrics/snapshot?timeout=10secs").await;
    assert!(timed.json().is_object());
    let answer = master
        .ask("DELETE /master/quota/a/b HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(answer.text(), "Meseta does not do DELETE /quota yet");
    let stats = master.get("/system/stats.json").await.json();
    let keys: Vec<&String> = stats.as_object().unwrap().keys().collect();
    let names = [
        "avg_load_15min",
        "avg_load_1min",
        "avg_load_5min",
        "cpus_total",
        "mem_free_bytes",
        "mem_total_bytes",
    ];
    assert_eq!(keys, names);
    assert!(stats["cpus_total"].is_u64() && stats["avg_load_1min"].is_f64());
    let agent = agent().await;
    let answer = agent.post("/api/v1/resource_provider", "", "").await;
    assert_eq!(
        answer.text(),
        "Meseta does not do POST /api/v1/resource_provider yet"
    );
}

#[tokio::test]
async fn operations_are_shown_until_they_are_over() {
    let master = master().await;
    let uuid = bytes::Bytes::from_static(b"sixteen bytes of");
    let operations = async || {
        let answer = master
            .post(PATH, JSON, r#"{"type":"GET_OPERATIONS"}"#)
            .await;
        answer.json()["get_operations"]["operations"].clone()
    };
    let operation = |state: v1::OperationState| {
        Delta::Operation(Box::new(v1::Operation {
            uuid: v1::Uuid {
                value: uuid.clone(),
            },
            latest_status: v1::OperationStatus {
                state: state as i32,
                ..v1::OperationStatus::default()
            },
            info: v1::offer::Operation {
                r#type: Some(v1::offer::operation::Type::Reserve as i32),
                ..v1::offer::Operation::default()
            },
            ..v1::Operation::default()
        }))
    };
    let none = operations().await;
    assert!(none.as_array().is_none_or(Vec::is_empty), "{none}");
    for state in [
        v1::OperationState::OperationPending,
        v1::OperationState::OperationFinished,
    ] {
        master.api.apply(&operation(state));
        let shown = operations().await;
        assert_eq!(shown.as_array().map(Vec::len), Some(1));
        assert_eq!(shown[0]["latest_status"]["state"], state.as_str_name());
    }
    master.api.apply(&Delta::OperationRemoved { uuid });
    assert_eq!(operations().await, none);
}
