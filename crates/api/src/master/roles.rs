//! The roles that are known, and what they hold: derived from agents and frameworks when asked for.

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::view::FrameworkState;
use meseta_model::ids::FrameworkId;
use meseta_model::resources::{Quantities, Resources};
use meseta_model::roles::Role as RoleName;
use meseta_proto::mesos::v1;

use crate::read::MasterRead;

/// A role, as it is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Role {
    pub(super) allocated: Resources,
    pub(super) offered: Resources,
    pub(super) reserved: Resources,
    /// What counts against its quota: its own and all roles' below it.
    pub(super) consumed: Quantities,
    pub(super) frameworks: BTreeSet<FrameworkId>,
}

/// Every role weighs the same until weights can be set.
pub(super) const WEIGHT: f64 = 1.0;

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

/// Quota counts what is allocated unreserved, and every reservation; revocable resources never.
fn consume(roles: &mut BTreeMap<RoleName, Role>) {
    let own: Vec<(RoleName, Quantities)> = roles
        .iter()
        .map(|(name, role)| {
            let mut own = role.allocated.unreserved().non_revocable().quantities();
            own.add(&role.reserved.quantities());
            (name.clone(), own)
        })
        .collect();
    for (name, role) in roles.iter_mut() {
        for (other, consumed) in &own {
            if other.is_or_is_below(name) {
                role.consumed.add(consumed);
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
