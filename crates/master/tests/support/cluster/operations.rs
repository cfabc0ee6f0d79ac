//! Operations on what is left of an offer.

use meseta_model::resources::{Reservation, Resource, ResourceFormat, Resources};
use meseta_proto::mesos::v1;

/// One more operation of a kind, on what earlier ones left of an offer; not all can be carried out.
pub(super) fn next_operation(
    kind: usize,
    left: &Resources,
    role: &str,
    offer: &v1::Offer,
    number: u64,
) -> Option<v1::offer::Operation> {
    use v1::offer::operation::*;
    let wire = |resources: Resources| resources.to_wire(ResourceFormat::PostRefinement);
    let mut operation = v1::offer::Operation::default();
    let space = |resource: &&Resource| {
        let name = resource.name().as_str();
        name == "disk" && !resource.is_unreserved() && !resource.is_persistent_volume()
    };
    let volume = left.iter().find(|resource| resource.is_persistent_volume());
    let kind = match kind {
        0 => {
            let reservation = Reservation::dynamic(role.into());
            let some = Resources::of(&[("cpus", 1.0), ("mem", 64.0), ("disk", 100.0)]);
            operation.reserve = Some(Reserve {
                resources: wire(some.push_reservation(&reservation)),
                ..Default::default()
            });
            Type::Reserve
        }
        1 => {
            let reserved = left.reserved().filter(|one| !one.is_persistent_volume());
            let one = reserved.iter().next()?.clone();
            let resources = wire(one.into());
            operation.unreserve = Some(Unreserve { resources });
            Type::Unreserve
        }
        2 => {
            let space = left.iter().find(space)?.clone();
            let mut volume = space.to_wire(ResourceFormat::PostRefinement);
            let disk = volume.disk.get_or_insert_default();
            disk.persistence = Some(v1::resource::disk_info::Persistence {
                id: format!("v{number}"),
                principal: None,
            });
            disk.volume = Some(v1::Volume {
                mode: v1::volume::Mode::Rw as i32,
                container_path: "data".to_owned(),
                ..Default::default()
            });
            volume.shared = number.is_multiple_of(2).then(Default::default);
            operation.create = Some(Create {
                volumes: vec![volume],
            });
            Type::Create
        }
        3 => {
            let volumes = wire(volume?.clone().into());
            operation.destroy = Some(Destroy { volumes });
            Type::Destroy
        }
        4 => {
            let volume = wire(volume?.clone().into()).remove(0);
            let subtract = v1::value::Scalar { value: 10.0 };
            operation.shrink_volume = Some(ShrinkVolume { volume, subtract });
            Type::ShrinkVolume
        }
        5 => {
            let volume = wire(volume?.clone().into()).remove(0);
            let addition = left.iter().find(space)?.clone();
            let addition = wire(addition.into()).remove(0);
            operation.grow_volume = Some(GrowVolume { volume, addition });
            Type::GrowVolume
        }
        _ => {
            let shared = volume.is_some_and(Resource::is_shared);
            let mut used = left.reserved().filter(|one| one.name().as_str() == "cpus");
            if shared {
                used = Resources::of(&[("cpus", 0.5)]);
            }
            used += Resources::from_iter(volume.cloned());
            let task = |half: &str| v1::TaskInfo {
                name: "t".to_owned(),
                task_id: v1::TaskId {
                    value: format!("t{number}{half}"),
                },
                agent_id: offer.agent_id.clone(),
                resources: wire(used.clone()),
                command: Some(Default::default()),
                ..Default::default()
            };
            let task_infos = if shared {
                vec![task("a"), task("b")]
            } else {
                vec![task("")]
            };
            operation.launch = Some(Launch { task_infos });
            Type::Launch
        }
    };
    operation.r#type = Some(kind as i32);
    Some(operation)
}
