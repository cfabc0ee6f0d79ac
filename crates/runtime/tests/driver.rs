//! The driver's contract on order, held against a slow and obvious model of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meseta_model::step::{Core, Effects, Now, Seq, Write};
use meseta_runtime::{Driver, Output, limits};
use proptest::prelude::*;

/// A core that does what its events say.
#[derive(Default)]
struct Script {
    writes: Vec<Seq>,
    heard: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq)]
enum Event {
    Wished(Vec<Wish>),
    Fired(u32),
    Persisted(Seq),
    Failed(Seq, String),
}

#[derive(Debug, Clone, PartialEq)]
enum Wish {
    Persist,
    Propose,
    /// An effect in a lane, after the n-th newest write so far, if there is one.
    Say {
        lane: Option<u8>,
        after: Option<usize>,
    },
    SetTimer(u32, u64),
    CancelTimer(u32),
}

/// Effects are numbered by the order of emission; `after` is repeated for the checks.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    nth: usize,
    lane: Option<u8>,
    after: Option<Seq>,
}

impl Script {
    fn say(&self, nth: usize, lane: Option<u8>, after: Option<usize>) -> Said {
        let newest_first = after.and_then(|back| self.writes.iter().rev().nth(back).copied());
        Said {
            nth,
            lane,
            after: newest_first,
        }
    }
}

thread_local! {
    static EMITTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Core for Script {
    type Event = Event;
    type Timer = u32;
    type Effect = Said;

    fn step(&mut self, now: Now, event: Event, out: &mut Effects<u32, Said>) {
        self.heard.push(event.clone());
        let wishes = match event {
            Event::Wished(wishes) => wishes,
            // Every answer says something, so that its place among what is released shows.
            Event::Persisted(_) | Event::Failed(..) => vec![Wish::Say {
                lane: Some(0),
                after: None,
            }],
            // Key 99 sets itself again for now: the limit per call must stop it.
            Event::Fired(99) => vec![Wish::SetTimer(99, now.mono_us)],
            Event::Fired(_) => Vec::new(),
        };
        for wish in wishes {
            match wish {
                Wish::Persist => {
                    let seq = out.persist(vec![Write::Delete {
                        path: "x".to_owned(),
                    }]);
                    self.writes.push(seq);
                }
                Wish::Propose => {
                    out.propose(Bytes::from_static(b"op"));
                }
                Wish::Say { lane, after } => {
                    let nth = EMITTED.replace(EMITTED.get() + 1);
                    let said = self.say(nth, lane, after);
                    out.push_maybe_after(said.after, said);
                }
                Wish::SetTimer(key, at_us) => out.set_timer(key, at_us),
                Wish::CancelTimer(key) => out.cancel_timer(key),
            }
        }
    }

    fn timer_fired(key: u32) -> Event {
        Event::Fired(key)
    }

    fn persisted(seq: Seq) -> Option<Event> {
        Some(Event::Persisted(seq))
    }

    fn persist_failed(seq: Seq, error: String) -> Option<Event> {
        Some(Event::Failed(seq, error))
    }
}

fn driver() -> Driver<Script, u8> {
    EMITTED.set(0);
    Driver::new(Script::default(), |said: &Said| said.lane)
}

const NOW: Now = Now {
    mono_us: 1_000,
    wall_ns: 0,
};

/// The contract, written as slowly as possible: one list, gone through from the front.
#[derive(Default)]
struct Model {
    waiting: Vec<Said>,
    durable: BTreeSet<Seq>,
    failed: BTreeSet<Seq>,
}

impl Model {
    fn release(&mut self) -> Vec<Said> {
        let mut released = Vec::new();
        let mut kept = Vec::new();
        let mut closed = BTreeSet::new();
        for said in std::mem::take(&mut self.waiting) {
            let under_way = said
                .after
                .is_some_and(|seq| !self.durable.contains(&seq) && !self.failed.contains(&seq));
            let behind = said.lane.is_some_and(|lane| closed.contains(&lane));
            if under_way || behind {
                closed.extend(said.lane);
                kept.push(said);
            } else if said.after.is_none_or(|seq| self.durable.contains(&seq)) {
                released.push(said);
            }
        }
        self.waiting = kept;
        released
    }
}

#[derive(Debug, Clone)]
enum Move {
    Wish(Vec<Wish>),
    Finish { fails: bool },
}

fn any_wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => Just(Wish::Persist),
        1 => Just(Wish::Propose),
        5 => (prop::option::weighted(0.8, 0_u8..3), prop::option::weighted(0.6, 0_usize..4))
            .prop_map(|(lane, after)| Wish::Say { lane, after }),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        prop::collection::vec(any_wish(), 0..8).prop_map(Move::Wish),
        prop::bool::weighted(0.3).prop_map(|fails| Move::Finish { fails }),
    ]
}

fn effects(out: &[Output<Script>]) -> Vec<Said> {
    out.iter()
        .filter_map(|output| match output {
            Output::Effect(said) => Some(said.clone()),
            _ => None,
        })
        .collect()
}

/// Plays moves against the driver and the model; every call must give exactly the same effects.
struct Game {
    driver: Driver<Script, u8>,
    model: Model,
    under_way: Vec<Seq>,
    left: Vec<Said>,
    emitted: BTreeMap<usize, Said>,
}

impl Game {
    fn new() -> Self {
        Self {
            driver: driver(),
            model: Model::default(),
            under_way: Vec::new(),
            left: Vec::new(),
            emitted: BTreeMap::new(),
        }
    }

    /// What the core will say in its next step, given the numbers it has and will get.
    fn foresee(&self, wishes: &[Wish], next_seq: u64) -> Vec<Said> {
        let mut core = Script {
            writes: self.driver.core().writes.clone(),
            heard: Vec::new(),
        };
        let emitted = EMITTED.get();
        let mut effects = Effects::starting_at(next_seq);
        core.step(NOW, Event::Wished(wishes.to_vec()), &mut effects);
        EMITTED.set(emitted);
        effects
            .take()
            .into_iter()
            .filter_map(|effect| match effect {
                meseta_model::step::Effect::Do { effect, .. } => Some(effect),
                _ => None,
            })
            .collect()
    }

    fn play(&mut self, step: &Move, next_seq: &mut u64) {
        let mut out = Vec::new();
        match step {
            Move::Wish(wishes) => {
                let said = self.foresee(wishes, *next_seq);
                self.expect_all(said);
                self.driver
                    .handle(NOW, Event::Wished(wishes.clone()), &mut out);
                let numbers = wishes
                    .iter()
                    .filter(|w| !matches!(w, Wish::Say { .. }))
                    .count();
                *next_seq += numbers as u64;
            }
            Move::Finish { fails } => {
                if self.under_way.is_empty() {
                    return;
                }
                let seq = self.under_way.remove(0);
                let first = if *fails {
                    self.model.failed.insert(seq);
                    self.driver
                        .persist_failed(NOW, seq, "no room".to_owned(), &mut out);
                    Event::Failed(seq, "no room".to_owned())
                } else {
                    self.model.durable.insert(seq);
                    self.driver.persisted(NOW, seq, &mut out);
                    Event::Persisted(seq)
                };
                assert_eq!(self.driver.core().heard.last(), Some(&first));
                let released = self.model.release();
                assert_eq!(
                    effects(&out)[..released.len()],
                    released[..],
                    "released before the step"
                );
                self.left.extend(released);
                let answer = Said {
                    nth: EMITTED.get() - 1,
                    lane: Some(0),
                    after: None,
                };
                self.expect_all(vec![answer]);
                out.drain(..self.released_in(&out));
            }
        }
        for output in &out {
            if let Output::Persist { seq, .. } = output {
                self.under_way.push(*seq);
            }
        }
        let released = self.model.release();
        assert_eq!(effects(&out), released);
        self.left.extend(released);
        assert_eq!(self.driver.held(), self.model.waiting.len());
        assert_eq!(self.driver.writes_under_way(), self.under_way.len());
    }

    /// How many outputs at the front are older than the core's last answer.
    fn released_in(&self, out: &[Output<Script>]) -> usize {
        let newest = EMITTED.get() - 1;
        effects(out)
            .iter()
            .filter(|said| said.nth != newest)
            .count()
    }

    fn expect_all(&mut self, said: Vec<Said>) {
        for said in said {
            self.emitted.insert(said.nth, said.clone());
            self.model.waiting.push(said);
        }
    }

    fn end(mut self, next_seq: &mut u64) {
        while !self.under_way.is_empty() {
            self.play(&Move::Finish { fails: false }, next_seq);
        }
        assert_eq!(
            self.driver.held(),
            0,
            "nothing is held once no write is under way"
        );
        let left: BTreeSet<usize> = self.left.iter().map(|said| said.nth).collect();
        assert_eq!(left.len(), self.left.len(), "nothing leaves twice");
        for (nth, said) in &self.emitted {
            let failed = said
                .after
                .is_some_and(|seq| self.model.failed.contains(&seq));
            assert_eq!(
                left.contains(nth),
                !failed,
                "{said:?}: dropped if and only if its write failed"
            );
        }
        for lane in 0..3 {
            let order: Vec<usize> = self
                .left
                .iter()
                .filter(|s| s.lane == Some(lane))
                .map(|s| s.nth)
                .collect();
            assert!(
                order.is_sorted(),
                "lane {lane} left out of order: {order:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn order_holds_against_the_model(moves in prop::collection::vec(any_move(), 0..60)) {
        let mut game = Game::new();
        let mut next_seq = 1;
        for step in &moves {
            game.play(step, &mut next_seq);
        }
        game.end(&mut next_seq);
    }
}

fn say(lane: Option<u8>, after: Option<usize>) -> Wish {
    Wish::Say { lane, after }
}

#[test]
fn a_lane_waits_and_the_others_go_past() {
    let mut driver = driver();
    let mut out = Vec::new();
    let wishes = vec![
        Wish::Persist,
        say(Some(1), Some(0)),
        say(Some(1), None),
        say(Some(2), None),
        say(None, None),
        say(None, Some(0)),
        Wish::Propose,
    ];
    driver.handle(NOW, Event::Wished(wishes), &mut out);
    let seq = Seq(1);
    assert_eq!(
        out,
        vec![
            Output::Persist {
                seq,
                writes: vec![Write::Delete {
                    path: "x".to_owned()
                }]
            },
            Output::Effect(Said {
                nth: 2,
                lane: Some(2),
                after: None
            }),
            Output::Effect(Said {
                nth: 3,
                lane: None,
                after: None
            }),
            Output::Propose {
                seq: Seq(2),
                op: Bytes::from_static(b"op")
            },
        ]
    );
    out.clear();
    driver.persisted(NOW, seq, &mut out);
    assert_eq!(
        out,
        vec![
            Output::Effect(Said {
                nth: 0,
                lane: Some(1),
                after: Some(seq)
            }),
            Output::Effect(Said {
                nth: 1,
                lane: Some(1),
                after: None
            }),
            Output::Effect(Said {
                nth: 4,
                lane: None,
                after: Some(seq)
            }),
            Output::Effect(Said {
                nth: 5,
                lane: Some(0),
                after: None
            }),
        ]
    );
}

#[test]
fn timers_fire_by_time_then_by_setting_and_moving_one_puts_it_last() {
    let mut driver = driver();
    let mut out = Vec::new();
    let wishes = vec![
        Wish::SetTimer(1, 900),
        Wish::SetTimer(2, 900),
        Wish::SetTimer(3, 800),
        Wish::SetTimer(4, 1_001),
        Wish::SetTimer(5, 700),
        Wish::SetTimer(1, 900),
        Wish::CancelTimer(5),
        Wish::CancelTimer(77),
    ];
    driver.handle(NOW, Event::Wished(wishes), &mut out);
    assert_eq!(driver.next_timer(), Some(800));
    assert_eq!(driver.timers(), 4);
    driver.fire_due(NOW, &mut out);
    let fired = [Event::Fired(3), Event::Fired(2), Event::Fired(1)];
    assert_eq!(driver.core().heard[1..], fired);
    assert_eq!(driver.next_timer(), Some(1_001));
    assert_eq!(out, vec![]);
}

#[test]
fn a_timer_that_is_always_due_is_bounded_per_call() {
    let mut driver = driver();
    let mut out = Vec::new();
    driver.handle(NOW, Event::Wished(vec![Wish::SetTimer(99, 0)]), &mut out);
    driver.fire_due(NOW, &mut out);
    assert_eq!(driver.core().heard.len(), 1 + limits::TIMERS_PER_CALL);
    assert_eq!(driver.next_timer(), Some(NOW.mono_us));
}

#[test]
fn there_is_no_room_while_too_much_is_held_or_under_way() {
    let mut driver = driver();
    let mut out = Vec::new();
    driver.handle(
        NOW,
        Event::Wished(vec![Wish::Persist; limits::WRITES_UNDER_WAY]),
        &mut out,
    );
    assert!(!driver.has_room());
    driver.persisted(NOW, Seq(1), &mut out);
    assert!(driver.has_room());
    let held = vec![say(None, Some(0)); limits::HELD_EFFECTS];
    driver.handle(NOW, Event::Wished(held), &mut out);
    assert!(!driver.has_room());
    assert_eq!(driver.held(), limits::HELD_EFFECTS);
}

#[test]
fn failures_beyond_the_limit_are_remembered_as_a_floor() {
    let mut driver = driver();
    let mut out = Vec::new();
    let writes = limits::FAILED_WRITES as u64 + 2;
    driver.handle(
        NOW,
        Event::Wished(vec![Wish::Persist; writes as usize]),
        &mut out,
    );
    // The first write is durable, all the others fail.
    driver.persisted(NOW, Seq(1), &mut out);
    for seq in 2..=writes {
        driver.persist_failed(NOW, Seq(seq), "no room".to_owned(), &mut out);
    }
    out.clear();
    let last = writes as usize - 1;
    // After the newest failure, after the oldest one, and after the durable one below the floor.
    let after = [Some(0), Some(last - 1), Some(last)].map(|after| say(None, after));
    driver.handle(NOW, Event::Wished(after.to_vec()), &mut out);
    assert_eq!(
        out,
        vec![],
        "never released after a failure, even where that is too careful"
    );
}

#[test]
#[should_panic(expected = "is the oldest")]
fn writes_must_end_in_order() {
    let mut driver = driver();
    let mut out = Vec::new();
    driver.handle(
        NOW,
        Event::Wished(vec![Wish::Persist, Wish::Persist]),
        &mut out,
    );
    driver.persisted(NOW, Seq(2), &mut out);
}
