//! A timer wheel: when the next filter of which agent ends.
//!
//! Nine levels of 64 slots cover all of time, in ticks of 1,024 microseconds: level 0 has a slot per
//! tick, each further level slots 64 times as long. An entry lies at the level of the highest digit, to
//! base 64, in which its end differs from the present, and comes down as time reaches its slot. Lists
//! are linked through one table by agent, which grows as agents come, so that nothing is allocated for an
//! entry, and entering, moving and leaving cost the same however many there are.

/// Microseconds per tick, as a power of two.
const TICK_BITS: u32 = 10;
/// Slots per level, as a power of two.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Ticks have 54 bits.
const LEVELS: usize = 9;
/// The end of a list.
const NIL: u32 = u32::MAX;
/// The end of time: not in the wheel.
const NEVER: u64 = u64::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    end_us: u64,
    next: u32,
    before: u32,
    /// The list that it is in.
    slot: u16,
}

const ABSENT: Entry = Entry {
    end_us: NEVER,
    next: NIL,
    before: NIL,
    slot: 0,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// By agent.
    entries: Vec<Entry>,
    /// The first of each list.
    heads: [u32; LEVELS * SLOTS],
    /// By level: which lists are not empty.
    occupied: [u64; LEVELS],
    /// The present tick; no list lies before it.
    tick: u64,
    /// The first end of all.
    first_us: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            heads: [NIL; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            tick: 0,
            first_us: NEVER,
        }
    }
}

impl Wheel {
    /// There is an agent of this number, and perhaps of all before: 24 bytes each, and an eighth more.
    pub(crate) fn make_room(&mut self, agent: u32) {
        let len = agent as usize + 1;
        if self.entries.capacity() < len {
            let more = len - self.entries.len();
            self.entries.reserve_exact(more + len / 8);
        }
        if self.entries.len() < len {
            self.entries.resize(len, ABSENT);
        }
    }

    /// The agent's next end is another one now; `u64::MAX` is none.
    pub(crate) fn set(&mut self, agent: u32, end_us: u64) {
        let known_us = self.end_of(agent);
        if known_us == end_us {
            return;
        }
        if known_us != NEVER {
            self.unlink(agent);
            if known_us == self.first_us {
                self.first_us = self.find_first(known_us);
            }
        }
        if end_us != NEVER {
            self.make_room(agent);
            self.link(agent, end_us);
            self.first_us = self.first_us.min(end_us);
        }
    }

    /// The agent's next end, or `u64::MAX`.
    pub(crate) fn end_of(&self, agent: u32) -> u64 {
        self.entries
            .get(agent as usize)
            .map_or(NEVER, |entry| entry.end_us)
    }

    /// The first end of all.
    pub(crate) fn first(&self) -> Option<u64> {
        (self.first_us != NEVER).then_some(self.first_us)
    }

    /// The agents whose end has come, by end, then by number; they leave the wheel.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Vec<u32> {
        let mut due: Vec<(u64, u32)> = Vec::new();
        let now = now_us >> TICK_BITS;
        if self.first_us > now_us {
            return Vec::new();
        }
        while let Some((level, slot, begin)) = self.earliest()
            && begin <= now
        {
            self.tick = self.tick.max(begin);
            let mut at = self.take_list(level, slot);
            while at != NIL {
                let Entry { end_us, next, .. } = self.entries[at as usize];
                self.entries[at as usize] = ABSENT;
                if end_us <= now_us {
                    due.push((end_us, at));
                } else {
                    self.link(at, end_us);
                }
                at = next;
            }
            if level == 0 && begin == now {
                break;
            }
        }
        self.tick = self.tick.max(now);
        self.first_us = self.find_first(0);
        due.sort_unstable();
        due.into_iter().map(|(_, agent)| agent).collect()
    }

    /// The first list that is not empty, and the tick at which it begins.
    fn earliest(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let shift = SLOT_BITS * level as u32;
        let above = (self.tick >> shift) >> SLOT_BITS;
        Some((level, slot, ((above << SLOT_BITS) | slot as u64) << shift))
    }

    /// The first end of all; the search ends where one is no later than `bound_us`.
    fn find_first(&self, bound_us: u64) -> u64 {
        let Some((level, slot, _)) = self.earliest() else {
            return NEVER;
        };
        let mut first_us = NEVER;
        let mut at = self.heads[level * SLOTS + slot];
        while at != NIL && first_us > bound_us {
            let entry = &self.entries[at as usize];
            first_us = first_us.min(entry.end_us);
            at = entry.next;
        }
        first_us
    }

    fn link(&mut self, agent: u32, end_us: u64) {
        // What is over already is due at once.
        let tick = (end_us >> TICK_BITS).max(self.tick);
        let level = match tick ^ self.tick {
            0 => 0,
            differing => (differing.ilog2() / SLOT_BITS) as usize,
        };
        let slot = (tick >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        let list = level * SLOTS + slot;
        let next = std::mem::replace(&mut self.heads[list], agent);
        if next != NIL {
            self.entries[next as usize].before = agent;
        }
        self.entries[agent as usize] = Entry {
            end_us,
            next,
            before: NIL,
            slot: list as u16,
        };
        self.occupied[level] |= 1 << slot;
    }

    fn unlink(&mut self, agent: u32) {
        let entry = std::mem::replace(&mut self.entries[agent as usize], ABSENT);
        if entry.next != NIL {
            self.entries[entry.next as usize].before = entry.before;
        }
        if entry.before != NIL {
            self.entries[entry.before as usize].next = entry.next;
            return;
        }
        let list = usize::from(entry.slot);
        self.heads[list] = entry.next;
        if entry.next == NIL {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    fn take_list(&mut self, level: usize, slot: usize) -> u32 {
        self.occupied[level] &= !(1 << slot);
        std::mem::replace(&mut self.heads[level * SLOTS + slot], NIL)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use meseta_model::rng::Rng;

    use super::*;

    #[test]
    fn the_wheel_knows_who_is_next() {
        let mut wheel = Wheel::default();
        wheel.set(4, 30);
        wheel.set(2, 20_000);
        wheel.set(4, 10_000);
        assert_eq!(wheel.first(), Some(10_000));
        assert!(wheel.take_due(9_999).is_empty());
        assert_eq!(wheel.take_due(20_000), [4, 2]);
        assert!(wheel.take_due(20_000).is_empty());
        wheel.set(4, 5);
        assert_eq!(wheel.first(), Some(5), "over already");
        wheel.set(4, NEVER);
        assert_eq!(wheel.first(), None);
        assert_eq!(wheel.end_of(4), NEVER);
    }

    #[test]
    fn an_entry_takes_what_a_filter_takes() {
        assert_eq!(size_of::<Entry>(), 24);
    }

    #[test]
    fn room_is_made_for_agents_and_not_for_filters() {
        let mut wheel = Wheel::default();
        for agent in 0..10_000 {
            wheel.make_room(agent);
            let (len, room) = (wheel.entries.len(), wheel.entries.capacity());
            assert!(len <= room && room <= len + len / 8 + 1, "{room} for {len}");
        }
        let room = wheel.entries.capacity();
        for agent in 0..10_000 {
            wheel.set(agent, 1 + u64::from(agent));
        }
        assert_eq!(wheel.entries.capacity(), room);
    }

    #[test]
    fn ends_within_one_tick_are_told_apart() {
        let mut wheel = Wheel::default();
        for agent in 0..5 {
            wheel.set(agent, 2_048 + u64::from(4 - agent));
        }
        assert_eq!(wheel.take_due(2_049), [4, 3]);
        assert_eq!(wheel.first(), Some(2_050));
        assert_eq!(wheel.take_due(2_052), [2, 1, 0]);
    }

    /// Any life of the wheel is that of a sorted set.
    #[test]
    fn it_agrees_with_a_sorted_set() {
        for seed in 0..200 {
            let mut draws = Rng::new(seed);
            let (mut wheel, mut set) = (Wheel::default(), BTreeSet::new());
            let mut now_us = draws.below(1 << 60);
            for _ in 0..300 {
                let agent = draws.below(12) as u32;
                let bits = 1 + draws.below(45);
                let after_us = draws.below(1 << bits);
                if draws.below(3) > 0 {
                    let end_us = match draws.below(4) {
                        0 => NEVER,
                        _ => now_us + after_us,
                    };
                    wheel.set(agent, end_us);
                    set.retain(|(_, other)| *other != agent);
                    if end_us != NEVER {
                        set.insert((end_us, agent));
                    }
                } else {
                    now_us += after_us;
                    let later = set.split_off(&(now_us + 1, 0));
                    let due: Vec<u32> = set.iter().map(|(_, agent)| *agent).collect();
                    set = later;
                    assert_eq!(wheel.take_due(now_us), due, "seed {seed}");
                }
                let first = set.first().map(|(end_us, _)| *end_us);
                assert_eq!(wheel.first(), first, "seed {seed}");
            }
        }
    }
}
