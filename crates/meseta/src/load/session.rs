//! A subscribed framework: its id, and its calls under way.

use anyhow::{Context, bail};
use meseta_client::{Calls, ClientError, Events, Retry, SchedulerClient};
use meseta_proto::mesos::v1::{
    self, framework_info::capability::Type as Capability, offer::operation, scheduler,
};
use scheduler::call::Type;
use tokio::task::JoinSet;

/// Calls that are under way at once. More wait for the first to be answered.
const CALLS_UNDER_WAY: usize = 1024;

/// One subscription of a framework of a load.
pub struct Session {
    id: v1::FrameworkId,
    calls: Calls<scheduler::Call>,
    under_way: JoinSet<Result<(), ClientError>>,
}

impl Session {
    /// Subscribes; with an id in `info`, again.
    ///
    /// # Errors
    /// No master answers, or it refuses the framework.
    pub async fn subscribe(
        master: &str,
        info: v1::FrameworkInfo,
        suppressed: bool,
        retry: Retry,
    ) -> anyhow::Result<(Self, Events<scheduler::Event>)> {
        let client = SchedulerClient {
            retry,
            ..SchedulerClient::new(vec![master.to_owned()])
        };
        let suppressed_roles = if suppressed {
            info.roles.clone()
        } else {
            Vec::new()
        };
        let call = scheduler::Call {
            r#type: Some(Type::Subscribe.into()),
            framework_id: info.id.clone(),
            subscribe: Some(scheduler::call::Subscribe {
                framework_info: info,
                suppressed_roles,
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut subscription = client.subscribe(&call).await?;
        let first = subscription.events.next().await?;
        let first = first.context("the stream ended before it began")?;
        if let Some(error) = first.error {
            bail!("the master refuses this framework: {}", error.message);
        }
        let subscribed = first
            .subscribed
            .context("the stream does not begin with SUBSCRIBED")?;
        let session = Self {
            id: subscribed.framework_id,
            calls: subscription.calls,
            under_way: JoinSet::new(),
        };
        Ok((session, subscription.events))
    }

    /// The framework's id.
    #[must_use]
    pub fn id(&self) -> &v1::FrameworkId {
        &self.id
    }

    /// Puts a call on its way.
    ///
    /// # Errors
    /// It could not be sent, or the master refused an earlier one.
    pub async fn send(
        &mut self,
        kind: Type,
        fill: impl FnOnce(&mut scheduler::Call),
    ) -> anyhow::Result<()> {
        let mut call = scheduler::Call {
            r#type: Some(kind.into()),
            framework_id: Some(self.id.clone()),
            ..Default::default()
        };
        fill(&mut call);
        let sent = self.calls.send(&call).await?;
        self.under_way.spawn(sent.accepted());
        while let Some(answer) = self.under_way.try_join_next() {
            answer??;
        }
        while self.under_way.len() > CALLS_UNDER_WAY {
            if let Some(answer) = self.under_way.join_next().await {
                answer??;
            }
        }
        Ok(())
    }

    /// Waits for the answers to all calls under way.
    ///
    /// # Errors
    /// The master refused one.
    pub async fn answers(&mut self) -> anyhow::Result<()> {
        while let Some(answer) = self.under_way.join_next().await {
            answer??;
        }
        Ok(())
    }

    /// Launches tasks on an offer; what is left of it is refused for so long.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn launch(
        &mut self,
        offer: &v1::OfferId,
        tasks: Vec<v1::TaskInfo>,
        refuse_seconds: f64,
    ) -> anyhow::Result<()> {
        let launch = v1::offer::Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(operation::Launch { task_infos: tasks }),
            ..Default::default()
        };
        let accept = scheduler::call::Accept {
            offer_ids: vec![offer.clone()],
            operations: vec![launch],
            filters: filters(refuse_seconds),
        };
        self.send(Type::Accept, |call| call.accept = Some(accept))
            .await
    }

    /// Refuses an offer for so long.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn decline(&mut self, offer: &v1::OfferId, seconds: f64) -> anyhow::Result<()> {
        let decline = scheduler::call::Decline {
            offer_ids: vec![offer.clone()],
            filters: filters(seconds),
        };
        self.send(Type::Decline, |call| call.decline = Some(decline))
            .await
    }

    /// Acknowledges a status, if it wants to be.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn acknowledge(&mut self, status: &v1::TaskStatus) -> anyhow::Result<()> {
        let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) else {
            return Ok(());
        };
        let acknowledge = scheduler::call::Acknowledge {
            agent_id: agent_id.clone(),
            task_id: status.task_id.clone(),
            uuid: uuid.clone(),
        };
        self.send(Type::Acknowledge, |call| {
            call.acknowledge = Some(acknowledge)
        })
        .await
    }

    /// Removes the framework, and waits until that is taken.
    ///
    /// # Errors
    /// As [`Session::answers`].
    pub async fn tear_down(&mut self) -> anyhow::Result<()> {
        self.answers().await?;
        self.send(Type::Teardown, |_| {}).await?;
        self.answers().await
    }
}

fn filters(refuse_seconds: f64) -> Option<v1::Filters> {
    Some(v1::Filters {
        refuse_seconds: Some(refuse_seconds),
    })
}

/// A framework of a load.
#[must_use]
pub fn framework_info(name: &str, user: &str, checkpoint: bool) -> v1::FrameworkInfo {
    let capabilities = [
        Capability::MultiRole,
        Capability::PartitionAware,
        Capability::ReservationRefinement,
    ];
    let capabilities = capabilities.map(|kind| v1::framework_info::Capability {
        r#type: Some(kind.into()),
    });
    v1::FrameworkInfo {
        user: user.to_owned(),
        name: name.to_owned(),
        roles: vec!["*".to_owned()],
        checkpoint: Some(checkpoint),
        failover_timeout: Some(3600.0),
        capabilities: capabilities.into(),
        ..Default::default()
    }
}
