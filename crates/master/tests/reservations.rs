//! Many reservations on one agent: what an ACCEPT costs, and how many there may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use meseta_master::event::{Effect as Wish, Event, Timer};
use meseta_master::limits::{CONVERSIONS_PER_ACCEPT, REASON_BYTES, RESERVATIONS_PER_AGENT};
use meseta_master::view::Delta;
use meseta_model::caller::Caller;
use meseta_model::capabilities::AgentCapabilities;
use meseta_model::edge::RequestId;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::limits::OPERATIONS_PER_ACCEPT;
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::offer::operation::{Launch, Reserve, Type, Unreserve};
use meseta_proto::mesos::v1::resource::{ReservationInfo, reservation_info};
use meseta_proto::mesos::v1::scheduler::{self, call};
use meseta_proto::mesos::{internal, v1};
use support::{Effect1, World, config, subscribes, wishes};

/// An agent `S` that only writes down what it is told, and framework `F`, subscribed on stream `T`.
fn scene() -> World {
    use v1::agent_info::capability::Type::ResourceProvider;
    let mut world = World::new(config());
    world.lead(1, 1);
    let slave = internal::SlaveInfo {
        hostname: "h".to_owned(),
        resources: Resources::of(&[("cpus", 4.0), ("mem", 4096.0)])
            .to_wire(ResourceFormat::PostRefinement),
        id: Some(AgentId::from("S").to_wire()),
        ..Default::default()
    };
    let message = internal::ReregisterSlaveMessage {
        slave,
        version: Some("1.11.0".to_owned()),
        agent_capabilities: AgentCapabilities::ALL.without(ResourceProvider).to_wire(),
        ..Default::default()
    };
    world.step(Event::MessageReceived {
        caller: Caller::default(),
        from: "slave(1)@10.0.0.2:5051".parse().unwrap(),
        to: "master".to_owned(),
        message: message.into(),
    });
    let capability = |kind: v1::framework_info::capability::Type| v1::framework_info::Capability {
        r#type: Some(kind as i32),
    };
    let framework_info = v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "f".to_owned(),
        id: Some(FrameworkId::from("F").to_wire()),
        roles: vec!["a".to_owned()],
        capabilities: vec![
            capability(v1::framework_info::capability::Type::MultiRole),
            capability(v1::framework_info::capability::Type::ReservationRefinement),
        ],
        ..Default::default()
    };
    world.step(subscribes("T", framework_info));
    while world.commit_next().is_some() {}
    world
}

/// ACCEPT of all offers there will be.
fn accept(world: &mut World, operations: Vec<v1::offer::Operation>) -> Vec<Effect1> {
    world.mono_us += 2_000_000;
    let effects = world.step(Event::TimerFired(Timer::Allocate));
    let offers = wishes(&effects).filter_map(|wish| match wish {
        Wish::SendEvent { event, .. } => event.offers.as_ref(),
        _ => None,
    });
    let offers = offers.flat_map(|event| &event.offers);
    let accept = call::Accept {
        offer_ids: offers.map(|offer| offer.id.clone()).collect(),
        operations,
        filters: Some(v1::Filters {
            refuse_seconds: Some(0.0),
        }),
    };
    let effects = world.step(Event::SchedulerCalled {
        request: RequestId(1),
        caller: Caller::default(),
        stream_id: Some("T".to_owned()),
        call: Box::new(scheduler::Call {
            framework_id: Some(FrameworkId::from("F").to_wire()),
            r#type: Some(call::Type::Accept as i32),
            accept: Some(accept),
            ..Default::default()
        }),
    });
    world.master.audit().unwrap();
    effects
}

/// A mebibyte of memory, reserved so that it is like no other.
fn reserved(number: usize) -> v1::Resource {
    let label = v1::Label {
        key: number.to_string(),
        value: None,
    };
    v1::Resource {
        name: "mem".to_owned(),
        scalar: Some(v1::value::Scalar { value: 1.0 }),
        reservations: vec![ReservationInfo {
            r#type: Some(reservation_info::Type::Dynamic as i32),
            role: Some("a".to_owned()),
            labels: Some(v1::Labels {
                labels: vec![label],
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn reserve(resources: Vec<v1::Resource>) -> v1::offer::Operation {
    v1::offer::Operation {
        r#type: Some(Type::Reserve as i32),
        reserve: Some(Reserve {
            resources,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn unreserve(resources: Vec<v1::Resource>) -> v1::offer::Operation {
    v1::offer::Operation {
        r#type: Some(Type::Unreserve as i32),
        unreserve: Some(Unreserve { resources }),
        ..Default::default()
    }
}

fn launch(number: usize) -> v1::offer::Operation {
    let task = v1::TaskInfo {
        name: "t".to_owned(),
        task_id: v1::TaskId {
            value: format!("t{number}"),
        },
        agent_id: AgentId::from("S").to_wire(),
        resources: vec![reserved(number)],
        command: Some(v1::CommandInfo::default()),
        ..Default::default()
    };
    v1::offer::Operation {
        r#type: Some(Type::Launch as i32),
        launch: Some(Launch {
            task_infos: vec![task],
        }),
        ..Default::default()
    }
}

fn sent(effects: &[Effect1]) -> Vec<&Message> {
    let sent = wishes(effects).filter_map(|wish| match wish {
        Wish::Send { message, .. } => Some(&**message),
        _ => None,
    });
    sent.collect()
}

fn refusals(effects: &[Effect1]) -> Vec<&str> {
    let told = wishes(effects).filter_map(|wish| match wish {
        Wish::SendEvent { event, .. } => event.update_operation_status.as_ref(),
        _ => None,
    });
    told.map(|told| told.status.message()).collect()
}

/// However many operations and tasks take turns: the agent hears once what to write down, before any
/// task that needs it, and readers hear once what the agent has.
#[test]
fn an_accept_says_once_what_an_agent_has() {
    let mut world = scene();
    let most = OPERATIONS_PER_ACCEPT;
    let turns = (0..most / 2).flat_map(|n| [reserve(vec![reserved(n)]), launch(n)]);
    let effects = accept(&mut world, turns.collect());
    assert_eq!(refusals(&effects), Vec::<&str>::new());
    let shown = wishes(&effects).filter_map(|wish| match wish {
        Wish::Changed(Delta::Agent(view)) => Some(Resources::from_wire(&view.total).unwrap()),
        _ => None,
    });
    let shown: Vec<Resources> = shown.collect();
    assert_eq!(shown.len(), 1);
    let sent = sent(&effects);
    let Message::CheckpointResources(first) = sent[0] else {
        panic!("a task comes before what it needs");
    };
    assert_eq!(
        Resources::from_wire(&first.resources).unwrap(),
        shown[0].reserved()
    );
    assert_eq!(first.resources.len(), most / 2);
    let tasks = sent[1..].iter().map(|message| match message {
        Message::RunTask(message) => message.task.task_id.value.clone(),
        other => panic!("{other:?}"),
    });
    let in_order = (0..most / 2).map(|n| format!("t{n}"));
    assert!(tasks.eq(in_order));
}

/// `RESERVATIONS_PER_AGENT`: one more that is like no other is refused, more of the same is not.
#[test]
fn an_agent_has_only_so_many_reservations() {
    let mut world = scene();
    let most = RESERVATIONS_PER_AGENT;
    let all = (0..most).map(reserved).collect();
    let operations = vec![
        reserve(all),
        reserve(vec![reserved(most)]),
        reserve(vec![reserved(0)]),
    ];
    let effects = accept(&mut world, operations);
    let refused = format!(
        "RESERVE: Agent S at slave(1)@10.0.0.2:5051 (h) would have {} different reservations and \
         volumes, {most} are allowed",
        most + 1
    );
    assert_eq!(refusals(&effects), [&refused]);
    let operations = vec![
        unreserve(vec![reserved(1)]),
        reserve(vec![reserved(most)]),
        reserve(vec![reserved(1)]),
    ];
    let effects = accept(&mut world, operations);
    assert_eq!(refusals(&effects), [&refused]);
    let [Message::CheckpointResources(known)] = sent(&effects)[..] else {
        panic!("one word on what to write down");
    };
    assert_eq!(known.resources.len(), most);
}

/// `CONVERSIONS_PER_ACCEPT`: an UNRESERVE converts each of what it names.
#[test]
fn an_accept_converts_only_so_often() {
    let mut world = scene();
    let all: Vec<v1::Resource> = (0..RESERVATIONS_PER_AGENT).map(reserved).collect();
    let back_and_forth = [reserve(all.clone()), unreserve(all)];
    let fit = CONVERSIONS_PER_ACCEPT / (RESERVATIONS_PER_AGENT + 1);
    let operations: Vec<_> = std::iter::repeat_n(back_and_forth, fit + 1)
        .flatten()
        .collect();
    let effects = accept(&mut world, operations);
    let refused =
        format!("UNRESERVE: One ACCEPT may convert resources {CONVERSIONS_PER_ACCEPT} times");
    assert_eq!(refusals(&effects), [&refused]);
}

/// `REASON_BYTES`: what is wrong with each of many operations and tasks is not said at the length of all
/// that the agent has.
#[test]
fn refusals_are_short() {
    let mut world = scene();
    let all = (0..RESERVATIONS_PER_AGENT).map(reserved).collect();
    let missing = RESERVATIONS_PER_AGENT;
    let operations = vec![
        reserve(all),
        unreserve(vec![reserved(missing)]),
        launch(missing),
    ];
    let effects = accept(&mut world, operations);
    let updates = wishes(&effects).filter_map(|wish| match wish {
        Wish::SendEvent { event, .. } => event.update.as_ref(),
        _ => None,
    });
    let tasks: Vec<&str> = updates.map(|update| update.status.message()).collect();
    for texts in [refusals(&effects), tasks] {
        let [text] = texts[..] else {
            panic!("one refusal: {texts:?}");
        };
        assert!(
            text.ends_with('…') && text.len() < REASON_BYTES + 20,
            "{text}"
        );
    }
}
