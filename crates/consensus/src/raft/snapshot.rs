//! What a snapshot holds, and its record.

use bytes::{BufMut, Bytes};

use super::types::{LogId, StoredMembership, log_id, put_membership, read_membership};
use crate::record::{BadRecord, Kind, Reader, Record, put_bytes};

/// A snapshot, and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The last record of the log that it covers wholly.
    pub(crate) place: LogId,
    /// The last op up to that record.
    pub(crate) op_at_place: u64,
    /// Who votes, as of that record.
    pub(crate) membership: StoredMembership,
    /// What the state machine gave, and the last op in it: at or after `op_at_place`, because it may
    /// end in the middle of a record. `None` if it never gave anything.
    pub(crate) given: Option<(u64, Bytes)>,
}

impl Snapshot {
    /// The last op in it.
    pub(crate) fn last_op(&self) -> u64 {
        self.given
            .as_ref()
            .map_or(self.op_at_place, |(index, _)| *index)
    }

    pub(crate) fn to_record(&self, machine: u8) -> Record {
        let mut payload = Vec::new();
        payload.put_u64_le(self.op_at_place);
        put_place(&mut payload, *self.membership.log_id());
        put_membership(&mut payload, self.membership.membership());
        match &self.given {
            None => payload.put_u8(0),
            Some((index, bytes)) => {
                payload.put_u8(1);
                payload.put_u64_le(*index);
                put_bytes(&mut payload, bytes);
            }
        }
        let (epoch, index) = (self.place.leader_id.term, self.place.index);
        Record {
            machine,
            kind: Kind::Snapshot,
            epoch,
            index,
            payload: payload.into(),
        }
    }

    pub(crate) fn from_record(record: Record) -> Result<Self, BadRecord> {
        let record = record.of_kind(Kind::Snapshot)?;
        let mut reader = Reader(record.payload);
        let op_at_place = reader.u64()?;
        let at = read_place(&mut reader)?;
        let membership = StoredMembership::new(at, read_membership(&mut reader)?);
        let given = match reader.u8()? {
            0 => None,
            1 => Some((reader.u64()?, reader.bytes()?)),
            _ => return Err(BadRecord::Payload),
        };
        reader.end()?;
        let place = log_id(record.epoch, record.index);
        Ok(Self {
            place,
            op_at_place,
            membership,
            given,
        })
    }
}

fn put_place(payload: &mut Vec<u8>, place: Option<LogId>) {
    payload.put_u8(u8::from(place.is_some()));
    if let Some(place) = place {
        payload.put_u64_le(place.leader_id.term);
        payload.put_u64_le(place.index);
    }
}

fn read_place(reader: &mut Reader) -> Result<Option<LogId>, BadRecord> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some(log_id(reader.u64()?, reader.u64()?))),
        _ => Err(BadRecord::Payload),
    }
}
