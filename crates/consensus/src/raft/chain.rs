//! Checks a log record by record when it is opened.

use openraft::EntryPayload;

use super::snapshot::Snapshot;
use super::store::{Known, StoreError};
use super::types::{Entry, LogId, Membership};

/// Checks that the records of a log follow one another without a gap.
pub(crate) struct Chain {
    next_key: u64,
    tail: Option<LogId>,
    expected_tail: Option<LogId>,
    vote_epoch: u64,
    /// The last op so far, once it is known.
    last_op: Option<u64>,
    /// Up to here nothing is expected of the ops: the snapshot covers them.
    place: Option<LogId>,
    op_at_place: u64,
    /// The newest so far.
    membership: Option<Membership>,
}

impl Chain {
    pub(crate) fn starting_at(
        known: &Known,
        snapshot: Option<&Snapshot>,
    ) -> Result<Self, StoreError> {
        let place = snapshot.map(|snapshot| snapshot.place);
        if known.purged > place {
            let why = "the log begins after the snapshot ends";
            return Err(StoreError::damaged("the snapshot", why));
        }
        if snapshot.is_some_and(|snapshot| snapshot.last_op() < snapshot.op_at_place) {
            return Err(StoreError::damaged(
                "the snapshot",
                "it is older than its place",
            ));
        }
        Ok(Self {
            next_key: known.purged.map_or(0, |purged| purged.index + 1),
            tail: known.purged,
            expected_tail: known.tail,
            vote_epoch: known.vote.map_or(0, |vote| vote.leader_id.term),
            last_op: None,
            place,
            op_at_place: snapshot.map_or(0, |snapshot| snapshot.op_at_place),
            membership: snapshot.map(|snapshot| snapshot.membership.membership().clone()),
        })
    }

    pub(crate) fn add(&mut self, key: u64, entry: Entry) -> Result<(), StoreError> {
        let damaged = |why: String| Err(StoreError::damaged(format!("log record {key}"), why));
        if key != self.next_key {
            return damaged(format!(
                "record {} should come here, and is missing",
                self.next_key
            ));
        }
        if Some(entry.log_id) < self.tail || entry.log_id.leader_id.term > self.vote_epoch {
            return damaged("its epoch does not fit".to_owned());
        }
        if let EntryPayload::Normal(batch) = &entry.payload {
            let covered = Some(entry.log_id) <= self.place;
            let before = self.last_op.or((!covered).then_some(self.op_at_place));
            if before.is_some_and(|before| batch.first != before + 1) {
                return damaged(format!(
                    "it begins with op {}, not after {before:?}",
                    batch.first
                ));
            }
            self.last_op = Some(batch.last());
        }
        self.next_key += 1;
        self.tail = Some(entry.log_id);
        if let EntryPayload::Membership(membership) = entry.payload {
            self.membership = Some(membership);
        }
        Ok(())
    }

    /// The newest membership, if there is one.
    pub(crate) fn end(self) -> Result<Option<Membership>, StoreError> {
        if self.tail == self.expected_tail {
            return Ok(self.membership);
        }
        let place = |place: Option<LogId>| place.map_or("none".to_owned(), |p| p.index.to_string());
        let (found, expected) = (place(self.tail), place(self.expected_tail));
        let why = format!("its last record is {found}, and should be {expected}");
        Err(StoreError::damaged("the log", why))
    }
}
