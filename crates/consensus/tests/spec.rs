//! The model of agreement keeps the contract under every schedule, and can do all that it should.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;

use std::cell::Cell;
use std::collections::BTreeMap;

use bytes::Bytes;
use contract::Judge;
use meseta_consensus::spec::{Agreement, Delays};
use meseta_consensus::{Event, Refusal};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Move {
    Open(u64),
    Crash(u64),
    CutOff(u64),
    Heal(u64),
    Propose(u64),
    Snapshot(u64),
    Wait(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    let node = || 1_u64..4;
    prop_oneof![
        2 => node().prop_map(Move::Open),
        1 => node().prop_map(Move::Crash),
        1 => node().prop_map(Move::CutOff),
        2 => node().prop_map(Move::Heal),
        8 => node().prop_map(Move::Propose),
        1 => node().prop_map(Move::Snapshot),
        6 => (0_u64..400).prop_map(Move::Wait),
    ]
}

const DELAYS: Delays = Delays {
    election_us: (50, 300),
    commit_us: (1, 80),
    notify_us: (0, 40),
    loss_us: (0, 600),
};

struct Game {
    agreement: Agreement,
    judge: Judge,
    now: u64,
    next_seq: u64,
    /// The last op that each node knows of.
    last: BTreeMap<u64, u64>,
}

impl Game {
    fn new(voters: usize, seed: u64) -> Self {
        let agreement = Agreement::new(voters, seed, DELAYS, 1 << 20);
        Self {
            agreement,
            judge: Judge::default(),
            now: 0,
            next_seq: 1,
            last: BTreeMap::new(),
        }
    }

    fn play(&mut self, step: Move) -> Vec<(u64, Event)> {
        match step {
            Move::Open(node) => {
                self.judge.crashed(node);
                self.agreement.open(self.now, node);
                self.agreement.campaign(self.now, node);
            }
            Move::Crash(node) => {
                self.judge.crashed(node);
                self.agreement.crash(self.now, node);
            }
            Move::CutOff(node) => self.agreement.cut_off(self.now, node),
            Move::Heal(node) => self.agreement.heal(self.now, node),
            Move::Propose(node) => {
                let op = Bytes::from(format!("op {}", self.next_seq));
                self.judge.proposed(node, self.next_seq, op.clone());
                self.agreement.propose(self.now, node, self.next_seq, op);
                self.next_seq += 1;
            }
            Move::Snapshot(node) => {
                let last = self.last.get(&node).copied().unwrap_or(0);
                let bytes = Bytes::from(format!("up to {last}"));
                self.agreement.snapshot(self.now, node, last, bytes);
            }
            Move::Wait(time) => self.now += time,
        }
        self.listen()
    }

    fn listen(&mut self) -> Vec<(u64, Event)> {
        let mut heard = Vec::new();
        self.agreement.poll(self.now, &mut heard);
        for (node, event) in &heard {
            self.judge.heard(*node, event);
            match event {
                Event::Led { snapshot, ops, .. } => {
                    let covered = snapshot.as_ref().map_or(0, |(index, _)| *index);
                    if let Some((index, bytes)) = snapshot {
                        assert_eq!(*bytes, format!("up to {index}"));
                    }
                    self.last
                        .insert(*node, ops.last().map_or(covered, |(index, _)| *index));
                }
                Event::Committed { index, .. } => drop(self.last.insert(*node, *index)),
                _ => {}
            }
        }
        heard
    }

    /// Everything works from now on: a leader must come, and its proposals must be committed.
    fn liveness(&mut self) {
        for node in 1..4 {
            self.play(Move::Heal(node));
            self.play(Move::Open(node));
        }
        self.play(Move::Wait(10_000));
        let leader = self.agreement.leader().expect("somebody leads");
        let before = self.agreement.last_index();
        for _ in 0..5 {
            self.play(Move::Propose(leader));
        }
        self.play(Move::Wait(10_000));
        assert_eq!(self.agreement.last_index(), before + 5);
        assert_eq!(self.judge.under_way(leader), 0);
        assert_eq!(
            self.agreement.next_at(),
            None,
            "nothing happens when nothing is asked for"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn the_contract_holds_under_every_schedule(
        seed: u64, moves in prop::collection::vec(any_move(), 0..150), alone: bool,
    ) {
        let mut game = Game::new(if alone { 1 } else { 3 }, seed);
        for step in moves {
            if !alone || matches!(step, Move::Wait(_) | Move::Open(1) | Move::Crash(1)
                | Move::Propose(1) | Move::Snapshot(1)) {
                game.play(step);
            }
        }
        if !alone {
            game.liveness();
        }
    }
}

#[test]
fn the_same_seed_and_schedule_give_the_same_events() {
    let run = |seed| {
        let mut game = Game::new(3, seed);
        let mut heard = Vec::new();
        (1..4).for_each(|node| drop(game.play(Move::Open(node))));
        for nth in 0_u64..600 {
            let node = 1 + nth % 3;
            let step = match nth % 50 {
                10 => Move::CutOff(node),
                30 => Move::Heal(node),
                40 => Move::Open(node),
                other if other % 4 == 0 => Move::Wait(100),
                _ => Move::Propose(node),
            };
            heard.extend(game.play(step));
        }
        for kind in ["Led", "Committed", "Refused", "Unknown", "Lost"] {
            assert!(game.judge.seen()[kind] > 1, "{kind}");
        }
        heard
    };
    assert!(run(7) == run(7));
    assert!(run(7) != run(8));
}

#[test]
fn everything_that_should_be_able_to_happen_happens() {
    let overlaps = Cell::new(0);
    let (mut unknown_and_kept, mut unknown_and_gone, mut lost) = (0, 0, 0);
    for seed in 0..200 {
        let mut game = Game::new(3, seed);
        (1..4).for_each(|node| drop(game.play(Move::Open(node))));
        game.play(Move::Wait(1_000));
        let old = game.agreement.leader().unwrap();
        for _ in 0..4 {
            game.play(Move::Propose(old));
        }
        game.play(Move::Wait(40));
        let mut unknown = Vec::new();
        let mut note = |heard: Vec<(u64, Event)>| {
            for (node, event) in heard {
                match event {
                    Event::Unknown { seq } => unknown.push(Bytes::from(format!("op {seq}"))),
                    Event::Led { .. } => overlaps.set(overlaps.get() + usize::from(node != old)),
                    Event::Lost { .. } => lost += 1,
                    _ => {}
                }
            }
        };
        note(game.play(Move::CutOff(old)));
        (0..20).for_each(|_| note(game.play(Move::Wait(100))));
        note(game.play(Move::Crash(old)));
        game.play(Move::Open(old));
        game.play(Move::Heal(old));
        let new = game.agreement.leader().unwrap();
        game.play(Move::Crash(new));
        let mut log = Vec::new();
        for (_, event) in game.play(Move::Wait(1_000)) {
            if let Event::Led { ops, .. } = event {
                log = ops.into_iter().map(|(_, op)| op).collect();
            }
        }
        for op in unknown {
            if log.contains(&op) {
                unknown_and_kept += 1
            } else {
                unknown_and_gone += 1
            }
        }
    }
    assert!(
        overlaps.get() >= 190,
        "another node takes over: {overlaps:?}"
    );
    assert!(lost >= 190, "the old leader learns of it: {lost}");
    assert!(
        unknown_and_kept > 20,
        "an unknown op may have survived: {unknown_and_kept}"
    );
    assert!(
        unknown_and_gone > 20,
        "an unknown op may be gone: {unknown_and_gone}"
    );
}

#[test]
fn a_group_without_a_majority_waits_and_goes_on_afterwards() {
    let mut game = Game::new(3, 1);
    game.play(Move::Open(1));
    assert_eq!(
        game.play(Move::Wait(10_000)),
        vec![],
        "one of three is no majority"
    );
    game.play(Move::Open(2));
    let heard = game.play(Move::Wait(10_000));
    assert!(matches!(heard[..], [(_, Event::Led { .. })]), "{heard:?}");
    let leader = game.agreement.leader().unwrap();
    let other = 3 - leader;
    game.play(Move::Crash(other));
    game.play(Move::Propose(leader));
    assert_eq!(game.play(Move::Wait(10_000)), vec![]);
    assert_eq!(game.agreement.under_way(leader), 1);
    let mut heard = game.play(Move::Open(other));
    heard.extend(game.play(Move::Wait(10_000)));
    assert!(
        matches!(
            heard[..],
            [(
                _,
                Event::Committed {
                    seq: 1,
                    index: 1,
                    ..
                }
            )]
        ),
        "{heard:?}"
    );
}

#[test]
fn what_a_leader_may_not_do_is_refused() {
    let mut agreement = Agreement::new(1, 1, Delays::default(), 10);
    let mut heard = Vec::new();
    let op = Bytes::from_static(b"12345678");
    agreement.open(0, 1);
    agreement.propose(0, 1, 1, op.clone());
    agreement.snapshot(0, 1, 0, Bytes::new());
    agreement.campaign(0, 1);
    agreement.poll(0, &mut heard);
    agreement.propose(0, 1, 2, op.clone());
    agreement.poll(0, &mut heard);
    agreement.propose(0, 1, 3, op);
    agreement.snapshot(0, 1, 2, Bytes::new());
    agreement.snapshot(0, 1, 1, Bytes::new());
    agreement.snapshot(0, 1, 0, Bytes::new());
    agreement.poll(0, &mut heard);
    let refused: Vec<&Event> = heard
        .iter()
        .map(|(_, event)| event)
        .filter(|event| !matches!(event, Event::Led { .. } | Event::Committed { .. }))
        .collect();
    let out_of_range = |index, from, to| Refusal::SnapshotOutOfRange { index, from, to };
    assert_eq!(
        refused,
        vec![
            &Event::Refused {
                seq: 1,
                reason: Refusal::NotLeading
            },
            &Event::SnapshotRefused {
                index: 0,
                reason: Refusal::NotLeading
            },
            &Event::Refused {
                seq: 3,
                reason: Refusal::LogFull
            },
            &Event::SnapshotRefused {
                index: 2,
                reason: out_of_range(2, 0, 1)
            },
            &Event::Snapshotted { index: 1 },
            &Event::SnapshotRefused {
                index: 0,
                reason: out_of_range(0, 1, 1)
            },
        ]
    );
}
