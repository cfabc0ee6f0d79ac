//! Resources to and from the wire, in the three formats that Mesos speaks.

use meseta_proto::mesos::v1;
use v1::resource::{AllocationInfo, RevocableInfo, SharedInfo};

use super::invalid::{InvalidResource, InvalidResources};
use super::kind::{Kind, ReservationType};
use super::show::Shown;
use super::wire_kind::{
    disk_from_wire, disk_to_wire, old_reservation_to_wire, reservation_to_wire,
    reservations_from_wire,
};
use super::{BadScalar, ItemSet, Ranges, Resource, ResourceName, Resources, Scalar, Value};
use crate::roles::{self, Role};

/// How reservations are written. All three are read, whatever the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceFormat {
    /// `role` (always set, `*` too: old clients read it) and `reservation`: for peers without the
    /// RESERVATION_REFINEMENT capability.
    PreRefinement,
    /// `reservations` only: for peers with it, and for everything that is kept.
    PostRefinement,
    /// `reservations`, and the old fields beside them where they can say the same: what the operator
    /// API and the legacy documents show.
    Endpoint,
}

impl Resource {
    /// Takes one resource in.
    ///
    /// # Errors
    /// Whatever [`InvalidResource`] names. A quantity of exactly zero is valid (and vanishes in a sum).
    pub fn from_wire(wire: &v1::Resource) -> Result<Self, InvalidResource> {
        if wire.name.is_empty() {
            return Err(InvalidResource::EmptyName);
        }
        let name = ResourceName::new(&wire.name);
        let value = value_from_wire(&name, wire)?;
        if wire.disk.is_some() && name != ResourceName::Disk {
            return Err(InvalidResource::DiskInfoOn(wire.name.clone()));
        }
        let kind = Kind {
            disk: wire.disk.as_deref().map(disk_from_wire).transpose()?,
            reservations: reservations_from_wire(wire)?,
            revocable: wire.revocable.is_some(),
            shared: wire.shared.is_some(),
            provider_id: wire.provider_id.as_ref().map(|id| id.value.clone()),
        };
        if kind.shared {
            if name != ResourceName::Disk {
                return Err(InvalidResource::CannotBeShared(wire.name.clone()));
            }
            if kind
                .disk
                .as_ref()
                .is_none_or(|disk| disk.persistence.is_none())
            {
                return Err(InvalidResource::SharedWithoutPersistence);
            }
        }
        let role = wire
            .allocation_info
            .as_ref()
            .and_then(|info| info.role.as_deref());
        role.map_or(Ok(()), roles::validate)?;
        Ok(Self::new(name, value, kind).with_allocation(role.map(Role::new)))
    }

    /// Writes one resource out. A refined stack cannot be said in the old format and is written in the
    /// new one: do not send it to a peer that lacks the capability.
    #[must_use]
    #[allow(deprecated)]
    pub fn to_wire(&self, format: ResourceFormat) -> v1::Resource {
        let mut wire = v1::Resource {
            provider_id: self
                .provider_id()
                .map(|id| v1::ResourceProviderId { value: id.into() }),
            name: self.name().as_str().to_owned(),
            allocation_info: self.allocation_role().map(|role| AllocationInfo {
                role: Some(role.to_string()),
            }),
            disk: self.disk().map(disk_to_wire).map(Box::new),
            revocable: self.is_revocable().then(RevocableInfo::default),
            shared: self.is_shared().then(SharedInfo::default),
            reservations: self
                .reservations()
                .iter()
                .map(reservation_to_wire)
                .collect(),
            ..Default::default()
        };
        value_to_wire(self.value(), &mut wire);
        if format != ResourceFormat::PostRefinement {
            match self.reservations() {
                [] => wire.role = Some(crate::roles::DEFAULT_ROLE.to_owned()),
                [only] => {
                    wire.role = Some(only.role.to_string());
                    wire.reservation = (only.kind == ReservationType::Dynamic)
                        .then(|| old_reservation_to_wire(only));
                    if format == ResourceFormat::PreRefinement {
                        wire.reservations.clear();
                    }
                }
                _ => {}
            }
        }
        wire
    }
}

fn value_from_wire(name: &ResourceName, wire: &v1::Resource) -> Result<Value, InvalidResource> {
    match v1::value::Type::try_from(wire.r#type) {
        Ok(v1::value::Type::Scalar) => match (&wire.scalar, &wire.ranges, &wire.set) {
            (Some(scalar), None, None) => scalar_from_wire(name, scalar.value).map(Value::Scalar),
            _ => Err(InvalidResource::NotScalar),
        },
        Ok(v1::value::Type::Ranges) => match (&wire.scalar, &wire.ranges, &wire.set) {
            (None, Some(ranges), None) => ranges_from_wire(ranges).map(Value::Ranges),
            _ => Err(InvalidResource::NotRanges),
        },
        Ok(v1::value::Type::Set) => match (&wire.scalar, &wire.ranges, &wire.set) {
            (None, None, Some(set)) => set_from_wire(set).map(Value::Set),
            _ => Err(InvalidResource::NotSet),
        },
        Ok(v1::value::Type::Text) => Err(InvalidResource::UnsupportedType),
        Err(_) => Err(InvalidResource::UnknownType),
    }
}

fn scalar_from_wire(name: &ResourceName, value: f64) -> Result<Scalar, InvalidResource> {
    let scalar = Scalar::try_from_f64(value).map_err(|bad| match bad {
        BadScalar::NotFinite => InvalidResource::NotFinite,
        BadScalar::OutOfRange => InvalidResource::OutOfRange,
    })?;
    if value != 0.0 && scalar <= Scalar::ZERO {
        return Err(InvalidResource::NotPositive);
    }
    if *name == ResourceName::Gpus && !scalar.is_whole() {
        return Err(InvalidResource::FractionalGpus);
    }
    Ok(scalar)
}

fn ranges_from_wire(wire: &v1::value::Ranges) -> Result<Ranges, InvalidResource> {
    let mut pairs: Vec<(u64, u64)> = wire.range.iter().map(|r| (r.begin, r.end)).collect();
    if pairs.iter().any(|(begin, end)| begin > end) {
        return Err(InvalidResource::InvertedRange);
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return Err(InvalidResource::OverlappingRanges);
    }
    Ok(Ranges::from_pairs(pairs))
}

fn set_from_wire(wire: &v1::value::Set) -> Result<ItemSet, InvalidResource> {
    let items: ItemSet = wire.item.iter().cloned().collect();
    if items.len() < wire.item.len() {
        return Err(InvalidResource::DuplicateItems);
    }
    Ok(items)
}

fn value_to_wire(value: &Value, wire: &mut v1::Resource) {
    let kind = match value {
        Value::Scalar(quantity) => {
            wire.scalar = Some(v1::value::Scalar {
                value: quantity.to_f64(),
            });
            v1::value::Type::Scalar
        }
        Value::Ranges(ranges) => {
            wire.ranges = Some(ranges.to_wire());
            v1::value::Type::Ranges
        }
        Value::Set(items) => {
            wire.set = Some(v1::value::Set {
                item: items.iter().cloned().collect(),
            });
            v1::value::Type::Set
        }
    };
    wire.r#type = kind as i32;
}

impl Ranges {
    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> v1::value::Ranges {
        let range = self
            .iter()
            .map(|(begin, end)| v1::value::Range { begin, end })
            .collect();
        v1::value::Ranges { range }
    }
}

impl Resources {
    /// Takes a list in; entries of the same kind are joined, empty ones dropped.
    ///
    /// # Errors
    /// The first resource that [`Resource::from_wire`] refuses, and why.
    pub fn from_wire(wire: &[v1::Resource]) -> Result<Self, InvalidResources> {
        wire.iter()
            .map(|resource| {
                Resource::from_wire(resource).map_err(|reason| InvalidResources {
                    resource: Shown(resource).to_string(),
                    reason,
                })
            })
            .collect()
    }

    /// Writes the list out.
    ///
    /// compat: as in Mesos, a shared volume is written once however often it is held; an unshared
    /// indivisible resource is written as often as it is there.
    #[must_use]
    pub fn to_wire(&self, format: ResourceFormat) -> Vec<v1::Resource> {
        let mut all = Vec::with_capacity(self.len());
        for resource in self {
            let copies = if resource.is_shared() {
                1
            } else {
                resource.count()
            };
            all.extend((0..copies).map(|_| resource.to_wire(format)));
        }
        all
    }
}

/// Rewrites resources in place, keeping their order and number, as messages that pass through need it.
///
/// # Errors
/// The first resource that [`Resource::from_wire`] refuses, and why; the list is then unchanged.
pub fn reformat(wire: &mut [v1::Resource], format: ResourceFormat) -> Result<(), InvalidResources> {
    let mut rewritten = Vec::with_capacity(wire.len());
    for resource in wire.iter() {
        let taken = Resource::from_wire(resource).map_err(|reason| InvalidResources {
            resource: Shown(resource).to_string(),
            reason,
        })?;
        rewritten.push(taken.to_wire(format));
    }
    for (place, resource) in wire.iter_mut().zip(rewritten) {
        *place = resource;
    }
    Ok(())
}
