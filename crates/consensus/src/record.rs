//! The bytes of everything that agreement keeps on the disk.
//!
//! Every record is 28 bytes of head and a payload; numbers are little-endian:
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 1 | format version, [`VERSION`] |
//! | 1 | 1 | state machine: 0 agreement itself, 1 master, 2 service |
//! | 2 | 1 | kind, see [`Kind`] |
//! | 3 | 1 | 0 |
//! | 4 | 4 | CRC-32 (IEEE) of everything before and behind these four bytes |
//! | 8 | 8 | epoch |
//! | 16 | 8 | index: the record's place in the log, or the last place that a snapshot covers |
//! | 24 | 4 | length of the payload |
//! | 28 | … | payload |
//!
//! A reader refuses what it does not know: an older Meseta must not guess what a newer one meant.

use bytes::{Buf, BufMut, Bytes};

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// The tag of agreement's own records.
pub const AGREEMENT: u8 = 0;

const HEAD_BYTES: usize = 28;
const CHECKSUM_AT: std::ops::Range<usize> = 4..8;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first record of an epoch; no payload.
    Blank,
    /// Who votes.
    Membership,
    /// Ops of one state machine.
    Ops,
    /// What a state machine was after a place in the log.
    Snapshot,
    /// The newest epoch seen, and who was voted for in it.
    Vote,
    /// A place in the log.
    Place,
    /// Whose directory this is.
    Identity,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Blank => 1,
            Self::Membership => 2,
            Self::Ops => 3,
            Self::Snapshot => 4,
            Self::Vote => 5,
            Self::Place => 6,
            Self::Identity => 7,
        }
    }

    fn from_tag(tag: u8) -> Option<Self> {
        let all = [
            Self::Blank,
            Self::Membership,
            Self::Ops,
            Self::Snapshot,
            Self::Vote,
            Self::Place,
            Self::Identity,
        ];
        all.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is: [`AGREEMENT`] or a [`crate::Machine::tag`].
    pub machine: u8,
    /// What it is.
    pub kind: Kind,
    /// The epoch it was written in.
    pub epoch: u64,
    /// Its place.
    pub index: u64,
    /// The rest, by kind.
    pub payload: Bytes,
}

/// Why bytes are no record that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Shorter than it should be.
    #[error("it ends after {0} bytes")]
    Short(usize),
    /// Not the version that this program reads.
    #[error("it has format version {0}, and this program reads version {VERSION}")]
    Version(u8),
    /// Not what was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// A state machine that this program has not got.
    #[error("it belongs to state machine {0}, which this program does not have")]
    Machine(u8),
    /// A kind that this program does not know, or not here.
    #[error("it is of kind {0}, which this program does not know here")]
    Kind(u8),
    /// The checksum holds, but the payload makes no sense.
    #[error("its payload makes no sense")]
    Payload,
}

impl Record {
    /// The bytes.
    ///
    /// # Panics
    /// If the payload has 4 GiB or more; [`crate::limits`] are far below that.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(
            u32::try_from(self.payload.len()).is_ok(),
            "a payload of 4 GiB or more"
        );
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.payload.len());
        bytes.put_slice(&[VERSION, self.machine, self.kind.tag(), 0]);
        bytes.put_u32_le(0);
        bytes.put_u64_le(self.epoch);
        bytes.put_u64_le(self.index);
        bytes.put_u32_le(self.payload.len() as u32);
        bytes.put_slice(&self.payload);
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the bytes back. Which machines are ours is the caller's to check.
    ///
    /// # Errors
    /// See [`BadRecord`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let Some((mut head, payload)) = bytes.split_at_checked(HEAD_BYTES) else {
            return Err(BadRecord::Short(bytes.len()));
        };
        let [version, machine, kind, zero] =
            [head.get_u8(), head.get_u8(), head.get_u8(), head.get_u8()];
        let found = head.get_u32_le();
        // Before the checksum, which a newer format may compute in another way.
        if version != VERSION {
            return Err(BadRecord::Version(version));
        }
        if found != checksum(bytes) || zero != 0 {
            return Err(BadRecord::Checksum);
        }
        let (epoch, index, len) = (head.get_u64_le(), head.get_u64_le(), head.get_u32_le());
        if payload.len() != len as usize {
            return Err(BadRecord::Short(bytes.len()));
        }
        let kind = Kind::from_tag(kind).ok_or(BadRecord::Kind(kind))?;
        Ok(Self {
            machine,
            kind,
            epoch,
            index,
            payload: Bytes::copy_from_slice(payload),
        })
    }

    /// The record, if it is of this kind.
    ///
    /// # Errors
    /// [`BadRecord::Kind`].
    pub fn of_kind(self, kind: Kind) -> Result<Self, BadRecord> {
        if self.kind == kind {
            Ok(self)
        } else {
            Err(BadRecord::Kind(self.kind.tag()))
        }
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..CHECKSUM_AT.start]);
    hasher.update(&bytes[CHECKSUM_AT.end..]);
    hasher.finalize()
}

/// Reads numbers and byte strings from a payload; every shortage is [`BadRecord::Payload`].
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Bytes);

impl Reader {
    pub(crate) fn u64(&mut self) -> Result<u64, BadRecord> {
        self.0.try_get_u64_le().map_err(|_| BadRecord::Payload)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadRecord> {
        self.0.try_get_u32_le().map_err(|_| BadRecord::Payload)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, BadRecord> {
        self.0.try_get_u8().map_err(|_| BadRecord::Payload)
    }

    /// A length, then as many bytes.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, BadRecord> {
        let len = self.u32()? as usize;
        if len > self.0.len() {
            Err(BadRecord::Payload)
        } else {
            Ok(self.0.split_to(len))
        }
    }

    pub(crate) fn end(self) -> Result<(), BadRecord> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(BadRecord::Payload)
        }
    }
}

/// Writes what [`Reader::bytes`] reads.
pub(crate) fn put_bytes(payload: &mut Vec<u8>, bytes: &[u8]) {
    payload.put_u32_le(bytes.len() as u32);
    payload.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
        Record {
            machine: 1,
            kind: Kind::Ops,
            epoch: 3,
            index: 0x0102_0304,
            payload: Bytes::from_static(b"an op"),
        }
    }

    #[test]
    fn the_bytes_are_golden() {
        let golden = "01010300 6362c73f 0300000000000000 0403020100000000 05000000 616e206f70";
        let hex: String = record()
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, golden.replace(' ', ""));
    }

    #[test]
    fn what_is_newer_shorter_or_unknown_is_refused() {
        let with = |at: usize, byte: u8, sign: bool| {
            let mut bytes = record().encode();
            bytes[at] = byte;
            if sign {
                let checksum = checksum(&bytes).to_le_bytes();
                bytes[CHECKSUM_AT].copy_from_slice(&checksum);
            }
            Record::decode(&bytes)
        };
        assert_eq!(with(0, 2, false), Err(BadRecord::Version(2)));
        assert_eq!(with(2, 99, true), Err(BadRecord::Kind(99)));
        assert_eq!(with(3, 1, true), Err(BadRecord::Checksum));
        assert_eq!(with(24, 4, true), Err(BadRecord::Short(33)));
        assert_eq!(
            Record::decode(&record().encode()[..27]),
            Err(BadRecord::Short(27))
        );
        assert_eq!(record().of_kind(Kind::Blank), Err(BadRecord::Kind(3)));
    }

    proptest! {
        #[test]
        fn records_come_back_and_no_flipped_bit_passes(
            epoch: u64, index: u64, payload: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let record = Record { epoch, index, payload: payload.into(), ..record() };
            let mut bytes = record.encode();
            prop_assert_eq!(Record::decode(&bytes), Ok(record));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Record::decode(&bytes).is_err());
        }
    }
}
