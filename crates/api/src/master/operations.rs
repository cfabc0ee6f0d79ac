//! The metrics of operations: how many there are and in which state, in all and by type.

use std::sync::Arc;

use meseta_proto::mesos::v1;
use v1::OperationState;
use v1::offer::operation::Type;

use crate::metrics::Metrics;

/// The types that Mesos counts: all but launches.
const TYPES: [Type; 8] = [
    Type::Create,
    Type::CreateDisk,
    Type::Destroy,
    Type::DestroyDisk,
    Type::GrowVolume,
    Type::Reserve,
    Type::ShrinkVolume,
    Type::Unreserve,
];

/// States that an operation is in: gauges.
const LIVE: [OperationState; 3] = [
    OperationState::OperationPending,
    OperationState::OperationRecovering,
    OperationState::OperationUnreachable,
];

/// States in which operations ended: counters.
const ENDS: [OperationState; 5] = [
    OperationState::OperationDropped,
    OperationState::OperationError,
    OperationState::OperationFailed,
    OperationState::OperationFinished,
    OperationState::OperationGoneByOperator,
];

/// `finished` of `OPERATION_FINISHED`.
fn lower(state: OperationState) -> String {
    let name = state.as_str_name().trim_start_matches("OPERATION_");
    name.to_lowercase()
}

/// What the names of a type begin with; of all operations without one.
fn prefix(kind: Option<Type>) -> String {
    match kind {
        Some(kind) => format!("master/operations/{}", kind.as_str_name().to_lowercase()),
        None => "master/operations".to_owned(),
    }
}

/// Adds an end that the core counted.
pub(super) fn ended(metrics: &mut Metrics, kind: Type, state: OperationState, by: u64) {
    for kind in [None, Some(kind)] {
        metrics.count(format!("{}/{}", prefix(kind), lower(state)), by);
    }
}

/// Adds those that are known now, and a name for every state.
pub(super) fn known(metrics: &mut Metrics, operations: &[Arc<v1::Operation>]) {
    for kind in TYPES {
        for state in ENDS {
            ended(metrics, kind, state, 0);
        }
    }
    let among = |kind: Option<Type>, state: Option<OperationState>| {
        let chosen = operations.iter().filter(|operation| {
            kind.is_none_or(|kind| operation.info.r#type() == kind)
                && state.is_none_or(|state| operation.latest_status.state() == state)
        });
        chosen.count() as f64
    };
    for kind in std::iter::once(None).chain(TYPES.map(Some)) {
        let prefix = prefix(kind);
        metrics.gauge(format!("{prefix}/total"), among(kind, None));
        for state in LIVE {
            metrics.gauge(
                format!("{prefix}/{}", lower(state)),
                among(kind, Some(state)),
            );
        }
    }
}
