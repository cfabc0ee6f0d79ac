//! openraft's view of the state machine. The real one is outside, and gets its ops as events; here is
//! kept only how far it has got, and the snapshots it gave.

use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::{RaftStateMachine, Snapshot as RaftSnapshot, SnapshotMeta};
use openraft::{
    BasicNode, EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageError, StorageIOError,
};

use super::log::cause;
use super::snapshot::Snapshot;
use super::store::{Store, StoreError};
use super::types::{Entry, LogId, StoredMembership, Types};

/// How far the ops were applied.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    store: Arc<Store>,
    applied: Option<LogId>,
    membership: StoredMembership,
    last_op: u64,
}

impl Machine {
    /// As of the snapshot; openraft applies what was committed since.
    pub(crate) fn new(store: Arc<Store>) -> Result<Self, StoreError> {
        let mut machine = Self {
            store,
            applied: None,
            membership: StoredMembership::default(),
            last_op: 0,
        };
        if let Some(snapshot) = machine.store.snapshot()? {
            machine.be(&snapshot);
        }
        Ok(machine)
    }

    fn be(&mut self, snapshot: &Snapshot) {
        self.applied = Some(snapshot.place);
        self.membership = snapshot.membership.clone();
        self.last_op = snapshot.op_at_place;
    }

    fn for_raft(&self, snapshot: &Snapshot) -> RaftSnapshot<Types> {
        let meta = SnapshotMeta {
            last_log_id: Some(snapshot.place),
            last_membership: snapshot.membership.clone(),
            snapshot_id: format!("{}-{}", snapshot.place, snapshot.last_op()),
        };
        let bytes = snapshot.to_record(self.store.machine).encode();
        RaftSnapshot {
            meta,
            snapshot: Box::new(Cursor::new(bytes)),
        }
    }
}

fn unreadable(error: StoreError) -> StorageError<u64> {
    StorageIOError::read_snapshot(None, cause(&error)).into()
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId>, StoredMembership), StorageError<u64>> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut answers = Vec::new();
        for entry in entries {
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
                EntryPayload::Normal(batch) => {
                    if batch.first != self.last_op + 1 {
                        let why = format!("op {} follows op {}", batch.first, self.last_op);
                        let error =
                            StoreError::damaged(format!("log record {}", entry.log_id), why);
                        return Err(StorageIOError::apply(entry.log_id, cause(&error)).into());
                    }
                    self.last_op = batch.last();
                }
            }
            self.applied = Some(entry.log_id);
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let installed = self
            .store
            .decode_snapshot(snapshot.get_ref())
            .and_then(|snapshot| self.store.save_snapshot(&snapshot).map(|()| snapshot));
        let signature = Some(meta.signature());
        let snapshot =
            installed.map_err(|error| StorageIOError::write_snapshot(signature, cause(&error)))?;
        self.be(&snapshot);
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<RaftSnapshot<Types>>, StorageError<u64>> {
        let current = self.store.snapshot().map_err(unreadable)?;
        Ok(current.map(|snapshot| self.for_raft(&snapshot)))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    /// The engine stores snapshots itself, and asks openraft to take notice of them by this. Made here
    /// are only those that need nothing from the state machine: when there was no op since the last.
    async fn build_snapshot(&mut self) -> Result<RaftSnapshot<Types>, StorageError<u64>> {
        let current = self.store.snapshot().map_err(unreadable)?;
        let covered = current.as_ref().map_or(0, |current| current.op_at_place);
        let place = match (&current, self.applied) {
            (Some(current), applied)
                if covered < self.last_op || applied <= Some(current.place) =>
            {
                return Ok(self.for_raft(current));
            }
            (None, _) if covered < self.last_op => {
                return Err(unreadable(StoreError::damaged(
                    "a snapshot",
                    "none was given",
                )));
            }
            (_, None) => {
                return Ok(RaftSnapshot {
                    meta: SnapshotMeta::default(),
                    snapshot: Box::default(),
                });
            }
            (_, Some(applied)) => applied,
        };
        let snapshot = Snapshot {
            place,
            op_at_place: self.last_op,
            membership: self.membership.clone(),
            given: current.and_then(|current| current.given),
        };
        let saved = self.store.save_snapshot(&snapshot);
        saved.map_err(|error| StorageIOError::write_snapshot(None, cause(&error)))?;
        Ok(self.for_raft(&snapshot))
    }
}
