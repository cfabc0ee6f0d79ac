//! Loads on real clusters, measured from outside as a framework sees it, and the allocator's figures.
//!
//! - `meseta sim load` ([`run`]): one framework, a number of tasks.
//! - `meseta sim handover` ([`run_handover`]): two frameworks that want the same resources in turn.
//! - `meseta sim cluster` ([`run_cluster`]): a whole cluster of a thousand agents under load.
//! - `meseta sim allocator` ([`run_allocator`]): the allocator alone.
//!
//! In `load`, the scheduler launches a number of tasks, acknowledges every update, comes back after a master is
//! gone, and in the end says how fast it went and whether any task was lost or ended twice. With
//! `--executor custom` all tasks go to one executor an agent, `meseta sim load-executor`, which reports
//! each as running and finished. Tests use it to see that nothing is lost while processes are killed.

mod allocator;
mod cluster;
mod executor;
mod handover;
mod report;
mod scheduler;
mod session;

pub use allocator::{Figures, run as run_allocator};
pub use cluster::{Cluster, run as run_cluster};
pub use executor::run as run_executor;
pub use handover::{Handover, run as run_handover};
pub use scheduler::run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use meseta_proto::mesos::v1;

/// What runs the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Executor {
    /// A process for each task.
    Command,
    /// One process for all tasks of an agent.
    Custom,
}

/// The load.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// HOST:PORT of the master
    #[arg(long, env = "MESETA_MASTER", default_value = "127.0.0.1:5050")]
    pub master: String,
    /// How many tasks
    #[arg(long, default_value_t = 1000)]
    pub tasks: usize,
    /// What runs them
    #[arg(long, value_enum, default_value = "command")]
    pub executor: Executor,
    /// Whether the framework checkpoints
    #[arg(long)]
    pub checkpoint: bool,
    /// Cpus each task needs
    #[arg(long, default_value_t = 0.01)]
    pub cpus: f64,
    /// Megabytes each task needs
    #[arg(long, default_value_t = 1.0)]
    pub mem: f64,
    /// How long each task runs, milliseconds
    #[arg(long, default_value_t = 0)]
    pub task_ms: u64,
    /// Each task runs for a time of its own, from 0 to twice --task-ms, the same in every run
    #[arg(long, requires = "task_ms")]
    pub vary: bool,
    /// The most tasks that run at once
    #[arg(long, default_value_t = 1_000_000)]
    pub at_once: usize,
    /// The most tasks in one ACCEPT
    #[arg(long, default_value_t = 10_000)]
    pub per_accept: usize,
    /// Append a line to this file whenever a task starts
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 120.0)]
    pub limit: f64,
    /// The framework's user
    #[arg(long, default_value = "root")]
    pub user: String,
}

impl Load {
    /// See `--limit`.
    #[must_use]
    pub fn limit(&self) -> Duration {
        Duration::try_from_secs_f64(self.limit).unwrap_or(Duration::from_secs(120))
    }
}

/// The executor that runs all tasks of one framework on an agent.
fn executor_info(ledger: Option<&Path>, resources: Vec<v1::Resource>) -> v1::ExecutorInfo {
    let program = std::env::current_exe()
        .map_or_else(|_| "meseta".to_owned(), |path| path.display().to_string());
    let mut arguments = vec![
        program.clone(),
        "sim".to_owned(),
        "load-executor".to_owned(),
    ];
    if let Some(ledger) = ledger {
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
