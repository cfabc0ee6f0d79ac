//! The agent's metrics: one table of what cores count, and the gauges that follow from the read model.

use std::sync::atomic::{AtomicU64, Ordering};

use meseta_agent::view::Counter;
use meseta_model::resources::{ResourceName, Resources};
use meseta_proto::mesos::v1::TaskState;

use super::phases::Phase;
use super::{Agent, ContainerCounts};
use crate::metrics::{Metric, Metrics, system};
use crate::read::AgentRead;

/// Counters that are shown from the start, as 0.
const COUNTERS: &[&str] = &[
    "slave/container_launch_errors",
    "slave/executors_preempted",
    "slave/executors_terminated",
    "slave/fenced_messages",
    "slave/invalid_framework_messages",
    "slave/invalid_status_updates",
    "slave/recovery_errors",
    "slave/tasks_failed",
    "slave/tasks_finished",
    "slave/tasks_gone",
    "slave/tasks_killed",
    "slave/tasks_lost",
    "slave/valid_framework_messages",
    "slave/valid_status_updates",
];

/// `finished` of `TASK_FINISHED`.
fn lower(state: TaskState) -> String {
    state
        .as_str_name()
        .trim_start_matches("TASK_")
        .to_lowercase()
}

fn name(counter: Counter) -> String {
    match counter {
        Counter::TasksEnded(state) => format!("slave/tasks_{}", lower(state)),
        Counter::ValidStatusUpdates => "slave/valid_status_updates".to_owned(),
        Counter::InvalidStatusUpdates => "slave/invalid_status_updates".to_owned(),
        Counter::ValidFrameworkMessages => "slave/valid_framework_messages".to_owned(),
        Counter::InvalidFrameworkMessages => "slave/invalid_framework_messages".to_owned(),
        Counter::ExecutorsTerminated => "slave/executors_terminated".to_owned(),
        Counter::ExecutorsPreempted => "slave/executors_preempted".to_owned(),
        Counter::ContainerLaunchErrors => "slave/container_launch_errors".to_owned(),
        Counter::RecoveryErrors => "slave/recovery_errors".to_owned(),
        Counter::FencedMessages => "slave/fenced_messages".to_owned(),
        // A counter that this table does not know yet is shown under the name the core gives it.
        other => format!("slave/{other:?}").to_lowercase(),
    }
}

impl Agent {
    /// Everything, by name.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Metrics::default();
        for name in COUNTERS {
            metrics.count(*name, 0);
        }
        for (counter, by) in self.counters.all() {
            metrics.count(name(counter), by);
        }
        let read = self.model.read();
        metrics.gauge("slave/uptime_secs", self.started.elapsed().as_secs_f64());
        let registered = read.agent.as_ref().is_some_and(|agent| agent.registered);
        metrics.gauge("slave/registered", f64::from(u8::from(registered)));
        self.executors(&mut metrics, &read);
        self.removals.write(&mut metrics);
        let counted = self.counted.get().map(|counted| counted());
        containers(&mut metrics, counted.unwrap_or_default());
        tasks(&mut metrics, &read);
        resources(&mut metrics, &read);
        self.gauges.write(&mut metrics);
        system(&mut metrics);
        metrics.into_list()
    }

    fn executors(&self, metrics: &mut Metrics, read: &AgentRead) {
        let live = || read.runs().filter(|run| !run.completed);
        for (name, phase) in [
            ("slave/executors_registering", Phase::Registering),
            ("slave/executors_running", Phase::Running),
            ("slave/executors_terminating", Phase::Terminating),
        ] {
            let runs = live().filter(|run| self.phases.of(&run.view.container_id) == phase);
            metrics.gauge(name, runs.count() as f64);
        }
    }
}

/// Directories that were removed, and those that could not be.
#[derive(Debug, Default)]
pub(super) struct Removals {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Removals {
    pub(super) fn add(&self, succeeded: bool) {
        let count = if succeeded {
            &self.succeeded
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn write(&self, metrics: &mut Metrics) {
        let succeeded = self.succeeded.load(Ordering::Relaxed);
        metrics.count("gc/path_removals_succeeded", succeeded);
        let failed = self.failed.load(Ordering::Relaxed);
        metrics.count("gc/path_removals_failed", failed);
    }
}

fn containers(metrics: &mut Metrics, counted: ContainerCounts) {
    for (name, by) in [
        ("fetcher/task_fetches_succeeded", counted.fetches_succeeded),
        ("fetcher/task_fetches_failed", counted.fetches_failed),
        ("mesos/container_destroy_errors", counted.destroy_errors),
    ] {
        metrics.count(format!("containerizer/{name}"), by);
    }
}

fn tasks(metrics: &mut Metrics, read: &AgentRead) {
    let live = read.workloads.iter().filter(|workload| !workload.completed);
    metrics.gauge("slave/frameworks_active", live.count() as f64);
    for state in [
        TaskState::TaskStaging,
        TaskState::TaskStarting,
        TaskState::TaskRunning,
        TaskState::TaskKilling,
    ] {
        let tasks = read
            .runs()
            .flat_map(|run| run.queued.iter().chain(&run.launched));
        let count = tasks.filter(|task| task.state == state).count();
        metrics.gauge(format!("slave/tasks_{}", lower(state)), count as f64);
    }
}

fn resources(metrics: &mut Metrics, read: &AgentRead) {
    let total = read.agent.as_ref().map_or_else(Resources::new, |agent| {
        Resources::from_wire(&agent.total).unwrap_or_default()
    });
    let used = read.allocated();
    let firm = (total.non_revocable(), used.non_revocable());
    let revocable = (total.revocable(), used.revocable());
    for name in [
        ResourceName::Cpus,
        ResourceName::Gpus,
        ResourceName::Mem,
        ResourceName::Disk,
    ] {
        let of = |resources: &Resources| resources.total(&name).to_f64();
        metrics.usage(&format!("slave/{name}"), of(&firm.0), of(&firm.1));
        let prefix = format!("slave/{name}_revocable");
        metrics.usage(&prefix, of(&revocable.0), of(&revocable.1));
    }
}
