//! The agent as a machine: `tests/scripts/*.txt`, event in, whole effect list out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;

use support::script::Script;

/// Runs a script and answers it with the effects the agent has now.
fn replay(text: &str) -> String {
    let mut script = Script::default();
    let mut answer = String::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            answer.push_str(line);
            answer.push('\n');
            for effect in script.run(command) {
                answer.push_str("  ");
                answer.push_str(&effect);
                answer.push('\n');
            }
        } else if line.is_empty() || line.starts_with('#') {
            answer.push_str(line);
            answer.push('\n');
        }
    }
    answer
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scripts/{name}.txt"));
    let text = fs::read_to_string(&path).unwrap();
    let answer = replay(&text);
    if std::env::var_os("MESETA_BLESS").is_some() {
        fs::write(&path, answer).unwrap();
        return;
    }
    for (number, (expected, now)) in text.lines().zip(answer.lines()).enumerate() {
        assert_eq!(now, expected, "{name}.txt, line {}", number + 1);
    }
    assert_eq!(answer.len(), text.len(), "{name}.txt ends elsewhere");
}

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)); })+

        #[test]
        fn every_script_runs() {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
            let mut found: Vec<String> = fs::read_dir(dir).unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            found.sort();
            let mut named = vec![$(stringify!($name).to_owned()),+];
            named.sort();
            assert_eq!(found, named);
        }
    };
}

scripts!(
    checkpoint_resources,
    cleanup,
    cleanup_orphans,
    cleanup_stuck,
    command_task,
    custom_executor,
    disk_trouble,
    executor_api,
    exit_owed,
    fencing,
    garbage,
    garbage_restart,
    groups,
    history,
    kill,
    launch_failed,
    launch_refused,
    reboot,
    reconcile,
    reconfiguration,
    recovery,
    recovery_damaged,
    recovery_hanging,
    recovery_speaking,
    recovery_terminated,
    registration,
    shutdown,
    shutdown_grace,
    task_id_reused,
    terminated,
    unfinished,
    unfinished_killed,
    unsaved_end,
    torn_updates,
    update_retry,
);
