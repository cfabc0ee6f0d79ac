//! Every draw of a run comes from here, so that a seed says everything.

use meseta_model::rng::Rng;

/// A generator with the draws that a simulation needs.
#[derive(Debug)]
pub(crate) struct Draws {
    rng: Rng,
    /// The last raw draw; part of the trace's fingerprint.
    last: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds should have nothing in common.
        let mut rng = Rng::new(seed ^ 0x5eed_0f5e_e700_0000);
        let last = rng.next_u64();
        Self { rng, last }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.last = self.rng.next_u64();
        self.last
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A place in a list of this length; 0 when it is empty.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Between the two, both inclusive.
    pub(crate) fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// Between the two, every order of magnitude as likely as any other.
    pub(crate) fn spread(&mut self, (least, most): (u64, u64)) -> u64 {
        let least = least.max(1);
        let doublings = u64::from((most / least).max(1).ilog2());
        let low = least << self.below(doublings + 1);
        self.between((low, (low * 2).min(most.max(low))))
    }

    /// True this many times in a thousand.
    pub(crate) fn permille(&mut self, chance: u64) -> bool {
        chance > 0 && self.below(1000) < chance
    }

    /// True half of the time.
    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// One of these; `None` of nothing.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }
}
