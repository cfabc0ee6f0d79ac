//! Framework schedulers: `/api/v1/scheduler` of the leading master.

use meseta_proto::mesos::v1::scheduler;

use crate::calls::Calls;
use crate::codec::Format;
use crate::error::ClientError;
use crate::events::Events;
use crate::retry::Retry;
use crate::subscription::Target;

const PATH: &str = "/api/v1/scheduler";

/// Subscribes schedulers to whichever of the given masters leads.
#[derive(Debug, Clone)]
pub struct SchedulerClient {
    /// Masters as `host:port`, tried in turn; a master that does not lead redirects to the one that
    /// does.
    pub masters: Vec<String>,
    /// The form of calls and events.
    pub format: Format,
    /// How long to look for a leading master.
    pub retry: Retry,
}

/// A subscribed scheduler.
#[derive(Debug)]
pub struct SchedulerSubscription {
    /// The leading master, `host:port`.
    pub leader: String,
    /// Begins with SUBSCRIBED, or with ERROR and its end when the framework was refused.
    pub events: Events<scheduler::Event>,
    /// Every other call of this subscription.
    pub calls: Calls<scheduler::Call>,
}

impl SchedulerClient {
    /// A client of these masters with defaults for the rest.
    #[must_use]
    pub fn new(masters: Vec<String>) -> Self {
        Self {
            masters,
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
        call: &scheduler::Call,
    ) -> Result<SchedulerSubscription, ClientError> {
        let body = self.format.encode(call);
        let target = Target {
            what: "subscribe to the master",
            addresses: &self.masters,
            path: PATH,
            format: self.format,
            retry: self.retry,
            body: &body,
        };
        let opened = target.open().await?;
        let Some(stream_id) = opened.head.header("mesos-stream-id") else {
            return Err(ClientError::Nonsense {
                what: target.what,
                at: opened.at,
                reason: "it has no Mesos-Stream-Id".to_owned(),
            });
        };
        let calls = Calls::new(
            "call the master",
            &opened.at,
            PATH,
            Some(stream_id.to_owned()),
            self.format,
        );
        Ok(SchedulerSubscription {
            events: Events::new(opened.halves, self.format, "scheduler events", &opened.at),
            calls,
            leader: opened.at,
        })
    }
}
