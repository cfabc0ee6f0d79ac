//! Shapes with quota.

use meseta_allocator::{Config, Quota, SorterKind};
use meseta_model::resources::{ResourceName, Scalar};

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
