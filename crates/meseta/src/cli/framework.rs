//! The small framework behind `meseta run` and the demo: places tasks on offers, acknowledges their
//! updates, and tells what happens. It speaks the public scheduler API and nothing else.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use meseta_client::{Calls, Events, Retry, SchedulerClient};
use meseta_proto::mesos::v1::{self, scheduler};

use super::placement::{Needs, Pool};

/// A task to run.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Everything but the agent and the resources, which come with the placement.
    pub task: v1::TaskInfo,
    /// What it needs.
    pub needs: Needs,
}

/// Where a placed task runs and how far it is.
#[derive(Debug, Clone)]
pub struct Placed {
    /// On which agent.
    pub agent_id: v1::AgentId,
    /// Where that agent listens, `ip:port`.
    pub agent: String,
    /// Its name, for people.
    pub hostname: String,
    /// The newest status.
    pub status: Option<v1::TaskStatus>,
}

/// What happened.
#[derive(Debug)]
pub enum Happening {
    /// Offers came; these tasks were launched, the others fit none of them.
    Offered {
        /// Indexes of the launched tasks.
        launched: Vec<usize>,
    },
    /// A task has a new status.
    Update {
        /// Which.
        index: usize,
        /// What.
        status: Box<v1::TaskStatus>,
    },
    /// Nothing of interest.
    Nothing,
}

/// A subscribed framework and its tasks.
pub struct Framework {
    calls: Calls<scheduler::Call>,
    events: Events<scheduler::Event>,
    id: v1::FrameworkId,
    wanted: Vec<Wanted>,
    placed: Vec<Option<Placed>>,
    by_id: BTreeMap<String, usize>,
    suppressed: bool,
}

impl Framework {
    /// Subscribes to the master at `master`.
    ///
    /// # Errors
    /// Nobody answers there, or the master refuses the framework.
    pub async fn subscribe(master: &str, info: v1::FrameworkInfo) -> anyhow::Result<Self> {
        let client = SchedulerClient {
            retry: Retry::never(),
            ..SchedulerClient::new(vec![master.to_owned()])
        };
        let call = scheduler::Call {
            r#type: Some(scheduler::call::Type::Subscribe.into()),
            framework_id: info.id.clone(),
            subscribe: Some(scheduler::call::Subscribe {
                framework_info: info,
                ..Default::default()
            }),
            ..Default::default()
        };
        let subscription = client.subscribe(&call).await?;
        let mut events = subscription.events;
        let first = events
            .next()
            .await?
            .context("the master ended the stream before it began")?;
        if let Some(error) = first.error {
            return Err(anyhow!(
                "the master refuses this framework: {}",
                error.message
            ));
        }
        let id = first
            .subscribed
            .context("the stream does not begin with SUBSCRIBED")?
            .framework_id;
        Ok(Self {
            calls: subscription.calls,
            events,
            id,
            wanted: Vec::new(),
            placed: Vec::new(),
            by_id: BTreeMap::new(),
            suppressed: false,
        })
    }

    /// This framework's id.
    pub fn id(&self) -> &v1::FrameworkId {
        &self.id
    }

    /// The tasks, in the order in which they were added.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// Where task `index` runs, once it was launched.
    pub fn placed(&self, index: usize) -> Option<&Placed> {
        self.placed.get(index).and_then(Option::as_ref)
    }

    /// The tasks that wait for an offer.
    pub fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.wanted.len()).filter(|&index| self.placed.get(index).is_some_and(Option::is_none))
    }

    /// Adds tasks; offers that come from now on may run them.
    ///
    /// # Errors
    /// The master cannot be told to offer again.
    pub async fn add(&mut self, tasks: Vec<Wanted>) -> anyhow::Result<()> {
        for wanted in tasks {
            self.by_id
                .insert(wanted.task.task_id.value.clone(), self.wanted.len());
            self.wanted.push(wanted);
            self.placed.push(None);
        }
        if std::mem::take(&mut self.suppressed) {
            self.send(scheduler::call::Type::Revive, |_| {}).await?;
        }
        Ok(())
    }

    /// The next thing that happens. Dropped half-way it may lose one; where something else is waited
    /// for as well, wait for [`Framework::event`] and take it in after.
    ///
    /// # Errors
    /// The stream ended: the master is gone, or it removed this framework.
    pub async fn next(&mut self) -> anyhow::Result<Happening> {
        let event = self.event().await?;
        self.take_in(event).await
    }

    /// The next event. Nothing is lost when this is dropped while it waits.
    ///
    /// # Errors
    /// As [`Framework::next`].
    pub async fn event(&mut self) -> anyhow::Result<scheduler::Event> {
        let event = self.events.next().await?;
        event.context("the master ended the stream")
    }

    /// Answers an event, and says what it means. To be waited for to its end.
    ///
    /// # Errors
    /// The master cannot be told, or says that something is wrong.
    pub async fn take_in(&mut self, event: scheduler::Event) -> anyhow::Result<Happening> {
        if let Some(error) = event.error {
            return Err(anyhow!("the master says: {}", error.message));
        }
        if let Some(offers) = event.offers {
            let launched = self.offered(offers.offers).await?;
            return Ok(Happening::Offered { launched });
        }
        match event.update {
            Some(update) => self.updated(update.status).await,
            None => Ok(Happening::Nothing),
        }
    }

    async fn offered(&mut self, offers: Vec<v1::Offer>) -> anyhow::Result<Vec<usize>> {
        let mut launched = Vec::new();
        for offer in offers {
            let fits = self.fit(&offer);
            if fits.is_empty() {
                self.decline(offer.id).await?;
                continue;
            }
            launched.extend(fits.iter().map(|(index, _)| *index));
            self.accept(&offer, fits).await?;
        }
        if self.waiting().next().is_none() && !std::mem::replace(&mut self.suppressed, true) {
            self.send(scheduler::call::Type::Suppress, |_| {}).await?;
        }
        Ok(launched)
    }

    /// The waiting tasks that this offer can hold together, with the resources each takes.
    fn fit(&self, offer: &v1::Offer) -> Vec<(usize, Vec<v1::Resource>)> {
        let mut pool = Pool::new(offer);
        let waiting: Vec<usize> = self.waiting().collect();
        let taken = waiting.into_iter().filter_map(|index| {
            let wanted = self.wanted.get(index)?;
            Some((index, pool.take(&wanted.needs)?))
        });
        taken.collect()
    }

    async fn accept(
        &mut self,
        offer: &v1::Offer,
        fits: Vec<(usize, Vec<v1::Resource>)>,
    ) -> anyhow::Result<()> {
        let mut tasks = Vec::new();
        for (index, resources) in fits {
            let Some(wanted) = self.wanted.get(index) else {
                continue;
            };
            let mut task = wanted.task.clone();
            task.agent_id = offer.agent_id.clone();
            task.resources = resources;
            tasks.push(task);
            if let Some(place) = self.placed.get_mut(index) {
                *place = Some(Placed {
                    agent_id: offer.agent_id.clone(),
                    agent: agent_address(offer),
                    hostname: offer.hostname.clone(),
                    status: None,
                });
            }
        }
        let launch = v1::offer::Operation {
            r#type: Some(v1::offer::operation::Type::Launch.into()),
            launch: Some(v1::offer::operation::Launch { task_infos: tasks }),
            ..Default::default()
        };
        let accept = scheduler::call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![launch],
            filters: Some(v1::Filters {
                refuse_seconds: Some(0.0),
            }),
        };
        self.send(scheduler::call::Type::Accept, |call| {
            call.accept = Some(accept)
        })
        .await
    }

    async fn decline(&mut self, offer: v1::OfferId) -> anyhow::Result<()> {
        let filters = Some(v1::Filters {
            refuse_seconds: Some(1.0),
        });
        let decline = scheduler::call::Decline {
            offer_ids: vec![offer],
            filters,
        };
        self.send(scheduler::call::Type::Decline, |call| {
            call.decline = Some(decline)
        })
        .await
    }

    async fn updated(&mut self, status: v1::TaskStatus) -> anyhow::Result<Happening> {
        if let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) {
            let acknowledge = scheduler::call::Acknowledge {
                agent_id: agent_id.clone(),
                task_id: status.task_id.clone(),
                uuid: uuid.clone(),
            };
            let fill = |call: &mut scheduler::Call| call.acknowledge = Some(acknowledge);
            self.send(scheduler::call::Type::Acknowledge, fill).await?;
        }
        let Some(&index) = self.by_id.get(&status.task_id.value) else {
            return Ok(Happening::Nothing);
        };
        if let Some(Some(place)) = self.placed.get_mut(index) {
            place.status = Some(status.clone());
        }
        Ok(Happening::Update {
            index,
            status: Box::new(status),
        })
    }

    /// Kills task `index` if it was launched.
    ///
    /// # Errors
    /// The master cannot be told.
    pub async fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        let (Some(place), Some(wanted)) = (self.placed(index), self.wanted.get(index)) else {
            return Ok(());
        };
        let kill = scheduler::call::Kill {
            task_id: wanted.task.task_id.clone(),
            agent_id: Some(place.agent_id.clone()),
            ..Default::default()
        };
        self.send(scheduler::call::Type::Kill, |call| call.kill = Some(kill))
            .await
    }

    /// Removes the framework, and with it whatever still runs.
    ///
    /// # Errors
    /// The master cannot be told.
    pub async fn tear_down(mut self) -> anyhow::Result<()> {
        self.send(scheduler::call::Type::Teardown, |_| {}).await
    }

    async fn send(
        &mut self,
        kind: scheduler::call::Type,
        fill: impl FnOnce(&mut scheduler::Call),
    ) -> anyhow::Result<()> {
        let mut call = scheduler::Call {
            r#type: Some(kind.into()),
            framework_id: Some(self.id.clone()),
            ..Default::default()
        };
        fill(&mut call);
        self.calls.call(&call).await.map_err(Into::into)
    }
}

/// `ip:port` of the agent that made the offer.
fn agent_address(offer: &v1::Offer) -> String {
    let address = offer.url.as_ref().map(|url| &url.address);
    let host = address.and_then(|address| address.ip.clone().or_else(|| address.hostname.clone()));
    let port = address.map_or(5051, |address| address.port);
    format!("{}:{port}", host.unwrap_or_else(|| offer.hostname.clone()))
}
