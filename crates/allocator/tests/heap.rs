//! A round over agents that everybody has refused takes nothing from the heap for each pair of agent
//! and framework, and no more where quota limits leave something of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::alloc::System;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use meseta_allocator::{
    AgentProfile, Allocator, Config, Constraint, FrameworkCapabilities, FrameworkProfile, Pattern,
    PatternLimits, Predicate, Quota, Refusal, RoleConstraints, Selector,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Kind, Resource, ResourceName, Resources, Scalar, Value};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: the heap that is counted is everybody's.
static ALONE: Mutex<()> = Mutex::new(());

const AGENTS: usize = 50;

/// Half of the frameworks understand revocable resources, of which every agent has some; a third look
/// for hosts that are not there.
fn profile(at: usize) -> FrameworkProfile {
    let pattern = Pattern::compile("gpu-[0-9]+", PatternLimits::default()).expect("an expression");
    let constraint = Constraint {
        selector: Selector::Hostname,
        predicate: Predicate::TextMatches(pattern),
    };
    let wanted = RoleConstraints {
        groups: vec![vec![constraint]],
    };
    let constraints = at.is_multiple_of(3).then(|| (Role::default(), wanted));
    FrameworkProfile {
        roles: BTreeSet::from([Role::default()]),
        offer_constraints: constraints.into_iter().collect(),
        capabilities: FrameworkCapabilities {
            revocable_resources: at.is_multiple_of(2),
            ..FrameworkCapabilities::default()
        },
        active: true,
        ..FrameworkProfile::default()
    }
}

fn machine(at: usize) -> Resources {
    let kind = Kind {
        revocable: true,
        ..Kind::default()
    };
    let spare = Value::Scalar(Scalar::from_whole(1));
    let mut all = Resources::of(&[("cpus", 1.0 + at as f64), ("mem", 64.0)]);
    all.add_resource(Resource::new(ResourceName::Cpus, spare, kind));
    all
}

fn cluster(profiles: impl Iterator<Item = FrameworkProfile>) -> Allocator {
    let mut allocator = Allocator::new(Config::default());
    for (at, profile) in profiles.enumerate() {
        allocator.add_framework(0, &FrameworkId::from(format!("F{at}")), profile);
    }
    for at in 0..AGENTS {
        let profile = AgentProfile {
            total: machine(at),
            ..AgentProfile::default()
        };
        allocator.add_agent(0, &AgentId::from(format!("A{at}")), profile, &[]);
    }
    allocator
}

/// Each framework in a role of its own, that may have half a cpu.
fn limited_cluster(frameworks: usize) -> Allocator {
    let role = |at: usize| Role::from(format!("role{at}").as_str());
    let mut allocator = cluster((0..frameworks).map(|at| FrameworkProfile {
        roles: BTreeSet::from([role(at)]),
        offer_constraints: BTreeMap::new(),
        ..profile(at)
    }));
    let limits = BTreeMap::from([(ResourceName::Cpus, Scalar::from_thousandths(500))]);
    let quota = Quota {
        limits,
        ..Quota::default()
    };
    for at in 0..frameworks {
        let set = allocator.set_quota(0, &role(at), Some(&quota));
        assert_eq!(set, Ok(()));
    }
    allocator
}

/// What a round takes from the heap, in pieces, once all is refused.
fn pieces(mut allocator: Allocator, frameworks: usize) -> usize {
    let mut rng = Rng::new(1);
    let mut now_us = 0;
    let mut idle_rounds = 0;
    while idle_rounds < 3 {
        now_us += 1_000_000;
        let grants = allocator.allocate(now_us, &mut rng);
        idle_rounds = if grants.is_empty() {
            idle_rounds + 1
        } else {
            0
        };
        for grant in grants {
            let refusal = Some(Refusal { seconds: 1e9 });
            let (framework, role) = (&grant.framework, &grant.role);
            let (agent, what) = (&grant.agent, &grant.resources);
            allocator.recover(now_us, framework, role, agent, what, refusal);
        }
    }
    // And these are left to refuse: two of three.
    assert!(allocator.counts().filters >= AGENTS * (frameworks * 2 / 3));
    let region = Region::new(HEAP);
    let grants = allocator.allocate(now_us + 1_000_000, &mut rng);
    let taken = region.change().allocations;
    assert!(grants.is_empty());
    assert_eq!(allocator.last_run().agents, AGENTS);
    taken
}

#[test]
fn nothing_is_taken_from_the_heap_for_a_pair() {
    let _alone = ALONE.lock();
    let pieces = |frameworks| pieces(cluster((0..frameworks).map(profile)), frameworks);
    let (few, many) = (pieces(10), pieces(100));
    // One piece an agent, for what is left of it to those who understand less, and a few lists of the
    // round itself.
    assert!(few < AGENTS + 20, "{few} for {AGENTS} agents");
    assert!(many < few + 20, "{many} with ten times as many frameworks");
}

#[test]
fn nothing_is_taken_for_a_pair_of_which_a_limit_leaves_a_part() {
    let _alone = ALONE.lock();
    let pieces = |frameworks| pieces(limited_cluster(frameworks), frameworks);
    let (few, many) = (pieces(10), pieces(100));
    // Now and then two agents' parts share a place.
    assert!(few < 3 * AGENTS, "{few} for {AGENTS} agents");
    assert!(many < few + 20, "{many} with ten times as many frameworks");
}
