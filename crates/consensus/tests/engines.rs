//! One suite for both engines: the durable one must not be told from the model.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;

use std::time::{Duration, Instant};

use bytes::Bytes;
use contract::Judge;
use meseta_consensus::memory::MemoryLog;
use meseta_consensus::raft::{self, Config, OpenError};
use meseta_consensus::{Coordinator, Event, Events, Refusal, limits};
use proptest::prelude::*;
use tokio::runtime::Runtime;

const NODE: u64 = 1;

/// Where what is agreed on is kept.
enum Engine {
    Raft {
        dir: tempfile::TempDir,
        log_bytes: u64,
    },
    Memory(MemoryLog),
}

impl Engine {
    fn both(log_bytes: u64) -> [Self; 2] {
        let dir = tempfile::tempdir().unwrap();
        [
            Self::Raft { dir, log_bytes },
            Self::Memory(MemoryLog::new(1, log_bytes)),
        ]
    }

    fn open(&self) -> Node {
        let (coordinator, events) = match self {
            Self::Raft { dir, log_bytes } => {
                let config = Config {
                    log_bytes: *log_bytes,
                    ..Config::new(dir.path().join("registry"))
                };
                raft::open(&config).unwrap()
            }
            Self::Memory(log) => log.open(NODE),
        };
        Node {
            coordinator,
            events,
            waiter: waiter(),
        }
    }

    fn lead(&self) -> (Node, Event) {
        let mut node = self.open();
        node.coordinator.campaign().unwrap();
        let led = node.next();
        assert!(matches!(led, Event::Led { .. }), "{led:?}");
        (node, led)
    }
}

fn waiter() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// A node and what it hears.
struct Node {
    coordinator: Box<dyn Coordinator>,
    events: Events,
    waiter: Runtime,
}

impl Node {
    fn next(&mut self) -> Event {
        self.try_next().expect("the engine stopped")
    }

    fn try_next(&mut self) -> Option<Event> {
        let next =
            async { tokio::time::timeout(Duration::from_secs(60), self.events.recv()).await };
        self.waiter
            .block_on(next)
            .expect("an event within a minute")
    }

    fn commit(&mut self, seq: u64, op: &Bytes) -> u64 {
        self.coordinator.propose(seq, op.clone()).unwrap();
        match self.next() {
            Event::Committed {
                seq: of,
                index,
                op: what,
            } if of == seq && what == *op => index,
            other => panic!("{other:?}"),
        }
    }
}

fn op(nth: u64) -> Bytes {
    Bytes::from(format!("op {nth}"))
}

fn ops(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, Bytes)> {
    range.map(|nth| (nth, op(nth))).collect()
}

#[test]
fn nothing_happens_before_a_campaign_and_the_first_lead_is_empty() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let mut node = engine.open();
        node.coordinator.propose(1, op(1)).unwrap();
        node.coordinator.snapshot(0, Bytes::new()).unwrap();
        let reason = Refusal::NotLeading;
        assert_eq!(node.next(), Event::Refused { seq: 1, reason });
        assert_eq!(node.next(), Event::SnapshotRefused { index: 0, reason });
        assert_eq!(node.events.try_recv(), None);
        node.coordinator.campaign().unwrap();
        node.coordinator.campaign().unwrap();
        let led = node.next();
        let Event::Led {
            epoch,
            snapshot: None,
            ops,
        } = led
        else {
            panic!("{led:?}")
        };
        assert!(epoch >= 1 && ops.is_empty(), "{epoch} {ops:?}");
        assert_eq!(node.commit(2, &op(1)), 1);
        node.coordinator.close();
    }
}

#[test]
fn proposals_are_committed_in_order_and_come_back_after_a_restart() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (mut node, led) = engine.lead();
        let Event::Led { epoch: first, .. } = led else {
            panic!("{led:?}")
        };
        let mut before = first;
        for round in 0..3 {
            let from = round * 2_000 + 1;
            for nth in from..from + 2_000 {
                node.coordinator.propose(nth, op(nth)).unwrap();
            }
            for nth in from..from + 2_000 {
                assert_eq!(
                    node.next(),
                    Event::Committed {
                        seq: nth,
                        index: nth,
                        op: op(nth)
                    }
                );
            }
            node.coordinator.close();
            let (again, led) = engine.lead();
            node = again;
            let Event::Led {
                epoch,
                snapshot: None,
                ops: back,
            } = led
            else {
                panic!("{led:?}")
            };
            assert!(epoch > before, "{epoch} after {before}");
            assert!(back == ops(1..=from + 1_999), "round {round}");
            before = epoch;
        }
    }
}

#[test]
fn a_snapshot_replaces_the_ops_before_it() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (mut node, _) = engine.lead();
        // One record of the log holds several of these, so snapshots end in the middle of records.
        for nth in 1..=100 {
            node.coordinator.propose(nth, op(nth)).unwrap();
        }
        (1..=100).for_each(|_| drop(node.next()));
        let mut covered = 0;
        for index in [0, 1, 37, 37, 38, 99, 100] {
            let bytes = Bytes::from(format!("all up to {index}"));
            node.coordinator.snapshot(index, bytes.clone()).unwrap();
            assert_eq!(node.next(), Event::Snapshotted { index });
            let (again, led) = {
                node.coordinator.close();
                engine.lead()
            };
            node = again;
            let Event::Led {
                snapshot,
                ops: back,
                ..
            } = led
            else {
                panic!("{led:?}")
            };
            assert_eq!(snapshot, Some((index, bytes)));
            assert_eq!(back, ops(index + 1..=100));
            covered = index;
        }
        let to = covered;
        for index in [99, 101] {
            node.coordinator.snapshot(index, Bytes::new()).unwrap();
            let reason = Refusal::SnapshotOutOfRange {
                index,
                from: 100,
                to,
            };
            assert_eq!(node.next(), Event::SnapshotRefused { index, reason });
        }
        assert_eq!(node.commit(101, &op(101)), 101);
    }
}

#[test]
fn what_is_too_large_is_refused_on_the_spot() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (mut node, _) = engine.lead();
        let largest = Bytes::from(vec![7; limits::OP_BYTES]);
        assert_eq!(node.commit(1, &largest), 1);
        let larger = Bytes::from(vec![7; limits::OP_BYTES + 1]);
        let refusal = Refusal::OpTooLarge(larger.len());
        assert_eq!(node.coordinator.propose(2, larger), Err(refusal));
        assert_eq!(
            refusal.to_string(),
            "the op has 8388609 bytes; 8388608 are allowed"
        );
        // Zeroed pages that nobody touches cost nothing.
        let snapshot = Bytes::from(vec![0; limits::SNAPSHOT_BYTES + 1]);
        let refusal = Refusal::SnapshotTooLarge(snapshot.len());
        assert_eq!(node.coordinator.snapshot(1, snapshot), Err(refusal));
        assert_eq!(node.commit(3, &op(2)), 2);
    }
}

#[test]
fn a_caller_that_does_not_read_is_refused_until_it_does() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (mut node, _) = engine.lead();
        let most = limits::PROPOSALS as u64;
        for nth in 1..=most {
            node.coordinator.propose(nth, op(nth)).unwrap();
        }
        let refused = node.coordinator.propose(0, op(0));
        assert_eq!(refused, Err(Refusal::Overloaded));
        for nth in 1..=most {
            assert_eq!(
                node.next(),
                Event::Committed {
                    seq: nth,
                    index: nth,
                    op: op(nth)
                }
            );
        }
        assert_eq!(node.commit(most + 1, &op(0)), most + 1);
    }
}

#[test]
fn the_bytes_of_what_is_not_read_are_bounded_too() {
    for engine in Engine::both(4 * limits::LOG_BYTES) {
        let (mut node, _) = engine.lead();
        let large = Bytes::from(vec![7; limits::OP_BYTES]);
        let most = (limits::PROPOSAL_BYTES / limits::OP_BYTES) as u64;
        for nth in 1..=most {
            node.coordinator.propose(nth, large.clone()).unwrap();
        }
        let refused = node.coordinator.propose(0, op(0));
        assert_eq!(refused, Err(Refusal::Overloaded));
        assert!(matches!(node.next(), Event::Committed { seq: 1, .. }));
        node.coordinator.propose(most + 1, op(0)).unwrap();
        for nth in 2..=most + 1 {
            assert!(matches!(node.next(), Event::Committed { seq, .. } if seq == nth));
        }
    }
}

#[test]
fn a_full_log_refuses_until_a_snapshot_is_taken() {
    for engine in Engine::both(64 << 10) {
        let (mut node, _) = engine.lead();
        let kilobyte = Bytes::from(vec![7; 1 << 10]);
        let mut seq = 0;
        for _ in 0..3 {
            let mut last = 0;
            let refused = loop {
                seq += 1;
                node.coordinator.propose(seq, kilobyte.clone()).unwrap();
                match node.next() {
                    Event::Committed { index, .. } => last = index,
                    other => break other,
                }
            };
            assert_eq!(
                refused,
                Event::Refused {
                    seq,
                    reason: Refusal::LogFull
                }
            );
            node.coordinator
                .snapshot(last, Bytes::from_static(b"all"))
                .unwrap();
            assert_eq!(node.next(), Event::Snapshotted { index: last });
            // The log gets shorter a little later; until then proposals are refused.
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                seq += 1;
                node.coordinator.propose(seq, op(seq)).unwrap();
                match node.next() {
                    Event::Committed { .. } => break,
                    other => assert_eq!(
                        other,
                        Event::Refused {
                            seq,
                            reason: Refusal::LogFull
                        }
                    ),
                }
                assert!(Instant::now() < deadline, "the log never gets shorter");
            }
        }
    }
}

#[test]
fn an_engine_that_nobody_listens_to_stops() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (
            Node {
                coordinator,
                events,
                ..
            },
            _,
        ) = engine.lead();
        // Full, so that there is no room for anything that could make it notice.
        for nth in 1..=limits::PROPOSALS as u64 {
            coordinator.propose(nth, op(nth)).unwrap();
        }
        drop(events);
        let deadline = Instant::now() + Duration::from_secs(60);
        while coordinator.propose(0, op(0)) != Err(Refusal::Stopped) {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::yield_now();
        }
        assert_eq!(coordinator.campaign(), Err(Refusal::Stopped));
        assert_eq!(coordinator.snapshot(0, Bytes::new()), Err(Refusal::Stopped));
        coordinator.close();
        let (mut node, _) = engine.lead();
        node.commit(1, &op(0));
    }
}

#[test]
fn one_snapshot_at_a_time() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (mut node, _) = engine.lead();
        node.commit(1, &op(1));
        for round in 0..3 {
            node.coordinator.snapshot(1, op(round)).unwrap();
            let second = node.coordinator.snapshot(1, op(9));
            assert_eq!(second, Err(Refusal::SnapshotUnderWay));
            assert_eq!(node.next(), Event::Snapshotted { index: 1 });
        }
        node.coordinator.close();
        let (_, led) = engine.lead();
        let Event::Led { snapshot, .. } = led else {
            panic!("{led:?}")
        };
        assert_eq!(snapshot, Some((1, op(2))));
    }
}

#[test]
fn an_engine_can_be_closed_while_much_is_under_way() {
    for engine in Engine::both(limits::LOG_BYTES) {
        let (node, _) = engine.lead();
        let most = limits::PROPOSALS as u64;
        for nth in 1..=most {
            node.coordinator.propose(nth, op(nth)).unwrap();
        }
        node.coordinator.close();
        let (_, led) = engine.lead();
        let Event::Led { ops: back, .. } = led else {
            panic!("{led:?}")
        };
        assert!(
            back == ops(1..=back.len() as u64),
            "what there is, is in order"
        );
    }
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Propose(u64),
    /// Wait for all outcomes.
    Settle,
    /// At so many hundredths of what is known to be committed.
    Snapshot(u64),
    Restart,
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => (1_u64..40).prop_map(Move::Propose),
        3 => Just(Move::Settle),
        2 => (0_u64..=100).prop_map(Move::Snapshot),
        1 => Just(Move::Restart),
    ]
}

fn judged(engine: &Engine, moves: &[Move]) {
    let mut judge = Judge::default();
    let mut seq = 0;
    let (mut snapshot, mut known): (u64, u64) = (0, 0);
    let (mut node, led) = engine.lead();
    judge.heard(NODE, &led);
    for step in moves {
        match step {
            Move::Propose(count) => {
                for _ in 0..*count {
                    seq += 1;
                    judge.proposed(NODE, seq, op(seq));
                    node.coordinator.propose(seq, op(seq)).unwrap();
                }
            }
            Move::Settle => {
                while judge.under_way(NODE) > 0 {
                    let event = node.next();
                    if let Event::Committed { index, .. } = event {
                        known = index;
                    }
                    judge.heard(NODE, &event);
                }
            }
            Move::Snapshot(hundredths) => {
                let index = snapshot + (known - snapshot) * hundredths / 100;
                node.coordinator.snapshot(index, op(index)).unwrap();
                loop {
                    let event = node.next();
                    judge.heard(NODE, &event);
                    match event {
                        Event::Committed { index, .. } => known = index,
                        Event::Snapshotted { index: at } => {
                            assert_eq!(at, index);
                            break;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                snapshot = index;
            }
            Move::Restart => {
                node.coordinator.close();
                judge.crashed(NODE);
                let led;
                (node, led) = engine.lead();
                judge.heard(NODE, &led);
                let Event::Led {
                    snapshot: back,
                    ops,
                    ..
                } = led
                else {
                    panic!("{led:?}")
                };
                // Index 0 may be a snapshot of nothing, or none.
                assert!(back.as_ref().map_or(0, |(index, _)| *index) == snapshot);
                assert!(back.is_none_or(|(index, bytes)| bytes == op(index)));
                known = ops.last().map_or(snapshot, |(index, _)| *index);
            }
        }
    }
    assert_eq!(judge.seen().get("Lost"), None, "one voter loses to nobody");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_contract_holds(moves in prop::collection::vec(any_move(), 0..30)) {
        for engine in Engine::both(limits::LOG_BYTES) {
            judged(&engine, &moves);
        }
    }
}

#[test]
fn a_group_in_memory_hands_the_lead_on() {
    let log = MemoryLog::new(3, limits::LOG_BYTES);
    let mut nodes: Vec<Node> = (1..=3)
        .map(|node| {
            let (coordinator, events) = log.open(node);
            Node {
                coordinator,
                events,
                waiter: waiter(),
            }
        })
        .collect();
    nodes[0].coordinator.campaign().unwrap();
    let Event::Led { epoch: first, .. } = nodes[0].next() else {
        panic!("node 1 leads")
    };
    nodes[1].coordinator.campaign().unwrap();
    assert_eq!(nodes[1].events.try_recv(), None, "there is a leader");
    assert_eq!(nodes[0].commit(1, &op(1)), 1);
    nodes.remove(0).coordinator.close();
    let Event::Led {
        epoch, ops: back, ..
    } = nodes[0].next()
    else {
        panic!("node 2 leads")
    };
    assert!(epoch > first);
    assert_eq!(back, ops(1..=1));
    // Without a majority a proposal waits; with one again it is committed.
    nodes.remove(1).coordinator.close();
    nodes[0].coordinator.propose(2, op(2)).unwrap();
    assert_eq!(nodes[0].events.try_recv(), None);
    let (third, _events) = log.open(3);
    assert_eq!(
        nodes[0].next(),
        Event::Committed {
            seq: 2,
            index: 2,
            op: op(2)
        }
    );
    // A second opening of a node ends the first.
    let (_again, _events) = log.open(3);
    assert_eq!(third.propose(1, op(3)), Err(Refusal::Stopped));
}

#[test]
fn a_directory_serves_one_process_and_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(dir.path());
    let (coordinator, _events) = raft::open(&config).unwrap();
    let error = raft::open(&config).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("is a master already running with this directory?")
    );
    coordinator.close();
    let error = raft::open(&Config {
        node: 2,
        ..config.clone()
    })
    .unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::OtherNode {
                node: 2,
                owner: 1,
                ..
            }
        ),
        "{error}"
    );
    raft::open(&config).unwrap().0.close();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = raft::open(&Config::new(dir.path().join("file/registry"))).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("file/registry"), "{error}");
}
