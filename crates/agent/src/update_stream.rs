//! The stream of one task's updates, and the file it is written to.
//!
//! One write is in flight at a time and takes along everything that came meanwhile, so the file keeps
//! the order of the stream, also when a write fails and is tried again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meseta_model::ids::ExecutorId;
use meseta_model::step::{Seq, Write};
use meseta_proto::mesos::internal::{StatusUpdate, StatusUpdateRecord, status_update_record};

use crate::checkpoint;
use crate::limits;

/// What recovery found in a `task.updates` file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Restored {
    /// Not acknowledged, oldest first.
    pub(crate) pending: Vec<StatusUpdate>,
    /// The UUIDs of all updates in the file.
    pub(crate) seen: Vec<Bytes>,
}

/// The updates of one task.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Oldest first.
    pending: VecDeque<Pending>,
    /// UUIDs taken lately, at most [`limits::REMEMBERED_UUIDS`].
    seen: VecDeque<Bytes>,
    /// Where it is written down; `None` if its framework does not checkpoint.
    log: Option<Log>,
    /// The oldest is on its way, and will be sent again after this.
    sent: Option<Duration>,
}

#[derive(Debug)]
struct Pending {
    update: StatusUpdate,
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
#[derive(Debug)]
struct Log {
    path: String,
    /// Records that are in no write yet.
    unwritten: BytesMut,
    /// Whether one of them is an acknowledgement.
    unwritten_ack: bool,
    in_flight: Option<InFlight>,
    retry: Duration,
}

#[derive(Debug)]
struct InFlight {
    /// Known once the write is asked for.
    seq: Option<Seq>,
    bytes: Bytes,
    ack: bool,
}

impl Log {
    fn new(path: String) -> Self {
        Self {
            path,
            unwritten: BytesMut::new(),
            unwritten_ack: false,
            in_flight: None,
            retry: limits::WRITE_RETRY_MIN,
        }
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
        Self {
            log: path.map(Log::new),
            ..Self::default()
        }
    }

    /// A stream of an earlier life.
    pub(crate) fn restored(path: String, restored: Restored) -> Self {
        let pending = restored.pending.into_iter().map(|update| Pending {
            update,
            durability: Durability::Durable,
            sender: None,
        });
        let skipped = restored.seen.len().saturating_sub(limits::REMEMBERED_UUIDS);
        Self {
            pending: pending.collect(),
            seen: restored.seen.into_iter().skip(skipped).collect(),
            ..Self::new(Some(path))
        }
    }

    pub(crate) fn has_seen(&self, uuid: &Bytes) -> bool {
        self.seen.contains(uuid)
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
        self.seen.push_back(update.uuid.clone().unwrap_or_default());
        if self.seen.len() > limits::REMEMBERED_UUIDS {
            self.seen.pop_front();
        }
        let (durability, waiting, told) = match &mut self.log {
            Some(log) => {
                log.unwritten.extend_from_slice(&update_record(&update));
                (Durability::Unwritten, sender, None)
            }
            None => (Durability::Durable, None, sender),
        };
        self.pending.push_back(Pending {
            update,
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
        if let Some(log) = &mut self.log {
            log.unwritten.extend_from_slice(&ack_record(uuid.clone()));
            log.unwritten_ack = true;
        }
        self.pending.pop_front().map(|pending| pending.update)
    }

    /// What the next write has to hold, if one can start. [`Stream::write_started`] follows.
    pub(crate) fn next_write(&mut self) -> Option<Write> {
        let log = self.log.as_mut()?;
        if log.in_flight.is_some() || log.unwritten.is_empty() {
            return None;
        }
        let bytes = log.unwritten.split().freeze();
        log.in_flight = Some(InFlight {
            seq: None,
            bytes: bytes.clone(),
            ack: std::mem::take(&mut log.unwritten_ack),
        });
        for pending in &mut self.pending {
            if pending.durability == Durability::Unwritten {
                pending.durability = Durability::Writing;
            }
        }
        Some(Write::Append {
            path: log.path.clone(),
            bytes,
        })
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
            log.retry = limits::WRITE_RETRY_MIN;
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

    /// The write failed: its records go back to the front. Answers when to try again.
    pub(crate) fn not_written(&mut self) -> Option<Duration> {
        let log = self.log.as_mut()?;
        let failed = log.in_flight.take()?;
        let mut bytes = BytesMut::from(failed.bytes.as_ref());
        bytes.extend_from_slice(&log.unwritten);
        log.unwritten = bytes;
        log.unwritten_ack |= failed.ack;
        let wait = log.retry;
        log.retry = (log.retry * 2).min(limits::WRITE_RETRY_MAX);
        for pending in &mut self.pending {
            if pending.durability == Durability::Writing {
                pending.durability = Durability::Unwritten;
            }
        }
        Some(wait)
    }
}

fn update_record(update: &StatusUpdate) -> Bytes {
    checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Update.into(),
        update: Some(update.clone()),
        uuid: None,
    })
}

fn ack_record(uuid: Bytes) -> Bytes {
    checkpoint::record(&StatusUpdateRecord {
        r#type: status_update_record::Type::Ack.into(),
        update: None,
        uuid: Some(uuid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(number: u8) -> StatusUpdate {
        StatusUpdate {
            uuid: Some(uuid(number)),
            ..Default::default()
        }
    }

    fn uuid(number: u8) -> Bytes {
        Bytes::copy_from_slice(&[number; 16])
    }

    fn executor() -> ExecutorId {
        ExecutorId::from("e")
    }

    fn append(records: &[Bytes]) -> Option<Write> {
        Some(Write::Append {
            path: "p".to_owned(),
            bytes: Bytes::from(records.concat()),
        })
    }

    #[test]
    fn writes_take_along_what_came_meanwhile() {
        let mut stream = Stream::new(Some("p".to_owned()));
        assert_eq!(stream.push(update(1), Some(executor())), None);
        assert_eq!(stream.next_write(), append(&[update_record(&update(1))]));
        stream.write_started(Seq(1));
        stream.push(update(2), Some(executor()));
        stream.push(update(3), None);
        assert_eq!(stream.next_write(), None);
        assert_eq!(stream.ready(), None);
        assert!(stream.is_writing(Seq(1)) && !stream.is_writing(Seq(2)));
        assert_eq!(stream.written(), [(executor(), uuid(1))]);
        assert_eq!(stream.ready(), Some(&update(1)));
        let both = [update_record(&update(2)), update_record(&update(3))];
        assert_eq!(stream.next_write(), append(&both));
    }

    #[test]
    fn a_failed_write_keeps_its_place() {
        let mut stream = Stream::new(Some("p".to_owned()));
        stream.push(update(1), Some(executor()));
        stream.next_write();
        stream.push(update(2), None);
        assert_eq!(stream.not_written(), Some(limits::WRITE_RETRY_MIN));
        let both = [update_record(&update(1)), update_record(&update(2))];
        assert_eq!(stream.next_write(), append(&both));
        assert_eq!(stream.not_written(), Some(limits::WRITE_RETRY_MIN * 2));
        for _ in 0..20 {
            stream.next_write();
            stream.not_written();
        }
        stream.next_write();
        assert_eq!(stream.not_written(), Some(limits::WRITE_RETRY_MAX));
        stream.next_write();
        assert_eq!(stream.written(), [(executor(), uuid(1))]);
        stream.push(update(3), None);
        stream.next_write();
        assert_eq!(stream.not_written(), Some(limits::WRITE_RETRY_MIN));
    }

    #[test]
    fn the_next_waits_for_the_acknowledgement_to_be_safe() {
        let mut stream = Stream::new(Some("p".to_owned()));
        stream.push(update(1), None);
        stream.push(update(2), None);
        stream.next_write();
        stream.written();
        assert_eq!(stream.acknowledge(&uuid(1)), None, "it was never sent");
        stream.note_sent(limits::UPDATE_RETRY_MIN);
        assert_eq!(stream.acknowledge(&uuid(2)), None, "not the oldest");
        assert_eq!(stream.acknowledge(&uuid(1)), Some(update(1)));
        assert_eq!((stream.ready(), stream.sent()), (None, None));
        assert_eq!(stream.next_write(), append(&[ack_record(uuid(1))]));
        assert_eq!(stream.ready(), None);
        stream.written();
        assert_eq!(stream.ready(), Some(&update(2)));
    }

    #[test]
    fn without_a_file_all_is_said_at_once() {
        let mut stream = Stream::new(None);
        assert_eq!(stream.push(update(1), Some(executor())), Some(executor()));
        assert_eq!(stream.next_write(), None);
        assert_eq!(stream.ready(), Some(&update(1)));
        assert_eq!(
            stream.repeat(&uuid(1), Some(&executor())),
            Repeated::AcknowledgeNow
        );
    }

    #[test]
    fn repetitions_are_known_for_a_while() {
        let mut stream = Stream::new(None);
        let number = |n: usize| Bytes::from(format!("{n:016}"));
        for n in 0..=limits::REMEMBERED_UUIDS {
            stream.push(
                StatusUpdate {
                    uuid: Some(number(n)),
                    ..Default::default()
                },
                None,
            );
        }
        assert!(!stream.has_seen(&number(0)));
        assert!(stream.has_seen(&number(1)));
        assert!(stream.has_seen(&number(limits::REMEMBERED_UUIDS)));
    }

    #[test]
    fn a_restored_stream_goes_on_where_it_was() {
        let restored = Restored {
            pending: vec![update(2)],
            seen: vec![uuid(1), uuid(2)],
        };
        let mut stream = Stream::restored("p".to_owned(), restored);
        assert!(stream.has_seen(&uuid(1)));
        assert_eq!((stream.len(), stream.is_empty()), (1, false));
        assert_eq!(stream.ready(), Some(&update(2)));
        assert_eq!(stream.next_write(), None, "nothing new to write");
    }
}
