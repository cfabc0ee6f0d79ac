use meseta_proto::mesos::v1;
use proptest::prelude::*;
use v1::offer::Operation;
use v1::offer::operation::{Create, Destroy, GrowVolume, Reserve, ShrinkVolume, Type, Unreserve};

use super::samples::{any_resources, dynamic, parse, sourced, volume};
use crate::resources::{
    DiskSourceType, Kind, Resource, ResourceFormat, ResourceName, Resources, Scalar, Value,
    conversions,
};

const POST: ResourceFormat = ResourceFormat::PostRefinement;

fn operation(kind: Type, fill: impl FnOnce(&mut Operation)) -> Operation {
    let mut operation = Operation {
        r#type: Some(kind as i32),
        ..Default::default()
    };
    fill(&mut operation);
    operation
}

fn reserve(resources: &Resources, source: &Resources) -> Operation {
    operation(Type::Reserve, |o| {
        o.reserve = Some(Reserve {
            resources: resources.to_wire(POST),
            source: source.to_wire(POST),
        });
    })
}

fn unreserve(resources: &Resources) -> Operation {
    operation(Type::Unreserve, |o| {
        o.unreserve = Some(Unreserve {
            resources: resources.to_wire(POST),
        });
    })
}

fn create(volumes: &Resources) -> Operation {
    operation(Type::Create, |o| {
        o.create = Some(Create {
            volumes: volumes.to_wire(POST),
        })
    })
}

fn destroy(volumes: &Resources) -> Operation {
    operation(Type::Destroy, |o| {
        o.destroy = Some(Destroy {
            volumes: volumes.to_wire(POST),
        })
    })
}

fn grow(volume: &Resource, addition: &Resource) -> Operation {
    let (volume, addition) = (volume.to_wire(POST), addition.to_wire(POST));
    operation(Type::GrowVolume, |o| {
        o.grow_volume = Some(GrowVolume { volume, addition })
    })
}

fn shrink(volume: &Resource, subtract: f64) -> Operation {
    let (volume, subtract) = (volume.to_wire(POST), v1::value::Scalar { value: subtract });
    operation(Type::ShrinkVolume, |o| {
        o.shrink_volume = Some(ShrinkVolume { volume, subtract })
    })
}

/// Carries the operation out and says what is left, or why not.
fn apply(total: &Resources, operation: &Operation) -> Result<Resources, String> {
    let steps = conversions(operation).map_err(|bad| bad.to_string())?;
    total.apply(&steps).map_err(|bad| bad.to_string())
}

fn reserved(text: &str, role: &str) -> Resources {
    parse(text).push_reservation(&dynamic(role, "p"))
}

#[test]
fn reserve_and_back() {
    let total = parse("cpus:4;mem:10");
    let some = reserved("cpus:1;mem:5", "a");
    let after = apply(&total, &reserve(&some, &Resources::new()));
    assert_eq!(after, Ok(parse("cpus:3;mem:5") + &some));
    assert_eq!(
        apply(&after.unwrap_or_default(), &unreserve(&some)),
        Ok(total)
    );
}

#[test]
fn reservations_are_refined_and_reassigned() {
    let total = reserved("cpus:2", "a");
    let inner = reserved("cpus:1", "a").push_reservation(&dynamic("a/b", "q"));
    let refined = apply(&total, &reserve(&inner, &Resources::new()));
    assert_eq!(refined, Ok(reserved("cpus:1", "a") + &inner));
    let moved = apply(&total, &reserve(&reserved("cpus:2", "b"), &total));
    assert_eq!(moved, Ok(reserved("cpus:2", "b")));
}

#[test]
fn volumes_come_and_go() {
    let total = reserved("disk:100", "a") + &parse("cpus:1");
    let v = Resources::from(volume("v", 40, "a", false));
    let with = apply(&total, &create(&v));
    assert_eq!(with, Ok(reserved("disk:60", "a") + &parse("cpus:1") + &v));
    assert_eq!(apply(&with.unwrap_or_default(), &destroy(&v)), Ok(total));
}

#[test]
fn volumes_grow_and_shrink() {
    let v = volume("v", 40, "a", false);
    let total = reserved("disk:10", "a") + &v.clone().into();
    let five = reserved("disk:5", "a")
        .into_iter()
        .next()
        .unwrap_or_else(|| v.clone());
    assert_eq!(
        apply(&total, &grow(&v, &five)),
        Ok(reserved("disk:5", "a") + &volume("v", 45, "a", false).into())
    );
    assert_eq!(
        apply(&total, &shrink(&v, 15.0)),
        Ok(reserved("disk:25", "a") + &volume("v", 25, "a", false).into())
    );
    let size =
        "Volume disk(reservations: [(DYNAMIC,a,p)])[v:path-v]:40 cannot be resized by that amount";
    for bad in [40.0, 0.0, -1.0, f64::NAN] {
        assert_eq!(
            apply(&total, &shrink(&v, bad)),
            Err(size.to_owned()),
            "{bad}"
        );
    }
    let unreserved = Resource::scalar(ResourceName::Disk, Scalar::from_whole(1));
    assert_eq!(apply(&total, &grow(&v, &unreserved)), Err(size.to_owned()));
    assert!(
        apply(&total, &grow(&unreserved, &five)).is_err(),
        "not a volume"
    );
}

#[test]
fn a_volume_on_its_own_disk_keeps_the_disk() {
    let disk = sourced(DiskSourceType::Mount, "/mnt");
    let kind = Kind {
        reservations: vec![dynamic("a", "p")],
        disk: Some(disk),
        ..Kind::default()
    };
    let space = Resource::new(
        ResourceName::Disk,
        Value::Scalar(Scalar::from_whole(9)),
        kind,
    );
    let v = space.clone().with_kind(|kind| {
        if let Some(disk) = &mut kind.disk {
            disk.persistence = Some(crate::resources::Persistence {
                id: "v".into(),
                principal: None,
            });
        }
    });
    let total = Resources::from(space);
    let v = Resources::from(v);
    assert_eq!(apply(&total, &create(&v)), Ok(v.clone()));
    assert_eq!(apply(&v, &destroy(&v)), Ok(total));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let total = parse("cpus:1") + &reserved("disk:10", "a");
    let v = Resources::from(volume("v", 40, "a", false));
    assert_eq!(
        apply(
            &parse("cpus:1"),
            &reserve(&reserved("cpus:2", "a"), &Resources::new())
        ),
        Err("cpus:1 does not contain cpus:2".to_owned())
    );
    assert!(apply(&total, &create(&v)).is_err());
    assert_eq!(
        apply(&total, &unreserve(&parse("cpus:1"))),
        Err("Resource cpus:1 is not reserved".to_owned())
    );
    assert_eq!(
        apply(&total, &create(&parse("cpus:1"))),
        Err("Resource cpus:1 is not a persistent volume".to_owned())
    );
    for kind in [
        Type::Launch,
        Type::LaunchGroup,
        Type::CreateDisk,
        Type::DestroyDisk,
        Type::Reserve,
    ] {
        assert_eq!(
            apply(&total, &operation(kind, |_| ())),
            Err("Operation not supported".to_owned())
        );
    }
    assert_eq!(
        apply(&total, &Operation::default()),
        Err("Unknown operation".to_owned())
    );
    assert_eq!(
        apply(
            &total,
            &Operation {
                r#type: Some(99),
                ..Default::default()
            }
        ),
        Err("Unknown operation".to_owned())
    );
}

#[test]
fn a_shared_volume_goes_only_when_nobody_else_holds_it() {
    let v = Resources::from(volume("v", 4, "a", true));
    let twice = v.clone() + &v;
    assert_eq!(
        apply(&twice, &destroy(&v)),
        Err("Persistent volume disk(reservations: [(DYNAMIC,a,p)])[v:path-v]<SHARED>:4<1> cannot be \
             removed due to additional shared copies"
            .to_owned())
    );
    assert_eq!(apply(&v, &destroy(&v)), Ok(reserved("disk:4", "a")));
}

#[test]
fn a_restarted_agent_gets_its_reservations_back() {
    let configured = parse("cpus:4;disk:100;disk(s):50");
    let static_volume = volume("w", 50, "s", false).with_kind(|kind| {
        kind.reservations = vec![crate::resources::Reservation::fixed("s".into())];
    });
    let checkpointed = reserved("cpus:1", "a")
        + &volume("v", 30, "a", true).into()
        + &static_volume.clone().into();
    assert!(checkpointed.iter().all(Resource::needs_checkpointing));
    assert!(!configured.iter().any(Resource::needs_checkpointing));
    assert_eq!(
        configured.with_checkpointed(&checkpointed),
        Ok(parse("cpus:3;disk:70") + &checkpointed)
    );
    assert!(parse("cpus:4").with_checkpointed(&checkpointed).is_err());
}

proptest! {
    #[test]
    fn operations_conserve_quantities(all in any_resources(), part in 1i64..4) {
        let all = all.unallocated().non_shared();
        let pushable = all.filter(|r| r.is_unreserved() && !r.is_revocable());
        let some = pushable.at_most(&ResourceName::Cpus, Scalar::from_whole(part));
        let reservation = dynamic("x", "p");
        let target = some.push_reservation(&reservation);
        let after = apply(&all, &reserve(&target, &Resources::new()));
        prop_assert_eq!(after.as_ref().map(Resources::quantities), Ok(all.quantities()));
        let ports = |r: &Resources| r.ranges(&ResourceName::Ports);
        prop_assert_eq!(after.as_ref().map(ports), Ok(ports(&all)));
        prop_assert_eq!(apply(&after.unwrap_or_default(), &unreserve(&target)), Ok(all));
    }

    #[test]
    fn volumes_conserve_quantities(all in any_resources()) {
        let volumes = all.unallocated().persistent_volumes().filter(|v| v.count() == 1);
        let space = apply(&volumes, &destroy(&volumes));
        prop_assert_eq!(space.as_ref().map(Resources::quantities), Ok(volumes.quantities()));
        let space = space.unwrap_or_default();
        prop_assert!(space.persistent_volumes().is_empty());
        prop_assert_eq!(apply(&space, &create(&volumes)), Ok(volumes));
    }
}
