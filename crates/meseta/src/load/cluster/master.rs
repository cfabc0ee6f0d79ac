//! The master of a cluster under load: a process of its own, so that its cpu can be told apart.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use meseta_client::OperatorClient;
use meseta_proto::mesos::v1::master;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Clock ticks a second in `/proc`, on every Linux.
const TICKS: f64 = 100.0;

/// A running master. Killed when dropped.
pub struct Master {
    child: Child,
    address: String,
}

impl Master {
    /// Starts one on a free port of loopback, with a durable registry in `dir`.
    ///
    /// # Errors
    /// It does not start; its own words are in `dir/master.log`.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join("master.log");
        let stderr = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
        let mut child = Command::new(std::env::current_exe().context("this program")?)
            .args(["master", "--port=0"])
            .arg(format!("--work_dir={}", dir.join("master").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .context("a master")?;
        let stdout = child.stdout.take().context("piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.unwrap_or_default();
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        ensure!(
            line.contains("listening on"),
            "the master says '{line}' {said}"
        );
        let address = line.rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { child, address })
    }

    /// `ip:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Seconds of cpu it used so far.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        self.child.id().map_or(0.0, cpu_seconds)
    }

    /// What it still knows of a load that is over; everything is zero if nothing leaked.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn remains(&self) -> anyhow::Result<Value> {
        let client = OperatorClient::new(self.address.as_str());
        let ask = async |kind: master::call::Type| {
            let call = master::Call {
                r#type: Some(kind.into()),
                ..Default::default()
            };
            client.master(&call).await
        };
        let agents = ask(master::call::Type::GetAgents).await?;
        let agents = agents.get_agents.unwrap_or_default().agents;
        let tasks = ask(master::call::Type::GetTasks).await?;
        let tasks = tasks.get_tasks.unwrap_or_default();
        let frameworks = ask(master::call::Type::GetFrameworks).await?;
        let frameworks = frameworks.get_frameworks.unwrap_or_default();
        let allocated =
            |agent: &&master::response::get_agents::Agent| !agent.allocated_resources.is_empty();
        let offered =
            |agent: &&master::response::get_agents::Agent| !agent.offered_resources.is_empty();
        Ok(json!({
            "agents_lost": agents.iter().filter(|agent| !agent.active).count(),
            "agents_with_allocated": agents.iter().filter(allocated).count(),
            "agents_with_offered": agents.iter().filter(offered).count(),
            "tasks": tasks.tasks.len() + tasks.unreachable_tasks.len(),
            "frameworks": frameworks.frameworks.len(),
        }))
    }

    /// Ends it.
    pub async fn stop(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

/// Seconds of cpu that a process used so far; zero if there is none.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything. Behind it: user and system time are 12th and 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|text| text.parse::<f64>().ok());
    (ticks().unwrap_or_default() + ticks().unwrap_or_default()) / TICKS
}
