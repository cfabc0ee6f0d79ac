//! What openraft is told our types are, and how its entries become records.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use bytes::{BufMut, Bytes};
use openraft::{BasicNode, CommittedLeaderId, EntryPayload, RaftTypeConfig};

use crate::record::{AGREEMENT, BadRecord, Kind, Reader, Record, put_bytes};

openraft::declare_raft_types!(
    /// Batches of opaque ops, answered with nothing.
    pub Types:
        D = Batch,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
        Responder = openraft::impls::OneshotResponder<Types>,
);

pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Entry = <Types as RaftTypeConfig>::Entry;
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, BasicNode>;
pub(crate) type Vote = openraft::Vote<u64>;

/// Ops that share a log record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Whose they are ([`crate::Machine::tag`]).
    pub(crate) machine: u8,
    /// The index of the first one.
    pub(crate) first: u64,
    /// In order; never empty in the log.
    pub(crate) ops: Vec<Bytes>,
}

impl Batch {
    /// The index of the last op.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.ops.len() as u64 - 1
    }
}

pub(crate) fn log_id(epoch: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(epoch, 0), index)
}

/// The record of an entry.
pub(crate) fn record_of(entry: &Entry) -> Record {
    let (machine, kind, payload) = match &entry.payload {
        EntryPayload::Blank => (AGREEMENT, Kind::Blank, Vec::new()),
        EntryPayload::Membership(membership) => {
            let mut payload = Vec::new();
            put_membership(&mut payload, membership);
            (AGREEMENT, Kind::Membership, payload)
        }
        EntryPayload::Normal(batch) => (batch.machine, Kind::Ops, ops_payload(batch)),
    };
    let (epoch, index) = (entry.log_id.leader_id.term, entry.log_id.index);
    Record {
        machine,
        kind,
        epoch,
        index,
        payload: payload.into(),
    }
}

/// The entry of a record.
pub(crate) fn entry_of(record: Record) -> Result<Entry, BadRecord> {
    let log_id = log_id(record.epoch, record.index);
    let mut reader = Reader(record.payload);
    let payload = match record.kind {
        Kind::Blank => EntryPayload::Blank,
        Kind::Membership => EntryPayload::Membership(read_membership(&mut reader)?),
        Kind::Ops => EntryPayload::Normal(read_ops(record.machine, &mut reader)?),
        Kind::Snapshot | Kind::Vote | Kind::Place | Kind::Identity => {
            return Err(BadRecord::Payload);
        }
    };
    reader.end()?;
    Ok(Entry { log_id, payload })
}

fn ops_payload(batch: &Batch) -> Vec<u8> {
    let bytes: usize = batch.ops.iter().map(|op| 4 + op.len()).sum();
    let mut payload = Vec::with_capacity(12 + bytes);
    payload.put_u64_le(batch.first);
    payload.put_u32_le(batch.ops.len() as u32);
    for op in &batch.ops {
        put_bytes(&mut payload, op);
    }
    payload
}

fn read_ops(machine: u8, reader: &mut Reader) -> Result<Batch, BadRecord> {
    let first = reader.u64()?;
    let count = reader.u32()?;
    if count == 0 || first == 0 || first.checked_add(u64::from(count)).is_none() {
        return Err(BadRecord::Payload);
    }
    let mut ops = Vec::new();
    for _ in 0..count {
        ops.push(reader.bytes()?);
    }
    Ok(Batch {
        machine,
        first,
        ops,
    })
}

pub(crate) fn put_membership(payload: &mut Vec<u8>, membership: &Membership) {
    let configs = membership.get_joint_config();
    payload.put_u32_le(configs.len() as u32);
    for voters in configs {
        payload.put_u32_le(voters.len() as u32);
        voters.iter().for_each(|voter| payload.put_u64_le(*voter));
    }
    let nodes: Vec<_> = membership.nodes().collect();
    payload.put_u32_le(nodes.len() as u32);
    for (id, node) in nodes {
        payload.put_u64_le(*id);
        put_bytes(payload, node.addr.as_bytes());
    }
}

pub(crate) fn read_membership(reader: &mut Reader) -> Result<Membership, BadRecord> {
    let mut configs = Vec::new();
    for _ in 0..reader.u32()? {
        let mut voters = BTreeSet::new();
        for _ in 0..reader.u32()? {
            voters.insert(reader.u64()?);
        }
        if voters.len() > crate::limits::VOTERS {
            return Err(BadRecord::Payload);
        }
        configs.push(voters);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..reader.u32()? {
        let id = reader.u64()?;
        let address = reader.bytes()?;
        let address = std::str::from_utf8(&address).map_err(|_| BadRecord::Payload)?;
        nodes.insert(id, BasicNode::new(address));
    }
    Ok(Membership::new(configs, nodes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_payload() -> impl Strategy<Value = EntryPayload<Types>> {
        let op = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let ops = (1_u64..1 << 60, prop::collection::vec(op, 1..5)).prop_map(|(first, ops)| {
            EntryPayload::Normal(Batch {
                machine: 1,
                first,
                ops,
            })
        });
        let voters = prop::collection::btree_set(0_u64..20, 1..4);
        let membership = (prop::collection::vec(voters, 1..3), "[a-z:0-9é]{0,9}").prop_map(
            |(configs, address)| {
                let ids: BTreeSet<u64> = configs.iter().flatten().copied().collect();
                let nodes: BTreeMap<u64, BasicNode> = ids
                    .into_iter()
                    .map(|id| (id, BasicNode::new(&address)))
                    .collect();
                EntryPayload::Membership(Membership::new(configs, nodes))
            },
        );
        prop_oneof![Just(EntryPayload::Blank), ops, membership]
    }

    proptest! {
        #[test]
        fn entries_come_back(epoch: u64, index: u64, payload in any_payload()) {
            let entry = Entry { log_id: log_id(epoch, index), payload };
            let bytes = record_of(&entry).encode();
            prop_assert_eq!(Record::decode(&bytes).and_then(entry_of), Ok(entry));
        }

        #[test]
        fn a_payload_that_makes_no_sense_is_refused_not_a_panic(
            kind in prop::sample::select(vec![Kind::Blank, Kind::Membership, Kind::Ops]),
            payload: Vec<u8>,
        ) {
            let record = Record { machine: 1, kind, epoch: 1, index: 1, payload: payload.into() };
            if let Ok(entry) = entry_of(record.clone()) {
                // What little makes sense must mean the same when it is written again.
                let again = record_of(&entry);
                prop_assert_eq!((again.kind, again.index), (record.kind, record.index));
            }
        }
    }

    #[test]
    fn a_batch_without_ops_or_with_index_0_is_refused() {
        let batch = |first, ops| {
            let payload = ops_payload(&Batch {
                machine: 1,
                first,
                ops,
            })
            .into();
            entry_of(Record {
                machine: 1,
                kind: Kind::Ops,
                epoch: 1,
                index: 1,
                payload,
            })
        };
        assert!(batch(1, vec![Bytes::new()]).is_ok());
        assert_eq!(batch(1, vec![]), Err(BadRecord::Payload));
        assert_eq!(batch(0, vec![Bytes::new()]), Err(BadRecord::Payload));
        assert_eq!(batch(u64::MAX, vec![Bytes::new()]), Err(BadRecord::Payload));
    }
}
