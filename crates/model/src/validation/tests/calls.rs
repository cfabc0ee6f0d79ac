use bytes::Bytes;
use meseta_proto::mesos::v1;
use v1::{executor, scheduler};

use super::said;
use crate::limits::{OFFERS_PER_CALL, OPERATIONS_PER_ACCEPT, TASKS_PER_ACCEPT};
use crate::validation::{executor_call, scheduler_call, uuid};

fn uuid_bytes(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

fn framework_id(value: &str) -> Option<v1::FrameworkId> {
    Some(v1::FrameworkId {
        value: value.to_owned(),
    })
}

fn agent_id() -> v1::AgentId {
    v1::AgentId {
        value: "s".to_owned(),
    }
}

fn call(kind: scheduler::call::Type, fill: impl FnOnce(&mut scheduler::Call)) -> scheduler::Call {
    let mut call = scheduler::Call {
        framework_id: framework_id("f"),
        r#type: Some(kind as i32),
        ..Default::default()
    };
    fill(&mut call);
    call
}

#[test]
fn every_scheduler_call_needs_its_part() {
    use scheduler::call::Type;
    let needs = [
        (Type::Unknown, None),
        (Type::Subscribe, Some("subscribe")),
        (Type::Teardown, None),
        (Type::Accept, Some("accept")),
        (Type::Decline, Some("decline")),
        (Type::AcceptInverseOffers, Some("accept_inverse_offers")),
        (Type::DeclineInverseOffers, Some("decline_inverse_offers")),
        (Type::Revive, None),
        (Type::Kill, Some("kill")),
        (Type::Shutdown, Some("shutdown")),
        (Type::Acknowledge, Some("acknowledge")),
        (
            Type::AcknowledgeOperationStatus,
            Some("acknowledge_operation_status"),
        ),
        (Type::Reconcile, Some("reconcile")),
        (Type::ReconcileOperations, Some("reconcile_operations")),
        (Type::Message, Some("message")),
        (Type::Request, Some("request")),
        (Type::Suppress, None),
        (Type::UpdateFramework, Some("update_framework")),
    ];
    assert_eq!(needs.len(), 18, "every type of the wire");
    for (kind, part) in needs {
        let wanted = match part {
            Some(part) => format!("Expecting '{part}' to be present"),
            None => "ok".to_owned(),
        };
        assert_eq!(
            said(scheduler_call(&call(kind, |_| ()), None)),
            wanted,
            "{kind:?}"
        );
        if kind != Type::Subscribe {
            let anonymous = call(kind, |call| call.framework_id = None);
            let wanted = "Expecting 'framework_id' to be present";
            assert_eq!(said(scheduler_call(&anonymous, None)), wanted, "{kind:?}");
        }
        let whole = call(kind, fill_all);
        assert_eq!(scheduler_call(&whole, None), Ok(kind), "{kind:?}");
    }
    let none = scheduler::Call::default();
    assert_eq!(
        said(scheduler_call(&none, None)),
        "Expecting 'type' to be present"
    );
    let unheard_of = scheduler::Call {
        r#type: Some(99),
        ..none
    };
    assert_eq!(
        said(scheduler_call(&unheard_of, None)),
        "Expecting 'type' to be present"
    );
}

fn fill_all(call: &mut scheduler::Call) {
    let info = v1::FrameworkInfo {
        id: framework_id("f"),
        ..Default::default()
    };
    call.subscribe = Some(scheduler::call::Subscribe {
        framework_info: info.clone(),
        ..Default::default()
    });
    call.update_framework = Some(scheduler::call::UpdateFramework {
        framework_info: info,
        ..Default::default()
    });
    call.accept = Some(Default::default());
    call.decline = Some(Default::default());
    call.accept_inverse_offers = Some(Default::default());
    call.decline_inverse_offers = Some(Default::default());
    call.kill = Some(Default::default());
    call.shutdown = Some(Default::default());
    call.acknowledge = Some(scheduler::call::Acknowledge {
        uuid: uuid_bytes(16),
        ..Default::default()
    });
    call.acknowledge_operation_status = Some(scheduler::call::AcknowledgeOperationStatus {
        uuid: uuid_bytes(16),
        agent_id: Some(agent_id()),
        ..Default::default()
    });
    call.reconcile = Some(Default::default());
    call.reconcile_operations = Some(Default::default());
    call.message = Some(Default::default());
    call.request = Some(Default::default());
}

#[test]
fn uuids_are_sixteen_bytes() {
    use scheduler::call::Type;
    for length in [0, 15, 17] {
        assert_eq!(said(uuid(&uuid_bytes(length))), "Not a valid UUID");
        for kind in [Type::Acknowledge, Type::AcknowledgeOperationStatus] {
            let call = call(kind, |call| {
                fill_all(call);
                let uuid = uuid_bytes(length);
                call.acknowledge
                    .iter_mut()
                    .for_each(|part| part.uuid = uuid.clone());
                call.acknowledge_operation_status
                    .iter_mut()
                    .for_each(|p| p.uuid = uuid.clone());
            });
            assert_eq!(
                said(scheduler_call(&call, None)),
                "Not a valid UUID",
                "{kind:?}"
            );
        }
    }
    assert_eq!(uuid(&uuid_bytes(16)), Ok([7; 16]));
    let nowhere = call(Type::AcknowledgeOperationStatus, |call| {
        fill_all(call);
        call.acknowledge_operation_status
            .iter_mut()
            .for_each(|part| part.agent_id = None);
    });
    assert_eq!(
        said(scheduler_call(&nowhere, None)),
        "Expecting 'agent_id' to be present"
    );
}

#[test]
fn framework_ids_agree() {
    use scheduler::call::Type;
    let other = |kind| {
        call(kind, |call| {
            fill_all(call);
            call.framework_id = framework_id("g");
        })
    };
    assert_eq!(
        said(scheduler_call(&other(Type::Subscribe), None)),
        "'framework_id' differs from 'subscribe.framework_info.id'"
    );
    assert_eq!(
        said(scheduler_call(&other(Type::UpdateFramework), None)),
        "'framework_id' differs from 'update_framework.framework_info.id'"
    );
    let new = call(Type::Subscribe, |call| {
        fill_all(call);
        call.framework_id = None;
        call.subscribe
            .iter_mut()
            .for_each(|part| part.framework_info.id = framework_id(""));
    });
    assert_eq!(
        said(scheduler_call(&new, None)),
        "ok",
        "an empty id is none"
    );
}

#[test]
fn nobody_subscribes_in_anothers_name() {
    let named = call(scheduler::call::Type::Subscribe, |call| {
        fill_all(call);
        let principal = Some("them".to_owned());
        call.subscribe
            .iter_mut()
            .for_each(|p| p.framework_info.principal = principal.clone());
    });
    assert_eq!(
        said(scheduler_call(&named, Some("me"))),
        "Authenticated principal 'me' does not match principal 'them' set in `FrameworkInfo`"
    );
    assert_eq!(said(scheduler_call(&named, Some("them"))), "ok");
    assert_eq!(said(scheduler_call(&named, None)), "ok");
}

#[test]
fn a_call_holds_only_so_much() {
    use scheduler::call::{Accept, Decline, Type};
    let offers = |count| {
        vec![
            v1::OfferId {
                value: "o".to_owned()
            };
            count
        ]
    };
    let declining = |count| {
        call(Type::Decline, |call| {
            call.decline = Some(Decline {
                offer_ids: offers(count),
                ..Default::default()
            });
        })
    };
    let accepting = |offer_ids, operations: Vec<v1::offer::Operation>| {
        call(Type::Accept, |call| {
            call.accept = Some(Accept {
                offer_ids,
                operations,
                ..Default::default()
            });
        })
    };
    let launching = |count| {
        let launch = v1::offer::operation::Launch {
            task_infos: vec![Default::default(); count],
        };
        v1::offer::Operation {
            launch: Some(launch),
            ..Default::default()
        }
    };
    let many = |most: usize, of: &str| format!("More than {most} {of} in one call");
    let says = |call: &scheduler::Call| said(scheduler_call(call, None));
    assert_eq!(says(&declining(OFFERS_PER_CALL)), "ok");
    assert_eq!(
        says(&declining(OFFERS_PER_CALL + 1)),
        many(OFFERS_PER_CALL, "offers")
    );
    let too_many = offers(OFFERS_PER_CALL + 1);
    assert_eq!(
        says(&accepting(too_many, vec![])),
        many(OFFERS_PER_CALL, "offers")
    );
    let operations = vec![Default::default(); OPERATIONS_PER_ACCEPT + 1];
    let refused = says(&accepting(vec![], operations));
    assert_eq!(refused, many(OPERATIONS_PER_ACCEPT, "operations"));
    let halves = vec![launching(TASKS_PER_ACCEPT / 2); 2];
    assert_eq!(says(&accepting(vec![], halves.clone())), "ok");
    let more = [halves, vec![launching(1)]].concat();
    assert_eq!(
        says(&accepting(vec![], more)),
        many(TASKS_PER_ACCEPT, "tasks")
    );
}

fn executor_says(
    kind: executor::call::Type,
    fill: impl FnOnce(&mut executor::Call, &mut v1::TaskStatus),
) -> String {
    let mut status = v1::TaskStatus {
        uuid: Some(uuid_bytes(16)),
        source: Some(v1::task_status::Source::Executor as i32),
        state: v1::TaskState::TaskRunning as i32,
        ..Default::default()
    };
    let mut call = executor::Call {
        executor_id: v1::ExecutorId {
            value: "e".to_owned(),
        },
        framework_id: v1::FrameworkId {
            value: "f".to_owned(),
        },
        r#type: Some(kind as i32),
        subscribe: Some(Default::default()),
        message: Some(Default::default()),
        update: Some(Default::default()),
    };
    fill(&mut call, &mut status);
    if let Some(update) = &mut call.update {
        update.status = status;
    }
    said(executor_call(&call))
}

#[test]
fn executor_calls_need_their_part() {
    use executor::call::Type;
    let bare = |kind| {
        executor_says(kind, |call, _| {
            call.subscribe = None;
            call.message = None;
            call.update = None;
        })
    };
    assert_eq!(bare(Type::Subscribe), "Expecting 'subscribe' to be present");
    assert_eq!(bare(Type::Update), "Expecting 'update' to be present");
    assert_eq!(bare(Type::Message), "Expecting 'message' to be present");
    assert_eq!(bare(Type::Heartbeat), "ok");
    assert_eq!(bare(Type::Unknown), "ok");
    for kind in [Type::Subscribe, Type::Update, Type::Message] {
        assert_eq!(executor_says(kind, |_, _| ()), "ok", "{kind:?}");
    }
    assert_eq!(
        executor_says(Type::Unknown, |call, _| call.r#type = None),
        "Expecting 'type' to be present"
    );
}

#[test]
fn updates_of_executors_are_their_own() {
    let update = |fill: &dyn Fn(&mut v1::TaskStatus)| {
        executor_says(executor::call::Type::Update, |_, status| fill(status))
    };
    let from = |value: &str| {
        Some(v1::ExecutorId {
            value: value.to_owned(),
        })
    };
    assert_eq!(update(&|s| s.uuid = None), "Expecting 'uuid' to be present");
    assert_eq!(
        update(&|s| s.uuid = Some(uuid_bytes(3))),
        "Not a valid UUID"
    );
    assert_eq!(update(&|s| s.executor_id = from("e")), "ok");
    assert_eq!(
        update(&|s| s.executor_id = from("x")),
        "ExecutorID in Call: e does not match ExecutorID in TaskStatus: x"
    );
    let source = "Received Call from executor e of framework f with invalid source, expecting 'SOURCE_EXECUTOR'";
    assert_eq!(update(&|s| s.source = None), source);
    assert_eq!(update(&|s| s.source = Some(0)), source);
    assert_eq!(
        update(&|s| s.state = v1::TaskState::TaskStaging as i32),
        "Received TASK_STAGING from executor e of framework f which is not allowed"
    );
    assert_eq!(
        update(&|s| s.check_status = Some(Default::default())),
        "CheckStatusInfo must specify 'type'"
    );
}
