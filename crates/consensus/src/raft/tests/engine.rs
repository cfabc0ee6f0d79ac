//! The whole engine: disks that fail under it, its flushes counted, its batches measured.

use std::path::Path;

use bytes::Bytes;
use openraft::EntryPayload;

use super::disk::Disk;
use super::{MASTER, NODE};
use crate::coordinator::{Event, Refusal};
use crate::limits;
use crate::raft::handle::start;
use crate::raft::store::Store;

#[test]
fn a_disk_that_fails_ends_the_lead_and_nothing_committed_is_lost() {
    let disk = Disk::default();
    let open = || {
        let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
        start(store, limits::LOG_BYTES, Path::new("disk")).unwrap()
    };
    let (coordinator, mut events) = open();
    coordinator.campaign().unwrap();
    assert!(matches!(events.blocking_recv(), Some(Event::Led { .. })));
    let op = |nth: u64| Bytes::from(format!("op {nth}"));
    coordinator.propose(1, op(1)).unwrap();
    assert_eq!(
        events.blocking_recv(),
        Some(Event::Committed {
            seq: 1,
            index: 1,
            op: op(1)
        })
    );
    // While the first of these is on its way to the disk, which then fails.
    let mut busy = disk.state();
    busy.works_for = Some(1);
    for nth in 2..5 {
        coordinator.propose(nth, op(nth)).unwrap();
    }
    drop(busy);
    let mut outcomes = Vec::new();
    while let Some(event) = events.blocking_recv() {
        outcomes.push(event);
    }
    let Some(Event::Failed { reason }) = outcomes.pop() else {
        panic!("{outcomes:?}")
    };
    assert!(reason.contains("no storage space"), "{reason}");
    let lost = outcomes
        .iter()
        .position(|event| matches!(event, Event::Lost { .. }))
        .unwrap();
    let unknown: Vec<u64> = outcomes[..lost]
        .iter()
        .filter_map(|event| match event {
            Event::Unknown { seq } => Some(*seq),
            _ => None,
        })
        .collect();
    assert_eq!(unknown.first(), Some(&2), "what was on its way");
    let refused = outcomes.iter().filter_map(|event| match event {
        Event::Refused {
            seq,
            reason: Refusal::NotLeading,
        } => Some(*seq),
        _ => None,
    });
    let answered: Vec<u64> = unknown.iter().copied().chain(refused).collect();
    assert_eq!(answered, [2, 3, 4], "each has one outcome: {outcomes:?}");
    assert_eq!(coordinator.propose(5, op(5)), Err(Refusal::Stopped));
    coordinator.close();
    disk.crash(&mut |_| 1);
    let (coordinator, mut events) = open();
    coordinator.campaign().unwrap();
    let led = events.blocking_recv();
    let Some(Event::Led { ops, .. }) = led else {
        panic!("{led:?}")
    };
    assert_eq!(ops, [(1, op(1))]);
    coordinator.close();
}

/// Time is mostly flushes, and unlike time they can be counted.
#[test]
fn a_lead_and_a_commit_take_few_flushes() {
    let disk = Disk::default();
    let flushes = || std::mem::take(&mut disk.state().flushes);
    let lead = || {
        let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
        let (coordinator, mut events) = start(store, limits::LOG_BYTES, Path::new("disk")).unwrap();
        coordinator.campaign().unwrap();
        assert!(matches!(events.blocking_recv(), Some(Event::Led { .. })));
        (coordinator, events)
    };
    let (coordinator, mut events) = lead();
    // Made: 3; whose it is, who votes, and the first record of the epoch: 2 each.
    assert_eq!(flushes(), 9);
    for seq in 1..=10 {
        coordinator.propose(seq, Bytes::from_static(b"op")).unwrap();
        assert!(matches!(
            events.blocking_recv(),
            Some(Event::Committed { .. })
        ));
    }
    assert_eq!(flushes(), 20, "two phases each");
    // While one flush is on its way, everything else waits and shares the next.
    let busy = disk.state();
    for seq in 1..=1_000 {
        coordinator.propose(seq, Bytes::from_static(b"op")).unwrap();
    }
    drop(busy);
    for _ in 1..=1_000 {
        assert!(matches!(
            events.blocking_recv(),
            Some(Event::Committed { .. })
        ));
    }
    let shared = flushes();
    assert!(shared <= 6, "{shared} flushes for 1000 commits");
    coordinator.close();
    assert_eq!(flushes(), 0, "a stop writes nothing");
    let _again = lead();
    // redb's check: 5; the first record of the epoch: 2.
    assert_eq!(flushes(), 7);
}

#[test]
fn a_record_takes_so_many_ops_and_bytes_and_no_more() {
    let disk = Disk::default();
    let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
    let (coordinator, mut events) = start(store, limits::LOG_BYTES, Path::new("disk")).unwrap();
    coordinator.campaign().unwrap();
    assert!(matches!(events.blocking_recv(), Some(Event::Led { .. })));
    let large = Bytes::from(vec![7; limits::BATCH_BYTES * 2 / 5]);
    let ops = (0..3 * limits::BATCH_OPS).map(|nth| {
        if nth < 30 {
            large.clone()
        } else {
            Bytes::new()
        }
    });
    let busy = disk.state();
    for (seq, op) in (1..).zip(ops.clone()) {
        coordinator.propose(seq, op).unwrap();
    }
    drop(busy);
    for _ in ops {
        assert!(matches!(
            events.blocking_recv(),
            Some(Event::Committed { .. })
        ));
    }
    coordinator.close();
    let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
    let (mut most_ops, mut most_large) = (0, 0);
    for entry in store.entries(..).unwrap() {
        if let EntryPayload::Normal(batch) = entry.payload {
            most_ops = most_ops.max(batch.ops.len());
            most_large = most_large.max(batch.ops.iter().filter(|op| !op.is_empty()).count());
        }
    }
    assert_eq!((most_ops, most_large), (limits::BATCH_OPS, 3));
}

#[test]
fn a_disk_that_fails_before_the_lead_is_reported_too() {
    let disk = Disk::default();
    let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
    let (coordinator, mut events) = start(store, limits::LOG_BYTES, Path::new("disk")).unwrap();
    let mut busy = disk.state();
    busy.works_for = Some(0);
    coordinator.campaign().unwrap();
    coordinator.snapshot(0, Bytes::new()).unwrap();
    coordinator.propose(1, Bytes::new()).unwrap();
    drop(busy);
    let reason = Refusal::NotLeading;
    assert_eq!(
        events.blocking_recv(),
        Some(Event::SnapshotRefused { index: 0, reason })
    );
    assert_eq!(
        events.blocking_recv(),
        Some(Event::Refused { seq: 1, reason })
    );
    let failed = events.blocking_recv();
    assert!(matches!(failed, Some(Event::Failed { .. })), "{failed:?}");
    assert_eq!(events.blocking_recv(), None);
}
