//! The roles of the room, and an agent to drive it, as processes for the tests.
//!
//! `agent DIR [ROOT | v2:MOUNT:ROOT]` (cgroups) takes one JSON object a line on standard input and prints one a line
//! for each report. It ends like an agent that crashes: by `kill -9`, or when its input ends.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test program: it may panic

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;

use meseta_container::cgroup::{Cgroups, Hierarchy};
use meseta_container::{
    Config, Containerizer, Isolation, IsolationFlags, TaskSpec, fetch_main, launch_main, spawn_task,
};
use meseta_model::container::{
    ContainerClass, ContainerLimits, ContainerReport, LaunchSpec, Program, RecoverableContainer,
};
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1;
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let code = match arguments.first().map(String::as_str) {
        Some("launch") => launch_main(executor),
        Some("fetch") => fetch_main(),
        Some("agent") => agent(&arguments[1..]),
        _ => 64,
    };
    std::process::exit(code);
}

/// Stands for the command executor: runs one task and passes its exit code on.
fn executor(environment: &BTreeMap<String, String>) -> i32 {
    let command = v1::CommandInfo {
        value: Some(environment["TASK"].clone()),
        ..Default::default()
    };
    let task = spawn_task(&TaskSpec {
        command,
        ..TaskSpec::default()
    })
    .unwrap();
    task.wait().unwrap().shell_code()
}

fn agent(arguments: &[String]) -> i32 {
    let mut config = Config::new(PathBuf::from(&arguments[0]));
    if let Some(root) = arguments.get(1).and_then(|root| root.strip_prefix("v2:")) {
        // Without controllers: the only ones of a host whose controllers are bound to version 1.
        let (mount, root) = root.split_once(':').unwrap();
        let hierarchy = Hierarchy::V2 {
            mount: PathBuf::from(mount),
            cpu: false,
            memory: false,
        };
        let root = root.to_owned();
        config.isolation = Isolation {
            cgroups: Some(Cgroups {
                hierarchy,
                root,
                enable_cfs: false,
            }),
        };
    } else if let Some(root) = arguments.get(1) {
        config.isolation = Isolation::select(&IsolationFlags {
            isolation: "cgroups/cpu,cgroups/mem".to_owned(),
            cgroups_root: root.clone(),
            ..IsolationFlags::default()
        })
        .unwrap();
    }
    config.fetch_stall_timeout = std::time::Duration::from_secs(2);
    let room = Containerizer::start(config, |report| print(&report_json(&report))).unwrap();
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (name, value) = command.as_object().unwrap().iter().next().unwrap();
        obey(&room, name, value);
    }
    0
}

fn obey(room: &Containerizer, name: &str, value: &Value) {
    match name {
        "counts" => {
            let counts = room.counts();
            print(&json!({ "counts": {
                "fetches_succeeded": counts.fetches_succeeded(),
                "fetches_failed": counts.fetches_failed(),
                "destroy_errors": counts.destroy_errors(),
            } }));
        }
        "launch" => room.launch(spec(value)).unwrap(),
        "release" => room.release(id(value)),
        "destroy" => room.destroy(id(value)),
        "recover" => room.recover(value.as_array().unwrap().iter().map(recoverable).collect()),
        "update" => room.update(id(&value["id"]), limits(&value["limits"])),
        "usage" => {
            let reply = |usage: Option<v1::ResourceStatistics>| {
                let usage = usage.map(|usage| {
                    json!({
                        "processes": usage.processes, "threads": usage.threads,
                        "rss": usage.mem_rss_bytes, "user": usage.cpus_user_time_secs,
                        "limit": usage.mem_limit_bytes, "total": usage.mem_total_bytes,
                    })
                });
                print(&json!({ "usage": usage }));
            };
            room.usage(id(value), Box::new(reply)).unwrap();
        }
        other => panic!("no command {other}"),
    }
}

fn print(value: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}

fn report_json(report: &ContainerReport) -> Value {
    match report {
        ContainerReport::Launched { container_id, pid } => {
            json!({ "id": container_id.path(), "launched": pid })
        }
        ContainerReport::LaunchFailed {
            container_id,
            message,
        } => {
            json!({ "id": container_id.path(), "failed": message })
        }
        ContainerReport::Terminated {
            container_id,
            termination,
        } => {
            let limitation = termination.limitation.as_ref();
            json!({
                "id": container_id.path(),
                "terminated": {
                    "status": termination.wait_status,
                    "reason": limitation.map(|l| l.reason.as_str_name()),
                    "message": termination.message,
                }
            })
        }
        ContainerReport::NeverReleased { container_id } => {
            json!({ "id": container_id.path(), "never_released": true })
        }
        ContainerReport::OrphansFound { containers } => {
            let paths = containers.iter().map(ContainerId::path);
            json!({ "orphans": paths.collect::<Vec<_>>() })
        }
    }
}

fn id(value: &Value) -> ContainerId {
    let path: Vec<&str> = value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    let (first, rest) = path.split_first().unwrap();
    rest.iter().fold(ContainerId::root(*first), |id, element| {
        id.child(*element).unwrap()
    })
}

fn recoverable(value: &Value) -> RecoverableContainer {
    RecoverableContainer {
        container_id: id(&value["id"]),
        pid: value["pid"].as_u64().map(|pid| pid.try_into().unwrap()),
        sandbox: value["sandbox"].as_str().unwrap_or("/").to_owned(),
    }
}

fn limits(value: &Value) -> ContainerLimits {
    ContainerLimits {
        cpus_millis: value["cpus"].as_i64().unwrap_or(100),
        cpus_limit_millis: value["cpus_limit"].as_i64(),
        mem_bytes: value["mem"].as_u64(),
        mem_limit_bytes: value["mem_limit"].as_u64(),
    }
}

fn spec(value: &Value) -> LaunchSpec {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let environment: BTreeMap<String, String> = value["environment"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value).unwrap()))
        .collect();
    let arguments: Vec<String> = list(&value["argv"]).iter().filter_map(text).collect();
    let program = match text(&value["shell"]) {
        Some(line) => Program::Command(v1::CommandInfo {
            value: Some(line),
            ..Default::default()
        }),
        None if arguments.is_empty() => Program::CommandExecutor,
        None => Program::Command(v1::CommandInfo {
            shell: Some(false),
            value: arguments.first().cloned(),
            arguments,
            ..Default::default()
        }),
    };
    let uri = |uri: &Value| v1::command_info::Uri {
        value: text(&uri["value"]).unwrap(),
        executable: uri["executable"].as_bool(),
        extract: uri["extract"].as_bool(),
        output_file: text(&uri["output_file"]),
        ..Default::default()
    };
    let rlimit = |limit: &Value| v1::r_limit_info::RLimit {
        r#type: limit["type"]
            .as_i64()
            .map(|number| number.try_into().unwrap()),
        soft: limit["soft"].as_u64(),
        hard: limit["hard"].as_u64(),
    };
    LaunchSpec {
        container_id: id(&value["id"]),
        class: ContainerClass::Default,
        program,
        environment,
        user: text(&value["user"]),
        sandbox: text(&value["sandbox"]).unwrap(),
        create_sandbox: true,
        uris: list(&value["uris"]).iter().map(uri).collect(),
        limits: limits(&value["limits"]),
        rlimits: list(&value["rlimits"]).iter().map(rlimit).collect(),
        container: None,
    }
}
