//! Scalar totals per name: what quotas, shares and minimums are counted in.

use std::fmt;

use smallvec::SmallVec;

use super::{ResourceName, Scalar};

/// Scalar quantities by name, zero where absent. Ranges and sets have no quantity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quantities {
    /// Sorted by name, each name once, no zero.
    entries: SmallVec<[(ResourceName, Scalar); 4]>,
}

impl Quantities {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The quantity of that name; zero when absent.
    #[must_use]
    pub fn get(&self, name: &ResourceName) -> Scalar {
        self.find(name)
            .map_or(Scalar::ZERO, |at| self.entries[at].1)
    }

    fn find(&self, name: &ResourceName) -> Result<usize, usize> {
        self.entries.binary_search_by(|(entry, _)| entry.cmp(name))
    }

    /// Names and quantities above zero, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, Scalar)> {
        self.entries
            .iter()
            .map(|(name, quantity)| (name, *quantity))
    }

    /// Whether every quantity is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds to one name, saturating; nothing goes below zero.
    pub fn add_scalar(&mut self, name: &ResourceName, quantity: Scalar) {
        match self.find(name) {
            Ok(at) => {
                let sum = self.entries[at].1.saturating_add(quantity);
                if sum > Scalar::ZERO {
                    self.entries[at].1 = sum;
                } else {
                    self.entries.remove(at);
                }
            }
            Err(at) if quantity > Scalar::ZERO => {
                self.entries.insert(at, (name.clone(), quantity));
            }
            Err(_) => {}
        }
    }

    /// Adds all of `other`, saturating.
    pub fn add(&mut self, other: &Self) {
        for (name, quantity) in &other.entries {
            self.add_scalar(name, *quantity);
        }
    }

    /// Takes `other` away; nothing goes below zero.
    pub fn subtract(&mut self, other: &Self) {
        for (name, quantity) in &other.entries {
            self.add_scalar(name, Scalar::ZERO.saturating_sub(*quantity));
        }
    }

    /// Whether there is at least as much of everything as in `other`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other
            .entries
            .iter()
            .all(|(name, quantity)| self.get(name) >= *quantity)
    }
}

impl FromIterator<(ResourceName, Scalar)> for Quantities {
    fn from_iter<I: IntoIterator<Item = (ResourceName, Scalar)>>(iter: I) -> Self {
        let mut all = Self::new();
        for (name, quantity) in iter {
            all.add_scalar(&name, quantity);
        }
        all
    }
}

impl fmt::Display for Quantities {
    /// `cpus: 4; mem: 1024`, in the order of names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, quantity)) in self.entries.iter().enumerate() {
            let sep = if i == 0 { "" } else { "; " };
            write!(f, "{sep}{name}:{quantity}")?;
        }
        Ok(())
    }
}
