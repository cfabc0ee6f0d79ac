//! Lists of resources in tasks, executors and operations: what each and all of them must keep.

use std::collections::{BTreeMap, BTreeSet};

use meseta_proto::mesos::v1;

use super::id::{InvalidId, id};
use crate::resources::{InvalidResource, InvalidResources, Resource, Resources, Value};
use crate::roles::Role;

/// Why a list of resources is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResourceList {
    /// One of them cannot be taken in.
    #[error("Invalid resources: {0}")]
    Invalid(InvalidResources),
    /// A fraction of a gpu.
    #[error("Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer")]
    FractionalGpus,
    /// A disk that makes no sense.
    #[error("Invalid DiskInfo: {0}")]
    Disk(#[from] InvalidDisk),
    /// A dynamic reservation of something revocable.
    #[error(
        "Invalid ReservationInfo: Dynamically reserved resource {0} cannot be created from \
         revocable resources"
    )]
    RevocableReserved(Box<Resource>),
}

/// Why the disk part of a resource is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDisk {
    /// A volume on something revocable.
    #[error("Persistent volumes cannot be created from revocable resources")]
    Revocable,
    /// A volume that nobody has reserved.
    #[error("Persistent volumes cannot be created from unreserved resources")]
    Unreserved,
    /// Persistence without a place in the container.
    #[error("Expecting 'volume' to be set for persistent volume")]
    VolumeMissing,
    /// A place on the host, which is the agent's to choose.
    #[error("Expecting 'host_path' to be unset for persistent volume")]
    HostPath,
    /// A bad id.
    #[error("Invalid persistence ID for persistent volume: {0}")]
    Id(InvalidId),
    /// A place in the container without persistence.
    #[error("Non-persistent volume not supported")]
    NotPersistent,
    /// Nothing in it.
    #[error("DiskInfo is set but empty")]
    Empty,
}

/// Rules over all resources of one user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMix {
    /// Two volumes of one id for one role.
    #[error("Persistence ID '{0}' is not unique")]
    DuplicateVolume(String),
    /// Firm and revocable resources of one name.
    #[error("Cannot use both revocable and non-revocable '{0}' at the same time")]
    RevocableAndNot(String),
    /// A resource allocated to nobody.
    #[error("The resources are not allocated to a role")]
    NotAllocated,
    /// Resources allocated to several roles.
    #[error(
        "The resources have multiple allocation roles ('{0}' and '{1}') but only one allocation \
         role is allowed"
    )]
    SeveralRoles(Role, Role),
    /// Resources of a provider beside the agent's own.
    #[error("Some resources have a resource provider and some do not")]
    ProviderAndNot,
    /// Resources of several providers.
    #[error("The resources have multiple resource providers: {0}")]
    SeveralProviders(String),
}

/// Takes in a list that a framework or operator states.
///
/// # Errors
/// The first resource that is invalid or makes no sense.
pub fn resources(wire: &[v1::Resource]) -> Result<Resources, InvalidResourceList> {
    let all = Resources::from_wire(wire).map_err(|bad| match bad.reason {
        InvalidResource::FractionalGpus => InvalidResourceList::FractionalGpus,
        _ => InvalidResourceList::Invalid(bad),
    })?;
    all.iter().try_for_each(disk)?;
    let revocable = |r: &&Resource| r.is_dynamically_reserved() && r.is_revocable();
    match all.iter().find(revocable) {
        Some(bad) => Err(InvalidResourceList::RevocableReserved(Box::new(
            bad.clone(),
        ))),
        None => Ok(all),
    }
}

fn disk(resource: &Resource) -> Result<(), InvalidDisk> {
    let Some(disk) = resource.disk() else {
        return Ok(());
    };
    let Some(persistence) = &disk.persistence else {
        return match (&disk.volume, &disk.source) {
            (Some(_), _) => Err(InvalidDisk::NotPersistent),
            (None, None) => Err(InvalidDisk::Empty),
            (None, Some(_)) => Ok(()),
        };
    };
    if resource.is_revocable() {
        return Err(InvalidDisk::Revocable);
    }
    if resource.is_unreserved() {
        return Err(InvalidDisk::Unreserved);
    }
    let volume = disk.volume.as_ref().ok_or(InvalidDisk::VolumeMissing)?;
    if volume.host_path.is_some() {
        return Err(InvalidDisk::HostPath);
    }
    id(&persistence.id).map_err(InvalidDisk::Id)
}

/// Persistence ids are unique per role. A shared volume that is used several times is one volume.
pub(super) fn unique_volumes(all: &Resources) -> Result<(), InvalidMix> {
    let mut seen = BTreeSet::new();
    for volume in all {
        let Some(id) = volume.persistence_id() else {
            continue;
        };
        let repeated = volume.count() > 1 && !volume.is_shared();
        if repeated || !seen.insert((volume.reservation_role(), id)) {
            return Err(InvalidMix::DuplicateVolume(id.to_owned()));
        }
    }
    Ok(())
}

/// Nobody uses firm and revocable resources of one name together.
pub(super) fn not_both_revocable_and_firm(all: &Resources) -> Result<(), InvalidMix> {
    let mut revocable = BTreeMap::new();
    for entry in all {
        if *revocable
            .entry(entry.name())
            .or_insert(entry.is_revocable())
            != entry.is_revocable()
        {
            return Err(InvalidMix::RevocableAndNot(entry.name().to_string()));
        }
    }
    Ok(())
}

/// All are allocated, and to one role.
pub(super) fn allocated_to_one_role(all: &Resources) -> Result<(), InvalidMix> {
    let mut first: Option<&Role> = None;
    for entry in all {
        let role = entry.allocation_role().ok_or(InvalidMix::NotAllocated)?;
        match first {
            Some(first) if first != role => {
                return Err(InvalidMix::SeveralRoles(role.clone(), first.clone()));
            }
            _ => first = Some(role),
        }
    }
    Ok(())
}

/// All come from the agent, or all from one resource provider.
pub(super) fn from_one_provider(all: &Resources) -> Result<(), InvalidMix> {
    let providers: BTreeSet<Option<&str>> = all.iter().map(Resource::provider_id).collect();
    if providers.len() <= 1 {
        return Ok(());
    }
    if providers.contains(&None) {
        return Err(InvalidMix::ProviderAndNot);
    }
    let names: Vec<&str> = providers.into_iter().flatten().collect();
    Err(InvalidMix::SeveralProviders(names.join(", ")))
}

/// Whether two of these lists claim the same port or item.
pub(super) fn overlap(lists: &[&Resources]) -> bool {
    let mut all = Resources::new();
    for list in lists {
        for entry in *list {
            let claimed = all
                .iter()
                .any(|other| match (entry.value(), other.value()) {
                    (Value::Ranges(a), Value::Ranges(b)) => {
                        other.is_same_kind(entry) && a.intersects(b)
                    }
                    (Value::Set(a), Value::Set(b)) => {
                        other.is_same_kind(entry) && !a.is_disjoint(b)
                    }
                    _ => false,
                });
            if claimed {
                return true;
            }
        }
        all += *list;
    }
    false
}
