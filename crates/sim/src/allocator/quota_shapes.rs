//! Shapes with quota.

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{Config, FrameworkProfile, Quota, RoleConstraints, SorterKind, Used};
use meseta_model::resources::{ResourceName, Resources, Scalar};

use super::Size;
use super::cluster::{Cluster, role};
use super::row::Rows;
use super::shapes::plain;

/// An agent of these shapes: cpus, and megabytes of mem.
const AGENT: (i64, i64) = (24, 4096);

fn cluster(sorter: SorterKind) -> Cluster {
    Cluster::new(Config {
        role_sorter: sorter,
        framework_sorter: sorter,
        ..Config::default()
    })
}

/// So much, and no more.
fn exactly(cpus: i64, mem: i64) -> Quota {
    let amounts = [("cpus", cpus), ("mem", mem)]
        .map(|(name, whole)| (ResourceName::new(name), Scalar::from_whole(whole)));
    Quota {
        guarantees: amounts.clone().into_iter().collect(),
        limits: amounts.into_iter().collect(),
    }
}

/// Names of roles, even if there is but one: quota on `*` is something else.
fn named(at: usize, roles: usize) -> meseta_model::roles::Role {
    role(at % roles, roles.max(2))
}

fn run(
    mut cluster: Cluster,
    rows: &mut Rows<'_>,
    quota: impl Fn(usize) -> Option<Quota>,
    agent: (i64, i64),
) {
    let Size {
        agents,
        frameworks,
        roles,
    } = rows.size;
    for at in 0..roles {
        if let Some(quota) = quota(at) {
            let set = cluster
                .allocator
                .set_quota(0, &named(at, roles), Some(&quota));
            assert_eq!(set, Ok(()), "a valid quota");
        }
    }
    let added_ms = cluster.add_frameworks(frameworks, |at| named(at, roles));
    rows.add("frameworks", &[added_ms], 0);
    let timed = cluster.add_agents(agents, |_| (plain(agent.0, agent.1, 4096), Vec::new()));
    rows.add("agents", &[timed.ms], timed.grants.len());
    // What was granted as agents came goes back, so that one cycle over all can be timed.
    cluster.give_back(&timed.grants, None);
    let timed = cluster.round();
    rows.add("offering", &[timed.ms], timed.grants.len());
    let steady: Vec<f64> = (0..5).map(|_| cluster.round().ms).collect();
    rows.add("steady", &steady, cluster.round().grants.len());
}

fn large_and_small(at: usize) -> Option<Quota> {
    let cpus = if at.is_multiple_of(2) { 12 } else { 36 };
    Some(exactly(cpus, cpus * 170))
}

/// Half of the roles are promised half an agent, half of them one and a half, and may have no more;
/// what is left over may go to nobody.
pub(super) fn quota(_: Size, rows: &mut Rows<'_>) {
    run(cluster(SorterKind::Drf), rows, large_and_small, (25, 4300));
}

/// See [`quota`].
pub(super) fn quota_random(_: Size, rows: &mut Rows<'_>) {
    run(
        cluster(SorterKind::Random),
        rows,
        large_and_small,
        (25, 4300),
    );
}

fn promise(size: Size) -> impl Fn(usize) -> Option<Quota> {
    let agents = (size.agents / size.roles).max(1) as i64;
    move |_| Some(exactly(AGENT.0 * agents, AGENT.1 * agents))
}

/// Each role is promised its part of the agents.
pub(super) fn promised(size: Size, rows: &mut Rows<'_>) {
    run(cluster(SorterKind::Drf), rows, promise(size), AGENT);
}

/// See [`promised`].
pub(super) fn promised_random(size: Size, rows: &mut Rows<'_>) {
    run(cluster(SorterKind::Random), rows, promise(size), AGENT);
}

/// Everybody has 24 cpus of an agent of 25, and likes no agent: rounds without a limit, then with limits
/// that leave each role half a cpu; at last everybody likes every agent, and is offered that.
pub(super) fn limited(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = cluster(SorterKind::Drf);
    cluster.add_frameworks(size.frameworks, |at| named(at, size.roles));
    choose(&mut cluster, size, false);
    let owner = |at: usize| at % size.frameworks;
    let ids = cluster.frameworks.clone();
    let timed = cluster.add_agents(size.agents, |at| {
        let used = ids.get(owner(at)).map(|id| Used {
            framework: id.clone(),
            role: named(owner(at), size.roles),
            resources: Resources::of(&[("cpus", 24.0), ("mem", 4128.0)]),
        });
        (plain(25, 4300, 4096), used.into_iter().collect())
    });
    rows.add("agents", &[timed.ms], timed.grants.len());
    let without: Vec<f64> = (0..5).map(|_| cluster.round().ms).collect();
    rows.add("unlimited", &without, cluster.round().grants.len());
    for role in 0..size.roles {
        let agents = (0..size.agents).filter(|at| owner(*at) % size.roles == role);
        let quota = a_little_more_than(agents.count() as i64);
        let role = named(role, size.roles);
        let set = cluster.allocator.set_quota(0, &role, Some(&quota));
        assert_eq!(set, Ok(()), "a valid quota");
    }
    cluster.round();
    let steady: Vec<f64> = (0..5).map(|_| cluster.round().ms).collect();
    rows.add("steady", &steady, cluster.round().grants.len());
    choose(&mut cluster, size, true);
    let timed = cluster.round();
    rows.add("offering", &[timed.ms], timed.grants.len());
}

/// Lets every framework like all agents, or none.
fn choose(cluster: &mut Cluster, size: Size, all: bool) {
    for (at, id) in cluster.frameworks.iter().enumerate() {
        let role = named(at, size.roles);
        let nowhere = RoleConstraints { groups: Vec::new() };
        let constraints = (!all).then(|| (role.clone(), nowhere));
        let profile = FrameworkProfile {
            roles: BTreeSet::from([role]),
            offer_constraints: constraints.into_iter().collect(),
            active: true,
            ..FrameworkProfile::default()
        };
        cluster
            .allocator
            .update_framework(cluster.now_us, id, profile);
    }
}

/// No more than is in use on so many agents, half a cpu, and 86 megabytes.
fn a_little_more_than(agents: i64) -> Quota {
    let cpus = Scalar::from_thousandths(agents * 24_000 + 500);
    let mem = Scalar::from_whole(agents * 4128 + 86);
    Quota {
        limits: BTreeMap::from([(ResourceName::Cpus, cpus), (ResourceName::Mem, mem)]),
        ..Quota::default()
    }
}
