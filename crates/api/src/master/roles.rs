//! The roles that are known, and what they hold: derived from agents and frameworks when asked for.

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::view::FrameworkState;
use meseta_model::ids::FrameworkId;
use meseta_model::resources::{Resources, Value};
use meseta_model::roles::Role as RoleName;
use meseta_proto::mesos::v1;

use crate::read::MasterRead;

/// How much there is, by name: quantities, and how many numbers or items.
pub(super) type Amounts = BTreeMap<String, f64>;

/// A role, as it is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Role {
    pub(super) allocated: Resources,
    pub(super) offered: Resources,
    pub(super) reserved: Resources,
    /// What counts against its quota: its own and all roles' below it.
    pub(super) consumed: Amounts,
    pub(super) frameworks: BTreeSet<FrameworkId>,
}

/// What a role weighs against its siblings.
pub(super) fn weight(read: &MasterRead, role: &str) -> f64 {
    let master = read.master.as_ref();
    let set = master.and_then(|master| master.weights.get(role));
    set.copied().unwrap_or(1.0)
}

/// Every role that a framework subscribed to, holds resources in, or that has reservations.
pub(super) fn known(read: &MasterRead) -> BTreeMap<RoleName, Role> {
    let mut roles: BTreeMap<RoleName, Role> = BTreeMap::new();
    for known in &read.frameworks {
        let framework = &known.framework;
        if framework.view.state == FrameworkState::Completed {
            continue;
        }
        for name in subscribed(&framework.view.info) {
            let role = roles.entry(RoleName::new(name)).or_default();
            role.frameworks.insert(framework.id.clone());
        }
        for (name, used) in framework.used.allocations() {
            let role = roles.entry(name).or_default();
            role.allocated += &used;
            role.frameworks.insert(framework.id.clone());
        }
        for (name, offered) in framework.offered.allocations() {
            roles.entry(name).or_default().offered += &offered;
        }
    }
    for agent in &read.agents {
        for (name, reserved) in agent.total.reservations() {
            roles.entry(name).or_default().reserved += &reserved;
        }
    }
    consume(&mut roles);
    roles
}

/// Adds what is in `resources` to `amounts`.
pub(super) fn add_amounts(amounts: &mut Amounts, resources: &Resources) {
    for resource in resources.iter() {
        let amount = match resource.value() {
            Value::Scalar(quantity) => quantity.to_f64(),
            Value::Ranges(ranges) => ranges.count() as f64,
            Value::Set(items) => items.len() as f64,
        };
        let sum = amounts.entry(resource.name().to_string()).or_default();
        // Thousandths, so that sums of them come out even.
        *sum = ((*sum + amount) * 1_000.0).round() / 1_000.0;
    }
}

/// Quota counts what is allocated unreserved, and every reservation; revocable resources never.
fn consume(roles: &mut BTreeMap<RoleName, Role>) {
    let own: Vec<(RoleName, Resources)> = roles
        .iter()
        .map(|(name, role)| {
            let mut own = role.allocated.unreserved().non_revocable();
            own += &role.reserved;
            (name.clone(), own)
        })
        .collect();
    for (name, role) in roles.iter_mut() {
        for (other, consumed) in &own {
            if other.is_or_is_below(name) {
                add_amounts(&mut role.consumed, consumed);
            }
        }
    }
}

/// The roles that a framework subscribed to.
pub(super) fn subscribed(info: &v1::FrameworkInfo) -> Vec<&str> {
    if info.roles.is_empty() {
        vec![info.role()]
    } else {
        info.roles.iter().map(String::as_str).collect()
    }
}
