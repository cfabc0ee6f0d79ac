//! Executors: `/api/v1/executor` of their agent.

use meseta_proto::mesos::v1::executor;

use crate::calls::Calls;
use crate::codec::Format;
use crate::error::ClientError;
use crate::events::Events;
use crate::retry::Retry;
use crate::subscription::Target;

const PATH: &str = "/api/v1/executor";

/// Subscribes an executor to its agent.
#[derive(Debug, Clone)]
pub struct ExecutorClient {
    /// The agent, as `MESOS_AGENT_ENDPOINT` says: `ip:port`.
    pub agent: String,
    /// The form of calls and events.
    pub format: Format,
    /// How long to wait for an agent that is away: [`Retry::within`] of `MESOS_RECOVERY_TIMEOUT` for
    /// a checkpointing framework.
    pub retry: Retry,
}

/// A subscribed executor.
#[derive(Debug)]
pub struct ExecutorSubscription {
    /// Begins with SUBSCRIBED. Its end means that the agent is gone; subscribe again with what is
    /// unacknowledged, or end when the framework does not checkpoint.
    pub events: Events<executor::Event>,
    /// Updates and messages.
    pub calls: Calls<executor::Call>,
}

impl ExecutorClient {
    /// A client of that agent with defaults for the rest.
    #[must_use]
    pub fn new(agent: impl Into<String>) -> Self {
        Self {
            agent: agent.into(),
            format: Format::default(),
            retry: Retry::default(),
        }
    }

    /// Opens the event stream with `call`, which must be a SUBSCRIBE.
    ///
    /// # Errors
    /// [`ClientError`] once the tries are used up, or at the first refusal that will not pass.
    pub async fn subscribe(
        &self,
        call: &executor::Call,
    ) -> Result<ExecutorSubscription, ClientError> {
        let body = self.format.encode(call);
        let target = Target {
            what: "subscribe to the agent",
            addresses: std::slice::from_ref(&self.agent),
            path: PATH,
            format: self.format,
            retry: self.retry,
            body: &body,
        };
        let opened = target.open().await?;
        let calls = Calls::new("call the agent", &opened.at, PATH, None, self.format);
        Ok(ExecutorSubscription {
            events: Events::new(opened.halves, self.format, "executor events", &opened.at),
            calls,
        })
    }
}
