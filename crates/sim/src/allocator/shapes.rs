//! Shapes without quota.

use std::collections::BTreeSet;
use std::time::Instant;

use meseta_allocator::limits::{EXPLAINED_AGENTS_AT_ONCE, EXPLAINED_AT_ONCE};
use meseta_allocator::{AgentProfile, Config, Explanation, FrameworkProfile, Used};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{
    Disk, Kind, Persistence, Ranges, Reservation, Resource, ResourceName, Resources, Scalar, Value,
};
use meseta_model::roles::Role;

use super::Size;
use super::cluster::{Cluster, ms, role};
use super::row::Rows;

/// Rounds of which the times are taken.
const ROUNDS: usize = 10;
/// A year, the longest a refusal lasts.
const LONG_SECONDS: f64 = 31_536_000.0;

fn scalar(name: &str, whole: i64) -> Resource {
    Resource::scalar(ResourceName::new(name), Scalar::from_whole(whole))
}

fn port_ranges(ranges: impl IntoIterator<Item = (u64, u64)>) -> Resource {
    let value = Value::Ranges(Ranges::from_pairs(ranges));
    Resource::new(ResourceName::Ports, value, Kind::default())
}

/// An agent as Mesos's benchmarks have it.
pub(super) fn plain(cpus: i64, mem: i64, disk: i64) -> Resources {
    let scalars = [
        scalar("cpus", cpus),
        scalar("mem", mem),
        scalar("disk", disk),
    ];
    let mut all: Resources = scalars.into_iter().collect();
    all.add_resource(port_ranges([(31_000, 32_000)]));
    all
}

fn unused(_: usize) -> (Resources, Vec<Used>) {
    (plain(24, 4096, 4096), Vec::new())
}

/// A cluster of frameworks without agents.
fn frameworks(size: Size) -> Cluster {
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(size.frameworks, |at| role(at, size.roles));
    cluster
}

/// Agents come, each with one allocation; then each grows.
pub(super) fn add(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = Cluster::new(Config::default());
    let added_ms = cluster.add_frameworks(size.frameworks, |at| role(at, size.roles));
    rows.add("frameworks", &[added_ms], 0);
    let ids = cluster.frameworks.clone();
    let timed = cluster.add_agents(size.agents, |at| {
        let owner = at % size.frameworks;
        let used = ids.get(owner).map(|id| Used {
            framework: id.clone(),
            role: role(owner, size.roles),
            resources: Resources::of(&[("cpus", 1.0), ("mem", 128.0)]),
        });
        (plain(2, 1024, 4096), used.into_iter().collect())
    });
    rows.add("agents", &[timed.ms], timed.grants.len());
    let (updated_ms, offers) = cluster.update_agents(&plain(2, 2048, 4096));
    rows.add("update", &[updated_ms], offers);
}

/// Every offer is declined for long; then rounds in which all is filtered.
pub(super) fn decline(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    let timed = cluster.add_agents(size.agents, unused);
    rows.add("agents", &[timed.ms], timed.grants.len());
    cluster.give_back(&timed.grants, None);
    drop(timed);
    decline_all(&mut cluster, rows);
}

/// Declines until nothing is offered any more. Grants are gone again when filters are weighed.
fn decline_all(cluster: &mut Cluster, rows: &mut Rows<'_>) {
    rows.count_from_here();
    let mut rounds_ms = Vec::with_capacity(64);
    let mut declines_ms = Vec::with_capacity(64);
    let (mut offers, mut filters) = (0, 0);
    loop {
        let timed = cluster.round();
        if timed.grants.is_empty() {
            break;
        }
        if timed.grants.len() == rows.size.agents && rounds_ms.len() < rounds_ms.capacity() {
            rounds_ms.push(timed.ms);
            offers = timed.grants.len();
        }
        filters += timed.grants.len();
        let lasted_ms = cluster.give_back(&timed.grants, Some(LONG_SECONDS));
        if declines_ms.len() < declines_ms.capacity() {
            declines_ms.push(lasted_ms / timed.grants.len() as f64);
        }
    }
    assert_eq!(
        cluster.allocator.counts().filters,
        filters,
        "each decline is one filter"
    );
    rows.add("filters", &declines_ms, filters);
    if !rounds_ms.is_empty() {
        rows.add("offering", &rounds_ms, offers);
    }
    let steady: Vec<f64> = (0..2 * ROUNDS).map(|_| cluster.round().ms).collect();
    rows.add("steady", &steady, cluster.round().grants.len());
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
    let used = Used {
        framework: FrameworkId::from("6f7dd29c-000000"),
        role: Role::from("a"),
        resources: Resources::from(port_ranges(in_use)).push_reservation(&reservation),
    };
    (total, vec![used])
}

/// Rounds in which every agent is offered, volume and all. One role, whatever the size says.
pub(super) fn volumes(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(size.frameworks, |_| Role::from("a"));
    let timed = cluster.add_agents(size.agents, with_volume);
    rows.add("agents", &[timed.ms], timed.grants.len());
    let (rounds_ms, offers) = cluster.offering_rounds(timed.grants, ROUNDS);
    rows.add("offering", &rounds_ms, offers);
}

/// Rounds over agents whose ports are in a hundred pieces.
pub(super) fn ports(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    let pieces =
        |at: usize| (0..100).map(move |n| (31_000 + n * 10, 31_000 + n * 10 + (at as u64 + n) % 8));
    let timed = cluster.add_agents(size.agents, |at| {
        let mut total: Resources = [scalar("cpus", 24), scalar("mem", 4096)]
            .into_iter()
            .collect();
        total.add_resource(port_ranges(pieces(at)));
        (total, Vec::new())
    });
    rows.add("agents", &[timed.ms], timed.grants.len());
    let (rounds_ms, offers) = cluster.offering_rounds(timed.grants, ROUNDS);
    rows.add("offering", &rounds_ms, offers);
}

fn labelled(at: usize) -> (Resources, Vec<Used>) {
    let labels = (0..10).map(|n| (format!("key-{n}"), Some(format!("{at}-{n}"))));
    let reservation = Reservation {
        labels: Some(labels.collect()),
        ..Reservation::dynamic(Role::from("a"))
    };
    let mut total = plain(12, 2048, 2048);
    total += &plain(12, 2048, 2048)
        .filter(|entry| entry.quantity().is_some())
        .push_reservation(&reservation);
    (total, Vec::new())
}

/// As [`decline`], with half of each agent reserved under ten labels that only this agent has.
pub(super) fn labels(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = Cluster::new(Config::default());
    cluster.add_frameworks(size.frameworks, |_| Role::from("a"));
    let timed = cluster.add_agents(size.agents, labelled);
    rows.add("agents", &[timed.ms], timed.grants.len());
    cluster.give_back(&timed.grants, None);
    drop(timed);
    decline_all(&mut cluster, rows);
}

/// Full rounds of offers with nothing refused: frameworks take turns.
pub(super) fn offering(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    let grants = cluster.add_agents(size.agents, unused).grants;
    let (rounds_ms, offers) = cluster.offering_rounds(grants, ROUNDS);
    rows.add("round", &rounds_ms, offers);
}

/// One task ends on one agent of a cluster that is otherwise in use: from the event to the offer.
pub(super) fn single(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    let grants = cluster.add_agents(size.agents, unused).grants;
    let part = Resources::of(&[("cpus", 1.0), ("mem", 256.0)]);
    let some = grants
        .iter()
        .cycle()
        .step_by(7919)
        .take(1000.min(8 * grants.len()));
    let times: Vec<f64> = some
        .map(|grant| {
            let begin = Instant::now();
            cluster.give_back_part(grant, &part, None);
            let event_ms = ms(begin);
            cluster.now_us += 2_000;
            let begin = Instant::now();
            let found = cluster.run_due();
            let run_ms = ms(begin);
            assert_eq!(found.len(), 1, "what is free is offered once");
            event_ms + run_ms
        })
        .collect();
    rows.add("event_to_offer", &times, 1);
}

/// All but two frameworks suppress offers.
pub(super) fn suppressed(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    for id in cluster.frameworks.clone().into_iter().skip(2) {
        cluster.allocator.suppress(&id, &BTreeSet::new());
    }
    let timed = cluster.add_agents(size.agents, unused);
    rows.add("agents", &[timed.ms], timed.grants.len());
    let (rounds_ms, offers) = cluster.offering_rounds(timed.grants, ROUNDS);
    rows.add("offering", &rounds_ms, offers);
}

/// Everybody revives at once.
pub(super) fn backlog(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    let grants = cluster.add_agents(size.agents, unused).grants;
    cluster.give_back(&grants, Some(3600.0));
    let begin = Instant::now();
    for id in cluster.frameworks.clone() {
        cluster
            .allocator
            .revive(cluster.now_us, &id, &BTreeSet::new());
    }
    cluster.now_us += 2_000_000;
    let grants = cluster.run_due();
    rows.add("revives", &[ms(begin)], grants.len());
}

/// One framework, then all of them, on agents that are free, then refused by everybody, by the step.
pub(super) fn explain(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = frameworks(size);
    let mut grants = cluster.add_agents(size.agents, unused).grants;
    cluster.give_back(&grants, None);
    explain_steps(&mut cluster, rows, ["free_one", "free_all"]);
    loop {
        grants = cluster.round().grants;
        if grants.is_empty() {
            break;
        }
        cluster.give_back(&grants, Some(LONG_SECONDS));
    }
    explain_steps(&mut cluster, rows, ["refused_one", "refused_all"]);
}

fn explain_steps(cluster: &mut Cluster, rows: &mut Rows<'_>, names: [&str; 2]) {
    let Size {
        frameworks, roles, ..
    } = rows.size;
    let ids = cluster.frameworks.iter().cloned().enumerate();
    let clients: Vec<_> = ids.map(|(at, id)| (id, role(at, roles))).collect();
    let most = (EXPLAINED_AT_ONCE / frameworks).clamp(1, EXPLAINED_AGENTS_AT_ONCE);
    for (name, count) in names.into_iter().zip([1, frameworks]) {
        let (mut steps_ms, mut offered) = (Vec::new(), 0);
        for agents in cluster.agents.chunks(most) {
            let begin = Instant::now();
            let clients = clients.get(..count).unwrap_or_default();
            let now_us = cluster.now_us;
            cluster
                .allocator
                .explain_each(now_us, clients, agents, |_, _, explanation| {
                    offered += usize::from(matches!(explanation, Explanation::Offered(_)));
                });
            steps_ms.push(ms(begin));
        }
        rows.add(name, &steps_ms, offered);
    }
}

/// What agents and frameworks weigh; times are of adding them all. Nothing is offered meanwhile.
pub(super) fn memory(size: Size, rows: &mut Rows<'_>) {
    let mut cluster = Cluster::new(Config::default());
    let begin = Instant::now();
    for at in 0..size.agents {
        let profile = AgentProfile {
            total: plain(24, 4096, 4096),
            ..AgentProfile::default()
        };
        let id = AgentId::from(format!("6f7dd29c-S{at}"));
        cluster.allocator.add_agent(0, &id, profile, &[]);
    }
    rows.add("agents", &[ms(begin)], 0);
    rows.count_from_here();
    let begin = Instant::now();
    for at in 0..size.frameworks {
        let profile = FrameworkProfile {
            roles: BTreeSet::from([role(at, size.roles)]),
            active: true,
            ..FrameworkProfile::default()
        };
        let id = FrameworkId::from(format!("6f7dd29c-{at:06}"));
        cluster.allocator.add_framework(0, &id, profile);
    }
    rows.add("frameworks", &[ms(begin)], 0);
}
