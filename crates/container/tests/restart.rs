//! Agents that die, and what their successors find.

#![allow(clippy::unwrap_used)]

mod room;

use room::{NONE, as_everybody, await_that, is_gone};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

fn named(world: &room::World, name: &str, pid: i32) -> Value {
    json!({ "id": [name], "pid": pid, "sandbox": world.sandbox(name) })
}

fn kill_9(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn an_agent_that_dies_between_launch_and_release_has_started_nothing() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let pid = agent.launch(&world.shell("held", "touch ran; sleep 1000"));
        await_that("the sandbox", || world.sandbox("held").exists());
        agent.kill_9();
        await_that("the supervisor's end", || is_gone(pid));
        assert!(!world.sandbox("held").join("ran").exists());

        // The next says so as often as it is asked, and may launch it again.
        for _ in 0..2 {
            let mut next = world.agent();
            next.say(&json!({ "recover": [named(&world, "held", pid)] }));
            next.never_released(&["held"]);
            next.kill_9();
        }
        let mut last = world.agent();
        last.say(&json!({ "recover": [named(&world, "held", pid)] }));
        last.never_released(&["held"]);
        assert_eq!(last.run(&world.shell("held", "touch ran; exit 7")), 7 << 8);
        assert!(world.sandbox("held").join("ran").exists());
    });
}

#[test]
fn a_supervisor_that_its_agent_had_no_time_to_write_down_is_waited_for() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let pid = agent.launch(&world.shell("held", "touch ran; sleep 1000"));
        await_that("the sandbox", || world.sandbox("held").exists());
        let stop = |signal| kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        stop(Signal::STOP);
        agent.kill_9();
        std::fs::remove_file(world.runtime().join("containers/held/supervisor")).unwrap();

        let mut next = world.agent();
        let wanted = json!([{ "id": ["held"], "sandbox": world.sandbox("held") }]);
        next.say(&json!({ "recover": wanted }));
        next.orphans(&[]);
        // Nothing is said of it while it could still write.
        stop(Signal::CONT);
        next.never_released(&["held"]);
        assert!(is_gone(pid) || world.runtime().join("containers/held/over").exists());
        assert_eq!(next.run(&world.shell("held", "exit 7")), 7 << 8);
        assert!(!world.sandbox("held").join("ran").exists());
    });
}

#[test]
fn containers_outlive_their_agent_and_their_status_is_told_to_the_next() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let line = "mkfifo fifo; (setsid sleep 1000 &); read code < fifo; exit $code";
        let mut pids = Vec::new();
        for name in ["early", "late", "doomed"] {
            pids.push(agent.launch_and_release(&world.shell(name, line)));
            await_that("the fifo", || world.sandbox(name).join("fifo").exists());
            // The shell and its orphan.
            await_that("the orphan", || world.processes(&[name]).len() == 2);
        }
        agent.kill_9();
        let end = |name: &str, code: &str| {
            std::fs::write(world.sandbox(name).join("fifo"), code).unwrap();
        };
        // Ends while nobody looks.
        end("early", "11\n");
        await_that("the first end", || is_gone(pids[0]));

        let mut next = world.agent();
        let wanted: Vec<Value> = ["early", "late", "doomed"]
            .iter()
            .zip(&pids)
            .map(|(name, pid)| named(&world, name, *pid))
            .collect();
        next.say(&json!({ "recover": wanted }));
        assert_eq!(next.ended(&["early"])["status"], json!(11 << 8));
        world.await_processes(&["late"], 2);
        end("late", "12\n");
        assert_eq!(next.ended(&["late"])["status"], json!(12 << 8));
        next.say(&json!({ "destroy": ["doomed"] }));
        assert_eq!(next.ended(&["doomed"])["status"], json!(9));

        // An agent that died before it acted on these reports asks again.
        next.kill_9();
        let mut third = world.agent();
        third.say(&json!({ "recover": [wanted[0], wanted[1]] }));
        assert_eq!(third.ended(&["early"])["status"], json!(11 << 8));
        assert_eq!(third.ended(&["late"])["status"], json!(12 << 8));
        // What was not asked for is forgotten.
        await_that("its record's end", || {
            !world.runtime().join("containers/doomed").exists()
        });
    });
}

#[test]
fn orphans_that_the_next_agent_does_not_know_are_destroyed() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let known = agent.launch_and_release(&world.shell("known", "exec sleep 1000"));
        let mut nested = world.shell("nested", "exec sleep 1000");
        nested["id"] = json!(["known", "nested"]);
        agent.launch_and_release(&nested);
        let orphan =
            agent.launch_and_release(&world.shell("orphan", "setsid sleep 1000 & exec sleep 1000"));
        world.await_processes(&["orphan"], 2);
        world.await_processes(&["known", "nested"], 1);
        agent.kill_9();

        let mut next = world.agent();
        next.say(&json!({ "recover": [named(&world, "known", known)] }));
        next.orphans(&[&["orphan"]]);
        assert_eq!(next.ended(&["orphan"])["status"], json!(9));
        assert!(is_gone(orphan));
        await_that("the orphan's record", || {
            !world.runtime().join("containers/orphan").exists()
        });
        assert_eq!(world.processes(&["orphan"]), NONE);
        // Nested in one that is known is known enough.
        world.await_processes(&["known", "nested"], 1);
        next.say(&json!({ "destroy": ["known"] }));
        assert_eq!(next.ended(&["known", "nested"])["status"], json!(9));
        assert_eq!(next.ended(&["known"])["status"], json!(9));
    });
}

#[test]
fn a_supervisor_killed_while_no_agent_looked_leaves_nothing_behind() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let line = "setsid -f env -i /bin/sleep 1000; setsid sleep 1000 & exec sleep 1000";
        let pid = agent.launch_and_release(&world.shell("a", line));
        world.await_processes(&["a"], 3);
        agent.kill_9();
        kill_9(pid);
        await_that("the supervisor's end", || is_gone(pid));

        let mut next = world.agent();
        next.say(&json!({ "recover": [named(&world, "a", pid)] }));
        assert_eq!(next.ended(&["a"])["status"], json!(null));
        assert_eq!(world.processes(&["a"]), NONE);
    });
}

#[test]
fn records_of_another_boot_and_pids_of_others_are_not_believed() {
    as_everybody(|world| {
        let mut agent = world.agent();
        let pid = agent.launch_and_release(&world.shell("a", "exec sleep 1000"));
        world.await_processes(&["a"], 1);
        agent.kill_9();
        // As if the host had been started anew: the pid in the record belongs to somebody else.
        let record = world.runtime().join("containers/a/supervisor");
        let text = std::fs::read_to_string(&record).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        std::fs::write(&record, format!("{} {} another-boot\n", words[0], words[1])).unwrap();

        let mut next = world.agent();
        let own = std::process::id();
        next.say(&json!({ "recover": [
            named(&world, "a", pid),
            // No record, and a process that is no executor of this sandbox.
            { "id": ["stranger"], "pid": own, "sandbox": world.sandbox("stranger") },
        ] }));
        assert_eq!(next.ended(&["a"])["status"], json!(null));
        assert_eq!(next.ended(&["stranger"])["status"], json!(null));
        assert!(!is_gone(pid), "the process of that pid was left alone");
        kill_9(pid);
        world.await_processes(&["a"], 0);
    });
}

#[test]
fn an_executor_of_a_mesos_agent_is_taken_over() {
    as_everybody(|world| {
        let sandbox = world.sandbox("theirs");
        let mut executor = std::process::Command::new("setsid")
            .args(["sh", "-c", "sleep 1000 & sleep 1000"])
            .env("MESOS_SANDBOX", &sandbox)
            .spawn()
            .unwrap();
        let pid = i32::try_from(executor.id()).unwrap();
        let mut agent = world.agent();
        if world.who == room::Who::Nobody {
            // Another user's process, whose environment is not to be read: not believed.
            agent.say(&json!({ "recover": [named(&world, "theirs", pid)] }));
            assert_eq!(agent.ended(&["theirs"])["status"], json!(null));
            assert!(!is_gone(pid));
            executor.kill().unwrap();
        } else {
            await_that("the environment", || {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sh\n"
            });
            agent.say(&json!({ "recover": [named(&world, "theirs", pid)] }));
            agent.say(&json!({ "usage": ["theirs"] }));
            agent.next("usage", |report| report.get("usage").is_some());
            assert!(!is_gone(pid));
            agent.say(&json!({ "destroy": ["theirs"] }));
            assert_eq!(agent.ended(&["theirs"])["status"], json!(null));
        }
        executor.wait().unwrap();
        // Whatever is left of its session is ours to clean up: the shell's first sleep.
        let _ = kill_process_group(Pid::from_raw(pid).unwrap(), Signal::KILL);
    });
}
