//! Large clusters are looked at in pieces, and rounds keep their distance.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{
    AgentProfile, Allocator, Config, FrameworkProfile, Grant, Refusal, RoleConstraints, Scoring,
    Used, limits,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Quantities, Resources};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

fn cluster(agents: usize, frameworks: usize) -> Allocator {
    let mut allocator = Allocator::new(Config::default());
    add_frameworks(&mut allocator, frameworks, |_| ());
    add_agents(&mut allocator, agents);
    allocator
}

fn profile() -> FrameworkProfile {
    FrameworkProfile {
        roles: BTreeSet::from([Role::default()]),
        active: true,
        ..FrameworkProfile::default()
    }
}

fn add_frameworks(
    allocator: &mut Allocator,
    frameworks: usize,
    change: impl Fn(&mut FrameworkProfile),
) {
    for at in 0..frameworks {
        let mut profile = profile();
        change(&mut profile);
        allocator.add_framework(0, &FrameworkId::from(format!("F{at}")), profile);
    }
}

fn add_agents(allocator: &mut Allocator, agents: usize) {
    for at in 0..agents {
        let profile = AgentProfile {
            total: Resources::of(&[("cpus", 1.0), ("mem", 64.0)]),
            ..AgentProfile::default()
        };
        allocator.add_agent(0, &AgentId::from(format!("A{at}")), profile, &[]);
    }
}

fn give_back(allocator: &mut Allocator, now_us: u64, grants: &[Grant], seconds: f64) {
    for grant in grants {
        let (framework, role) = (&grant.framework, &grant.role);
        let refusal = Some(Refusal { seconds });
        allocator.recover(
            now_us,
            framework,
            role,
            &grant.agent,
            &grant.resources,
            refusal,
        );
    }
}

/// The grants of each run until none is due.
fn runs(allocator: &mut Allocator, now_us: u64) -> Vec<Vec<Grant>> {
    let mut rng = Rng::new(1);
    let mut all = Vec::new();
    while allocator.next_wake(now_us).is_some_and(|at| at <= now_us) {
        all.push(allocator.allocate(now_us, &mut rng));
    }
    all
}

#[test]
fn a_run_looks_at_so_many_agents() {
    let mut allocator = cluster(limits::AGENTS_PER_RUN + 1, 1);
    let sizes: Vec<usize> = runs(&mut allocator, 2_000).iter().map(Vec::len).collect();
    assert_eq!(sizes, [limits::AGENTS_PER_RUN, 1]);
}

#[test]
fn a_run_looks_at_so_many_pairs() {
    let frameworks = limits::PAIRS_PER_RUN / 100;
    let mut allocator = cluster(250, frameworks);
    let sizes: Vec<usize> = runs(&mut allocator, 2_000).iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[test]
fn a_round_in_pieces_reaches_everybody_and_lets_changes_pass() {
    let mut allocator = cluster(limits::AGENTS_PER_RUN + 10, 1);
    let all: Vec<Grant> = runs(&mut allocator, 2_000).concat();
    give_back(&mut allocator, 10_000, &all, 3600.0);
    assert!(
        runs(&mut allocator, 12_000).concat().is_empty(),
        "all is filtered"
    );
    allocator.revive(20_000, &FrameworkId::from("F0"), &BTreeSet::new());
    let round_us = allocator.next_wake(20_000).unwrap();
    let mut rng = Rng::new(1);
    let first = allocator.allocate(round_us, &mut rng);
    assert_eq!(first.len(), limits::AGENTS_PER_RUN);
    // In the middle of the round, an agent that was offered already gets something back.
    let back = &first[0];
    give_back(&mut allocator, round_us, std::slice::from_ref(back), 0.0);
    allocator.revive(round_us, &back.framework, &BTreeSet::new());
    let second = allocator.allocate(round_us + 2_000, &mut rng);
    assert_eq!(
        second,
        std::slice::from_ref(back),
        "what changed goes first"
    );
    let rest = runs(&mut allocator, round_us + 2_000).concat();
    assert_eq!(rest.len(), 10);
}

#[test]
fn rounds_keep_their_distance() {
    let mut allocator = cluster(1_000, 1);
    let all = runs(&mut allocator, 2_000).concat();
    give_back(&mut allocator, 1_000_000, &all, 3600.0);
    runs(&mut allocator, 1_002_000);
    let id = FrameworkId::from("F0");
    let mut begun = Vec::new();
    let mut now_us = 1_100_000;
    for _ in 0..3 {
        // It changes its mind all the time.
        allocator.revive(now_us, &id, &BTreeSet::new());
        now_us = allocator.next_wake(now_us).unwrap();
        begun.push(now_us);
        let grants = runs(&mut allocator, now_us).concat();
        assert_eq!(grants.len(), 1_000);
        give_back(&mut allocator, now_us, &grants, 3600.0);
        now_us += 2_000;
        assert!(runs(&mut allocator, now_us).concat().is_empty());
    }
    let pairs_us = 1_000 * limits::ROUND_DISTANCE_PER_PAIR_NS / 1_000;
    let distance_us = 1_000 * limits::ROUND_DISTANCE_PER_AGENT_US + pairs_us;
    let first_us = 1_102_000; // when the window closes
    let expected = [first_us, first_us + distance_us, first_us + 2 * distance_us];
    assert_eq!(begun, expected);
}

/// How long after a round the next one begins if it is asked for at once, with frameworks that like no
/// agent.
fn distance_us(agents: usize, frameworks: usize, interval_us: u64) -> u64 {
    let mut allocator = Allocator::new(Config {
        allocation_interval_us: interval_us,
        ..Config::default()
    });
    add_frameworks(&mut allocator, frameworks, |profile| {
        let nowhere = RoleConstraints { groups: Vec::new() };
        profile.offer_constraints = BTreeMap::from([(Role::default(), nowhere)]);
    });
    add_agents(&mut allocator, agents);
    assert!(runs(&mut allocator, 2_000).concat().is_empty());
    allocator.set_weight(10_000, &Role::default(), 2.0).unwrap();
    let round_us = allocator.next_wake(10_000).unwrap();
    runs(&mut allocator, round_us);
    assert_eq!(allocator.last_run().agents, agents);
    let now_us = round_us + 1;
    allocator.set_weight(now_us, &Role::default(), 3.0).unwrap();
    allocator.next_wake(now_us).unwrap() - round_us
}

#[test]
fn rounds_keep_more_distance_with_many_frameworks() {
    let expected = |agents: u64, frameworks: u64| {
        agents * limits::ROUND_DISTANCE_PER_AGENT_US
            + agents * frameworks * limits::ROUND_DISTANCE_PER_PAIR_NS / 1_000
    };
    assert_eq!(distance_us(200, 100, 1_000_000), expected(200, 100));
    assert_eq!(distance_us(200, 2_000, 1_000_000), expected(200, 2_000));
    // As many rounds as without anybody who asks for them.
    assert!(expected(200, 2_000) > 50_000);
    assert_eq!(distance_us(200, 2_000, 50_000), 50_000);
}

/// Nothing is due but the safety net.
fn is_quiet(allocator: &Allocator, last_round_us: u64, now_us: u64) -> bool {
    allocator.next_wake(now_us) == Some(last_round_us + 1_000_000)
}

#[test]
fn what_changes_nothing_asks_for_no_round() {
    let mut allocator = cluster(10, 3);
    let (id, other) = (FrameworkId::from("F0"), FrameworkId::from("F1"));
    let all_roles = BTreeSet::new();
    // Everybody refuses everything, so that it lies there.
    for round in 0..3 {
        let now_us = 10_000 + round * 1_000_000;
        let grants = runs(&mut allocator, now_us).concat();
        assert_eq!(grants.len(), 10);
        give_back(&mut allocator, now_us, &grants, 3600.0);
    }
    let now_us = 4_000_000;
    assert!(runs(&mut allocator, now_us).concat().is_empty());
    assert!(is_quiet(&allocator, now_us, now_us));
    // The same once more, one that was never there, and one that wants nothing.
    allocator.update_framework(now_us, &id, profile());
    allocator.add_framework(now_us, &id, profile());
    allocator.activate_framework(now_us, &id);
    let nobody = FrameworkId::from("nobody");
    allocator.activate_framework(now_us, &nobody);
    allocator.revive(now_us, &nobody, &all_roles);
    let mut asleep = profile();
    asleep.active = false;
    allocator.add_framework(now_us, &FrameworkId::from("F9"), asleep);
    assert!(is_quiet(&allocator, now_us, now_us));
    // One that understands more now.
    let mut capable = profile();
    capable.capabilities.revocable_resources = true;
    allocator.update_framework(now_us, &other, capable.clone());
    let now_us = allocator.next_wake(now_us).unwrap();
    assert_eq!(now_us, 4_002_000);
    assert!(runs(&mut allocator, now_us).concat().is_empty());
    assert_eq!(allocator.last_run().agents, 10);
    allocator.update_framework(now_us, &other, capable);
    assert!(is_quiet(&allocator, now_us, now_us));
    // One whose filters are gone; when all of it was given back without a word, no filter stands.
    allocator.revive(now_us, &id, &all_roles);
    let now_us = allocator.next_wake(now_us).unwrap();
    assert_eq!(now_us, 4_004_000);
    let grants = runs(&mut allocator, now_us).concat();
    assert_eq!(grants.len(), 10);
    allocator.revive(now_us, &id, &all_roles);
    assert_eq!(allocator.next_wake(now_us), None, "all is in its hands");
}

/// So many agents in halves, and ten whole ones among them.
fn halves_and_wholes(scores: &[&str]) -> Allocator {
    let scores = scores.iter().filter_map(|name| Scoring::named(name));
    let mut allocator = Allocator::new(Config {
        scores: scores.collect(),
        ..Config::default()
    });
    add_frameworks(&mut allocator, 1, |_| ());
    for at in 0..limits::AGENTS_PER_RUN + 10 {
        let profile = AgentProfile {
            total: Resources::of(&[("cpus", 2.0), ("mem", 128.0)]),
            ..AgentProfile::default()
        };
        let used = Used {
            framework: FrameworkId::from("busy"),
            role: Role::default(),
            resources: Resources::of(&[("cpus", 1.0), ("mem", 64.0)]),
        };
        let used = if at % 400 == 7 && at / 400 < 10 {
            Vec::new()
        } else {
            vec![used]
        };
        allocator.add_agent(0, &AgentId::from(format!("A{at}")), profile, &used);
    }
    allocator
}

#[test]
fn scores_order_a_round_of_several_runs_as_a_whole() {
    let whole = Resources::of(&[("cpus", 2.0), ("mem", 128.0)]);
    let mut sizes = Vec::new();
    for score in ["pack", "spread"] {
        let mut allocator = halves_and_wholes(&[score]);
        let all: Vec<Grant> = runs(&mut allocator, 2_000).concat();
        give_back(&mut allocator, 10_000, &all, 3600.0);
        assert!(runs(&mut allocator, 12_000).concat().is_empty());
        allocator.revive(20_000, &FrameworkId::from("F0"), &BTreeSet::new());
        let round_us = allocator.next_wake(20_000).unwrap();
        for run in runs(&mut allocator, round_us) {
            let wholes = run.iter().filter(|grant| grant.resources == whole);
            sizes.push((score, run.len(), wholes.count()));
        }
    }
    let most = limits::AGENTS_PER_RUN;
    let expected = [
        ("pack", most, 0),
        ("pack", 10, 10),
        ("spread", most, 10),
        ("spread", 10, 0),
    ];
    assert_eq!(sizes, expected);
}

#[test]
fn gone_agents_are_not_looked_at() {
    let mut allocator = cluster(limits::AGENTS_PER_RUN + 10, 1);
    let all = runs(&mut allocator, 2_000).concat();
    give_back(&mut allocator, 10_000, &all, 3600.0);
    runs(&mut allocator, 12_000);
    allocator.revive(20_000, &FrameworkId::from("F0"), &BTreeSet::new());
    let round_us = allocator.next_wake(20_000).unwrap();
    let first = allocator.allocate(round_us, &mut Rng::new(1));
    let offered: BTreeSet<&AgentId> = first.iter().map(|grant| &grant.agent).collect();
    let left: Vec<&AgentId> = all
        .iter()
        .map(|grant| &grant.agent)
        .filter(|agent| !offered.contains(agent))
        .collect();
    for agent in &left[1..] {
        allocator.remove_agent(round_us, agent);
    }
    let rest = runs(&mut allocator, round_us).concat();
    let rest: Vec<&AgentId> = rest.iter().map(|grant| &grant.agent).collect();
    assert_eq!(rest, [left[0]]);
}

#[test]
fn what_absurd_agents_claim_is_taken_back_to_the_last_thousandth() {
    let mut allocator = cluster(2, 1);
    let (framework, role) = (FrameworkId::from("F0"), Role::default());
    let absurd = Resources::of(&[("cpus", 9e15)]);
    for at in 2..5 {
        let used = Used {
            framework: framework.clone(),
            role: role.clone(),
            resources: absurd.clone(),
        };
        let profile = AgentProfile {
            total: absurd.clone(),
            ..AgentProfile::default()
        };
        allocator.add_agent(0, &AgentId::from(format!("A{at}")), profile, &[used]);
        allocator.audit().expect("books that agree");
    }
    runs(&mut allocator, 2_000);
    for at in 0..5 {
        allocator.remove_agent(3_000, &AgentId::from(format!("A{at}")));
        allocator.audit().expect("books that agree");
    }
    allocator.remove_framework(3_000, &framework);
    allocator.audit().expect("books that agree");
    assert_eq!(allocator.totals(), Quantities::default());
}
