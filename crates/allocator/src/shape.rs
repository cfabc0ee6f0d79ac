//! A bag of resources with what the inner loop asks about it worked out once.
//!
//! Shapes are never changed and are passed around by reference count: an offer of all that an agent
//! has free, its refusal and the filter that stands afterwards are one shape, so that the commonest
//! questions ("is this what was refused?") are a comparison of pointers.

use std::sync::{Arc, OnceLock};

use meseta_model::resources::{Resource, ResourceName, Resources, Scalar};
use meseta_model::roles::Role;

use crate::amounts::{Amounts, Kinds};
use crate::profile::FrameworkCapabilities;

/// What a framework must understand, as bits; see [`FrameworkCapabilities`].
pub(crate) type Needs = u8;

pub(crate) const SHARED: Needs = 1;
pub(crate) const REVOCABLE: Needs = 2;
pub(crate) const REFINED: Needs = 4;
pub(crate) const GPUS: Needs = 8;
pub(crate) const REMOTE: Needs = 16;

/// The needs that a framework with these capabilities meets.
pub(crate) fn met_by(capabilities: FrameworkCapabilities) -> Needs {
    let bit = |has: bool, need| if has { need } else { 0 };
    bit(capabilities.shared_resources, SHARED)
        | bit(capabilities.revocable_resources, REVOCABLE)
        | bit(capabilities.reservation_refinement, REFINED)
        | bit(capabilities.gpu_resources, GPUS)
        | bit(capabilities.region_aware, REMOTE)
}

/// Needs that concern single resources rather than whole agents.
const OF_RESOURCES: Needs = SHARED | REVOCABLE | REFINED;

fn needs_of(entry: &Resource) -> Needs {
    let bit = |has: bool, need| if has { need } else { 0 };
    bit(entry.is_shared(), SHARED)
        | bit(entry.is_revocable(), REVOCABLE)
        | bit(entry.has_refined_reservations(), REFINED)
}

/// Whether quota counts it when it is allocated, and headroom when it is free.
pub(crate) fn is_firm(entry: &Resource) -> bool {
    entry.is_unreserved() && !entry.is_revocable() && !entry.is_shared()
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The resources themselves.
    pub(crate) resources: Resources,
    /// The scalars in it; shared ones once.
    pub(crate) all: Amounts,
    /// The scalars in it that are unreserved, not revocable and not shared.
    pub(crate) firm: Amounts,
    /// What a framework must understand to get all of it.
    pub(crate) needs: Needs,
    /// Whether something in it is reserved.
    pub(crate) reserved: bool,
    /// The part that nobody has reserved, once it was asked for and if it is not all.
    unreserved: OnceLock<Arc<Shape>>,
}

impl Shape {
    /// Works everything out.
    pub(crate) fn new(kinds: &mut Kinds, resources: Resources) -> Arc<Self> {
        let all = kinds.sum(&resources, |_| true);
        let reserved = resources.iter().any(|entry| !entry.is_unreserved());
        let needs = resources
            .iter()
            .fold(0, |needs, entry| needs | needs_of(entry));
        let firm = if reserved || needs != 0 {
            kinds.sum(&resources, is_firm)
        } else {
            all.clone()
        };
        Arc::new(Self {
            resources,
            all,
            firm,
            needs,
            reserved,
            unreserved: OnceLock::new(),
        })
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Whether it is only what Mesos calls unreserved, regular resources.
    pub(crate) fn is_plain(&self) -> bool {
        !self.reserved && self.needs == 0
    }

    /// Whether all of `other` is in it.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.all.covers(&other.all) && self.resources.contains(&other.resources))
    }
}

/// Shapes made from shapes; the same one where nothing changes.
pub(crate) trait Part {
    /// What may be offered to `role`.
    fn allocatable_to(&self, kinds: &mut Kinds, role: &Role) -> Self;
    /// What a framework that meets these needs understands.
    fn understood_by(&self, kinds: &mut Kinds, met: Needs) -> Self;
    /// What is left without `other`, as far as it is there.
    fn without(&self, kinds: &mut Kinds, other: &Shape) -> Self;
    /// The same with the firm scalars cut to `most` by position.
    fn cut(&self, kinds: &mut Kinds, most: &dyn Fn(usize) -> i64) -> Self;
}

impl Part for Arc<Shape> {
    fn allocatable_to(&self, kinds: &mut Kinds, role: &Role) -> Self {
        if !self.reserved {
            return self.clone();
        }
        let (mut some, mut all) = (false, true);
        for entry in &self.resources {
            if !entry.is_unreserved() {
                let fits = entry.is_allocatable_to(role);
                some |= fits;
                all &= fits;
            }
        }
        if all {
            return self.clone();
        }
        if some {
            return Shape::new(kinds, self.resources.allocatable_to(role));
        }
        self.unreserved
            .get_or_init(|| Shape::new(kinds, self.resources.unreserved()))
            .clone()
    }

    fn understood_by(&self, kinds: &mut Kinds, met: Needs) -> Self {
        if self.needs & OF_RESOURCES & !met == 0 {
            return self.clone();
        }
        let kept = self.resources.filter(|entry| needs_of(entry) & !met == 0);
        Shape::new(kinds, kept)
    }

    fn without(&self, kinds: &mut Kinds, other: &Shape) -> Self {
        Shape::new(kinds, self.resources.saturating_sub(&other.resources))
    }

    fn cut(&self, kinds: &mut Kinds, most: &dyn Fn(usize) -> i64) -> Self {
        let mut firm = self.resources.filter(is_firm);
        let rest = self.resources.filter(|entry| !is_firm(entry));
        for (position, amount) in self.firm.iter() {
            let name = kinds.name(position);
            let mut most = most(position).max(0);
            if *name == ResourceName::Gpus {
                most -= most % 1000;
            }
            if most < amount {
                firm = firm.at_most(name, Scalar::from_thousandths(most));
            }
        }
        Shape::new(kinds, firm + &rest)
    }
}
