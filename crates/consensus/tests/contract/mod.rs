//! The contract of a coordinator, as a judge that watches what nodes say and hear.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_consensus::Event;

/// Watches one group. Ops must differ from each other, so that they can be told apart.
#[derive(Default)]
pub struct Judge {
    /// What is known of the log: whatever any node was ever told.
    log: BTreeMap<u64, Bytes>,
    /// The last op that anybody was told to be committed.
    committed: u64,
    epoch: u64,
    refused: BTreeSet<Bytes>,
    nodes: BTreeMap<u64, Node>,
    seen: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Node {
    leads: bool,
    /// The last op of the node's lead.
    last: u64,
    /// Proposals without an outcome, in order.
    under_way: Vec<(u64, Bytes)>,
}

impl Judge {
    /// A node proposed, and was not refused on the spot.
    pub fn proposed(&mut self, node: u64, seq: u64, op: Bytes) {
        self.nodes
            .entry(node)
            .or_default()
            .under_way
            .push((seq, op));
    }

    /// A node's process ended: it hears nothing more of what it proposed.
    pub fn crashed(&mut self, node: u64) {
        self.nodes.remove(&node);
    }

    /// A node was told something.
    pub fn heard(&mut self, node: u64, event: &Event) {
        let state = self.nodes.entry(node).or_default();
        match event {
            Event::Led {
                epoch,
                snapshot,
                ops,
            } => {
                *self.seen.entry("Led").or_default() += 1;
                assert!(!state.leads, "node {node} leads already");
                assert!(*epoch > self.epoch, "epoch {epoch} after {}", self.epoch);
                self.epoch = *epoch;
                state.leads = true;
                state.last = snapshot.as_ref().map_or(0, |(index, _)| *index);
                for (index, op) in ops {
                    assert_eq!(*index, state.last + 1, "the ops have a gap");
                    state.last = *index;
                    let known = self.log.entry(*index).or_insert_with(|| op.clone());
                    assert_eq!(known, op, "op {index} changed");
                    assert!(!self.refused.contains(op), "op {index} was refused");
                }
                assert!(state.last >= self.committed, "committed ops are missing");
                self.committed = state.last;
            }
            Event::Committed { seq, index, op } => {
                *self.seen.entry("Committed").or_default() += 1;
                assert!(state.leads, "node {node} does not lead");
                assert_eq!(*index, state.last + 1, "not the next op");
                state.last = *index;
                let known = self.log.entry(*index).or_insert_with(|| op.clone());
                assert_eq!(known, op, "op {index} changed");
                let first = state.under_way.remove(0);
                assert_eq!(first, (*seq, op.clone()), "not the oldest proposal");
                self.committed = self.committed.max(*index);
            }
            Event::Refused { seq, .. } => {
                *self.seen.entry("Refused").or_default() += 1;
                let op = Self::outcome(state, *seq);
                assert!(
                    !self.log.values().any(|known| *known == op),
                    "a refused op is in the log"
                );
                self.refused.insert(op);
            }
            Event::Unknown { seq } => {
                *self.seen.entry("Unknown").or_default() += 1;
                assert!(state.leads, "unknown comes before lost");
                Self::outcome(state, *seq);
            }
            Event::Lost { .. } => {
                *self.seen.entry("Lost").or_default() += 1;
                assert!(state.leads, "node {node} did not lead");
                state.leads = false;
            }
            Event::Failed { reason } => panic!("node {node} failed: {reason}"),
            Event::Snapshotted { index } => {
                assert!(*index <= state.last, "more than was committed")
            }
            Event::SnapshotRefused { .. } => {}
        }
    }

    fn outcome(state: &mut Node, seq: u64) -> Bytes {
        let nth = state.under_way.iter().position(|(known, _)| *known == seq);
        state
            .under_way
            .remove(nth.expect("an outcome for what has one already, or never was"))
            .1
    }

    /// Proposals of a node without an outcome.
    pub fn under_way(&self, node: u64) -> usize {
        self.nodes
            .get(&node)
            .map_or(0, |state| state.under_way.len())
    }

    /// How often each kind of event was heard.
    pub fn seen(&self) -> &BTreeMap<&'static str, u64> {
        &self.seen
    }
}
