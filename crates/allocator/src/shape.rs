//! A bag of resources with what the inner loop asks about it worked out once.
//!
//! Shapes are never changed and are passed around by reference count: an offer of all that an agent
//! has free, its refusal and the filter that stands afterwards are one shape, so that the commonest
//! questions ("is this what was refused?") are a comparison of pointers.

use std::sync::{Arc, OnceLock};

use meseta_model::resources::{Resource, Resources, Scalar};
use meseta_model::roles::Role;

use crate::amounts::{Amounts, Kinds};
use crate::limits;
use crate::profile::FrameworkCapabilities;

/// What a framework must understand, as bits; see [`FrameworkCapabilities`].
pub(crate) type Needs = u8;

pub(crate) const SHARED: Needs = 1;
pub(crate) const REVOCABLE: Needs = 2;
pub(crate) const REFINED: Needs = 4;
pub(crate) const GPUS: Needs = 8;
pub(crate) const REMOTE: Needs = 16;
/// Of an agent that knows no allocation info: one role a framework.
pub(crate) const ONE_ROLE: Needs = 32;

/// The needs that a framework with these capabilities meets.
pub(crate) fn met_by(capabilities: FrameworkCapabilities) -> Needs {
    let bit = |has: bool, need| if has { need } else { 0 };
    bit(capabilities.shared_resources, SHARED)
        | bit(capabilities.revocable_resources, REVOCABLE)
        | bit(capabilities.reservation_refinement, REFINED)
        | bit(capabilities.gpu_resources, GPUS)
        | bit(capabilities.region_aware, REMOTE)
        | bit(!capabilities.multi_role, ONE_ROLE)
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
    /// Whether there is a disk in it that is more than space: how a task uses a volume and who made it
    /// are no part of its identity, so that equal ones may differ.
    pub(crate) disks: bool,
    /// The part that nobody has reserved, once it was asked for and if it is not all.
    unreserved: OnceLock<Arc<Shape>>,
}

impl Shape {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Whether a framework that meets these needs understands all of it.
    pub(crate) fn is_understood(&self, met: Needs) -> bool {
        self.needs & OF_RESOURCES & !met == 0
    }

    /// Whether all of `other` is in it.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.all.covers(&other.all) && self.resources.contains(&other.resources))
    }
}

/// Makes shapes. Most agents of a cluster are alike, and so is what is free on them: a shape that was
/// made a moment ago is handed out again instead of a copy, as long as nothing in it is special.
#[derive(Debug)]
pub(crate) struct Shapes {
    pub(crate) kinds: Kinds,
    /// By a number drawn from the amounts.
    recent: Vec<Option<Arc<Shape>>>,
    /// By the needs met: the last shape of which not all was understood, and the part that was. One
    /// agent is offered to many frameworks that understand the same.
    understood: [Option<(Arc<Shape>, Arc<Shape>)>; OF_RESOURCES as usize + 1],
    /// By a number drawn from both amounts; empty until quota cuts anything.
    cuts: Vec<Option<Cut>>,
    /// Which of them was asked for last: many roles may have as much.
    last_cut: usize,
    /// What is left for the role at hand: room to work it out in.
    pub(crate) left: Amounts,
}

/// What was left of a shape when quota had cut it. The whole is kept alive, so that no other shape can be
/// found at its address.
#[derive(Debug)]
struct Cut {
    whole: Arc<Shape>,
    left: Amounts,
    shape: Arc<Shape>,
}

impl Default for Shapes {
    fn default() -> Self {
        Self {
            kinds: Kinds::default(),
            recent: vec![None; limits::RECENT_SHAPES],
            understood: [const { None }; OF_RESOURCES as usize + 1],
            cuts: Vec::new(),
            last_cut: 0,
            left: Amounts::default(),
        }
    }
}

impl Shapes {
    /// The shape of these resources.
    pub(crate) fn make(&mut self, resources: Resources) -> Arc<Shape> {
        if !resources.iter().all(Resource::is_plain) {
            return Arc::new(self.make_special(resources));
        }
        let all = self.kinds.sum(&resources);
        let at = all.digest() as usize % limits::RECENT_SHAPES;
        if let Some(recent) = &self.recent[at]
            && recent.resources == resources
        {
            return recent.clone();
        }
        let shape = Arc::new(Shape {
            resources,
            firm: all.clone(),
            all,
            needs: 0,
            reserved: false,
            disks: false,
            unreserved: OnceLock::new(),
        });
        self.recent[at] = Some(shape.clone());
        shape
    }

    /// The shape of what `keep` accepts; where it was made a moment ago, nothing is copied.
    fn make_part(&mut self, shape: &Shape, keep: impl Fn(&Resource) -> bool) -> Arc<Shape> {
        let kept = || shape.resources.iter().filter(|entry| keep(entry));
        if kept().all(Resource::is_plain) {
            let at = self.kinds.sum(kept()).digest() as usize % limits::RECENT_SHAPES;
            if let Some(recent) = &self.recent[at]
                && recent.resources.iter().eq(kept())
            {
                return recent.clone();
            }
        }
        self.make(shape.resources.filter(&keep))
    }

    /// One look at each entry.
    fn make_special(&mut self, resources: Resources) -> Shape {
        let (mut all, mut firm) = (Amounts::default(), Amounts::default());
        let (mut needs, mut reserved, mut disks) = (0, false, false);
        for entry in &resources {
            needs |= needs_of(entry);
            reserved |= !entry.is_unreserved();
            disks |= entry.has_disk();
            if let Some(quantity) = entry.total_quantity()
                && let Some(position) = self.kinds.position(entry.name())
            {
                all.add_at(position, quantity.thousandths());
                if is_firm(entry) {
                    firm.add_at(position, quantity.thousandths());
                }
            }
        }
        Shape {
            resources,
            all,
            firm,
            needs,
            reserved,
            disks,
            unreserved: OnceLock::new(),
        }
    }

    /// What of it may be offered to `role`.
    pub(crate) fn allocatable_to(&mut self, shape: &Arc<Shape>, role: &Role) -> Arc<Shape> {
        if !shape.reserved {
            return shape.clone();
        }
        let (mut some, mut all) = (false, true);
        for entry in &shape.resources {
            if !entry.is_unreserved() {
                let fits = entry.is_allocatable_to(role);
                some |= fits;
                all &= fits;
            }
        }
        if all {
            return shape.clone();
        }
        if some {
            return self.make_part(shape, |entry| entry.is_allocatable_to(role));
        }
        let unreserved = &shape.unreserved;
        let made = unreserved.get_or_init(|| self.make(shape.resources.unreserved()));
        made.clone()
    }

    /// What of it a framework that meets these needs understands.
    pub(crate) fn understood_by(&mut self, shape: &Arc<Shape>, met: Needs) -> Arc<Shape> {
        if shape.is_understood(met) {
            return shape.clone();
        }
        let at = usize::from(met & OF_RESOURCES);
        if let Some((whole, part)) = &self.understood[at]
            && Arc::ptr_eq(whole, shape)
        {
            return part.clone();
        }
        let is_understood = |entry: &Resource| needs_of(entry) & !met == 0;
        let part = self.make_part(shape, is_understood);
        self.understood[at] = Some((shape.clone(), part.clone()));
        part
    }

    /// What is left of it without `other`, as far as that is there.
    pub(crate) fn without(&mut self, shape: &Shape, other: &Shape) -> Arc<Shape> {
        self.make(shape.resources.saturating_sub(&other.resources))
    }

    /// What is left of it when firm scalars are cut so that there is `left` of all; where that was asked
    /// for a moment ago, nothing is copied.
    pub(crate) fn cut(&mut self, shape: &Arc<Shape>, left: &Amounts) -> Arc<Shape> {
        if self.cuts.is_empty() {
            self.cuts.resize_with(limits::RECENT_CUTS, || None);
        }
        let is_it = |cut: &&Cut| Arc::ptr_eq(&cut.whole, shape) && cut.left == *left;
        if let Some(cut) = self.cuts[self.last_cut].as_ref().filter(is_it) {
            return cut.shape.clone();
        }
        let digest = left.digest() ^ shape.all.digest().rotate_left(32);
        let at = digest as usize % limits::RECENT_CUTS;
        self.last_cut = at;
        if let Some(cut) = self.cuts[at].as_ref().filter(is_it) {
            return cut.shape.clone();
        }
        let made = match self.recent_cut(shape, left) {
            Some(recent) => recent,
            None => self.make_cut(shape, left),
        };
        let mut kept = self.cuts[at].take().map(|cut| cut.left).unwrap_or_default();
        kept.copy_from(left);
        self.cuts[at] = Some(Cut {
            whole: shape.clone(),
            left: kept,
            shape: made.clone(),
        });
        made
    }

    /// The same from the shapes made a moment ago, whatever it was cut from.
    fn recent_cut(&self, shape: &Shape, left: &Amounts) -> Option<Arc<Shape>> {
        if !shape.resources.iter().all(Resource::is_plain) {
            return None;
        }
        let at = left.digest() as usize % limits::RECENT_SHAPES;
        let recent = self.recent[at].as_ref()?;
        // The one scalar of a name in a plain list.
        let cut_to = |entry: &Resource| {
            entry.total_quantity()?;
            let position = self.kinds.known(entry.name())?;
            Some(Scalar::from_thousandths(left.at(position)))
        };
        let mut kept = { shape.resources.iter() }.filter(|it| cut_to(it) != Some(Scalar::ZERO));
        let mut found = recent.resources.iter();
        let all_agree = found.all(|entry| {
            kept.next().is_some_and(|it| match cut_to(it) {
                Some(most) => entry.name() == it.name() && entry.total_quantity() == Some(most),
                None => entry == it,
            })
        });
        (all_agree && kept.next().is_none()).then(|| recent.clone())
    }

    fn make_cut(&mut self, shape: &Shape, left: &Amounts) -> Arc<Shape> {
        let mut firm = shape.resources.filter(is_firm);
        let rest = shape.resources.filter(|entry| !is_firm(entry));
        for (position, amount) in shape.firm.iter() {
            let most = amount - (shape.all.at(position) - left.at(position));
            if most < amount {
                let name = self.kinds.name(position);
                firm = firm.at_most(name, Scalar::from_thousandths(most));
            }
        }
        self.make(firm + &rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meseta_model::resources::{Disk, Kind, Persistence, ResourceName, Value};

    #[test]
    fn plain_shapes_are_shared_as_long_as_they_are_recent() {
        let mut shapes = Shapes::default();
        let machine = |cpus: usize| Resources::of(&[("cpus", cpus as f64)]);
        let first = shapes.make(machine(1));
        assert!(Arc::ptr_eq(&first, &shapes.make(machine(1))));
        for cpus in 2..limits::RECENT_SHAPES * 20 {
            shapes.make(machine(cpus));
        }
        let again = shapes.make(machine(1));
        assert!(!Arc::ptr_eq(&first, &again), "others took its place");
        assert_eq!(first.resources, again.resources);
        assert_eq!(shapes.recent.len(), limits::RECENT_SHAPES);
    }

    #[test]
    fn volumes_are_never_mixed_up() {
        // Equal by the algebra's word: the creator is no part of a volume's identity.
        let volume = |principal: &str| {
            let kind = Kind {
                disk: Some(Disk {
                    persistence: Some(Persistence {
                        id: "v".to_owned(),
                        principal: Some(principal.to_owned()),
                    }),
                    ..Disk::default()
                }),
                ..Kind::default()
            };
            let value = Value::Scalar(Scalar::from_whole(1));
            Resources::from(Resource::new(ResourceName::Disk, value, kind))
        };
        let mut shapes = Shapes::default();
        let (one, other) = (shapes.make(volume("one")), shapes.make(volume("other")));
        assert_eq!(one.resources, other.resources);
        assert!(!Arc::ptr_eq(&one, &other));
    }
}
