//! The agent dies after any write, also in the middle of one: the next life takes up all that is on
//! disk, and forgets nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use meseta_agent::event::{Effect, Event, MetaEntry};
use meseta_model::container::{ContainerReport, Termination};
use meseta_model::ids::ContainerId;
use meseta_model::step::{Effect as Wish, Write};
use meseta_model::task_state::is_terminal;
use meseta_proto::actor::Message;
use proptest::prelude::*;
use support::random::{Action, Test, action};
use support::watch::{Fate, TaskKey, records};
use support::world::apply;

type Meta = BTreeMap<String, MetaEntry>;

/// The disk after the first `count` writes, and part of the next if that is an append.
fn disk_after(writes: &[Write], count: usize, torn: f64) -> Meta {
    let mut meta = Meta::new();
    for write in &writes[..count] {
        apply(&mut meta, write);
    }
    if let Some(Write::Append { path, bytes }) = writes.get(count) {
        let part = (bytes.len() as f64 * torn) as usize;
        let bytes = bytes.slice(..part);
        let path = path.clone();
        apply(&mut meta, &Write::Append { path, bytes });
    }
    meta
}

/// Whether the last update in a task's file ends the task and is acknowledged.
fn is_settled(meta: &Meta, task_dir: &str) -> bool {
    let Some(entry) = meta.get(&format!("{task_dir}/task.updates")) else {
        return false;
    };
    let mut over = BTreeSet::new();
    let mut acknowledged = BTreeSet::new();
    for record in records(entry) {
        match record.update {
            Some(update) if is_terminal(update.status.state()) => {
                over.insert(update.uuid.unwrap());
            }
            Some(_) => {}
            None => {
                acknowledged.insert(record.uuid.unwrap());
            }
        }
    }
    !over.is_disjoint(&acknowledged)
}

/// The tasks on disk that are not over and acknowledged, by framework.
fn open_tasks(meta: &Meta) -> BTreeSet<(String, String)> {
    let mut open = BTreeSet::new();
    for path in meta.keys() {
        let Some(dir) = path.strip_suffix("/task.info") else {
            continue;
        };
        let parts: Vec<&str> = dir.split('/').collect();
        let [
            ..,
            "frameworks",
            framework,
            "executors",
            _,
            "runs",
            run,
            "tasks",
            task,
        ] = parts[..]
        else {
            panic!("{path}");
        };
        let run_dir = &dir[..dir.find(&format!("/{run}/")).unwrap() + run.len() + 1];
        let completed = meta.contains_key(&format!("{run_dir}/executor.sentinel"));
        // A task whose executor's infos could not be written was never given to it.
        let executor_dir = &run_dir[..run_dir.rfind("/runs/").unwrap()];
        let framework_dir = &dir[..dir.find("/executors/").unwrap()];
        let known = meta.contains_key(&format!("{executor_dir}/executor.info"))
            && meta.contains_key(&format!("{framework_dir}/framework.info"));
        let latest = match meta.get(&format!("{executor_dir}/runs/latest")) {
            Some(MetaEntry::Symlink { target, .. }) => target == run,
            _ => false,
        };
        // An older run was over before the latest began.
        if known && latest && !completed && !is_settled(meta, dir) {
            open.insert((framework.to_owned(), task.to_owned()));
        }
    }
    open
}

/// The tasks that an executor was given by then, and whose end was not acknowledged.
fn given_by(history: &[(usize, TaskKey, Fate)], count: usize) -> BTreeSet<TaskKey> {
    let mut given = BTreeSet::new();
    for (written, task, fate) in history {
        if *written <= count {
            match fate {
                Fate::Given => given.insert(task.clone()),
                Fate::Settled => given.remove(task),
            };
        }
    }
    given
}

/// Starts an agent on this disk, lets it register, and ends all its containers. `given` tasks of
/// the checkpointing framework must still be known.
fn check(meta: Meta, given: &BTreeSet<TaskKey>) {
    let mut test = Test::default();
    test.script.world.meta = meta;
    let wishes = test.script.run_watched("start", &mut |_, _| {});
    let mut containers = Vec::new();
    for wish in &wishes {
        match wish {
            Wish::Do {
                effect: Effect::RecoverContainers(found),
                ..
            } => containers = found.clone(),
            Wish::Do {
                effect: Effect::Exit { reason },
                ..
            } => panic!("{reason}"),
            _ => {}
        }
    }
    let mut told = BTreeSet::new();
    for line in ["detect", "advance 5secs", "reregistered"] {
        for wish in test.script.run_watched(line, &mut |_, _| {}) {
            if let Wish::Do {
                effect: Effect::Send { message, .. },
                ..
            } = wish
                && let Message::ReregisterSlave(message) = *message
            {
                let tasks = message.tasks.into_iter();
                told.extend(tasks.map(|task| (task.framework_id.value, task.task_id.value)));
            }
        }
    }
    for task in given.iter().filter(|(framework, _)| framework == "f") {
        assert!(told.contains(task), "{task:?} is forgotten");
    }
    let open = told;
    for container in containers {
        test.event(Event::Container(ContainerReport::Terminated {
            container_id: container.container_id,
            termination: Termination::default(),
        }));
    }
    // What never ran starts once more, and fails.
    for run in std::mem::take(&mut test.watch.runs) {
        for (framework, task) in given {
            let path = format!("/frameworks/{framework}/");
            let ending = format!("/runs/{run}/tasks/{task}/task.info");
            let mut paths = test.script.world.meta.keys();
            let has_it = paths.any(|found| found.contains(&path) && found.ends_with(&ending));
            assert!(!has_it, "{framework} {task} would start twice");
        }
        test.event(Event::Container(ContainerReport::LaunchFailed {
            container_id: ContainerId::root(run),
            message: "no such file".to_owned(),
        }));
    }
    test.settle();
    for task in &open {
        let last = test.watch.in_flight.get(task);
        let state = last.map(|update| update.status.state());
        assert!(state.is_some_and(is_terminal), "{task:?}: {state:?}");
    }
    assert_eq!(open_tasks(&test.script.world.meta), BTreeSet::new());
    test.line("restart");
    assert_eq!(test.watch.exited, None);
}

/// Every kind of write there is, and every order of them that one life makes.
#[test]
fn any_write_may_be_the_last() {
    let mut test = Test::new();
    for line in [
        "disk fails",
        "run-task f f.5",
        "disk works",
        "advance 1secs",
        "run-task f f.0",
        "container launched c1",
        "subscribe f f.0 stream=s1",
        "update f f.0 f.0 TASK_RUNNING 1",
        "run-task f f.1 executor=e1",
        "run-task f f.2 executor=e1",
        "container launched c2",
        "subscribe f e1 stream=s2",
        "update f e1 f.1 TASK_RUNNING 2",
        "update f e1 f.1 TASK_FINISHED 3",
    ] {
        test.run(&Action::Line(line.to_owned()));
    }
    for _ in 0..4 {
        test.run(&Action::Acknowledge(0));
        test.run(&Action::Acknowledge(1));
    }
    for line in [
        "run-task f f.1 executor=e1",
        "kill f f.2",
        "update f e1 f.2 TASK_KILLED 4",
        "update f f.0 f.0 TASK_FINISHED 5",
        "container terminated c1 status=0",
        "checkpoint-resources role=r",
    ] {
        test.run(&Action::Line(line.to_owned()));
    }
    test.run(&Action::Acknowledge(0));
    let writes = test.script.world.written.clone();
    let kinds = |name: &str| {
        writes
            .iter()
            .filter(|w| format!("{w:?}").contains(name))
            .count()
    };
    for file in [
        "boot_id",
        "slave.info",
        "slaves/latest",
        "framework.info",
        "framework.pid",
        "executor.info",
        "executor_generated",
        "runs/latest",
        "forked.pid",
        "http.marker",
        "task.info",
        "task.updates",
        "executor.sentinel",
        "resources.info",
        "meseta.format",
    ] {
        assert!(kinds(file) > 0, "no write of {file}");
    }
    for count in 0..=writes.len() {
        let given = given_by(&test.watch.history, count);
        for torn in [0.0, 0.3, 0.99] {
            check(disk_after(&writes, count, torn), &given);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_life_may_end_anywhere(
        actions in prop::collection::vec(action(), 1..80),
        cut in 0.0..1.0f64,
        torn in 0.0..1.0f64,
        busy in any::<bool>(),
    ) {
        let mut test = if busy { Test::busy() } else { Test::new() };
        for action in &actions {
            test.run(action);
        }
        let writes = &test.script.world.written;
        let count = (writes.len() as f64 * cut) as usize;
        let given = given_by(&test.watch.history, count);
        check(disk_after(writes, count, torn), &given);
    }
}
