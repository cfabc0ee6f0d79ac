//! What the store keeps and how it comes back, on a good disk.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::testing::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};

use super::disk::Disk;
use super::{MASTER, NODE, blank, filled, membership, snapshot_at};
use crate::raft::log::Log;
use crate::raft::machine::Machine;
use crate::raft::open::FILE_NAME;
use crate::raft::store::Store;
use crate::raft::types::{Entry, Membership, StoredMembership, Types, Vote, log_id};

/// openraft's own conformance suite for storages.
struct Builder;

impl StoreBuilder<Types, Log, Machine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, Log, Machine), StorageError<u64>> {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join(FILE_NAME), NODE, MASTER).unwrap());
        let machine = Machine::new(store.clone()).unwrap();
        Ok((dir, Log(store), machine))
    }
}

#[test]
fn openrafts_suite_for_storages_passes() {
    Suite::test_all(Builder).unwrap();
}

#[test]
fn a_snapshot_is_filed_under_the_last_record_that_it_covers_wholly() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join(FILE_NAME), NODE, MASTER).unwrap();
    filled(&store);
    let places: Vec<(u64, u64)> = (0..=6)
        .map(|index| snapshot_at(&store, index))
        .map(|snapshot| (snapshot.place.index, snapshot.op_at_place))
        .collect();
    assert_eq!(
        places,
        [(1, 0), (1, 0), (1, 0), (2, 3), (3, 4), (3, 4), (4, 6)]
    );
    // A membership that is newer than the place does not belong to the snapshot.
    let newer = StoredMembership::new(Some(log_id(2, 9)), Membership::default());
    let snapshot = store.snapshot_at(3, Bytes::new(), 4, &newer).unwrap();
    assert_eq!(
        snapshot.membership,
        StoredMembership::new(Some(log_id(0, 0)), membership())
    );
}

#[test]
fn an_own_vote_comes_back_as_a_candidacy_and_another_ones_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let reopened = |vote: Vote| {
        let store = Store::open(&path, NODE, MASTER).unwrap();
        store.save_vote(vote).unwrap();
        drop(store);
        Store::open(&path, NODE, MASTER).unwrap().now_known().vote
    };
    assert_eq!(reopened(Vote::new(1, NODE)), Some(Vote::new(1, NODE)));
    assert_eq!(
        reopened(Vote::new_committed(1, NODE)),
        Some(Vote::new(1, NODE))
    );
    assert_eq!(
        reopened(Vote::new_committed(2, 5)),
        Some(Vote::new_committed(2, 5))
    );
    let nobody = Vote {
        leader_id: openraft::LeaderId {
            term: 3,
            voted_for: None,
        },
        committed: false,
    };
    assert_eq!(reopened(nobody), Some(nobody));
}

#[test]
fn the_only_voters_candidacy_is_written_along_with_its_first_entry() {
    let disk = Disk::default();
    let open = || Store::open_on(disk.backend(), Path::new("disk"), NODE, MASTER).unwrap();
    let store = open();
    filled(&store);
    drop(store);
    let store = open();
    disk.works_for(Some(0));
    store.save_vote(Vote::new(3, NODE)).unwrap();
    store.save_vote(Vote::new_committed(3, NODE)).unwrap();
    assert!(
        store.save_vote(Vote::new(4, 5)).is_err(),
        "another one's is written at once"
    );
    disk.works_for(None);
    assert_eq!(store.now_known().vote, Some(Vote::new(3, NODE)));
    drop(store);
    let store = open();
    assert_eq!(
        store.now_known().vote,
        Some(Vote::new(2, NODE)),
        "nobody heard of epoch 3"
    );
    store.save_vote(Vote::new(3, NODE)).unwrap();
    store.append(&[blank(3, 5)]).unwrap();
    drop(store);
    assert_eq!(open().now_known().vote, Some(Vote::new(3, NODE)));
    // With another voter the node may not vote for itself and forget it.
    let store = open();
    let two = Membership::new(vec![[NODE, 5].into()], None);
    let entry = Entry {
        log_id: log_id(3, 6),
        payload: EntryPayload::Membership(two),
    };
    store.append(&[entry]).unwrap();
    store.save_vote(Vote::new(4, NODE)).unwrap();
    drop(store);
    assert_eq!(open().now_known().vote, Some(Vote::new(4, NODE)));
}
