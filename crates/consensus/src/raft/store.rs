//! The log, the vote and the snapshot in one redb file.
//!
//! Every change is one transaction, flushed before it is reported (two-phase commit, so that a reader
//! of a torn file never has to guess which half is the newer one). Three tables:
//!
//! - `meta`: `identity` (whose file this is), `vote`, `tail` (the last record of the log), `purged`
//!   (the last record that was removed from its front), `committed` (at least this far);
//! - `log`: place → [`crate::record`];
//! - `snapshot`: one record under key 0.
//!
//! `tail` repeats what the log's last key says, so that a log which lost its end is noticed.

use std::fs::OpenOptions;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes};
use openraft::EntryPayload;
use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
    WriteTransaction,
};

use super::backend::{Closing, CrashOnly};
use super::chain::Chain;
use super::open::OpenError;
use super::snapshot::Snapshot;
use super::types::{Entry, LogId, Membership, StoredMembership, Vote, entry_of, log_id, record_of};
use crate::limits;
use crate::record::{AGREEMENT, BadRecord, Kind, Reader, Record};

pub(crate) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
pub(crate) const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
pub(crate) const SNAPSHOT: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshot");

/// What the storage says when it cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database or the disk below it.
    #[error("{0}")]
    Redb(#[from] redb::Error),
    /// What was read makes no sense.
    #[error("{what}: {why}")]
    Damaged { what: String, why: String },
}

macro_rules! from_redb {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        }
    )+};
}
from_redb!(
    TransactionError,
    TableError,
    StorageError,
    CommitError,
    SetDurabilityError
);

impl StoreError {
    pub(crate) fn damaged(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Damaged {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

/// What is known of the file without reading it again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogId>,
    pub(crate) tail: Option<LogId>,
    /// What is on the disk may be older: it is written along with the next change.
    pub(crate) committed: Option<LogId>,
    /// Bytes of records in the log.
    pub(crate) log_bytes: u64,
    /// This node is known to be the only voter.
    alone: bool,
    /// The vote is not on the disk yet; it is written along with the next entries.
    vote_waits: bool,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Store {
    db: Database,
    closing: Closing,
    pub(crate) node: u64,
    /// Whose ops these are; a record of any other state machine is refused.
    pub(crate) machine: u8,
    known: Mutex<Known>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.closing.begin();
    }
}

impl Store {
    /// Opens the file, or makes it; checks all of it.
    pub(crate) fn open(path: &Path, node: u64, machine: u8) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options
            .open(path)
            .map_err(|error| OpenError::io(path, error))?;
        let backend = FileBackend::new(file).map_err(|error| OpenError::from_redb(path, error))?;
        Self::open_on(backend, path, node, machine)
    }

    /// As [`Store::open`], on any backend. `path` is only for messages.
    pub(crate) fn open_on(
        backend: impl StorageBackend,
        path: &Path,
        node: u64,
        machine: u8,
    ) -> Result<Self, OpenError> {
        let closing = Closing::default();
        let db = redb::Builder::new()
            .set_cache_size(limits::CACHE_BYTES)
            .create_with_backend(CrashOnly::new(backend, closing.clone()))
            .map_err(|error| OpenError::from_redb(path, error))?;
        let store = Self {
            db,
            closing,
            node,
            machine,
            known: Mutex::new(Known::default()),
        };
        let known = store
            .inspect()
            .map_err(|error| OpenError::from_store(path, error))?;
        match known {
            Some((owner, known)) if owner == node => *store.known() = known,
            Some((owner, _)) => {
                return Err(OpenError::OtherNode {
                    path: path.to_owned(),
                    node,
                    owner,
                });
            }
            None => store
                .found()
                .map_err(|error| OpenError::from_store(path, error))?,
        }
        Ok(store)
    }

    /// Makes the tables and writes whose they are, in one transaction.
    fn found(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.open_table(LOG)?;
            tx.open_table(SNAPSHOT)?;
            let record = self.agreement(Kind::Identity, 0, self.node, Bytes::new());
            tx.open_table(META)?
                .insert("identity", record.encode().as_slice())?;
            Ok(())
        })
    }

    /// Reads and checks everything; `None` if the file is new.
    fn inspect(&self) -> Result<Option<(u64, Known)>, StoreError> {
        let tx = self.db.begin_read().map_err(redb::Error::from)?;
        if tx.list_tables()?.next().is_none() {
            return Ok(None);
        }
        let meta = tx.open_table(META)?;
        let place = |key: &str| -> Result<Option<LogId>, StoreError> {
            let Some(value) = meta.get(key)? else {
                return Ok(None);
            };
            let record = self.decode(key, value.value(), Kind::Place)?;
            Ok(Some(log_id(record.epoch, record.index)))
        };
        let Some(identity) = meta.get("identity")? else {
            return Err(StoreError::damaged(
                "the record of whose file this is",
                "it is missing",
            ));
        };
        let identity = self.decode("identity", identity.value(), Kind::Identity)?;
        let vote = match meta.get("vote")? {
            None => None,
            Some(value) => Some(vote_of(self.decode("vote", value.value(), Kind::Vote)?)?),
        };
        let mut known = Known {
            vote,
            purged: place("purged")?,
            tail: place("tail")?,
            committed: place("committed")?,
            ..Known::default()
        };
        let snapshot = self.snapshot()?;
        let mut chain = Chain::starting_at(&known, snapshot.as_ref())?;
        for item in tx.open_table(LOG)?.iter()? {
            let (key, value) = item?;
            chain.add(key.value(), self.entry(key.value(), value.value())?)?;
            known.log_bytes += value.value().len() as u64;
        }
        known.alone = chain.end()?.is_some_and(|voters| self.is_alone(&voters));
        Ok(Some((identity.index, known)))
    }

    fn is_alone(&self, membership: &Membership) -> bool {
        membership.voter_ids().eq([self.node])
    }

    /// Whose lock it is does not matter: what is inside is replaced whole, never half.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_known(&self) -> Known {
        self.known().clone()
    }

    /// One transaction, durable when this returns.
    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(Durability::Immediate)?;
        tx.set_two_phase_commit(true);
        let result = change(&tx)?;
        tx.commit()?;
        Ok(result)
    }

    fn agreement(&self, kind: Kind, epoch: u64, index: u64, payload: Bytes) -> Record {
        Record {
            machine: AGREEMENT,
            kind,
            epoch,
            index,
            payload,
        }
    }

    fn decode(&self, what: &str, bytes: &[u8], kind: Kind) -> Result<Record, StoreError> {
        self.ours(bytes)
            .and_then(|record| record.of_kind(kind))
            .map_err(|bad| StoreError::damaged(format!("the record '{what}'"), bad))
    }

    fn ours(&self, bytes: &[u8]) -> Result<Record, BadRecord> {
        let record = Record::decode(bytes)?;
        let ours = record.machine == AGREEMENT || record.machine == self.machine;
        if ours {
            Ok(record)
        } else {
            Err(BadRecord::Machine(record.machine))
        }
    }

    fn entry(&self, key: u64, bytes: &[u8]) -> Result<Entry, StoreError> {
        let damaged =
            |why: &dyn ToString| StoreError::damaged(format!("log record {key}"), why.to_string());
        let record = self.ours(bytes).map_err(|bad| damaged(&bad))?;
        if record.index != key {
            return Err(damaged(&format!(
                "it says that it is record {}",
                record.index
            )));
        }
        entry_of(record).map_err(|bad| damaged(&bad))
    }

    fn put_place(
        &self,
        tx: &WriteTransaction,
        key: &str,
        place: Option<LogId>,
    ) -> Result<(), StoreError> {
        let mut meta = tx.open_table(META)?;
        match place {
            None => drop(meta.remove(key)?),
            Some(place) => {
                let (epoch, index) = (place.leader_id.term, place.index);
                let record = self.agreement(Kind::Place, epoch, index, Bytes::new());
                meta.insert(key, record.encode().as_slice())?;
            }
        }
        Ok(())
    }

    /// Adds entries at the end.
    pub(crate) fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let Known {
            committed,
            vote,
            vote_waits,
            ..
        } = self.now_known();
        let bytes = self.write(|tx| {
            let mut log = tx.open_table(LOG)?;
            let mut bytes = 0;
            for entry in entries {
                let record = record_of(entry).encode();
                bytes += record.len() as u64;
                log.insert(entry.log_id.index, record.as_slice())?;
            }
            self.put_place(tx, "tail", Some(last.log_id))?;
            self.put_place(tx, "committed", committed)?;
            match vote {
                Some(vote) if vote_waits => self.put_vote(tx, vote)?,
                _ => {}
            }
            Ok(bytes)
        })?;
        let newest = entries.iter().rev().find_map(|entry| match &entry.payload {
            EntryPayload::Membership(membership) => Some(self.is_alone(membership)),
            _ => None,
        });
        let mut known = self.known();
        known.alone = newest.unwrap_or(known.alone);
        known.vote_waits = false;
        known.tail = Some(last.log_id);
        known.log_bytes += bytes;
        Ok(())
    }

    /// Removes the entry at `from` and all behind it.
    pub(crate) fn truncate(&self, from: u64) -> Result<(), StoreError> {
        let before = match from.checked_sub(1) {
            Some(before) => self
                .entries(before..from)?
                .first()
                .map(|entry| entry.log_id),
            None => None,
        };
        let tail = before.or(self.known().purged);
        let bytes = self.write(|tx| {
            let bytes = remove(tx, from..)?;
            self.put_place(tx, "tail", tail)?;
            Ok(bytes)
        })?;
        let mut known = self.known();
        known.tail = tail;
        known.log_bytes -= bytes;
        // The membership may have been among what is gone.
        known.alone = false;
        Ok(())
    }

    /// Removes the entry at `upto` and all before it.
    pub(crate) fn purge(&self, upto: LogId) -> Result<(), StoreError> {
        let tail = self.known().tail.max(Some(upto));
        let bytes = self.write(|tx| {
            let bytes = remove(tx, ..=upto.index)?;
            self.put_place(tx, "purged", Some(upto))?;
            self.put_place(tx, "tail", tail)?;
            Ok(bytes)
        })?;
        let mut known = self.known();
        known.purged = Some(upto);
        known.tail = tail;
        known.log_bytes -= bytes;
        Ok(())
    }

    /// Keeps the vote.
    ///
    /// That an own candidacy was won is not written: after a restart the node must win again, in a later
    /// epoch, so that no epoch is ever led twice. And the only voter's candidacy is written along with
    /// the first entry of its epoch: nobody else can have heard of it before that.
    pub(crate) fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        let mut kept = vote;
        let own = kept.leader_id.voted_for == Some(self.node);
        kept.committed &= !own;
        if self.known().vote == Some(kept) {
            return Ok(());
        }
        let waits = own && self.known().alone;
        if !waits {
            self.write(|tx| self.put_vote(tx, kept))?;
        }
        let mut known = self.known();
        known.vote = Some(kept);
        known.vote_waits = waits;
        Ok(())
    }

    fn put_vote(&self, tx: &WriteTransaction, vote: Vote) -> Result<(), StoreError> {
        let mut payload = Vec::new();
        payload.put_u8(u8::from(vote.committed));
        payload.put_u8(u8::from(vote.leader_id.voted_for.is_some()));
        let (epoch, voted_for) = (vote.leader_id.term, vote.leader_id.voted_for.unwrap_or(0));
        let record = self.agreement(Kind::Vote, epoch, voted_for, payload.into());
        tx.open_table(META)?
            .insert("vote", record.encode().as_slice())?;
        Ok(())
    }

    /// Remembers how far is committed; it reaches the disk along with the next entries.
    pub(crate) fn note_committed(&self, committed: Option<LogId>) {
        self.known().committed = committed;
    }

    /// Replaces the snapshot. The log is not shortened by this.
    pub(crate) fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let record = snapshot.to_record(self.machine).encode();
        self.write(|tx| {
            tx.open_table(SNAPSHOT)?.insert(0, record.as_slice())?;
            Ok(())
        })
    }

    /// The snapshot, if there is one.
    pub(crate) fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let table = self.db.begin_read()?.open_table(SNAPSHOT)?;
        let Some(bytes) = table.get(0)? else {
            return Ok(None);
        };
        let record = self.decode("snapshot", bytes.value(), Kind::Snapshot)?;
        let snapshot = Snapshot::from_record(record);
        snapshot
            .map(Some)
            .map_err(|bad| StoreError::damaged("the snapshot", bad))
    }

    /// Reads a snapshot that came from another node.
    pub(crate) fn decode_snapshot(&self, bytes: &[u8]) -> Result<Snapshot, StoreError> {
        self.ours(bytes)
            .and_then(Snapshot::from_record)
            .map_err(|bad| StoreError::damaged("a snapshot of another node", bad))
    }

    /// The entries in a range, as many as there are.
    pub(crate) fn entries(&self, range: impl RangeBounds<u64>) -> Result<Vec<Entry>, StoreError> {
        let table = self.db.begin_read()?.open_table(LOG)?;
        let mut entries = Vec::new();
        for item in table.range(range)? {
            let (key, value) = item?;
            entries.push(self.entry(key.value(), value.value())?);
        }
        Ok(entries)
    }

    /// What a state machine needs to rebuild: the snapshot, and the ops after it up to `upto`.
    pub(crate) fn rebuild(&self, upto: u64) -> Result<Rebuilt, StoreError> {
        let snapshot = self.snapshot()?;
        let from = snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.place.index + 1);
        let covered = snapshot.as_ref().map_or(0, Snapshot::last_op);
        let mut rebuilt = Rebuilt {
            snapshot: snapshot.and_then(|s| s.given),
            ops: Vec::new(),
            last: covered,
        };
        for entry in self.entries(from..=upto)? {
            let EntryPayload::Normal(batch) = entry.payload else {
                continue;
            };
            rebuilt.last = batch.last();
            let ops = (batch.first..).zip(batch.ops);
            rebuilt
                .ops
                .extend(ops.filter(|(index, _)| *index > covered));
        }
        Ok(rebuilt)
    }

    /// The snapshot that `bytes` at op `index` make, given that the log is committed up to `upto` and
    /// that `voters` is the newest membership.
    pub(crate) fn snapshot_at(
        &self,
        index: u64,
        bytes: Bytes,
        upto: u64,
        voters: &StoredMembership,
    ) -> Result<Snapshot, StoreError> {
        let old = self.snapshot()?;
        let (place, op_at_place) = self.place_of(index, upto, old.as_ref())?;
        let membership = if *voters.log_id() <= Some(place) {
            voters.clone()
        } else {
            self.membership_at(place, old)?
        };
        Ok(Snapshot {
            place,
            op_at_place,
            membership,
            given: Some((index, bytes)),
        })
    }

    /// The last record up to `upto` that holds no op behind `index`, and the last op up to there.
    fn place_of(
        &self,
        index: u64,
        upto: u64,
        old: Option<&Snapshot>,
    ) -> Result<(LogId, u64), StoreError> {
        let table = self.db.begin_read()?.open_table(LOG)?;
        let mut place = None;
        // From the end, where the place usually is.
        for item in table.range(..=upto)?.rev() {
            let (key, value) = item?;
            let entry = self.entry(key.value(), value.value())?;
            match entry.payload {
                EntryPayload::Normal(batch) if batch.last() > index => place = None,
                EntryPayload::Normal(batch) => {
                    return Ok((place.unwrap_or(entry.log_id), batch.last()));
                }
                EntryPayload::Membership(_) | EntryPayload::Blank => {
                    place = place.or(Some(entry.log_id));
                }
            }
        }
        let place = place.or(old.map(|old| old.place));
        let place = place.ok_or_else(|| StoreError::damaged("the log", "it is empty"))?;
        Ok((place, old.map_or(0, |old| old.op_at_place)))
    }

    fn membership_at(
        &self,
        place: LogId,
        old: Option<Snapshot>,
    ) -> Result<StoredMembership, StoreError> {
        let mut membership = old.map(|old| old.membership).unwrap_or_default();
        for entry in self.entries(..=place.index)? {
            if let EntryPayload::Membership(found) = entry.payload {
                membership = StoredMembership::new(Some(entry.log_id), found);
            }
        }
        Ok(membership)
    }
}

/// What [`Store::rebuild`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    pub(crate) snapshot: Option<(u64, Bytes)>,
    pub(crate) ops: Vec<(u64, Bytes)>,
    /// The index of the last op there is.
    pub(crate) last: u64,
}

fn vote_of(record: Record) -> Result<Vote, StoreError> {
    let read = || {
        let mut reader = Reader(record.payload.clone());
        let (committed, has_voted) = (reader.u8()? != 0, reader.u8()? != 0);
        reader.end()?;
        let mut vote = Vote::new(record.epoch, record.index);
        vote.committed = committed;
        if !has_voted {
            vote.leader_id.voted_for = None;
        }
        Ok(vote)
    };
    read().map_err(|bad: BadRecord| StoreError::damaged("the vote", bad))
}

/// Removes a range of the log; returns how many bytes of records that were.
fn remove(tx: &WriteTransaction, range: impl RangeBounds<u64>) -> Result<u64, StoreError> {
    let mut bytes = 0;
    tx.open_table(LOG)?.retain_in(range, |_, record| {
        bytes += record.len() as u64;
        false
    })?;
    Ok(bytes)
}
