//! A framework that takes whatever it is offered: one task on each agent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use meseta_client::{Events, Retry};
use meseta_model::rng::Rng;
use meseta_proto::mesos::v1::{self, TaskState, scheduler};
use tokio::sync::watch;

use super::containers::sleep;
use super::seen::Seen;
use crate::cli::output::is_over;
use crate::load::session::{Session, framework_info};

/// Refused until after the load.
const REFUSE_SECONDS: f64 = 3600.0;

/// One framework of the load.
pub struct Framework {
    session: Session,
    events: Events<scheduler::Event>,
    seen: Arc<Seen>,
    rng: Rng,
    /// Twice this is the longest that a task takes.
    mean_ms: u64,
    next: usize,
    /// Since when each task that is not over was accepted.
    open: BTreeMap<String, Instant>,
    ends: BTreeMap<String, TaskState>,
}

impl Framework {
    /// Subscribes it.
    ///
    /// # Errors
    /// The master does not answer, or refuses it.
    pub async fn subscribe(
        master: &str,
        index: usize,
        mean_ms: u64,
        seen: Arc<Seen>,
    ) -> anyhow::Result<Self> {
        let info = framework_info(&format!("load-{index}"), "root", false);
        let (session, events) = Session::subscribe(master, info, false, Retry::default()).await?;
        Ok(Self {
            session,
            events,
            seen,
            rng: Rng::new(index as u64),
            mean_ms,
            next: 0,
            open: BTreeMap::new(),
            ends: BTreeMap::new(),
        })
    }

    /// Launches until `stop`, waits for what still runs, and leaves.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        if let Err(error) = self.follow(&mut stop).await {
            self.seen.failed(&format!("a framework: {error:#}"));
        }
        if let Err(error) = self.session.tear_down().await {
            self.seen.failed(&format!("a teardown: {error:#}"));
        }
    }

    async fn follow(&mut self, stop: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut stopping = false;
        while !(stopping && self.open.is_empty()) {
            let event = tokio::select! {
                event = self.events.next() => event?.context("the master ended the stream")?,
                // An error means that nobody can say it any more.
                _ = stop.changed(), if !stopping => {
                    stopping = true;
                    self.session.send(scheduler::call::Type::Suppress, |_| {}).await?;
                    continue;
                }
            };
            if let Some(error) = event.error {
                bail!("the master says: {}", error.message);
            }
            for offer in event.offers.map(|offers| offers.offers).unwrap_or_default() {
                self.offered(offer, stopping).await?;
            }
            if event.rescind.is_some() {
                self.seen.rescinded();
            }
            if let Some(update) = event.update {
                self.updated(update.status).await?;
            }
        }
        Ok(())
    }

    async fn offered(&mut self, offer: v1::Offer, stopping: bool) -> anyhow::Result<()> {
        let now = Instant::now();
        self.seen.offered(&offer.agent_id.value, now);
        if stopping {
            self.seen.answered(0);
            return self.session.decline(&offer.id, REFUSE_SECONDS).await;
        }
        let name = format!("{}", self.next);
        self.next += 1;
        self.open.insert(name.clone(), now);
        self.seen.answered(1);
        let task = v1::TaskInfo {
            name: name.clone(),
            task_id: v1::TaskId { value: name },
            agent_id: offer.agent_id,
            resources: offer.resources,
            command: Some(sleep(self.rng.below(2 * self.mean_ms + 1))),
            ..Default::default()
        };
        self.session.launch(&offer.id, vec![task], 0.0).await
    }

    async fn updated(&mut self, status: v1::TaskStatus) -> anyhow::Result<()> {
        let (state, id) = (status.state(), &status.task_id.value);
        let agent = status.agent_id.as_ref().map_or("", |id| id.value.as_str());
        self.seen
            .task_is(agent, state, self.open.get(id).copied(), Instant::now());
        if is_over(state) {
            self.open.remove(id);
            match self.ends.insert(id.clone(), state) {
                None => self.seen.task_over(state, false),
                Some(before) if before != state => self.seen.task_over(state, true),
                Some(_) => {}
            }
        }
        self.session.acknowledge(&status).await
    }
}
