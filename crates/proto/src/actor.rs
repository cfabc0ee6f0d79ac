//! Actor messages: what masters, agents, v0 drivers and v0 executors send one another.
//!
//! On the wire each is `POST /<actor>/<full message name>` with a protobuf body, so the name travels
//! beside the bytes and picks the type. [`Message`] is that choice as a value: one variant per message
//! that travels, named as in Mesos without the ending `Message`.
//!
//! Every payload is boxed, so that a queue of messages costs two words each whatever they hold; build
//! one with `Message::from(payload)`.
use crate::binary::{self, DecodeError};
use crate::mesos::{internal, scheduler};

macro_rules! messages {
    ($($variant:ident, $payload:ty, $name:literal;)*) => {
        /// A message between actors.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Message {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant(Box<$payload>),
            )*
        }

        impl Message {
            /// The full names of all messages, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Decodes the body of the message called `full_name`, for example
            /// `mesos.internal.RegisterSlaveMessage`.
            ///
            /// # Errors
            /// [`DecodeError::UnknownMessage`] when no message has this name (Mesos drops such a message
            /// without a word), else whatever [`crate::decode`] finds wrong with the bytes.
            pub fn decode(full_name: &str, bytes: &[u8]) -> Result<Self, DecodeError> {
                match full_name {
                    $($name => binary::decode::<$payload>(bytes).map(Self::from),)*
                    _ => Err(DecodeError::UnknownMessage { name: full_name.to_owned() }),
                }
            }

            /// The full message name, the last segment of the path that it is posted to.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// The protobuf body.
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$variant(payload) => binary::encode(payload.as_ref()),)*
                }
            }
        }

        $(
            impl From<$payload> for Message {
                fn from(payload: $payload) -> Self {
                    Self::$variant(Box::new(payload))
                }
            }
        )*
    };
}

messages! {
    // Schedulers of the v0 driver and the master.
    SchedulerCall, scheduler::Call, "mesos.scheduler.Call";
    RegisterFramework, internal::RegisterFrameworkMessage, "mesos.internal.RegisterFrameworkMessage";
    ReregisterFramework, internal::ReregisterFrameworkMessage, "mesos.internal.ReregisterFrameworkMessage";
    FrameworkRegistered, internal::FrameworkRegisteredMessage, "mesos.internal.FrameworkRegisteredMessage";
    FrameworkReregistered, internal::FrameworkReregisteredMessage, "mesos.internal.FrameworkReregisteredMessage";
    UnregisterFramework, internal::UnregisterFrameworkMessage, "mesos.internal.UnregisterFrameworkMessage";
    DeactivateFramework, internal::DeactivateFrameworkMessage, "mesos.internal.DeactivateFrameworkMessage";
    ResourceRequest, internal::ResourceRequestMessage, "mesos.internal.ResourceRequestMessage";
    ResourceOffers, internal::ResourceOffersMessage, "mesos.internal.ResourceOffersMessage";
    InverseOffers, internal::InverseOffersMessage, "mesos.internal.InverseOffersMessage";
    LaunchTasks, internal::LaunchTasksMessage, "mesos.internal.LaunchTasksMessage";
    RescindResourceOffer, internal::RescindResourceOfferMessage, "mesos.internal.RescindResourceOfferMessage";
    RescindInverseOffer, internal::RescindInverseOfferMessage, "mesos.internal.RescindInverseOfferMessage";
    ReviveOffers, internal::ReviveOffersMessage, "mesos.internal.ReviveOffersMessage";
    LostSlave, internal::LostSlaveMessage, "mesos.internal.LostSlaveMessage";
    FrameworkError, internal::FrameworkErrorMessage, "mesos.internal.FrameworkErrorMessage";
    ExecutorToFramework, internal::ExecutorToFrameworkMessage, "mesos.internal.ExecutorToFrameworkMessage";
    FrameworkToExecutor, internal::FrameworkToExecutorMessage, "mesos.internal.FrameworkToExecutorMessage";

    // Master and agent.
    RegisterSlave, internal::RegisterSlaveMessage, "mesos.internal.RegisterSlaveMessage";
    ReregisterSlave, internal::ReregisterSlaveMessage, "mesos.internal.ReregisterSlaveMessage";
    SlaveRegistered, internal::SlaveRegisteredMessage, "mesos.internal.SlaveRegisteredMessage";
    SlaveReregistered, internal::SlaveReregisteredMessage, "mesos.internal.SlaveReregisteredMessage";
    UnregisterSlave, internal::UnregisterSlaveMessage, "mesos.internal.UnregisterSlaveMessage";
    PingSlave, internal::PingSlaveMessage, "mesos.internal.PingSlaveMessage";
    PongSlave, internal::PongSlaveMessage, "mesos.internal.PongSlaveMessage";
    UpdateFramework, internal::UpdateFrameworkMessage, "mesos.internal.UpdateFrameworkMessage";
    ShutdownFramework, internal::ShutdownFrameworkMessage, "mesos.internal.ShutdownFrameworkMessage";
    CheckpointResources, internal::CheckpointResourcesMessage, "mesos.internal.CheckpointResourcesMessage";
    ApplyOperation, internal::ApplyOperationMessage, "mesos.internal.ApplyOperationMessage";
    UpdateSlave, internal::UpdateSlaveMessage, "mesos.internal.UpdateSlaveMessage";
    UpdateOperationStatus, internal::UpdateOperationStatusMessage, "mesos.internal.UpdateOperationStatusMessage";
    AcknowledgeOperationStatus, internal::AcknowledgeOperationStatusMessage, "mesos.internal.AcknowledgeOperationStatusMessage";
    ReconcileOperations, internal::ReconcileOperationsMessage, "mesos.internal.ReconcileOperationsMessage";
    ReconcileTasks, internal::ReconcileTasksMessage, "mesos.internal.ReconcileTasksMessage";
    DrainSlave, internal::DrainSlaveMessage, "mesos.internal.DrainSlaveMessage";
    ExitedExecutor, internal::ExitedExecutorMessage, "mesos.internal.ExitedExecutorMessage";
    Shutdown, internal::ShutdownMessage, "mesos.internal.ShutdownMessage";

    // All the way from a scheduler to an executor or back.
    RunTask, internal::RunTaskMessage, "mesos.internal.RunTaskMessage";
    RunTaskGroup, internal::RunTaskGroupMessage, "mesos.internal.RunTaskGroupMessage";
    KillTask, internal::KillTaskMessage, "mesos.internal.KillTaskMessage";
    StatusUpdate, internal::StatusUpdateMessage, "mesos.internal.StatusUpdateMessage";
    StatusUpdateAcknowledgement, internal::StatusUpdateAcknowledgementMessage, "mesos.internal.StatusUpdateAcknowledgementMessage";
    ShutdownExecutor, internal::ShutdownExecutorMessage, "mesos.internal.ShutdownExecutorMessage";

    // Agent and executors of the v0 driver, and the health checker beside such an executor.
    RegisterExecutor, internal::RegisterExecutorMessage, "mesos.internal.RegisterExecutorMessage";
    ReregisterExecutor, internal::ReregisterExecutorMessage, "mesos.internal.ReregisterExecutorMessage";
    ExecutorRegistered, internal::ExecutorRegisteredMessage, "mesos.internal.ExecutorRegisteredMessage";
    ExecutorReregistered, internal::ExecutorReregisteredMessage, "mesos.internal.ExecutorReregisteredMessage";
    ReconnectExecutor, internal::ReconnectExecutorMessage, "mesos.internal.ReconnectExecutorMessage";
    TaskHealthStatus, internal::TaskHealthStatus, "mesos.internal.TaskHealthStatus";

    // Authentication, between an authenticatee and the master's authenticator.
    Authenticate, internal::AuthenticateMessage, "mesos.internal.AuthenticateMessage";
    AuthenticationMechanisms, internal::AuthenticationMechanismsMessage, "mesos.internal.AuthenticationMechanismsMessage";
    AuthenticationStart, internal::AuthenticationStartMessage, "mesos.internal.AuthenticationStartMessage";
    AuthenticationStep, internal::AuthenticationStepMessage, "mesos.internal.AuthenticationStepMessage";
    AuthenticationCompleted, internal::AuthenticationCompletedMessage, "mesos.internal.AuthenticationCompletedMessage";
    AuthenticationFailed, internal::AuthenticationFailedMessage, "mesos.internal.AuthenticationFailedMessage";
    AuthenticationError, internal::AuthenticationErrorMessage, "mesos.internal.AuthenticationErrorMessage";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pick_the_type() {
        let pong = Message::from(internal::PongSlaveMessage {});
        assert_eq!(
            (pong.name(), pong.encode()),
            ("mesos.internal.PongSlaveMessage", Vec::new())
        );
        assert_eq!(Message::decode(pong.name(), b""), Ok(pong));
        let name = "mesos.internal.NoSuchMessage".to_owned();
        assert_eq!(
            Message::decode(&name, b""),
            Err(DecodeError::UnknownMessage { name })
        );
        let nameless = Message::decode("mesos.internal.RegisterExecutorMessage", b"");
        let refusal = nameless.map_err(|error| error.to_string());
        let expected = "Missing required fields: framework_id, executor_id";
        assert_eq!(refusal, Err(expected.to_owned()));
    }

    #[test]
    fn every_name_is_of_one_message() {
        let mut names = Message::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Message::NAMES.len());
        for name in names {
            let known = Message::decode(name, b"\xff");
            assert!(
                matches!(known, Err(DecodeError::Malformed { .. })),
                "{name}"
            );
        }
    }
}
