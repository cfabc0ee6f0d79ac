//! What must hold whatever happens: nothing is given twice, limits hold, promises are kept, nobody
//! starves, and the same calls give the same grants.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{
    AgentProfile, Allocator, Config, Explanation, FrameworkProfile, Grant, Quota, Refusal, Scoring,
    SorterKind,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceName, Resources, Scalar};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;
use proptest::prelude::*;

fn agent_id(at: usize) -> AgentId {
    AgentId::from(format!("A{at}"))
}

fn framework_id(at: usize) -> FrameworkId {
    FrameworkId::from(format!("F{at}"))
}

fn machine(cpus: i64) -> Resources {
    Resources::of(&[("cpus", cpus as f64), ("mem", (cpus * 256) as f64)])
}

/// A cluster whose frameworks are the test.
struct Cluster {
    allocator: Allocator,
    rng: Rng,
    now_us: u64,
}

impl Cluster {
    fn new(config: Config, seed: u64) -> Self {
        Self {
            allocator: Allocator::new(config),
            rng: Rng::new(seed),
            now_us: 0,
        }
    }

    fn with(sizes: &[i64], roles: &[&str], seed: u64) -> Self {
        let mut cluster = Self::new(Config::default(), seed);
        cluster.add_agents(sizes);
        cluster.add_frameworks(roles);
        cluster
    }

    fn add_agents(&mut self, sizes: &[i64]) {
        for (at, cpus) in sizes.iter().enumerate() {
            let profile = AgentProfile {
                total: machine(*cpus),
                hierarchical_role: true,
                multi_role: true,
                ..AgentProfile::default()
            };
            self.allocator
                .add_agent(self.now_us, &agent_id(at), profile, &[]);
        }
    }

    fn add_frameworks(&mut self, roles: &[&str]) {
        for (at, role) in roles.iter().enumerate() {
            let profile = FrameworkProfile {
                roles: BTreeSet::from([Role::from(*role)]),
                active: true,
                ..FrameworkProfile::default()
            };
            self.allocator
                .add_framework(self.now_us, &framework_id(at), profile);
        }
    }

    /// Sleeps until the next wake; `None` when there is none.
    fn run(&mut self) -> Option<Vec<Grant>> {
        let at_us = self.allocator.next_wake(self.now_us)?;
        self.now_us = self.now_us.max(at_us);
        Some(self.allocator.allocate(self.now_us, &mut self.rng))
    }

    fn give_back(&mut self, grant: &Grant, part: &Resources, seconds: Option<f64>) {
        let refusal = seconds.map(|seconds| Refusal { seconds });
        let (framework, role) = (&grant.framework, &grant.role);
        self.allocator
            .recover(self.now_us, framework, role, &grant.agent, part, refusal);
    }
}

/// What a framework does with an offer, drawn.
fn answer(draws: &mut Rng, offered: &Resources) -> (Resources, Option<f64>) {
    let seconds = [0.0, 0.3, 5.0, 60.0][draws.below(4) as usize];
    let unused = match draws.below(3) {
        0 => offered.clone(),
        1 => offered.at_most(&ResourceName::Cpus, Scalar::from_whole(1)),
        _ => Resources::new(),
    };
    (unused, (draws.below(4) > 0).then_some(seconds))
}

/// Frameworks accept, decline and finish at random; every grant made.
fn random_life(sizes: &[i64], roles: &[&str], seed: u64, config: Config) -> Vec<Grant> {
    let mut cluster = Cluster::new(config, seed);
    cluster.add_agents(sizes);
    cluster.add_frameworks(roles);
    let mut draws = Rng::new(seed ^ 1);
    let mut free: BTreeMap<AgentId, Resources> = sizes
        .iter()
        .enumerate()
        .map(|(at, cpus)| (agent_id(at), machine(*cpus)))
        .collect();
    let mut tasks: Vec<Grant> = Vec::new();
    let mut all = Vec::new();
    for _ in 0..60 {
        let grants = cluster.run().unwrap_or_default();
        all.extend(grants.iter().cloned());
        for mut grant in grants {
            let there = free.get_mut(&grant.agent).expect("a known agent");
            assert!(
                there.try_sub_assign(&grant.resources),
                "granted twice: {grant:?}"
            );
            let (unused, seconds) = answer(&mut draws, &grant.resources);
            cluster.give_back(&grant, &unused, seconds);
            *there += &unused;
            grant.resources = grant.resources.checked_sub(&unused).expect("a part");
            if !grant.resources.is_empty() {
                tasks.push(grant);
            }
        }
        while !tasks.is_empty() && draws.below(2) == 0 {
            let task = tasks.swap_remove(draws.below(tasks.len() as u64) as usize);
            cluster.give_back(&task, &task.resources, None);
            *free.get_mut(&task.agent).expect("a known agent") += &task.resources;
        }
        cluster.allocator.audit().expect("the books");
    }
    all
}

/// Policies of all kinds.
fn policies() -> impl Strategy<Value = Config> {
    let sorter = prop::sample::select(&[SorterKind::Drf, SorterKind::Random]);
    let names: Vec<&'static str> = Scoring::names().collect();
    let scores = prop::sample::subsequence(names, 0..3);
    (sorter, scores, any::<bool>(), any::<bool>()).prop_map(|(sorter, scores, charge, lengthen)| {
        let scores = scores.into_iter().map(Scoring::named);
        Config {
            role_sorter: sorter,
            framework_sorter: sorter,
            scores: scores.collect::<Option<_>>().unwrap(),
            charge_reservations: charge,
            longest_refusal_us: lengthen.then_some(20_000_000),
            ..Config::default()
        }
    })
}

const ROLES: [&str; 6] = ["*", "a", "a/b", "a/c", "d", "d/e/f"];

fn sizes() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(1i64..9, 1..8)
}

fn roles() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&ROLES), 1..7)
}

/// Runs a cluster whose frameworks each want so many cpus, one at a time, until all have them.
fn rounds_until_served(cluster: &mut Cluster, mut wanted: Vec<i64>) -> usize {
    for round in 0..2_000 {
        if wanted.iter().all(|cpus| *cpus == 0) {
            return round;
        }
        let grants = cluster.run().expect("somebody still wants something");
        for grant in grants {
            let at: usize = grant.framework.as_str()[1..].parse().unwrap();
            let offered = grant.resources.total(&ResourceName::Cpus).thousandths() / 1000;
            let taken = offered.min(wanted[at]).min(1);
            wanted[at] -= taken;
            let unused = grant
                .resources
                .checked_sub(&machine(taken))
                .expect("a part");
            cluster.give_back(&grant, &unused, Some(5.0));
        }
    }
    panic!("still wanted: {wanted:?}");
}

fn limited(cpus: i64) -> Quota {
    Quota {
        limits: BTreeMap::from([(ResourceName::Cpus, Scalar::from_whole(cpus))]),
        ..Quota::default()
    }
}

fn promised(cpus: i64) -> Quota {
    Quota {
        guarantees: machine(cpus).quantities(),
        ..Quota::default()
    }
}

proptest! {
    #[test]
    fn nothing_is_granted_twice(
        sizes in sizes(), roles in roles(), seed: u64, config in policies(),
    ) {
        random_life(&sizes, &roles, seed, config);
    }

    #[test]
    fn the_same_calls_give_the_same_grants(
        sizes in sizes(), roles in roles(), seed: u64, config in policies(),
    ) {
        let once = random_life(&sizes, &roles, seed, config.clone());
        let again = random_life(&sizes, &roles, seed, config);
        prop_assert_eq!(format!("{once:?}"), format!("{again:?}"));
    }

    /// With one agent, what is explained is what comes; and explaining changes nothing.
    #[test]
    fn explanations_come_true(
        size in 1i64..9, roles in roles(), limit in 0i64..9, guarantee in 0i64..9, seed: u64,
    ) {
        let mut cluster = Cluster::with(&[size], &roles, seed);
        let mut silent = Cluster::with(&[size], &roles, seed);
        let (mut limited, mut promised) = (limited(limit), promised(guarantee));
        limited.guarantees = Default::default();
        promised.limits = BTreeMap::new();
        for cluster in [&mut cluster, &mut silent] {
            cluster.allocator.set_quota(0, &Role::from("a"), Some(&limited)).unwrap();
            cluster.allocator.set_quota(0, &Role::from("d"), Some(&promised)).unwrap();
        }
        let mut draws = Rng::new(seed);
        let mut moments = Rng::new(seed);
        for _ in 0..30 {
            let Some(at_us) = cluster.allocator.next_wake(cluster.now_us) else { break };
            // Asked at any time before.
            let wait_us = at_us.saturating_sub(cluster.now_us);
            let early_us = cluster.now_us + moments.below(wait_us + 1);
            let asked: Vec<_> = roles.iter().enumerate()
                .map(|(at, role)| (framework_id(at), Role::from(*role)))
                .collect();
            let mut all = Vec::new();
            cluster.allocator.explain_each(early_us, &asked, &[agent_id(0)], |client, _, it| {
                all.push((client, it));
            });
            all.sort_by_key(|(client, _)| *client);
            for ((id, role), (_, it)) in asked.iter().zip(all) {
                prop_assert_eq!(cluster.allocator.explain(early_us, id, role, &agent_id(0)), it);
            }
            cluster.now_us = cluster.now_us.max(at_us);
            let mut expected = BTreeMap::new();
            for (at, role) in roles.iter().enumerate() {
                let (id, role) = (framework_id(at), Role::from(*role));
                let now_us = cluster.now_us;
                let said = cluster.allocator.explain(now_us, &id, &role, &agent_id(0));
                if let Explanation::Offered(what) = said {
                    expected.insert(id, *what);
                }
            }
            cluster.allocator.audit().expect("the books");
            silent.now_us = cluster.now_us;
            let wakes = [&cluster, &silent].map(|it| it.allocator.next_wake(it.now_us));
            prop_assert_eq!(wakes[0], wakes[1]);
            prop_assert_eq!(cluster.allocator.counts(), silent.allocator.counts());
            let grants = cluster.allocator.allocate(cluster.now_us, &mut cluster.rng);
            let same = silent.allocator.allocate(silent.now_us, &mut silent.rng);
            prop_assert_eq!(&grants, &same);
            if cluster.allocator.last_run().agents > 0 {
                let came = grants.iter().map(|it| (it.framework.clone(), it.resources.clone()));
                prop_assert_eq!(expected, came.collect::<BTreeMap<_, _>>());
            }
            for grant in &grants {
                let (unused, seconds) = answer(&mut draws, &grant.resources);
                cluster.give_back(grant, &unused, seconds);
                silent.give_back(grant, &unused, seconds);
            }
        }
    }

    #[test]
    fn nobody_starves(sizes in sizes(), roles in roles(), seed: u64) {
        let mut cluster = Cluster::with(&sizes, &roles, seed);
        let all: i64 = sizes.iter().sum();
        let each = all / roles.len() as i64;
        // Together they want no more than there is, and one cpu fits everywhere.
        rounds_until_served(&mut cluster, vec![each; roles.len()]);
    }

    #[test]
    fn limits_are_never_passed(sizes in sizes(), limit in 0i64..12, seed: u64) {
        let mut cluster = Cluster::with(&sizes, &["a", "a/b", "c"], seed);
        cluster.allocator.set_quota(0, &Role::from("a"), Some(&limited(limit))).unwrap();
        let mut draws = Rng::new(seed);
        for _ in 0..40 {
            for grant in cluster.run().unwrap_or_default() {
                let (unused, seconds) = answer(&mut draws, &grant.resources);
                cluster.give_back(&grant, &unused, seconds);
            }
            let has = cluster.allocator.quota_consumed(&Role::from("a"));
            prop_assert!(has.get(&ResourceName::Cpus) <= Scalar::from_whole(limit));
        }
    }

    #[test]
    fn feasible_guarantees_are_met(sizes in sizes(), parts in (0i64..100, 0i64..100), seed: u64) {
        let mut cluster = Cluster::with(&sizes, &["greedy", "a", "b/c"], seed);
        let all: i64 = sizes.iter().sum();
        let (a, b) = (all * parts.0 / 200, all * parts.1 / 200);
        cluster.allocator.set_quota(0, &Role::from("a"), Some(&promised(a))).unwrap();
        cluster.allocator.set_quota(0, &Role::from("b"), Some(&promised(b))).unwrap();
        // The others come only after somebody greedy could have taken everything.
        for late in [1, 2] {
            cluster.allocator.suppress(&framework_id(late), &BTreeSet::new());
        }
        while cluster.now_us < 10_000_000 && cluster.run().is_some() {}
        for late in [1, 2] {
            cluster.allocator.revive(cluster.now_us, &framework_id(late), &BTreeSet::new());
        }
        while cluster.now_us < 20_000_000 && cluster.run().is_some() {}
        for (role, guarantee) in [("a", a), ("b", b)] {
            let has = cluster.allocator.quota_consumed(&Role::from(role));
            prop_assert!(has.contains(&machine(guarantee).quantities()), "{role} has {has}");
        }
    }

    #[test]
    fn declining_with_zero_gives_one_offer_per_interval(sizes in sizes(), seed: u64) {
        let mut cluster = Cluster::with(&sizes, &["*", "*", "a"], seed);
        let mut last: BTreeMap<(FrameworkId, AgentId), u64> = BTreeMap::new();
        while cluster.now_us < 10_000_000 {
            let grants = cluster.run().expect("never asleep while something is free");
            for grant in grants {
                let key = (grant.framework.clone(), grant.agent.clone());
                if let Some(before_us) = last.insert(key, cluster.now_us) {
                    prop_assert!(cluster.now_us - before_us >= 1_000_000);
                }
                cluster.give_back(&grant, &grant.resources, Some(0.0));
            }
        }
        prop_assert_eq!(last.len(), sizes.len() * 3);
    }
}

/// Frameworks of equal demand end up with equal shares, roles with shares by weight.
#[test]
fn shares_follow_weights() {
    let mut cluster = Cluster::with(&[1; 120], &["a", "a", "b", "b", "b"], 3);
    cluster
        .allocator
        .set_weight(0, &Role::from("b"), 2.0)
        .unwrap();
    while cluster.run().is_some() {}
    let mut cpus: BTreeMap<String, i64> = BTreeMap::new();
    for share in cluster.allocator.roles() {
        let has = share.allocated.get(&ResourceName::Cpus);
        cpus.insert(share.role.to_string(), has.thousandths() / 1000);
    }
    assert_eq!(
        cpus,
        BTreeMap::from([("a".to_owned(), 40), ("b".to_owned(), 80)])
    );
    let shares: Vec<f64> = (0..5)
        .flat_map(|at| {
            cluster
                .allocator
                .framework_shares(&framework_id(at))
                .into_values()
        })
        .collect();
    assert_eq!(shares.len(), 5);
    assert!((shares[0] - shares[1]).abs() < 0.01, "{shares:?}");
    assert!((shares[2] - shares[4]).abs() < 0.01, "{shares:?}");
}

/// An idle cluster does not wake anybody: no framework, all suppressed, or nothing left.
#[test]
fn idle_clusters_sleep() {
    let mut cluster = Cluster::with(&[4, 4], &[], 1);
    assert_eq!(cluster.allocator.next_wake(0), None);
    cluster.add_frameworks(&["a"]);
    let grants: Vec<Grant> = std::iter::from_fn(|| cluster.run()).flatten().collect();
    assert_eq!(grants.len(), 2);
    assert_eq!(cluster.allocator.next_wake(cluster.now_us), None);
    cluster
        .allocator
        .suppress(&framework_id(0), &BTreeSet::new());
    for grant in &grants {
        cluster.give_back(grant, &grant.resources, None);
    }
    assert_eq!(cluster.allocator.next_wake(cluster.now_us), None);
    assert_eq!(cluster.allocator.counts().offerable_agents, 2);
}
