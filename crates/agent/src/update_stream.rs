//! The stream of one task's updates, and the file it is written to.
//!
//! One write is in flight at a time and takes along everything that came meanwhile, so the file keeps
//! the order of the stream. A write that failed says nothing of what is on the disk now, and a second
//! flush of the same file would not either (Linux forgets what it could not write): from then on the
//! whole file is written anew beside the old one until that succeeds. So it is if a crash left half a
//! record at its end.
//!
//! The file is also written anew when most of it is of no use any more. What it holds then: the uuids
//! acknowledged lately, so that repetitions are known; the newest acknowledged update, which tells the
//! task's state; and whatever is not acknowledged. Agents of Mesos read it the same way: to them an
//! acknowledgement without its update means nothing.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meseta_model::ids::ExecutorId;
use meseta_model::step::{Seq, Write};
use meseta_proto::mesos::internal::{StatusUpdate, StatusUpdateRecord, status_update_record};

use crate::checkpoint;
use crate::limits;

/// The record of the acknowledgement of a uuid of 16 bytes, as all are.
const ACK_BYTES: usize = 24;

/// What recovery found in a `task.updates` file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Restored {
    /// Each with whether it is acknowledged, oldest first.
    pub(crate) updates: Vec<(StatusUpdate, bool)>,
    /// Acknowledged before all of those; only their uuids are known, oldest first.
    pub(crate) acknowledged: Vec<Bytes>,
    /// How long the file is.
    pub(crate) file_bytes: usize,
    /// It ends in something that is no record.
    pub(crate) torn: bool,
}

/// The updates of one task.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Oldest first.
    pending: VecDeque<Pending>,
    /// What the records of those take.
    pending_bytes: usize,
    /// UUIDs acknowledged lately, oldest first, at most [`limits::REMEMBERED_UUIDS`].
    acknowledged: VecDeque<Bytes>,
    /// Where it is written down; `None` if its framework does not checkpoint.
    log: Option<Log>,
    /// The oldest is on its way, and will be sent again after this.
    sent: Option<Duration>,
}

#[derive(Debug)]
struct Pending {
    update: StatusUpdate,
    /// What its record takes.
    bytes: usize,
    durability: Durability,
    /// The executor that waits to hear that the agent has it.
    sender: Option<ExecutorId>,
}

impl Pending {
    fn uuid(&self) -> Bytes {
        self.update.uuid.clone().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Unwritten,
    Writing,
    Durable,
}

/// One `task.updates` file.
#[derive(Debug, Default)]
struct Log {
    path: String,
    /// The record of the newest acknowledged update, as far as it tells the task's state.
    newest: Option<Bytes>,
    /// Records that are in no write yet.
    unwritten: BytesMut,
    /// Whether one of them is an acknowledgement.
    unwritten_ack: bool,
    /// How long the file is, or will be with the write in flight.
    file_bytes: usize,
    /// It ends in something that is no record, behind which nothing would be found.
    torn: bool,
    in_flight: Option<InFlight>,
    /// Writes that failed since one succeeded.
    failures: u32,
}

#[derive(Debug)]
struct InFlight {
    /// Known once the write is asked for.
    seq: Option<Seq>,
    ack: bool,
}

impl Log {
    /// Adds what is new to the file.
    fn append(&mut self) -> Write {
        let bytes = std::mem::take(&mut self.unwritten).freeze();
        self.file_bytes += bytes.len();
        let path = self.path.clone();
        Write::Append { path, bytes }
    }

    /// Writes the whole file anew.
    fn replace(&mut self, whole: BytesMut) -> Write {
        self.unwritten = BytesMut::new();
        self.file_bytes = whole.len();
        checkpoint::put(self.path.clone(), whole)
    }

    /// Whether the file, with what is new, would be longer than worth its while: more than twice what it
    /// has to hold.
    fn is_wasteful(&self, needed: usize) -> bool {
        let long = self.file_bytes + self.unwritten.len();
        long > limits::UPDATES_FILE_BYTES && long > 2 * needed
    }

    /// An acknowledgement that a crash could still undo: the next update must not overtake it.
    fn owes_ack(&self) -> bool {
        self.unwritten_ack || self.in_flight.as_ref().is_some_and(|write| write.ack)
    }
}

/// What to tell an executor that repeats an update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// It is safe already.
    AcknowledgeNow,
    /// It will be told when the write is done.
    Later,
}

impl Stream {
    /// A new stream, written to this path below `meta/` if there is one.
    pub(crate) fn new(path: Option<String>) -> Self {
        let log = path.map(|path| Log {
            path,
            ..Log::default()
        });
        Self {
            log,
            ..Self::default()
        }
    }

    /// A stream of an earlier life.
    pub(crate) fn restored(path: String, restored: Restored) -> Self {
        let mut stream = Self::default();
        let mut log = Log {
            path,
            file_bytes: restored.file_bytes,
            torn: restored.torn,
            ..Log::default()
        };
        for uuid in restored.acknowledged {
            stream.note_acknowledged(uuid);
        }
        for (update, acknowledged) in restored.updates {
            if acknowledged {
                log.newest = Some(state_record(&update));
                stream.note_acknowledged(update.uuid.unwrap_or_default());
            } else {
                stream.add(Pending {
                    bytes: record_bytes(&update),
                    update,
                    durability: Durability::Durable,
                    sender: None,
                });
            }
        }
        stream.log = Some(log);
        stream
    }

    fn add(&mut self, pending: Pending) {
        self.pending_bytes += pending.bytes;
        self.pending.push_back(pending);
    }

    fn note_acknowledged(&mut self, uuid: Bytes) {
        self.acknowledged.push_back(uuid);
        if self.acknowledged.len() > limits::REMEMBERED_UUIDS {
            self.acknowledged.pop_front();
        }
    }

    pub(crate) fn has_seen(&self, uuid: &Bytes) -> bool {
        let mut pending = self.pending.iter();
        pending.any(|pending| pending.update.uuid.as_ref() == Some(uuid))
            || self.acknowledged.contains(uuid)
    }

    /// What the unacknowledged updates take.
    pub(crate) fn bytes(&self) -> usize {
        self.pending_bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes an update in. Answers the executor that can be told at once: a stream that is not
    /// written down promises nothing beyond this process.
    pub(crate) fn push(
        &mut self,
        update: StatusUpdate,
        sender: Option<ExecutorId>,
    ) -> Option<ExecutorId> {
        let record = update_record(&update);
        let (durability, waiting, told) = match &mut self.log {
            Some(log) => {
                log.unwritten.extend_from_slice(&record);
                (Durability::Unwritten, sender, None)
            }
            None => (Durability::Durable, None, sender),
        };
        self.add(Pending {
            update,
            bytes: record.len(),
            durability,
            sender: waiting,
        });
        told
    }

    /// An executor repeats an update that the stream has or had.
    pub(crate) fn repeat(&mut self, uuid: &Bytes, sender: Option<&ExecutorId>) -> Repeated {
        let mut pending = self.pending.iter_mut();
        let unsafe_yet = pending.find(|pending| {
            pending.update.uuid.as_ref() == Some(uuid) && pending.durability != Durability::Durable
        });
        match unsafe_yet {
            Some(pending) => {
                pending.sender = sender.cloned();
                Repeated::Later
            }
            None => Repeated::AcknowledgeNow,
        }
    }

    /// Whether all that was taken is on disk, as far as it has to be.
    pub(crate) fn is_durable(&self) -> bool {
        let mut pending = self.pending.iter();
        pending.all(|pending| pending.durability == Durability::Durable)
    }

    /// The oldest update, if it may go out.
    pub(crate) fn ready(&self) -> Option<&StatusUpdate> {
        let oldest = self.pending.front()?;
        let owes_ack = self.log.as_ref().is_some_and(Log::owes_ack);
        (oldest.durability == Durability::Durable && !owes_ack).then_some(&oldest.update)
    }

    /// How long ago's multiple the oldest was sent with; `None` if it is not on its way.
    pub(crate) fn sent(&self) -> Option<Duration> {
        self.sent
    }

    pub(crate) fn note_sent(&mut self, again_after: Duration) {
        self.sent = Some(again_after);
    }

    /// The scheduler has the oldest, if it is the one with this UUID and on its way.
    pub(crate) fn acknowledge(&mut self, uuid: &Bytes) -> Option<StatusUpdate> {
        let oldest = self.ready()?;
        if self.sent.is_none() || oldest.uuid.as_ref() != Some(uuid) {
            return None;
        }
        self.sent = None;
        let acknowledged = self.pending.pop_front()?;
        self.pending_bytes -= acknowledged.bytes;
        self.note_acknowledged(uuid.clone());
        if let Some(log) = &mut self.log {
            log.unwritten.extend_from_slice(&ack_record(uuid.clone()));
            log.unwritten_ack = true;
            log.newest = Some(state_record(&acknowledged.update));
        }
        Some(acknowledged.update)
    }

    /// Everything that the file has to hold.
    fn whole(&self, newest: Option<&Bytes>) -> BytesMut {
        let mut whole = BytesMut::new();
        let last = self.acknowledged.len().saturating_sub(1);
        for (index, uuid) in self.acknowledged.iter().enumerate() {
            if let Some(record) = newest.filter(|_| index == last) {
                whole.extend_from_slice(record);
            }
            whole.extend_from_slice(&ack_record(uuid.clone()));
        }
        for pending in &self.pending {
            whole.extend_from_slice(&update_record(&pending.update));
        }
        whole
    }

    /// What the next write has to hold, if one can start. [`Stream::write_started`] follows.
    pub(crate) fn next_write(&mut self) -> Option<Write> {
        let log = self.log.as_ref()?;
        let is_owed = !log.unwritten.is_empty() || log.failures > 0;
        if log.in_flight.is_some() || !is_owed {
            return None;
        }
        let newest = log.newest.as_ref();
        let state = newest.map_or(0, Bytes::len);
        let needed = self.pending_bytes + self.acknowledged.len() * ACK_BYTES + state;
        let anew = log.failures > 0 || log.torn || log.is_wasteful(needed);
        let whole = anew.then(|| self.whole(newest));
        let log = self.log.as_mut()?;
        log.in_flight = Some(InFlight {
            seq: None,
            ack: std::mem::take(&mut log.unwritten_ack),
        });
        let write = match whole {
            Some(whole) => log.replace(whole),
            None => log.append(),
        };
        for pending in &mut self.pending {
            if pending.durability == Durability::Unwritten {
                pending.durability = Durability::Writing;
            }
        }
        Some(write)
    }

    pub(crate) fn write_started(&mut self, seq: Seq) {
        let in_flight = self.log.as_mut().and_then(|log| log.in_flight.as_mut());
        if let Some(in_flight) = in_flight {
            in_flight.seq = Some(seq);
        }
    }

    /// Whether this write is the one in flight, and not one of an earlier task of the same id.
    pub(crate) fn is_writing(&self, seq: Seq) -> bool {
        let in_flight = self.log.as_ref().and_then(|log| log.in_flight.as_ref());
        in_flight.is_some_and(|write| write.seq == Some(seq))
    }

    /// The write is done: who waits to hear of which update.
    pub(crate) fn written(&mut self) -> Vec<(ExecutorId, Bytes)> {
        if let Some(log) = &mut self.log {
            log.in_flight = None;
            log.failures = 0;
            log.torn = false;
        }
        let mut acknowledge = Vec::new();
        for pending in &mut self.pending {
            if pending.durability == Durability::Writing {
                pending.durability = Durability::Durable;
                let uuid = pending.uuid();
                acknowledge.extend(pending.sender.take().map(|sender| (sender, uuid)));
            }
        }
        acknowledge
    }

    /// The write failed: the next one holds everything. Answers how many have failed in a row.
    pub(crate) fn not_written(&mut self) -> Option<u32> {
        let log = self.log.as_mut()?;
        let failed = log.in_flight.take()?;
        log.unwritten_ack |= failed.ack;
        log.failures += 1;
        let failures = log.failures;
        for pending in &mut self.pending {
            if pending.durability == Durability::Writing {
                pending.durability = Durability::Unwritten;
            }
        }
        Some(failures)
    }
}

/// How long to wait before a write is tried again that has failed so often in a row.
pub(crate) fn retry_after(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
    let wait = doubled.and_then(|times| limits::WRITE_RETRY_MIN.checked_mul(times));
    wait.map_or(limits::WRITE_RETRY_MAX, |wait| {
        wait.min(limits::WRITE_RETRY_MAX)
    })
}

/// What the record of an update takes.
pub(crate) fn record_bytes(update: &StatusUpdate) -> usize {
    update_record(update).len()
}

fn update_record(update: &StatusUpdate) -> Bytes {
    checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Update.into(),
        update: Some(update.clone()),
        uuid: None,
    })
}

/// An update that its scheduler has: what it brought along is of no use any more.
fn state_record(update: &StatusUpdate) -> Bytes {
    let mut update = update.clone();
    update.status.data = None;
    update_record(&update)
}

fn ack_record(uuid: Bytes) -> Bytes {
    checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Ack.into(),
        update: None,
        uuid: Some(uuid),
    })
}

#[cfg(test)]
mod tests;
