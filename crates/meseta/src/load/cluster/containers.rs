//! What stands in for containers: an executor in this process that sleeps as long as its task's command
//! says, and speaks the executor API over a real connection like any other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use meseta_client::ExecutorClient;
use meseta_container::containerizer::UsageReply;
use meseta_container::{Counts, Refusal};
use meseta_model::container::{
    ContainerLimits, ContainerReport, LaunchSpec, RecoverableContainer, Termination,
};
use meseta_model::ids::ContainerId;
use meseta_model::rng::Rng;
use meseta_node::command_executor::Environment;
use meseta_node::containers::{Containers, Reports};
use meseta_proto::mesos::v1::{self, TaskState, executor};
use tokio::task::AbortHandle;

use super::seen::Seen;

/// A container, as far as there is one.
enum Container {
    /// Waits to be released.
    Held(Box<LaunchSpec>),
    /// Its executor is at work.
    Runs(AbortHandle),
}

/// All containers of one agent.
pub struct StandIns(Arc<Room>);

struct Room {
    reports: Reports,
    seen: Arc<Seen>,
    containers: Mutex<BTreeMap<ContainerId, Container>>,
    /// Nothing is fetched or removed here: zeros.
    counts: Counts,
}

impl StandIns {
    /// No containers yet.
    #[must_use]
    pub fn new(reports: Reports, seen: Arc<Seen>) -> Self {
        Self(Arc::new(Room {
            reports,
            seen,
            containers: Mutex::default(),
            counts: Counts::default(),
        }))
    }
}

impl Room {
    fn containers(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Container>> {
        self.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports the end of a container, by whoever takes it out first.
    fn over(self: &Arc<Self>, container_id: ContainerId, wait_status: i32) {
        if self.containers().remove(&container_id).is_none() {
            return;
        }
        self.seen.container_ended();
        let room = self.clone();
        let termination = Termination {
            wait_status: Some(wait_status),
            ..Termination::default()
        };
        tokio::spawn(async move {
            let report = ContainerReport::Terminated {
                container_id,
                termination,
            };
            room.reports.send(report).await;
        });
    }
}

impl Containers for StandIns {
    fn launch(&self, spec: LaunchSpec) -> Result<(), Refusal> {
        let container_id = spec.container_id.clone();
        let held = Container::Held(Box::new(spec));
        self.0.containers().insert(container_id.clone(), held);
        self.0.seen.container_began();
        let room = self.0.clone();
        tokio::spawn(async move {
            let pid = std::process::id();
            room.reports
                .send(ContainerReport::Launched { container_id, pid })
                .await;
        });
        Ok(())
    }

    fn release(&self, id: ContainerId) {
        let mut containers = self.0.containers();
        let Some(Container::Held(spec)) = containers.remove(&id) else {
            return;
        };
        let (room, ended) = (self.0.clone(), id.clone());
        // It waits for the map, so that its entry is there before it ends.
        let executor = tokio::spawn(async move {
            if let Err(error) = execute(&spec, &room.seen).await {
                room.seen.failed(&format!("an executor: {error:#}"));
            }
            room.over(ended, 0);
        });
        containers.insert(id, Container::Runs(executor.abort_handle()));
    }

    fn destroy(&self, id: ContainerId) {
        if let Some(Container::Runs(executor)) = self.0.containers().get(&id) {
            executor.abort();
        }
        const KILLED: i32 = 9;
        self.0.over(id, KILLED);
    }

    fn recover(&self, _: Vec<RecoverableContainer>) {
        // Every agent of a load is new.
    }

    fn update(&self, _: ContainerId, _: ContainerLimits) {}

    fn usage(&self, _: ContainerId, reply: UsageReply) -> Result<(), Refusal> {
        reply(None);
        Ok(())
    }

    fn counts(&self) -> &Counts {
        &self.0.counts
    }
}

/// The life of an executor: subscribe, run the one task, wait until its end is acknowledged.
async fn execute(spec: &LaunchSpec, seen: &Seen) -> anyhow::Result<()> {
    let seed = seen.seed();
    let environment = Environment::read(&spec.environment, seed)?;
    let mut rng = Rng::new(seed);
    let call = |kind: executor::call::Type| executor::Call {
        executor_id: v1::ExecutorId {
            value: environment.core.executor_id.clone(),
        },
        framework_id: v1::FrameworkId {
            value: environment.core.framework_id.clone(),
        },
        r#type: Some(kind.into()),
        ..Default::default()
    };
    let mut subscribe = call(executor::call::Type::Subscribe);
    subscribe.subscribe = Some(executor::call::Subscribe::default());
    let client = ExecutorClient::new(environment.agent.as_str());
    let mut subscription = client.subscribe(&subscribe).await?;
    let mut last = None;
    while let Some(event) = subscription.events.next().await? {
        if event.r#type() == executor::event::Type::Shutdown {
            return Ok(());
        }
        if let Some(acknowledged) = event.acknowledged
            && last.as_ref() == Some(&acknowledged.uuid)
        {
            return Ok(());
        }
        let Some(launch) = event.launch else { continue };
        let lasts = lasts(&launch.task).context("a task of another framework")?;
        for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
            if state == TaskState::TaskFinished {
                tokio::time::sleep(lasts).await;
                seen.task_ends(&launch.task.agent_id.value, Instant::now());
            }
            let status = status(&launch.task, state, &mut rng);
            last.clone_from(&status.uuid);
            let mut update = call(executor::call::Type::Update);
            update.update = Some(executor::call::Update { status });
            subscription.calls.call(&update).await?;
        }
    }
    anyhow::bail!("the agent ended the stream")
}

fn status(task: &v1::TaskInfo, state: TaskState, rng: &mut Rng) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: task.task_id.clone(),
        state: state.into(),
        source: Some(v1::task_status::Source::Executor.into()),
        uuid: Some(bytes::Bytes::copy_from_slice(&rng.uuid_bytes())),
        ..Default::default()
    }
}

/// The command of a task that sleeps for so long.
#[must_use]
pub fn sleep(millis: u64) -> v1::CommandInfo {
    v1::CommandInfo {
        value: Some(format!("sleep {}", millis as f64 / 1000.0)),
        ..Default::default()
    }
}

/// What [`sleep`] says.
fn lasts(task: &v1::TaskInfo) -> Option<Duration> {
    let line = task.command.as_ref()?.value.as_deref()?;
    let seconds: f64 = line.strip_prefix("sleep ")?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
