use std::collections::BTreeSet;

use meseta_proto::mesos::v1;
use v1::offer::Operation;
use v1::offer::operation::{
    Create, CreateDisk, Destroy, DestroyDisk, GrowVolume, Reserve, ShrinkVolume, Type, Unreserve,
};
use v1::resource::disk_info::{Persistence, Source, source};
use v1::resource::{DiskInfo, ReservationInfo, reservation_info};

use super::said;
use crate::allocation::{inject_allocation, strip_allocation};
use crate::capabilities::{AgentCapabilities, FrameworkCapabilities};
use crate::resources::Resources;
use crate::roles::Role;
use crate::validation::{OperationContext, OperationFramework, operation};

fn wire(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    }
}

fn reserved(name: &str, value: f64, roles: &[&str]) -> v1::Resource {
    let level = |role: &&str| ReservationInfo {
        r#type: Some(reservation_info::Type::Dynamic as i32),
        role: Some((*role).to_owned()),
        principal: Some("p".to_owned()),
        labels: None,
    };
    v1::Resource {
        reservations: roles.iter().map(level).collect(),
        ..wire(name, value)
    }
}

fn volume(value: f64) -> v1::Resource {
    let disk = DiskInfo {
        persistence: Some(Persistence {
            id: "v".into(),
            principal: Some("p".into()),
        }),
        volume: Some(v1::Volume {
            container_path: "d".into(),
            mode: v1::volume::Mode::Rw as i32,
            ..Default::default()
        }),
        source: None,
    };
    v1::Resource {
        disk: Some(disk.into()),
        ..reserved("disk", value, &["a"])
    }
}

fn shared(volume: v1::Resource) -> v1::Resource {
    v1::Resource {
        shared: Some(Default::default()),
        ..volume
    }
}

fn provided(resource: v1::Resource) -> v1::Resource {
    v1::Resource {
        provider_id: Some(v1::ResourceProviderId { value: "rp".into() }),
        ..resource
    }
}

fn sourced(kind: source::Type, id: Option<&str>, profile: Option<&str>) -> v1::Resource {
    let source = Source {
        r#type: kind as i32,
        id: id.map(str::to_owned),
        profile: profile.map(str::to_owned),
        ..Default::default()
    };
    v1::Resource {
        disk: Some(
            DiskInfo {
                source: Some(source),
                ..Default::default()
            }
            .into(),
        ),
        ..wire("disk", 10.0)
    }
}

fn op(kind: Type, fill: impl FnOnce(&mut Operation)) -> Operation {
    let mut operation = Operation {
        r#type: Some(kind as i32),
        ..Default::default()
    };
    fill(&mut operation);
    operation
}

fn reserve(resources: Vec<v1::Resource>, source: Vec<v1::Resource>) -> Operation {
    op(Type::Reserve, |o| {
        o.reserve = Some(Reserve { resources, source })
    })
}

fn unreserve(resources: Vec<v1::Resource>) -> Operation {
    op(Type::Unreserve, |o| {
        o.unreserve = Some(Unreserve { resources })
    })
}

fn create(volumes: Vec<v1::Resource>) -> Operation {
    op(Type::Create, |o| o.create = Some(Create { volumes }))
}

fn destroy(volumes: Vec<v1::Resource>) -> Operation {
    op(Type::Destroy, |o| o.destroy = Some(Destroy { volumes }))
}

/// What surrounds an operation; by default an anonymous operator and a capable, empty agent.
struct Surroundings {
    principal: Option<&'static str>,
    agent: AgentCapabilities,
    framework: Option<FrameworkCapabilities>,
    checkpointed: Vec<v1::Resource>,
    used: Vec<v1::Resource>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            principal: None,
            agent: AgentCapabilities::ALL,
            framework: None,
            checkpointed: vec![],
            used: vec![],
        }
    }
}

impl Surroundings {
    fn say(&self, wire: &Operation) -> String {
        let taken = |list: &[v1::Resource]| match Resources::from_wire(list) {
            Ok(all) => all,
            Err(bad) => panic!("{bad}"),
        };
        let roles: BTreeSet<Role> = ["a", "a/b"].map(Role::from).into();
        let framework_id = "f".into();
        let framework = self.framework.map(|capabilities| OperationFramework {
            id: &framework_id,
            roles: &roles,
            capabilities,
        });
        said(operation(
            wire,
            &OperationContext {
                principal: self.principal,
                agent_capabilities: self.agent,
                framework,
                checkpointed: &taken(&self.checkpointed),
                used: &taken(&self.used),
            },
        ))
    }
}

fn operator(wire: &Operation) -> String {
    Surroundings::default().say(wire)
}

fn framework(wire: &Operation, role: Option<&str>) -> String {
    let mut wire = wire.clone();
    if let Some(role) = role {
        inject_allocation(&mut wire, &role.into());
    }
    let surroundings = Surroundings {
        framework: Some(FrameworkCapabilities::NONE),
        ..Surroundings::default()
    };
    surroundings.say(&wire)
}

#[test]
fn every_operation_needs_its_part() {
    let says = |kind| operator(&op(kind, |_| ()));
    let needs = |what: &str, field: &str| {
        format!("{what} offer operation must have the Offer.Operation.{field} field set.")
    };
    assert_eq!(says(Type::Reserve), needs("A RESERVE", "reserve"));
    assert_eq!(says(Type::Unreserve), needs("An UNRESERVE", "unreserve"));
    assert_eq!(says(Type::Create), needs("A CREATE", "create"));
    assert_eq!(says(Type::Destroy), needs("A DESTROY", "destroy"));
    assert_eq!(
        says(Type::GrowVolume),
        needs("A GROW_VOLUME", "grow_volume")
    );
    assert_eq!(
        says(Type::ShrinkVolume),
        needs("A SHRINK_VOLUME", "shrink_volume")
    );
    assert_eq!(
        says(Type::CreateDisk),
        needs("A CREATE_DISK", "create_disk")
    );
    assert_eq!(
        says(Type::DestroyDisk),
        needs("A DESTROY_DISK", "destroy_disk")
    );
    assert_eq!(says(Type::Launch), "Unexpected LAUNCH operation");
    assert_eq!(says(Type::LaunchGroup), "Unexpected LAUNCH_GROUP operation");
    assert_eq!(operator(&Operation::default()), "Unknown offer operation");
}

#[test]
fn reserving() {
    let cpu = |roles: &[&str]| reserved("cpus", 1.0, roles);
    assert_eq!(operator(&reserve(vec![cpu(&["a"])], vec![])), "ok");
    assert_eq!(
        operator(&reserve(vec![wire("cpus", 1.0)], vec![])),
        "Resource cpus:1 is not dynamically reserved"
    );
    assert_eq!(
        operator(&reserve(vec![cpu(&["a"]), provided(cpu(&["a"]))], vec![])),
        "Invalid resources: Some resources have a resource provider and some do not"
    );
    let other = v1::Resource {
        provider_id: Some(v1::ResourceProviderId {
            value: "other".into(),
        }),
        ..cpu(&["a"])
    };
    assert_eq!(
        operator(&reserve(vec![other, provided(cpu(&["a"]))], vec![])),
        "Invalid resources: The resources have multiple resource providers: other, rp"
    );
    let revocable = v1::Resource {
        revocable: Some(Default::default()),
        ..cpu(&["a"])
    };
    assert_eq!(
        operator(&reserve(vec![revocable], vec![])),
        "Invalid resources: Invalid ReservationInfo: Dynamically reserved resource \
         cpus(reservations: [(DYNAMIC,a,p)]){REV}:1 cannot be created from revocable resources"
    );
    let bare = Surroundings {
        agent: AgentCapabilities::NONE,
        ..Surroundings::default()
    };
    assert_eq!(
        bare.say(&reserve(vec![cpu(&["a/b"])], vec![])),
        "Resource cpus(reservations: [(DYNAMIC,a/b,p)]):1 with reservation for hierarchical role \
         'a/b' cannot be reserved on an agent without HIERARCHICAL_ROLE capability"
    );
    let hierarchical = v1::agent_info::capability::Type::HierarchicalRole;
    let paths = AgentCapabilities::NONE.with(hierarchical);
    assert_eq!(
        Surroundings {
            agent: paths,
            ..bare
        }
        .say(&reserve(vec![cpu(&["a", "a/b"])], vec![])),
        "Resource cpus(reservations: [(DYNAMIC,a,p),(DYNAMIC,a/b,p)]):1 with reservation \
         refinement cannot be reserved on an agent without RESERVATION_REFINEMENT capability"
    );
}

#[test]
fn reserving_again() {
    let cpu = |value: f64, roles: &[&str]| reserved("cpus", value, roles);
    let mem = |roles: &[&str]| reserved("mem", 1.0, roles);
    assert_eq!(
        operator(&reserve(vec![cpu(1.0, &["b"])], vec![cpu(1.0, &["a"])])),
        "ok"
    );
    assert_eq!(
        operator(&reserve(vec![cpu(2.0, &["b"])], vec![cpu(1.0, &["a"])])),
        "Source and target resources should refer to identical resource quantities: cpus:1 vs. \
         cpus:2"
    );
    assert_eq!(
        operator(&reserve(vec![], vec![cpu(1.0, &["a"])])),
        "Invalid resources: Resource cannot be empty"
    );
    assert_eq!(
        operator(&reserve(vec![cpu(1.0, &["b"])], vec![cpu(0.0, &["a"])])),
        "Invalid source: Resource cannot be empty"
    );
    let mixed = operator(&reserve(
        vec![cpu(1.0, &["b"])],
        vec![cpu(1.0, &["a"]), mem(&["c"])],
    ));
    assert!(
        mixed.starts_with("Invalid source: Mixed reservations are not supported"),
        "{mixed}"
    );
}

#[test]
fn reserving_in_whose_name() {
    let named = reserve(vec![reserved("cpus", 1.0, &["a"])], vec![]);
    let mut unnamed = named.clone();
    unnamed
        .reserve
        .iter_mut()
        .flat_map(|part| &mut part.resources)
        .flat_map(|resource| &mut resource.reservations)
        .for_each(|level| level.principal = None);
    let by = |principal| Surroundings {
        principal: Some(principal),
        ..Surroundings::default()
    };
    assert_eq!(by("p").say(&named), "ok");
    assert_eq!(
        by("q").say(&named),
        "A reserve operation was attempted by authenticated principal 'q', which does not match a \
         reserved resource in the request with principal 'p'"
    );
    assert_eq!(
        by("p").say(&unnamed),
        "A reserve operation was attempted by principal 'p', but there is a reserved resource in \
         the request with no principal set"
    );
}

#[test]
fn reserving_for_which_role() {
    let one = |role: &str| reserve(vec![reserved("cpus", 1.0, &[role])], vec![]);
    let tried = "A reserve operation was attempted";
    assert_eq!(framework(&one("a"), Some("a")), "ok");
    assert_eq!(
        framework(&one("a"), None),
        format!(
            "{tried} on unallocated resource cpus(reservations: [(DYNAMIC,a,p)]):1, but frameworks \
             can only perform reservations on allocated resources"
        )
    );
    assert_eq!(
        framework(&one("a"), Some("a/b")),
        format!(
            "{tried} for a resource with role 'a', but the resource was allocated to role 'a/b'"
        )
    );
    assert_eq!(
        framework(&one("c"), Some("c")),
        format!(
            "{tried} for a resource allocated to role 'c', but the framework only has roles \
             '{{ a, a/b }}'"
        )
    );
    let mut allocated = one("a");
    inject_allocation(&mut allocated, &"a".into());
    assert_eq!(
        operator(&allocated),
        format!(
            "{tried} with an allocated resource, but the operator API only allows reservations to \
             be made to unallocated resources"
        )
    );
    strip_allocation(&mut allocated);
    assert_eq!(allocated, one("a"));
}

#[test]
fn unreserving() {
    assert_eq!(
        operator(&unreserve(vec![reserved("cpus", 1.0, &["a"])])),
        "ok"
    );
    assert_eq!(
        operator(&unreserve(vec![wire("cpus", 1.0)])),
        "Resource cpus:1 is not dynamically reserved"
    );
    assert_eq!(
        operator(&unreserve(vec![volume(5.0)])),
        "A dynamically reserved persistent volume disk(reservations: [(DYNAMIC,a,p)])[v:d]:5 \
         cannot be unreserved directly. Please destroy the persistent volume first then unreserve \
         the resource"
    );
}

#[test]
fn creating() {
    let disk = |change: &dyn Fn(&mut DiskInfo)| {
        let mut volume = volume(5.0);
        volume.disk.iter_mut().for_each(|disk| change(disk));
        operator(&create(vec![volume]))
    };
    assert_eq!(disk(&|_| ()), "ok");
    assert_eq!(
        disk(&|d| d
            .volume
            .iter_mut()
            .for_each(|v| v.mode = v1::volume::Mode::Ro as i32)),
        "Not a persistent volume: Read-only persistent volume not supported"
    );
    assert_eq!(
        operator(&create(vec![reserved("disk", 1.0, &["a"])])),
        "Not a persistent volume: Resource disk(reservations: [(DYNAMIC,a,p)]):1 does not have \
         DiskInfo"
    );
    let mount = v1::Resource {
        name: "disk".into(),
        ..sourced(source::Type::Mount, None, None)
    };
    assert_eq!(
        operator(&create(vec![mount])),
        "Not a persistent volume: 'persistence' is not set in DiskInfo"
    );
    let there = Surroundings {
        checkpointed: vec![volume(9.0)],
        ..Surroundings::default()
    };
    assert_eq!(
        there.say(&create(vec![volume(5.0)])),
        "Persistence ID 'v' is not unique"
    );
    let bare = Surroundings {
        agent: AgentCapabilities::NONE,
        ..Surroundings::default()
    };
    let below = v1::Resource {
        reservations: reserved("", 1.0, &["a/b"]).reservations,
        ..volume(1.0)
    };
    assert_eq!(
        bare.say(&create(vec![below])),
        "Volume disk(reservations: [(DYNAMIC,a/b,p)])[v:d]:1 with reservation for hierarchical \
         role 'a/b' cannot be created on an agent without HIERARCHICAL_ROLE capability"
    );
}

#[test]
fn creating_by_whom() {
    let by = |principal| Surroundings {
        principal: Some(principal),
        ..Surroundings::default()
    };
    assert_eq!(by("p").say(&create(vec![volume(5.0)])), "ok");
    assert_eq!(
        by("q").say(&create(vec![volume(5.0)])),
        "Create volume operation attempted by authenticated principal 'q', which does not match a \
         volume in the operation with principal 'p' set in 'disk.persistence'"
    );
    let mut unnamed = volume(5.0);
    let persistence = unnamed
        .disk
        .iter_mut()
        .flat_map(|disk| &mut disk.persistence);
    persistence.for_each(|persistence| persistence.principal = None);
    assert_eq!(
        by("q").say(&create(vec![unnamed])),
        "Create volume operation attempted by principal 'q', but there is a volume in the \
         operation with no principal set in 'disk.persistence'"
    );
    let mut wire = create(vec![shared(volume(5.0))]);
    assert_eq!(operator(&wire), "ok");
    assert_eq!(
        framework(&wire, Some("a")),
        "Create volume operation for 'disk(allocated: a)(reservations: [(DYNAMIC,a,p)])[v:d]\
         <SHARED>:5<1>' has been attempted by framework 'f' with no SHARED_RESOURCES capability"
    );
    inject_allocation(&mut wire, &"a".into());
    let shares = FrameworkCapabilities::ALL;
    let surroundings = Surroundings {
        framework: Some(shares),
        ..Surroundings::default()
    };
    assert_eq!(surroundings.say(&wire), "ok");
    assert_eq!(
        framework(&create(vec![volume(5.0)]), None),
        "Invalid volume resources: The resources are not allocated to a role"
    );
}

#[test]
fn destroying() {
    let there = |used: Vec<v1::Resource>| Surroundings {
        checkpointed: vec![volume(5.0)],
        used,
        ..Surroundings::default()
    };
    let mut gone = destroy(vec![volume(5.0)]);
    assert_eq!(there(vec![]).say(&gone), "ok");
    inject_allocation(&mut gone, &"a".into());
    assert_eq!(there(vec![]).say(&gone), "ok", "allocated or not");
    assert_eq!(
        there(vec![volume(5.0)]).say(&gone),
        "Persistent volumes in use"
    );
    assert_eq!(
        there(vec![]).say(&destroy(vec![volume(4.0)])),
        "Persistent volumes not found"
    );
    assert_eq!(operator(&gone), "Persistent volumes not found");
    assert_eq!(
        operator(&destroy(vec![provided(volume(4.0))])),
        "ok",
        "the provider knows"
    );
    assert_eq!(
        operator(&destroy(vec![reserved("disk", 1.0, &["a"])])),
        "Not a persistent volume: Resource disk(reservations: [(DYNAMIC,a,p)]):1 does not have \
         DiskInfo"
    );
}

#[test]
fn growing() {
    let grow = |volume: v1::Resource, addition: v1::Resource| {
        op(Type::GrowVolume, |o| {
            o.grow_volume = Some(GrowVolume { volume, addition })
        })
    };
    let space = |value| reserved("disk", value, &["a"]);
    assert_eq!(operator(&grow(volume(5.0), space(1.0))), "ok");
    assert_eq!(
        operator(&grow(wire("disk", -1.0), space(1.0))),
        "Invalid resource in the 'GrowVolume.volume' field: Invalid scalar resource: value <= 0"
    );
    assert_eq!(
        operator(&grow(volume(5.0), wire("", 1.0))),
        "Invalid resource in the 'GrowVolume.addition' field: Empty resource name"
    );
    assert_eq!(
        operator(&grow(volume(5.0), space(0.0))),
        "The size of 'GrowVolume.addition' field must be greater than zero"
    );
    assert_eq!(
        operator(&grow(provided(volume(5.0)), space(1.0))),
        "Growing a volume from a resource provider is not supported"
    );
    assert_eq!(
        operator(&grow(space(5.0), space(1.0))),
        "Invalid persistent volume in the 'GrowVolume.volume' field: Resource disk(reservations: \
         [(DYNAMIC,a,p)]):5 does not have DiskInfo"
    );
    assert_eq!(
        operator(&grow(shared(volume(5.0)), space(1.0))),
        "Growing a shared persistent volume is not supported"
    );
    assert_eq!(
        operator(&grow(volume(5.0), wire("disk", 1.0))),
        "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields"
    );
    let old = Surroundings {
        agent: AgentCapabilities::NONE,
        ..Surroundings::default()
    };
    assert_eq!(
        old.say(&grow(volume(5.0), space(1.0))),
        "Volume disk(reservations: [(DYNAMIC,a,p)])[v:d]:5 cannot be grown on an agent without \
         RESIZE_VOLUME capability"
    );
}

#[test]
fn shrinking() {
    let shrink = |volume: v1::Resource, value: f64| {
        let subtract = v1::value::Scalar { value };
        op(Type::ShrinkVolume, |o| {
            o.shrink_volume = Some(ShrinkVolume { volume, subtract })
        })
    };
    assert_eq!(operator(&shrink(volume(5.0), 1.0)), "ok");
    for nothing in [0.0, -1.0, f64::NAN] {
        let wanted = "Value of 'ShrinkVolume.subtract' must be greater than zero";
        assert_eq!(operator(&shrink(volume(5.0), nothing)), wanted, "{nothing}");
    }
    assert_eq!(
        operator(&shrink(volume(5.0), 5.0)),
        "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'"
    );
    let mut on_mount = volume(5.0);
    let mount = Source {
        r#type: source::Type::Mount as i32,
        ..Default::default()
    };
    on_mount
        .disk
        .iter_mut()
        .for_each(|disk| disk.source = Some(mount.clone()));
    assert_eq!(
        operator(&shrink(on_mount, 1.0)),
        "Shrinking a volume on a MOUNT disk is not supported"
    );
    assert_eq!(
        operator(&shrink(shared(volume(5.0)), 1.0)),
        "Shrinking a shared persistent volume is not supported"
    );
    assert_eq!(
        operator(&shrink(provided(volume(5.0)), 1.0)),
        "Shrinking a volume from a resource provider is not supported"
    );
    let old = Surroundings {
        agent: AgentCapabilities::NONE,
        ..Surroundings::default()
    };
    assert_eq!(
        old.say(&shrink(volume(5.0), 1.0)),
        "Volume disk(reservations: [(DYNAMIC,a,p)])[v:d]:5 cannot be shrunk on an agent without \
         RESIZE_VOLUME capability"
    );
}

#[test]
fn disks_of_providers() {
    use source::Type::{Block, Mount, Path, Raw};
    let make = |source: v1::Resource, target: source::Type, profile: Option<&str>| {
        operator(&op(Type::CreateDisk, |o| {
            let target_profile = profile.map(str::to_owned);
            let target_type = target as i32;
            o.create_disk = Some(CreateDisk {
                source,
                target_type,
                target_profile,
            });
        }))
    };
    let raw = |profile| provided(sourced(Raw, None, profile));
    assert_eq!(make(raw(Some("fast")), Mount, None), "ok");
    assert_eq!(make(raw(None), Block, Some("fast")), "ok");
    assert_eq!(
        make(sourced(Raw, None, None), Mount, None),
        "'source' is not managed by a resource provider"
    );
    let mount = provided(sourced(Mount, None, None));
    assert_eq!(
        make(mount.clone(), Mount, None),
        "'source' is not a RAW disk resource"
    );
    assert_eq!(
        make(raw(None), Path, None),
        "'target_type' is neither MOUNT or BLOCK"
    );
    assert_eq!(
        make(raw(Some("a")), Mount, Some("b")),
        "'target_profile' must not be set when 'source' has a profile"
    );
    assert_eq!(
        make(raw(None), Mount, None),
        "'target_profile' must be set when 'source' has no profile"
    );

    let unmake = |source: v1::Resource| {
        operator(&op(Type::DestroyDisk, |o| {
            o.destroy_disk = Some(DestroyDisk { source })
        }))
    };
    let made = |kind| provided(sourced(kind, Some("id"), None));
    for kind in [Mount, Block, Raw] {
        assert_eq!(unmake(made(kind)), "ok");
    }
    assert_eq!(
        unmake(sourced(Mount, Some("id"), None)),
        "'source' is not managed by a resource provider"
    );
    assert_eq!(
        unmake(made(Path)),
        "'source' is neither a MOUNT, BLOCK or RAW disk resource"
    );
    assert_eq!(unmake(mount), "'source' is not backed by a CSI volume");
    let mut with_volume = provided(volume(5.0));
    let source = sourced(Mount, Some("id"), None)
        .disk
        .and_then(|disk| disk.source);
    with_volume
        .disk
        .iter_mut()
        .for_each(|disk| disk.source = source.clone());
    assert_eq!(
        unmake(with_volume),
        "A disk resource containing a persistent volume disk(reservations: [(DYNAMIC,a,p)])\
         [MOUNT(,id,),v:d]:5 cannot be destroyed directly. Please destroy the persistent volume \
         first then destroy the disk resource"
    );
}
