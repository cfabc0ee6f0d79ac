//! Quantities in the inner loop: plain numbers by position instead of maps by name.

use meseta_model::resources::{Quantities, Resource, ResourceName, Scalar};
use smallvec::SmallVec;

use crate::limits;

/// The position of gpus in every [`Amounts`].
pub(crate) const GPUS_AT: usize = 1;

/// The position that each resource name has in [`Amounts`].
#[derive(Debug, Clone)]
pub(crate) struct Kinds {
    names: Vec<ResourceName>,
}

impl Default for Kinds {
    fn default() -> Self {
        use ResourceName::{Cpus, Disk, Gpus, Mem};
        Self {
            names: vec![Cpus, Gpus, Mem, Disk],
        }
    }
}

impl Kinds {
    /// The position of a name; a new one at the end if there is room ([`limits::KINDS`]).
    pub(crate) fn position(&mut self, name: &ResourceName) -> Option<usize> {
        self.known(name).or_else(|| {
            (self.names.len() < limits::KINDS).then(|| {
                self.names.push(name.clone());
                self.names.len() - 1
            })
        })
    }

    /// The position of a name, if it has one.
    pub(crate) fn known(&self, name: &ResourceName) -> Option<usize> {
        self.names.iter().position(|entry| entry == name)
    }

    /// The name at a position.
    pub(crate) fn name(&self, position: usize) -> &ResourceName {
        &self.names[position]
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Sums the scalars; shared ones count once.
    pub(crate) fn sum<'a>(&mut self, resources: impl IntoIterator<Item = &'a Resource>) -> Amounts {
        let mut sum = Amounts::default();
        for entry in resources {
            if let Some(quantity) = entry.total_quantity()
                && let Some(position) = self.position(entry.name())
            {
                sum.add_at(position, quantity.thousandths());
            }
        }
        sum
    }

    /// The same quantities by position, as far as their names have one.
    pub(crate) fn known_amounts(&self, quantities: &Quantities) -> Amounts {
        let mut amounts = Amounts::default();
        for (name, quantity) in quantities.iter() {
            if let Some(position) = self.known(name) {
                amounts.add_at(position, quantity.thousandths());
            }
        }
        amounts
    }

    /// The same quantities by position; an operator named them.
    pub(crate) fn amounts(&mut self, quantities: &Quantities) -> Amounts {
        let mut amounts = Amounts::default();
        for (name, quantity) in quantities.iter() {
            if let Some(position) = self.position(name) {
                amounts.add_at(position, quantity.thousandths());
            }
        }
        amounts
    }

    /// The same quantities by name.
    pub(crate) fn quantities(&self, amounts: &Amounts) -> Quantities {
        amounts
            .iter()
            .map(|(at, n)| (self.names[at].clone(), Scalar::from_thousandths(n)))
            .collect()
    }
}

/// Thousandths by position of [`Kinds`]; what is beyond the end is zero. May be below zero.
///
/// Sums wrap around: only an agent that claims to have a thousand times the largest scalar gets there,
/// and then what was added can still be taken away, to the last thousandth.
#[derive(Debug, Clone, Default)]
pub(crate) struct Amounts(SmallVec<[i64; 4]>);

impl Amounts {
    /// The amount at a position.
    pub(crate) fn at(&self, position: usize) -> i64 {
        self.0.get(position).copied().unwrap_or(0)
    }

    /// One more than the last position that may be other than zero.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Becomes the same as `other`, in the memory that it has.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.0.clear();
        self.0.extend_from_slice(&other.0);
    }

    /// Adds to one position.
    pub(crate) fn add_at(&mut self, position: usize, amount: i64) {
        if position >= self.0.len() {
            self.0.resize(position + 1, 0);
        }
        self.0[position] = self.0[position].wrapping_add(amount);
    }

    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.wrapping_add(*other);
        }
    }

    /// Takes all of `other` away.
    pub(crate) fn subtract(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.wrapping_sub(*other);
        }
    }

    /// Whether there is at least as much of everything as in `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .enumerate()
            .all(|(at, amount)| *amount <= self.at(at))
    }

    /// Whether everything is zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|amount| *amount == 0)
    }

    /// A number that tells most amounts apart.
    pub(crate) fn digest(&self) -> u64 {
        self.iter().fold(0, |digest: u64, (at, amount)| {
            let mixed =
                (digest ^ amount as u64 ^ ((at as u64) << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 32)
        })
    }

    /// Positions and amounts other than zero.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, i64)> {
        self.0
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, amount)| *amount != 0)
    }
}

impl PartialEq for Amounts {
    fn eq(&self, other: &Self) -> bool {
        let len = self.0.len().max(other.0.len());
        (0..len).all(|at| self.at(at) == other.at(at))
    }
}

impl Eq for Amounts {}

#[cfg(test)]
mod tests {
    use super::*;
    use meseta_model::resources::Resources;

    #[test]
    fn names_beyond_the_limit_do_not_count() {
        let mut kinds = Kinds::default();
        let mut all = Resources::of(&[("cpus", 1.0)]);
        for at in 0..2 * limits::KINDS {
            all += Resources::of(&[(&format!("widget{at}"), 1.0)]);
        }
        let sum = kinds.sum(&all);
        assert_eq!(
            sum.iter().count(),
            limits::KINDS - 3,
            "with cpus, without mem, disk, gpus"
        );
        assert_eq!(kinds.len(), limits::KINDS);
        assert_eq!(kinds.position(&ResourceName::new("late")), None);
        assert_eq!(kinds.position(&ResourceName::Cpus), Some(0));
    }

    #[test]
    fn missing_positions_are_zero() {
        let mut long = Amounts::default();
        long.add_at(6, 5);
        let mut short = Amounts::default();
        short.add_at(0, 1);
        assert!(!short.covers(&long) && !long.covers(&short));
        long.add(&short);
        assert!(long.covers(&short));
        long.subtract(&short);
        short.add_at(0, -1);
        assert!(short.is_zero() && short == Amounts::default());
        assert_eq!(long.iter().collect::<Vec<_>>(), [(6, 5)]);
    }
}
