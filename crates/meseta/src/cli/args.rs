//! The command line, as clap reads it. Daemons take Mesos's flags instead (`flags`).

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use meseta_model::units;

/// A cluster manager: masters pool the machines of a cluster, agents run the work.
#[derive(Debug, Parser)]
#[command(name = "meseta", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a whole cluster in this process: a master and some agents
    Up(Up),
    /// Run a command on the cluster, show its output, exit with its exit code
    #[command(trailing_var_arg = true)]
    Run(Run),
    /// List tasks
    Ps(List),
    /// List agents
    Agents(List),
    /// List frameworks
    Frameworks(List),
    /// Say why frameworks are offered what they are offered, or not
    Explain(Explain),
    /// Show what a task printed
    Logs(Logs),
    /// Kill a task
    Kill(Kill),
    /// Print versions: of this program, and of the master if one answers
    Version(List),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Loads and simulations, for those who develop or measure
    #[command(subcommand)]
    Sim(Sim),
    /// Run a master (takes Mesos's flags; see `meseta master --help`)
    #[command(disable_help_flag = true)]
    Master(Daemon),
    /// Run an agent (takes Mesos's flags; see `meseta agent --help`)
    #[command(disable_help_flag = true)]
    Agent(Daemon),
}

/// Loads and simulations.
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// Run seeds of the cluster simulator (`--seeds A..B [--trace] [--plant NAME]`)
    #[command(disable_help_flag = true)]
    Run(Daemon),
    /// List the bugs that `run --plant` can plant
    Plants,
    /// Load a real cluster with tasks and say how fast it went
    Load(crate::load::Load),
    /// Hand one agent from framework to framework and say how long that takes
    Handover(crate::load::Handover),
    /// Start a master and a thousand agents, put them under load, and say how fast it went
    Cluster(crate::load::Cluster),
    /// The allocator alone, in the shapes of Mesos's own benchmarks
    Allocator(crate::load::Figures),
    /// The executor of these loads; an agent starts it
    #[command(hide = true)]
    LoadExecutor {
        /// Append a line to this file whenever a task starts
        #[arg(long)]
        ledger: Option<std::path::PathBuf>,
    },
}

/// Mesos's flags, passed on as they are.
#[derive(Debug, Args)]
pub struct Daemon {
    /// --name=value, --no-name, MESOS_NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub flags: Vec<String>,
}

/// Where the master is.
#[derive(Debug, Clone, Args)]
pub struct Master {
    /// HOST:PORT of the master
    #[arg(
        long,
        env = "MESETA_MASTER",
        default_value = "127.0.0.1:5050",
        value_name = "HOST:PORT"
    )]
    pub master: String,
}

/// Start a whole cluster in this process.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Port of the master; agents take the ports after it
    #[arg(long, default_value_t = 5050)]
    pub port: u16,
    /// How many agents
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub agents: u16,
    /// Where state is kept; a fresh directory that is removed at the end, unless named
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<std::path::PathBuf>,
    /// What each agent offers, as text or JSON; an equal part of this machine, unless named
    #[arg(long)]
    pub resources: Option<String>,
    /// Take back offers that a framework holds longer than this
    #[arg(long, default_value = "30secs", value_parser = duration)]
    pub offer_timeout: Duration,
    /// Count the words of the files in this folder on the new cluster
    #[arg(long)]
    pub demo: bool,
}

/// Run a command on the cluster.
#[derive(Debug, Clone, Args)]
pub struct Run {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub master: Master,
    /// Name of the task
    #[arg(long)]
    pub name: Option<String>,
    /// Cpus it needs
    #[arg(long, default_value_t = 0.1)]
    pub cpus: f64,
    /// Memory it needs, in megabytes
    #[arg(long, default_value_t = 32.0)]
    pub mem: f64,
    /// Disk it needs, in megabytes
    #[arg(long, default_value_t = 0.0)]
    pub disk: f64,
    /// GPUs it needs
    #[arg(long, default_value_t = 0)]
    pub gpus: u32,
    /// Set an environment variable
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    pub env: Vec<(String, String)>,
    /// Fetch this into the sandbox first
    #[arg(long, value_name = "URL")]
    pub uri: Vec<String>,
    /// Run as this user
    #[arg(long)]
    pub user: Option<String>,
    /// Ask for resources of this role
    #[arg(long, default_value = "*")]
    pub role: String,
    /// Only on agents whose attribute has this value
    #[arg(long, value_name = "ATTR=VALUE", value_parser = key_value)]
    pub constraint: Vec<(String, String)>,
    /// How many copies
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub instances: u32,
    /// Give up if not all copies run by then
    #[arg(long, value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Print the task ids once they run, and leave them running
    #[arg(long)]
    pub detach: bool,
    /// Print events as JSON lines instead of the output
    #[arg(long)]
    pub json: bool,
    /// The command and its arguments
    #[arg(required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// A list.
#[derive(Debug, Clone, Args)]
pub struct List {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub master: Master,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Also what is over (tasks and frameworks)
    #[arg(long, short)]
    pub all: bool,
}

/// Say why frameworks are offered what they are offered, or not.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub master: Master,
    /// Only this framework: its id, the beginning or end of it, or its name
    #[arg(long, value_name = "ID")]
    pub framework: Option<String>,
    /// Only in this role
    #[arg(long)]
    pub role: Option<String>,
    /// Only on this agent (its id, the beginning or end of it, or HOST:PORT), or `all`: a line for each
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Show what a task printed.
#[derive(Debug, Clone, Args)]
pub struct Logs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub master: Master,
    /// The task's id, or its beginning
    pub task: String,
    /// Go on as it prints more, until it is over
    #[arg(long, short)]
    pub follow: bool,
    /// Its stderr instead of its stdout
    #[arg(long)]
    pub stderr: bool,
}

/// Kill a task.
#[derive(Debug, Clone, Args)]
pub struct Kill {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub master: Master,
    /// The task's id, or its beginning
    pub task: String,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expecting NAME=VALUE".to_owned()),
    }
}

/// Mesos's text (`10secs`), plain seconds, or what people write by habit (`10s`, `5m`, `1h`).
fn duration(text: &str) -> Result<Duration, String> {
    let habits = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut forms = habits
        .iter()
        .filter_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .chain([(text, 1.0)]);
    let seconds = forms.find_map(|(number, unit)| Some(number.parse::<f64>().ok()? * unit));
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    let duration: units::Duration = text
        .parse()
        .map_err(|error: units::BadDuration| error.to_string())?;
    Ok(Duration::from_nanos(
        u64::try_from(duration.as_nanos()).map_err(|_| "must not be negative".to_owned())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_and_mesos_write_them() {
        let ms = |text| duration(text).map(|read| read.as_millis());
        assert_eq!(ms("1.5"), Ok(1_500));
        assert_eq!(ms("2s"), Ok(2_000));
        assert_eq!(ms("2m"), Ok(120_000));
        assert_eq!(ms("0.5h"), Ok(1_800_000));
        assert_eq!(ms("10secs"), Ok(10_000));
        assert_eq!(ms("20ms"), Ok(20));
        for bad in [
            "", "s", "-1", "-1secs", "1 s", "nan", "inf", "1e300h", "2sec",
        ] {
            assert!(duration(bad).is_err(), "'{bad}'");
        }
    }
}
