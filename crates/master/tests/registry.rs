//! The registry: the bytes of every op, what each does, and what a master does with bytes that it does
//! not understand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use meseta_master::registry::{
    Disconnected, FORMAT_VERSION, Inapplicable, Op, Registry, TaskRef, Unreadable,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_proto::meseta::registry as wire;
use meseta_proto::mesos::v1;
use support::{World, config, wishes};

fn agent(id: &str) -> Box<v1::AgentInfo> {
    Box::new(v1::AgentInfo {
        hostname: "h".to_owned(),
        id: Some(AgentId::from(id).to_wire()),
        ..Default::default()
    })
}

fn framework(id: &str) -> Box<v1::FrameworkInfo> {
    Box::new(v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "f".to_owned(),
        id: Some(FrameworkId::from(id).to_wire()),
        ..Default::default()
    })
}

fn task(agent: &str, framework: &str, task: &str) -> TaskRef {
    TaskRef {
        agent: agent.into(),
        framework: framework.into(),
        task: task.into(),
    }
}

/// The name of an op. A new op must be named here, and so be given an example below.
fn name(op: &Op) -> &'static str {
    match op {
        Op::AgentAdmitted { .. } => "agent_admitted",
        Op::AgentUpdated { .. } => "agent_updated",
        Op::AgentUnreachable { .. } => "agent_unreachable",
        Op::AgentReachable { .. } => "agent_reachable",
        Op::AgentGone { .. } => "agent_gone",
        Op::AgentRemoved { .. } => "agent_removed",
        Op::FrameworkAdded { .. } => "framework_added",
        Op::FrameworkChanged { .. } => "framework_changed",
        Op::FrameworkDisconnected { .. } => "framework_disconnected",
        Op::FrameworkRemoved { .. } => "framework_removed",
        Op::DigestChanged { .. } => "digest_changed",
        Op::Pruned { .. } => "pruned",
    }
}

fn examples() -> Vec<Op> {
    vec![
        Op::AgentAdmitted { info: agent("S0") },
        Op::AgentUpdated { info: agent("S0") },
        Op::AgentUnreachable {
            agent: "S0".into(),
            since_ns: 7,
        },
        Op::AgentReachable { info: agent("S0") },
        Op::AgentGone {
            agent: "S0".into(),
            since_ns: 8,
        },
        Op::AgentRemoved { agent: "S0".into() },
        Op::FrameworkAdded {
            info: framework("F0"),
        },
        Op::FrameworkChanged {
            info: framework("F0"),
        },
        Op::FrameworkDisconnected {
            framework: "F0".into(),
            disconnected: Disconnected {
                since_ns: 9,
                failover_timeout_ns: 10,
            },
        },
        Op::FrameworkRemoved {
            framework: "F0".into(),
        },
        Op::DigestChanged {
            added: vec![task("S0", "F0", "a"), task("S0", "F0", "b")],
            removed: vec![task("S1", "F1", "c")],
        },
        Op::Pruned {
            unreachable: vec!["S1".into()],
            gone: vec!["S2".into()],
        },
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One registry with something in every part.
fn full() -> Registry {
    let mut registry = Registry::default();
    for op in [
        Op::AgentAdmitted { info: agent("S0") },
        Op::AgentAdmitted { info: agent("S1") },
        Op::AgentAdmitted { info: agent("S2") },
        Op::FrameworkAdded {
            info: framework("F0"),
        },
        Op::FrameworkAdded {
            info: framework("F1"),
        },
        Op::DigestChanged {
            added: vec![task("S0", "F0", "a"), task("S1", "F0", "b")],
            removed: vec![],
        },
        Op::AgentUnreachable {
            agent: "S1".into(),
            since_ns: 7,
        },
        Op::AgentGone {
            agent: "S2".into(),
            since_ns: 8,
        },
        Op::FrameworkDisconnected {
            framework: "F0".into(),
            disconnected: Disconnected {
                since_ns: 9,
                failover_timeout_ns: 10,
            },
        },
        Op::FrameworkRemoved {
            framework: "F1".into(),
        },
    ] {
        registry.apply(&op).unwrap();
    }
    registry
}

/// The bytes of ops and snapshots are kept for ever: a log of today must be readable tomorrow.
#[test]
fn bytes_stay_as_they_are() {
    let mut text = String::new();
    for op in examples() {
        let bytes = op.encode();
        assert_eq!(Op::decode(&bytes), Ok(op.clone()));
        writeln!(text, "{} {}", name(&op), hex(&bytes)).unwrap();
    }
    let registry = full();
    writeln!(text, "snapshot {}", hex(&registry.encode())).unwrap();
    assert_eq!(Registry::decode(&registry.encode()), Ok(registry));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registry.txt");
    if std::env::var_os("MESETA_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn every_op_has_an_example() {
    let names: std::collections::BTreeSet<&str> = examples().iter().map(name).collect();
    // One field of the wire's `Op` each, besides the version.
    let table = <wire::Op as meseta_proto::Wire>::TABLE;
    let fields: std::collections::BTreeSet<&str> = table
        .fields
        .iter()
        .map(|field| field.name())
        .filter(|name| *name != "version")
        .collect();
    assert_eq!(names, fields);
}

/// An op that does not apply changes nothing, on whichever master.
#[test]
fn ops_that_do_not_apply_are_refused() {
    let registry = full();
    let cases = [
        (
            Op::AgentAdmitted { info: agent("S0") },
            Inapplicable::AgentAdmitted("S0".into()),
        ),
        (
            Op::AgentReachable { info: agent("S2") },
            Inapplicable::AgentGone("S2".into()),
        ),
        (
            Op::AgentUpdated { info: agent("S1") },
            Inapplicable::AgentNotAdmitted("S1".into()),
        ),
        (
            Op::AgentUnreachable {
                agent: "S2".into(),
                since_ns: 1,
            },
            Inapplicable::AgentNotAdmitted("S2".into()),
        ),
        (
            Op::AgentGone {
                agent: "S9".into(),
                since_ns: 1,
            },
            Inapplicable::AgentNotAdmitted("S9".into()),
        ),
        (
            Op::AgentRemoved { agent: "S9".into() },
            Inapplicable::AgentNotAdmitted("S9".into()),
        ),
        (
            Op::FrameworkAdded {
                info: framework("F0"),
            },
            Inapplicable::FrameworkKnown("F0".into()),
        ),
        (
            Op::FrameworkAdded {
                info: framework("F1"),
            },
            Inapplicable::FrameworkRemoved("F1".into()),
        ),
        (
            Op::FrameworkChanged {
                info: framework("F9"),
            },
            Inapplicable::FrameworkUnknown("F9".into()),
        ),
        (
            Op::FrameworkRemoved {
                framework: "F9".into(),
            },
            Inapplicable::FrameworkUnknown("F9".into()),
        ),
    ];
    for (op, why) in cases {
        let mut changed = registry.clone();
        assert_eq!(changed.apply(&op), Err(why), "{op:?}");
        assert_eq!(changed, registry, "{op:?}");
    }
}

/// A digest follows its agent: unreachable and back; it goes when agent or framework go.
#[test]
fn digests_follow_their_agents() {
    let mut registry = full();
    assert_eq!(registry.unreachable()[&AgentId::from("S1")].digest.len(), 1);
    registry
        .apply(&Op::AgentReachable { info: agent("S1") })
        .unwrap();
    let key = (FrameworkId::from("F0"), "b".into());
    assert!(registry.digest(&"S1".into()).unwrap().contains(&key));
    let strays = Op::DigestChanged {
        added: vec![task("S9", "F0", "x"), task("S0", "F9", "x")],
        removed: vec![task("S9", "F0", "x"), task("S1", "F0", "b")],
    };
    registry.apply(&strays).unwrap();
    assert!(registry.digest(&"S1".into()).unwrap().is_empty());
    assert_eq!(registry.digest(&"S0".into()).unwrap().len(), 1);
    let remove = Op::FrameworkRemoved {
        framework: "F0".into(),
    };
    registry.apply(&remove).unwrap();
    assert!(registry.digest(&"S0".into()).unwrap().is_empty());
    registry
        .apply(&Op::AgentRemoved { agent: "S0".into() })
        .unwrap();
    assert_eq!(registry.digest(&"S0".into()), None);
    let pruned = Op::Pruned {
        unreachable: vec!["S1".into()],
        gone: vec!["S2".into()],
    };
    registry.apply(&pruned).unwrap();
    assert!(registry.gone().is_empty());
}

#[test]
fn bytes_of_others_are_refused() {
    let unknown = wire::Op {
        version: FORMAT_VERSION,
        ..Default::default()
    };
    let encode = |op: &wire::Op| meseta_proto::encode(op);
    assert_eq!(Op::decode(&encode(&unknown)), Err(Unreadable::UnknownOp));
    let newer = wire::Op {
        version: FORMAT_VERSION + 1,
        ..Default::default()
    };
    let found = FORMAT_VERSION + 1;
    assert_eq!(
        Op::decode(&encode(&newer)),
        Err(Unreadable::NewerFormat { found })
    );
    assert!(matches!(Op::decode(b"\xff"), Err(Unreadable::Malformed(_))));
    let nameless = wire::Op {
        version: FORMAT_VERSION,
        agent_admitted: Some(wire::AgentAdmitted::default()),
        ..Default::default()
    };
    assert!(matches!(
        Op::decode(&encode(&nameless)),
        Err(Unreadable::Malformed(_))
    ));
    let newer = wire::Snapshot {
        version: FORMAT_VERSION + 1,
        ..Default::default()
    };
    let newer = meseta_proto::encode(&newer);
    assert_eq!(
        Registry::decode(&newer),
        Err(Unreadable::NewerFormat { found })
    );
}

/// A master that does not understand its registry does not lead.
#[test]
fn unreadable_registries_stop_the_start() {
    let lead = |snapshot: Option<&'static [u8]>, op: &'static [u8]| {
        let mut world = World::new(config());
        world.snapshot = snapshot.map(|bytes| (3, Bytes::from_static(bytes)));
        world.log = vec![(4, Bytes::from_static(op))];
        world.lead(1, 1);
        assert!(!world.master.is_leading());
        world.exited.expect("it exits")
    };
    assert_eq!(
        lead(None, b"\x08\x01"),
        "registry op 4 is a kind of change that this master does not know"
    );
    assert_eq!(
        lead(Some(b"\x08\x02"), b"\x08\x01"),
        "the registry snapshot at index 3 is written in format 2, this master reads formats up to 1"
    );
}

/// Bytes that turn up later are as bad.
#[test]
fn unreadable_commits_stop_the_master() {
    let mut world = World::new(config());
    world.lead(1, 1);
    let effects = world.step(meseta_master::event::Event::Committed {
        seq: meseta_model::step::Seq(99),
        index: 1,
        op: Bytes::from_static(b"\x08\x01"),
    });
    assert_eq!(wishes(&effects).count(), 1);
    assert!(world.exited.is_some());
}
