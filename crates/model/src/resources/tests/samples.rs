//! Resources to test with.

use std::sync::Arc;

use meseta_proto::mesos::v1;
use proptest::prelude::*;

use crate::resources::{
    Disk, DiskSource, DiskSourceType, Kind, Persistence, Ranges, Reservation, Resource,
    ResourceName, Resources, Scalar, Value,
};
use crate::roles::Role;

/// The flag's text, unreserved by default.
pub fn parse(text: &str) -> Resources {
    match Resources::parse(text, &Role::default()) {
        Ok(resources) => resources,
        Err(bad) => panic!("{text}: {bad}"),
    }
}

pub fn dynamic(role: &str, principal: &str) -> Reservation {
    Reservation {
        principal: Some(principal.to_owned()),
        ..Reservation::dynamic(role.into())
    }
}

pub fn volume(id: &str, size: i64, role: &str, shared: bool) -> Resource {
    let volume = v1::Volume {
        container_path: format!("path-{id}"),
        mode: v1::volume::Mode::Rw as i32,
        ..Default::default()
    };
    let disk = Disk {
        persistence: Some(Persistence {
            id: id.to_owned(),
            principal: Some("p".to_owned()),
        }),
        volume: Some(Arc::new(volume)),
        source: None,
    };
    let kind = Kind {
        reservations: vec![dynamic(role, "p")],
        disk: Some(disk),
        shared,
        ..Kind::default()
    };
    Resource::new(
        ResourceName::Disk,
        Value::Scalar(Scalar::from_whole(size)),
        kind,
    )
}

pub fn sourced(kind: DiskSourceType, root: &str) -> Disk {
    let source = DiskSource {
        kind,
        root: Some(Some(root.to_owned())),
        vendor: None,
        id: None,
        metadata: None,
        profile: None,
    };
    Disk {
        source: Some(source),
        ..Disk::default()
    }
}

fn any_reservations() -> impl Strategy<Value = Vec<Reservation>> {
    let labelled = Reservation {
        labels: Some(vec![
            ("k".to_owned(), Some("v".to_owned())),
            ("bare".to_owned(), None),
        ]),
        ..dynamic("a", "p")
    };
    prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec![Reservation::fixed("a".into())]),
        2 => Just(vec![dynamic("a", "p")]),
        1 => Just(vec![labelled]),
        1 => Just(vec![Reservation::fixed("a".into()), dynamic("a/b", "q")]),
    ]
}

fn any_scalar() -> impl Strategy<Value = (ResourceName, Value)> {
    let names = prop_oneof![
        Just(ResourceName::Cpus),
        Just(ResourceName::Mem),
        Just(ResourceName::Disk),
        Just(ResourceName::new("bandwidth")),
    ];
    let gpus = (1i64..8).prop_map(|n| (ResourceName::Gpus, Value::Scalar(Scalar::from_whole(n))));
    let others = (names, 1i64..50_000)
        .prop_map(|(name, n)| (name, Value::Scalar(Scalar::from_thousandths(n))));
    prop_oneof![4 => others, 1 => gpus]
}

fn any_ranges() -> impl Strategy<Value = (ResourceName, Value)> {
    prop::collection::vec((0u64..60, 0u64..9), 1..4).prop_map(|pairs| {
        let ranges = Ranges::from_pairs(pairs.into_iter().map(|(begin, n)| (begin, begin + n)));
        (ResourceName::Ports, Value::Ranges(ranges))
    })
}

fn any_set() -> impl Strategy<Value = (ResourceName, Value)> {
    prop::collection::btree_set("[a-d]", 1..4)
        .prop_map(|items| (ResourceName::new("zones"), Value::Set(items)))
}

fn any_plain() -> impl Strategy<Value = Resource> {
    (
        prop_oneof![4 => any_scalar(), 1 => any_ranges(), 1 => any_set()],
        any_reservations(),
        any::<bool>(),
    )
        .prop_map(|((name, value), reservations, revocable)| {
            let revocable = revocable && reservations.is_empty();
            Resource::new(
                name,
                value,
                Kind {
                    reservations,
                    revocable,
                    ..Kind::default()
                },
            )
        })
}

fn any_disk() -> impl Strategy<Value = Resource> {
    let kinds = prop_oneof![Just(DiskSourceType::Path), Just(DiskSourceType::Mount)];
    let sourced = (
        kinds,
        "/mnt/[ab]",
        any_reservations(),
        1i64..4,
        any::<bool>(),
    )
        .prop_map(|(kind, root, reservations, size, provided)| {
            let provider_id = provided.then(|| "provider".to_owned());
            let disk = Some(sourced(kind, &root));
            let kind = Kind {
                reservations,
                disk,
                provider_id,
                ..Kind::default()
            };
            Resource::new(
                ResourceName::Disk,
                Value::Scalar(Scalar::from_whole(size)),
                kind,
            )
        });
    let volumes = ("[vw]", 1i64..3, any::<bool>())
        .prop_map(|(id, size, shared)| volume(&id, size, "a", shared));
    prop_oneof![sourced, volumes]
}

fn any_allocation() -> impl Strategy<Value = Option<Role>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(Role::from("a"))), 1 => Just(Some(Role::default()))]
}

pub fn any_resource() -> impl Strategy<Value = Resource> {
    (
        prop_oneof![4 => any_plain(), 1 => any_disk()],
        any_allocation(),
    )
        .prop_map(|(resource, role)| resource.with_allocation(role))
}

pub fn any_resources() -> impl Strategy<Value = Resources> {
    prop::collection::vec(any_resource(), 0..8).prop_map(|list| list.into_iter().collect())
}
