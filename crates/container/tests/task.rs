//! Commands that an executor runs.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;

use meseta_container::{TaskFault, TaskSpec, spawn_task};
use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1::CommandInfo;
use meseta_proto::mesos::v1::r_limit_info::RLimit;
use rustix::event::{PollFd, PollFlags, poll};
use tempfile::TempDir;

fn shell(line: &str) -> TaskSpec {
    TaskSpec {
        command: CommandInfo {
            value: Some(line.to_owned()),
            ..Default::default()
        },
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        ..TaskSpec::default()
    }
}

fn shell_in(directory: &TempDir, line: &str) -> TaskSpec {
    let working_directory = Some(directory.path().to_str().unwrap().to_owned());
    TaskSpec {
        working_directory,
        ..shell(line)
    }
}

fn read(directory: &TempDir, name: &str) -> String {
    fs::read_to_string(directory.path().join(name)).unwrap_or_default()
}

#[test]
fn it_ends_as_the_command_does_and_can_be_asked_again() {
    let task = spawn_task(&shell("exit 3")).unwrap();
    assert_eq!(task.wait(), Some(WaitStatus::exited(3)));
    assert_eq!(task.try_wait(), Some(WaitStatus::exited(3)));
    let task = spawn_task(&shell("kill -15 $$")).unwrap();
    assert_eq!(task.wait(), Some(WaitStatus::signaled(15)));
}

#[test]
fn its_descriptor_becomes_readable_at_the_end() {
    let task = spawn_task(&shell("read never < /dev/null; exec sleep 1000")).unwrap();
    assert_eq!(task.try_wait(), None);
    task.kill();
    poll(&mut [PollFd::new(&task, PollFlags::IN)], None).unwrap();
    assert_eq!(task.try_wait(), Some(WaitStatus::signaled(9)));
}

#[test]
fn environment_directory_session_and_limits_are_as_asked() {
    let directory = tempfile::tempdir().unwrap();
    let line = "exec > out; env | grep -v -e ^PWD= -e ^_= | sort; pwd; ulimit -n; \
                test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader; cat; \
                grep SigIgn /proc/self/status";
    let mut spec = shell_in(&directory, line);
    spec.environment.insert("A".to_owned(), "b c".to_owned());
    spec.rlimits = vec![RLimit {
        r#type: Some(10),
        soft: Some(55),
        hard: Some(55),
    }];
    let task = spawn_task(&spec).unwrap();
    assert_eq!(task.wait(), Some(WaitStatus::exited(0)));
    assert_eq!(
        read(&directory, "out"),
        format!(
            "A=b c\nPATH=/usr/bin:/bin\n{}\n55\nleader\nSigIgn:\t{}\n",
            directory.path().display(),
            "0000000000000000"
        )
    );
}

#[test]
fn an_argument_vector_is_not_touched_by_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["touch", "a b", "$HOME"].map(str::to_owned).to_vec();
    let command = CommandInfo {
        shell: Some(false),
        value: Some("touch".to_owned()),
        arguments,
        ..Default::default()
    };
    let task = spawn_task(&TaskSpec {
        command,
        ..shell_in(&directory, "")
    })
    .unwrap();
    assert_eq!(task.wait(), Some(WaitStatus::exited(0)));
    assert!(directory.path().join("a b").exists());
    assert!(directory.path().join("$HOME").exists());
}

#[test]
fn what_cannot_start_says_why() {
    let fault = |spec: &TaskSpec| spawn_task(spec).map(drop).unwrap_err();
    assert!(matches!(fault(&shell("")), TaskFault::Refused(_)));
    let mut missing = shell("x");
    missing.command.shell = Some(false);
    missing.command.value = Some("/no/such/program".to_owned());
    assert_eq!(
        fault(&missing).to_string(),
        "cannot run /no/such/program: No such file or directory (os error 2)"
    );
    let stranger = TaskSpec {
        user: Some("no-such-user".to_owned()),
        ..shell("true")
    };
    assert!(matches!(fault(&stranger), TaskFault::UnknownUser(_)));
    let locks = RLimit {
        r#type: Some(6),
        soft: None,
        hard: None,
    };
    let locked = TaskSpec {
        rlimits: vec![locks],
        ..shell("true")
    };
    assert!(fault(&locked).to_string().contains("RLMT_LOCKS"));
}

#[test]
fn another_user_for_root_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = shell("id -un; id -Gn");
    spec.command.value = Some("test \"$(id -un) $(id -Gn)\" = 'nobody nogroup'".to_owned());
    spec.user = Some("nobody".to_owned());
    let started = spawn_task(&spec);
    if rustix::process::geteuid().is_root() {
        assert_eq!(started.unwrap().wait(), Some(WaitStatus::exited(0)));
    } else {
        assert!(matches!(started, Err(TaskFault::Spawn { .. })));
    }
    drop(directory);
}

#[test]
fn gentle_then_forced_reaches_the_whole_tree() {
    // Orphans of the second one fall to this process, as those of an executor's task do to its
    // supervisor.
    let own = std::process::id();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    for supervisor in [None, Some(own)] {
        reach_the_whole_tree(supervisor);
    }
}

fn reach_the_whole_tree(supervisor: Option<u32>) {
    let directory = tempfile::tempdir().unwrap();
    // A child in a session of its own, an orphan that stayed, and a shell that ignores the gentle
    // signal; each notes that it got it.
    let line = "note() { trap \"echo $1 >> got\" TERM; echo $1 >> there; \
                while :; do sleep 0.01; done; }; \
                (note orphan &) ; note child & setsid sh -c 'trap \"echo session >> got\" TERM; \
                echo session >> there; while :; do sleep 0.01; done' & note main";
    let task = spawn_task(&TaskSpec {
        supervisor,
        ..shell_in(&directory, line)
    })
    .unwrap();
    let lines = |name: &str| {
        let mut lines: Vec<String> = read(&directory, name).lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        lines
    };
    let all = ["child", "main", "orphan", "session"];
    let wait_for = |name: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while lines(name) != all {
            assert!(
                std::time::Instant::now() < deadline,
                "{name}: {:?}",
                lines(name)
            );
            std::thread::yield_now();
        }
    };
    wait_for("there");
    task.terminate();
    wait_for("got");
    assert_eq!(task.try_wait(), None);
    task.kill();
    assert_eq!(task.wait(), Some(WaitStatus::signaled(9)));
}
