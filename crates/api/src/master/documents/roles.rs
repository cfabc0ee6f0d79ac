//! `/roles`: who shares the cluster.

use super::document;
use crate::json::{self, Object};
use crate::master::roles::{Role, WEIGHT, known};
use crate::read::MasterRead;
use meseta_model::resources::Quantities;

pub(crate) fn roles(read: &MasterRead) -> String {
    document(|o| {
        o.list("roles", |l| {
            for (name, role) in known(read) {
                l.object(|o| write(o, name.as_str(), &role));
            }
        });
    })
}

fn write(o: &mut Object<'_>, name: &str, role: &Role) {
    o.text("name", name);
    o.number("weight", WEIGHT);
    o.object("quota", |o| {
        o.text("role", name);
        o.object("guarantee", |_| {});
        o.object("limit", |_| {});
        quantities(o, "consumed", &role.consumed);
    });
    let allocated = role.allocated.quantities();
    let offered = role.offered.quantities();
    let mut both = allocated.clone();
    both.add(&offered);
    quantities(o, "resources", &both);
    quantities(o, "allocated", &allocated);
    quantities(o, "offered", &offered);
    quantities(o, "reserved", &role.reserved.quantities());
    o.list("frameworks", |l| {
        for id in &role.frameworks {
            l.text(id.as_str());
        }
    });
}

fn quantities(o: &mut Object<'_>, name: &str, quantities: &Quantities) {
    o.object(name, |o| {
        for (name, quantity) in quantities.iter() {
            json::number(o.key(name.as_str()), quantity.to_f64());
        }
    });
}
