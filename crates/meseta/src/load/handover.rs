//! `meseta sim handover`: how long a freed resource takes to another framework.
//!
//! Two frameworks take everything that one agent has, in turn: while one's task runs it suppresses
//! offers and the other waits. From the arrival of the task's end at the one to the arrival of the offer
//! at the other is one handover.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meseta_client::{Events, Retry};
use meseta_proto::mesos::v1::{self, TaskState, scheduler};
use serde_json::json;

use super::executor_info;
use super::report::Times;
use super::scheduler::executor_needs;
use super::session::{Session, framework_info};
use crate::cli::output::is_over;
use crate::cli::placement::Pool;

/// Refused for as long as all handovers take.
const REFUSE_SECONDS: f64 = 3600.0;

/// Two frameworks that take turns.
#[derive(Debug, Clone, clap::Args)]
pub struct Handover {
    /// HOST:PORT of the master
    #[arg(long, env = "MESETA_MASTER", default_value = "127.0.0.1:5050")]
    pub master: String,
    /// How many handovers
    #[arg(long, default_value_t = 200)]
    pub count: usize,
    /// How long each task runs, milliseconds
    #[arg(long, default_value_t = 10)]
    pub task_ms: u64,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 60)]
    pub limit: u64,
}

/// Runs them and prints how long handovers took.
///
/// # Errors
/// No master answers, a task does not finish, or it takes too long.
pub async fn run(handover: Handover) -> anyhow::Result<i32> {
    let limit = Duration::from_secs(handover.limit);
    let mut times = tokio::time::timeout(limit, take_turns(&handover))
        .await
        .with_context(|| format!("not done within {limit:?}"))??;
    let [p50, p99, slowest] = times.millis([50, 99, 100]);
    let report = json!({
        "handovers": times.count(),
        "freed_to_offer_p50_ms": p50,
        "freed_to_offer_p99_ms": p99,
        "freed_to_offer_slowest_ms": slowest,
    });
    println!("{report}");
    Ok(0)
}

async fn take_turns(handover: &Handover) -> anyhow::Result<Times> {
    let mut times = Times::default();
    let mut one = Framework::subscribe(handover, false).await?;
    let mut other = Framework::subscribe(handover, true).await?;
    let mut freed: Option<Instant> = None;
    let mut agent = None;
    for _ in 0..=handover.count {
        let (offer, came) = one.offer(agent.as_ref()).await?;
        if let Some(freed) = freed {
            times.add(came - freed);
        }
        agent = Some(offer.agent_id.clone());
        one.launch(&offer, handover.task_ms).await?;
        one.session
            .send(scheduler::call::Type::Suppress, |_| {})
            .await?;
        other
            .session
            .send(scheduler::call::Type::Revive, |_| {})
            .await?;
        freed = Some(one.finished().await?);
        std::mem::swap(&mut one, &mut other);
    }
    one.session.tear_down().await?;
    other.session.tear_down().await?;
    Ok(times)
}

struct Framework {
    session: Session,
    events: Events<scheduler::Event>,
    /// Stays on the agent once it was launched.
    executor: Option<v1::ExecutorInfo>,
    next: usize,
}

impl Framework {
    async fn subscribe(handover: &Handover, suppressed: bool) -> anyhow::Result<Self> {
        let info = framework_info("handover", "root", false);
        let (session, events) =
            Session::subscribe(&handover.master, info, suppressed, Retry::default()).await?;
        Ok(Self {
            session,
            events,
            executor: None,
            next: 0,
        })
    }

    async fn event(&mut self) -> anyhow::Result<scheduler::Event> {
        let event = self.events.next().await?;
        let event = event.context("the master ended the stream")?;
        if let Some(error) = event.error {
            bail!("the master says: {}", error.message);
        }
        Ok(event)
    }

    /// The next offer of this agent, or of any; others are declined.
    async fn offer(&mut self, agent: Option<&v1::AgentId>) -> anyhow::Result<(v1::Offer, Instant)> {
        loop {
            let event = self.event().await?;
            let now = Instant::now();
            let mut found = None;
            for offer in event.offers.map(|offers| offers.offers).unwrap_or_default() {
                if found.is_none() && agent.is_none_or(|agent| *agent == offer.agent_id) {
                    found = Some((offer, now));
                } else {
                    self.session.decline(&offer.id, REFUSE_SECONDS).await?;
                }
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// A task that takes the whole offer, but for what the executor takes at first.
    async fn launch(&mut self, offer: &v1::Offer, task_ms: u64) -> anyhow::Result<()> {
        let mut pool = Pool::new(offer);
        if self.executor.is_none() {
            let own = pool.take(&executor_needs());
            let own = own.context("the agent is too small for an executor")?;
            self.executor = Some(executor_info(None, own));
        }
        let name = format!("handover-{}", self.next);
        self.next += 1;
        let task = v1::TaskInfo {
            name: name.clone(),
            task_id: v1::TaskId { value: name },
            agent_id: offer.agent_id.clone(),
            resources: pool.rest(),
            executor: self.executor.clone(),
            data: Some(bytes::Bytes::from(task_ms.to_string())),
            ..Default::default()
        };
        self.session
            .launch(&offer.id, vec![task], REFUSE_SECONDS)
            .await
    }

    /// Waits until the task has finished, acknowledging on the way; when that was known here.
    async fn finished(&mut self) -> anyhow::Result<Instant> {
        loop {
            let event = self.event().await?;
            let now = Instant::now();
            let Some(update) = event.update else {
                continue;
            };
            let state = update.status.state();
            self.session.acknowledge(&update.status).await?;
            if state == TaskState::TaskFinished {
                return Ok(now);
            }
            if is_over(state) {
                bail!(
                    "a task ended as {}: {}",
                    state.as_str_name(),
                    update.status.message()
                );
            }
        }
    }
}
