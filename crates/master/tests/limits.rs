//! What happens at every limit of the room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use meseta_master::event::{Effect as Wish, Event, Timer};
use meseta_master::registry::{Op, Registry, TaskRef};
use meseta_master::view::Counter;
use meseta_master::{BadConfig, Config, limits};
use meseta_model::caller::Caller;
use meseta_model::capabilities::AgentCapabilities;
use meseta_model::edge::{Outcome, Refusal, RequestId};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::step::Effect;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler::{self, call};
use meseta_proto::mesos::{internal, v1};
use support::{Effect1, World, config, registers, subscribes, wishes};

fn register(world: &mut World, n: usize) -> Vec<Effect1> {
    world.step(registers(n, &Resources::new()))
}

fn subscribe(world: &mut World, stream: &str) -> Vec<Effect1> {
    let framework_info = v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "f".to_owned(),
        ..Default::default()
    };
    world.step(subscribes(stream, framework_info))
}

fn proposals(effects: &[Effect1]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Propose { .. }))
        .count()
}

/// `PROPOSALS_LIMIT`: who comes too many asks again.
#[test]
fn too_many_proposals_let_nobody_in() {
    let mut world = World::new(config());
    world.lead(1, 1);
    for n in 0..limits::PROPOSALS_LIMIT {
        assert_eq!(proposals(&register(&mut world, n)), 1);
    }
    let late = register(&mut world, limits::PROPOSALS_LIMIT);
    assert_eq!(
        late,
        [Effect::Do {
            after: None,
            effect: Wish::Count {
                counter: Counter::Message("register_slave"),
                by: 1
            }
        }]
    );
    let turned_away = subscribe(&mut world, "S");
    let closed = wishes(&turned_away).any(|wish| matches!(wish, Wish::CloseStream(_)));
    assert!(closed && proposals(&turned_away) == 0);
    world.commit_next();
    assert_eq!(proposals(&register(&mut world, limits::PROPOSALS_LIMIT)), 1);
}

/// `SNAPSHOT_EVERY`: the log is cut.
#[test]
fn the_log_is_replaced_by_a_snapshot() {
    let mut world = World::new(config());
    world.lead(1, 1);
    for n in 0..limits::SNAPSHOT_EVERY as usize {
        assert_eq!(world.snapshot, None);
        register(&mut world, n);
        world.commit_next();
    }
    let (index, bytes) = world.snapshot.clone().expect("a snapshot");
    assert_eq!(index, limits::SNAPSHOT_EVERY);
    assert!(world.log.is_empty());
    let registry = Registry::decode(&bytes).unwrap();
    assert_eq!(registry.agents().len(), limits::SNAPSHOT_EVERY as usize);
    register(&mut world, limits::SNAPSHOT_EVERY as usize);
    world.commit_next();
    world.restart(config());
    let effects = world.lead(2, 2);
    let agents = wishes(&effects)
        .filter(|wish| matches!(wish, Wish::Changed(meseta_master::view::Delta::Agent(_))));
    assert_eq!(agents.count(), limits::SNAPSHOT_EVERY as usize + 1);
}

fn registry_with_agents(world: &mut World, agents: usize) {
    for n in 0..agents {
        let info = Box::new(v1::AgentInfo {
            hostname: "h".to_owned(),
            id: Some(AgentId::new(format!("S{n:05}")).to_wire()),
            ..Default::default()
        });
        world
            .log
            .push((n as u64 + 1, Op::AgentAdmitted { info }.encode()));
    }
}

/// `RECOVERED_SLICE`: agents that stay away are given up little by little.
#[test]
fn many_agents_are_given_up_in_slices() {
    let mut world = World::new(config());
    registry_with_agents(&mut world, limits::RECOVERED_SLICE + 1);
    world.lead(1, 1);
    world.mono_us = config().agent_reregister_timeout_us;
    let first = world.step(Event::TimerFired(Timer::RecoveredAgents));
    assert_eq!(proposals(&first), limits::RECOVERED_SLICE);
    let again = world.mono_us + limits::RECOVERED_PAUSE_US;
    assert_eq!(world.timers[&Timer::RecoveredAgents], again);
    world.mono_us = again;
    let second = world.step(Event::TimerFired(Timer::RecoveredAgents));
    assert_eq!(proposals(&second), 1);
}

/// `REMOVED_FRAMEWORKS_LIMIT`: the oldest is forgotten.
#[test]
fn only_so_many_removed_frameworks_are_remembered() {
    let mut registry = Registry::default();
    let id = |n: usize| FrameworkId::new(format!("F{n}"));
    for n in 0..=limits::REMOVED_FRAMEWORKS_LIMIT {
        let info = Box::new(v1::FrameworkInfo {
            id: Some(id(n).to_wire()),
            ..Default::default()
        });
        registry.apply(&Op::FrameworkAdded { info }).unwrap();
        let framework = id(n);
        registry.apply(&Op::FrameworkRemoved { framework }).unwrap();
    }
    assert!(!registry.is_removed_framework(&id(0)));
    assert!(registry.is_removed_framework(&id(1)));
    assert!(registry.is_removed_framework(&id(limits::REMOVED_FRAMEWORKS_LIMIT)));
}

/// `DIGEST_BATCH_LIMIT` and `DIGEST_INTERVAL_US`: what an agent brings that is too much for one batch
/// is written in several.
#[test]
fn digests_are_written_in_batches() {
    let mut world = World::new(config());
    world.lead(1, 1);
    let tasks = limits::DIGEST_BATCH_LIMIT + 1;
    let message = internal::ReregisterSlaveMessage {
        slave: internal::SlaveInfo {
            hostname: "h".to_owned(),
            id: Some(AgentId::from("S").to_wire()),
            ..Default::default()
        },
        version: Some("1.11.0".to_owned()),
        frameworks: vec![v1::FrameworkInfo {
            id: Some(FrameworkId::from("F").to_wire()),
            ..Default::default()
        }],
        tasks: (0..tasks)
            .map(|n| v1::Task {
                task_id: v1::TaskId {
                    value: format!("t{n:06}"),
                },
                framework_id: FrameworkId::from("F").to_wire(),
                agent_id: AgentId::from("S").to_wire(),
                state: v1::TaskState::TaskRunning as i32,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    world.step(Event::MessageReceived {
        caller: Caller::default(),
        from: "slave(1)@10.0.0.2:5051".parse().unwrap(),
        to: "master".to_owned(),
        message: message.into(),
    });
    while world.commit_next().is_some() {}
    let mut sizes = Vec::new();
    for _ in 0..2 {
        assert_eq!(
            world.timers[&Timer::Digest],
            world.mono_us + limits::DIGEST_INTERVAL_US
        );
        world.mono_us += limits::DIGEST_INTERVAL_US;
        world.timers.remove(&Timer::Digest);
        let effects = world.step(Event::TimerFired(Timer::Digest));
        for effect in effects {
            if let Effect::Propose { op, .. } = effect
                && let Ok(Op::DigestChanged { added, .. }) = Op::decode(&op)
            {
                sizes.push(added.len());
            }
        }
        world.commit_next();
    }
    assert_eq!(sizes, [limits::DIGEST_BATCH_LIMIT, 1]);
    assert!(!world.timers.contains_key(&Timer::Digest));
    let last = TaskRef {
        agent: "S".into(),
        framework: "F".into(),
        task: format!("t{:06}", tasks - 1).into(),
    };
    let mut registry = Registry::default();
    for (_, op) in &world.log {
        registry.apply(&Op::decode(op).unwrap()).unwrap();
    }
    let digest = registry.digest(&last.agent).unwrap();
    assert_eq!(digest.len(), tasks);
    assert!(digest.contains(&(last.framework, last.task)));
}

fn from_agent(world: &mut World, message: impl Into<Message>) -> Vec<Effect1> {
    world.step(Event::MessageReceived {
        caller: Caller::default(),
        from: "slave(1)@10.0.0.2:5051".parse().unwrap(),
        to: "master".to_owned(),
        message: message.into(),
    })
}

fn uuid(n: usize) -> v1::Uuid {
    let value = bytes::Bytes::copy_from_slice(&(n as u128).to_be_bytes());
    v1::Uuid { value }
}

/// An agent `S` that came along with so many operations of framework `F`, which is subscribed on stream
/// `T`; their ids and uuids are their numbers.
fn with_operations(count: usize) -> World {
    let mut world = World::new(config());
    world.lead(1, 1);
    let slave = internal::SlaveInfo {
        hostname: "h".to_owned(),
        resources: Resources::of(&[("cpus", 4.0), ("mem", 512.0)])
            .to_wire(ResourceFormat::PostRefinement),
        id: Some(AgentId::from("S").to_wire()),
        ..Default::default()
    };
    let message = internal::ReregisterSlaveMessage {
        slave,
        version: Some("1.11.0".to_owned()),
        agent_capabilities: AgentCapabilities::ALL.to_wire(),
        resource_version_uuid: Some(uuid(0)),
        ..Default::default()
    };
    from_agent(&mut world, message);
    while world.commit_next().is_some() {}
    let operations = (0..count).map(|n| v1::Operation {
        framework_id: Some(FrameworkId::from("F").to_wire()),
        info: v1::offer::Operation {
            id: Some(v1::OperationId {
                value: n.to_string(),
            }),
            ..Default::default()
        },
        uuid: uuid(n),
        ..Default::default()
    });
    let operations = internal::update_slave_message::Operations {
        operations: operations.collect(),
    };
    let framework_info = v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "f".to_owned(),
        id: Some(FrameworkId::from("F").to_wire()),
        roles: vec!["a".to_owned()],
        capabilities: vec![v1::framework_info::Capability {
            r#type: Some(v1::framework_info::capability::Type::MultiRole as i32),
        }],
        ..Default::default()
    };
    world.step(subscribes("T", framework_info));
    while world.commit_next().is_some() {}
    let message = internal::UpdateSlaveMessage {
        slave_id: AgentId::from("S").to_wire(),
        operations: Some(operations),
        ..Default::default()
    };
    from_agent(&mut world, message);
    world
}

fn call_of(world: &mut World, call: scheduler::Call) -> Vec<Effect1> {
    world.step(Event::SchedulerCalled {
        request: RequestId(1),
        caller: Caller::default(),
        stream_id: Some("T".to_owned()),
        call: Box::new(scheduler::Call {
            framework_id: Some(FrameworkId::from("F").to_wire()),
            ..call
        }),
    })
}

fn counted(effects: &[Effect1], counter: Counter) -> bool {
    let wanted = Wish::Count { counter, by: 1 };
    wishes(effects).any(|wish| *wish == wanted)
}

fn pending(operation: usize, status: usize) -> internal::UpdateOperationStatusMessage {
    internal::UpdateOperationStatusMessage {
        framework_id: Some(FrameworkId::from("F").to_wire()),
        slave_id: Some(AgentId::from("S").to_wire()),
        status: v1::OperationStatus {
            state: v1::OperationState::OperationPending as i32,
            uuid: Some(uuid(status)),
            ..Default::default()
        },
        operation_uuid: Some(uuid(operation)),
        ..Default::default()
    }
}

/// `OPERATIONS_PER_AGENT_LIMIT`: one more that the agent brings is not known, one more of a framework
/// fails.
#[test]
fn too_many_operations_at_an_agent_fail() {
    let most = limits::OPERATIONS_PER_AGENT_LIMIT;
    let mut world = with_operations(most + 1);
    let last = from_agent(&mut world, pending(most - 1, 1));
    assert!(counted(&last, Counter::ValidOperationStatusUpdates));
    let beyond = from_agent(&mut world, pending(most, 1));
    assert!(counted(&beyond, Counter::InvalidOperationStatusUpdates));
    world.mono_us += 2_000_000;
    let effects = world.step(Event::TimerFired(Timer::Allocate));
    let offer = wishes(&effects).find_map(|wish| match wish {
        Wish::SendEvent { event, .. } => Some(event.offers.as_ref()?.offers[0].id.clone()),
        _ => None,
    });
    let reserved = v1::Resource {
        name: "cpus".to_owned(),
        scalar: Some(v1::value::Scalar { value: 1.0 }),
        reservations: vec![v1::resource::ReservationInfo {
            r#type: Some(v1::resource::reservation_info::Type::Dynamic as i32),
            role: Some("a".to_owned()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let accept = call::Accept {
        offer_ids: vec![offer.expect("an offer")],
        operations: vec![v1::offer::Operation {
            r#type: Some(v1::offer::operation::Type::Reserve as i32),
            reserve: Some(v1::offer::operation::Reserve {
                resources: vec![reserved],
                ..Default::default()
            }),
            ..Default::default()
        }],
        filters: None,
    };
    let call = scheduler::Call {
        r#type: Some(call::Type::Accept as i32),
        accept: Some(accept),
        ..Default::default()
    };
    let effects = call_of(&mut world, call);
    let told = wishes(&effects).find_map(|wish| match wish {
        Wish::SendEvent { event, .. } => {
            let told = event.update_operation_status.as_ref()?;
            told.status.message.clone()
        }
        _ => None,
    });
    let text =
        format!("RESERVE: {most} operations on agent S at slave(1)@10.0.0.2:5051 (h) are not over");
    assert_eq!(told, Some(text));
}

/// `STATUSES_PER_OPERATION`: what fell out cannot be acknowledged any more.
#[test]
fn old_statuses_of_an_operation_are_forgotten() {
    let mut world = with_operations(1);
    for status in 0..=limits::STATUSES_PER_OPERATION {
        from_agent(&mut world, pending(0, status));
    }
    let mut acknowledged = |status: usize| {
        let acknowledge = call::AcknowledgeOperationStatus {
            agent_id: Some(AgentId::from("S").to_wire()),
            resource_provider_id: None,
            uuid: uuid(status).value,
            operation_id: v1::OperationId {
                value: "0".to_owned(),
            },
        };
        let call = scheduler::Call {
            r#type: Some(call::Type::AcknowledgeOperationStatus as i32),
            acknowledge_operation_status: Some(acknowledge),
            ..Default::default()
        };
        let effects = call_of(&mut world, call);
        counted(
            &effects,
            Counter::ValidOperationStatusUpdateAcknowledgements,
        )
    };
    assert!(!acknowledged(0));
    assert!(acknowledged(1));
    assert!(acknowledged(limits::STATUSES_PER_OPERATION));
}

#[test]
fn settings_out_of_range_are_refused() {
    type Change = fn(&mut Config);
    let refused = |change: Change| {
        let mut config = config();
        change(&mut config);
        config.validate()
    };
    assert_eq!(refused(|_| ()), Ok(()));
    let cases: [(Change, BadConfig); 8] = [
        (
            |c| c.agent_ping_timeout_us = 999_999,
            BadConfig::PingTimeout,
        ),
        (|c| c.max_agent_ping_timeouts = 0, BadConfig::PingTimeouts),
        (
            |c| c.agent_reregister_timeout_us -= 1,
            BadConfig::ReregisterTimeout,
        ),
        (
            |c| c.recovery_agent_removal_limit = 1.01,
            BadConfig::RemovalLimit,
        ),
        (|c| c.offer_timeout_us = Some(0), BadConfig::OfferTimeout),
        (
            |c| c.allocator.allocation_interval_us = 0,
            BadConfig::Allocator(meseta_allocator::BadConfig::AllocationInterval),
        ),
        (
            |c| c.heartbeat_interval_us = 0,
            BadConfig::HeartbeatInterval,
        ),
        (
            |c| c.registry_gc_interval_us = 0,
            BadConfig::RegistryGcInterval,
        ),
    ];
    for (change, why) in cases {
        assert_eq!(refused(change), Err(why));
    }
}

/// A description of framework `F` with so many quantities as the least that it wants in its role.
fn with_minimums(count: usize) -> v1::FrameworkInfo {
    let quantities = (0..count).map(|n| (format!("r{n}"), v1::value::Scalar { value: 1.0 }));
    let least = v1::offer_filters::MinAllocatableResources {
        quantities: vec![v1::offer_filters::ResourceQuantities {
            quantities: quantities.collect(),
        }],
    };
    let filters = v1::OfferFilters {
        min_allocatable_resources: (count > 0).then_some(least),
    };
    v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "f".to_owned(),
        id: Some(FrameworkId::from("F").to_wire()),
        offer_filters: [("*".to_owned(), filters)].into(),
        ..Default::default()
    }
}

/// So many constraints in one group of the default role.
fn constraints(count: usize) -> scheduler::OfferConstraints {
    use scheduler::attribute_constraint::{Predicate, Selector, predicate::Exists};
    use scheduler::offer_constraints::{RoleConstraints, role_constraints::Group};
    let rule = scheduler::AttributeConstraint {
        selector: Selector {
            attribute_name: Some("rack".to_owned()),
            ..Default::default()
        },
        predicate: Predicate {
            exists: Some(Exists {}),
            ..Default::default()
        },
    };
    let group = Group {
        attribute_constraints: vec![rule; count],
    };
    let of_role = RoleConstraints {
        groups: vec![group],
    };
    scheduler::OfferConstraints {
        role_constraints: [("*".to_owned(), of_role)].into(),
    }
}

/// SUBSCRIBE with so many minimums and constraints: what the framework hears at once if it is refused.
fn refusal(world: &mut World, minimums: usize, constrained: usize) -> Option<String> {
    let Event::SchedulerSubscribed {
        stream,
        caller,
        mut call,
    } = subscribes("T", with_minimums(minimums))
    else {
        panic!("a subscription");
    };
    let subscribe = call.subscribe.as_mut().unwrap();
    subscribe.offer_constraints = Some(constraints(constrained));
    let effects = world.step(Event::SchedulerSubscribed {
        stream: stream.clone(),
        caller,
        call,
    });
    let told = wishes(&effects).find_map(|wish| match wish {
        Wish::SendEvent { event, .. } => event.error.as_ref().map(|error| error.message.clone()),
        _ => None,
    });
    let closed = wishes(&effects).any(|wish| *wish == Wish::CloseStream(stream.clone()));
    assert_eq!(closed, told.is_some());
    assert_eq!(proposals(&effects), usize::from(told.is_none()));
    told
}

/// `CONSTRAINTS_PER_FRAMEWORK` and `MINIMUMS_PER_ROLE`: who wants more is refused, and so is a change.
#[test]
fn too_many_constraints_and_minimums_are_refused() {
    use meseta_model::limits::{CONSTRAINTS_PER_FRAMEWORK, MINIMUMS_PER_ROLE};
    let mut world = World::new(config());
    world.lead(1, 1);
    let constrained = "Offer constraints contain more than 1000 attribute constraints";
    let minimal =
        "'FrameworkInfo.offer_filters' contains more than 100 resource quantities for role '*'";
    let (minimums, most) = (MINIMUMS_PER_ROLE, CONSTRAINTS_PER_FRAMEWORK);
    assert_eq!(
        refusal(&mut world, minimums, most + 1).as_deref(),
        Some(constrained)
    );
    assert_eq!(
        refusal(&mut world, minimums + 1, most).as_deref(),
        Some(minimal)
    );
    assert_eq!(refusal(&mut world, minimums, most), None);
    while world.commit_next().is_some() {}
    for (minimums, constrained, why) in [(0, most + 1, constrained), (minimums + 1, 0, minimal)] {
        let update = scheduler::Call {
            r#type: Some(call::Type::UpdateFramework as i32),
            update_framework: Some(call::UpdateFramework {
                framework_info: with_minimums(minimums),
                suppressed_roles: Vec::new(),
                offer_constraints: Some(constraints(constrained)),
            }),
            ..Default::default()
        };
        let effects = call_of(&mut world, update);
        let why = format!("'UpdateFramework.framework_info' is not valid: {why}");
        let refused = Wish::Reply {
            request: RequestId(1),
            outcome: Outcome::Refused(Refusal::invalid(why)),
        };
        assert!(wishes(&effects).any(|wish| *wish == refused));
        assert_eq!(proposals(&effects), 0);
    }
}
