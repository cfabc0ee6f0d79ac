#![allow(deprecated)]

use meseta_proto::mesos::v1;
use proptest::prelude::*;
use v1::resource::{DiskInfo, ReservationInfo, SharedInfo, disk_info, reservation_info};

use super::samples::{any_resources, dynamic, parse, volume};
use crate::resources::{Kind, Reservation, Resource, ResourceFormat, Resources, Shown, reformat};
use crate::resources::{ResourceName, Scalar, Value};

const FORMATS: [ResourceFormat; 3] = [
    ResourceFormat::PreRefinement,
    ResourceFormat::PostRefinement,
    ResourceFormat::Endpoint,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_format_comes_back_the_same(all in any_resources()) {
        // Shared volumes go out once however often they are held.
        let all: Resources = all.iter().filter(|r| !r.is_shared() || r.count() == 1).cloned().collect();
        for format in FORMATS {
            prop_assert_eq!(Resources::from_wire(&all.to_wire(format)), Ok(all.clone()), "{:?}", format);
        }
    }

    #[test]
    fn what_is_sent_is_what_the_format_says(all in any_resources()) {
        for wire in all.to_wire(ResourceFormat::PostRefinement) {
            prop_assert!(wire.role.is_none() && wire.reservation.is_none());
        }
        for wire in all.to_wire(ResourceFormat::PreRefinement) {
            prop_assert!(wire.role.is_some() == wire.reservations.is_empty());
        }
        let refined = all.filter(Resource::has_refined_reservations).to_wire(ResourceFormat::Endpoint);
        prop_assert!(refined.iter().all(|wire| wire.role.is_none() && wire.reservations.len() > 1));
    }

    #[test]
    fn hostile_numbers_never_panic(value in any::<f64>(), pairs in prop::collection::vec(any::<(u64, u64)>(), 0..5)) {
        let scalar = wire("cpus", v1::value::Type::Scalar, |r| r.scalar = Some(v1::value::Scalar { value }));
        if let Ok(taken) = Resource::from_wire(&scalar) {
            prop_assert!(taken.quantity().is_some_and(|q| q >= Scalar::ZERO));
        }
        let range = pairs.into_iter().map(|(begin, end)| v1::value::Range { begin, end }).collect();
        let ranges = wire("ports", v1::value::Type::Ranges, |r| r.ranges = Some(v1::value::Ranges { range }));
        let _ = Resources::from_wire(&[ranges]).map(|all| all.ranges(&ResourceName::Ports).count());
    }
}

fn wire(name: &str, kind: v1::value::Type, fill: impl FnOnce(&mut v1::Resource)) -> v1::Resource {
    let mut wire = v1::Resource {
        name: name.to_owned(),
        r#type: kind as i32,
        ..Default::default()
    };
    fill(&mut wire);
    wire
}

fn cpus(fill: impl FnOnce(&mut v1::Resource)) -> v1::Resource {
    wire("cpus", v1::value::Type::Scalar, |wire| {
        wire.scalar = Some(v1::value::Scalar { value: 1.0 });
        fill(wire);
    })
}

fn disk(fill: impl FnOnce(&mut DiskInfo)) -> v1::Resource {
    let mut info = DiskInfo::default();
    fill(&mut info);
    cpus(|wire| {
        wire.name = "disk".to_owned();
        wire.disk = Some(Box::new(info));
    })
}

fn source(kind: disk_info::source::Type, path: bool, mount: bool) -> v1::Resource {
    disk(|disk| {
        disk.source = Some(disk_info::Source {
            r#type: kind as i32,
            path: path.then(Default::default),
            mount: mount.then(Default::default),
            ..Default::default()
        });
    })
}

fn reserved(kind: reservation_info::Type, role: &str) -> ReservationInfo {
    ReservationInfo {
        r#type: Some(kind as i32),
        role: Some(role.to_owned()),
        ..Default::default()
    }
}

fn stack(reservations: &[ReservationInfo], fill: impl FnOnce(&mut v1::Resource)) -> v1::Resource {
    cpus(|wire| {
        wire.reservations = reservations.to_vec();
        fill(wire);
    })
}

fn refusal(wire: &v1::Resource) -> String {
    Resource::from_wire(wire).map_or_else(|bad| bad.to_string(), |taken| format!("taken: {taken}"))
}

#[test]
fn bad_values_are_refused() {
    use v1::value::Type::{Ranges, Scalar, Set, Text};
    let scalar = |name: &str, value: f64| {
        wire(name, Scalar, |wire| {
            wire.scalar = Some(v1::value::Scalar { value })
        })
    };
    let ranges = |pairs: &[(u64, u64)]| {
        let range = pairs
            .iter()
            .map(|&(begin, end)| v1::value::Range { begin, end })
            .collect();
        wire("ports", Ranges, |wire| {
            wire.ranges = Some(v1::value::Ranges { range })
        })
    };
    let set = |items: &[&str]| {
        let item = items.iter().map(|item| (*item).to_owned()).collect();
        wire("zones", Set, |wire| {
            wire.set = Some(v1::value::Set { item })
        })
    };
    let cases = [
        (scalar("", 1.0), "Empty resource name"),
        (
            wire("cpus", Scalar, |wire| wire.r#type = 77),
            "Invalid resource type",
        ),
        (wire("cpus", Text, |_| ()), "Unsupported resource type"),
        (wire("cpus", Scalar, |_| ()), "Invalid scalar resource"),
        (
            cpus(|wire| wire.set = Some(Default::default())),
            "Invalid scalar resource",
        ),
        (scalar("cpus", -1.0), "Invalid scalar resource: value <= 0"),
        (
            scalar("cpus", 0.0004),
            "Invalid scalar resource: value <= 0",
        ),
        (
            scalar("cpus", f64::NAN),
            "Invalid scalar resource: value is not a finite number",
        ),
        (
            scalar("cpus", f64::INFINITY),
            "Invalid scalar resource: value is not a finite number",
        ),
        (
            scalar("cpus", 1e18),
            "Invalid scalar resource: value is out of range",
        ),
        (
            scalar("gpus", 0.5),
            "The 'gpus' resource must be an unsigned integer",
        ),
        (wire("ports", Ranges, |_| ()), "Invalid ranges resource"),
        (ranges(&[(2, 1)]), "Invalid ranges resource: begin > end"),
        (
            ranges(&[(1, 5), (5, 9)]),
            "Invalid ranges resource: overlapping ranges",
        ),
        (
            ranges(&[(5, 9), (1, 5)]),
            "Invalid ranges resource: overlapping ranges",
        ),
        (wire("zones", Set, |_| ()), "Invalid set resource"),
        (
            set(&["a", "b", "a"]),
            "Invalid set resource: duplicated elements",
        ),
        (scalar("cpus", 0.0), "taken: cpus:0"),
        (ranges(&[(5, 9), (1, 4)]), "taken: ports:[1-9]"),
        (set(&["b", "a"]), "taken: zones:{a, b}"),
    ];
    for (wire, wanted) in cases {
        assert_eq!(refusal(&wire), wanted, "{wire:?}");
    }
}

#[test]
fn bad_reservations_are_refused() {
    use reservation_info::Type::{Dynamic, Static, Unknown};
    let old = |role: Option<&str>, reservation: ReservationInfo| {
        cpus(|wire| {
            wire.role = role.map(str::to_owned);
            wire.reservation = Some(reservation);
        })
    };
    let plain = ReservationInfo::default();
    let cases = [
        (
            cpus(|wire| wire.role = Some("a b".to_owned())),
            "Role component 'a b' is invalid because it contains backspace or whitespace",
        ),
        (
            old(Some("a"), reserved(Static, "a")),
            "'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field",
        ),
        (
            old(
                Some("a"),
                ReservationInfo {
                    role: Some("a".into()),
                    ..plain.clone()
                },
            ),
            "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field",
        ),
        (
            old(None, plain.clone()),
            "Invalid reservation: role \"*\" cannot be dynamically reserved",
        ),
        (
            stack(std::slice::from_ref(&plain), |_| ()),
            "Invalid reservation: 'Resource.ReservationInfo.type' field must be set.",
        ),
        (
            stack(
                &[ReservationInfo {
                    r#type: Some(1),
                    ..plain.clone()
                }],
                |_| (),
            ),
            "Invalid reservation: 'Resource.ReservationInfo.role' field must be set.",
        ),
        (
            stack(&[reserved(Unknown, "a")], |_| ()),
            "Unsupported 'Resource.ReservationInfo.Type'",
        ),
        (
            stack(&[reserved(Dynamic, "*")], |_| ()),
            "Invalid reservation: role \"*\" cannot be reserved",
        ),
        (
            stack(&[reserved(Dynamic, "a"), reserved(Static, "a/b")], |_| ()),
            "Invalid refined reservation: A refined reservation cannot be STATIC",
        ),
        (
            stack(&[reserved(Dynamic, "a"), reserved(Dynamic, "b")], |_| ()),
            "Invalid refined reservation: role 'b' is not a refinement of 'a'",
        ),
        (
            stack(&vec![reserved(Dynamic, "a"); 33], |_| ()),
            "Invalid refined reservation: more than 32 reservations",
        ),
    ];
    for (wire, wanted) in cases {
        assert_eq!(refusal(&wire), wanted, "{wire:?}");
    }
}

#[test]
fn formats_that_contradict_each_other_are_refused() {
    use reservation_info::Type::{Dynamic, Static};
    let plain = ReservationInfo::default();
    let labels = |key: &str| {
        let label = v1::Label {
            key: key.to_owned(),
            value: None,
        };
        ReservationInfo {
            labels: Some(v1::Labels {
                labels: vec![label],
            }),
            ..plain.clone()
        }
    };
    let principal = |name: &str| ReservationInfo {
        principal: Some(name.to_owned()),
        ..plain.clone()
    };
    let cases = [
        (
            stack(&[reserved(Dynamic, "a")], |r| r.role = Some("b".into())),
            "Invalid resource format: 'Resource.role' field with 'b' does not match the role 'a' in 'Resource.reservations'",
        ),
        (
            stack(&[reserved(Static, "a")], |r| {
                r.reservation = Some(plain.clone())
            }),
            "Invalid resource format: 'Resource.reservation' must not be set if the single reservation in 'Resource.reservations' is STATIC",
        ),
        (
            stack(&[reserved(Dynamic, "a")], |r| r.role = Some("a".into())),
            "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC",
        ),
        (
            stack(&[reserved(Dynamic, "a")], |r| {
                r.role = Some("a".into());
                r.reservation = Some(principal("p"));
            }),
            "Invalid resource format: 'Resource.reservation.principal' field with 'p' does not match the principal '' in 'Resource.reservations'",
        ),
        (
            stack(&[reserved(Dynamic, "a"), reserved(Dynamic, "a/b")], |r| {
                r.role = Some("a".into())
            }),
            "Invalid resource format: 'Resource.role' must not be set if there is more than one reservation in 'Resource.reservations'",
        ),
        (
            stack(&[reserved(Dynamic, "a"), reserved(Dynamic, "a/b")], |r| {
                r.reservation = Some(plain.clone())
            }),
            "Invalid resource format: 'Resource.reservation' must not be set if there is more than one reservation in 'Resource.reservations'",
        ),
        (
            stack(&[reserved(Dynamic, "a")], |r| {
                r.role = Some("a".into());
                r.reservation = Some(labels("x"));
            }),
            "Invalid resource format: 'Resource.reservation.labels' field does not match the labels in 'Resource.reservations'",
        ),
    ];
    for (wire, wanted) in cases {
        assert_eq!(refusal(&wire), wanted, "{wire:?}");
    }
}

#[test]
fn bad_disks_are_refused() {
    use disk_info::source::Type::{Block, Raw, Unknown};
    let shared = |mut wire: v1::Resource| {
        wire.shared = Some(SharedInfo {});
        wire
    };
    let cases = [
        (
            cpus(|wire| wire.disk = Some(Box::default())),
            "DiskInfo should not be set for cpus resource",
        ),
        (
            source(Block, false, true),
            "Mount should not be set for BLOCK disk source",
        ),
        (
            source(Raw, true, false),
            "Path should not be set for RAW disk source",
        ),
        (
            source(Unknown, false, false),
            "Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'",
        ),
        (shared(cpus(|_| ())), "Resource cpus cannot be shared"),
        (
            shared(disk(|_| ())),
            "Only persistent volumes can be shared",
        ),
    ];
    for (wire, wanted) in cases {
        assert_eq!(refusal(&wire), wanted, "{wire:?}");
    }
}

#[test]
fn the_default_role_is_said_aloud_in_the_old_format_only() {
    let all = parse("cpus:1");
    let role = |format| {
        all.to_wire(format)
            .first()
            .and_then(|wire| wire.role.clone())
    };
    assert_eq!(role(ResourceFormat::PreRefinement).as_deref(), Some("*"));
    assert_eq!(role(ResourceFormat::PostRefinement), None);
    assert_eq!(role(ResourceFormat::Endpoint).as_deref(), Some("*"));
}

#[test]
fn the_endpoint_format_says_both() {
    let kind = Kind {
        reservations: vec![dynamic("ops", "p")],
        ..Kind::default()
    };
    let one = Resource::new(
        ResourceName::Cpus,
        Value::Scalar(Scalar::from_whole(1)),
        kind,
    );
    let wire = one.to_wire(ResourceFormat::Endpoint);
    let principal = Some("p".to_owned());
    let old = ReservationInfo {
        principal: principal.clone(),
        ..Default::default()
    };
    let new = ReservationInfo {
        principal,
        ..reserved(reservation_info::Type::Dynamic, "ops")
    };
    assert_eq!(
        (wire.role, wire.reservation, wire.reservations),
        (Some("ops".to_owned()), Some(old), vec![new])
    );
}

#[test]
fn a_list_names_the_culprit() {
    let refined = Kind {
        reservations: vec![Reservation::fixed("a".into()), dynamic("a/b", "p")],
        ..Kind::default()
    };
    let mut bad = Resource::new(
        ResourceName::Cpus,
        Value::Scalar(Scalar::from_whole(1)),
        refined,
    )
    .with_allocation(Some("a/b".into()))
    .to_wire(ResourceFormat::PostRefinement);
    bad.scalar = Some(v1::value::Scalar { value: -2.5 });
    let all = [cpus(|_| ()), bad];
    assert_eq!(
        Resources::from_wire(&all).map_err(|bad| bad.to_string()),
        Err(
            "Resource 'cpus(allocated: a/b)(reservations: [(STATIC,a),(DYNAMIC,a/b,p)]):-2.5' is \
             invalid: Invalid scalar resource: value <= 0"
                .to_owned()
        )
    );
}

#[test]
fn printing_follows_mesos() {
    let shown = |resource: &Resource| resource.to_string();
    assert_eq!(
        shown(&volume("v1", 50, "ops", false)),
        "disk(reservations: [(DYNAMIC,ops,p)])[v1:path-v1]:50"
    );
    assert_eq!(
        shown(&volume("v1", 50, "ops", true)),
        "disk(reservations: [(DYNAMIC,ops,p)])[v1:path-v1]<SHARED>:50<1>"
    );
    assert_eq!(
        parse("cpus:4;mem:0.5;ports:[1-2,4-4];z:{b,a}").to_string(),
        "cpus:4; mem:0.5; ports:[1-2, 4-4]; z:{a, b}"
    );
    assert_eq!(Resources::new().to_string(), "{}");
    let mount = disk(|disk| {
        disk.source = Some(disk_info::Source {
            r#type: disk_info::source::Type::Mount as i32,
            mount: Some(disk_info::source::Mount {
                root: Some("/mnt".into()),
            }),
            ..Default::default()
        });
    });
    assert_eq!(Shown(&mount).to_string(), "disk[MOUNT:/mnt]:1");
}

#[test]
fn passing_messages_keep_order_and_number() {
    let mut list = vec![
        cpus(|_| ()),
        disk(|_| ()),
        cpus(|wire| wire.role = Some("a".into())),
    ];
    assert_eq!(reformat(&mut list, ResourceFormat::PostRefinement), Ok(()));
    let shown: Vec<String> = list.iter().map(|wire| Shown(wire).to_string()).collect();
    assert_eq!(
        shown,
        ["cpus:1", "disk[]:1", "cpus(reservations: [(STATIC,a)]):1"]
    );
    let before = list.clone();
    list.push(cpus(|wire| wire.scalar = None));
    assert!(reformat(&mut list, ResourceFormat::PreRefinement).is_err());
    assert_eq!(list[..3], before[..], "unchanged when refused");
}

/// The resources of a recorded agent after a few operations: in the endpoint format, taken in and
/// written out again, they keep fields and order.
#[test]
fn a_recorded_agent_comes_back_word_for_word() {
    let recorded = include_str!("agent_resources.json");
    let message = format!("{{\"resources\":{recorded}}}");
    let decoded: v1::offer::operation::Unreserve =
        meseta_proto::from_json(message.as_bytes()).unwrap_or_default();
    assert_eq!(decoded.resources.len(), 7);
    let taken = Resources::from_wire(&decoded.resources).unwrap_or_default();
    assert_eq!(taken.to_wire(ResourceFormat::Endpoint), decoded.resources);
}
