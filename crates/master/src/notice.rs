//! What a framework is told, in the words of both ways to connect.

use meseta_model::edge::StreamId;
use meseta_model::ids::{AgentId, OfferId};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::scheduler::{Event, event};
use meseta_proto::mesos::{internal, v1};

use crate::frameworks::Connection;
use crate::turn::Turn;

/// One thing for a framework to know.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Offers {
        offers: Vec<v1::Offer>,
        /// The agents' addresses, one per offer; drivers send messages to executors there.
        pids: Vec<String>,
    },
    Rescind(OfferId),
    Update {
        update: Box<internal::StatusUpdate>,
        /// Who sent it; empty for the master's own.
        pid: String,
    },
    Message(Box<internal::ExecutorToFrameworkMessage>),
    AgentLost(AgentId),
    ExecutorExited(Box<internal::ExitedExecutorMessage>),
    OperationStatus(Box<v1::OperationStatus>),
    Error(String),
}

impl Turn<'_> {
    /// Tells a framework, if there is a way to.
    pub(crate) fn tell(&mut self, connection: Option<&Connection>, notice: Notice) {
        match connection {
            Some(Connection::Stream(stream)) => self.send_event(stream, notice.into_event()),
            Some(Connection::Driver(upid)) => self.send(upid, notice.into_message()),
            None => {}
        }
    }

    /// Says no to a stream that asked to subscribe, and ends it.
    pub(crate) fn turn_away(&mut self, connection: &Connection, reason: &str) {
        self.tell(Some(connection), Notice::Error(reason.to_owned()));
        self.hang_up(connection);
    }

    /// Ends a stream; a driver's connection is its own.
    pub(crate) fn hang_up(&mut self, connection: &Connection) {
        if let Connection::Stream(stream) = connection {
            self.push(crate::event::Effect::CloseStream(stream.clone()));
        }
    }

    /// The first thing on a new subscription; on a stream a heartbeat follows directly.
    pub(crate) fn welcome(
        &mut self,
        connection: &Connection,
        framework: &v1::FrameworkId,
        master: &v1::MasterInfo,
        heartbeat_seconds: f64,
        again: bool,
    ) {
        match connection {
            Connection::Stream(stream) => {
                self.send_event(stream, subscribed(framework, master, heartbeat_seconds));
                self.heartbeat(stream);
            }
            Connection::Driver(upid) => self.welcome_driver(upid, framework, master, again),
        }
    }

    fn welcome_driver(
        &mut self,
        upid: &Upid,
        framework: &v1::FrameworkId,
        master: &v1::MasterInfo,
        again: bool,
    ) {
        let (framework_id, master_info) = (framework.clone(), master.clone());
        let message: Message = if again {
            internal::FrameworkReregisteredMessage {
                framework_id,
                master_info,
            }
            .into()
        } else {
            internal::FrameworkRegisteredMessage {
                framework_id,
                master_info,
            }
            .into()
        };
        self.send(upid, message);
    }

    pub(crate) fn heartbeat(&mut self, stream: &StreamId) {
        self.send_event(stream, of_type(event::Type::Heartbeat));
    }
}

fn of_type(kind: event::Type) -> Event {
    Event {
        r#type: Some(kind as i32),
        ..Event::default()
    }
}

fn subscribed(framework: &v1::FrameworkId, master: &v1::MasterInfo, seconds: f64) -> Event {
    Event {
        subscribed: Some(event::Subscribed {
            framework_id: framework.clone(),
            heartbeat_interval_seconds: Some(seconds),
            master_info: Some(master.clone()),
        }),
        ..of_type(event::Type::Subscribed)
    }
}

/// The status as v1 schedulers get it: the envelope's facts are in it, and an uuid only when it is to
/// be acknowledged.
pub(crate) fn status_for_stream(update: &internal::StatusUpdate) -> v1::TaskStatus {
    let mut status = update.status.clone();
    if update.slave_id.is_some() {
        status.agent_id.clone_from(&update.slave_id);
    }
    if update.executor_id.is_some() {
        status.executor_id.clone_from(&update.executor_id);
    }
    status.timestamp = Some(update.timestamp);
    status.uuid = update.uuid.clone().filter(|uuid| !uuid.is_empty());
    status
}

impl Notice {
    fn into_event(self) -> Event {
        match self {
            Self::Offers { offers, .. } => Event {
                offers: Some(event::Offers { offers }),
                ..of_type(event::Type::Offers)
            },
            Self::Rescind(offer) => Event {
                rescind: Some(event::Rescind {
                    offer_id: offer.to_wire(),
                }),
                ..of_type(event::Type::Rescind)
            },
            Self::Update { update, .. } => Event {
                update: Some(event::Update {
                    status: status_for_stream(&update),
                }),
                ..of_type(event::Type::Update)
            },
            Self::Message(message) => Event {
                message: Some(event::Message {
                    agent_id: message.slave_id,
                    executor_id: message.executor_id,
                    data: message.data,
                }),
                ..of_type(event::Type::Message)
            },
            Self::AgentLost(agent) => failure(agent.to_wire(), None, None),
            Self::ExecutorExited(exited) => failure(
                exited.slave_id,
                Some(exited.executor_id),
                Some(exited.status),
            ),
            Self::OperationStatus(status) => Event {
                update_operation_status: Some(event::UpdateOperationStatus { status: *status }),
                ..of_type(event::Type::UpdateOperationStatus)
            },
            Self::Error(message) => Event {
                error: Some(event::Error { message }),
                ..of_type(event::Type::Error)
            },
        }
    }

    /// As drivers hear it. A driver drops a message that it has no handler for.
    fn into_message(self) -> Message {
        match self {
            Self::Offers { offers, pids } => {
                internal::ResourceOffersMessage { offers, pids }.into()
            }
            Self::Rescind(offer) => internal::RescindResourceOfferMessage {
                offer_id: offer.to_wire(),
            }
            .into(),
            Self::Update { update, pid } => internal::StatusUpdateMessage {
                update: *update,
                pid: Some(pid),
            }
            .into(),
            Self::Message(message) => (*message).into(),
            Self::AgentLost(agent) => internal::LostSlaveMessage {
                slave_id: agent.to_wire(),
            }
            .into(),
            Self::ExecutorExited(exited) => (*exited).into(),
            Self::OperationStatus(status) => internal::UpdateOperationStatusMessage {
                status: *status,
                ..Default::default()
            }
            .into(),
            Self::Error(message) => internal::FrameworkErrorMessage { message }.into(),
        }
    }
}

fn failure(agent: v1::AgentId, executor_id: Option<v1::ExecutorId>, status: Option<i32>) -> Event {
    Event {
        failure: Some(event::Failure {
            agent_id: Some(agent),
            executor_id,
            status,
        }),
        ..of_type(event::Type::Failure)
    }
}
