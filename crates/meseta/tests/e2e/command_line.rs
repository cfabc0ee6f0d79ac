//! What a user types first.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Cluster, MESETA, eventually};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn run_shows_the_output_and_exits_with_the_code_of_the_command() {
    let cluster = Cluster::start(&[], &[]);
    let hello = cluster.run(&["run", "--", "echo", "hello"]);
    assert_eq!(
        (
            text(&hello.stdout),
            text(&hello.stderr),
            hello.status.code()
        ),
        ("hello\n".into(), String::new(), Some(0))
    );

    // Who runs it counts, not what a variable says that came from elsewhere.
    let mut other = cluster.meseta(&["run", "--", "id", "-u"]);
    let told = other
        .env("USER", "nobody")
        .output()
        .expect("the binary starts");
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(
        text(&told.stdout),
        format!("{own}\n"),
        "{}",
        text(&told.stderr)
    );

    let oops = cluster.run(&["run", "--", "sh", "-c", "echo oops >&2; exit 3"]);
    assert_eq!(
        (text(&oops.stdout), text(&oops.stderr), oops.status.code()),
        (String::new(), "oops\n".into(), Some(3))
    );

    let variables = cluster.run(&[
        "run",
        "--env",
        "A=b c",
        "--instances",
        "2",
        "--",
        "echo \"$A\"; kill -9 $$",
    ]);
    assert_eq!(variables.status.code(), Some(137));
    let mut lines: Vec<String> = text(&variables.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["[0] b c", "[1] b c"]);
}

#[test]
fn what_no_agent_has_is_said_at_once() {
    let cluster = Cluster::start(&[], &[]);
    let output = cluster.run(&["run", "--cpus", "64", "--timeout", "1", "--", "true"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(124), "{said}");
    assert!(
        said.contains("has too little in all: cpus: 40 of 64"),
        "{said}"
    );
    let output = cluster.run(&[
        "run",
        "--constraint",
        "rack=r9",
        "--timeout",
        "1",
        "--",
        "true",
    ]);
    assert!(
        text(&output.stderr).contains("its attributes lack rack=r9"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn ctrl_c_ends_the_task() {
    let cluster = Cluster::start(&[], &[]);
    let mark = cluster.scratch.path("alive");
    let line = format!("touch {}; sleep 600", mark.display());
    let mut run = cluster.meseta(&["run", "--", &line]);
    let mut run = run
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    eventually("the task runs", || mark.exists().then_some(()));
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(run.wait().expect("our child").code(), Some(130));
    eventually("no task is left", || {
        let tasks = cluster.master.call("GET_TASKS")?;
        tasks["get_tasks"]["tasks"]
            .as_array()
            .is_none_or(Vec::is_empty)
            .then_some(())
    });
}

#[test]
fn a_detached_task_is_listed_read_and_killed() {
    let cluster = Cluster::start(&[], &[]);
    let started = cluster.run(&[
        "run",
        "--detach",
        "--name",
        "web",
        "--",
        "echo one; sleep 600",
    ]);
    let id = text(&started.stdout).trim().to_owned();
    assert!(id.starts_with("web."), "{id} {}", text(&started.stderr));

    let listed = text(&cluster.run(&["ps"]).stdout);
    assert!(
        listed.contains(&id) && listed.contains("RUNNING"),
        "{listed}"
    );
    let json: serde_json::Value =
        serde_json::from_slice(&cluster.run(&["ps", "--json"]).stdout).expect("JSON");
    assert_eq!(json[0]["task_id"], id);

    eventually("its output is there", || {
        (text(&cluster.run(&["logs", "web."]).stdout) == "one\n").then_some(())
    });
    let mut follow = cluster.meseta(&["logs", "-f", &id]);
    let mut follow = follow
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");

    let killed = cluster.run(&["kill", "web"]);
    assert_eq!(killed.status.code(), Some(0), "{}", text(&killed.stderr));
    let mut followed = String::new();
    follow
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut followed)
        .expect("readable");
    assert_eq!(followed, "one\n");
    assert!(follow.wait().expect("our child").success());
    let again = cluster.run(&["kill", "web"]);
    assert!(
        text(&again.stderr).contains("is over already"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn lists_name_agents_and_frameworks() {
    let cluster = Cluster::start(&[], &["--attributes=rack:r1"]);
    let agents = text(&cluster.run(&["agents"]).stdout);
    assert!(
        agents.contains("active") && agents.contains("0/40"),
        "{agents}"
    );
    let placed = cluster.run(&["run", "--constraint", "rack=r1", "--", "true"]);
    assert_eq!(placed.status.code(), Some(0));
    let all = text(&cluster.run(&["frameworks", "--all"]).stdout);
    assert!(
        all.contains("run: true") && all.contains("completed"),
        "{all}"
    );
    let version = text(&cluster.run(&["version"]).stdout);
    assert!(version.contains("Mesos 1.11.0"), "{version}");
}

#[test]
fn without_a_master_one_sentence_says_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    for command in [
        &["run", "--", "true"][..],
        &["ps"],
        &["logs", "x"],
        &["kill", "x"],
        &["agents"],
    ] {
        let output = std::process::Command::new(MESETA)
            .args(command)
            .env("MESETA_MASTER", &address)
            .output();
        let output = output.expect("the binary starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(
            said.contains(&address) && said.contains("meseta up"),
            "{command:?}: {said}"
        );
    }
}

#[test]
fn completions_and_help_are_there() {
    for arguments in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["completions", "fish"],
    ] {
        let output = std::process::Command::new(MESETA)
            .args(arguments)
            .output()
            .expect("the binary starts");
        assert!(text(&output.stdout).contains("frameworks"), "{arguments:?}");
    }
    for daemon in ["master", "agent"] {
        let output = std::process::Command::new(MESETA)
            .args([daemon, "--help"])
            .output()
            .expect("the binary starts");
        assert!(text(&output.stdout).contains("--work_dir"), "{daemon}");
    }
}

#[test]
fn up_starts_a_cluster_and_ctrl_c_leaves_nothing() {
    let mut up = std::process::Command::new(MESETA);
    let mut up = up
        .args(["up", "--port", "0", "--demo"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdout = up.stdout.take().expect("piped");
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains("until you press Ctrl-C") {
        assert_eq!(stdout.read(&mut byte).expect("readable"), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    assert!(said.contains("words in"), "{said}");
    let state = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("State in "))
        .expect("it says where");
    let state = state.trim_end_matches(" (removed at the end)").to_owned();
    let pid = rustix::process::Pid::from_child(&up);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(up.wait().expect("our child").code(), Some(0));
    assert!(!std::path::Path::new(&state).exists(), "{state} is left");
}
