//! The metrics of operations: how many there were and in which state, in all and by type.

use std::collections::BTreeMap;
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

/// How many operations came to a state, by type. Those that are in it now and may leave it are added
/// for each answer.
pub(super) type Counts = BTreeMap<(Type, OperationState), u64>;

/// Adds what the core counted, those that are known now and not over, and a name for every state.
///
/// compat: the total counts those that are over too, and one that was over and was lost with its agent
/// twice; those that were lost as unreachable stay counted as that, also once their agent is back.
pub(super) fn write(metrics: &mut Metrics, mut counts: Counts, known: &[Arc<v1::Operation>]) {
    for operation in known {
        let state = operation.latest_status.state();
        if !ENDS.contains(&state) {
            *counts.entry((operation.info.r#type(), state)).or_default() += 1;
        }
    }
    let among = |kind: Option<Type>, state: Option<OperationState>| -> u64 {
        let chosen = counts.iter().filter(|((type_, in_state), _)| {
            TYPES.contains(type_)
                && kind.is_none_or(|kind| *type_ == kind)
                && state.is_none_or(|state| *in_state == state)
        });
        chosen.map(|(_, count)| count).sum()
    };
    for kind in std::iter::once(None).chain(TYPES.map(Some)) {
        let prefix = prefix(kind);
        metrics.gauge(format!("{prefix}/total"), among(kind, None) as f64);
        for state in LIVE {
            let count = among(kind, Some(state)) as f64;
            metrics.gauge(format!("{prefix}/{}", lower(state)), count);
        }
        for state in ENDS {
            let count = among(kind, Some(state));
            metrics.count(format!("{prefix}/{}", lower(state)), count);
        }
    }
}
