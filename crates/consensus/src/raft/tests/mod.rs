//! The store and the engine on disks that fail, tear and lose power, and on files that were damaged.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod damage;
mod disk;
mod engine;
mod power;
mod store;

use bytes::Bytes;
use openraft::{BasicNode, EntryPayload};

use super::snapshot::Snapshot;
use super::store::Store;
use super::types::{Batch, Entry, Membership, StoredMembership, Vote, log_id};

const NODE: u64 = 77;
const MASTER: u8 = 1;

fn batch(epoch: u64, index: u64, first: u64, ops: usize) -> Entry {
    let ops = (first..)
        .take(ops)
        .map(|nth| Bytes::from(format!("op {nth}")))
        .collect();
    let batch = Batch {
        machine: MASTER,
        first,
        ops,
    };
    Entry {
        log_id: log_id(epoch, index),
        payload: EntryPayload::Normal(batch),
    }
}

fn blank(epoch: u64, index: u64) -> Entry {
    Entry {
        log_id: log_id(epoch, index),
        payload: EntryPayload::Blank,
    }
}

fn membership() -> Membership {
    Membership::new(
        vec![[NODE].into()],
        [(NODE, BasicNode::default())]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>(),
    )
}

/// A log with a vote and five records: membership, blank, ops 1 to 3, 4, and 5 to 6.
fn filled(store: &Store) {
    store.save_vote(Vote::new(2, NODE)).unwrap();
    let first = Entry {
        log_id: log_id(0, 0),
        payload: EntryPayload::Membership(membership()),
    };
    let entries = [
        first,
        blank(2, 1),
        batch(2, 2, 1, 3),
        batch(2, 3, 4, 1),
        batch(2, 4, 5, 2),
    ];
    store.append(&entries).unwrap();
}

fn snapshot_at(store: &Store, index: u64) -> Snapshot {
    let voters = StoredMembership::new(Some(log_id(0, 0)), membership());
    store
        .snapshot_at(index, Bytes::from(format!("up to {index}")), 4, &voters)
        .unwrap()
}

/// What of a file matters: it must come back whole, or the start must be refused.
fn content(store: &Store) -> (Vec<Entry>, Option<Snapshot>, Option<Vote>) {
    (
        store.entries(..).unwrap(),
        store.snapshot().unwrap(),
        store.now_known().vote,
    )
}
