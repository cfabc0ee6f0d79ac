//! v0 drivers: the same calls, sent as actor messages (design decision 2).

use meseta_model::caller::Caller;
use meseta_model::ids::FrameworkId;
use meseta_model::upid::Upid;
use meseta_model::validation::{self, InvalidCall};
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::FrameworkErrorMessage;
use meseta_proto::mesos::scheduler as v0;
use meseta_proto::mesos::v1::scheduler::{Call, call};

use crate::frameworks::Connection;
use crate::master::Reign;
use crate::older_driver;
use crate::turn::Turn;
use crate::view::Counter;

impl Reign {
    /// What is left of the actor messages: a driver's. Others have no handler and are dropped, as by
    /// any actor.
    pub(crate) fn driver_message(
        &mut self,
        turn: &mut Turn<'_>,
        from: Upid,
        caller: &Caller,
        message: Message,
    ) {
        match message {
            Message::SchedulerCall(call) => self.driver_call(turn, from, caller, *call),
            Message::DeactivateFramework(message) => {
                let id = FrameworkId::from(&message.framework_id);
                self.deactivate_driver(turn, &from, &id);
            }
            message => match older_driver::as_call(message) {
                Some(Ok(call)) => self.driver_call(turn, from, caller, call),
                Some(Err(why)) => {
                    let message = why.to_owned();
                    turn.send(&from, FrameworkErrorMessage { message });
                }
                None => turn.count(Counter::DroppedMessages),
            },
        }
    }

    fn driver_call(&mut self, turn: &mut Turn<'_>, from: Upid, caller: &Caller, call: v0::Call) {
        if call.r#type() == v0::call::Type::Subscribe {
            if let Some(subscribe) = call.subscribe {
                self.subscribe_driver(turn, from, caller, subscribe);
            }
            return;
        }
        let id = call.framework_id.as_ref().map(FrameworkId::from);
        let own = id.filter(|id| self.frameworks.drivers.get(&from) == Some(id));
        let Some(id) = own else {
            // Not subscribed, or not any more.
            return turn.count(Counter::DroppedMessages);
        };
        let call = to_v1(call);
        match validation::scheduler_call(&call, caller.principal.as_deref()) {
            Ok(_) => {}
            // A limit of ours: no driver could know why nothing happens.
            Err(why @ InvalidCall::TooMany { .. }) => {
                let message = why.to_string();
                return turn.send(&from, FrameworkErrorMessage { message });
            }
            // compat: dropped without a word.
            Err(_) => return turn.count(Counter::DroppedMessages),
        }
        if let Err(refusal) = self.call(turn, None, caller, &id, call) {
            let message = refusal.text;
            turn.send(&from, FrameworkErrorMessage { message });
        }
    }

    /// SUBSCRIBE of a driver, which repeats it until it is answered.
    fn subscribe_driver(
        &mut self,
        turn: &mut Turn<'_>,
        from: Upid,
        caller: &Caller,
        subscribe: v0::call::Subscribe,
    ) {
        let connection = Connection::Driver(from.clone());
        let pending = |known: &crate::frameworks::Subscriber| known.connection == connection;
        if self.frameworks.subscribing.values().any(pending) {
            return;
        }
        let named = subscribe
            .framework_info
            .id
            .clone()
            .filter(|id| !id.value.is_empty());
        let is_active = |id| self.frameworks.get(id).is_some_and(|known| known.active);
        if let Some(id) = self.frameworks.drivers.get(&from)
            && named
                .as_ref()
                .is_none_or(|named| FrameworkId::from(named) == *id && is_active(id))
        {
            // A retry: our answer was lost. Or it has lost its connection to us, and ours to it is
            // about to break as well.
            let (id, again) = (id.clone(), named.is_some());
            self.frameworks.returned.insert(from);
            return turn.welcome(&connection, &id.to_wire(), &self.info, 0.0, again);
        }
        let force = subscribe.force();
        let other = named
            .as_ref()
            .and_then(|id| self.frameworks.get(&FrameworkId::from(id)))
            .and_then(|framework| framework.connection.as_ref());
        if other.is_some_and(|other| *other != connection) && !force {
            // Semantic 47: another instance holds the framework, and this one does not insist.
            let message = "Framework failed over".to_owned();
            return turn.send(&from, FrameworkErrorMessage { message });
        }
        let v1 = call::Subscribe {
            framework_info: subscribe.framework_info,
            suppressed_roles: subscribe.suppressed_roles,
            offer_constraints: subscribe.offer_constraints,
        };
        if let Err(reason) = self.subscribe(turn, &connection, caller, named, v1) {
            turn.turn_away(&connection, &reason);
        }
    }
}

/// The same call in v1's numbers.
fn to_v1(call: v0::Call) -> Call {
    use call::*;
    let decline = |d: v0::call::DeclineInverseOffers| DeclineInverseOffers {
        inverse_offer_ids: d.inverse_offer_ids,
        filters: d.filters,
    };
    Call {
        framework_id: call.framework_id,
        r#type: call.r#type,
        subscribe: None,
        accept: call.accept.map(|a| Accept {
            offer_ids: a.offer_ids,
            operations: a.operations,
            filters: a.filters,
        }),
        decline: call.decline.map(|d| Decline {
            offer_ids: d.offer_ids,
            filters: d.filters,
        }),
        accept_inverse_offers: call.accept_inverse_offers.map(|a| AcceptInverseOffers {
            inverse_offer_ids: a.inverse_offer_ids,
            filters: a.filters,
        }),
        decline_inverse_offers: call.decline_inverse_offers.map(decline),
        revive: call.revive.map(|r| Revive { roles: r.roles }),
        kill: call.kill.map(|k| Kill {
            task_id: k.task_id,
            agent_id: k.slave_id,
            kill_policy: k.kill_policy,
        }),
        shutdown: call.shutdown.map(|s| Shutdown {
            executor_id: s.executor_id,
            agent_id: s.slave_id,
        }),
        acknowledge: call.acknowledge.map(|a| Acknowledge {
            agent_id: a.slave_id,
            task_id: a.task_id,
            uuid: a.uuid,
        }),
        acknowledge_operation_status: call.acknowledge_operation_status.map(|a| {
            AcknowledgeOperationStatus {
                agent_id: a.slave_id,
                resource_provider_id: a.resource_provider_id,
                uuid: a.uuid,
                operation_id: a.operation_id,
            }
        }),
        reconcile: call.reconcile.map(reconcile_to_v1),
        reconcile_operations: call.reconcile_operations.map(reconcile_operations_to_v1),
        message: call.message.map(|m| Message {
            agent_id: m.slave_id,
            executor_id: m.executor_id,
            data: m.data,
        }),
        request: call.request.map(|r| Request {
            requests: r.requests,
        }),
        suppress: call.suppress.map(|s| Suppress { roles: s.roles }),
        update_framework: call.update_framework.map(|u| UpdateFramework {
            framework_info: u.framework_info,
            suppressed_roles: u.suppressed_roles,
            offer_constraints: u.offer_constraints,
        }),
    }
}

fn reconcile_to_v1(call: v0::call::Reconcile) -> call::Reconcile {
    let tasks = call.tasks.into_iter().map(|task| call::reconcile::Task {
        task_id: task.task_id,
        agent_id: task.slave_id,
    });
    call::Reconcile {
        tasks: tasks.collect(),
    }
}

fn reconcile_operations_to_v1(call: v0::call::ReconcileOperations) -> call::ReconcileOperations {
    use call::reconcile_operations::Operation;
    let operations = call.operations.into_iter().map(|operation| Operation {
        operation_id: operation.operation_id,
        agent_id: operation.slave_id,
        resource_provider_id: operation.resource_provider_id,
    });
    call::ReconcileOperations {
        operations: operations.collect(),
    }
}
