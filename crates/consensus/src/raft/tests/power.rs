//! Any changes, and the power fails amid them: what was durable is there, the rest wholly or not.

use std::path::Path;

use bytes::Bytes;
use openraft::EntryPayload;
use proptest::prelude::*;

use super::disk::Disk;
use super::{MASTER, NODE, batch, content};
use crate::raft::snapshot::Snapshot;
use crate::raft::store::Store;
use crate::raft::types::{Entry, StoredMembership, Vote, record_of};

#[derive(Debug, Clone, Copy)]
enum Change {
    Append(usize),
    Vote,
    Snapshot,
    Purge,
    Truncate,
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (1_usize..40).prop_map(Change::Append),
        1 => Just(Change::Vote),
        1 => Just(Change::Snapshot),
        1 => Just(Change::Purge),
        1 => Just(Change::Truncate),
    ]
}

/// What the file should hold.
#[derive(Debug, Clone, PartialEq, Default)]
struct Expected {
    entries: Vec<Entry>,
    snapshot: Option<Snapshot>,
    vote: Option<Vote>,
    last_op: u64,
}

impl Expected {
    fn next_place(&self) -> u64 {
        let after_snapshot = self.snapshot.as_ref().map_or(0, |s| s.place.index + 1);
        self.entries
            .last()
            .map_or(after_snapshot, |entry| entry.log_id.index + 1)
    }

    /// Makes a change, here and in the store.
    fn change(&mut self, store: &Store, change: Change) -> bool {
        let epoch = self.vote.map_or(0, |vote| vote.leader_id.term);
        match change {
            Change::Append(ops) => {
                let entry = batch(epoch, self.next_place(), self.last_op + 1, ops);
                self.entries.push(entry.clone());
                self.last_op += ops as u64;
                store.append(&[entry]).is_ok()
            }
            Change::Vote => {
                self.vote = Some(Vote::new(epoch + 1, NODE));
                store.save_vote(Vote::new(epoch + 1, NODE)).is_ok()
            }
            Change::Snapshot => {
                let Some(last) = self.entries.last() else {
                    return true;
                };
                let snapshot = Snapshot {
                    place: last.log_id,
                    op_at_place: self.last_op,
                    membership: StoredMembership::default(),
                    given: Some((
                        self.last_op,
                        Bytes::from(vec![7; self.last_op as usize * 50]),
                    )),
                };
                self.snapshot = Some(snapshot.clone());
                store.save_snapshot(&snapshot).is_ok()
            }
            Change::Purge => {
                let Some(place) = self.snapshot.as_ref().map(|s| s.place) else {
                    return true;
                };
                self.entries.retain(|entry| entry.log_id > place);
                store.purge(place).is_ok()
            }
            Change::Truncate => {
                let Some(last) = self.entries.pop() else {
                    return true;
                };
                if Some(last.log_id) <= self.snapshot.as_ref().map(|s| s.place) {
                    self.entries.push(last);
                    return true;
                }
                if let EntryPayload::Normal(batch) = &last.payload {
                    self.last_op = batch.first - 1;
                }
                store.truncate(last.log_id.index).is_ok()
            }
        }
    }

    fn holds(&self, store: &Store) -> bool {
        let (entries, snapshot, vote) = content(store);
        let bytes: usize = self
            .entries
            .iter()
            .map(|e| record_of(e).encode().len())
            .sum();
        (&entries, &snapshot, vote) == (&self.entries, &self.snapshot, self.vote)
            && store.now_known().log_bytes == bytes as u64
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn nothing_durable_is_lost_with_the_power(
        lives in prop::collection::vec(
            (prop::collection::vec(any_change(), 1..12), 0_usize..60, any::<u64>()), 1..5),
    ) {
        let disk = Disk::default();
        let mut expected = Expected::default();
        for (changes, works_for, seed) in lives {
            let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
            prop_assert!(expected.holds(&store));
            disk.works_for(Some(works_for));
            let mut before = expected.clone();
            for change in changes {
                before = expected.clone();
                if !expected.change(&store, change) {
                    break;
                }
                prop_assert!(expected.holds(&store));
                before = expected.clone();
            }
            disk.crash(&mut draws(seed));
            drop(store);
            let store = Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
            // The change that failed may be there, wholly.
            if !expected.holds(&store) {
                prop_assert!(before.holds(&store), "{:?} or {:?}", before, expected);
                expected = before;
            }
            drop(store);
        }
    }
}

/// Draws (SplitMix64) below a bound.
fn draws(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |bound| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
