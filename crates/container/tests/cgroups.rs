//! Bounds by control groups, as root on a version 1 host: they hold, and nothing is left.

#![allow(clippy::unwrap_used)]

mod room;

use std::fs;
use std::path::{Path, PathBuf};

use room::{NONE, Who, World, await_that, is_gone, is_root};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// A world with cgroups of its own; `None` where there is no right or no version 1 to test.
fn world(name: &str) -> Option<World> {
    let mounted = |name: &str| {
        Path::new("/sys/fs/cgroup")
            .join(name)
            .join("cgroup.procs")
            .exists()
    };
    if !is_root()
        || !["cpu", "cpuacct", "memory", "freezer"]
            .into_iter()
            .all(mounted)
    {
        println!("needs root and cgroup version 1");
        return None;
    }
    let mut world = World::new(Who::Me);
    world.cgroups_root = Some(format!("meseta-test-{name}-{}", std::process::id()));
    Some(world)
}

fn group(world: &World, subsystem: &str, id: &str) -> PathBuf {
    let root = world.cgroups_root.as_ref().unwrap();
    Path::new("/sys/fs/cgroup")
        .join(subsystem)
        .join(root)
        .join(id)
}

fn control(world: &World, subsystem: &str, name: &str) -> String {
    fs::read_to_string(group(world, subsystem, "a").join(name))
        .unwrap()
        .trim()
        .to_owned()
}

fn bounded(world: &World, line: &str) -> Value {
    let mut spec = world.shell("a", line);
    spec["limits"] =
        json!({ "cpus": 500, "cpus_limit": 1500, "mem": 40 * MIB, "mem_limit": 48 * MIB });
    spec
}

#[test]
fn every_process_is_a_member_from_its_first_instruction_and_bounds_are_written() {
    let Some(world) = world("bounds") else { return };
    let mut agent = world.agent();
    agent.launch_and_release(&bounded(
        &world,
        "cat /proc/self/cgroup; (setsid sleep 1000 &); cat",
    ));
    agent.say(&json!({ "destroy": ["a"] }));
    agent.ended(&["a"]);

    let mut spec = bounded(
        &world,
        "cat /proc/self/cgroup; touch there; exec sleep 1000",
    );
    spec["id"] = json!(["b"]);
    spec["sandbox"] = json!(world.sandbox("b"));
    agent.launch_and_release(&spec);
    await_that("the start", || world.sandbox("b").join("there").exists());
    let of = |subsystem: &str, name: &str| {
        fs::read_to_string(group(&world, subsystem, "b").join(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(of("cpu", "cpu.shares"), "512");
    assert_eq!(of("cpu", "cpu.cfs_quota_us"), "150000");
    assert_eq!(
        of("memory", "memory.soft_limit_in_bytes"),
        (40 * MIB).to_string()
    );
    assert_eq!(
        of("memory", "memory.limit_in_bytes"),
        (48 * MIB).to_string()
    );
    let membership = world.read("b", "stdout");
    let root = world.cgroups_root.clone().unwrap();
    for subsystem in ["cpu", "cpuacct", "memory", "freezer"] {
        assert!(
            membership.contains(&format!("{subsystem}:/{root}/b\n")),
            "{membership}"
        );
    }

    // Raised, then not lowered.
    let update = |mem: u64| {
        json!({ "update": {
        "id": ["b"], "limits": { "cpus": 1000, "mem": mem * MIB, "mem_limit": mem * MIB },
    } })
    };
    agent.say(&update(64));
    let usage = agent.usage(&["b"]);
    assert_eq!(usage["limit"], json!(64 * MIB));
    assert!(usage["total"].as_u64().unwrap() > 0);
    agent.say(&update(33));
    agent.usage(&["b"]);
    assert_eq!(
        of("memory", "memory.limit_in_bytes"),
        (64 * MIB).to_string()
    );
    assert_eq!(
        of("memory", "memory.soft_limit_in_bytes"),
        (33 * MIB).to_string()
    );
    assert_eq!(of("cpu", "cpu.shares"), "1024");
    assert_eq!(of("cpu", "cpu.cfs_quota_us"), "-1");
    agent.say(&json!({ "destroy": ["b"] }));
    agent.ended(&["b"]);
}

/// Holds 200 MiB, if it may.
const HOG: &str = "head -c 200M /dev/zero | tail -c 200M > /dev/null";

#[test]
fn passing_the_memory_bound_ends_the_container_with_the_limitation() {
    let Some(world) = world("hog") else { return };
    let mut agent = world.agent();
    // The shell survives what the kernel kills, so only the notice can end it.
    agent.launch_and_release(&bounded(&world, &format!("{HOG}; sleep 1000")));
    let ended = agent.ended(&["a"]);
    assert_eq!(
        ended["reason"],
        json!("REASON_CONTAINER_LIMITATION_MEMORY"),
        "{ended}"
    );
    assert_eq!(ended["status"], json!(9));
    let message = ended["message"].as_str().unwrap();
    assert_eq!(
        message,
        "Memory limit exceeded: Requested: 48MB Maximum Used: 48MB"
    );

    // The same when the program itself is what the kernel kills.
    let mut spec = bounded(
        &world,
        "exec awk 'BEGIN { s = \"x\"; while (length(s) < 2e8) s = s s }'",
    );
    spec["id"] = json!(["b"]);
    agent.launch_and_release(&spec);
    assert_eq!(
        agent.ended(&["b"])["reason"],
        json!("REASON_CONTAINER_LIMITATION_MEMORY")
    );
}

#[test]
fn a_restarted_agent_still_notices_the_memory_bound() {
    let Some(world) = world("restart") else {
        return;
    };
    let mut agent = world.agent();
    let line = format!("mkfifo fifo; read go < fifo; {HOG}; sleep 1000");
    let pid = agent.launch_and_release(&bounded(&world, &line));
    await_that("the fifo", || world.sandbox("a").join("fifo").exists());
    agent.kill_9();
    let mut next = world.agent();
    next.say(&json!({ "recover": [{ "id": ["a"], "pid": pid, "sandbox": world.sandbox("a") }] }));
    assert_eq!(next.usage(&["a"])["limit"], json!(48 * MIB));
    fs::write(world.sandbox("a").join("fifo"), "go\n").unwrap();
    assert_eq!(
        next.ended(&["a"])["reason"],
        json!("REASON_CONTAINER_LIMITATION_MEMORY")
    );
}

#[test]
fn the_cpu_quota_holds() {
    let Some(world) = world("quota") else { return };
    let mut spec = world.shell("a", "timeout 2 sh -c 'while :; do :; done'; times; true");
    spec["limits"] = json!({ "cpus": 200, "cpus_limit": 200 });
    assert_eq!(world.agent().run(&spec), 0);
    // The second line of `times`: cpu time of the children, `0m0.400000s 0m0.000000s`.
    let out = world.read("a", "stdout");
    let user = out
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let seconds: f64 = user
        .trim_start_matches("0m")
        .trim_end_matches('s')
        .parse()
        .unwrap();
    assert!(seconds < 1.0, "{seconds} s of cpu in 2 s at 0.2 cpus");
}

#[test]
fn a_fork_storm_without_supervisor_is_frozen_and_killed() {
    let Some(world) = world("storm") else { return };
    let mut agent = world.agent();
    let line = "ulimit -x unlimited; for n in 1 2 3 4; do \
                (i=0; while [ $i -lt 300 ]; do i=$((i+1)); setsid -f sleep 1000; done) & done; \
                touch ready; wait";
    let mut spec = bounded(&world, line);
    spec["limits"] = json!({ "cpus": 2000, "mem": 2048 * MIB });
    let pid = agent.launch_and_release(&spec);
    await_that("the start", || world.sandbox("a").join("ready").exists());
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(agent.ended(&["a"])["status"], json!(null));
    assert!(is_gone(pid));
    assert_eq!(world.processes(&["a"]), NONE);
    assert!(!group(&world, "freezer", "a").exists());
}

#[test]
fn nested_containers_have_freezers_of_their_own_and_share_the_bounds() {
    let Some(world) = world("nested") else { return };
    let mut agent = world.agent();
    agent.launch_and_release(&bounded(&world, "exec sleep 1000"));
    let mut nested = world.shell("n", "cat /proc/self/cgroup; touch there; exec sleep 1000");
    nested["id"] = json!(["a", "n"]);
    agent.launch_and_release(&nested);
    await_that("the start", || world.sandbox("n").join("there").exists());
    let root = world.cgroups_root.clone().unwrap();
    let membership = world.read("n", "stdout");
    assert!(
        membership.contains(&format!("memory:/{root}/a\n")),
        "{membership}"
    );
    assert!(
        membership.contains(&format!("freezer:/{root}/a/mesos/n\n")),
        "{membership}"
    );
    agent.say(&json!({ "destroy": ["a", "n"] }));
    agent.ended(&["a", "n"]);
    assert_eq!(control(&world, "freezer", "freezer.state"), "THAWED");
    agent.say(&json!({ "destroy": ["a"] }));
    agent.ended(&["a"]);
}

#[test]
fn a_burst_of_launches_with_groups() {
    let Some(world) = world("burst") else { return };
    let mut agent = world.agent();
    let start = std::time::Instant::now();
    let names: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    for name in &names {
        let mut spec = world.shell(name, "true");
        spec["limits"] = json!({ "cpus": 100, "mem": 32 * MIB });
        agent.say(&json!({ "launch": spec }));
    }
    for name in &names {
        agent.next("launched", |r| {
            r["id"] == json!([name]) && r.get("launched").is_some()
        });
        agent.say(&json!({ "release": [name] }));
    }
    for name in &names {
        assert_eq!(agent.ended(&[name])["status"], json!(0));
    }
    println!("100 containers with cgroups in {:?}", start.elapsed());
}

#[test]
fn version_2_keeps_processes_in_a_leaf_and_kills_by_file() {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let mount = mounts
        .into_iter()
        .find(|mount| mount.join("cgroup.controllers").exists());
    let (true, Some(mount)) = (is_root(), mount) else {
        return println!("needs root and cgroup version 2");
    };
    let root = mount.join(format!("meseta-test-v2-{}", std::process::id()));
    let mut world = World::new(Who::Me);
    let name = root.file_name().unwrap().to_str().unwrap();
    world.version_2 = Some(format!("v2:{}:{name}", mount.display()));
    let mut agent = world.agent();
    let line = "ulimit -x unlimited; setsid -f sleep 1000; cat /proc/self/cgroup; touch there; \
                exec sleep 1000";
    let pid = agent.launch_and_release(&world.shell("a", line));
    let mut nested = world.shell("n", "touch there; exec sleep 1000");
    nested["id"] = json!(["a", "n"]);
    agent.launch_and_release(&nested);
    await_that("the start", || world.sandbox("a").join("there").exists());
    await_that("the nested start", || {
        world.sandbox("n").join("there").exists()
    });
    let membership = world.read("a", "stdout");
    assert!(
        membership.contains(&format!("0::/{name}/a/leaf\n")),
        "{membership}"
    );
    let members = |path: &str| {
        let text = fs::read_to_string(root.join(path).join("cgroup.procs")).unwrap();
        text.lines().count()
    };
    await_that("members", || {
        (members("a/leaf"), members("a/mesos/n/leaf")) == (2, 1)
    });

    // No tag, no supervisor: the group alone tells what is to be killed.
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(agent.ended(&["a", "n"])["status"], json!(9));
    assert_eq!(agent.ended(&["a"])["status"], json!(null));
    assert!(!root.join("a").exists());
    drop(agent);
    fs::remove_dir(&root).unwrap();
}
