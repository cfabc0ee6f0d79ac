//! Drives one core: steps it, keeps its timers, and holds back what must wait for the disk.
//!
//! # The contract on order
//!
//! 1. **Durable first.** An effect with `after: Some(seq)` leaves once [`Driver::persisted`] was called
//!    for that write, and is dropped if [`Driver::persist_failed`] was. It may name a write that is
//!    long done (it leaves at once) or long failed (it is dropped at once).
//! 2. **Lanes are first in, first out.** The function given to [`Driver::new`] may name a lane for an
//!    effect, usually the connection or stream that it goes out on. While an effect of a lane is held,
//!    every later effect of that lane queues behind it, whether it waits for a write itself or not: a
//!    status update that waits for the disk is not overtaken by a later message to the same master.
//!    Effects of other lanes, and effects without a lane, go past.
//! 3. **Dropping frees the lane.** When a write fails, what waited for it is gone and what queued
//!    behind it moves up; the core then learns of the failure and decides.
//! 4. **One order.** Whatever one call releases leaves in the order in which the core emitted it, and
//!    before anything that the core adds in that call. The same calls give the same output.
//! 5. **Writes finish in the order in which they were asked for**, done or failed, each once.
//!
//! [`Output::Persist`] and [`Output::Propose`] are never held: they leave at their place in the step.
//! Only a write's number can be waited for; a proposal's outcome is an event of the core, and what
//! follows from it is emitted there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use bytes::Bytes;
use meseta_model::step::{Core, Effect, Effects, Now, Seq, Write};

use crate::limits;
use crate::timers::Timers;

/// What a core wants done now, in order.
pub enum Output<C: Core> {
    /// Do this.
    Effect(C::Effect),
    /// Make these writes durable, then call [`Driver::persisted`] or [`Driver::persist_failed`].
    Persist {
        /// The number of the write.
        seq: Seq,
        /// In order.
        writes: Vec<Write>,
    },
    /// Propose this; its outcome goes to [`Driver::handle`] as an event of the core.
    Propose {
        /// The number of the proposal.
        seq: Seq,
        /// The encoded op.
        op: Bytes,
    },
}

impl<C: Core> fmt::Debug for Output<C>
where
    C::Effect: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(effect) => effect.fmt(f),
            Self::Persist { seq, writes } => f
                .debug_struct("Persist")
                .field("seq", &seq.0)
                .field("writes", writes)
                .finish(),
            Self::Propose { seq, op } => f
                .debug_struct("Propose")
                .field("seq", &seq.0)
                .field("op", op)
                .finish(),
        }
    }
}

impl<C: Core> PartialEq for Output<C>
where
    C::Effect: PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Effect(a), Self::Effect(b)) => a == b,
            (Self::Persist { seq: a, writes: x }, Self::Persist { seq: b, writes: y }) => {
                a == b && x == y
            }
            (Self::Propose { seq: a, op: x }, Self::Propose { seq: b, op: y }) => a == b && x == y,
            _ => false,
        }
    }
}

/// An effect that may not leave yet. `place` counts the effects that a core emitted.
#[derive(Debug)]
struct Held<X> {
    place: u64,
    after: Option<Seq>,
    effect: X,
}

/// Where a write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Durable,
    Failed,
}

/// A core and what it waits for. Pure: it does nothing but call [`Core::step`]. `K` names lanes.
pub struct Driver<C: Core, K> {
    core: C,
    effects: Effects<C::Timer, C::Effect>,
    lane: fn(&C::Effect) -> Option<K>,
    timers: Timers<C::Timer>,
    writes: Writes,
    /// Per lane that holds something, oldest first. The first one always waits for a write under way.
    lanes: BTreeMap<K, VecDeque<Held<C::Effect>>>,
    /// By the write waited for: the lanes whose first effect waits for it.
    lanes_by_seq: BTreeMap<Seq, BTreeSet<K>>,
    /// By the write waited for: held effects without a lane.
    loose: BTreeMap<Seq, Vec<Held<C::Effect>>>,
    held: usize,
    emitted: u64,
}

impl<C: Core, K: Ord + Clone> Driver<C, K> {
    /// Drives `core`, which has not been stepped yet. `lane` names the lane of an effect, if its order
    /// matters (see the header).
    #[must_use]
    pub fn new(core: C, lane: fn(&C::Effect) -> Option<K>) -> Self {
        Self {
            core,
            effects: Effects::default(),
            lane,
            timers: Timers::new(),
            writes: Writes::default(),
            lanes: BTreeMap::new(),
            lanes_by_seq: BTreeMap::new(),
            loose: BTreeMap::new(),
            held: 0,
            emitted: 0,
        }
    }

    /// The core, to look at.
    #[must_use]
    pub fn core(&self) -> &C {
        &self.core
    }

    /// Gives one event to the core. What it wants done now is added to `out`.
    pub fn handle(&mut self, now: Now, event: C::Event, out: &mut Vec<Output<C>>) {
        self.core.step(now, event, &mut self.effects);
        for effect in self.effects.take() {
            self.route(effect, out);
        }
    }

    /// A write is durable: releases what waited for it, then tells the core.
    ///
    /// # Panics
    /// If `seq` is not the oldest write under way (a broken invariant of whoever does the writes).
    pub fn persisted(&mut self, now: Now, seq: Seq, out: &mut Vec<Output<C>>) {
        self.writes.finish(seq, Fate::Durable);
        self.release(seq, out);
        if let Some(event) = C::persisted(seq) {
            self.handle(now, event, out);
        }
    }

    /// A write failed: drops what waited for it, releases what queued behind that, then tells the core.
    ///
    /// # Panics
    /// If `seq` is not the oldest write under way (a broken invariant of whoever does the writes).
    pub fn persist_failed(&mut self, now: Now, seq: Seq, error: String, out: &mut Vec<Output<C>>) {
        self.writes.finish(seq, Fate::Failed);
        self.release(seq, out);
        if let Some(event) = C::persist_failed(seq, error) {
            self.handle(now, event, out);
        }
    }

    /// When [`Driver::fire_due`] has something to do, in monotonic microseconds; may be in the past.
    #[must_use]
    pub fn next_timer(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Fires the timers that are due, in the order of (time, setting), at most
    /// [`limits::TIMERS_PER_CALL`] of them; those that they set for now count too.
    pub fn fire_due(&mut self, now: Now, out: &mut Vec<Output<C>>) {
        for _ in 0..limits::TIMERS_PER_CALL {
            let Some(key) = self.timers.take_due(now.mono_us) else {
                break;
            };
            self.handle(now, C::timer_fired(key), out);
        }
    }

    /// Whether the loop may take events from outside. While this says no it takes completions of
    /// writes only; both limits ([`limits::HELD_EFFECTS`], [`limits::WRITES_UNDER_WAY`]) can be passed
    /// by what one step emits, never by more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held < limits::HELD_EFFECTS && self.writes.under_way.len() < limits::WRITES_UNDER_WAY
    }

    /// How many effects are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many writes are under way.
    #[must_use]
    pub fn writes_under_way(&self) -> usize {
        self.writes.under_way.len()
    }

    /// How many timers are set.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    fn route(&mut self, effect: Effect<C::Timer, C::Effect>, out: &mut Vec<Output<C>>) {
        match effect {
            Effect::SetTimer { key, at_us } => self.timers.set(key, at_us),
            Effect::CancelTimer { key } => self.timers.cancel(&key),
            Effect::Persist { seq, writes } => {
                self.writes.begin(seq);
                out.push(Output::Persist { seq, writes });
            }
            Effect::Propose { seq, op } => out.push(Output::Propose { seq, op }),
            Effect::Do { after, effect } => {
                let place = self.emitted;
                self.emitted += 1;
                self.route_effect(
                    Held {
                        place,
                        after,
                        effect,
                    },
                    out,
                );
            }
        }
    }

    fn route_effect(&mut self, held: Held<C::Effect>, out: &mut Vec<Output<C>>) {
        let lane = (self.lane)(&held.effect);
        if let Some(queue) = lane.as_ref().and_then(|lane| self.lanes.get_mut(lane)) {
            queue.push_back(held);
            self.held += 1;
            return;
        }
        match held
            .after
            .map_or(Fate::Durable, |seq| self.writes.fate(seq))
        {
            Fate::Durable => out.push(Output::Effect(held.effect)),
            Fate::Failed => {}
            Fate::UnderWay => self.hold(lane, held),
        }
    }

    /// Holds an effect that waits for a write under way and has none before it in its lane.
    fn hold(&mut self, lane: Option<K>, held: Held<C::Effect>) {
        let Some(seq) = held.after else { return };
        self.held += 1;
        match lane {
            None => self.loose.entry(seq).or_default().push(held),
            Some(lane) => {
                self.lanes_by_seq
                    .entry(seq)
                    .or_default()
                    .insert(lane.clone());
                self.lanes.insert(lane, VecDeque::from([held]));
            }
        }
    }

    /// Lets go of whatever the end of `seq` frees, in the order of emission.
    fn release(&mut self, seq: Seq, out: &mut Vec<Output<C>>) {
        let mut freed = Vec::new();
        if let Some(loose) = self.loose.remove(&seq) {
            self.held -= loose.len();
            if self.writes.fate(seq) == Fate::Durable {
                freed.extend(loose);
            }
        }
        for lane in self.lanes_by_seq.remove(&seq).unwrap_or_default() {
            self.advance(&lane, &mut freed);
        }
        freed.sort_by_key(|held| held.place);
        out.extend(freed.into_iter().map(|held| Output::Effect(held.effect)));
    }

    /// Moves a lane up to the first effect whose write is still under way.
    fn advance(&mut self, lane: &K, freed: &mut Vec<Held<C::Effect>>) {
        let Some(mut queue) = self.lanes.remove(lane) else {
            return;
        };
        while let Some(first) = queue.pop_front() {
            match first
                .after
                .map_or(Fate::Durable, |seq| self.writes.fate(seq))
            {
                Fate::Durable => freed.push(first),
                Fate::Failed => {}
                Fate::UnderWay => {
                    if let Some(seq) = first.after {
                        self.lanes_by_seq
                            .entry(seq)
                            .or_default()
                            .insert(lane.clone());
                    }
                    queue.push_front(first);
                    self.lanes.insert(lane.clone(), queue);
                    return;
                }
            }
            self.held -= 1;
        }
    }
}

/// Which writes are under way, and which failed.
#[derive(Debug, Default)]
struct Writes {
    under_way: VecDeque<Seq>,
    newest: Option<Seq>,
    failed: BTreeSet<Seq>,
    /// Every write up to here counts as failed (see [`limits::FAILED_WRITES`]).
    failed_through: Option<Seq>,
}

impl Writes {
    fn begin(&mut self, seq: Seq) {
        assert!(
            self.newest < Some(seq),
            "write {} begins after write {:?}",
            seq.0,
            self.newest
        );
        self.newest = Some(seq);
        self.under_way.push_back(seq);
    }

    fn finish(&mut self, seq: Seq, fate: Fate) {
        let oldest = self.under_way.pop_front();
        assert!(
            oldest == Some(seq),
            "write {} ends, but {oldest:?} is the oldest",
            seq.0
        );
        if fate == Fate::Failed {
            self.failed.insert(seq);
        }
        if self.failed.len() > limits::FAILED_WRITES {
            self.failed_through = self.failed.pop_first();
        }
    }

    fn fate(&self, seq: Seq) -> Fate {
        if self.under_way.front().is_some_and(|oldest| seq >= *oldest) {
            // Also true of a proposal's number, for which nothing could ever be released.
            assert!(
                self.under_way.binary_search(&seq).is_ok(),
                "an effect waits for {}, which is no write",
                seq.0
            );
            return Fate::UnderWay;
        }
        assert!(
            Some(seq) <= self.newest,
            "an effect waits for {}, which is no write yet",
            seq.0
        );
        if Some(seq) <= self.failed_through || self.failed.contains(&seq) {
            Fate::Failed
        } else {
            Fate::Durable
        }
    }
}
