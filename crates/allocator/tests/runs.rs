//! Large clusters are looked at in pieces, and rounds keep their distance.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use meseta_allocator::{
    AgentProfile, Allocator, Config, FrameworkProfile, Grant, Refusal, Used, limits,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Quantities, Resources};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

fn cluster(agents: usize, frameworks: usize) -> Allocator {
    let mut allocator = Allocator::new(Config::default());
    for at in 0..frameworks {
        let profile = FrameworkProfile {
            roles: BTreeSet::from([Role::default()]),
            active: true,
            ..FrameworkProfile::default()
        };
        allocator.add_framework(0, &FrameworkId::from(format!("F{at}")), profile);
    }
    for at in 0..agents {
        let profile = AgentProfile {
            total: Resources::of(&[("cpus", 1.0), ("mem", 64.0)]),
            ..AgentProfile::default()
        };
        allocator.add_agent(0, &AgentId::from(format!("A{at}")), profile, &[]);
    }
    allocator
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
    let distance_us = 1_000 * limits::ROUND_DISTANCE_PER_AGENT_US;
    let first_us = 1_102_000; // when the window closes
    let expected = [first_us, first_us + distance_us, first_us + 2 * distance_us];
    assert_eq!(begun, expected);
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
