//! `/roles`: who shares the cluster.

use super::document;
use crate::json::Object;
use crate::master::roles::{Amounts, Role, add_amounts, known, weight};
use crate::read::MasterRead;

pub(crate) fn roles(read: &MasterRead) -> String {
    document(|o| {
        o.list("roles", |l| {
            for (name, role) in known(read) {
                l.object(|o| write(o, name.as_str(), weight(read, name.as_str()), &role));
            }
        });
    })
}

/// `/weights`: those that were set.
pub(crate) fn weights(read: &MasterRead) -> String {
    let set = read.master.as_ref().map(|master| &master.weights);
    let mut out = String::new();
    crate::json::list(&mut out, |l| {
        for (role, weight) in set.into_iter().flatten() {
            l.object(|o| {
                o.text("role", role);
                o.number("weight", *weight);
            });
        }
    });
    out
}

fn write(o: &mut Object<'_>, name: &str, weight: f64, role: &Role) {
    o.text("name", name);
    o.number("weight", weight);
    o.object("quota", |o| {
        o.text("role", name);
        o.object("guarantee", |_| {});
        o.object("limit", |_| {});
        amounts(o, "consumed", &role.consumed);
    });
    let mut both = role.allocated.clone();
    both += &role.offered;
    for (name, resources) in [
        ("resources", &both),
        ("allocated", &role.allocated),
        ("offered", &role.offered),
        ("reserved", &role.reserved),
    ] {
        let mut sums = Amounts::new();
        add_amounts(&mut sums, resources);
        amounts(o, name, &sums);
    }
    o.list("frameworks", |l| {
        for id in &role.frameworks {
            l.text(id.as_str());
        }
    });
}

fn amounts(o: &mut Object<'_>, name: &str, amounts: &Amounts) {
    o.object(name, |o| {
        for (name, amount) in amounts {
            o.number(name, *amount);
        }
    });
}
