//! `meseta sim cluster`: a master in a process of its own; in this one a thousand agents and their
//! frameworks, each with its own sockets. Containers are the only thing that is not real
//! ([`containers`]): an executor is a task of this process that speaks the executor API.
//!
//! Each agent holds one task, and frameworks take whatever they are offered, so that the cluster is
//! always full: what a task frees becomes one offer, and the rate follows from how long tasks take.

mod containers;
mod framework;
mod master;
mod seen;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use meseta_node::agent::{self, RunningAgent};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::containers::StandIns;
use self::framework::Framework;
use self::master::{Master, cpu_seconds};
use self::seen::{Counted, Seen};
use crate::daemon;
use crate::flags::{AGENT, LOGGING, Values};

/// Of the time that a task may take for the wished rate, it takes this part; the rest is for its way.
const BUSY: f64 = 0.95;
/// How long everything may take to end.
const END: Duration = Duration::from_secs(60);
/// Sockets and files of an agent, its connections to the master and to executors included.
const FILES_PER_AGENT: u64 = 12;

/// A cluster under load.
#[derive(Debug, Clone, clap::Args)]
pub struct Cluster {
    /// How many agents
    #[arg(long, default_value_t = 1000)]
    pub agents: usize,
    /// How many frameworks
    #[arg(long, default_value_t = 200)]
    pub frameworks: usize,
    /// Tasks a second in all
    #[arg(long, default_value_t = 500.0)]
    pub rate: f64,
    /// How long to measure
    #[arg(long, default_value_t = 20.0)]
    pub seconds: f64,
}

impl Cluster {
    /// How long a task takes on average.
    fn mean(&self) -> Duration {
        let seconds = self.agents as f64 / self.rate * BUSY;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1))
    }
}

/// What was seen while measuring.
struct Window {
    lasted: Duration,
    before: Counted,
    after: Counted,
    master_cpu: f64,
    own_cpu: f64,
}

/// Runs it and prints what came of it; the exit code says whether everything was accounted for.
///
/// # Errors
/// The cluster cannot be started, or does not come to its end.
pub async fn run(cluster: Cluster) -> anyhow::Result<i32> {
    allow_files(cluster.agents as u64 * FILES_PER_AGENT + 1000);
    let dir = tempfile::Builder::new()
        .prefix("meseta-cluster-")
        .tempdir()
        .context("a temporary directory")?;
    let seen = Arc::new(Seen::default());
    let master = Master::start(dir.path()).await?;
    let (stop, stopped) = watch::channel(false);
    let mut frameworks = JoinSet::new();
    let mean_ms = u64::try_from(cluster.mean().as_millis()).unwrap_or(u64::MAX);
    for index in 0..cluster.frameworks {
        let framework =
            Framework::subscribe(master.address(), index, mean_ms, seen.clone()).await?;
        frameworks.spawn(framework.run(stopped.clone()));
    }
    let begin = Instant::now();
    let agents = start_agents(&cluster, dir.path(), master.address(), &seen).await?;
    eprintln!(
        "{} agents are registered after {:.1} s; measuring for {} s",
        cluster.agents,
        begin.elapsed().as_secs_f64(),
        cluster.seconds
    );
    let window = measure(&cluster, &master, &seen).await;
    // Every framework holds a receiver.
    stop.send_replace(true);
    let ended = tokio::time::timeout(END, async {
        while frameworks.join_next().await.is_some() {}
        remains(&master, &seen).await
    });
    let remains = ended
        .await
        .context("the cluster did not come to its end")??;
    let all = seen.so_far();
    println!("{}", report(&cluster, window, &all, &remains));
    for agent in agents {
        agent.stop().await;
    }
    master.stop().await;
    Ok(i32::from(!is_accounted_for(&all, &remains)))
}

/// As many open files as this may need, if that is allowed.
fn allow_files(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if limit.current.is_some_and(|now| now < current) {
        let raised = Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        };
        // If it is refused, whatever opens a file too many says so.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

async fn start_agents(
    cluster: &Cluster,
    dir: &Path,
    master: &str,
    seen: &Arc<Seen>,
) -> anyhow::Result<Vec<RunningAgent>> {
    let mut agents = Vec::new();
    for index in 0..cluster.agents {
        let work_dir = dir.join(format!("agent-{index}"));
        let mut flags = Values::parse(&[AGENT, LOGGING], &[], std::iter::empty())?;
        flags.set("port", "0");
        flags.set("master", master);
        flags.set("registration_backoff_factor", "100ms");
        flags.set("work_dir", work_dir.display().to_string());
        flags.set("runtime_dir", work_dir.join("run").display().to_string());
        flags.set("resources", "cpus:1;mem:64;disk:1;ports:[31000-31001]");
        flags.set("hostname", format!("agent-{index}"));
        let seen = seen.clone();
        let containers = |reports| Ok(Arc::new(StandIns::new(reports, seen)) as Arc<_>);
        agents.push(
            agent::start_with(
                daemon::agent_config(&flags, meseta_node::Logs::default())?,
                containers,
            )
            .await?,
        );
    }
    for agent in &agents {
        agent.registered().await?;
    }
    Ok(agents)
}

/// Waits until tasks end at their own pace, then counts for a while.
async fn measure(cluster: &Cluster, master: &Master, seen: &Seen) -> Window {
    tokio::time::sleep(2 * cluster.mean()).await;
    let cpu = || (master.cpu_seconds(), cpu_seconds(std::process::id()));
    let (begin, before, from) = (Instant::now(), seen.so_far(), cpu());
    seen.measure(true);
    let seconds = Duration::try_from_secs_f64(cluster.seconds);
    tokio::time::sleep(seconds.unwrap_or(Duration::from_secs(20))).await;
    seen.measure(false);
    let (after, to) = (seen.so_far(), cpu());
    let lasted = begin.elapsed();
    let share = |used: f64| used / lasted.as_secs_f64();
    Window {
        lasted,
        before,
        after,
        master_cpu: share(to.0 - from.0),
        own_cpu: share(to.1 - from.1),
    }
}

/// What is left when all frameworks have gone, once nothing is; or after a while, what is left then.
async fn remains(master: &Master, seen: &Seen) -> anyhow::Result<Value> {
    let begin = Instant::now();
    loop {
        let mut remains = master.remains().await?;
        let counted = seen.so_far();
        let containers = counted.containers_began - counted.containers_ended;
        if let Some(remains) = remains.as_object_mut() {
            remains.insert("containers".to_owned(), containers.into());
        }
        if is_nothing(&remains) || begin.elapsed() > END / 4 {
            return Ok(remains);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_nothing(remains: &Value) -> bool {
    let counts = remains.as_object();
    counts.is_some_and(|counts| counts.values().all(|count| count == 0))
}

/// Whether every task finished once, every offer was answered, and nothing is left.
fn is_accounted_for(all: &Counted, remains: &Value) -> bool {
    let tasks = all.launched == all.finished() && all.over() == all.finished();
    let offers = all.offers == all.answered;
    tasks && offers && all.doubled == 0 && all.failed == 0 && is_nothing(remains)
}

fn report(cluster: &Cluster, window: Window, all: &Counted, remains: &Value) -> Value {
    let Window {
        lasted,
        before,
        mut after,
        master_cpu,
        own_cpu,
    } = window;
    let seconds = lasted.as_secs_f64();
    let a_second = |before: usize, after: usize| (after - before) as f64 / seconds;
    let [freed_p50, freed_p99] = after.freed_to_offer.millis([50, 99]);
    let [end_p50, end_p99] = after.end_to_offer.millis([50, 99]);
    let [running_p50, running_p99] = after.accept_to_running.millis([50, 99]);
    json!({
        "agents": cluster.agents,
        "frameworks": cluster.frameworks,
        "seconds": seconds,
        "tasks_per_second": a_second(before.finished(), after.finished()),
        "offers_per_second": a_second(before.offers, after.offers),
        "freed_to_offer_p50_ms": freed_p50,
        "freed_to_offer_p99_ms": freed_p99,
        "end_to_offer_p50_ms": end_p50,
        "end_to_offer_p99_ms": end_p99,
        "accept_to_running_p50_ms": running_p50,
        "accept_to_running_p99_ms": running_p99,
        "handovers": after.freed_to_offer.count(),
        "master_cpu": master_cpu,
        "agents_and_frameworks_cpu": own_cpu,
        "launched": all.launched,
        "ends": all.ends,
        "doubled": all.doubled,
        "offers": all.offers,
        "offers_answered": all.answered,
        "offers_rescinded": all.rescinded,
        "failed": all.failed,
        "errors": all.errors,
        "remains": remains,
    })
}
