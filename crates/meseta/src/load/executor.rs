//! The load's custom executor: reports each task as running, and finished after the time in its data.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use meseta_client::{Calls, ExecutorClient, Retry};
use meseta_model::rng::Rng;
use meseta_node::command_executor::Environment;
use meseta_proto::mesos::v1::{self, TaskState, executor};
use tokio::sync::mpsc;

/// Calls that are under way at once.
const CALLS_UNDER_WAY: usize = 1024;

/// Runs until the agent says SHUTDOWN or is gone for good.
///
/// # Errors
/// The environment is not that of an executor, or the agent cannot be reached.
pub async fn run(ledger: Option<PathBuf>) -> anyhow::Result<i32> {
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    let environment = Environment::read(&std::env::vars().collect(), seed)?;
    let (finish, mut finished) = mpsc::unbounded_channel();
    let mut work = Work {
        environment,
        ledger,
        rng: Rng::new(seed),
        tasks: BTreeMap::new(),
        unacknowledged: BTreeMap::new(),
        next: 0,
        finish,
        under_way: tokio::task::JoinSet::new(),
    };
    loop {
        let leave = work.follow(&mut finished).await?;
        if leave || !work.environment.core.checkpoint {
            return Ok(0);
        }
    }
}

struct Work {
    environment: Environment,
    ledger: Option<PathBuf>,
    rng: Rng,
    /// Tasks of which no update is acknowledged.
    tasks: BTreeMap<String, v1::TaskInfo>,
    /// In the order in which they were made.
    unacknowledged: BTreeMap<u64, executor::call::Update>,
    next: u64,
    finish: mpsc::UnboundedSender<v1::TaskId>,
    under_way: tokio::task::JoinSet<Result<(), meseta_client::ClientError>>,
}

impl Work {
    /// One subscription; true when it is time to leave.
    async fn follow(
        &mut self,
        finished: &mut mpsc::UnboundedReceiver<v1::TaskId>,
    ) -> anyhow::Result<bool> {
        let recovery = Duration::from_micros(self.environment.core.recovery_timeout_us);
        let client = ExecutorClient {
            retry: Retry::within(recovery),
            ..ExecutorClient::new(self.environment.agent.as_str())
        };
        let mut call = self.call(executor::call::Type::Subscribe);
        call.subscribe = Some(executor::call::Subscribe {
            unacknowledged_tasks: self.tasks.values().cloned().collect(),
            unacknowledged_updates: self.unacknowledged.values().cloned().collect(),
        });
        let mut subscription = client.subscribe(&call).await?;
        loop {
            tokio::select! {
                event = subscription.events.next() => match event {
                    Ok(Some(event)) => {
                        if self.received(event, &subscription.calls).await? {
                            return Ok(true);
                        }
                    }
                    Ok(None) | Err(_) => return Ok(false),
                },
                Some(task_id) = finished.recv() => {
                    self.update(task_id, TaskState::TaskFinished, &subscription.calls).await;
                }
            }
        }
    }

    async fn received(
        &mut self,
        event: executor::Event,
        calls: &Calls<executor::Call>,
    ) -> anyhow::Result<bool> {
        if event.r#type() == executor::event::Type::Shutdown {
            return Ok(true);
        }
        if let Some(launch) = event.launch {
            self.launch(launch.task, calls).await?;
        }
        if let Some(acknowledged) = event.acknowledged {
            self.tasks.remove(&acknowledged.task_id.value);
            self.unacknowledged
                .retain(|_, update| update.status.uuid.as_ref() != Some(&acknowledged.uuid));
        }
        if let Some(kill) = event.kill {
            self.update(kill.task_id, TaskState::TaskKilled, calls)
                .await;
        }
        Ok(false)
    }

    async fn launch(
        &mut self,
        task: v1::TaskInfo,
        calls: &Calls<executor::Call>,
    ) -> anyhow::Result<()> {
        if let Some(ledger) = &self.ledger {
            note(ledger, &task.task_id.value)?;
        }
        let text = task
            .data
            .as_ref()
            .map(|data| String::from_utf8_lossy(data).into_owned())
            .unwrap_or_default();
        let ms: u64 = text
            .parse()
            .with_context(|| format!("'{text}' is no number of milliseconds"))?;
        let id = task.task_id.clone();
        self.tasks.insert(id.value.clone(), task);
        self.update(id.clone(), TaskState::TaskRunning, calls).await;
        if ms == 0 {
            self.update(id, TaskState::TaskFinished, calls).await;
            return Ok(());
        }
        let finish = self.finish.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            finish.send(id)
        });
        Ok(())
    }

    /// Keeps the update until it is acknowledged and puts it on its way; what is lost with a
    /// connection goes again with the next SUBSCRIBE.
    async fn update(
        &mut self,
        task_id: v1::TaskId,
        state: TaskState,
        calls: &Calls<executor::Call>,
    ) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let status = v1::TaskStatus {
            task_id,
            state: state.into(),
            source: Some(v1::task_status::Source::Executor.into()),
            executor_id: Some(v1::ExecutorId {
                value: self.environment.core.executor_id.clone(),
            }),
            timestamp: Some(now),
            uuid: Some(bytes::Bytes::copy_from_slice(&self.rng.uuid_bytes())),
            ..Default::default()
        };
        let update = executor::call::Update { status };
        self.unacknowledged.insert(self.next, update.clone());
        self.next += 1;
        let mut call = self.call(executor::call::Type::Update);
        call.update = Some(update);
        if let Ok(sent) = calls.send(&call).await {
            self.under_way.spawn(sent.accepted());
        }
        while self.under_way.len() > CALLS_UNDER_WAY {
            self.under_way.join_next().await;
        }
        while self.under_way.try_join_next().is_some() {}
    }

    fn call(&self, kind: executor::call::Type) -> executor::Call {
        executor::Call {
            executor_id: v1::ExecutorId {
                value: self.environment.core.executor_id.clone(),
            },
            framework_id: v1::FrameworkId {
                value: self.environment.core.framework_id.clone(),
            },
            r#type: Some(kind.into()),
            ..Default::default()
        }
    }
}

/// One line in one write, so that lines of several executors do not mix.
fn note(ledger: &Path, task: &str) -> anyhow::Result<()> {
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(ledger);
    let mut file = file.with_context(|| ledger.display().to_string())?;
    file.write_all(format!("{task}\n").as_bytes())
        .with_context(|| ledger.display().to_string())
}
