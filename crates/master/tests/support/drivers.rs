//! Calls as v0 drivers make them.

use meseta_proto::mesos::scheduler as v0;
use meseta_proto::mesos::v1::scheduler;

/// The same call in v0's numbers, as far as the tests make them.
pub fn to_v0(call: scheduler::Call) -> v0::Call {
    v0::Call {
        framework_id: call.framework_id,
        r#type: call.r#type,
        accept: call.accept.map(|a| v0::call::Accept {
            offer_ids: a.offer_ids,
            operations: a.operations,
            filters: a.filters,
        }),
        decline: call.decline.map(|d| v0::call::Decline {
            offer_ids: d.offer_ids,
            filters: d.filters,
        }),
        kill: call.kill.map(|k| v0::call::Kill {
            task_id: k.task_id,
            slave_id: k.agent_id,
            kill_policy: k.kill_policy,
        }),
        acknowledge: call.acknowledge.map(|a| v0::call::Acknowledge {
            slave_id: a.agent_id,
            task_id: a.task_id,
            uuid: a.uuid,
        }),
        reconcile: call.reconcile.map(|r| v0::call::Reconcile {
            tasks: r
                .tasks
                .into_iter()
                .map(|task| v0::call::reconcile::Task {
                    task_id: task.task_id,
                    slave_id: task.agent_id,
                })
                .collect(),
        }),
        ..Default::default()
    }
}
