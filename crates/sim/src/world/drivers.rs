//! Schedulers on a v0 driver: the same sessions, over actor messages instead of streams and calls.
//!
//! A driver repeats SUBSCRIBE until it is answered, and notices the end of its master by its link.

use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::StatusUpdateMessage;
use meseta_proto::mesos::scheduler as v0;
use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::event::{self, Type};

use super::World;
use super::agreed::master_upid;
use super::schedulers::Stage;
use crate::process::Process;
use crate::show;

/// What libprocess writes where there is no actor: such a status wants no acknowledgement.
const NOBODY: &str = "@0.0.0.0:0";

impl World {
    /// Sends a call as a driver does.
    pub(super) fn driver_calls(&mut self, s: usize, master: usize, call: &scheduler::Call) {
        let own = Process::Scheduler(s);
        let actor = self.schedulers[s].actor();
        let force = self.schedulers[s].insists;
        let to = master_upid(master);
        if call.r#type() == scheduler::call::Type::Subscribe {
            self.link(own, &to);
        }
        let message = Message::from(to_v0(call.clone(), force));
        self.send_message(own, &actor, &to, Box::new(message), None);
    }

    /// An actor message for a driver.
    pub(super) fn driver_hears(&mut self, s: usize, from: &Upid, to: &str, message: Message) {
        let host = &self.schedulers[s];
        let from_master = Process::at(from.address);
        let expected = host.session.master.map(Process::Master);
        if to != host.actor() || from_master != expected || !host.is_up {
            // For an earlier instance, or from a master that is none any more.
            return;
        }
        let (session, stage) = (host.session.number, host.session.stage);
        let Some(event) = to_event(message) else {
            return;
        };
        let welcome = event.r#type() == Type::Subscribed;
        let hears = match stage {
            Stage::Subscribed => !welcome,
            Stage::Down => false,
            // Until it is welcomed it hears nothing but that, or that it will not be.
            _ => welcome || event.r#type() == Type::Error,
        };
        if !hears {
            return;
        }
        if welcome {
            self.schedulers[s].insists = false;
        }
        self.note(|| format!("scheduler{} hears {}", s + 1, show::scheduler_event(&event)));
        self.scheduler_hears(s, session, event);
    }

    /// The link of a driver to its master is gone.
    pub(super) fn driver_link_broken(&mut self, s: usize, peer: &Upid) {
        let session = &self.schedulers[s].session;
        let number = session.number;
        if session.master.map(master_upid).as_ref() == Some(peer) {
            self.scheduler_disconnected(s, number);
        }
    }
}

/// The same call in v0's numbers.
fn to_v0(call: scheduler::Call, force: bool) -> v0::Call {
    use v0::call::*;
    v0::Call {
        framework_id: call.framework_id,
        r#type: call.r#type,
        subscribe: call.subscribe.map(|s| Subscribe {
            framework_info: s.framework_info,
            force: Some(force),
            suppressed_roles: s.suppressed_roles,
            offer_constraints: s.offer_constraints,
        }),
        accept: call.accept.map(|a| Accept {
            offer_ids: a.offer_ids,
            operations: a.operations,
            filters: a.filters,
        }),
        decline: call.decline.map(|d| Decline {
            offer_ids: d.offer_ids,
            filters: d.filters,
        }),
        revive: call.revive.map(|r| Revive { roles: r.roles }),
        kill: call.kill.map(|k| Kill {
            task_id: k.task_id,
            slave_id: k.agent_id,
            kill_policy: k.kill_policy,
        }),
        acknowledge: call.acknowledge.map(|a| Acknowledge {
            slave_id: a.agent_id,
            task_id: a.task_id,
            uuid: a.uuid,
        }),
        reconcile: call.reconcile.map(|r| Reconcile {
            tasks: r
                .tasks
                .into_iter()
                .map(|t| reconcile::Task {
                    task_id: t.task_id,
                    slave_id: t.agent_id,
                })
                .collect(),
        }),
        suppress: call.suppress.map(|s| Suppress { roles: s.roles }),
        ..Default::default()
    }
}

/// What a driver tells its scheduler, in v1's words.
fn to_event(message: Message) -> Option<scheduler::Event> {
    let of = |kind: Type| scheduler::Event {
        r#type: Some(kind as i32),
        ..Default::default()
    };
    let subscribed = |framework_id: v1::FrameworkId| scheduler::Event {
        subscribed: Some(event::Subscribed {
            framework_id,
            ..Default::default()
        }),
        ..of(Type::Subscribed)
    };
    Some(match message {
        Message::FrameworkRegistered(m) => subscribed(m.framework_id),
        Message::FrameworkReregistered(m) => subscribed(m.framework_id),
        Message::ResourceOffers(m) => scheduler::Event {
            offers: Some(event::Offers { offers: m.offers }),
            ..of(Type::Offers)
        },
        Message::RescindResourceOffer(m) => scheduler::Event {
            rescind: Some(event::Rescind {
                offer_id: m.offer_id,
            }),
            ..of(Type::Rescind)
        },
        Message::StatusUpdate(m) => scheduler::Event {
            update: Some(event::Update {
                status: status_for_driver(&m),
            }),
            ..of(Type::Update)
        },
        Message::ExitedExecutor(m) => scheduler::Event {
            failure: Some(event::Failure {
                agent_id: Some(m.slave_id),
                executor_id: Some(m.executor_id),
                status: Some(m.status),
            }),
            ..of(Type::Failure)
        },
        Message::LostSlave(m) => scheduler::Event {
            failure: Some(event::Failure {
                agent_id: Some(m.slave_id),
                ..Default::default()
            }),
            ..of(Type::Failure)
        },
        Message::FrameworkError(m) => scheduler::Event {
            error: Some(event::Error { message: m.message }),
            ..of(Type::Error)
        },
        _ => return None,
    })
}

/// A status as a driver passes it on: with the uuid if it wants an acknowledgement.
pub(crate) fn status_for_driver(message: &StatusUpdateMessage) -> v1::TaskStatus {
    let wants_answer = message.pid() != NOBODY && !message.pid().is_empty();
    let mut status = message.update.status.clone();
    status.uuid = message.update.uuid.clone().filter(|_| wants_answer);
    status
}
