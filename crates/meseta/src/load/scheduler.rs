//! The load's scheduler.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meseta_client::{Calls, Events, Retry, SchedulerClient};
use meseta_proto::mesos::v1::{
    self, TaskState, framework_info::capability::Type as Capability, scheduler,
};

use super::report::Report;
use super::{Executor, Load};
use crate::cli::output::is_over;
use crate::cli::placement::{Needs, Pool};

/// Refused for long: whoever has enough tasks running needs no more offers.
const REFUSE_SECONDS: f64 = 3600.0;
/// Calls that are under way at once. More wait for the first to be answered.
const CALLS_UNDER_WAY: usize = 1024;

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
    calls: Option<Calls<scheduler::Call>>,
    under_way: tokio::task::JoinSet<Result<(), meseta_client::ClientError>>,
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
            calls: None,
            under_way: tokio::task::JoinSet::new(),
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
            self.under_way.abort_all();
            while self.under_way.join_next().await.is_some() {}
            events = self.subscribe().await?;
        }
        self.report.elapsed = self
            .first_offer
            .map_or(Duration::ZERO, |first| first.elapsed());
        self.answers().await?;
        self.call(scheduler::call::Type::Teardown, |_| {}).await?;
        self.answers().await
    }

    /// Waits for the answers to all calls under way.
    async fn answers(&mut self) -> anyhow::Result<()> {
        while let Some(sent) = self.under_way.join_next().await {
            sent??;
        }
        Ok(())
    }

    async fn subscribe(&mut self) -> anyhow::Result<Events<scheduler::Event>> {
        let retry = Retry {
            attempts: u32::MAX,
            ..Retry::default()
        };
        let client = SchedulerClient {
            retry,
            ..SchedulerClient::new(vec![self.load.master.clone()])
        };
        let call = scheduler::Call {
            r#type: Some(scheduler::call::Type::Subscribe.into()),
            framework_id: self.id.clone(),
            subscribe: Some(scheduler::call::Subscribe {
                framework_info: self.info(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut subscription = client.subscribe(&call).await?;
        let first = subscription
            .events
            .next()
            .await?
            .context("the stream ended before it began")?;
        if let Some(error) = first.error {
            bail!("the master refuses this framework: {}", error.message);
        }
        let again = self.id.is_some();
        self.id = Some(
            first
                .subscribed
                .context("the stream does not begin with SUBSCRIBED")?
                .framework_id,
        );
        self.calls = Some(subscription.calls);
        if again {
            self.reconcile().await?;
        }
        Ok(subscription.events)
    }

    fn info(&self) -> v1::FrameworkInfo {
        let capabilities = [
            Capability::MultiRole,
            Capability::PartitionAware,
            Capability::ReservationRefinement,
        ];
        v1::FrameworkInfo {
            user: self.load.user.clone(),
            name: "load".to_owned(),
            id: self.id.clone(),
            roles: vec!["*".to_owned()],
            checkpoint: Some(self.load.checkpoint),
            failover_timeout: Some(3600.0),
            capabilities: capabilities
                .into_iter()
                .map(|kind| v1::framework_info::Capability {
                    r#type: Some(kind.into()),
                })
                .collect(),
            ..Default::default()
        }
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
                .map(|resources| self.executor(resources)),
            Executor::Command => None,
        };
        let needs = Needs {
            scalars: vec![("cpus", self.load.cpus), ("mem", self.load.mem)],
            ..Needs::default()
        };
        while self.next < self.load.tasks && tasks.len() < self.load.per_accept {
            let Some(resources) = pool.take(&needs) else {
                break;
            };
            tasks.push(self.task(self.next, &offer.agent_id, resources, executor.as_ref()));
            self.agents.insert(self.next, offer.agent_id.clone());
            self.accepted.insert(self.next, Instant::now());
            self.next += 1;
        }
        if tasks.is_empty() {
            let filters = Some(v1::Filters {
                refuse_seconds: Some(self.refusal()),
            });
            let decline = scheduler::call::Decline {
                offer_ids: vec![offer.id.clone()],
                filters,
            };
            return self
                .call(scheduler::call::Type::Decline, |call| {
                    call.decline = Some(decline)
                })
                .await;
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
                refuse_seconds: Some(self.refusal()),
            }),
        };
        self.call(scheduler::call::Type::Accept, |call| {
            call.accept = Some(accept)
        })
        .await
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
        &self,
        index: usize,
        agent_id: &v1::AgentId,
        resources: Vec<v1::Resource>,
        executor: Option<&v1::ExecutorInfo>,
    ) -> v1::TaskInfo {
        let command = executor.is_none().then(|| v1::CommandInfo {
            value: Some(self.line(index)),
            ..Default::default()
        });
        let work = executor
            .is_some()
            .then(|| bytes::Bytes::from(self.load.task_ms.to_string()));
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

    fn line(&self, index: usize) -> String {
        let note = self
            .load
            .ledger
            .as_ref()
            .map(|path| format!("echo load-{index} >> {}; ", path.display()));
        let note = note.unwrap_or_default();
        match self.load.task_ms {
            0 if note.is_empty() => "true".to_owned(),
            0 => note,
            ms => format!("{note}sleep {}", ms as f64 / 1000.0),
        }
    }

    fn executor(&self, resources: Vec<v1::Resource>) -> v1::ExecutorInfo {
        let program = std::env::current_exe()
            .map_or_else(|_| "meseta".to_owned(), |path| path.display().to_string());
        let mut arguments = vec![
            program.clone(),
            "sim".to_owned(),
            "load-executor".to_owned(),
        ];
        if let Some(ledger) = &self.load.ledger {
            arguments.push(format!("--ledger={}", ledger.display()));
        }
        let command = v1::CommandInfo {
            shell: Some(false),
            value: Some(program),
            arguments,
            ..Default::default()
        };
        v1::ExecutorInfo {
            r#type: Some(v1::executor_info::Type::Custom.into()),
            executor_id: v1::ExecutorId {
                value: "load-executor".to_owned(),
            },
            command: Some(command),
            resources,
            ..Default::default()
        }
    }

    async fn updated(&mut self, status: v1::TaskStatus) -> anyhow::Result<()> {
        self.report.updates += 1;
        let state = status.state();
        if let (Some(uuid), Some(agent_id)) = (status.uuid.clone(), status.agent_id.clone()) {
            let acknowledge = scheduler::call::Acknowledge {
                agent_id,
                task_id: status.task_id.clone(),
                uuid,
            };
            self.call(scheduler::call::Type::Acknowledge, |call| {
                call.acknowledge = Some(acknowledge)
            })
            .await?;
        }
        let index = status
            .task_id
            .value
            .strip_prefix("load-")
            .and_then(|index| index.parse().ok());
        let Some(index) = index else { return Ok(()) };
        if state == TaskState::TaskRunning
            && let Some(accepted) = self.accepted.remove(&index)
        {
            self.report.to_running.push(accepted.elapsed());
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
        self.call(scheduler::call::Type::Reconcile, |call| {
            call.reconcile = Some(reconcile)
        })
        .await
    }

    async fn call(
        &mut self,
        kind: scheduler::call::Type,
        fill: impl FnOnce(&mut scheduler::Call),
    ) -> anyhow::Result<()> {
        let calls = self.calls.clone().context("not subscribed")?;
        let mut call = scheduler::Call {
            r#type: Some(kind.into()),
            framework_id: self.id.clone(),
            ..Default::default()
        };
        fill(&mut call);
        let sent = calls.send(&call).await?;
        self.under_way.spawn(sent.accepted());
        while self.under_way.len() > CALLS_UNDER_WAY {
            if let Some(answer) = self.under_way.join_next().await {
                answer??;
            }
        }
        Ok(())
    }
}

fn executor_needs() -> Needs {
    Needs {
        scalars: vec![("cpus", 0.1), ("mem", 32.0)],
        ..Needs::default()
    }
}
