//! Processes are killed in the middle of work; no task is lost, none is done twice.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Cluster, eventually, report};

/// Every task started exactly once.
fn assert_each_started_once(cluster: &Cluster, tasks: usize) {
    let started = cluster.started();
    let distinct: BTreeSet<&String> = started.iter().collect();
    assert_eq!((started.len(), distinct.len()), (tasks, tasks));
}

/// So many tasks that each take so long, of a framework that wants them checkpointed.
fn checkpointed(cluster: &Cluster, executor: &str, tasks: usize, task_ms: u64) -> Child {
    let (tasks, task_ms) = (tasks.to_string(), task_ms.to_string());
    cluster.load(&[
        "--tasks",
        &tasks,
        "--executor",
        executor,
        "--checkpoint",
        "--task-ms",
        &task_ms,
    ])
}

/// Kills the agent once `started` tasks run, of `tasks` that each take three seconds.
fn agent_killed_in_the_middle(executor: &str, started: usize, tasks: usize) {
    let mut cluster = Cluster::start(&[], &[]);
    let load = checkpointed(&cluster, executor, tasks, 3_000);
    eventually("enough tasks have started", || {
        (cluster.started().len() >= started).then_some(())
    });
    cluster.agent.kill();
    cluster.agent.restart();
    let (well, report) = report(load);
    assert!(well, "{report}");
    assert_each_started_once(&cluster, tasks);
}

#[test]
fn an_agent_killed_loses_no_task_of_a_custom_executor() {
    agent_killed_in_the_middle("custom", 50, 100);
}

#[test]
fn an_agent_killed_loses_no_command_task() {
    agent_killed_in_the_middle("command", 100, 100);
}

/// How long each life of the agent lasts after it listens: into its recovery, its registration, its
/// launches, and the work of those.
const LIVES_MS: [u64; 8] = [0, 20, 60, 130, 250, 400, 700, 1_100];

/// Kills the agent as soon as all tasks have reached its disk, and then again and again while it
/// starts them: some wait, some are being started, some run, some are over.
fn agent_killed_while_it_starts(executor: &str) {
    const TASKS: usize = 100;
    let mut cluster = Cluster::start(&[], &[]);
    let load = checkpointed(&cluster, executor, TASKS, 300);
    eventually("all tasks are on the agent's disk", || {
        (cluster.agent_files("task.info") >= TASKS).then_some(())
    });
    assert!(
        cluster.started().len() < TASKS,
        "nothing is left to be interrupted"
    );
    for life in LIVES_MS {
        cluster.agent.kill();
        cluster.agent.restart();
        let end = Instant::now() + Duration::from_millis(life);
        while Instant::now() < end {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
    }
    let (well, report) = report(load);
    assert!(well, "{report}");
    assert_eq!(report["finished"], TASKS, "{report}");
    assert_each_started_once(&cluster, TASKS);
}

#[test]
fn an_agent_killed_while_it_starts_command_tasks_starts_each_once() {
    agent_killed_while_it_starts("command");
}

#[test]
fn an_agent_killed_while_it_starts_an_executor_gives_it_each_task_once() {
    agent_killed_while_it_starts("custom");
}

#[test]
fn without_checkpoints_the_tasks_of_a_lost_agent_are_lost() {
    let mut cluster = Cluster::start(&[], &[]);
    let load = cluster.load(&[
        "--tasks",
        "10",
        "--executor",
        "command",
        "--task-ms",
        "600000",
        "--limit",
        "30",
    ]);
    eventually("all tasks have started", || {
        (cluster.started().len() == 10).then_some(())
    });
    cluster.agent.kill();
    let (well, report) = report(load);
    assert!(!well, "{report}");
    assert_eq!(
        (&report["not_over"], &report["finished"]),
        (&0.into(), &0.into()),
        "{report}"
    );
    // compat: TASK_LOST even for partition-aware frameworks, as Mesos says it.
    assert_eq!(report["other_ends"]["TASK_LOST"], 10, "{report}");
}

#[test]
fn a_cleanup_ends_what_the_agent_knew_and_what_it_did_not() {
    let mut cluster = Cluster::start(&[], &[]);
    let mut loads = Vec::new();
    for extra in [&["--checkpoint"][..], &[]] {
        let mut arguments = vec!["--tasks", "10", "--executor", "command"];
        arguments.extend(["--task-ms", "600000", "--limit", "50"]);
        arguments.extend(extra);
        loads.push(cluster.load(&arguments));
    }
    eventually("all tasks have started", || {
        (cluster.started().len() == 20).then_some(())
    });
    // Each task, and its executor.
    assert!(cluster.processes().len() >= 40);
    let output = cluster.clean_up().expect("it starts");
    for mut load in loads {
        load.kill().expect("it waits for its tasks");
        load.wait().expect("our child");
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(cluster.processes(), Vec::<String>::new());
}

#[test]
fn a_master_killed_finds_everything_again() {
    let mut cluster = Cluster::start(&[], &[]);
    let load = checkpointed(&cluster, "custom", 50, 4_000);
    eventually("all tasks have started", || {
        (cluster.started().len() == 50).then_some(())
    });
    cluster.master.kill();
    cluster.master.restart();
    let back = Instant::now();
    eventually("the agent is back", || {
        cluster.master.has_active_agents(1).then_some(())
    });
    let took = back.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "the agent took {took:?} to come back"
    );
    let (well, report) = report(load);
    assert!(well, "{report}");
    assert_eq!(report["resubscribed"], 1, "{report}");
    assert_each_started_once(&cluster, 50);
}

#[test]
fn an_agent_that_stands_still_becomes_unreachable_and_comes_back() {
    let pings = ["--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2"];
    let cluster = Cluster::start(&pings, &[]);
    let load = checkpointed(&cluster, "custom", 5, 8_000);
    eventually("all tasks have started", || {
        (cluster.started().len() == 5).then_some(())
    });
    cluster.agent.signal(Signal::STOP);
    let unreachable = || {
        let tasks = cluster.master.call("GET_TASKS")?;
        let unreachable = tasks["get_tasks"]["unreachable_tasks"].as_array()?;
        (unreachable.len() == 5).then_some(())
    };
    eventually("its tasks are unreachable", unreachable);
    cluster.agent.signal(Signal::CONT);
    eventually("the agent is back", || {
        cluster.master.has_active_agents(1).then_some(())
    });
    let (well, report) = report(load);
    assert!(well, "{report}");
    assert_each_started_once(&cluster, 5);
}

#[test]
fn an_executor_killed_fails_its_tasks_and_the_agent_goes_on() {
    let cluster = Cluster::start(&[], &[]);
    let load = cluster.load(&[
        "--tasks",
        "3",
        "--executor",
        "custom",
        "--task-ms",
        "600000",
    ]);
    eventually("all tasks have started", || {
        (cluster.started().len() == 3).then_some(())
    });
    let ledger = cluster.scratch.path("ledger").display().to_string();
    for pid in processes_with(&["load-executor", &ledger]) {
        rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
    }
    let (well, report) = report(load);
    assert!(!well, "{report}");
    assert_eq!(report["other_ends"]["TASK_FAILED"], 3, "{report}");
    let hello = cluster.run(&["run", "--", "echo", "still here"]);
    assert_eq!(hello.status.code(), Some(0));
}

/// Processes on whose command line all these words are.
fn processes_with(words: &[&str]) -> Vec<rustix::process::Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if words.iter().all(|word| line.contains(word)) {
            found.extend(rustix::process::Pid::from_raw(pid));
        }
    }
    assert!(!found.is_empty(), "no process with {words:?}");
    found
}
