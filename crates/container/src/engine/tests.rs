//! The bounds of the engine, reached without starting anything.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use meseta_model::container::{ContainerClass, LaunchSpec, Program};
use meseta_proto::mesos::v1::CommandInfo;

use super::*;
use crate::cgroup::{Cgroups, Hierarchy};
use crate::isolation::Isolation;
use crate::limits::{CONTAINERS, ENDED_RECORDS};

fn engine(directory: &Path) -> (Engine, Receiver<ContainerReport>) {
    let (sender, reports) = channel();
    let report = Box::new(move |report| sender.send(report).unwrap());
    let config = Config::new(directory.join("runtime"));
    let queue = Arc::new(Queue::new().unwrap());
    let engine = Engine::new(config, queue, report, Arc::default()).unwrap();
    (engine, reports)
}

fn spec(id: &ContainerId) -> LaunchSpec {
    LaunchSpec {
        container_id: id.clone(),
        class: ContainerClass::Default,
        program: Program::Command(CommandInfo {
            value: Some("true".to_owned()),
            ..CommandInfo::default()
        }),
        environment: BTreeMap::new(),
        user: None,
        sandbox: "/nowhere".to_owned(),
        create_sandbox: false,
        uris: Vec::new(),
        limits: ContainerLimits::default(),
        rlimits: Vec::new(),
        container: None,
    }
}

#[test]
fn one_container_more_than_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, reports) = engine(directory.path());
    for number in 0..CONTAINERS {
        engine
            .containers
            .insert(ContainerId::root(format!("c{number}")), Container::new());
    }
    let id = ContainerId::root("one-more");
    engine.launch(&spec(&id));
    let message = "the agent has 16384 containers, its limit".to_owned();
    let expected = ContainerReport::LaunchFailed {
        container_id: id.clone(),
        message,
    };
    assert_eq!(reports.try_recv(), Ok(expected));
    assert!(!engine.runtime.record(&id).exists());
}

#[test]
fn a_supervisor_that_cannot_be_started_leaves_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, reports) = engine(directory.path());
    engine.config.roles.program = "/no/such/binary".to_owned();
    let id = ContainerId::root("a");
    engine.launch(&spec(&id));
    let message = "cannot start a supervisor: No such file or directory (os error 2)".to_owned();
    let expected = ContainerReport::LaunchFailed {
        container_id: id.clone(),
        message,
    };
    assert_eq!(reports.try_recv(), Ok(expected));
    assert!(!engine.runtime.record(&id).exists());
    assert!(engine.containers.is_empty());
}

#[test]
fn the_records_of_the_ended_are_kept_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, _reports) = engine(directory.path());
    let ids: Vec<ContainerId> = (0..=ENDED_RECORDS)
        .map(|number| ContainerId::root(format!("c{number:03}")))
        .collect();
    for id in &ids {
        engine.runtime.record(id).create().unwrap();
        engine.containers.insert(id.clone(), Container::new());
        engine.finish(id);
    }
    assert_eq!(engine.runtime.list(), ids[1..]);
}

#[test]
fn groups_that_cannot_be_removed_in_time_delay_the_report_and_do_not_prevent_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, reports) = engine(directory.path());
    let mount = directory.path().join("cgroup");
    let hierarchy = Hierarchy::V2 {
        mount: mount.clone(),
        cpu: false,
        memory: false,
    };
    let cgroups = Cgroups {
        hierarchy,
        root: "mesos".to_owned(),
        enable_cfs: false,
    };
    engine.config.isolation = Isolation {
        cgroups: Some(cgroups),
    };
    let id = ContainerId::root("a");
    std::fs::create_dir_all(mount.join("mesos/a/busy")).unwrap();
    engine.containers.insert(id.clone(), Container::new());

    engine.remove(&id, Instant::now() + Duration::from_secs(60));
    assert!(reports.try_recv().is_err());
    let (at, waiting) = engine.deadlines.first().cloned().unwrap();
    assert_eq!(waiting, id);
    assert!(
        at <= Instant::now() + Duration::from_secs(1),
        "tried again soon"
    );

    engine.remove(&id, Instant::now());
    assert!(matches!(
        reports.try_recv(),
        Ok(ContainerReport::Terminated { .. })
    ));
    assert!(engine.deadlines.is_empty() && engine.containers.is_empty());
    assert_eq!(engine.counts.destroy_errors(), 1);
}

#[test]
fn children_are_those_one_level_below() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, _reports) = engine(directory.path());
    let a = ContainerId::root("a");
    let (b, c) = (a.child("b").unwrap(), a.child("c").unwrap());
    let below = b.child("d").unwrap();
    let others = [
        ContainerId::root("a0"),
        ContainerId::root("ab"),
        ContainerId::root("0"),
    ];
    for id in [&a, &b, &c, &below].into_iter().chain(&others) {
        engine.containers.insert(id.clone(), Container::new());
    }
    assert_eq!(engine.children(&a), [b.clone(), c]);
    assert_eq!(engine.children(&b), std::slice::from_ref(&below));
    assert_eq!(engine.children(&below), []);
    assert_eq!(parent(&below), Some(b));
    assert_eq!(parent(&a), None);
}
