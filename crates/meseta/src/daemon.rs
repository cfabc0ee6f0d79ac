//! `meseta master` and `meseta agent`: Mesos's flags turned into what `meseta-node` takes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use meseta_node::{Logs, agent, master};

use crate::flags::{self, AGENT, Flag, LOGGING, MASTER, Values};
use crate::logging;

/// Threads that serve a daemon. The core is one task; the others parse and write.
const WORKERS: usize = 2;

/// Runs a daemon's future to its end.
///
/// # Errors
/// The threads cannot be started, or the future's own.
pub fn block_on(work: impl Future<Output = anyhow::Result<i32>>) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    // What still waits (an idle connection) need not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// `meseta master`.
///
/// # Errors
/// A flag is wrong, or the master cannot start or had to end.
pub fn run_master(line: &[String]) -> anyhow::Result<i32> {
    let Some(values) = parse("master", MASTER, line)? else {
        return Ok(0);
    };
    let logs = logging::start("master", &values)?;
    if values.text("work_dir").is_none() && values.text("registry") != Some("in_memory") {
        bail!(
            "--work_dir=DIR is required: the registry is kept there (or --registry=in_memory, which forgets)"
        );
    }
    block_on(async move {
        let master = master::start(master_config(&values, logs)?).await?;
        println!("master listening on {}", master.address());
        tokio::select! {
            reason = master.ended() => bail!("the master ended: {reason}"),
            name = signal() => tracing::info!("{name}: stopping"),
        }
        master.stop().await;
        Ok(0)
    })
}

/// `meseta agent`.
///
/// # Errors
/// A flag is wrong, or the agent cannot start or had to end.
pub fn run_agent(line: &[String]) -> anyhow::Result<i32> {
    let Some(values) = parse("agent", AGENT, line)? else {
        return Ok(0);
    };
    let logs = logging::start("agent", &values)?;
    if values.text("work_dir").is_none() {
        bail!("--work_dir=DIR is required: sandboxes and checkpoints are kept there");
    }
    if values.text("master").is_none() {
        bail!("--master=HOST:PORT is required");
    }
    block_on(async move {
        let cleans_up = values.text("recover") == Some("cleanup");
        let agent = agent::start(agent_config(&values, logs)?).await?;
        println!("agent listening on {}", agent.address());
        tokio::select! {
            reason = agent.ended() => {
                // That is what `--recover=cleanup` is for; Mesos exits with 0 as well.
                let is_done = cleans_up && reason.starts_with("cleanup");
                anyhow::ensure!(is_done, "the agent ended: {reason}");
            }
            name = signal() => tracing::info!("{name}: stopping; executors go on"),
        }
        agent.stop().await;
        Ok(0)
    })
}

/// The first SIGINT or SIGTERM, by name.
pub async fn signal() -> &'static str {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    let terminated = async {
        match terminate {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "interrupted",
        _ = terminated => "terminated",
    }
}

/// Reads the command line; `None` when it only asked for words.
fn parse(name: &str, table: &'static [Flag], line: &[String]) -> anyhow::Result<Option<Values>> {
    let tables = [table, LOGGING];
    if line
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        println!(
            "meseta {name} [--name=value ...]\n\nFlags (also MESOS_NAME in the environment, file:// values):\n{}",
            flags::help(&tables)
        );
        return Ok(None);
    }
    let values = Values::parse(&tables, line, std::env::vars())?;
    if values.bool("version") {
        println!("meseta {}", env!("CARGO_PKG_VERSION"));
        return Ok(None);
    }
    Ok(Some(values))
}

/// Where to listen, and what to tell others.
fn addresses(values: &Values) -> anyhow::Result<(SocketAddr, Option<SocketAddr>)> {
    let port = |name: &str| -> anyhow::Result<Option<u16>> {
        let Some(count) = values.count(name) else {
            return Ok(None);
        };
        Ok(Some(u16::try_from(count).with_context(|| {
            format!("--{name}={count}: a port is at most 65535")
        })?))
    };
    let ip: IpAddr = values
        .text("ip")
        .unwrap_or("127.0.0.1")
        .parse()
        .context("--ip")?;
    if ip.is_ipv6() {
        bail!("--ip={ip}: Meseta listens on IPv4");
    }
    if !ip.is_loopback() {
        tracing::warn!(%ip, "nothing authenticates: whoever reaches this port can run anything here");
    }
    let listen = SocketAddr::new(ip, port("port")?.unwrap_or(5050));
    let advertise_ip = values
        .text("advertise_ip")
        .map(str::parse::<IpAddr>)
        .transpose()
        .context("--advertise_ip")?;
    let advertise_port = port("advertise_port")?;
    let advertise = (advertise_ip.is_some() || advertise_port.is_some()).then(|| {
        SocketAddr::new(
            advertise_ip.unwrap_or(ip),
            advertise_port.unwrap_or(listen.port()),
        )
    });
    Ok((listen, advertise))
}

/// What a master is started with.
///
/// # Errors
/// A value makes no sense.
pub fn master_config(values: &Values, logs: Logs) -> anyhow::Result<master::Config> {
    let (listen, advertise) = addresses(values)?;
    let registry = match values.text("registry") {
        Some("in_memory") => master::Registry::InMemory,
        Some("replicated_log") | None => {
            master::Registry::Durable(values.path("work_dir").context("--work_dir is required")?)
        }
        Some(other) => bail!("--registry={other}: expecting replicated_log or in_memory"),
    };
    let us = |name: &str| micros(values, name);
    let hostname = values.text("hostname").map_or_else(hostname, str::to_owned);
    let mut core = meseta_master::Config::new(listen, hostname);
    core.advertise = advertise;
    core.agent_reregister_timeout_us = us("agent_reregister_timeout");
    core.agent_ping_timeout_us = us("agent_ping_timeout");
    core.max_agent_ping_timeouts =
        u32::try_from(count(values, "max_agent_ping_timeouts")).unwrap_or(u32::MAX);
    core.offer_timeout_us = values
        .is_given("offer_timeout")
        .then(|| us("offer_timeout"));
    core.allocator = flags::allocation(values)?;
    core.constraint_limits = flags::constraint_limits(values);
    core.domain = flags::domain(values)?;
    core.max_completed_frameworks = count(values, "max_completed_frameworks");
    core.max_completed_tasks_per_framework = count(values, "max_completed_tasks_per_framework");
    core.max_unreachable_tasks_per_framework = count(values, "max_unreachable_tasks_per_framework");
    core.recovery_agent_removal_limit = part(values, "recovery_agent_removal_limit")?;
    core.registry_gc_interval_us = us("registry_gc_interval");
    core.registry_max_agent_age_us = us("registry_max_agent_age");
    core.registry_max_agent_count = count(values, "registry_max_agent_count");
    Ok(master::Config {
        core,
        registry,
        whitelist: values.path("whitelist"),
        flags: values.shown(),
        logs,
    })
}

/// What an agent is started with.
///
/// # Errors
/// A value makes no sense.
pub fn agent_config(values: &Values, logs: Logs) -> anyhow::Result<agent::Config> {
    let (listen, advertise) = addresses(values)?;
    let work_dir = absolute(values.path("work_dir").context("--work_dir is required")?)?;
    let runtime_dir = values.path("runtime_dir").map(absolute).transpose()?;
    let mut containers = meseta_container::Config::new(
        runtime_dir.unwrap_or_else(|| default_runtime_dir(&work_dir)),
    );
    containers.isolation = isolation(values)?;
    containers.fetch_stall_timeout = values.duration("fetcher_stall_timeout").unwrap_or_default();
    Ok(agent::Config {
        core: agent_core_config(values, work_dir.display().to_string())?,
        listen,
        advertise,
        hostname: values.text("hostname").map_or_else(hostname, str::to_owned),
        master: resolve(values.text("master").context("--master is required")?)?,
        resources: values.text("resources").map(str::to_owned),
        default_role: values.text("default_role").unwrap_or("*").to_owned(),
        attributes: values.text("attributes").unwrap_or_default().to_owned(),
        containers,
        flags: values.shown(),
        logs,
    })
}

fn agent_core_config(values: &Values, work_dir: String) -> anyhow::Result<meseta_agent::Config> {
    let duration = |name: &str| values.duration(name).unwrap_or_default();
    Ok(meseta_agent::Config {
        work_dir,
        executor_environment: executor_environment(values)?,
        switch_user: values.bool("switch_user"),
        registration_backoff_factor: duration("registration_backoff_factor"),
        executor_registration_timeout: duration("executor_registration_timeout"),
        executor_reregistration_timeout: duration("executor_reregistration_timeout"),
        executor_shutdown_grace_period: duration("executor_shutdown_grace_period"),
        recovery_timeout: duration("recovery_timeout"),
        recover: match values.text("recover") {
            Some("reconnect") | None => meseta_agent::Recover::Reconnect,
            Some("cleanup") => meseta_agent::Recover::Cleanup,
            Some(other) => bail!("--recover={other}: expecting reconnect or cleanup"),
        },
        reconfiguration_policy: match values.text("reconfiguration_policy") {
            Some("equal") | None => meseta_agent::ReconfigurationPolicy::Equal,
            Some("additive") => meseta_agent::ReconfigurationPolicy::Additive,
            Some(other) => bail!("--reconfiguration_policy={other}: expecting equal or additive"),
        },
        strict: values.bool("strict"),
        max_completed_executors_per_framework: count(
            values,
            "max_completed_executors_per_framework",
        ),
        gc_delay: duration("gc_delay"),
        gc_disk_headroom: values.number("gc_disk_headroom").unwrap_or(0.1),
        disk_watch_interval: duration("disk_watch_interval"),
        ..meseta_agent::Config::default()
    })
}

fn isolation(values: &Values) -> anyhow::Result<meseta_container::Isolation> {
    if !matches!(values.text("launcher"), Some("posix" | "linux") | None) {
        bail!(
            "--launcher={}: expecting posix or linux",
            values.text("launcher").unwrap_or_default()
        );
    }
    let flags = meseta_container::IsolationFlags {
        isolation: values.text("isolation").unwrap_or_default().to_owned(),
        cgroups_hierarchy: values.path("cgroups_hierarchy").unwrap_or_default(),
        cgroups_root: values.text("cgroups_root").unwrap_or("mesos").to_owned(),
        cgroups_enable_cfs: values.bool("cgroups_enable_cfs"),
    };
    meseta_container::Isolation::select(&flags).context("--isolation")
}

/// Paths in checkpoints and sandboxes are absolute.
fn absolute(path: PathBuf) -> anyhow::Result<PathBuf> {
    std::path::absolute(&path).with_context(|| path.display().to_string())
}

fn micros(values: &Values, name: &str) -> u64 {
    values.duration(name).map_or(0, |duration| {
        u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
    })
}

fn count(values: &Values, name: &str) -> usize {
    values.count(name).map_or(usize::MAX, |count| {
        usize::try_from(count).unwrap_or(usize::MAX)
    })
}

/// A percentage, `0%` to `100%`, as a part of 1.
fn part(values: &Values, name: &str) -> anyhow::Result<f64> {
    let text = values.text(name).unwrap_or("100%");
    let number = text.strip_suffix('%').and_then(|n| n.parse::<f64>().ok());
    let percent = number.filter(|percent| (0.0..=100.0).contains(percent));
    let percent = percent.with_context(|| format!("--{name}={text}: expecting 0% to 100%"))?;
    Ok(percent / 100.0)
}

/// `HOST:PORT`, perhaps behind `master@` or `http://`, as Mesos's tools write it.
fn resolve(text: &str) -> anyhow::Result<SocketAddr> {
    if text.starts_with("zk://") {
        bail!("--master={text}: finding masters through ZooKeeper comes later; name HOST:PORT");
    }
    let bare = text
        .trim_start_matches("http://")
        .trim_start_matches("master@")
        .trim_end_matches('/');
    let with_port = if bare.contains(':') {
        bare.to_owned()
    } else {
        format!("{bare}:5050")
    };
    let mut found = with_port
        .to_socket_addrs()
        .with_context(|| format!("--master={text}"))?;
    found
        .find(SocketAddr::is_ipv4)
        .with_context(|| format!("--master={text} has no IPv4 address"))
}

/// Root's is where a reboot clears it; others keep it beside their work.
fn default_runtime_dir(work_dir: &std::path::Path) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/run/mesos")
    } else {
        work_dir.join("run")
    }
}

fn hostname() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        Ipv4Addr::LOCALHOST.to_string()
    } else {
        name
    }
}

fn executor_environment(values: &Values) -> anyhow::Result<BTreeMap<String, String>> {
    let Some(text) = values.text("executor_environment_variables") else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_str(text)
        .context("--executor_environment_variables: expecting a JSON object of strings")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn master(line: &[&str]) -> anyhow::Result<master::Config> {
        let line: Vec<String> = line.iter().map(|&argument| argument.to_owned()).collect();
        let values = Values::parse(&[MASTER, LOGGING], &line, std::iter::empty())?;
        master_config(&values, Logs::default())
    }

    #[test]
    fn the_removal_limit_is_a_percentage() {
        let limit = |text: &str| {
            let flag = format!("--recovery_slave_removal_limit={text}");
            let config = master(&["--registry=in_memory", &flag]);
            config.map(|config| config.core.recovery_agent_removal_limit)
        };
        assert_eq!(limit("50%").unwrap(), 0.5);
        assert_eq!(limit("0.5%").unwrap(), 0.005);
        for bad in ["50", "101%", "-1%", "NaN%", "%", "many"] {
            assert_eq!(
                limit(bad).unwrap_err().to_string(),
                format!("--recovery_agent_removal_limit={bad}: expecting 0% to 100%")
            );
        }
        let default = master(&["--registry=in_memory"]).unwrap();
        assert_eq!(default.core.recovery_agent_removal_limit, 1.0);
    }

    #[test]
    fn one_advertises_where_it_is_reached() {
        let advertised = |line: &[&str]| {
            let all = [&["--registry=in_memory", "--port=5060"], line].concat();
            master(&all).unwrap().core.advertise
        };
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(advertised(&[]), None);
        assert_eq!(
            advertised(&["--advertise_ip=10.1.2.3"]),
            at("10.1.2.3:5060")
        );
        assert_eq!(advertised(&["--advertise_port=80"]), at("127.0.0.1:80"));
        assert_eq!(
            advertised(&["--advertise_ip=10.1.2.3", "--advertise_port=80"]),
            at("10.1.2.3:80")
        );
    }
}
