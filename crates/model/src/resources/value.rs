//! The value of one resource.

use super::{Ranges, Scalar};

/// Distinct items, in order.
pub type ItemSet = std::collections::BTreeSet<String>;

/// How much, which numbers, or which items.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A quantity.
    Scalar(Scalar),
    /// Whole numbers, each of which exists once.
    Ranges(Ranges),
    /// Named items, each of which exists once.
    Set(ItemSet),
}

impl Value {
    /// Whether there is nothing in it. Quantities below zero count as nothing too.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(quantity) => *quantity <= Scalar::ZERO,
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(items) => items.is_empty(),
        }
    }

    /// Whether both are of the same type and all of `other` is in this.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(other)) => other <= mine,
            (Self::Ranges(mine), Self::Ranges(other)) => mine.contains(other),
            (Self::Set(mine), Self::Set(other)) => other.is_subset(mine),
            _ => false,
        }
    }

    /// Joins a value of the same type; another type changes nothing (the key holds the type).
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(other)) => *mine = mine.saturating_add(*other),
            (Self::Ranges(mine), Self::Ranges(other)) => mine.add(other),
            (Self::Set(mine), Self::Set(other)) => mine.extend(other.iter().cloned()),
            _ => {}
        }
    }

    /// Takes away what of `other` is there; a quantity stops at zero.
    pub(super) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(other)) => {
                *mine = mine.saturating_sub(*other).max(Scalar::ZERO);
            }
            (Self::Ranges(mine), Self::Ranges(other)) => mine.subtract(other),
            (Self::Set(mine), Self::Set(other)) => mine.retain(|item| !other.contains(item)),
            _ => {}
        }
    }

    /// A number per type, part of what tells resources apart.
    pub(super) fn type_rank(&self) -> u8 {
        match self {
            Self::Scalar(_) => 0,
            Self::Ranges(_) => 1,
            Self::Set(_) => 2,
        }
    }
}
