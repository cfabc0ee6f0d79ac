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

/// What a role itself consumes of its quota: what is allocated unreserved, and every reservation;
/// revocable resources never.
fn own(role: &Role) -> Resources {
    let mut own = role.allocated.unreserved().non_revocable();
    own += &role.reserved;
    own
}

/// Adds what each role consumes to itself and to those above it that are known.
fn consume(roles: &mut BTreeMap<RoleName, Role>) {
    let own: Vec<(RoleName, Resources)> = roles
        .iter()
        .map(|(name, role)| (name.clone(), own(role)))
        .collect();
    for (name, consumed) in &own {
        for above in std::iter::once(name.as_str()).chain(name.ancestors()) {
            if let Some(role) = roles.get_mut(&RoleName::new(above)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `7/0/1` for 701, which is below `7/0` and `7`.
    fn path(number: usize) -> String {
        let digits: Vec<String> = number.to_string().chars().map(String::from).collect();
        digits.join("/")
    }

    #[test]
    fn a_role_consumes_what_it_and_every_role_below_it_does() {
        let names = (0..1_000)
            .map(path)
            .chain(["*", "1-0", "70"].map(String::from));
        let mut roles: BTreeMap<RoleName, Role> = names
            .enumerate()
            .map(|(number, name)| {
                let number = number as f64;
                let role = Role {
                    allocated: Resources::of(&[("cpus", number * 0.1), ("mem", number)]),
                    reserved: Resources::of(&[("disk", number * 0.001)]),
                    ..Role::default()
                };
                (RoleName::new(name), role)
            })
            .collect();
        assert_eq!(roles.len(), 1_003);
        consume(&mut roles);
        for (name, role) in &roles {
            let mut expected = Amounts::new();
            for (other, role) in &roles {
                if other.is_or_is_below(name) {
                    add_amounts(&mut expected, &own(role));
                }
            }
            assert_eq!(role.consumed, expected, "{name}");
        }
        let one = &roles[&RoleName::from("1")].consumed;
        let sum: usize = 1 + (10..20).sum::<usize>() + (100..200).sum::<usize>();
        assert_eq!(one["mem"], sum as f64);
    }
}
