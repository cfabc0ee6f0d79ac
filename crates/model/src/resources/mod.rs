//! Resources: what agents have, offers carry and tasks use.
//!
//! [`Resources`] is a list of entries, each a name, a value and what stands behind it
//! ([`Kind`]: reservations, disk, revocable, shared, provider; and the role it is allocated to).
//! Entries that agree in all but the value are merged; the list is kept sorted by that key, so that
//! equal resources are equal lists and sums are merges of two sorted lists.
//!
//! Invariants: no entry is empty, no quantity is negative, every gpus quantity is whole, no two
//! entries have the same key. They hold for every value that [`Resources::from_wire`] or [`Resources::parse`] lets in, and every
//! operation keeps them. Where a quantity would leave `i64` it stays at the end of it.

mod conversion;
mod document;
mod invalid;
mod kind;
mod name;
mod quantities;
mod ranges;
mod resource;
mod scalar;
mod select;
mod show;
mod text;
mod value;
mod value_text;
mod wire;
mod wire_kind;

use std::cmp::Ordering;
use std::ops::{Add, AddAssign};

use smallvec::SmallVec;

pub use conversion::{CannotConvert, Conversion, conversions};
pub use document::ResourceDocument;
pub use invalid::{InvalidResource, InvalidResources};
pub use kind::{
    Disk, DiskSource, DiskSourceType, Kind, Labels, Persistence, Reservation, ReservationType,
};
pub use name::ResourceName;
pub use quantities::Quantities;
pub use ranges::Ranges;
pub use resource::Resource;
pub use scalar::{BadScalar, SCALAR_LIMIT, Scalar};
pub use show::Shown;
pub use text::{BadResourceText, parse_list};
pub use value::{ItemSet, Value};
pub use value_text::{BadValueText, ParsedValue, parse_value};
pub use wire::{ResourceFormat, reformat};
pub use wire_kind::RESERVATION_DEPTH_LIMIT;

/// Longer lists are searched by halves.
const WALK_AT_MOST: usize = 8;

/// A bag of resources. Cheap to add and compare; order and equality are independent of how it came
/// about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Sorted by [`Resource::cmp_key`], each key once. Four fit in place: a common offer.
    entries: SmallVec<[Resource; 4]>,
}

impl Resources {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Unreserved quantities, in whole units: `Resources::of(&[("cpus", 4.0), ("mem", 1024.0)])`.
    /// Quantities that are no valid scalar are left out.
    #[must_use]
    pub fn of(quantities: &[(&str, f64)]) -> Self {
        quantities
            .iter()
            .filter_map(|(name, value)| {
                let quantity = Scalar::try_from_f64(*value).ok()?;
                Some(Resource::scalar(ResourceName::new(name), quantity))
            })
            .collect()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries, in their fixed order.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.entries.iter()
    }

    /// Adds one entry; an empty one changes nothing.
    pub fn add_resource(&mut self, resource: Resource) {
        if resource.value.is_empty() || resource.count == 0 {
            return;
        }
        match self
            .entries
            .binary_search_by(|entry| entry.cmp_key(&resource))
        {
            Ok(at) => merge(&mut self.entries[at], &resource),
            Err(at) => self.entries.insert(at, resource),
        }
    }

    fn add_all(&mut self, other: &Self) {
        let mut at = 0;
        for resource in &other.entries {
            at = match self.seek(at, resource) {
                Ok(at) => {
                    merge(&mut self.entries[at], resource);
                    at + 1
                }
                Err(at) => {
                    self.entries.insert(at, resource.clone());
                    at + 1
                }
            };
        }
    }

    /// The place of `resource`'s key at or after `from`, or where it would go. Short lists, the common
    /// case, are walked: neighbours in one list are mostly neighbours in the other.
    fn seek(&self, from: usize, resource: &Resource) -> Result<usize, usize> {
        let rest = self.entries.get(from..).unwrap_or_default();
        if rest.len() > WALK_AT_MOST {
            let found = rest.binary_search_by(|entry| entry.cmp_key(resource));
            return found.map(|at| from + at).map_err(|at| from + at);
        }
        for (at, entry) in rest.iter().enumerate() {
            match entry.cmp_key(resource) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(from + at),
                Ordering::Greater => return Err(from + at),
            }
        }
        Err(from + rest.len())
    }

    /// Whether all of `other` is here. A partial order: two bags may each lack something of the other.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let mut at = 0;
        other
            .entries
            .iter()
            .all(|resource| match self.seek(at, resource) {
                Ok(found) => {
                    at = found + 1;
                    let entry = &self.entries[found];
                    entry.count >= resource.count && entry.value.contains(&resource.value)
                }
                Err(_) => false,
            })
    }

    /// What is left without `other`, or `None` unless all of it is here.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        self.contains(other).then(|| {
            let mut left = self.clone();
            let _ = left.take_away(other);
            left
        })
    }

    /// Takes `other` away and says `true`, or changes nothing and says `false` unless all of it is here.
    #[must_use]
    pub fn try_sub_assign(&mut self, other: &Self) -> bool {
        let fits = self.contains(other);
        if fits {
            let _ = self.take_away(other);
        }
        fits
    }

    /// What is left when as much of `other` as is here is taken away.
    #[must_use]
    pub fn saturating_sub(&self, other: &Self) -> Self {
        let mut left = self.clone();
        let _ = left.take_away(other);
        left
    }

    /// Takes away as much of `other` as is here, and says whether that was all of it.
    #[must_use]
    pub fn take_away(&mut self, other: &Self) -> bool {
        let mut at = 0;
        let mut is_all = true;
        for resource in &other.entries {
            at = match self.seek(at, resource) {
                Ok(at) => {
                    let entry = &mut self.entries[at];
                    is_all &= entry.count >= resource.count;
                    is_all &= entry.value.contains(&resource.value);
                    if entry.is_indivisible() {
                        entry.count = entry.count.saturating_sub(resource.count);
                    } else {
                        entry.value.subtract(&resource.value);
                    }
                    if entry.count == 0 || entry.value.is_empty() {
                        self.entries.remove(at);
                    }
                    at
                }
                Err(at) => {
                    is_all = false;
                    at
                }
            };
        }
        is_all
    }
}

fn merge(entry: &mut Resource, other: &Resource) {
    if entry.is_indivisible() {
        entry.count = entry.count.saturating_add(other.count);
    } else {
        entry.value.add(&other.value);
    }
}

impl AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Resources) {
        self.add_all(other);
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Resources) {
        if self.is_empty() {
            *self = other;
        } else {
            self.add_all(&other);
        }
    }
}

impl Add<&Resources> for Resources {
    type Output = Resources;

    fn add(mut self, other: &Resources) -> Resources {
        self.add_all(other);
        self
    }
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        [resource].into_iter().collect()
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(iter: I) -> Self {
        let mut all = Self::new();
        all.extend(iter);
        all
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, iter: I) {
        for resource in iter {
            self.add_resource(resource);
        }
    }
}

impl<'a> std::iter::Sum<&'a Resources> for Resources {
    fn sum<I: Iterator<Item = &'a Resources>>(iter: I) -> Self {
        iter.fold(Self::new(), |sum, next| sum + next)
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = smallvec::IntoIter<[Resource; 4]>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
