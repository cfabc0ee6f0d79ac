//! The master's documents, whole, against what a genuine Mesos answered about the same cluster.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_master::view::{
    AgentFate, AgentView, Delta, FrameworkState, FrameworkView, MasterView, TaskList,
};
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use meseta_proto::from_json;
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::master::{Response, response};
use serde_json::Value;
use support::{MasterServed, assert_shown_or_later, golden, master, scalar};

/// What `/version` and the head of `/state` say: the release is ours.
const HEAD: &str = r#""version":"1.11.0","meseta_version":"0.1.0","build_date":"2026-11-20 00:00:00 UTC","build_time":1795132800.0,"build_user":"""#;
const MESOS_HEAD: &str = r#""version":"1.12.0","build_date":"2026-11-20 19:59:37 UTC","build_time":1795204777.0,"build_user":"""#;

fn response(name: &str) -> Response {
    from_json(golden(&format!("master/{name}")).as_bytes()).unwrap()
}

/// The deltas that make a master know what the recorded one knew.
struct Cluster {
    state: response::GetState,
    master: response::GetMaster,
    /// `/state`: its times are the numbers that Mesos holds, those of GET_STATE are rounded.
    times: Value,
}

impl Cluster {
    fn recorded() -> Self {
        Self {
            state: *Box::new(response("GET_STATE.json").get_state.unwrap()),
            master: response("GET_MASTER.json").get_master.unwrap(),
            times: serde_json::from_str(&golden("master/state.json")).unwrap(),
        }
    }

    fn elected(&self) -> Delta {
        Delta::Elected(Box::new(MasterView {
            info: self.master.master_info.clone().unwrap(),
            start_time: self.master.start_time(),
            elected_time: self.master.elected_time(),
            epoch: 1,
            weights: Default::default(),
        }))
    }

    fn agents(&self) -> Vec<Delta> {
        let agents = &self.state.get_agents.as_ref().unwrap().agents;
        let views = agents.iter().map(|agent| AgentView {
            info: agent.agent_info.clone(),
            pid: agent.pid().to_owned(),
            version: agent.version.clone(),
            capabilities: agent.capabilities.clone(),
            total: agent.total_resources.clone(),
            recovered: false,
            connected: true,
            active: agent.active,
            registered_time: self.times["slaves"][0]["registered_time"].as_f64().unwrap(),
            reregistered_time: None,
        });
        views.map(|view| Delta::Agent(Box::new(view))).collect()
    }

    fn frameworks(&self) -> Vec<Delta> {
        let frameworks = self.state.get_frameworks.as_ref().unwrap();
        let mut deltas = Vec::new();
        for (list, completed) in [
            (&frameworks.frameworks, false),
            (&frameworks.completed_frameworks, true),
        ] {
            for framework in list {
                deltas.push(Delta::Framework(Box::new(
                    self.framework(framework, completed),
                )));
            }
        }
        deltas
    }

    fn framework(
        &self,
        framework: &response::get_frameworks::Framework,
        completed: bool,
    ) -> FrameworkView {
        let id = &framework.framework_info.id.as_ref().unwrap().value;
        let list = if completed {
            "completed_frameworks"
        } else {
            "frameworks"
        };
        let mut legacy = self.times[list].as_array().unwrap().iter();
        let legacy = legacy.find(|legacy| legacy["id"] == id.as_str()).unwrap();
        let registered = legacy["registered_time"].as_f64().unwrap();
        FrameworkView {
            info: framework.framework_info.clone(),
            pid: legacy["pid"].as_str().map(ToOwned::to_owned),
            state: if completed {
                FrameworkState::Completed
            } else {
                FrameworkState::Registered
            },
            active: framework.active,
            connected: framework.connected,
            suppressed_roles: Vec::new(),
            registered_time: registered,
            reregistered_time: registered,
            unregistered_time: completed.then(|| legacy["unregistered_time"].as_f64().unwrap()),
        }
    }

    fn tasks(&self) -> Vec<Delta> {
        let tasks = self.state.get_tasks.as_ref().unwrap();
        let mut deltas = Vec::new();
        for (list, name) in [
            (&tasks.tasks, TaskList::Active),
            (&tasks.unreachable_tasks, TaskList::Unreachable),
            (&tasks.completed_tasks, TaskList::Completed),
        ] {
            for task in list {
                deltas.push(Delta::TaskAdded {
                    task: Box::new(task.clone()),
                    list: name,
                });
            }
        }
        deltas
    }
}

async fn recorded() -> (MasterServed, Cluster) {
    let master = master().await;
    let cluster = Cluster::recorded();
    master.api.apply(&cluster.elected());
    for delta in [cluster.agents(), cluster.frameworks(), cluster.tasks()].concat() {
        master.api.apply(&delta);
    }
    (master, cluster)
}

async fn call(master: &MasterServed, name: &str) -> String {
    let body = format!(r#"{{"type":"{name}"}}"#);
    let answer = master
        .post("/api/v1", "Content-Type: application/json\r\n", &body)
        .await;
    assert_eq!(answer.code(), 200, "{}", answer.text());
    answer.text()
}

async fn document(master: &MasterServed, path: &str) -> String {
    let answer = master.get(path).await;
    assert_eq!(answer.code(), 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.text()
}

#[tokio::test]
async fn legacy_documents_are_those_of_mesos() {
    let (master, _) = recorded().await;
    // The flags are the node's; the recorded ones are left out.
    let flags = r#""flags":{"agent_ping_timeout":"15secs","port":"15050"}"#;
    let state = golden("master/state.json")
        .replace(MESOS_HEAD, HEAD)
        .replace(flags, r#""flags":{}"#);
    assert_eq!(document(&master, "/state").await, state);
    for (path, name) in [
        ("/slaves", "slaves"),
        ("/frameworks", "frameworks"),
        ("/state-summary", "state-summary"),
        ("/roles", "roles"),
    ] {
        assert_eq!(
            document(&master, path).await,
            golden(&format!("master/{name}.json")),
            "{path}"
        );
        assert_eq!(
            document(&master, &format!("/master{path}/")).await,
            golden(&format!("master/{name}.json"))
        );
        assert_eq!(
            document(&master, &format!("{path}.json")).await,
            golden(&format!("master/{name}.json"))
        );
    }
}

#[tokio::test]
async fn operator_answers_are_those_of_mesos() {
    let (master, _) = recorded().await;
    for name in [
        "GET_STATE",
        "GET_ROLES",
        "GET_MASTER",
        "GET_HEALTH",
        "GET_OPERATIONS",
        "GET_WEIGHTS",
        "GET_QUOTA",
        "GET_LOGGING_LEVEL",
        "GET_MAINTENANCE_STATUS",
        "GET_MAINTENANCE_SCHEDULE",
    ] {
        assert_eq!(
            call(&master, name).await,
            golden(&format!("master/{name}.json")),
            "{name}"
        );
    }
    // The parts of GET_STATE are also calls of their own.
    let state = response("GET_STATE.json").get_state.unwrap();
    let part = |name: &str| from_json::<Response>(name.as_bytes()).unwrap();
    assert_eq!(
        part(&call(&master, "GET_TASKS").await).get_tasks,
        state.get_tasks
    );
    assert_eq!(
        part(&call(&master, "GET_AGENTS").await).get_agents,
        state.get_agents
    );
    assert_eq!(
        part(&call(&master, "GET_EXECUTORS").await).get_executors,
        state.get_executors
    );
    assert_eq!(
        part(&call(&master, "GET_FRAMEWORKS").await).get_frameworks,
        state.get_frameworks
    );
}

#[tokio::test]
async fn protobuf_says_the_same_as_json() {
    let (master, _) = recorded().await;
    for name in [
        "GET_STATE",
        "GET_TASKS",
        "GET_AGENTS",
        "GET_FRAMEWORKS",
        "GET_ROLES",
        "GET_VERSION",
    ] {
        let json: Response = from_json(call(&master, name).await.as_bytes()).unwrap();
        let headers = "Content-Type: application/json\r\nAccept: application/x-protobuf\r\n";
        let answer = master
            .post("/api/v1", headers, &format!(r#"{{"type":"{name}"}}"#))
            .await;
        assert_eq!(answer.headers["content-type"], "application/x-protobuf");
        assert_eq!(
            meseta_proto::decode::<Response>(&answer.body).unwrap(),
            json,
            "{name}"
        );
    }
}

#[tokio::test]
async fn reservations_are_shown_in_both_forms() {
    let (master, cluster) = recorded().await;
    let reserved = response("GET_AGENTS-reserved.json").get_agents.unwrap();
    let Delta::Agent(mut view) = cluster.agents().remove(0) else {
        panic!("no agent");
    };
    view.total = reserved.agents[0].total_resources.clone();
    master.api.apply(&Delta::Agent(view));
    assert_eq!(
        document(&master, "/slaves").await,
        golden("master/slaves-reserved.json")
    );
    assert_eq!(
        document(&master, "/roles").await,
        golden("master/roles-reserved.json")
    );
    assert_eq!(
        call(&master, "GET_AGENTS").await,
        golden("master/GET_AGENTS-reserved.json")
    );
}

#[tokio::test]
async fn tasks_come_in_pages() {
    let (master, _) = recorded().await;
    let all: Value = serde_json::from_str(&golden("master/tasks.json")).unwrap();
    let ids = |text: &str| -> Vec<String> {
        let document: Value = serde_json::from_str(text).unwrap();
        let tasks = document["tasks"].as_array().unwrap().iter();
        tasks
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let newest = ids(&document(&master, "/tasks").await);
    assert_eq!(newest, ids(&all.to_string()));
    let mut oldest = newest.clone();
    oldest.reverse();
    assert_eq!(ids(&document(&master, "/tasks?order=asc").await), oldest);
    assert_eq!(
        ids(&document(&master, "/tasks?limit=2&offset=1").await),
        newest[1..3]
    );
    assert_eq!(ids(&document(&master, "/tasks?limit=-1").await), newest);
    assert_eq!(
        ids(&document(&master, "/tasks?limit=0").await),
        Vec::<String>::new()
    );
    assert_eq!(
        ids(&document(&master, "/tasks?task_id=hello").await),
        ["hello"]
    );
    let none = document(&master, "/tasks?framework_id=nobody").await;
    assert_eq!(none, r#"{"tasks":[]}"#);
    assert_eq!(
        document(&master, "/slaves?slave_id=nobody").await,
        r#"{"slaves":[],"recovered_slaves":[]}"#
    );
}

#[tokio::test]
async fn bodies_are_compressed_and_wrapped_on_request() {
    let (master, _) = recorded().await;
    let plain = document(&master, "/state").await;
    let answer = master
        .ask("GET /state HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        .await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&answer.body[..]),
        &mut text,
    )
    .unwrap();
    assert_eq!(text, plain);
    // A short body is not worth it.
    let answer = master
        .ask("GET /version HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        .await;
    assert!(!answer.headers.contains_key("content-encoding"));
    let answer = master.get("/state?jsonp=cb").await;
    assert_eq!(answer.headers["content-type"], "text/javascript");
    assert_eq!(answer.text(), format!("cb({plain})"));
    assert_eq!(master.get("/state?jsonp=alert(1)//").await.code(), 400);
    // Mesos looks at no method here.
    let answer = master
        .ask("PUT /state HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(answer.text(), plain);
}

#[tokio::test]
async fn metrics_have_the_names_of_mesos() {
    let (master, _) = recorded().await;
    // What the node measures.
    for name in [
        "allocator/mesos/allocation_run_ms",
        "allocator/mesos/allocation_run_latency_ms",
        "registrar/state_store_ms",
    ] {
        master.api.time(name, 1.5);
    }
    for name in [
        "registrar/queued_operations",
        "registrar/registry_size_bytes",
        "registrar/state_fetch_ms",
    ] {
        master.api.set_gauge(name, 1.0);
    }
    let filters = "allocator/mesos/offer_filters/roles/*/active".to_owned();
    master.api.set_gauges("roles", vec![(filters, 1.0)]);
    let snapshot: Value =
        serde_json::from_str(&document(&master, "/metrics/snapshot").await).unwrap();
    let ours: std::collections::BTreeSet<String> =
        snapshot.as_object().unwrap().keys().cloned().collect();
    assert_shown_or_later(&golden("master/metrics.txt"), &ours);
    let framework = |id: &str, suffix: &str| {
        let is_it = |name: &&String| {
            let rest = name.strip_prefix("master/frameworks/");
            let rest = rest.and_then(|rest| rest.split_once('/'));
            rest.is_some_and(|(_, rest)| rest == format!("{id}/{suffix}"))
        };
        ours.iter().any(|name| is_it(&name))
    };
    let state: Value = serde_json::from_str(&document(&master, "/state").await).unwrap();
    let mut checked = 0;
    for list in ["frameworks", "completed_frameworks"] {
        for known in state[list].as_array().unwrap() {
            for suffix in golden("master/framework_metrics.txt").lines() {
                let id = known["id"].as_str().unwrap();
                let suffix = suffix.replace("roles/*", &format!("roles/{}", role_of(known)));
                assert!(framework(id, &suffix), "{id} {suffix}");
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
    for (name, value) in [
        ("master/cpus_total", 8.0),
        ("master/cpus_used", 1.0),
        ("master/cpus_percent", 0.125),
        ("master/mem_used", 128.0),
        ("master/tasks_running", 1.0),
        ("master/slaves_active", 1.0),
        ("master/frameworks_active", 1.0),
        ("master/elected", 1.0),
        ("allocator/mesos/roles/*/shares/dominant", 0.125),
    ] {
        assert_eq!(snapshot[name].as_f64(), Some(value), "{name}");
    }
    master.api.count(
        meseta_master::view::Counter::TasksEnded(v1::TaskState::TaskFinished),
        3,
    );
    let open = master.get("/metrics").await;
    assert!(open.headers["content-type"].starts_with("application/openmetrics-text"));
    assert!(
        open.text()
            .contains("\nmesos_master_tasks_finished_total 3\n")
    );
}

/// Of a framework in `/state`, whichever way it names its roles.
fn role_of(framework: &Value) -> String {
    let role = framework["role"].as_str();
    let role = role.or_else(|| framework["roles"][0].as_str());
    role.unwrap_or("*").to_owned()
}

fn id(framework: &str) -> FrameworkId {
    FrameworkId::from(framework)
}

const FRAMEWORK: &str = "48020ed9-5b52-458b-869f-a8ee782d6998-0009";
const AGENT: &str = "48020ed9-5b52-458b-869f-a8ee782d6998-S0";

async fn used(master: &MasterServed) -> (f64, f64, f64, f64) {
    let state: Value = serde_json::from_str(&document(master, "/state").await).unwrap();
    let cpus = |place: &Value, what: &str| place[what]["cpus"].as_f64().unwrap();
    let (agent, framework) = (&state["slaves"][0], &state["frameworks"][0]);
    (
        cpus(agent, "used_resources"),
        cpus(framework, "used_resources"),
        cpus(agent, "offered_resources"),
        cpus(framework, "offered_resources"),
    )
}

#[tokio::test]
async fn sums_follow_tasks_executors_and_offers() {
    let (master, _) = recorded().await;
    assert_eq!(used(&master).await, (1.0, 1.0, 0.0, 0.0));
    let info = v1::ExecutorInfo {
        executor_id: v1::ExecutorId {
            value: "e".to_owned(),
        },
        framework_id: Some(id(FRAMEWORK).to_wire()),
        resources: vec![scalar("cpus", 0.5)],
        ..Default::default()
    };
    let executor = Delta::Executor {
        agent: AgentId::from(AGENT),
        info: Box::new(info),
        framework: id(FRAMEWORK),
    };
    master.api.apply(&executor);
    let offer = v1::Offer {
        id: v1::OfferId {
            value: "o".to_owned(),
        },
        framework_id: id(FRAMEWORK).to_wire(),
        agent_id: AgentId::from(AGENT).to_wire(),
        resources: vec![scalar("cpus", 2.0)],
        allocation_info: Some(v1::resource::AllocationInfo {
            role: Some("*".to_owned()),
        }),
        ..Default::default()
    };
    master.api.apply(&Delta::Offer(Box::new(offer)));
    assert_eq!(used(&master).await, (1.5, 1.5, 2.0, 2.0));
    let state: Value = serde_json::from_str(&document(&master, "/state").await).unwrap();
    let framework = &state["frameworks"][0];
    assert_eq!(
        framework["executors"].to_string(),
        format!(
            r#"[{{"command":{{"argv":[],"uris":[]}},"executor_id":"e","framework_id":"{FRAMEWORK}","name":"","resources":{{"cpus":0.5,"disk":0.0,"gpus":0.0,"mem":0.0}},"role":"*","slave_id":"{AGENT}"}}]"#
        )
    );
    assert_eq!(
        framework["offers"].to_string(),
        format!(
            r#"[{{"allocation_info":{{"role":"*"}},"framework_id":"{FRAMEWORK}","id":"o","resources":{{"cpus":2.0,"disk":0.0,"gpus":0.0,"mem":0.0}},"slave_id":"{AGENT}"}}]"#
        )
    );
    master.api.apply(&Delta::OfferRemoved(OfferId::from("o")));
    master.api.apply(&Delta::TaskUpdated {
        framework: id(FRAMEWORK),
        task: TaskId::from("longrun"),
        state: v1::TaskState::TaskFinished,
        status: None,
    });
    assert_eq!(used(&master).await, (0.5, 0.5, 0.0, 0.0));
    master.api.apply(&Delta::TaskMoved {
        framework: id(FRAMEWORK),
        task: TaskId::from("longrun"),
        from: TaskList::Active,
        to: TaskList::Completed,
    });
    master.api.apply(&Delta::ExecutorRemoved {
        agent: AgentId::from(AGENT),
        framework: id(FRAMEWORK),
        executor: ExecutorId::from("e"),
    });
    assert_eq!(used(&master).await, (0.0, 0.0, 0.0, 0.0));
    let summary: Value = serde_json::from_str(&document(&master, "/state-summary").await).unwrap();
    assert_eq!(summary["slaves"][0]["TASK_FINISHED"], 1);
    assert_eq!(summary["frameworks"][0]["TASK_RUNNING"], 0);
    master.api.apply(&Delta::TaskForgotten {
        framework: id(FRAMEWORK),
        task: TaskId::from("longrun"),
        list: TaskList::Completed,
    });
    master.api.apply(&Delta::AgentRemoved {
        agent: AgentId::from(AGENT),
        to: AgentFate::Unreachable,
    });
    let state: Value = serde_json::from_str(&document(&master, "/state").await).unwrap();
    assert_eq!(state["unreachable_slaves"], 1.0);
    assert_eq!(
        state["frameworks"][0]["completed_tasks"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_new_reign_voids_everything() {
    let (master, cluster) = recorded().await;
    master.api.apply(&cluster.elected());
    let state: Value = serde_json::from_str(&document(&master, "/state").await).unwrap();
    for list in ["slaves", "frameworks", "completed_frameworks"] {
        assert_eq!(state[list], serde_json::json!([]), "{list}");
    }
}

/// Fields that few tasks have, as recorded from a genuine master.
#[tokio::test]
async fn rare_fields_of_tasks_and_executors_are_shown_as_mesos_shows_them() {
    let (master, _) = recorded().await;
    let task = r#"{"name":"full","task_id":{"value":"full"},"framework_id":{"value":"FRAMEWORK"},"executor_id":{"value":"ex"},
        "agent_id":{"value":"AGENT"},"state":"TASK_STAGING","resources":[
        {"name":"cpus","type":"SCALAR","scalar":{"value":0.2},"allocation_info":{"role":"r1"}},
        {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31001}]},"allocation_info":{"role":"r1"}}],
        "labels":{"labels":[{"key":"tl","value":"tv"}]},"discovery":{"visibility":"EXTERNAL","name":"d"},
        "container":{"type":"MESOS"},"health_check":{"type":"TCP","tcp":{"port":80}},"user":"root",
        "limits":{"cpus":{"value":1.0}}}"#;
    let task = task.replace("FRAMEWORK", FRAMEWORK).replace("AGENT", AGENT);
    let task: v1::Task = from_json(task.as_bytes()).unwrap();
    master.api.apply(&Delta::TaskAdded {
        task: Box::new(task),
        list: TaskList::Active,
    });
    let expected = r#"{"tasks":[{"id":"full","name":"full","framework_id":"FRAMEWORK","executor_id":"ex","slave_id":"AGENT","state":"TASK_STAGING","resources":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.2,"ports":"[31000-31001]"},"limits":{"cpus":1.0},"role":"r1","statuses":[],"user":"root","labels":[{"key":"tl","value":"tv"}],"discovery":{"visibility":"EXTERNAL","name":"d"},"container":{"type":"MESOS"},"health_check":{"delay_seconds":15.0,"interval_seconds":10.0,"timeout_seconds":20.0,"consecutive_failures":3,"grace_period_seconds":10.0,"type":"TCP","tcp":{"protocol":"IPv4","port":80}}}]}"#;
    let expected = expected
        .replace("FRAMEWORK", FRAMEWORK)
        .replace("AGENT", AGENT);
    assert_eq!(document(&master, "/tasks?task_id=full").await, expected);
    let info = r#"{"type":"CUSTOM","executor_id":{"value":"ex"},"framework_id":{"value":"FRAMEWORK"},"command":{
        "value":"sleep 1000","shell":true,"user":"root","environment":{"variables":[{"name":"A","value":"b"}]},
        "uris":[{"value":"/bin/true","extract":false}]},"resources":[
        {"name":"cpus","type":"SCALAR","scalar":{"value":0.1},"allocation_info":{"role":"r1"}}],
        "name":"my executor","source":"src","labels":{"labels":[{"key":"el","value":"ev"}]}}"#;
    let info = from_json(info.replace("FRAMEWORK", FRAMEWORK).as_bytes()).unwrap();
    master.api.apply(&Delta::Executor {
        agent: AgentId::from(AGENT),
        info: Box::new(info),
        framework: id(FRAMEWORK),
    });
    let expected = r#""executors":[{"executor_id":"ex","name":"my executor","framework_id":"FRAMEWORK","command":{"shell":true,"value":"sleep 1000","argv":[],"environment":{"variables":[{"name":"A","type":"VALUE","value":"b"}]},"uris":[{"value":"/bin/true","executable":false}]},"resources":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.1},"role":"r1","labels":[{"key":"el","value":"ev"}],"type":"CUSTOM","slave_id":"AGENT"}]"#;
    let expected = expected
        .replace("FRAMEWORK", FRAMEWORK)
        .replace("AGENT", AGENT);
    let state = document(&master, "/state").await;
    assert!(state.contains(&expected), "{state}");
    // Ranges count their numbers, in the legacy document only.
    let roles: Value = serde_json::from_str(&document(&master, "/roles").await).unwrap();
    let role = &roles["roles"][1];
    assert_eq!(role["name"], "r1");
    assert_eq!(
        role["allocated"],
        serde_json::json!({"cpus": 0.3, "ports": 2.0})
    );
    assert_eq!(
        role["quota"]["consumed"],
        serde_json::json!({"cpus": 0.3, "ports": 2.0})
    );
    let roles: Value = serde_json::from_str(&call(&master, "GET_ROLES").await).unwrap();
    let resources =
        serde_json::json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.3}}]);
    assert_eq!(roles["get_roles"]["roles"][1]["resources"], resources);
}
