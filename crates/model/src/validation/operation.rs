//! Operations on resources: RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME, SHRINK_VOLUME,
//! CREATE_DISK, DESTROY_DISK. Whether the resources are there is asked when they are converted.

use std::collections::BTreeSet;

use meseta_proto::mesos::v1;
use v1::offer::Operation;
use v1::offer::operation::{
    Create, CreateDisk, Destroy, DestroyDisk, GrowVolume, Reserve, ShrinkVolume, Type, Unreserve,
};

use super::invalid_operation::{InvalidOperation, InvalidReservations, NotAVolume};
use super::resources::{allocated_to_one_role, from_one_provider, resources, unique_volumes};
use crate::capabilities::{AgentCapabilities, FrameworkCapabilities};
use crate::ids::FrameworkId;
use crate::resources::{DiskSource, DiskSourceType, Resource, Resources, Scalar};
use crate::roles::Role;

/// What decides, besides the operation itself, whether it is valid.
#[derive(Debug, Clone, Copy)]
pub struct OperationContext<'a> {
    /// Who was authenticated, if anybody.
    pub principal: Option<&'a str>,
    /// What the agent can handle.
    pub agent_capabilities: AgentCapabilities,
    /// Who accepted an offer; absent for an operator.
    pub framework: Option<OperationFramework<'a>>,
    /// The agent's dynamic reservations and volumes, unallocated.
    pub checkpointed: &'a Resources,
    /// What tasks and executors on the agent use, in any allocation.
    pub used: &'a Resources,
}

/// The framework behind an operation.
#[derive(Debug, Clone, Copy)]
pub struct OperationFramework<'a> {
    /// Its id.
    pub id: &'a FrameworkId,
    /// Its roles.
    pub roles: &'a BTreeSet<Role>,
    /// What it can handle.
    pub capabilities: FrameworkCapabilities,
}

/// Checks an operation that changes resources.
///
/// # Errors
/// The first thing wrong with it.
pub fn operation(wire: &Operation, context: &OperationContext<'_>) -> Result<(), InvalidOperation> {
    let missing = |article, kind, field| InvalidOperation::Missing {
        article,
        kind,
        field,
    };
    match wire.r#type() {
        Type::Reserve => {
            let reserve = wire.reserve.as_ref();
            check_reserve(
                reserve.ok_or_else(|| missing("A", "RESERVE", "reserve"))?,
                context,
            )
        }
        Type::Unreserve => {
            let unreserve = wire.unreserve.as_ref();
            check_unreserve(unreserve.ok_or_else(|| missing("An", "UNRESERVE", "unreserve"))?)
        }
        Type::Create => {
            let create = wire.create.as_ref();
            check_create(
                create.ok_or_else(|| missing("A", "CREATE", "create"))?,
                context,
            )
        }
        Type::Destroy => {
            let destroy = wire.destroy.as_ref();
            check_destroy(
                destroy.ok_or_else(|| missing("A", "DESTROY", "destroy"))?,
                context,
            )
        }
        Type::GrowVolume => {
            let grow = wire.grow_volume.as_ref();
            let grow = grow.ok_or_else(|| missing("A", "GROW_VOLUME", "grow_volume"))?;
            check_grow(grow, context.agent_capabilities)
        }
        Type::ShrinkVolume => {
            let shrink = wire.shrink_volume.as_ref();
            let shrink = shrink.ok_or_else(|| missing("A", "SHRINK_VOLUME", "shrink_volume"))?;
            check_shrink(shrink, context.agent_capabilities)
        }
        Type::CreateDisk => {
            let create = wire.create_disk.as_ref();
            check_create_disk(create.ok_or_else(|| missing("A", "CREATE_DISK", "create_disk"))?)
        }
        Type::DestroyDisk => {
            let destroy = wire.destroy_disk.as_ref();
            check_destroy_disk(destroy.ok_or_else(|| missing("A", "DESTROY_DISK", "destroy_disk"))?)
        }
        Type::Launch => Err(InvalidOperation::NotHere("LAUNCH")),
        Type::LaunchGroup => Err(InvalidOperation::NotHere("LAUNCH_GROUP")),
        Type::Unknown => Err(InvalidOperation::Unknown),
    }
}

fn check_reserve(wire: &Reserve, context: &OperationContext<'_>) -> Result<(), InvalidOperation> {
    let target = resources(&wire.resources).map_err(InvalidOperation::Resources)?;
    let source = resources(&wire.source).map_err(InvalidOperation::Source)?;
    if !wire.source.is_empty() {
        check_same_reservations("source", &source)?;
        check_same_reservations("resources", &target)?;
        let (source_, bare) = (source.to_unreserved(), target.to_unreserved());
        if source_ != bare {
            return Err(InvalidOperation::QuantitiesDiffer {
                source_: Box::new(source_),
                target: Box::new(bare),
            });
        }
    }
    from_one_provider(&target).map_err(InvalidOperation::Mix)?;
    for resource in &target {
        check_dynamic(resource)?;
        check_agent_handles(resource, "Resource", "reserved", context.agent_capabilities)?;
        check_reserver(resource, context.principal)?;
        check_reserved_role(resource, context.framework.as_ref())?;
    }
    if context.framework.is_some() {
        allocated_to_one_role(&target).map_err(InvalidOperation::ReserveMix)?;
    }
    Ok(())
}

fn check_same_reservations(field: &'static str, all: &Resources) -> Result<(), InvalidOperation> {
    let refuse = |reason| InvalidOperation::Reservations { field, reason };
    let mut stacks = all.iter().map(Resource::reservations);
    let first = stacks
        .next()
        .ok_or_else(|| refuse(InvalidReservations::Empty))?;
    if stacks.any(|stack| stack != first) {
        return Err(refuse(InvalidReservations::Mixed(Box::new(all.clone()))));
    }
    Ok(())
}

fn check_dynamic(resource: &Resource) -> Result<(), InvalidOperation> {
    if resource.is_dynamically_reserved() {
        return Ok(());
    }
    Err(InvalidOperation::NotDynamic(Box::new(resource.clone())))
}

fn check_agent_handles(
    resource: &Resource,
    what: &'static str,
    done: &'static str,
    agent: AgentCapabilities,
) -> Result<(), InvalidOperation> {
    use v1::agent_info::capability::Type;
    let path = resource
        .reservation_role()
        .filter(|role| role.as_str().contains('/'));
    if let Some(role) = path.filter(|_| !agent.has(Type::HierarchicalRole)) {
        return Err(InvalidOperation::HierarchicalRole {
            what,
            resource: Box::new(resource.clone()),
            role: role.clone(),
            done,
        });
    }
    if resource.has_refined_reservations() && !agent.has(Type::ReservationRefinement) {
        let resource = Box::new(resource.clone());
        return Err(InvalidOperation::Refinement {
            what,
            resource,
            done,
        });
    }
    Ok(())
}

fn check_reserver(resource: &Resource, principal: Option<&str>) -> Result<(), InvalidOperation> {
    let Some(authenticated) = principal else {
        return Ok(());
    };
    match resource
        .reservation()
        .and_then(|reservation| reservation.principal.as_deref())
    {
        None => Err(InvalidOperation::ReservePrincipalMissing(
            authenticated.to_owned(),
        )),
        Some(stated) if stated != authenticated => Err(InvalidOperation::ReservePrincipal {
            authenticated: authenticated.to_owned(),
            stated: stated.to_owned(),
        }),
        Some(_) => Ok(()),
    }
}

fn check_reserved_role(
    resource: &Resource,
    framework: Option<&OperationFramework<'_>>,
) -> Result<(), InvalidOperation> {
    let Some(framework) = framework else {
        return match resource.allocation_role() {
            Some(_) => Err(InvalidOperation::ReserveAllocated),
            None => Ok(()),
        };
    };
    let allocated = resource
        .allocation_role()
        .ok_or_else(|| InvalidOperation::ReserveUnallocated(Box::new(resource.clone())))?;
    if let Some(role) = resource
        .reservation_role()
        .filter(|role| *role != allocated)
    {
        let (role, allocated) = (role.clone(), allocated.clone());
        return Err(InvalidOperation::ReserveRole { role, allocated });
    }
    if !framework.roles.contains(allocated) {
        let roles: Vec<&str> = framework.roles.iter().map(Role::as_str).collect();
        return Err(InvalidOperation::ReserveForeignRole {
            role: allocated.clone(),
            roles: format!("{{ {} }}", roles.join(", ")),
        });
    }
    Ok(())
}

fn check_unreserve(wire: &Unreserve) -> Result<(), InvalidOperation> {
    let all = resources(&wire.resources).map_err(InvalidOperation::Resources)?;
    from_one_provider(&all).map_err(InvalidOperation::Mix)?;
    for resource in &all {
        check_dynamic(resource)?;
        if resource.is_persistent_volume() {
            return Err(InvalidOperation::UnreserveVolume(Box::new(
                resource.clone(),
            )));
        }
    }
    Ok(())
}

/// Whether all are volumes that a task could write to.
fn check_volumes(all: &Resources) -> Result<(), NotAVolume> {
    all.iter().try_for_each(|resource| {
        let disk = resource
            .disk()
            .ok_or_else(|| NotAVolume::NoDisk(Box::new(resource.clone())))?;
        if disk.persistence.is_none() {
            return Err(NotAVolume::NoPersistence);
        }
        let volume = disk.volume.as_ref().ok_or(NotAVolume::NoVolume)?;
        if volume.mode() == v1::volume::Mode::Ro {
            return Err(NotAVolume::ReadOnly);
        }
        Ok(())
    })
}

fn check_create(wire: &Create, context: &OperationContext<'_>) -> Result<(), InvalidOperation> {
    let all = resources(&wire.volumes).map_err(InvalidOperation::Resources)?;
    from_one_provider(&all).map_err(InvalidOperation::Mix)?;
    check_volumes(&all).map_err(InvalidOperation::NotAVolume)?;
    // What the agent has is unallocated, what is to be made is allocated: compare ids, not resources.
    let existing = context.checkpointed.clone() + &all.unallocated();
    unique_volumes(&existing).map_err(InvalidOperation::DuplicateVolume)?;
    for volume in &all {
        check_may_share(volume, context.framework.as_ref())?;
        check_agent_handles(volume, "Volume", "created", context.agent_capabilities)?;
        check_creator(volume, context.principal)?;
    }
    if context.framework.is_some() {
        allocated_to_one_role(&all).map_err(InvalidOperation::CreateMix)?;
    }
    Ok(())
}

fn check_may_share(
    volume: &Resource,
    framework: Option<&OperationFramework<'_>>,
) -> Result<(), InvalidOperation> {
    let shared = v1::framework_info::capability::Type::SharedResources;
    match framework {
        Some(framework) if volume.is_shared() && !framework.capabilities.has(shared) => {
            Err(InvalidOperation::SharedNotSupported {
                volume: Box::new(volume.clone()),
                framework: framework.id.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn check_creator(volume: &Resource, principal: Option<&str>) -> Result<(), InvalidOperation> {
    let Some(authenticated) = principal else {
        return Ok(());
    };
    let persistence = volume.disk().and_then(|disk| disk.persistence.as_ref());
    match persistence.and_then(|persistence| persistence.principal.as_deref()) {
        None => Err(InvalidOperation::CreatePrincipalMissing(
            authenticated.to_owned(),
        )),
        Some(stated) if stated != authenticated => Err(InvalidOperation::CreatePrincipal {
            authenticated: authenticated.to_owned(),
            stated: stated.to_owned(),
        }),
        Some(_) => Ok(()),
    }
}

fn check_destroy(wire: &Destroy, context: &OperationContext<'_>) -> Result<(), InvalidOperation> {
    let all = resources(&wire.volumes)
        .map_err(InvalidOperation::Resources)?
        .unallocated();
    from_one_provider(&all).map_err(InvalidOperation::Mix)?;
    check_volumes(&all).map_err(InvalidOperation::NotAVolume)?;
    let used = context.used.unallocated();
    for volume in &all {
        let volume = Resources::from(volume.clone());
        let at_agent = volume.filter(|volume| volume.provider_id().is_none());
        if !context.checkpointed.contains(&at_agent) {
            return Err(InvalidOperation::VolumeNotFound);
        }
        if used.contains(&volume) {
            return Err(InvalidOperation::VolumeInUse);
        }
    }
    Ok(())
}

fn check_grow(wire: &GrowVolume, agent: AgentCapabilities) -> Result<(), InvalidOperation> {
    let field = "GrowVolume.volume";
    let volume = resizable(&wire.volume, field)?;
    let addition = resizable(&wire.addition, "GrowVolume.addition")?;
    if addition
        .quantity()
        .is_none_or(|quantity| quantity <= Scalar::ZERO)
    {
        return Err(InvalidOperation::GrowByNothing);
    }
    check_resize(&volume, field, "Growing")?;
    let one = volume.without_volume().with_value(addition.value().clone());
    if one != addition || addition.is_indivisible() {
        return Err(InvalidOperation::GrowIncompatible);
    }
    check_may_resize(volume, "grown", agent)
}

fn check_shrink(wire: &ShrinkVolume, agent: AgentCapabilities) -> Result<(), InvalidOperation> {
    let field = "ShrinkVolume.volume";
    let volume = resizable(&wire.volume, field)?;
    let by = Scalar::try_from_f64(wire.subtract.value).unwrap_or_default();
    if by <= Scalar::ZERO {
        return Err(InvalidOperation::ShrinkByNothing);
    }
    if volume.quantity().is_none_or(|quantity| quantity <= by) {
        return Err(InvalidOperation::ShrinkToNothing);
    }
    let mount = volume.disk().and_then(|disk| disk.source.as_ref());
    if mount.is_some_and(|source| source.kind == DiskSourceType::Mount) {
        return Err(InvalidOperation::ShrinkMount);
    }
    check_resize(&volume, field, "Shrinking")?;
    check_may_resize(volume, "shrunk", agent)
}

fn resizable(wire: &v1::Resource, field: &'static str) -> Result<Resource, InvalidOperation> {
    Resource::from_wire(wire).map_err(|reason| InvalidOperation::ResizeResource { field, reason })
}

fn check_resize(
    volume: &Resource,
    field: &'static str,
    doing: &'static str,
) -> Result<(), InvalidOperation> {
    if volume.provider_id().is_some() {
        return Err(InvalidOperation::ResizeProvider(doing));
    }
    check_volumes(&Resources::from(volume.clone()))
        .map_err(|reason| InvalidOperation::ResizeVolume { field, reason })?;
    if volume.is_shared() {
        return Err(InvalidOperation::ResizeShared(doing));
    }
    Ok(())
}

fn check_may_resize(
    volume: Resource,
    done: &'static str,
    agent: AgentCapabilities,
) -> Result<(), InvalidOperation> {
    if agent.has(v1::agent_info::capability::Type::ResizeVolume) {
        return Ok(());
    }
    Err(InvalidOperation::ResizeNotSupported {
        volume: Box::new(volume),
        done,
    })
}

fn source_of(resource: &Resource) -> Option<&DiskSource> {
    resource.disk().and_then(|disk| disk.source.as_ref())
}

fn provided_disk(wire: &v1::Resource) -> Result<Resource, InvalidOperation> {
    let list = std::slice::from_ref(wire);
    resources(list).map_err(InvalidOperation::DiskResource)?;
    let resource = Resource::from_wire(wire).map_err(|_| InvalidOperation::NotADisk)?;
    if resource.provider_id().is_none() {
        return Err(InvalidOperation::NoProvider);
    }
    Ok(resource)
}

fn check_create_disk(wire: &CreateDisk) -> Result<(), InvalidOperation> {
    use v1::resource::disk_info::source::Type;
    let resource = provided_disk(&wire.source)?;
    let raw = source_of(&resource).filter(|source| source.kind == DiskSourceType::Raw);
    let raw = raw.ok_or(InvalidOperation::NotRaw)?;
    if !matches!(wire.target_type(), Type::Mount | Type::Block) {
        return Err(InvalidOperation::TargetType);
    }
    match (&raw.profile, &wire.target_profile) {
        (Some(_), Some(_)) => Err(InvalidOperation::TargetProfile),
        (None, None) => Err(InvalidOperation::TargetProfileMissing),
        _ => Ok(()),
    }
}

fn check_destroy_disk(wire: &DestroyDisk) -> Result<(), InvalidOperation> {
    let resource = provided_disk(&wire.source)?;
    let source = source_of(&resource).filter(|source| source.kind != DiskSourceType::Path);
    let source = source.ok_or(InvalidOperation::NotADisk)?;
    if source.id.is_none() {
        return Err(InvalidOperation::NoDiskId);
    }
    if resource.is_persistent_volume() {
        return Err(InvalidOperation::DiskWithVolume(Box::new(resource)));
    }
    Ok(())
}
