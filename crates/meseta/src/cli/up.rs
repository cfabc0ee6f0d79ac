//! `meseta up`: a whole cluster in one process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use meseta_node::detect::Machine;
use meseta_node::{Logs, agent, master};

use super::args::Up;
use super::demo;
use crate::daemon;
use crate::flags::{AGENT, LOGGING, MASTER, Values};
use crate::logging;

/// Runs it until Ctrl-C.
///
/// # Errors
/// A port is taken, the work directory cannot be used, or the demo failed.
pub async fn run(up: Up) -> anyhow::Result<i32> {
    let started = Instant::now();
    let (work_dir, temporary) = work_dir(&up)?;
    let logs = logging::silent()?;
    let cluster = Cluster::start(&up, &work_dir, &logs).await?;
    cluster.registered().await?;
    greet(&up, cluster.master.address(), &work_dir, temporary, started);
    let folder = std::env::current_dir().context("the current folder")?;
    let master = cluster.master.address().to_string();
    let work = async {
        if up.demo {
            demo::run(&master, &folder).await?;
            println!("\nThe cluster stays up until you press Ctrl-C.");
        }
        wait_for_end(&cluster).await
    };
    let result = tokio::select! {
        result = work => result,
        name = daemon::signal() => {
            println!("\n{name}: ending every task");
            Ok(0)
        }
    };
    cluster.stop().await;
    if temporary {
        // What cannot be removed lies in the system's temporary directory and harms nobody.
        let _ = std::fs::remove_dir_all(&work_dir);
    }
    result
}

struct Cluster {
    master: master::RunningMaster,
    agents: Vec<agent::RunningAgent>,
}

impl Cluster {
    async fn start(up: &Up, work_dir: &Path, logs: &Logs) -> anyhow::Result<Self> {
        let mut flags = values(&[MASTER, LOGGING])?;
        flags.set("port", up.port.to_string());
        flags.set("work_dir", work_dir.join("master").display().to_string());
        flags.set(
            "offer_timeout",
            format!("{}ms", up.offer_timeout.as_millis()),
        );
        let master = master::start(daemon::master_config(&flags, logs.clone())?).await?;
        let address = master.address();
        let mut agents = Vec::new();
        for index in 0..up.agents {
            let config = agent_config(up, work_dir, index, address, logs.clone())?;
            agents.push(agent::start(config).await?);
        }
        Ok(Self { master, agents })
    }

    /// Waits until every agent is registered.
    async fn registered(&self) -> anyhow::Result<()> {
        for agent in &self.agents {
            agent.registered().await?;
        }
        Ok(())
    }

    /// Ends every task, then the agents, then the master.
    async fn stop(self) {
        let mut ending = tokio::task::JoinSet::new();
        for agent in self.agents {
            ending.spawn(agent.shut_down());
        }
        while ending.join_next().await.is_some() {}
        self.master.stop().await;
    }
}

fn agent_config(
    up: &Up,
    work_dir: &Path,
    index: u16,
    master: SocketAddr,
    logs: Logs,
) -> anyhow::Result<agent::Config> {
    let work_dir = work_dir.join(format!("agent-{index}"));
    std::fs::create_dir_all(&work_dir).with_context(|| work_dir.display().to_string())?;
    let machine = Machine::detect(&work_dir).context("how much this machine has")?;
    let part = machine.part_text(u64::from(index), u64::from(up.agents));
    // Port 0 means any free port, for the agents too.
    let port = if up.port == 0 {
        0
    } else {
        up.port
            .checked_add(index + 1)
            .context("--port is too high")?
    };
    let mut flags = values(&[AGENT, LOGGING])?;
    flags.set("port", port.to_string());
    flags.set("master", master.to_string());
    // The master waits already; a herd of strangers does not.
    flags.set("registration_backoff_factor", "1ms");
    flags.set("work_dir", work_dir.display().to_string());
    flags.set("runtime_dir", work_dir.join("run").display().to_string());
    flags.set("resources", up.resources.clone().unwrap_or(part));
    flags.set("hostname", Ipv4Addr::LOCALHOST.to_string());
    daemon::agent_config(&flags, logs)
}

fn values(tables: &[&'static [crate::flags::Flag]]) -> anyhow::Result<Values> {
    Ok(Values::parse(tables, &[], std::iter::empty())?)
}

/// The work directory, and whether it is a temporary one of our own.
fn work_dir(up: &Up) -> anyhow::Result<(PathBuf, bool)> {
    if let Some(dir) = &up.work_dir {
        std::fs::create_dir_all(dir).with_context(|| format!("--work-dir={}", dir.display()))?;
        let dir = dir
            .canonicalize()
            .with_context(|| format!("--work-dir={}", dir.display()))?;
        return Ok((dir, false));
    }
    let dir = tempfile::Builder::new()
        .prefix("meseta-up-")
        .tempdir()
        .context("a temporary work directory")?;
    let path = dir.keep();
    // Tasks of other users must reach their sandboxes.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok((path, true))
}

fn greet(up: &Up, address: SocketAddr, work_dir: &Path, temporary: bool, started: Instant) {
    let ready = started.elapsed().as_millis();
    println!(
        "Meseta is up after {ready} ms: one master and {} agents, as {}.",
        up.agents,
        meseta_container::current_user()
    );
    println!("  API      http://{address}  (try /state, /metrics)");
    let note = if temporary {
        " (removed at the end)"
    } else {
        ""
    };
    println!("  State in {}{note}", work_dir.display());
    let program = std::env::current_exe()
        .map_or_else(|_| "meseta".to_owned(), |path| path.display().to_string());
    let master = if up.port == 5050 {
        String::new()
    } else {
        format!(" --master {address}")
    };
    println!("Try in another terminal:");
    println!("  {program} run{master} -- echo hello");
    println!("  {program} ps{master}\n");
}

/// Ends with an error when the master or an agent does so by itself.
async fn wait_for_end(cluster: &Cluster) -> anyhow::Result<i32> {
    let agents = cluster.agents.iter().map(|agent| Box::pin(agent.ended()));
    tokio::select! {
        reason = cluster.master.ended() => anyhow::bail!("the master ended: {reason}"),
        reason = first(agents.collect()) => anyhow::bail!("an agent ended: {reason}"),
    }
}

/// The first of these futures to be done.
async fn first<F: Future<Output = String> + Unpin>(mut futures: Vec<F>) -> String {
    std::future::poll_fn(move |context| {
        for future in &mut futures {
            if let std::task::Poll::Ready(reason) = std::pin::Pin::new(future).poll(context) {
                return std::task::Poll::Ready(reason);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
