//! The agent's documents, whole, against what a genuine Mesos answered about the same work.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_agent::event::Event;
use meseta_agent::view::{AgentView, Delta, ExecutorView, TaskList};
use meseta_api::{ContainerCounts, Usage};
use meseta_model::edge::StreamId;
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_proto::from_json;
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::agent::{Response, response};
use meseta_proto::mesos::v1::executor;
use serde_json::Value;
use support::{AgentServed, Client, agent_with, assert_shown_or_later, golden, post, scalar};

const HEAD: &str = r#""version":"1.11.0","meseta_version":"0.1.0","build_date":"2026-11-20 00:00:00 UTC","build_time":1795132800.0,"build_user":"""#;
const MESOS_HEAD: &str = r#""version":"1.12.0","build_date":"2026-11-20 19:59:37 UTC","build_time":1795204777.0,"build_user":"""#;

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What was recorded: the legacy document knows runs and directories, GET_STATE everything else.
struct Work {
    legacy: Value,
    state: response::GetState,
}

impl Work {
    fn recorded() -> Self {
        let state: Response = from_json(golden("agent/GET_STATE.json").as_bytes()).unwrap();
        Self {
            legacy: serde_json::from_str(&golden("agent/state.json")).unwrap(),
            state: state.get_state.unwrap(),
        }
    }

    fn agent(&self) -> Delta {
        let info: Response = from_json(golden("agent/GET_AGENT.json").as_bytes()).unwrap();
        let info = info.get_agent.unwrap().agent_info.unwrap();
        let capabilities = self.legacy["capabilities"].as_array().unwrap().iter();
        let capabilities = capabilities.map(|name| {
            let kind = v1::agent_info::capability::Type::from_str_name(name.as_str().unwrap());
            v1::agent_info::Capability {
                r#type: kind.map(|kind| kind as i32),
            }
        });
        Delta::Agent(Box::new(AgentView {
            capabilities: capabilities.collect(),
            total: info.resources.clone(),
            info,
            pid: text(&self.legacy["pid"]),
            master: Some("master@localhost:15050".to_owned()),
            registered: true,
            start_time: self.legacy["start_time"].as_f64().unwrap(),
        }))
    }

    /// Every run: the framework's id, whether it is over, the legacy description.
    fn runs(&self) -> Vec<(String, bool, Value)> {
        let mut runs = Vec::new();
        for frameworks in ["frameworks", "completed_frameworks"] {
            for framework in self.legacy[frameworks].as_array().unwrap() {
                for (list, over) in [("executors", false), ("completed_executors", true)] {
                    for run in framework[list].as_array().unwrap() {
                        runs.push((text(&framework["id"]), over, run.clone()));
                    }
                }
            }
        }
        runs
    }

    fn frameworks(&self) -> Vec<Delta> {
        let frameworks = self.state.get_frameworks.as_ref().unwrap();
        let all = frameworks
            .frameworks
            .iter()
            .chain(&frameworks.completed_frameworks);
        all.map(|framework| Delta::Framework(Box::new(framework.framework_info.clone())))
            .collect()
    }

    fn executors(&self) -> Vec<Delta> {
        let executors = self.state.get_executors.as_ref().unwrap();
        let mut all = Vec::new();
        for (framework, _, run) in self.runs() {
            let known = executors.executors.iter().map(|known| &known.executor_info);
            let over = executors
                .completed_executors
                .iter()
                .map(|known| &known.executor_info);
            let info = known.chain(over).find(|info| {
                info.executor_id.value == text(&run["id"])
                    && info.framework_id.as_ref().unwrap().value == framework
            });
            let total = |name: &str| scalar(name, run["resources"][name].as_f64().unwrap());
            all.push(Delta::Executor(Box::new(ExecutorView {
                framework: FrameworkId::from(framework),
                info: info.unwrap().clone(),
                container_id: ContainerId::root(text(&run["container"])),
                directory: text(&run["directory"]),
                command_executor: info.unwrap().r#type.is_none(),
                resources: vec![total("cpus"), total("mem"), total("disk")],
            })));
        }
        all
    }

    fn tasks(&self) -> Vec<Delta> {
        let tasks = self.state.get_tasks.as_ref().unwrap();
        let mut all = Vec::new();
        for (list, name) in [
            (&tasks.launched_tasks, TaskList::Launched),
            (&tasks.terminated_tasks, TaskList::Terminated),
            (&tasks.completed_tasks, TaskList::Completed),
        ] {
            for task in list {
                let status = task
                    .statuses
                    .iter()
                    .rev()
                    .find_map(|status| status.container_status.as_ref());
                let id =
                    ContainerId::from_wire(status.unwrap().container_id.as_ref().unwrap()).unwrap();
                let container_id = ContainerId::root(id.path()[0].clone());
                all.push(Delta::Task {
                    container_id,
                    task: Box::new(task.clone()),
                    list: name,
                });
            }
        }
        all
    }

    fn ends(&self) -> Vec<Delta> {
        let over = self.runs().into_iter().filter(|(_, over, _)| *over);
        let mut all: Vec<Delta> = over
            .map(|(framework, _, run)| Delta::ExecutorCompleted {
                framework: FrameworkId::from(framework),
                executor: ExecutorId::from(text(&run["id"])),
                container_id: ContainerId::root(text(&run["container"])),
            })
            .collect();
        for framework in self.legacy["completed_frameworks"].as_array().unwrap() {
            all.push(Delta::FrameworkCompleted(FrameworkId::from(text(
                &framework["id"],
            ))));
        }
        all
    }
}

async fn recorded() -> (AgentServed, Work) {
    let work = Work::recorded();
    let agent = agent_with(|_| {}).await;
    agent.api.apply(&work.agent());
    for delta in [
        work.frameworks(),
        work.executors(),
        work.tasks(),
        work.ends(),
    ]
    .concat()
    {
        agent.api.apply(&delta);
    }
    (agent, work)
}

async fn call(agent: &AgentServed, body: &str) -> String {
    let answer = agent
        .post(
            "/slave(1)/api/v1",
            "Content-Type: application/json\r\n",
            body,
        )
        .await;
    assert_eq!(answer.code(), 200, "{}", answer.text());
    answer.text()
}

#[tokio::test]
async fn the_state_is_that_of_mesos() {
    let (agent, _) = recorded().await;
    let state = golden("agent/state.json").replace(MESOS_HEAD, HEAD);
    let state = state.replace(r#""flags":{"port":"15051"}"#, r#""flags":{}"#);
    for path in ["/state", "/slave(1)/state", "/slave%281%29/state.json"] {
        assert_eq!(agent.get(path).await.text(), state, "{path}");
    }
}

#[tokio::test]
async fn operator_answers_are_those_of_mesos() {
    let (agent, _) = recorded().await;
    for name in ["GET_STATE", "GET_AGENT"] {
        let body = format!(r#"{{"type":"{name}"}}"#);
        assert_eq!(
            call(&agent, &body).await,
            golden(&format!("agent/{name}.json")),
            "{name}"
        );
    }
    assert_eq!(
        call(&agent, r#"{"type":"GET_OPERATIONS"}"#).await,
        r#"{"type":"GET_OPERATIONS","get_operations":{}}"#
    );
    assert_eq!(
        call(&agent, r#"{"type":"GET_RESOURCE_PROVIDERS"}"#).await,
        r#"{"type":"GET_RESOURCE_PROVIDERS","get_resource_providers":{}}"#
    );
}

#[tokio::test]
async fn containers_show_what_they_take() {
    let (agent, _) = recorded().await;
    let recorded: Value = serde_json::from_str(&golden("agent/containers.json")).unwrap();
    let shown = recorded.clone();
    agent.api.set_measure(move |id| {
        let mut containers = shown.as_array().unwrap().iter();
        let container = containers.find(|container| container["container_id"] == id.value())?;
        let part = |name: &str| container[name].to_string().into_bytes();
        Some(Usage {
            status: from_json(&part("status")).unwrap(),
            statistics: from_json(&part("statistics")).unwrap(),
        })
    });
    let answered: Value = agent.get("/containers").await.json();
    assert_eq!(answered, recorded);
    let one = recorded[0]["container_id"].as_str().unwrap();
    let answered: Value = agent
        .get(&format!("/containers?container_id={one}"))
        .await
        .json();
    assert_eq!(answered, serde_json::json!([recorded[0]]));
    let statistics: Value = agent.get("/monitor/statistics").await.json();
    let recorded: Value = serde_json::from_str(&golden("agent/statistics.json")).unwrap();
    assert_eq!(statistics.as_array().unwrap().len(), 2);
    for (ours, theirs) in statistics
        .as_array()
        .unwrap()
        .iter()
        .zip(recorded.as_array().unwrap())
    {
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(ours), keys(theirs));
        assert_eq!(keys(&ours["statistics"]), keys(&theirs["statistics"]));
    }
    let containers = call(&agent, r#"{"type":"GET_CONTAINERS"}"#).await;
    let containers: Response = from_json(containers.as_bytes()).unwrap();
    assert!(
        containers.get_containers.unwrap().containers[0]
            .resource_statistics
            .is_some()
    );
}

/// Opens a stream for each run and says on it what the core would.
async fn subscribe_all(agent: &mut AgentServed, runs: &[ContainerId]) -> Vec<(Client, StreamId)> {
    let mut streams = Vec::new();
    for run in runs {
        let mut client = agent.connect().await;
        let body = r#"{"type":"SUBSCRIBE","executor_id":{"value":"e"},"framework_id":{"value":"f"},"subscribe":{}}"#;
        let headers = "Content-Type: application/json\r\n";
        client.write(post("/api/v1/executor", headers, body)).await;
        let Event::ExecutorSubscribed { stream, .. } = agent.event().await else {
            panic!("not a subscription");
        };
        let subscribed = executor::event::Subscribed {
            container_id: Some(run.to_wire()),
            ..Default::default()
        };
        let event = executor::Event {
            r#type: Some(executor::event::Type::Subscribed.into()),
            subscribed: Some(subscribed),
            ..Default::default()
        };
        agent.api.send_event(&stream, &event);
        streams.push((client, stream));
    }
    streams
}

async fn executors(agent: &AgentServed) -> [f64; 3] {
    let snapshot = agent.get("/metrics/snapshot").await.json();
    ["registering", "running", "terminating"].map(|phase| {
        snapshot[format!("slave/executors_{phase}")]
            .as_f64()
            .unwrap()
    })
}

#[tokio::test]
async fn executors_are_counted_by_how_far_they_are() {
    let (mut agent, work) = recorded().await;
    let runs: Vec<ContainerId> = work
        .executors()
        .iter()
        .filter_map(|delta| match delta {
            Delta::Executor(view) => Some(view.container_id.clone()),
            _ => None,
        })
        .collect();
    let live = executors(&agent).await[0];
    assert!(live >= 2.0);
    let streams = subscribe_all(&mut agent, &runs).await;
    assert_eq!(executors(&agent).await, [0.0, live, 0.0]);
    let shutdown = executor::Event {
        r#type: Some(executor::event::Type::Shutdown.into()),
        ..Default::default()
    };
    for (_, stream) in &streams {
        agent.api.send_event(stream, &shutdown);
    }
    assert_eq!(executors(&agent).await, [0.0, 0.0, live]);
}

#[tokio::test]
async fn metrics_have_the_names_of_mesos() {
    let (agent, _) = recorded().await;
    // What the node measures.
    let age = "slave/executor_directory_max_allowed_age_secs";
    agent.api.set_gauge(age, 7.0);
    agent.api.set_gauge("gc/path_removals_pending", 3.0);
    agent.api.removed(true);
    agent.api.set_counted(|| ContainerCounts {
        fetches_succeeded: 5,
        fetches_failed: 2,
        destroy_errors: 1,
    });
    let snapshot = agent.get("/metrics/snapshot").await.json();
    let ours = snapshot.as_object().unwrap().keys().cloned().collect();
    assert_shown_or_later(&golden("agent/metrics.txt"), &ours);
    for (name, value) in [
        ("slave/cpus_used", 1.2),
        ("slave/mem_used", 224.0),
        ("gc/path_removals_succeeded", 1.0),
        ("gc/path_removals_failed", 0.0),
        ("gc/path_removals_pending", 3.0),
        ("containerizer/fetcher/task_fetches_succeeded", 5.0),
        ("containerizer/fetcher/task_fetches_failed", 2.0),
        ("containerizer/mesos/container_destroy_errors", 1.0),
        (age, 7.0),
        ("slave/tasks_running", 1.0),
        ("slave/registered", 1.0),
    ] {
        assert_eq!(snapshot[name].as_f64(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_task_moves_through_its_lists_and_is_forgotten() {
    let (agent, work) = recorded().await;
    let Delta::Task {
        container_id, task, ..
    } = work.tasks().remove(0)
    else {
        panic!("no task");
    };
    let framework = FrameworkId::from(&task.framework_id);
    let lists = async |agent: &AgentServed| {
        let tasks: Response =
            from_json(call(agent, r#"{"type":"GET_TASKS"}"#).await.as_bytes()).unwrap();
        let tasks = tasks.get_tasks.unwrap();
        let has = |list: &Vec<v1::Task>| list.iter().any(|known| known.task_id == task.task_id);
        [
            has(&tasks.queued_tasks),
            has(&tasks.launched_tasks),
            has(&tasks.terminated_tasks),
            has(&tasks.completed_tasks),
        ]
    };
    for (place, list) in [
        TaskList::Queued,
        TaskList::Launched,
        TaskList::Terminated,
        TaskList::Completed,
    ]
    .into_iter()
    .enumerate()
    {
        let delta = Delta::Task {
            container_id: container_id.clone(),
            task: task.clone(),
            list,
        };
        agent.api.apply(&delta);
        let mut expected = [false; 4];
        expected[place] = true;
        assert_eq!(lists(&agent).await, expected, "{list:?}");
    }
    agent.api.apply(&Delta::TaskForgotten {
        framework: framework.clone(),
        container_id: container_id.clone(),
        task: TaskId::from(&task.task_id),
    });
    assert_eq!(lists(&agent).await, [false; 4]);
    agent.api.apply(&Delta::FrameworkForgotten(framework));
    assert!(
        !agent
            .get("/state")
            .await
            .text()
            .contains(container_id.value())
    );
}

#[tokio::test]
async fn an_agent_that_recovers_says_so() {
    let agent = agent_with(|_| {}).await;
    let fresh = support::unrecovered_agent().await;
    let body = r#"{"type":"GET_HEALTH"}"#;
    let headers = "Content-Type: application/json\r\n";
    let answer = fresh.post("/api/v1", headers, body).await;
    assert_eq!(
        (answer.code(), answer.text().as_str()),
        (503, "Agent has not finished recovery")
    );
    // Whether an executor may speak already is for the core to say.
    let beat = r#"{"type":"HEARTBEAT","executor_id":{"value":"e"},"framework_id":{"value":"f"}}"#;
    let answer = fresh.post("/api/v1/executor", headers, beat).await;
    assert_eq!(answer.code(), 202);
    assert_eq!(agent.post("/api/v1", headers, body).await.code(), 200);
}
