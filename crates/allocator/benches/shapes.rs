//! The shapes of Mesos's own allocator benchmarks, one JSON object a row.
//!
//! `cargo bench -p meseta-allocator -- [--shape NAME] [--agents N] [--frameworks N]`; without
//! arguments, a list that fits a minute. Times are of one round over all agents unless the row says
//! otherwise, on one core; `bytes` is what the resident set grew by.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use meseta_allocator::{
    AgentProfile, Allocator, Config, FrameworkProfile, Grant, Quota, Refusal, SorterKind, Used,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{
    Disk, Kind, Persistence, Quantities, Ranges, Reservation, Resource, ResourceName, Resources,
    Scalar, Value,
};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

/// A cluster and its clock.
struct Cluster {
    allocator: Allocator,
    rng: Rng,
    now_us: u64,
    agents: Vec<AgentId>,
    frameworks: Vec<FrameworkId>,
}

/// Milliseconds, and what went out meanwhile.
struct Timed {
    ms: f64,
    grants: Vec<Grant>,
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0u64) * 4096
}

fn ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

impl Cluster {
    fn new(config: Config) -> Self {
        Self {
            allocator: Allocator::new(config),
            rng: Rng::new(1),
            now_us: 1_000_000,
            agents: Vec::new(),
            frameworks: Vec::new(),
        }
    }

    fn add_frameworks(&mut self, count: usize, role_of: impl Fn(usize) -> Role) -> f64 {
        let profiles: Vec<(FrameworkId, FrameworkProfile)> = (0..count)
            .map(|at| {
                let profile = FrameworkProfile {
                    roles: BTreeSet::from([role_of(at)]),
                    active: true,
                    ..FrameworkProfile::default()
                };
                (FrameworkId::from(format!("6f7dd29c-{at:06}")), profile)
            })
            .collect();
        let begin = Instant::now();
        for (id, profile) in profiles {
            self.frameworks.push(id.clone());
            self.allocator.add_framework(self.now_us, &id, profile);
        }
        ms(begin)
    }

    /// Adds agents with what is used on them; runs are made as they fall due, 20 us an agent.
    fn add_agents(
        &mut self,
        count: usize,
        total: impl Fn(usize) -> (Resources, Vec<Used>),
    ) -> Timed {
        let profiles: Vec<_> = (0..count)
            .map(|at| {
                let (total, used) = total(at);
                let profile = AgentProfile {
                    total,
                    hierarchical_role: true,
                    ..AgentProfile::default()
                };
                (AgentId::from(format!("6f7dd29c-S{at}")), profile, used)
            })
            .collect();
        let begin = Instant::now();
        let mut grants = Vec::new();
        for (id, profile, used) in profiles {
            self.agents.push(id.clone());
            self.allocator.add_agent(self.now_us, &id, profile, &used);
            self.now_us += 20;
            if self
                .allocator
                .next_wake(self.now_us)
                .is_some_and(|at| at <= self.now_us)
            {
                grants.extend(self.allocator.allocate(self.now_us, &mut self.rng));
            }
        }
        self.now_us += 2_000;
        grants.extend(self.run_due());
        Timed {
            ms: ms(begin),
            grants,
        }
    }

    fn run_due(&mut self) -> Vec<Grant> {
        let mut grants = Vec::new();
        while self
            .allocator
            .next_wake(self.now_us)
            .is_some_and(|at| at <= self.now_us)
        {
            grants.extend(self.allocator.allocate(self.now_us, &mut self.rng));
        }
        grants
    }

    /// Lets an interval pass, so that every agent with something free is looked at.
    fn round(&mut self) -> Timed {
        self.now_us += 1_000_000;
        let begin = Instant::now();
        let grants = self.run_due();
        Timed {
            ms: ms(begin),
            grants,
        }
    }

    fn give_back(&mut self, grants: &[Grant], refuse_seconds: Option<f64>) -> f64 {
        let begin = Instant::now();
        for grant in grants {
            let refusal = refuse_seconds.map(|seconds| Refusal { seconds });
            self.allocator.recover(
                self.now_us,
                &grant.framework,
                &grant.role,
                &grant.agent,
                &grant.resources,
                refusal,
            );
        }
        ms(begin)
    }
}

struct Shape {
    name: &'static str,
    agents: usize,
    frameworks: usize,
    before_bytes: u64,
}

impl Shape {
    fn new(name: &'static str, agents: usize, frameworks: usize) -> Self {
        Self {
            name,
            agents,
            frameworks,
            before_bytes: resident_bytes(),
        }
    }

    fn row(&self, what: &str, roles: usize, times_ms: &[f64], offers: usize) {
        let mut sorted = times_ms.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
        let bytes = resident_bytes().saturating_sub(self.before_bytes);
        println!(
            "{{\"shape\":\"{}/{what}\",\"agents\":{},\"frameworks\":{},\"roles\":{roles},\
             \"p50_ms\":{:.4},\"p99_ms\":{:.4},\"offers\":{offers},\"bytes\":{bytes}}}",
            self.name,
            self.agents,
            self.frameworks,
            at(0.5),
            at(0.99),
        );
    }
}

fn scalar(name: &str, whole: i64) -> Resource {
    Resource::scalar(ResourceName::new(name), Scalar::from_whole(whole))
}

fn ports() -> Resource {
    let value = Value::Ranges(Ranges::from_pairs([(31_000, 32_000)]));
    Resource::new(ResourceName::Ports, value, Kind::default())
}

fn plain(cpus: i64, mem: i64, disk: i64) -> Resources {
    let mut all: Resources = [scalar("cpus", cpus), scalar("mem", mem)]
        .into_iter()
        .collect();
    all.add_resource(scalar("disk", disk));
    all.add_resource(ports());
    all
}

fn star(_: usize) -> Role {
    Role::default()
}

/// AddAndUpdateSlave: agents come, each with one allocation; then each grows.
fn add(agents: usize, frameworks: usize) {
    let shape = Shape::new("add", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    let added_ms = cluster.add_frameworks(frameworks, star);
    shape.row("frameworks", 1, &[added_ms], 0);
    let ids = cluster.frameworks.clone();
    let timed = cluster.add_agents(agents, |at| {
        let used = Used {
            framework: ids[at % ids.len()].clone(),
            role: Role::default(),
            resources: Resources::of(&[("cpus", 1.0), ("mem", 128.0)]),
        };
        (plain(2, 1024, 4096), vec![used])
    });
    shape.row("agents", 1, &[timed.ms], timed.grants.len());
    let bigger = plain(2, 1024, 4096) + &plain(2, 1024, 0).named(&ResourceName::Mem);
    let begin = Instant::now();
    let mut offers = 0;
    for id in cluster.agents.clone() {
        let now = cluster.now_us;
        let updated = cluster
            .allocator
            .update_agent_total(now, &id, bigger.clone());
        updated.expect("a known agent");
        cluster.now_us += 20;
        offers += cluster.run_due().len();
    }
    shape.row("update", 1, &[ms(begin)], offers);
}

/// DeclineOffers: every offer is declined for long; then a round in which all is filtered.
fn decline(agents: usize, frameworks: usize) {
    let shape = Shape::new("decline", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(frameworks, star);
    let timed = cluster.add_agents(agents, |_| (plain(24, 4096, 4096), Vec::new()));
    shape.row("agents", 1, &[timed.ms], timed.grants.len());
    let mut grants = timed.grants;
    let mut rounds_ms = Vec::new();
    let mut declines_us = Vec::new();
    let mut offers = 0;
    while !grants.is_empty() {
        let per_offer = 1e3 / grants.len() as f64;
        declines_us.push(cluster.give_back(&grants, Some(31_536_000.0)) * per_offer);
        let timed = cluster.round();
        grants = timed.grants;
        if grants.len() == agents {
            rounds_ms.push(timed.ms);
            offers += grants.len();
        }
    }
    shape.row("declines_us_each", 1, &declines_us, 0);
    if !rounds_ms.is_empty() {
        shape.row("offering", 1, &rounds_ms, offers / rounds_ms.len());
    }
    let steady: Vec<f64> = (0..20).map(|_| cluster.round().ms).collect();
    shape.row("steady", 1, &steady, cluster.round().grants.len());
}

fn with_volume(at: usize) -> (Resources, Vec<Used>) {
    let reservation = Reservation::dynamic(Role::from("a"));
    let volume = Kind {
        reservations: vec![reservation.clone()],
        disk: Some(Disk {
            persistence: Some(Persistence {
                id: format!("volume-{at}"),
                principal: None,
            }),
            ..Disk::default()
        }),
        ..Kind::default()
    };
    let value = Value::Scalar(Scalar::from_whole(1024));
    let mut total = plain(24, 4096, 3072).push_reservation(&reservation);
    total.add_resource(Resource::new(ResourceName::Disk, value, volume));
    let in_use = (0..16).map(|port| (31_000 + port * 10, 31_000 + port * 10 + 3));
    let value = Value::Ranges(Ranges::from_pairs(in_use));
    let in_use = Resources::from(Resource::new(ResourceName::Ports, value, Kind::default()));
    let used = Used {
        framework: FrameworkId::from("6f7dd29c-000000"),
        role: Role::from("a"),
        resources: in_use.push_reservation(&reservation),
    };
    (total, vec![used])
}

/// PersistentVolumes: one round in which every agent is offered, volume and all.
fn volumes(agents: usize, frameworks: usize) {
    let shape = Shape::new("volumes", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(frameworks, |_| Role::from("a"));
    let timed = cluster.add_agents(agents, with_volume);
    shape.row("agents", 1, &[timed.ms], timed.grants.len());
    let mut grants = timed.grants;
    let mut rounds_ms = Vec::new();
    for _ in 0..10 {
        cluster.give_back(&grants, None);
        let timed = cluster.round();
        rounds_ms.push(timed.ms);
        grants = timed.grants;
    }
    shape.row("offering", 1, &rounds_ms, grants.len());
}

/// One full round of offers, with nothing refused: frameworks take turns.
fn offering(agents: usize, frameworks: usize) {
    let shape = Shape::new("offering", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(frameworks, star);
    let mut grants = cluster
        .add_agents(agents, |_| (plain(24, 4096, 4096), Vec::new()))
        .grants;
    let mut rounds_ms = Vec::new();
    for _ in 0..10 {
        cluster.give_back(&grants, None);
        let timed = cluster.round();
        rounds_ms.push(timed.ms);
        grants = timed.grants;
    }
    shape.row("round", 1, &rounds_ms, grants.len());
}

/// LargeAndSmallQuota: a role each, half of them promised half an agent and half one and a half; what is
/// left over may go to nobody.
fn quota(count: usize, sorter: SorterKind, name: &'static str) {
    let shape = Shape::new(name, count, count);
    let mut cluster = Cluster::new(Config {
        role_sorter: sorter,
        framework_sorter: sorter,
        ..Config::default()
    });
    let role = |at: usize| Role::from(format!("role{at}").as_str());
    for at in 0..count {
        let cpus = if at % 2 == 0 { 12 } else { 36 };
        let mem = cpus * 170;
        let pairs = [("cpus", cpus), ("mem", mem)];
        let quota = Quota {
            guarantees: quantities(&pairs),
            limits: pairs
                .iter()
                .map(|(name, n)| (ResourceName::new(name), Scalar::from_whole(*n)))
                .collect::<BTreeMap<_, _>>(),
        };
        let set = cluster.allocator.set_quota(0, &role(at), Some(&quota));
        set.expect("a valid quota");
    }
    let added_ms = cluster.add_frameworks(count, role);
    shape.row("frameworks", count, &[added_ms], 0);
    for at in 0..count {
        let id = AgentId::from(format!("6f7dd29c-S{at}"));
        let profile = AgentProfile {
            total: plain(25, 4300, 4096),
            hierarchical_role: true,
            ..AgentProfile::default()
        };
        cluster
            .allocator
            .add_agent(cluster.now_us, &id, profile, &[]);
    }
    let timed = cluster.round();
    shape.row("offering", count, &[timed.ms], timed.grants.len());
    let steady: Vec<f64> = (0..5).map(|_| cluster.round().ms).collect();
    shape.row("steady", count, &steady, cluster.round().grants.len());
}

fn quantities(pairs: &[(&str, i64)]) -> Quantities {
    let named = |(name, n): &(&str, i64)| (ResourceName::new(name), Scalar::from_whole(*n));
    pairs.iter().map(named).collect()
}

/// One task ends on one agent of a cluster that is otherwise in use: from the event to the offer.
fn single(agents: usize, frameworks: usize) {
    let shape = Shape::new("single", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(frameworks, star);
    let grants = cluster
        .add_agents(agents, |_| (plain(24, 4096, 4096), Vec::new()))
        .grants;
    let part = plain(1, 256, 0);
    let part = part.filter(|entry| entry.quantity().is_some());
    let times: Vec<f64> = (0..1000)
        .map(|at| {
            let grant = &grants[(at * 7919) % grants.len()];
            let begin = Instant::now();
            cluster.allocator.recover(
                cluster.now_us,
                &grant.framework,
                &grant.role,
                &grant.agent,
                &part,
                None,
            );
            let decided_in_ms = ms(begin);
            cluster.now_us += 2_000;
            let begin = Instant::now();
            let found = cluster.run_due();
            assert_eq!(found.len(), 1);
            let run_ms = ms(begin);
            decided_in_ms + run_ms
        })
        .collect();
    shape.row("event_to_offer", 1, &times, 1);
}

/// All but a few frameworks suppress offers.
fn suppressed(agents: usize, frameworks: usize) {
    let shape = Shape::new("suppressed", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(frameworks, star);
    for id in cluster.frameworks.clone().into_iter().skip(2) {
        cluster.allocator.suppress(&id, &BTreeSet::new());
    }
    let timed = cluster.add_agents(agents, |_| (plain(24, 4096, 4096), Vec::new()));
    shape.row("agents", 1, &[timed.ms], timed.grants.len());
    let mut grants = timed.grants;
    let mut rounds_ms = Vec::new();
    for _ in 0..10 {
        cluster.give_back(&grants, None);
        let timed = cluster.round();
        rounds_ms.push(timed.ms);
        grants = timed.grants;
    }
    shape.row("offering", 1, &rounds_ms, grants.len());
}

/// What agents and frameworks weigh; times are of adding one by one.
fn memory(agents: usize, frameworks: usize) {
    let mut shape = Shape::new("memory", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    let begin = Instant::now();
    for at in 0..agents {
        let profile = AgentProfile {
            total: plain(24, 4096, 4096),
            ..AgentProfile::default()
        };
        let id = AgentId::from(format!("6f7dd29c-S{at}"));
        cluster.allocator.add_agent(0, &id, profile, &[]);
    }
    shape.row("agents", 1, &[ms(begin)], 0);
    shape.before_bytes = resident_bytes();
    let begin = Instant::now();
    for at in 0..frameworks {
        let profile = FrameworkProfile {
            roles: BTreeSet::from([Role::default()]),
            active: true,
            ..FrameworkProfile::default()
        };
        let id = FrameworkId::from(format!("6f7dd29c-{at:06}"));
        cluster.allocator.add_framework(0, &id, profile);
    }
    shape.row("frameworks", 1, &[ms(begin)], 0);
}

/// Everybody revives at once.
fn backlog(agents: usize, frameworks: usize) {
    let shape = Shape::new("backlog", agents, frameworks);
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(frameworks, star);
    let grants = cluster
        .add_agents(agents, |_| (plain(24, 4096, 4096), Vec::new()))
        .grants;
    cluster.give_back(&grants, Some(3600.0));
    let begin = Instant::now();
    for id in cluster.frameworks.clone() {
        cluster
            .allocator
            .revive(cluster.now_us, &id, &BTreeSet::new());
    }
    cluster.now_us += 2_000_000;
    let grants = cluster.run_due();
    shape.row("revives", 1, &[ms(begin)], grants.len());
}

fn run(shape: &str, agents: usize, frameworks: usize) {
    match shape {
        "add" => add(agents, frameworks),
        "decline" => decline(agents, frameworks),
        "volumes" => volumes(agents, frameworks),
        "offering" => offering(agents, frameworks),
        "single" => single(agents, frameworks),
        "suppressed" => suppressed(agents, frameworks),
        "memory" => memory(agents, frameworks),
        "backlog" => backlog(agents, frameworks),
        "quota" => quota(agents, SorterKind::Drf, "quota"),
        "quota_random" => quota(agents, SorterKind::Random, "quota_random"),
        other => eprintln!("no shape {other}"),
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<usize>().ok());
    let list = [
        ("memory", 50_000, 6_000),
        ("add", 1_000, 50),
        ("add", 10_000, 200),
        ("add", 10_000, 1_000),
        ("decline", 1_000, 50),
        ("decline", 10_000, 50),
        ("decline", 1_000, 200),
        ("volumes", 1_000, 50),
        ("volumes", 10_000, 200),
        ("offering", 10_000, 200),
        ("offering", 20_000, 2_000),
        ("suppressed", 5_000, 200),
        ("backlog", 10_000, 200),
        ("quota", 300, 300),
        ("quota", 3_000, 3_000),
        ("quota_random", 300, 300),
        ("quota_random", 3_000, 3_000),
        ("single", 50_000, 200),
        ("single", 50_000, 6_000),
    ];
    if let Some(shape) = value("--shape") {
        let (agents, frameworks) = (number("--agents"), number("--frameworks"));
        run(shape, agents.unwrap_or(1_000), frameworks.unwrap_or(50));
        return;
    }
    for (shape, agents, frameworks) in list {
        run(shape, agents, frameworks);
    }
}
