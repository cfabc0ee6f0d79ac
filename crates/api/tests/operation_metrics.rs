//! The metrics of operations.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;

use meseta_master::view::{Counter, Delta};
use meseta_proto::mesos::v1;
use support::{MasterServed, master};
use v1::OperationState;
use v1::offer::operation::Type;

/// What is not 0 of the metrics of operations.
async fn counted_operations(master: &MasterServed) -> BTreeMap<String, f64> {
    let metrics = master.get("/metrics/snapshot").await.json();
    let own = metrics.as_object().unwrap().iter().filter_map(|(k, v)| {
        let name = k.strip_prefix("master/operations/")?.to_owned();
        Some((name, v.as_f64()?))
    });
    own.filter(|(_, value)| *value != 0.0).collect()
}

/// The whole course as a genuine master counted it.
#[tokio::test]
async fn operations_are_counted_also_when_they_are_over() {
    use OperationState::*;
    use Type::{Reserve, Unknown, Unreserve};
    let master = master().await;
    let known = |n: u8, kind: Type, state: OperationState| {
        let uuid = bytes::Bytes::copy_from_slice(&[n; 16]);
        let mut operation = v1::Operation::default();
        operation.uuid.value = uuid;
        operation.info.set_type(kind);
        operation.latest_status.set_state(state);
        master.api.apply(&Delta::Operation(Box::new(operation)));
    };
    let removed = |n: u8| {
        let uuid = bytes::Bytes::copy_from_slice(&[n; 16]);
        master.api.apply(&Delta::OperationRemoved { uuid });
    };
    let counted = |kind, state| master.api.count(Counter::Operations(kind, state), 1);
    let expect = async |rows: &[(&str, f64)]| {
        let rows = rows
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value));
        assert_eq!(counted_operations(&master).await, rows.collect());
    };
    expect(&[]).await;
    // One that is refused, two that are told to an agent, one in a state that has no metric.
    counted(Reserve, OperationError);
    known(1, Reserve, OperationPending);
    known(2, Unreserve, OperationPending);
    known(3, Reserve, OperationUnknown);
    expect(&[
        ("error", 1.0),
        ("pending", 2.0),
        ("reserve/error", 1.0),
        ("reserve/pending", 1.0),
        ("reserve/total", 3.0),
        ("total", 4.0),
        ("unreserve/pending", 1.0),
        ("unreserve/total", 1.0),
    ])
    .await;
    // One finishes, and is acknowledged or not; its agent is marked gone.
    known(1, Reserve, OperationFinished);
    counted(Reserve, OperationFinished);
    removed(3);
    let finished = [
        ("error", 1.0),
        ("finished", 1.0),
        ("pending", 1.0),
        ("reserve/error", 1.0),
        ("reserve/finished", 1.0),
        ("reserve/total", 2.0),
        ("total", 3.0),
        ("unreserve/pending", 1.0),
        ("unreserve/total", 1.0),
    ];
    expect(&finished).await;
    removed(1);
    expect(&finished).await;
    counted(Reserve, OperationGoneByOperator);
    removed(2);
    counted(Unreserve, OperationUnreachable);
    // No metric of Mesos is about these.
    counted(Unknown, OperationError);
    expect(&[
        ("error", 1.0),
        ("finished", 1.0),
        ("gone_by_operator", 1.0),
        ("reserve/error", 1.0),
        ("reserve/finished", 1.0),
        ("reserve/gone_by_operator", 1.0),
        ("reserve/total", 3.0),
        ("total", 4.0),
        ("unreachable", 1.0),
        ("unreserve/total", 1.0),
        ("unreserve/unreachable", 1.0),
    ])
    .await;
}
