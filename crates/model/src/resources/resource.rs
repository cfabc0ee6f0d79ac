//! One entry of a [`super::Resources`].

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use super::kind::{Disk, Kind, Reservation, ReservationType};
use super::{ResourceName, Scalar, Value};
use crate::roles::{DEFAULT_ROLE, Role};

static PLAIN: LazyLock<Kind> = LazyLock::new(Kind::default);

/// What of a [`Kind`] every sum and selection asks for, as bits, so that they follow no pointer.
type Traits = u8;

const RESERVED: Traits = 1;
const REFINED: Traits = 2;
const ON_DISK: Traits = 4;
const REVOCABLE: Traits = 8;
const SHARED: Traits = 16;
const INDIVISIBLE: Traits = 32;

fn traits_of(kind: &Kind) -> Traits {
    let bit = |has: bool, bit| if has { bit } else { 0 };
    bit(!kind.reservations.is_empty(), RESERVED)
        | bit(kind.reservations.len() > 1, REFINED)
        | bit(kind.disk.is_some(), ON_DISK)
        | bit(kind.revocable, REVOCABLE)
        | bit(kind.shared, SHARED)
        | bit(kind.is_indivisible(), INDIVISIBLE)
}

/// A named value of one [`Kind`], perhaps allocated to a role.
///
/// Never empty inside a [`super::Resources`].
#[derive(Debug, Clone)]
pub struct Resource {
    pub(super) name: ResourceName,
    pub(super) allocation: Option<Role>,
    /// `None` for the default kind, so that the common case compares without following a pointer.
    kind: Option<Arc<Kind>>,
    /// Of the kind.
    traits: Traits,
    pub(super) value: Value,
    /// How often it is there; above one only for indivisible kinds (shared volumes).
    pub(super) count: u32,
}

impl Resource {
    /// A resource of the given kind, not allocated.
    #[must_use]
    pub fn new(name: ResourceName, value: Value, kind: Kind) -> Self {
        Self {
            name,
            allocation: None,
            traits: traits_of(&kind),
            kind: (kind != *PLAIN).then(|| Arc::new(kind)),
            value,
            count: 1,
        }
    }

    /// An unreserved quantity.
    #[must_use]
    pub fn scalar(name: ResourceName, quantity: Scalar) -> Self {
        Self {
            name,
            allocation: None,
            kind: None,
            traits: 0,
            value: Value::Scalar(quantity),
            count: 1,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &ResourceName {
        &self.name
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The quantity if it is a scalar.
    #[must_use]
    pub fn quantity(&self) -> Option<Scalar> {
        match &self.value {
            Value::Scalar(quantity) => Some(*quantity),
            _ => None,
        }
    }

    /// The quantity over all copies, if it is a scalar. A shared volume exists once however often it is
    /// held.
    #[must_use]
    pub fn total_quantity(&self) -> Option<Scalar> {
        let copies = if self.is_shared() { 1 } else { self.count };
        Some(self.quantity()?.saturating_mul(copies))
    }

    /// What stands behind it.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        self.kind.as_deref().unwrap_or(&PLAIN)
    }

    /// Whether nothing stands behind it: of the default kind.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.kind.is_none()
    }

    /// How often it is there; above one only for indivisible resources, such as shared volumes in use.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The role it is allocated to, if it is.
    #[must_use]
    pub fn allocation_role(&self) -> Option<&Role> {
        self.allocation.as_ref()
    }

    /// From the outermost reservation to the most refined one.
    #[must_use]
    pub fn reservations(&self) -> &[Reservation] {
        self.kind.as_ref().map_or(&[], |kind| &kind.reservations)
    }

    /// The innermost reservation.
    #[must_use]
    pub fn reservation(&self) -> Option<&Reservation> {
        self.reservations().last()
    }

    /// The role of the innermost reservation, or `None` when unreserved.
    #[must_use]
    pub fn reservation_role(&self) -> Option<&Role> {
        self.reservation().map(|reservation| &reservation.role)
    }

    /// Whether nothing is reserved.
    #[must_use]
    pub fn is_unreserved(&self) -> bool {
        self.traits & RESERVED == 0
    }

    /// Whether the innermost reservation was made by an operation.
    #[must_use]
    pub fn is_dynamically_reserved(&self) -> bool {
        self.reservation()
            .is_some_and(|r| r.kind == ReservationType::Dynamic)
    }

    /// Whether the stack is deeper than one.
    #[must_use]
    pub fn has_refined_reservations(&self) -> bool {
        self.traits & REFINED != 0
    }

    /// Whether `role` may use it: unreserved, or reserved to `role` or a role above it.
    #[must_use]
    pub fn is_allocatable_to(&self, role: &Role) -> bool {
        self.reservation_role()
            .is_none_or(|owner| role.is_or_is_below(owner))
    }

    /// Whether it has a disk part.
    #[must_use]
    pub fn has_disk(&self) -> bool {
        self.traits & ON_DISK != 0
    }

    /// The disk part.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        if !self.has_disk() {
            return None;
        }
        self.kind.as_ref().and_then(|kind| kind.disk.as_ref())
    }

    /// The persistence id of a persistent volume.
    #[must_use]
    pub fn persistence_id(&self) -> Option<&str> {
        self.disk()
            .and_then(|disk| disk.persistence.as_ref())
            .map(|p| p.id.as_str())
    }

    /// Whether it is a persistent volume.
    #[must_use]
    pub fn is_persistent_volume(&self) -> bool {
        self.persistence_id().is_some()
    }

    /// Whether it may be taken back at any time.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        self.traits & REVOCABLE != 0
    }

    /// Whether several tasks may use it at once.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.traits & SHARED != 0
    }

    /// The resource provider that has it, if not the agent itself.
    #[must_use]
    pub fn provider_id(&self) -> Option<&str> {
        self.kind
            .as_ref()
            .and_then(|kind| kind.provider_id.as_deref())
    }

    /// Whether it is counted as a whole: shared, a persistent volume, a MOUNT or BLOCK disk.
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        self.traits & INDIVISIBLE != 0
    }

    /// The role a pre-refinement document shows: that of the only reservation, `*` when unreserved.
    #[must_use]
    pub fn shown_role(&self) -> &str {
        self.reservation_role().map_or(DEFAULT_ROLE, Role::as_str)
    }

    /// The same with another kind.
    #[must_use]
    pub fn with_kind(mut self, change: impl FnOnce(&mut Kind)) -> Self {
        let mut kind = self.kind().clone();
        change(&mut kind);
        self.traits = traits_of(&kind);
        self.kind = (kind != *PLAIN).then(|| Arc::new(kind));
        self
    }

    /// The same with another value.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    /// The same, allocated to `role`, or to nobody.
    #[must_use]
    pub fn with_allocation(mut self, role: Option<Role>) -> Self {
        self.allocation = role;
        self
    }

    /// Whether both differ in value at most.
    #[must_use]
    pub fn is_same_kind(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind && self.allocation == other.allocation
    }

    /// Lets go of its kind for the same one of another entry, and says whether it could. Disks are left
    /// alone: what equals may still differ in how it is mounted and who made it.
    pub(super) fn share_kind(&mut self, other: &Self) -> bool {
        let is_same = match (&self.kind, &other.kind) {
            (Some(mine), Some(other)) => !self.has_disk() && mine == other,
            _ => false,
        };
        if is_same {
            self.kind.clone_from(&other.kind);
        }
        is_same
    }

    /// Orders by what must agree for two entries to be merged: kind, allocation, name and value type,
    /// and the value too where it cannot be split.
    pub(super) fn cmp_key(&self, other: &Self) -> Ordering {
        cmp_kind(self.kind.as_ref(), other.kind.as_ref())
            .then_with(|| cmp_role(self.allocation.as_ref(), other.allocation.as_ref()))
            .then_with(|| self.name.cmp(&other.name))
            .then_with(|| self.value.type_rank().cmp(&other.value.type_rank()))
            .then_with(|| {
                if self.is_indivisible() {
                    self.value.cmp(&other.value)
                } else {
                    Ordering::Equal
                }
            })
    }
}

fn cmp_kind(a: Option<&Arc<Kind>>, b: Option<&Arc<Kind>>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
        _ => a.cmp(&b),
    }
}

fn cmp_role(a: Option<&Role>, b: Option<&Role>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (Some(a), Some(b)) if a.is_same_allocation(b) => Ordering::Equal,
        _ => a.cmp(&b),
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.cmp_key(other) == Ordering::Equal
            && self.value == other.value
            && self.count == other.count
    }
}

impl Eq for Resource {}
