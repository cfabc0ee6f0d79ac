//! openraft's view of the log: thin, every decision is in [`super::store`].

use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{AnyError, OptionalSend, RaftLogReader, StorageError, StorageIOError};

use super::store::{Store, StoreError};
use super::types::{Entry, LogId, Types, Vote};

/// The log of a [`Store`].
#[derive(Debug, Clone)]
pub(crate) struct Log(pub(crate) Arc<Store>);

pub(crate) fn cause(error: &StoreError) -> AnyError {
    AnyError::new(error)
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        Ok(self
            .0
            .entries(range)
            .map_err(|error| StorageIOError::read_logs(cause(&error)))?)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        let known = self.0.now_known();
        Ok(LogState {
            last_purged_log_id: known.purged,
            last_log_id: known.tail,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError<u64>> {
        let saved = self.0.save_vote(*vote);
        Ok(saved.map_err(|error| StorageIOError::write_vote(cause(&error)))?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError<u64>> {
        Ok(self.0.now_known().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError<u64>> {
        self.0.note_committed(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError<u64>> {
        Ok(self.0.now_known().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.0
            .append(&entries)
            .map_err(|error| StorageIOError::write_logs(cause(&error)))?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError<u64>> {
        let cut = self.0.truncate(from.index);
        Ok(cut.map_err(|error| StorageIOError::write_logs(cause(&error)))?)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError<u64>> {
        let purged = self.0.purge(upto);
        Ok(purged.map_err(|error| StorageIOError::write_logs(cause(&error)))?)
    }
}
