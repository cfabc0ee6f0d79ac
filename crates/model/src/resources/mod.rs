//! Resources: what agents have, offers carry and tasks use.
//!
//! [`Resources`] is a list of entries, each a name, a value and what stands behind it
//! ([`Kind`]: reservations, disk, revocable, shared, provider; and the role it is allocated to).
//! Entries that agree in all but the value are merged; the list is kept sorted by that key, so that
//! equal resources are equal lists and sums are merges of two sorted lists. Clones share one list
//! until one of them changes.
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

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::{Add, AddAssign};
use std::sync::Arc;

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

/// A list while it is made. Eight fit in place: most agents and all common offers.
type Draft = SmallVec<[Resource; 8]>;

/// The finished list, in one piece of memory of exactly its size.
fn finished(mut draft: Draft) -> Arc<[Resource]> {
    draft.iter_mut().map(moved_out).collect()
}

/// The entry; something that holds no memory takes its place.
fn moved_out(entry: &mut Resource) -> Resource {
    let nothing = Resource::scalar(ResourceName::Cpus, Scalar::ZERO);
    std::mem::replace(entry, nothing)
}

/// A bag of resources. Cheap to copy, add and compare; order and equality are independent of how it
/// came about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Sorted by [`Resource::cmp_key`], each key once. Shared with clones.
    entries: Arc<[Resource]>,
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

    /// The list to be changed, copied if it is shared; nothing is left here.
    fn draft(&mut self) -> Draft {
        let mut entries = std::mem::take(&mut self.entries);
        match Arc::get_mut(&mut entries) {
            Some(own) => own.iter_mut().map(moved_out).collect(),
            None => entries.iter().cloned().collect(),
        }
    }

    /// Adds one entry; an empty one changes nothing.
    pub fn add_resource(&mut self, resource: Resource) {
        self.extend([resource]);
    }

    fn add_all(&mut self, other: &Self) {
        if self.is_empty() || other.is_empty() {
            if self.is_empty() {
                self.clone_from(other);
            }
            return;
        }
        let mut at = 0;
        let mut draft = self.draft();
        for resource in other {
            at = 1 + match seek(&draft, at, resource) {
                Ok(at) => {
                    merge(&mut draft[at], resource);
                    at
                }
                Err(at) => {
                    draft.insert(at, resource.clone());
                    at
                }
            };
        }
        self.entries = finished(draft);
    }

    /// Whether all of `other` is here. A partial order: two bags may each lack something of the other.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.entries, &other.entries) {
            return true;
        }
        let mut at = 0;
        other
            .entries
            .iter()
            .all(|resource| match seek(&self.entries, at, resource) {
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
        if Arc::ptr_eq(&self.entries, &other.entries) {
            *self = Self::new();
            return true;
        }
        if self.is_empty() || other.is_empty() {
            return other.is_empty();
        }
        self.take_away_each([other])
    }

    /// Takes away as much of each as is here then, one after the other, and says whether that was all.
    #[must_use]
    pub fn take_away_each(&mut self, others: impl IntoIterator<Item: Borrow<Self>>) -> bool {
        let mut draft = self.draft();
        let mut is_all = true;
        for other in others {
            is_all &= take_out(&mut draft, &other.borrow().entries);
        }
        self.entries = finished(draft);
        is_all
    }
}

/// Takes away as much of `other` as is there, and says whether that was all of it.
fn take_out(draft: &mut Draft, other: &[Resource]) -> bool {
    let (mut at, mut is_all, mut is_any_gone) = (0, true, false);
    for resource in other {
        match seek(draft, at, resource) {
            Ok(found) => {
                is_all &= take_from(&mut draft[found], resource);
                is_any_gone |= is_nothing(&draft[found]);
                at = found + 1;
            }
            Err(before) => {
                is_all = false;
                at = before;
            }
        }
    }
    if is_any_gone {
        draft.retain(|entry| !is_nothing(entry));
    }
    is_all
}

/// The place of `resource`'s key at or after `from`, or where it would go. Short lists, the common
/// case, are walked: neighbours in one list are mostly neighbours in the other.
fn seek(entries: &[Resource], from: usize, resource: &Resource) -> Result<usize, usize> {
    let rest = entries.get(from..).unwrap_or_default();
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

/// Takes away what of `other` is in an entry of the same key, and says whether that was all of it.
fn take_from(entry: &mut Resource, other: &Resource) -> bool {
    let is_all = entry.count >= other.count && entry.value.contains(&other.value);
    if entry.is_indivisible() {
        entry.count = entry.count.saturating_sub(other.count);
    } else {
        entry.value.subtract(&other.value);
    }
    is_all
}

fn is_nothing(entry: &Resource) -> bool {
    entry.count == 0 || entry.value.is_empty()
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
        let mut draft = Draft::new();
        add_each(&mut draft, iter);
        Self {
            entries: finished(draft),
        }
    }
}

/// Adds entries where they belong; empty ones change nothing.
fn add_each(draft: &mut Draft, entries: impl IntoIterator<Item = Resource>) {
    for mut resource in entries {
        if is_nothing(&resource) {
            continue;
        }
        match draft.binary_search_by(|entry| entry.cmp_key(&resource)) {
            Ok(at) => merge(&mut draft[at], &resource),
            Err(at) => {
                // Neighbours: the kind comes first in the order.
                let around = at.saturating_sub(1)..draft.len().min(at + 1);
                let around = draft.get(around).unwrap_or_default();
                around.iter().any(|entry| resource.share_kind(entry));
                draft.insert(at, resource);
            }
        }
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, iter: I) {
        let mut draft = self.draft();
        add_each(&mut draft, iter);
        self.entries = finished(draft);
    }
}

impl<'a> std::iter::Sum<&'a Resources> for Resources {
    fn sum<I: Iterator<Item = &'a Resources>>(iter: I) -> Self {
        iter.fold(Self::new(), |sum, next| sum + next)
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = std::vec::IntoIter<Resource>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(&*self.entries).into_iter()
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
