//! `meseta sim load`: a load on a real cluster, measured from outside as a framework sees it.
//!
//! The scheduler launches a number of tasks, acknowledges every update, comes back after a master is
//! gone, and in the end says how fast it went and whether any task was lost or ended twice. With
//! `--executor custom` all tasks go to one executor an agent, `meseta sim load-executor`, which reports
//! each as running and finished. Tests use it to see that nothing is lost while processes are killed.

mod executor;
mod report;
mod scheduler;

pub use executor::run as run_executor;
pub use scheduler::run;

use std::path::PathBuf;
use std::time::Duration;

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
