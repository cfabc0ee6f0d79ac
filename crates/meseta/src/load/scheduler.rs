//! The load's scheduler.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meseta_client::{Events, Retry};
use meseta_model::rng::Rng;
use meseta_proto::mesos::v1::{self, TaskState, scheduler};

use super::report::Report;
use super::session::{Session, framework_info};
use super::{Executor, Load, executor_info};
use crate::cli::output::is_over;
use crate::cli::placement::{Needs, Pool};

/// Refused for long: whoever has enough tasks running needs no more offers.
const REFUSE_SECONDS: f64 = 3600.0;

/// Runs the load and prints its report; the exit code says whether every task finished once.
///
/// # Errors
/// No master answers within the limit, or it refuses the framework.
pub async fn run(load: Load) -> anyhow::Result<i32> {
    let mut scheduler = Scheduler::new(load);
    let limit = scheduler.load.limit();
    let done = tokio::time::timeout(limit, scheduler.run()).await;
    let tasks = scheduler.load.tasks;
    println!("{}", scheduler.report.json(tasks));
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(error),
        Err(_) => eprintln!("meseta: not done within {limit:?}"),
    }
    let finished = scheduler
        .report
        .ends
        .values()
        .filter(|state| **state == TaskState::TaskFinished)
        .count();
    Ok(i32::from(finished != tasks || scheduler.report.doubled > 0))
}

struct Scheduler {
    load: Load,
    id: Option<v1::FrameworkId>,
    session: Option<Session>,
    rng: Rng,
    next: usize,
    agents: BTreeMap<usize, v1::AgentId>,
    accepted: BTreeMap<usize, Instant>,
    first_offer: Option<Instant>,
    report: Report,
}

impl Scheduler {
    fn new(load: Load) -> Self {
        Self {
            load,
            id: None,
            session: None,
            rng: Rng::new(1),
            next: 0,
            agents: BTreeMap::new(),
            accepted: BTreeMap::new(),
            first_offer: None,
            report: Report::default(),
        }
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        // Held until after the teardown: a framework without its stream is disconnected.
        let mut events = self.subscribe().await?;
        while let Err(error) = self.follow(&mut events).await {
            eprintln!("meseta: {error:#}; subscribing again");
            self.report.resubscribed += 1;
            // Answers to calls over the old connection say nothing any more.
            self.session = None;
            events = self.subscribe().await?;
        }
        self.report.elapsed = self
            .first_offer
            .map_or(Duration::ZERO, |first| first.elapsed());
        self.session()?.tear_down().await
    }

    fn session(&mut self) -> anyhow::Result<&mut Session> {
        self.session.as_mut().context("not subscribed")
    }

    async fn subscribe(&mut self) -> anyhow::Result<Events<scheduler::Event>> {
        let retry = Retry {
            attempts: u32::MAX,
            ..Retry::default()
        };
        let info = v1::FrameworkInfo {
            id: self.id.clone(),
            ..framework_info("load", &self.load.user, self.load.checkpoint)
        };
        let (session, events) = Session::subscribe(&self.load.master, info, false, retry).await?;
        let again = self.id.replace(session.id().clone()).is_some();
        self.session = Some(session);
        if again {
            self.reconcile().await?;
        }
        Ok(events)
    }

    async fn follow(&mut self, events: &mut Events<scheduler::Event>) -> anyhow::Result<()> {
        while self.report.ends.len() < self.load.tasks {
            let event = events
                .next()
                .await?
                .context("the master ended the stream")?;
            if let Some(error) = event.error {
                bail!("the master says: {}", error.message);
            }
            if let Some(offers) = event.offers {
                self.first_offer.get_or_insert_with(Instant::now);
                for offer in offers.offers {
                    self.offered(&offer).await?;
                }
            }
            if let Some(update) = event.update {
                self.updated(update.status).await?;
            }
        }
        Ok(())
    }

    async fn offered(&mut self, offer: &v1::Offer) -> anyhow::Result<()> {
        let mut pool = Pool::new(offer);
        let mut tasks = Vec::new();
        let executor = match self.load.executor {
            Executor::Custom => pool
                .take(&executor_needs())
                .map(|resources| executor_info(self.load.ledger.as_deref(), resources)),
            Executor::Command => None,
        };
        let needs = Needs {
            scalars: vec![("cpus", self.load.cpus), ("mem", self.load.mem)],
            ..Needs::default()
        };
        let running = self.next - self.report.ends.len();
        let most = self
            .load
            .per_accept
            .min(self.load.at_once.saturating_sub(running));
        while self.next < self.load.tasks && tasks.len() < most {
            let Some(resources) = pool.take(&needs) else {
                break;
            };
            tasks.push(self.task(self.next, &offer.agent_id, resources, executor.as_ref()));
            self.agents.insert(self.next, offer.agent_id.clone());
            self.accepted.insert(self.next, Instant::now());
            self.next += 1;
        }
        let refusal = self.refusal();
        if tasks.is_empty() {
            return self.session()?.decline(&offer.id, refusal).await;
        }
        self.session()?.launch(&offer.id, tasks, refusal).await
    }

    /// What is left over is wanted as long as tasks wait.
    fn refusal(&self) -> f64 {
        if self.next < self.load.tasks {
            0.0
        } else {
            REFUSE_SECONDS
        }
    }

    fn task(
        &mut self,
        index: usize,
        agent_id: &v1::AgentId,
        resources: Vec<v1::Resource>,
        executor: Option<&v1::ExecutorInfo>,
    ) -> v1::TaskInfo {
        let task_ms = match self.load.task_ms {
            0 => 0,
            ms if self.load.vary => self.rng.below(2 * ms + 1),
            ms => ms,
        };
        let command = executor.is_none().then(|| v1::CommandInfo {
            value: Some(self.line(index, task_ms)),
            ..Default::default()
        });
        let work = executor
            .is_some()
            .then(|| bytes::Bytes::from(task_ms.to_string()));
        v1::TaskInfo {
            name: format!("load-{index}"),
            task_id: v1::TaskId {
                value: format!("load-{index}"),
            },
            agent_id: agent_id.clone(),
            resources,
            command,
            executor: executor.cloned(),
            data: work,
            ..Default::default()
        }
    }

    fn line(&self, index: usize, task_ms: u64) -> String {
        let note = self
            .load
            .ledger
            .as_ref()
            .map(|path| format!("echo load-{index} >> {}; ", path.display()));
        let note = note.unwrap_or_default();
        match task_ms {
            0 if note.is_empty() => "true".to_owned(),
            0 => note,
            ms => format!("{note}sleep {}", ms as f64 / 1000.0),
        }
    }

    async fn updated(&mut self, status: v1::TaskStatus) -> anyhow::Result<()> {
        self.report.updates += 1;
        let state = status.state();
        self.session()?.acknowledge(&status).await?;
        let index = status
            .task_id
            .value
            .strip_prefix("load-")
            .and_then(|index| index.parse().ok());
        let Some(index) = index else { return Ok(()) };
        if state == TaskState::TaskRunning
            && let Some(accepted) = self.accepted.remove(&index)
        {
            self.report.to_running.add(accepted.elapsed());
        }
        if is_over(state)
            && self
                .report
                .ends
                .insert(index, state)
                .is_some_and(|before| before != state)
        {
            self.report.doubled += 1;
        }
        Ok(())
    }

    /// Asks for everything that was launched and is not over: an ACCEPT may have been lost.
    async fn reconcile(&mut self) -> anyhow::Result<()> {
        let open = (0..self.next).filter(|index| !self.report.ends.contains_key(index));
        let tasks = open.map(|index| scheduler::call::reconcile::Task {
            task_id: v1::TaskId {
                value: format!("load-{index}"),
            },
            agent_id: self.agents.get(&index).cloned(),
        });
        let reconcile = scheduler::call::Reconcile {
            tasks: tasks.collect(),
        };
        if reconcile.tasks.is_empty() {
            return Ok(());
        }
        self.session()?
            .send(scheduler::call::Type::Reconcile, |call| {
                call.reconcile = Some(reconcile)
            })
            .await
    }
}

/// What the custom executor itself takes.
pub(super) fn executor_needs() -> Needs {
    Needs {
        scalars: vec![("cpus", 0.1), ("mem", 32.0)],
        ..Needs::default()
    }
}
