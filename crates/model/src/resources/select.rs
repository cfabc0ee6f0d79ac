//! Choosing and relabelling parts of a [`Resources`].

use std::collections::BTreeMap;

use super::{
    Draft, ItemSet, Quantities, Ranges, Reservation, Resource, ResourceName, Resources, Scalar,
    Value, finished,
};
use crate::roles::Role;

impl Resources {
    /// The entries that `keep` accepts.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&Resource) -> bool) -> Self {
        let Some(whole) = self.iter().position(|entry| !keep(entry)) else {
            return self.clone();
        };
        // A part of a sorted list is sorted.
        let (whole, rest) = self.entries.split_at(whole);
        let rest = rest.iter().skip(1).filter(|entry| keep(entry));
        Self {
            entries: finished(whole.iter().chain(rest).cloned().collect()),
        }
    }

    /// What nobody has reserved.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.filter(Resource::is_unreserved)
    }

    /// What anybody has reserved.
    #[must_use]
    pub fn reserved(&self) -> Self {
        self.filter(|entry| !entry.is_unreserved())
    }

    /// What is reserved to exactly this role (by its innermost reservation).
    #[must_use]
    pub fn reserved_to(&self, role: &Role) -> Self {
        self.filter(|entry| entry.reservation_role() == Some(role))
    }

    /// What is reserved to this role or one above it: what may be offered to it besides unreserved.
    #[must_use]
    pub fn reserved_to_role_or_above(&self, role: &Role) -> Self {
        self.filter(|entry| !entry.is_unreserved() && entry.is_allocatable_to(role))
    }

    /// What may be offered to this role: unreserved, or reserved to it or a role above it.
    #[must_use]
    pub fn allocatable_to(&self, role: &Role) -> Self {
        self.filter(|entry| entry.is_allocatable_to(role))
    }

    /// The reserved part, by the role of the innermost reservation.
    #[must_use]
    pub fn reservations(&self) -> BTreeMap<Role, Resources> {
        self.group_by(Resource::reservation_role)
    }

    /// The allocated part, by the role it is allocated to.
    #[must_use]
    pub fn allocations(&self) -> BTreeMap<Role, Resources> {
        self.group_by(Resource::allocation_role)
    }

    fn group_by(&self, key: impl Fn(&Resource) -> Option<&Role>) -> BTreeMap<Role, Resources> {
        let mut groups: BTreeMap<Role, Draft> = BTreeMap::new();
        for entry in self {
            if let Some(role) = key(entry) {
                groups.entry(role.clone()).or_default().push(entry.clone());
            }
        }
        let groups = groups.into_iter().map(|(role, draft)| {
            let entries = finished(draft);
            (role, Resources { entries })
        });
        groups.collect()
    }

    /// What may be taken back at any time.
    #[must_use]
    pub fn revocable(&self) -> Self {
        self.filter(Resource::is_revocable)
    }

    /// What is firm.
    #[must_use]
    pub fn non_revocable(&self) -> Self {
        self.filter(|entry| !entry.is_revocable())
    }

    /// Persistent volumes.
    #[must_use]
    pub fn persistent_volumes(&self) -> Self {
        self.filter(Resource::is_persistent_volume)
    }

    /// What several tasks may use at once.
    #[must_use]
    pub fn shared(&self) -> Self {
        self.filter(Resource::is_shared)
    }

    /// What one task at a time may use.
    #[must_use]
    pub fn non_shared(&self) -> Self {
        self.filter(|entry| !entry.is_shared())
    }

    /// Quantities only, no ranges and sets.
    #[must_use]
    pub fn scalars(&self) -> Self {
        self.filter(|entry| entry.quantity().is_some())
    }

    /// Everything of that name.
    #[must_use]
    pub fn named(&self, name: &ResourceName) -> Self {
        self.filter(|entry| entry.name() == name)
    }

    /// The same, all allocated to `role`.
    #[must_use]
    pub fn allocated_to(&self, role: &Role) -> Self {
        self.relabel(|entry| entry.with_allocation(Some(role.clone())))
    }

    /// The same, allocated to nobody.
    #[must_use]
    pub fn unallocated(&self) -> Self {
        self.relabel(|entry| entry.with_allocation(None))
    }

    /// The same with one more reservation on top of each stack.
    #[must_use]
    pub fn push_reservation(&self, reservation: &Reservation) -> Self {
        self.relabel(|entry| entry.with_kind(|kind| kind.reservations.push(reservation.clone())))
    }

    /// The same with the innermost reservation of each stack undone; unreserved ones stay as they are.
    #[must_use]
    pub fn pop_reservation(&self) -> Self {
        self.relabel(|entry| {
            if entry.is_unreserved() {
                return entry;
            }
            entry.with_kind(|kind| {
                kind.reservations.pop();
            })
        })
    }

    /// The same without any reservation.
    #[must_use]
    pub fn to_unreserved(&self) -> Self {
        self.relabel(|entry| {
            if entry.is_unreserved() {
                return entry;
            }
            entry.with_kind(|kind| kind.reservations.clear())
        })
    }

    fn relabel(&self, change: impl FnMut(Resource) -> Resource) -> Self {
        self.entries.iter().cloned().map(change).collect()
    }

    /// The total of that name over all kinds; shared ones count once. Zero for ranges and sets.
    #[must_use]
    pub fn total(&self, name: &ResourceName) -> Scalar {
        self.entries
            .iter()
            .filter(|entry| entry.name() == name)
            .filter_map(Resource::total_quantity)
            .fold(Scalar::ZERO, Scalar::saturating_add)
    }

    /// All numbers of that name over all kinds.
    #[must_use]
    pub fn ranges(&self, name: &ResourceName) -> Ranges {
        let mut all = Ranges::new();
        for entry in self.entries.iter().filter(|entry| entry.name() == name) {
            if let Value::Ranges(ranges) = entry.value() {
                all.add(ranges);
            }
        }
        all
    }

    /// All items of that name over all kinds.
    #[must_use]
    pub fn items(&self, name: &ResourceName) -> ItemSet {
        let mut all = ItemSet::new();
        for entry in self.entries.iter().filter(|entry| entry.name() == name) {
            if let Value::Set(items) = entry.value() {
                all.extend(items.iter().cloned());
            }
        }
        all
    }

    /// The scalar totals by name over all kinds; shared ones count once.
    #[must_use]
    pub fn quantities(&self) -> Quantities {
        let mut totals = Quantities::new();
        for entry in self {
            if let Some(quantity) = entry.total_quantity() {
                totals.add_scalar(entry.name(), quantity);
            }
        }
        totals
    }

    /// Whether there is at least `wanted` of everything; numbers and items count one each, as Mesos
    /// counts them here.
    #[must_use]
    pub fn contains_quantities(&self, wanted: &Quantities) -> bool {
        wanted
            .iter()
            .all(|(name, quantity)| self.amount(name) >= quantity)
    }

    fn amount(&self, name: &ResourceName) -> Scalar {
        let of_entry = |entry: &Resource| match entry.value() {
            Value::Scalar(_) => entry.total_quantity().unwrap_or_default(),
            Value::Ranges(ranges) => {
                Scalar::from_whole(i64::try_from(ranges.count()).unwrap_or(i64::MAX))
            }
            Value::Set(items) => Scalar::from_whole(i64::try_from(items.len()).unwrap_or(i64::MAX)),
        };
        let entries = self.entries.iter().filter(|entry| entry.name() == name);
        entries
            .map(of_entry)
            .fold(Scalar::ZERO, Scalar::saturating_add)
    }

    /// The same with no more than `most` of the scalar `name` over all kinds; earlier entries are kept
    /// first, one entry is cut, indivisible ones stay whole or go. The allocator's way to split an agent.
    #[must_use]
    pub fn at_most(&self, name: &ResourceName, most: Scalar) -> Self {
        let mut left = most;
        self.entries
            .iter()
            .filter_map(|entry| {
                if entry.name() != name {
                    return Some(entry.clone());
                }
                let quantity = entry.total_quantity()?;
                if quantity <= left {
                    left = left.saturating_sub(quantity);
                    return Some(entry.clone());
                }
                if entry.is_indivisible() || left <= Scalar::ZERO {
                    return None;
                }
                let part = std::mem::take(&mut left);
                Some(entry.clone().with_value(Value::Scalar(part)))
            })
            .collect()
    }
}
