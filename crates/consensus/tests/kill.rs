//! kill -9 at any moment loses nothing that was acknowledged: a child process proposes and says what is
//! committed, the parent kills it and looks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use meseta_consensus::raft::{self, Config};
use meseta_consensus::{Coordinator, Event, Events};

const DIR: &str = "MESETA_TEST_KILLED_DIR";
const ROUNDS: u64 = 12;

fn lead(dir: &Path) -> (Box<dyn Coordinator>, Events, Event) {
    let (coordinator, mut events) = raft::open(&Config::new(dir)).unwrap();
    coordinator.campaign().unwrap();
    let led = events.blocking_recv().unwrap();
    (coordinator, events, led)
}

/// Ops differ in length, so that records do.
fn op(index: u64) -> Bytes {
    Bytes::from(format!(
        "op {index} {}",
        "x".repeat((index * 37 % 300) as usize)
    ))
}

/// Proposes without end; says on its output which op is committed. It keeps 64 proposals under way, and
/// takes a snapshot from time to time.
fn propose_until_killed(dir: &Path) {
    let (coordinator, mut events, led) = lead(dir);
    let Event::Led { snapshot, ops, .. } = led else {
        panic!("{led:?}")
    };
    let covered = snapshot.map_or(0, |(index, _)| index);
    let mut next = ops.last().map_or(covered, |(index, _)| *index) + 1;
    let mut out = std::io::stdout().lock();
    for _ in 0..64 {
        coordinator.propose(next, op(next)).unwrap();
        next += 1;
    }
    while let Some(event) = events.blocking_recv() {
        match event {
            Event::Committed { seq, index, .. } => {
                assert_eq!(seq, index);
                // A newline in front: the harness may have left half a line.
                write!(out, "\ncommitted {index}\n").unwrap();
                out.flush().unwrap();
                if index % 500 == 0 {
                    coordinator
                        .snapshot(index - 100, Bytes::from(format!("{}", index - 100)))
                        .unwrap();
                }
                coordinator.propose(next, op(next)).unwrap();
                next += 1;
            }
            Event::Snapshotted { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Kills a child after it said so many ops; returns the last one that it said.
fn kill_after(dir: &Path, said: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "what_was_acknowledged_survives_kill_9",
            "--nocapture",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut indexes = lines.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
    let mut last = indexes
        .by_ref()
        .nth(said as usize)
        .expect("the child proposes until it is killed");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts too.
    for index in indexes {
        assert_eq!(index, last + 1);
        last = index;
    }
    last
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    if let Some(dir) = std::env::var_os(DIR) {
        return propose_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut epoch_before = 0;
    for round in 0..ROUNDS {
        let acknowledged = kill_after(dir.path(), round * round * 20 + 7);
        let (coordinator, _, led) = lead(dir.path());
        let Event::Led {
            epoch,
            snapshot,
            ops,
        } = led
        else {
            panic!("{led:?}")
        };
        assert!(epoch > epoch_before, "{epoch} after {epoch_before}");
        epoch_before = epoch;
        let covered = snapshot.as_ref().map_or(0, |(index, _)| *index);
        assert!(snapshot.is_none_or(|(index, bytes)| bytes == index.to_string()));
        for (expected, (index, found)) in (covered + 1..).zip(&ops) {
            assert_eq!((*index, found), (expected, &op(expected)));
        }
        let last = covered + ops.len() as u64;
        assert!(
            last >= acknowledged,
            "{last} are there, {acknowledged} were acknowledged"
        );
        assert!(
            last <= acknowledged + 64,
            "{last} are there, 64 more than acknowledged at most"
        );
        coordinator.close();
    }
}
