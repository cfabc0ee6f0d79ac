//! Groups of writes on a disk that fails, loses power and tears: whatever was reported durable is
//! there afterwards, and nothing is there that nobody wrote.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use meseta_model::rng::Rng;
use meseta_model::step::{Seq, Write};
use meseta_runtime::group::{Flusher, Request};
use meseta_runtime::memory::{Fault, MemoryFiles, Operation};
use meseta_runtime::{EntryContent, limits};
use proptest::prelude::*;

const LOGS: [&str; 3] = ["log0", "d/log1", "d/e/log2"];
const CELLS: [&str; 3] = ["cell0", "d/cell1", "f/cell2"];

#[derive(Debug, Clone, Copy)]
enum Do {
    Append(usize),
    Put(usize),
    Link(usize),
    Delete(usize),
}

#[derive(Debug, Clone)]
struct Round {
    requests: Vec<Vec<Do>>,
    /// One operation in so many fails; 0 for none.
    one_fails_in: u64,
    /// After so many operations nothing works any more, and power is lost.
    power_lost_after: Option<usize>,
    seed: u64,
}

fn any_do() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => (0..LOGS.len()).prop_map(Do::Append),
        4 => (0..CELLS.len()).prop_map(Do::Put),
        1 => (0..CELLS.len()).prop_map(Do::Link),
        1 => (0..CELLS.len()).prop_map(Do::Delete),
    ]
}

fn any_round() -> impl Strategy<Value = Round> {
    (
        prop::collection::vec(prop::collection::vec(any_do(), 0..4), 1..5),
        prop_oneof![3 => Just(0_u64), 1 => 2_u64..30],
        prop::option::weighted(0.4, 0_usize..40),
        any::<u64>(),
    )
        .prop_map(|(requests, one_fails_in, power_lost_after, seed)| Round {
            requests,
            one_fails_in,
            power_lost_after,
            seed,
        })
}

/// What may be found on the disk.
#[derive(Default)]
struct Allowed {
    /// Per log: the records that were tried, in order, and whether they were reported durable.
    logs: BTreeMap<&'static str, Vec<(u32, bool)>>,
    /// Per cell: what was last reported durable, then everything tried since.
    cells: BTreeMap<&'static str, Vec<Option<EntryContent>>>,
}

impl Allowed {
    fn note(&mut self, what: Do, id: u32, durable: bool) {
        let (cell, content) = match what {
            Do::Append(log) => {
                self.logs.entry(LOGS[log]).or_default().push((id, durable));
                return;
            }
            Do::Put(cell) => (cell, Some(EntryContent::File(record(id)))),
            Do::Link(cell) => (cell, Some(EntryContent::Symlink(id.to_string()))),
            Do::Delete(cell) => (cell, None),
        };
        let tried = self.cells.entry(CELLS[cell]).or_insert_with(|| vec![None]);
        if durable {
            tried.clear();
        }
        tried.push(content);
    }

    /// Compares; returns, per log, the good records in it.
    fn check(&self, disk: &MemoryFiles, may_be_torn: bool) -> BTreeMap<&'static str, Vec<u32>> {
        let found: BTreeMap<String, EntryContent> = disk
            .tree()
            .into_iter()
            .map(|entry| (entry.path, entry.content))
            .collect();
        for (cell, tried) in &self.cells {
            let content = found.get(*cell).cloned();
            assert!(
                tried.contains(&content),
                "{cell} has {content:?}, allowed are {tried:?}"
            );
        }
        let mut good = BTreeMap::new();
        for (log, tried) in &self.logs {
            let Some(EntryContent::File(bytes)) = found.get(*log) else {
                assert!(tried.iter().all(|(_, durable)| !durable), "{log} is gone");
                continue;
            };
            let records: Vec<u32> = bytes
                .chunks_exact(4)
                .map(|id| u32::from_be_bytes(id.try_into().unwrap()))
                .collect();
            assert!(
                may_be_torn || bytes.len() % 4 == 0,
                "{log} is torn without a crash"
            );
            let mut expected = tried.iter();
            for id in &records {
                let passed: Vec<_> = expected
                    .by_ref()
                    .take_while(|(tried, _)| tried != id)
                    .collect();
                assert!(
                    passed.iter().all(|(_, durable)| !durable),
                    "{log}: {records:?} of {tried:?}"
                );
            }
            assert!(
                expected.all(|(_, durable)| !durable),
                "{log} ends early: {records:?} of {tried:?}"
            );
            let known = |id: &u32| tried.iter().any(|(tried, _)| tried == id);
            assert!(records.iter().all(known), "{log}: {records:?} of {tried:?}");
            good.insert(*log, records);
        }
        good
    }
}

fn record(id: u32) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn write(what: Do, id: u32) -> Write {
    match what {
        Do::Append(log) => Write::Append {
            path: LOGS[log].to_owned(),
            bytes: record(id),
        },
        Do::Put(cell) => Write::Put {
            path: CELLS[cell].to_owned(),
            bytes: record(id),
        },
        Do::Link(cell) => Write::Symlink {
            path: CELLS[cell].to_owned(),
            target: id.to_string(),
        },
        Do::Delete(cell) => Write::Delete {
            path: CELLS[cell].to_owned(),
        },
    }
}

fn faults(round: &Round) -> impl FnMut(Operation, &str) -> Option<Fault> + Send + use<> {
    let mut rng = Rng::new(round.seed);
    let (one_fails_in, power_lost_after) = (round.one_fails_in, round.power_lost_after);
    let done = Arc::new(AtomicUsize::new(0));
    move |_, _| {
        let done = done.fetch_add(1, Ordering::Relaxed);
        let dark = power_lost_after.is_some_and(|after| done >= after);
        let fails = one_fails_in > 0 && rng.below(one_fails_in) == 0;
        let partial = rng.below(5) as usize;
        (dark || fails).then_some(Fault {
            kind: io::ErrorKind::StorageFull,
            partial,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_was_reported_durable_survives(rounds in prop::collection::vec(any_round(), 1..8)) {
        let mut flusher = Flusher::new(MemoryFiles::new());
        let mut allowed = Allowed::default();
        let mut id = 0;
        // A cut that failed may leave half a record; such a file is not appended to any more.
        let mut may_be_torn = false;
        for round in &rounds {
            let mut tried = Vec::new();
            let mut group = Vec::new();
            for (seq, writes) in (1..).zip(&round.requests) {
                let numbered: Vec<(Do, u32)> =
                    writes.iter().map(|what| { id += 1; (*what, id) }).collect();
                let writes = numbered.iter().map(|(what, id)| write(*what, *id)).collect();
                group.push(Request { seq: Seq(seq), writes });
                tried.push(numbered);
            }
            flusher.storage_mut().set_faults(Some(Box::new(faults(round))));
            let results = flusher.flush(&group);
            flusher.storage_mut().set_faults(None);
            for (numbered, (_, result)) in tried.iter().zip(&results) {
                // Who loses power has not reported anything.
                let durable = result.is_ok() && round.power_lost_after.is_none();
                for (what, id) in numbered {
                    allowed.note(*what, *id, durable);
                }
            }
            may_be_torn |= round.one_fails_in > 0;
            if round.power_lost_after.is_none() {
                allowed.check(flusher.storage(), may_be_torn);
                continue;
            }
            may_be_torn = false;
            let mut rng = Rng::new(round.seed);
            let mut disk = flusher.into_storage();
            disk.crash(&mut |bound| rng.below(bound));
            flusher = Flusher::new(disk);
            // Recovery: a reader stops at a torn tail and replaces the file before it appends again.
            for (log, records) in allowed.check(flusher.storage(), true) {
                let good: Vec<u8> = records.iter().flat_map(|id| id.to_be_bytes()).collect();
                let put = Write::Put { path: log.to_owned(), bytes: good.into() };
                let results = flusher.flush(&[Request { seq: Seq(1), writes: vec![put] }]);
                prop_assert_eq!(results, vec![(Seq(1), Ok(()))]);
                let kept = records.into_iter().map(|id| (id, true)).collect();
                allowed.logs.insert(log, kept);
            }
        }
    }
}

#[test]
fn one_flush_serves_a_whole_group() {
    let mut flusher = Flusher::new(MemoryFiles::new());
    let group: Vec<Request> = (1..=limits::REQUESTS_PER_FLUSH as u64)
        .map(|seq| Request {
            seq: Seq(seq),
            writes: vec![write(Do::Append(1), seq as u32)],
        })
        .collect();
    assert!(
        flusher
            .flush(&group)
            .iter()
            .all(|(_, result)| result.is_ok())
    );
    assert_eq!(flusher.storage().count(Operation::SyncFile), 1);
    // The new directory, and the root that names it.
    assert_eq!(flusher.storage().count(Operation::SyncDir), 2);
}

#[test]
fn a_full_disk_fails_the_write_and_the_next_one_may_work() {
    let mut flusher = Flusher::new(MemoryFiles::new());
    let append = |seq| Request {
        seq: Seq(seq),
        writes: vec![write(Do::Append(0), seq as u32)],
    };
    let full = |operation, _: &str| {
        let writes = matches!(operation, Operation::Append | Operation::Write);
        writes.then_some(Fault {
            kind: io::ErrorKind::StorageFull,
            partial: 3,
        })
    };
    flusher.storage_mut().set_faults(Some(Box::new(full)));
    let results = flusher.flush(&[append(1)]);
    assert!(
        results[0]
            .1
            .as_ref()
            .is_err_and(|reason| reason.contains("append to 'log0'"))
    );
    assert_eq!(flusher.storage().tree(), vec![], "cut back");
    flusher.storage_mut().set_faults(None);
    assert_eq!(flusher.flush(&[append(2)]), vec![(Seq(2), Ok(()))]);
    // Keep nothing that was not flushed.
    let mut disk = flusher.into_storage();
    disk.crash(&mut |_| 0);
    assert_eq!(disk.tree()[0].content, EntryContent::File(record(2)));
}

#[test]
fn directories_known_to_be_durable_are_forgotten_beyond_the_limit() {
    let mut flusher = Flusher::new(MemoryFiles::new());
    let append = |dir: usize| Write::Append {
        path: format!("{dir}/log"),
        bytes: record(1),
    };
    let group: Vec<Request> = (0..=limits::DURABLE_DIRS)
        .map(|dir| Request {
            seq: Seq(dir as u64),
            writes: vec![append(dir)],
        })
        .collect();
    assert!(
        flusher
            .flush(&group)
            .iter()
            .all(|(_, result)| result.is_ok())
    );
    let dirs_flushed = |flusher: &mut Flusher<MemoryFiles>| {
        let before = flusher.storage().count(Operation::SyncDir);
        let results = flusher.flush(&[Request {
            seq: Seq(1),
            writes: vec![append(7)],
        }]);
        assert_eq!(results, [(Seq(1), Ok(()))]);
        flusher.storage().count(Operation::SyncDir) - before
    };
    assert_eq!(
        dirs_flushed(&mut flusher),
        2,
        "its own entries, and its entry in the root again"
    );
    assert_eq!(dirs_flushed(&mut flusher), 1, "known once more");
}

#[test]
fn what_recovery_reads_survives_a_power_failure() {
    use meseta_runtime::Storage;
    let mut files = MemoryFiles::new();
    files.make_dir("d").unwrap();
    files.write("d/killed-before-its-flush", b"bytes").unwrap();
    let mut forgetful = |_| 0;
    let read = files.read_back();
    files.crash(&mut forgetful);
    assert_eq!(files.tree(), read);
    assert_eq!(read.len(), 1);
    files.write("d/after", b"bytes").unwrap();
    files.crash(&mut forgetful);
    assert_eq!(files.tree(), read, "and nothing else does");
}

#[test]
fn a_directory_that_somebody_else_removed_is_made_to_last_again() {
    use meseta_runtime::Storage;
    let mut flusher = Flusher::new(MemoryFiles::new());
    let append = |seq: u64| Request {
        seq: Seq(seq),
        writes: vec![Write::Append {
            path: "outer/inner/log".to_owned(),
            bytes: record(1),
        }],
    };
    for removed in ["outer/inner", "outer"] {
        assert_eq!(flusher.flush(&[append(1)]), [(Seq(1), Ok(()))]);
        flusher.storage_mut().remove(removed).unwrap();
        assert_eq!(flusher.flush(&[append(2)]), [(Seq(2), Ok(()))]);
        let written = flusher.storage().tree();
        assert_eq!(written.len(), 1);
        flusher.storage_mut().crash(&mut |_| 0);
        assert_eq!(flusher.storage().tree(), written, "after '{removed}' went");
    }
}
