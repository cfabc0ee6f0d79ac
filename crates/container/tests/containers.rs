//! Containers of real processes, as root and as an unprivileged user: what runs, how it ends, and
//! that nothing is left.

#![allow(clippy::unwrap_used)]

mod room;

use std::time::Instant;

use room::{NONE, Who, World, as_everybody, await_that, is_gone, is_root, mode, owner};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

fn kill_9(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn the_wait_status_is_that_of_the_program() {
    as_everybody(|world| {
        let mut agent = world.agent();
        assert_eq!(agent.run(&world.shell("zero", "true")), 0);
        assert_eq!(agent.run(&world.shell("three", "exit 3")), 3 << 8);
        assert_eq!(agent.run(&world.shell("killed", "kill -9 $$")), 9);
        assert_eq!(agent.run(&world.shell("terminated", "kill -15 $$")), 15);
    });
}

#[test]
fn the_environment_is_exactly_the_given_one() {
    as_everybody(|world| {
        let mut spec = world.shell("env", "");
        spec["shell"] = json!(null);
        spec["argv"] = json!(["env"]);
        spec["environment"] = json!({ "A": "1", "B": "x y=z", "PATH": "/nowhere:/usr/bin:/bin" });
        assert_eq!(world.agent().run(&spec), 0);
        assert_eq!(
            world.read("env", "stdout"),
            "A=1\nB=x y=z\nPATH=/nowhere:/usr/bin:/bin\n"
        );
    });
}

#[test]
fn the_program_finds_its_sandbox_outputs_session_and_clean_signals() {
    as_everybody(|world| {
        let line = "pwd; echo oops >&2; ls /proc/self/fd | wc -l; cut -d' ' -f6 /proc/$$/stat; \
                    echo $$; grep -E 'Sig(Blk|Ign)' /proc/self/status; umask";
        assert_eq!(world.agent().run(&world.shell("a", line)), 0);
        let sandbox = world.sandbox("a");
        let out = world.read("a", "stdout");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], sandbox.to_str().unwrap());
        assert_eq!(
            lines[1], "4",
            "in, out, err and the directory that is listed"
        );
        assert_eq!(lines[2], lines[3], "the first process leads its session");
        assert_eq!(
            lines[4..],
            [
                "SigBlk:\t0000000000000000",
                "SigIgn:\t0000000000000000",
                "0022"
            ]
        );
        assert_eq!(world.read("a", "stderr"), "oops\n");
        assert_eq!(mode(&sandbox), 0o750);
        assert_eq!(mode(&sandbox.join("stdout")), 0o644);
        assert_eq!(owner(&sandbox.join("stdout")), owner(&world.runtime()));
    });
}

#[test]
fn output_appends_and_is_never_written_through_a_link() {
    as_everybody(|world| {
        let mut agent = world.agent();
        assert_eq!(agent.run(&world.shell("a", "echo one")), 0);
        let mut again = world.shell("b", "echo two");
        again["sandbox"] = json!(world.sandbox("a"));
        assert_eq!(agent.run(&again), 0);
        assert_eq!(world.read("a", "stdout"), "one\ntwo\n");

        assert_eq!(
            agent.run(&world.shell("c", "rm stdout && ln -s ../a/victim stdout")),
            0
        );
        let mut linked = world.shell("d", "echo three");
        linked["sandbox"] = json!(world.sandbox("c"));
        agent.launch_and_release(&linked);
        let message = agent.failed(&["d"]);
        assert!(
            message.starts_with("cannot append standard output to stdout:"),
            "{message}"
        );
        assert!(!world.sandbox("a").join("victim").exists());
    });
}

#[test]
fn nothing_runs_before_the_release() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let pid = agent.launch(&world.shell("held", "touch ran"));
        // Its preparation is done when the sandbox is there; from then on it could run.
        await_that("the sandbox", || world.sandbox("held").exists());
        agent.say(&json!({ "destroy": ["held"] }));
        let ended = agent.ended(&["held"]);
        assert_eq!(ended["status"], json!(null));
        assert!(is_gone(pid));
        assert!(!world.sandbox("held").join("ran").exists());
    });
}

#[test]
fn what_cannot_run_fails_with_the_reason() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let mut spec = world.shell("missing", "");
        spec["shell"] = json!(null);
        spec["argv"] = json!(["no-such-program", "x"]);
        agent.launch_and_release(&spec);
        assert_eq!(
            agent.failed(&["missing"]),
            "cannot run no-such-program: entity not found"
        );

        let mut spec = world.shell("up", "true");
        spec["id"] = json!(["../up"]);
        agent.say(&json!({ "launch": spec }));
        assert!(
            agent
                .failed(&["../up"])
                .contains("not usable as a directory name")
        );

        let mut spec = world.shell("locks", "true");
        spec["rlimits"] = json!([{ "type": 6, "soft": 1, "hard": 1 }]);
        agent.say(&json!({ "launch": spec }));
        assert!(
            agent
                .failed(&["locks"])
                .contains("RLMT_LOCKS is not supported")
        );

        let mut spec = world.shell("stranger", "true");
        spec["user"] = json!("no-such-user");
        agent.say(&json!({ "launch": spec }));
        let message = agent.failed(&["stranger"]);
        let expected = if is_root() && world.who == Who::Me {
            "no such user on this host"
        } else {
            "only root may change users"
        };
        assert!(message.contains(expected), "{message}");

        let mut spec = world.shell("big", "true");
        spec["environment"]["BIG"] = json!("x".repeat(9 << 20));
        agent.say(&json!({ "launch": spec }));
        assert!(agent.failed(&["big"]).contains("exceed"));

        // A refused id can be used again: nothing was left of it.
        assert_eq!(agent.run(&world.shell("locks", "true")), 0);
    });
}

/// Ways to leave: a new session, a double fork, no environment, no parent, no open files.
const ESCAPES: &str = "(setsid env -i /bin/sleep 1000 &) ; \
     (setsid /bin/sh -c 'setsid /bin/sleep 1000 <&- >&- 2>&- & /bin/sleep 1000' &) ; \
     setsid -f /bin/sh -c 'cd /; trap \"\" TERM HUP INT; setsid -f /bin/sleep 1000; /bin/sleep 1000' ;";

#[test]
fn when_the_program_ends_every_descendant_ends_wherever_it_went() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let line = format!("{ESCAPES} touch ready; read go < fifo; exit 7");
        agent.launch_and_release(&world.shell("a", &format!("mkfifo fifo; {line}")));
        await_that("the escapes", || world.processes(&["a"]).len() >= 6);
        await_that("the end of the line", || {
            world.sandbox("a").join("ready").exists()
        });
        std::fs::write(world.sandbox("a").join("fifo"), "go\n").unwrap();
        assert_eq!(agent.ended(&["a"])["status"], json!(7 << 8));
        assert_eq!(world.processes(&["a"]), NONE);
    });
}

#[test]
fn destroy_ends_those_that_ignore_signals() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let line = format!("trap '' TERM HUP INT USR1; {ESCAPES} while :; do sleep 1000; done");
        agent.launch_and_release(&world.shell("a", &line));
        await_that("the escapes", || world.processes(&["a"]).len() >= 7);
        agent.say(&json!({ "destroy": ["a"] }));
        assert_eq!(agent.ended(&["a"])["status"], json!(9));
        assert_eq!(world.processes(&["a"]), NONE);
        // Destroyed twice is told once.
        agent.say(&json!({ "destroy": ["a"] }));
        agent.say(&json!({ "destroy": ["unknown"] }));
        assert_eq!(
            agent.ended(&["unknown"])["message"],
            json!("there is no such container")
        );
    });
}

#[test]
fn destroy_ends_a_container_that_forks_as_fast_as_it_can() {
    as_everybody(|world| {
        let mut agent = world.agent();
        // Bounded: eight shells, each of which replaces what is killed until it is killed itself,
        // and starts 400 at most.
        let line = "loop() { i=0; while [ $i -lt 400 ]; do i=$((i+1)); \
                    setsid sleep 1000 & done; wait; }; \
                    for n in 1 2 3 4 5 6 7 8; do loop & done; touch ready; wait";
        agent.launch_and_release(&world.shell("a", line));
        await_that("the start", || world.sandbox("a").join("ready").exists());
        await_that("some children", || world.processes(&["a"]).len() >= 50);
        let start = Instant::now();
        agent.say(&json!({ "destroy": ["a"] }));
        assert_eq!(agent.ended(&["a"])["status"], json!(9));
        println!("{:?}: fork storm ended in {:?}", world.who, start.elapsed());
        assert_eq!(world.processes(&["a"]), NONE);
    });
}

#[test]
fn a_killed_or_stopped_supervisor_leaves_nothing_behind() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let line = format!("{ESCAPES} while :; do sleep 1000; done");
        let killed = agent.launch_and_release(&world.shell("killed", &line));
        await_that("the escapes", || world.processes(&["killed"]).len() >= 7);
        kill_9(killed);
        let ended = agent.ended(&["killed"]);
        assert_eq!(ended["status"], json!(null));
        assert!(
            ended["message"]
                .as_str()
                .unwrap()
                .contains("supervisor was killed")
        );
        assert_eq!(world.processes(&["killed"]), NONE);

        let stopped = agent.launch_and_release(&world.shell("stopped", &line));
        await_that("the escapes", || world.processes(&["stopped"]).len() >= 7);
        kill_process(Pid::from_raw(stopped).unwrap(), Signal::STOP).unwrap();
        agent.say(&json!({ "destroy": ["stopped"] }));
        assert_eq!(agent.ended(&["stopped"])["status"], json!(9));
        assert_eq!(world.processes(&["stopped"]), NONE);
    });
}

#[test]
fn a_parent_takes_those_nested_in_it_along() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let nested = |path: &[&str]| {
            let mut spec = world.shell(path.last().unwrap(), "exec sleep 1000");
            spec["id"] = json!(path);
            spec
        };
        agent.say(&json!({ "launch": nested(&["p", "c"]) }));
        assert_eq!(agent.failed(&["p", "c"]), "parent container p does not run");

        // By a destroy: innermost first.
        agent.launch_and_release(&nested(&["p"]));
        agent.launch_and_release(&nested(&["p", "c"]));
        agent.launch_and_release(&nested(&["p", "c", "g"]));
        agent.launch_and_release(&nested(&["pc"]));
        agent.say(&json!({ "destroy": ["p"] }));
        let mut order = Vec::new();
        for _ in 0..3 {
            let report = agent.next("three ends", |report| report.get("terminated").is_some());
            order.push(report["id"].clone());
        }
        assert_eq!(
            order,
            [json!(["p", "c", "g"]), json!(["p", "c"]), json!(["p"])]
        );

        // By the parent's own end.
        let mut parent = nested(&["q"]);
        parent["shell"] = json!("mkfifo fifo; read go < fifo; exit 5");
        agent.launch_and_release(&parent);
        agent.launch_and_release(&nested(&["q", "c"]));
        world.await_processes(&["q", "c"], 1);
        await_that("the fifo", || world.sandbox("q").join("fifo").exists());
        std::fs::write(world.sandbox("q").join("fifo"), "go\n").unwrap();
        assert_eq!(agent.ended(&["q", "c"])["status"], json!(9));
        assert_eq!(agent.ended(&["q"])["status"], json!(5 << 8));

        // The neighbour whose name begins alike was not touched.
        world.await_processes(&["pc"], 1);
        agent.say(&json!({ "destroy": ["pc"] }));
        agent.ended(&["pc"]);
    });
}

#[test]
fn latest_leads_to_the_newest_run_of_an_executor() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let runs = world.sandbox("e").join("runs");
        for name in ["first", "second", "third"] {
            let mut spec = world.shell(name, "true");
            spec["sandbox"] = json!(runs.join(name));
            assert_eq!(agent.run(&spec), 0);
            assert_eq!(
                std::fs::read_link(runs.join("latest")).unwrap(),
                runs.join(name)
            );
        }
        let mut names: Vec<_> = std::fs::read_dir(&runs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["first", "latest", "second", "third"]);
    });
}

#[test]
fn rlimits_hold() {
    as_everybody(|world| {
        let mut spec = world.shell("a", "ulimit -Sn; ulimit -Hn; ulimit -Sc");
        spec["rlimits"] = json!([
            { "type": 10, "soft": 77, "hard": 99 },
            { "type": 2, "soft": 0, "hard": 0 },
        ]);
        assert_eq!(world.agent().run(&spec), 0);
        assert_eq!(world.read("a", "stdout"), "77\n99\n0\n");
    });
}

#[test]
fn root_runs_tasks_as_the_wanted_user() {
    if !is_root() {
        return; // another user cannot become one; `what_cannot_run_fails_with_the_reason`
    }
    let world = World::new(Who::Me);
    let mut spec = world.shell("a", "id -un; id -gn; id -Gn; touch mine");
    spec["user"] = json!("nobody");
    assert_eq!(world.agent().run(&spec), 0);
    assert_eq!(world.read("a", "stdout"), "nobody\nnogroup\nnogroup\n");
    for file in ["", "stdout", "stderr", "mine"] {
        assert_eq!(owner(&world.sandbox("a").join(file)), 65_534, "{file}");
    }
    assert_eq!(mode(&world.sandbox("a")), 0o750);
}

#[test]
fn the_command_executor_is_this_binary_with_nothing_of_its_supervisor() {
    as_everybody(|world| {
        // Room for what `ps` shows comes from the supervisor's own arguments, the id among them.
        let name = "a-name-as-long-as-those-of-agents";
        let mut spec = world.shell(name, "");
        spec["shell"] = json!(null);
        let line = "echo from the task; tr '\\0' ' ' < /proc/$PPID/cmdline; echo; \
                    cat /proc/$PPID/comm; ls /proc/$PPID/fd | wc -l; \
                    grep SigIgn /proc/$PPID/status; grep SigIgn /proc/$$/status; exit 4";
        spec["environment"] = json!({ "TASK": line, "PATH": "/usr/bin:/bin" });
        assert_eq!(world.agent().run(&spec), 4 << 8);
        let out = world.read(name, "stdout");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "from the task");
        assert_eq!(lines[1].trim_end(), "meseta command-executor");
        assert_eq!(lines[2], "meseta-executor");
        assert_eq!(lines[3], "4", "in, out, err and the task's process");
        let ignored: Vec<&str> = lines[4..].iter().map(|line| line.trim()).collect();
        let broken_pipes = "SigIgn:\t0000000000001000";
        assert_eq!(ignored, [broken_pipes, "SigIgn:\t0000000000000000"]);
    });
}

#[test]
fn usage_counts_the_whole_tree_and_a_supervisor_costs_little() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let line = "(setsid sleep 1000 &); sleep 1000 & sleep 1000 & wait";
        let supervisor = agent.launch_and_release(&world.shell("a", line));
        world.await_processes(&["a"], 4);
        let usage = agent.usage(&["a"]);
        assert_eq!(
            (&usage["processes"], &usage["threads"]),
            (&json!(4), &json!(4))
        );
        assert!(usage["rss"].as_u64().unwrap() > 4096);
        assert_eq!(agent.usage(&["b"]), json!(null));

        let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
        let anonymous = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .unwrap();
        let kib: u64 = anonymous.trim().trim_end_matches(" kB").parse().unwrap();
        println!("a supervisor has {kib} KiB of its own");
        assert!(kib < 2048, "{kib} KiB");
        agent.say(&json!({ "destroy": ["a"] }));
        agent.ended(&["a"]);
    });
}

#[test]
fn a_burst_of_launches_runs_and_ends() {
    const BURST: usize = 200;
    as_everybody(|world| {
        let mut agent = world.agent();
        let names: Vec<String> = (0..BURST).map(|n| format!("c{n}")).collect();
        let start = Instant::now();
        for name in &names {
            agent.say(&json!({ "launch": world.shell(name, "exit 2") }));
        }
        for name in &names {
            agent.next("launched", |r| {
                r["id"] == json!([name]) && r.get("launched").is_some()
            });
            agent.say(&json!({ "release": [name] }));
        }
        for name in &names {
            assert_eq!(agent.ended(&[name])["status"], json!(2 << 8));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{:?}: {BURST} containers in {seconds:.3} s", world.who);
    });
}

#[test]
fn a_container_that_keeps_stopping_its_supervisor_is_destroyed_all_the_same() {
    let world = World::new(if is_root() { Who::Nobody } else { Who::Me });
    let mut agent = world.agent();
    let line = "trap '' TERM; setsid sh -c 'while kill -STOP '$PPID'; do :; done' & \
                while kill -STOP $PPID; do :; done";
    let pid = agent.launch_and_release(&world.shell("a", line));
    await_that("the supervisor's stop", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.contains("State:\tT")
    });
    agent.say(&json!({ "destroy": ["a"] }));
    let ended = agent.ended(&["a"]);
    // Either the supervisor got its turn, or it was killed after its time.
    assert!(
        ended["status"] == json!(9) || ended["status"] == json!(null),
        "{ended}"
    );
    assert_eq!(world.processes(&["a"]), NONE);
}

#[test]
fn a_long_reason_is_cut() {
    let world = World::new(Who::Me);
    let mut agent = world.agent();
    let mut spec = world.shell("a", "");
    spec["shell"] = json!(null);
    spec["argv"] = json!([format!("/{}", "x".repeat(10_000))]);
    agent.launch_and_release(&spec);
    assert_eq!(agent.failed(&["a"]).len(), 4096);
}
