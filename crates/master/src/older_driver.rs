//! Messages of older v0 drivers, pure-language bindings among them: one message a kind, where later
//! drivers send `mesos.scheduler.Call`. Each becomes that call, and is treated as it.

use meseta_model::ids::FrameworkId;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::scheduler::{Call, call};
use meseta_proto::mesos::v1::offer::operation::{Launch, Type as Operation};
use meseta_proto::mesos::v1::{self, offer};
use meseta_proto::mesos::{internal, scheduler};

use crate::master::Reign;
use crate::turn::Turn;
use crate::view::{Counter, Delta};

/// The call that an older message stands for, or what its sender is told instead. `None`: it is not one
/// that drivers send.
pub(crate) fn as_call(message: Message) -> Option<Result<Call, &'static str>> {
    let (framework, mut call) = match message {
        Message::RegisterFramework(m) => return Some(register(m.framework)),
        Message::ReregisterFramework(m) => return Some(reregister(*m)),
        Message::UnregisterFramework(m) => (m.framework_id, of(call::Type::Teardown)),
        Message::ResourceRequest(m) => {
            let mut call = of(call::Type::Request);
            call.request = Some(call::Request {
                requests: m.requests,
            });
            (m.framework_id, call)
        }
        Message::LaunchTasks(m) => (m.framework_id.clone(), launch(*m)),
        Message::ReviveOffers(m) => {
            let mut call = of(call::Type::Revive);
            call.revive = Some(call::Revive { roles: m.roles });
            (m.framework_id, call)
        }
        Message::KillTask(m) => {
            let mut call = of(call::Type::Kill);
            // compat: a kill policy is for those who send calls.
            call.kill = Some(call::Kill {
                task_id: m.task_id,
                slave_id: None,
                kill_policy: None,
            });
            (m.framework_id, call)
        }
        Message::StatusUpdateAcknowledgement(m) => {
            let mut call = of(call::Type::Acknowledge);
            call.acknowledge = Some(call::Acknowledge {
                slave_id: m.slave_id,
                task_id: m.task_id,
                uuid: m.uuid,
            });
            (m.framework_id, call)
        }
        Message::FrameworkToExecutor(m) => {
            let mut call = of(call::Type::Message);
            call.message = Some(call::Message {
                slave_id: m.slave_id,
                executor_id: m.executor_id,
                data: m.data,
            });
            (m.framework_id, call)
        }
        Message::ReconcileTasks(m) => (m.framework_id.clone(), reconcile(*m)),
        _ => return None,
    };
    call.framework_id = Some(framework);
    Some(Ok(call))
}

fn of(kind: call::Type) -> Call {
    Call {
        r#type: Some(kind.into()),
        ..Call::default()
    }
}

fn has_id(framework: &v1::FrameworkInfo) -> bool {
    framework.id.as_ref().is_some_and(|id| !id.value.is_empty())
}

fn register(framework_info: v1::FrameworkInfo) -> Result<Call, &'static str> {
    if has_id(&framework_info) {
        return Err("Registering with 'id' already set");
    }
    Ok(subscribe(framework_info, None))
}

fn reregister(message: internal::ReregisterFrameworkMessage) -> Result<Call, &'static str> {
    if !has_id(&message.framework) {
        return Err("Re-registering without an 'id'");
    }
    Ok(subscribe(message.framework, Some(message.failover)))
}

fn subscribe(framework_info: v1::FrameworkInfo, force: Option<bool>) -> Call {
    Call {
        subscribe: Some(call::Subscribe {
            framework_info,
            force,
            ..call::Subscribe::default()
        }),
        ..of(call::Type::Subscribe)
    }
}

/// No tasks are a refusal of the offers.
fn launch(message: internal::LaunchTasksMessage) -> Call {
    let filters = Some(message.filters);
    let offer_ids = message.offer_ids;
    if message.tasks.is_empty() {
        return Call {
            decline: Some(call::Decline { offer_ids, filters }),
            ..of(call::Type::Decline)
        };
    }
    let launch = offer::Operation {
        r#type: Some(Operation::Launch.into()),
        launch: Some(Launch {
            task_infos: message.tasks,
        }),
        ..offer::Operation::default()
    };
    Call {
        accept: Some(call::Accept {
            offer_ids,
            operations: vec![launch],
            filters,
        }),
        ..of(call::Type::Accept)
    }
}

fn reconcile(message: internal::ReconcileTasksMessage) -> Call {
    let tasks = message.statuses.into_iter();
    let tasks = tasks.map(|status| scheduler::call::reconcile::Task {
        task_id: status.task_id,
        slave_id: status.agent_id,
    });
    Call {
        reconcile: Some(call::Reconcile {
            tasks: tasks.collect(),
        }),
        ..of(call::Type::Reconcile)
    }
}

impl Reign {
    /// A driver was aborted: no more offers, but it stays connected, and what it runs goes on. Later
    /// drivers send this too.
    pub(crate) fn deactivate_driver(&mut self, turn: &mut Turn<'_>, from: &Upid, id: &FrameworkId) {
        turn.count(Counter::Message("deactivate_framework"));
        if self.frameworks.drivers.get(from) != Some(id) {
            return turn.count(Counter::DroppedMessages);
        }
        let Some(framework) = self.frameworks.get_mut(id).filter(|known| known.active) else {
            return;
        };
        framework.active = false;
        let (view, offers) = (framework.view(), framework.offers.clone());
        self.allocator.deactivate_framework(id);
        for offer in offers {
            self.rescind(turn, &offer);
        }
        turn.changed(Delta::Framework(Box::new(view)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// What bytes under a name stand for, printed.
    fn call(name: &str, bytes: &[u8]) -> Option<Result<Call, &'static str>> {
        let name = format!("mesos.internal.{name}Message");
        as_call(Message::decode(&name, bytes).unwrap())
    }

    /// Fields of one byte of tag and one of length each, as any protobuf library writes them.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[number << 3 | 2, length], content].concat()
    }

    fn id(number: u8, value: &str) -> Vec<u8> {
        field(number, &field(1, value.as_bytes()))
    }

    fn framework(value: &str) -> v1::FrameworkId {
        v1::FrameworkId {
            value: value.to_owned(),
        }
    }

    #[test]
    fn registering_is_subscribing() {
        let info = [field(1, b"u"), field(2, b"n")].concat();
        let named = [info.clone(), id(3, "f")].concat();
        let registered = call("RegisterFramework", &field(1, &info))
            .unwrap()
            .unwrap();
        let subscribe = registered.subscribe.unwrap();
        assert_eq!(subscribe.framework_info.name, "n");
        assert_eq!((subscribe.force, registered.framework_id), (None, None));
        assert_eq!(
            call("RegisterFramework", &field(1, &named)),
            Some(Err("Registering with 'id' already set"))
        );
        for failover in [0, 1] {
            let bytes = [field(2, &named), vec![3 << 3, failover]].concat();
            let call = call("ReregisterFramework", &bytes).unwrap().unwrap();
            let subscribe = call.subscribe.unwrap();
            assert_eq!(subscribe.framework_info.id, Some(framework("f")));
            assert_eq!(subscribe.force, Some(failover == 1));
        }
        let bytes = [field(2, &info), vec![3 << 3, 1]].concat();
        assert_eq!(
            call("ReregisterFramework", &bytes),
            Some(Err("Re-registering without an 'id'"))
        );
    }

    #[test]
    fn launching_is_accepting_and_launching_nothing_is_declining() {
        let refused = field(5, &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0x14, 0x40]);
        let offers = [id(6, "o1"), id(6, "o2")].concat();
        let none = [id(1, "f"), refused.clone(), offers.clone()].concat();
        let declined = call("LaunchTasks", &none).unwrap().unwrap();
        assert_eq!(declined.r#type(), call::Type::Decline);
        let decline = declined.decline.unwrap();
        assert_eq!(decline.filters.unwrap().refuse_seconds, Some(5.0));
        assert_eq!(decline.offer_ids.len(), 2);
        let task = [field(1, b"t"), id(2, "t"), id(3, "a")].concat();
        let one = [id(1, "f"), field(3, &task), refused, offers].concat();
        let accepted = call("LaunchTasks", &one).unwrap().unwrap();
        assert_eq!(accepted.framework_id, Some(framework("f")));
        let accept = accepted.accept.unwrap();
        assert_eq!(accept.offer_ids.len(), 2);
        let [operation] = accept.operations.as_slice() else {
            panic!("{accept:?}");
        };
        assert_eq!(operation.r#type(), Operation::Launch);
        let tasks = &operation.launch.as_ref().unwrap().task_infos;
        assert_eq!(tasks[0].agent_id.value, "a");
    }

    #[test]
    fn the_rest_says_the_same_as_its_call() {
        let f = id(1, "f");
        let text = |name: &str, rest: &[Vec<u8>]| {
            let bytes = [f.clone(), rest.concat()].concat();
            let call = call(name, &bytes).unwrap().unwrap();
            assert_eq!(call.framework_id, Some(framework("f")), "{name}");
            call
        };
        let torn_down = text("UnregisterFramework", &[]);
        assert_eq!(torn_down.r#type(), call::Type::Teardown);
        assert_eq!(text("ResourceRequest", &[]).request.unwrap().requests, []);
        let roles = [field(2, b"a"), field(2, b"b")];
        assert_eq!(
            text("ReviveOffers", &roles).revive.unwrap().roles,
            ["a", "b"]
        );
        let kill = text("KillTask", &[id(2, "t")]).kill.unwrap();
        assert_eq!((kill.task_id.value.as_str(), kill.slave_id), ("t", None));
        let status = [id(1, "t"), vec![2 << 3, 6], id(5, "a")].concat();
        let reconcile = text("ReconcileTasks", &[field(2, &status)]);
        let tasks = reconcile.reconcile.unwrap().tasks;
        assert_eq!(tasks[0].task_id.value, "t");
        assert_eq!(tasks[0].slave_id.as_ref().unwrap().value, "a");
        // Here the agent comes first.
        let bytes = [id(1, "a"), id(2, "f"), id(3, "t"), field(4, &[7; 16])].concat();
        let acknowledged = call("StatusUpdateAcknowledgement", &bytes)
            .unwrap()
            .unwrap();
        let acknowledge = acknowledged.acknowledge.unwrap();
        assert_eq!(acknowledged.framework_id, Some(framework("f")));
        assert_eq!(acknowledge.slave_id.value, "a");
        assert_eq!(acknowledge.uuid, &[7; 16][..]);
        let bytes = [id(1, "a"), id(2, "f"), id(3, "e"), field(4, b"hi")].concat();
        let said = call("FrameworkToExecutor", &bytes).unwrap().unwrap();
        let message = said.message.unwrap();
        assert_eq!(said.framework_id, Some(framework("f")));
        assert_eq!(
            (message.slave_id.value.as_str(), &message.data[..]),
            ("a", &b"hi"[..])
        );
        assert_eq!(call("PongSlave", b""), None);
    }
}
