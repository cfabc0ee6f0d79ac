//! From files to what they say: what Mesos leaves, what a crash leaves, and damage.

use super::*;
use meseta_model::resources::ResourceFormat;

fn file(path: &str, bytes: impl Into<Bytes>) -> MetaEntry {
    MetaEntry::File {
        path: path.to_owned(),
        bytes: bytes.into(),
    }
}

fn link(path: &str, target: &str) -> MetaEntry {
    MetaEntry::Symlink {
        path: path.to_owned(),
        target: target.to_owned(),
    }
}

fn slave_info() -> internal::SlaveInfo {
    internal::SlaveInfo {
        hostname: "host".to_owned(),
        port: Some(5051),
        resources: Resources::of(&[("cpus", 2.0)]).to_wire(ResourceFormat::PreRefinement),
        id: Some(v1::AgentId {
            value: "m-S0".to_owned(),
        }),
        checkpoint: Some(true),
        ..Default::default()
    }
}

fn executor_info() -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId {
            value: "t".to_owned(),
        },
        name: Some("Command Executor (Task: t) (Command: sh -c 'true')".to_owned()),
        command: Some(v1::CommandInfo {
            value: Some("/usr/libexec/mesos/mesos-executor".to_owned()),
            ..Default::default()
        }),
        resources: Resources::of(&[("cpus", 0.1)]).to_wire(ResourceFormat::PreRefinement),
        ..Default::default()
    }
}

fn framework_info() -> v1::FrameworkInfo {
    v1::FrameworkInfo {
        user: "root".to_owned(),
        name: "n".to_owned(),
        checkpoint: Some(true),
        ..Default::default()
    }
}

fn task_info() -> v1::Task {
    v1::Task {
        name: "t".to_owned(),
        task_id: v1::TaskId {
            value: "t".to_owned(),
        },
        framework_id: v1::FrameworkId {
            value: "f".to_owned(),
        },
        agent_id: v1::AgentId {
            value: "m-S0".to_owned(),
        },
        state: v1::TaskState::TaskStaging.into(),
        ..Default::default()
    }
}

const FRAMEWORK: &str = "slaves/m-S0/frameworks/f";
const EXECUTOR: &str = "slaves/m-S0/frameworks/f/executors/t";
const RUN: &str = "slaves/m-S0/frameworks/f/executors/t/runs/c";

/// What an agent of Mesos leaves: absolute links, resources in the older form.
fn meta() -> Vec<MetaEntry> {
    vec![
        file("boot_id", "boot\n"),
        link("slaves/latest", "/var/lib/mesos/meta/slaves/m-S0"),
        file("slaves/m-S0/slave.info", checkpoint::record(&slave_info())),
        file("slaves/m-S9/slave.info", checkpoint::record(&slave_info())),
        file(
            &format!("{FRAMEWORK}/framework.info"),
            checkpoint::record(&framework_info()),
        ),
        file(&format!("{FRAMEWORK}/framework.pid"), "@0.0.0.0:0"),
        file(
            &format!("{EXECUTOR}/executor.info"),
            checkpoint::record(&executor_info()),
        ),
        link(&format!("{EXECUTOR}/runs/latest"), &format!("/x/{RUN}/")),
        file(&format!("{RUN}/pids/forked.pid"), "123"),
        file(
            &format!("{RUN}/tasks/t/task.info"),
            checkpoint::record(&task_info()),
        ),
    ]
}

fn framework(recovered: Recovered) -> RecoveredFramework {
    recovered.agent.unwrap().frameworks.remove(0)
}

fn replaced(ending: &str, bytes: impl Into<Bytes>) -> Vec<MetaEntry> {
    let mut meta = meta();
    let found = meta.iter_mut().find_map(|entry| match entry {
        MetaEntry::File { path, bytes } if path.ends_with(ending) => Some(bytes),
        _ => None,
    });
    *found.unwrap() = bytes.into();
    meta
}

#[test]
fn reads_what_an_agent_of_mesos_left() {
    let recovered = read(&meta(), "boot", true).unwrap();
    assert!(!recovered.rebooted);
    assert_eq!(recovered.old_agents, [AgentId::from("m-S9")]);
    let agent = recovered.agent.as_ref().unwrap();
    assert_eq!(
        agent.info.resources,
        Resources::of(&[("cpus", 2.0)]).to_wire(ResourceFormat::PostRefinement)
    );
    let framework = framework(recovered);
    assert_eq!(framework.pid, None);
    assert_eq!(framework.info.unwrap().id.unwrap().value, "f");
    let executor = &framework.executors[0];
    assert!(executor.generated);
    assert_eq!(executor.latest, Some(ContainerId::root("c")));
    let run = &executor.runs[0];
    assert_eq!((run.forked_pid, run.completed), (Some(123), false));
    assert_eq!(run.tasks[0].task, task_info());
}

#[test]
fn another_boot_is_noticed_and_an_unknown_one_is_none() {
    assert!(read(&meta(), "boot-2", true).unwrap().rebooted);
    let mut meta = meta();
    meta.retain(|entry| !matches!(entry, MetaEntry::File { path, .. } if path == "boot_id"));
    assert!(!read(&meta, "boot-2", true).unwrap().rebooted);
}

#[test]
fn drivers_and_marks_are_read() {
    let mut meta = replaced("framework.pid", "scheduler-1@127.0.0.1:99");
    meta.push(file(&format!("{RUN}/executor.sentinel"), ""));
    meta.push(file(
        &format!("{EXECUTOR}/executor_generated_for_command_task"),
        "0",
    ));
    let framework = framework(read(&meta, "boot", true).unwrap());
    assert_eq!(
        framework.pid.unwrap().to_string(),
        "scheduler-1@127.0.0.1:99"
    );
    assert!(framework.executors[0].runs[0].completed);
    assert!(!framework.executors[0].generated);
}

#[test]
fn empty_files_never_happened() {
    assert_eq!(
        read(&replaced("slave.info", ""), "boot", true)
            .unwrap()
            .agent,
        None
    );
    let of = |ending| framework(read(&replaced(ending, ""), "boot", true).unwrap());
    assert_eq!(of("framework.info").info, None);
    assert_eq!(of("executor.info").executors[0].info, None);
    assert_eq!(of("task.info").executors[0].runs[0].tasks, []);
    assert_eq!(of("forked.pid").executors[0].runs[0].forked_pid, None);
}

#[test]
fn damage_stops_a_strict_start_and_is_counted_by_another() {
    let whole = |what: &str| format!("Failed to read {what} from '");
    for (ending, what) in [
        ("m-S0/slave.info", "agent info"),
        ("framework.info", "framework info"),
        ("executor.info", "executor info"),
        ("task.info", "task info"),
        ("forked.pid", "executor forked pid"),
    ] {
        for damage in [&b"\x02\0\0\0\xff\xff"[..], b"\xff\xff\xff\xff", b"x"] {
            let meta = replaced(ending, Bytes::from_static(damage));
            let error = read(&meta, "boot", true).unwrap_err().to_string();
            assert!(error.starts_with(&whole(what)), "{error}");
            assert_eq!(read(&meta, "boot", false).unwrap().errors, 1, "{ending}");
        }
    }
}

#[test]
fn updates_count_up_to_the_first_that_is_torn() {
    let update = checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Ack.into(),
        update: None,
        uuid: Some(Bytes::from_static(&[7; 16])),
    });
    let torn = [&update[..], &update[..9]].concat();
    let too_long = [&update[..], b"\xff\xff\xff\x7f"].concat();
    for bytes in [torn, too_long] {
        let mut meta = meta();
        meta.push(file(&format!("{RUN}/tasks/t/task.updates"), bytes));
        let framework = framework(read(&meta, "boot", true).unwrap());
        let task = &framework.executors[0].runs[0].tasks[0];
        assert_eq!(task.acks.len(), 1);
        assert!(task.torn);
    }
}

#[test]
fn resources_are_a_row_of_records() {
    let wire = Resources::of(&[("cpus", 1.0), ("mem", 2.0)]);
    let mut bytes = Vec::new();
    for resource in wire.to_wire(ResourceFormat::PreRefinement) {
        bytes.extend_from_slice(&checkpoint::record(&resource));
    }
    let mut entries = vec![file("resources/resources.info", bytes.clone())];
    let recovered = read(&entries, "boot", true).unwrap();
    assert_eq!(recovered.checkpointed, wire);
    bytes.pop();
    entries[0] = file("resources/resources.info", bytes);
    assert!(read(&entries, "boot", true).is_err());
    assert_eq!(read(&entries, "boot", false).unwrap().errors, 1);
}

#[test]
fn checkpoints_of_a_newer_version_are_left_alone() {
    let error = read(&[file("meseta.format", "2")], "boot", false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "'meseta.format' says that these checkpoints are of format 2; this version of Meseta \
         understands 1"
    );
}

#[test]
fn nothing_in_the_way_of_a_path_breaks_the_tree() {
    let entries = [
        file("a", "x"),
        file("a/b", "y"),
        file("/slaves//m/slave.info", ""),
        file("", "z"),
    ];
    assert_eq!(read(&entries, "boot", true).unwrap().agent, None);
}
