//! What a seed stands for: sizes, settings, workloads and which faults may fire how often.
//!
//! Each seed draws its own mixture, and leaves many faults out: a bug that needs a calm network and a
//! bad disk is not found where everything breaks all the time.

use meseta_consensus::spec::Delays;

use crate::draws::Draws;
use crate::faults::SOURCES;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::workloads::{self, FrameworkPlan};

/// Everything drawn before a run begins.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) masters: usize,
    pub(crate) agents: Vec<AgentPlan>,
    pub(crate) frameworks: Vec<FrameworkPlan>,
    /// How long faults fire.
    pub(crate) safety_us: u64,
    pub(crate) network: Network,
    pub(crate) disk: DiskPlan,
    pub(crate) agreement: Delays,
    pub(crate) settings: Settings,
    /// Per entry of [`SOURCES`]: the mean time between two faults of that kind, if any fires.
    pub(crate) sources: Vec<Option<u64>>,
    /// One agent never comes back: frameworks must be told where its tasks are.
    pub(crate) loses_an_agent: bool,
}

/// What an agent has.
#[derive(Debug, Clone)]
pub(crate) struct AgentPlan {
    pub(crate) resources: String,
    /// Launches that fail.
    pub(crate) launch_failures_permille: u64,
    /// Executors that die before their update is acknowledged.
    pub(crate) unheard_deaths_permille: u64,
}

/// How the network behaves, packet by packet.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) latency_us: (u64, u64),
    pub(crate) delayed_permille: u64,
    pub(crate) delay_us: (u64, u64),
    pub(crate) call_lost_permille: u64,
    pub(crate) answer_lost_permille: u64,
}

/// How disks behave, flush by flush.
#[derive(Debug, Clone)]
pub(crate) struct DiskPlan {
    pub(crate) flush_us: (u64, u64),
    pub(crate) slow_permille: u64,
    pub(crate) slow_us: (u64, u64),
    /// Of operations that flush, and of those that write.
    pub(crate) flush_failures_permille: u64,
    pub(crate) write_failures_permille: u64,
}

/// Settings of masters and agents.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) ping_us: u64,
    pub(crate) pings: u32,
    /// How long masters wait for agents that lost their link, or after an election.
    pub(crate) agent_return_us: u64,
    pub(crate) offer_timeout_us: Option<u64>,
    pub(crate) heartbeat_us: u64,
    pub(crate) registration_timeout_us: u64,
    pub(crate) reregistration_timeout_us: u64,
    pub(crate) recovery_timeout_us: u64,
    pub(crate) shutdown_grace_us: u64,
    pub(crate) gc_delay_us: u64,
    pub(crate) disk_watch_us: u64,
    pub(crate) proposals_refused_permille: u64,
    /// An agent may come back with more than it had; otherwise with the same only.
    pub(crate) agents_may_grow: bool,
    /// A master's books are counted again after so many steps of it.
    pub(crate) audit_every: u64,
}

impl Plan {
    pub(crate) fn draw(draws: &mut Draws) -> Self {
        let most = most_agents(draws);
        let agents = 1 + draws.below(most);
        let masters = if draws.permille(400) { 2 } else { 1 };
        let frameworks = workloads::draw(draws);
        let mut plan = Self {
            masters,
            agents: (0..agents).map(|_| AgentPlan::draw(draws)).collect(),
            frameworks,
            safety_us: draws.between((20 * SECOND_US, 90 * SECOND_US)),
            network: Network::draw(draws),
            disk: DiskPlan::draw(draws),
            agreement: Delays {
                election_us: (10 * MILLISECOND_US, 1_500 * MILLISECOND_US),
                commit_us: (200, 20 * MILLISECOND_US),
                notify_us: (50, 2 * MILLISECOND_US),
                loss_us: (50 * MILLISECOND_US, 3 * SECOND_US),
            },
            settings: Settings::draw(draws),
            sources: Vec::new(),
            loses_an_agent: agents > 1 && draws.permille(100),
        };
        plan.sources = draw_sources(draws, plan.safety_us);
        plan
    }

    /// From here on nothing goes wrong any more.
    pub(crate) fn calm(&mut self) {
        self.network.delayed_permille = 0;
        self.network.call_lost_permille = 0;
        self.network.answer_lost_permille = 0;
        self.disk.slow_permille = 0;
        self.disk.flush_failures_permille = 0;
        self.disk.write_failures_permille = 0;
        self.settings.proposals_refused_permille = 0;
        for agent in &mut self.agents {
            agent.launch_failures_permille = 0;
            agent.unheard_deaths_permille = 0;
        }
        self.sources.iter_mut().for_each(|source| *source = None);
    }
}

/// Mostly few agents: more find nothing that three do not.
fn most_agents(draws: &mut Draws) -> u64 {
    if draws.permille(150) { 6 } else { 3 }
}

/// Half of the kinds are off in any one run; the others fire a few times each.
fn draw_sources(draws: &mut Draws, safety_us: u64) -> Vec<Option<u64>> {
    let quiet = draws.permille(80);
    SOURCES
        .iter()
        .map(|source| {
            let on = draws.permille(source.permille) && !quiet;
            let times = draws.spread((1, 12));
            on.then_some(safety_us / times)
        })
        .collect()
}

/// What a host may have.
pub(crate) fn draw_resources(draws: &mut Draws) -> String {
    let cpus = draws.between((1, 8));
    let mem = draws.between((256, 4_096));
    let first_port = 31_000;
    let last_port = first_port + draws.between((1, 40));
    format!("cpus:{cpus};mem:{mem};ports:[{first_port}-{last_port}]")
}

impl AgentPlan {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            resources: draw_resources(draws),
            launch_failures_permille: some(draws, 250, (5, 100)),
            unheard_deaths_permille: some(draws, 250, (5, 60)),
        }
    }
}

impl Network {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            latency_us: (100, draws.spread((300, 20_000))),
            delayed_permille: some(draws, 500, (1, 60)),
            delay_us: (10 * MILLISECOND_US, draws.spread((50_000, 4_000_000))),
            call_lost_permille: some(draws, 400, (2, 60)),
            answer_lost_permille: some(draws, 400, (2, 60)),
        }
    }
}

impl DiskPlan {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            flush_us: (50, draws.spread((200, 30_000))),
            slow_permille: some(draws, 300, (1, 80)),
            slow_us: (50 * MILLISECOND_US, 3 * SECOND_US),
            flush_failures_permille: some(draws, 250, (1, 15)),
            write_failures_permille: some(draws, 250, (1, 15)),
        }
    }
}

impl Settings {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            ping_us: draws.spread((1_000_000, 8_000_000)),
            // With one alone agents would give up before the next ping can come.
            pings: 2 + draws.below(4) as u32,
            agent_return_us: draws.spread((4_000_000, 120_000_000)),
            offer_timeout_us: draws
                .permille(400)
                .then(|| draws.spread((500_000, 8_000_000))),
            heartbeat_us: draws.between((2 * SECOND_US, 15 * SECOND_US)),
            registration_timeout_us: draws.spread((500_000, 20_000_000)),
            reregistration_timeout_us: draws.spread((100_000, 4_000_000)),
            recovery_timeout_us: draws.spread((5_000_000, 900_000_000)),
            shutdown_grace_us: draws.spread((100_000, 5_000_000)),
            gc_delay_us: draws.spread((1_000_000, 600_000_000)),
            disk_watch_us: draws.spread((1_000_000, 60_000_000)),
            proposals_refused_permille: some(draws, 200, (2, 40)),
            agents_may_grow: draws.coin(),
            audit_every: if draws.permille(50) { 1 } else { 50 },
        }
    }
}

/// Off, or between the two, so many times in a thousand.
fn some(draws: &mut Draws, on_permille: u64, range: (u64, u64)) -> u64 {
    if draws.permille(on_permille) {
        draws.spread(range)
    } else {
        0
    }
}
