//! Reservations and disks to and from the wire.

use std::sync::Arc;

use meseta_proto::mesos::v1;
use v1::resource::disk_info::{self, source};
use v1::resource::{DiskInfo, ReservationInfo, reservation_info};

use super::invalid::InvalidResource;
use super::kind::{
    Disk, DiskSource, DiskSourceType, Labels, Persistence, Reservation, ReservationType,
};
use crate::roles::{self, Role};

/// The most levels a reservation stack may have. Mesos names no number; a role deep enough to need
/// more is no use to anybody, and every level is paid for at each comparison.
pub const RESERVATION_DEPTH_LIMIT: usize = 32;

pub(super) fn labels_from_wire(wire: &v1::Labels) -> Labels {
    wire.labels
        .iter()
        .map(|label| (label.key.clone(), label.value.clone()))
        .collect()
}

pub(super) fn labels_to_wire(labels: &Labels) -> v1::Labels {
    let label = |(key, value): &(String, Option<String>)| v1::Label {
        key: key.clone(),
        value: value.clone(),
    };
    v1::Labels {
        labels: labels.iter().map(label).collect(),
    }
}

/// The stack that a resource states, in whichever format.
pub(super) fn reservations_from_wire(
    wire: &v1::Resource,
) -> Result<Vec<Reservation>, InvalidResource> {
    if wire.reservations.is_empty() {
        return Ok(old_reservation_from_wire(wire)?.into_iter().collect());
    }
    if wire.reservations.len() > RESERVATION_DEPTH_LIMIT {
        return Err(InvalidResource::TooManyReservations);
    }
    let stack: Vec<Reservation> = wire
        .reservations
        .iter()
        .map(reservation_from_wire)
        .collect::<Result<_, _>>()?;
    for pair in stack.windows(2) {
        if pair[1].kind == ReservationType::Static {
            return Err(InvalidResource::RefinedStatic);
        }
        if !pair[1].role.is_strictly_below(&pair[0].role) {
            return Err(InvalidResource::NotARefinement {
                descendant: pair[1].role.to_string(),
                ancestor: pair[0].role.to_string(),
            });
        }
    }
    check_formats_agree(wire, &stack)?;
    Ok(stack)
}

/// The pre-refinement format: `role`, and `reservation` when dynamic.
#[allow(deprecated)]
fn old_reservation_from_wire(wire: &v1::Resource) -> Result<Option<Reservation>, InvalidResource> {
    roles::validate(wire.role())?;
    let role = Role::new(wire.role());
    let Some(reservation) = &wire.reservation else {
        return Ok((!role.is_default()).then(|| Reservation::fixed(role)));
    };
    if reservation.r#type.is_some() {
        return Err(InvalidResource::TypeInOldReservation);
    }
    if reservation.role.is_some() {
        return Err(InvalidResource::RoleInOldReservation);
    }
    if role.is_default() {
        return Err(InvalidResource::DefaultRoleDynamicallyReserved);
    }
    Ok(Some(Reservation {
        kind: ReservationType::Dynamic,
        role,
        principal: reservation.principal.clone(),
        labels: reservation.labels.as_ref().map(labels_from_wire),
    }))
}

fn reservation_from_wire(wire: &ReservationInfo) -> Result<Reservation, InvalidResource> {
    let kind = match wire.r#type.map(reservation_info::Type::try_from) {
        None => return Err(InvalidResource::ReservationWithoutType),
        Some(Ok(reservation_info::Type::Static)) => ReservationType::Static,
        Some(Ok(reservation_info::Type::Dynamic)) => ReservationType::Dynamic,
        Some(_) => return Err(InvalidResource::UnknownReservationType),
    };
    let role = wire
        .role
        .as_deref()
        .ok_or(InvalidResource::ReservationWithoutRole)?;
    roles::validate(role)?;
    if role == roles::DEFAULT_ROLE {
        return Err(InvalidResource::DefaultRoleReserved);
    }
    Ok(Reservation {
        kind,
        role: Role::new(role),
        principal: wire.principal.clone(),
        labels: wire.labels.as_ref().map(labels_from_wire),
    })
}

/// The "endpoint" format carries both; they must then say the same.
#[allow(deprecated)]
fn check_formats_agree(wire: &v1::Resource, stack: &[Reservation]) -> Result<(), InvalidResource> {
    let [only] = stack else {
        if wire.role.is_some() {
            return Err(InvalidResource::RoleOnRefined);
        }
        if wire.reservation.is_some() {
            return Err(InvalidResource::OldReservationOnRefined);
        }
        return Ok(());
    };
    if let Some(role) = wire
        .role
        .as_deref()
        .filter(|role| *role != only.role.as_str())
    {
        return Err(InvalidResource::RoleMismatch {
            role: role.to_owned(),
            reservation_role: only.role.to_string(),
        });
    }
    if only.kind == ReservationType::Static {
        return match wire.reservation {
            Some(_) => Err(InvalidResource::OldReservationOnStatic),
            None => Ok(()),
        };
    }
    if wire.role.is_some() != wire.reservation.is_some() {
        return Err(InvalidResource::HalfOldReservation);
    }
    let Some(old) = &wire.reservation else {
        return Ok(());
    };
    let new_principal = only.principal.clone().unwrap_or_default();
    if old.principal() != new_principal {
        return Err(InvalidResource::PrincipalMismatch {
            old: old.principal().to_owned(),
            new: new_principal,
        });
    }
    let old_labels = old
        .labels
        .as_ref()
        .map(labels_from_wire)
        .unwrap_or_default();
    if old_labels != only.labels.clone().unwrap_or_default() {
        return Err(InvalidResource::LabelsMismatch);
    }
    Ok(())
}

/// The new format's entry.
pub(super) fn reservation_to_wire(reservation: &Reservation) -> ReservationInfo {
    let kind = match reservation.kind {
        ReservationType::Static => reservation_info::Type::Static,
        ReservationType::Dynamic => reservation_info::Type::Dynamic,
    };
    ReservationInfo {
        r#type: Some(kind as i32),
        role: Some(reservation.role.to_string()),
        ..old_reservation_to_wire(reservation)
    }
}

/// The old format's sub-message: neither type nor role.
pub(super) fn old_reservation_to_wire(reservation: &Reservation) -> ReservationInfo {
    ReservationInfo {
        r#type: None,
        role: None,
        principal: reservation.principal.clone(),
        labels: reservation.labels.as_ref().map(labels_to_wire),
    }
}

pub(super) fn disk_from_wire(wire: &DiskInfo) -> Result<Disk, InvalidResource> {
    let persistence = wire.persistence.as_ref().map(|persistence| Persistence {
        id: persistence.id.clone(),
        principal: persistence.principal.clone(),
    });
    Ok(Disk {
        persistence,
        volume: wire.volume.clone().map(Arc::new),
        source: wire.source.as_ref().map(source_from_wire).transpose()?,
    })
}

fn source_from_wire(wire: &disk_info::Source) -> Result<DiskSource, InvalidResource> {
    let raw_or_block = |name| {
        if wire.mount.is_some() {
            return Err(InvalidResource::MountInSource(name));
        }
        if wire.path.is_some() {
            return Err(InvalidResource::PathInSource(name));
        }
        Ok(())
    };
    let kind = match source::Type::try_from(wire.r#type) {
        Ok(source::Type::Path) => DiskSourceType::Path,
        Ok(source::Type::Mount) => DiskSourceType::Mount,
        Ok(source::Type::Block) => raw_or_block("BLOCK").map(|()| DiskSourceType::Block)?,
        Ok(source::Type::Raw) => raw_or_block("RAW").map(|()| DiskSourceType::Raw)?,
        Ok(source::Type::Unknown) | Err(_) => return Err(InvalidResource::UnknownDiskSource),
    };
    let root = match kind {
        DiskSourceType::Path => wire.path.as_ref().map(|path| path.root.clone()),
        DiskSourceType::Mount => wire.mount.as_ref().map(|mount| mount.root.clone()),
        DiskSourceType::Block | DiskSourceType::Raw => None,
    };
    Ok(DiskSource {
        kind,
        root,
        vendor: wire.vendor.clone(),
        id: wire.id.clone(),
        metadata: wire.metadata.as_ref().map(labels_from_wire),
        profile: wire.profile.clone(),
    })
}

pub(super) fn disk_to_wire(disk: &Disk) -> DiskInfo {
    let persistence = disk
        .persistence
        .as_ref()
        .map(|persistence| disk_info::Persistence {
            id: persistence.id.clone(),
            principal: persistence.principal.clone(),
        });
    DiskInfo {
        persistence,
        volume: disk.volume.as_deref().cloned(),
        source: disk.source.as_ref().map(source_to_wire),
    }
}

fn source_to_wire(disk: &DiskSource) -> disk_info::Source {
    let kind = match disk.kind {
        DiskSourceType::Path => source::Type::Path,
        DiskSourceType::Mount => source::Type::Mount,
        DiskSourceType::Block => source::Type::Block,
        DiskSourceType::Raw => source::Type::Raw,
    };
    let root = |of| disk.root.clone().filter(|_| disk.kind == of);
    disk_info::Source {
        r#type: kind as i32,
        path: root(DiskSourceType::Path).map(|root| source::Path { root }),
        mount: root(DiskSourceType::Mount).map(|root| source::Mount { root }),
        vendor: disk.vendor.clone(),
        id: disk.id.clone(),
        metadata: disk.metadata.as_ref().map(labels_to_wire),
        profile: disk.profile.clone(),
    }
}
