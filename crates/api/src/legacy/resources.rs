//! Resources: totals by name, and the `…_full` lists beside them.

use std::collections::BTreeMap;

use meseta_model::resources::{ResourceFormat, Resources, Value};
use meseta_model::roles::Role;

use crate::json::Object;

/// Totals: `{"disk":0.0,"mem":128.0,"gpus":0.0,"cpus":1.0,"ports":"[31000-32000]"}`.
pub(crate) fn totals(o: &mut Object<'_>, name: &str, resources: &Resources) {
    o.object(name, |o| {
        for (name, value) in resources.document().fields() {
            match value {
                Value::Scalar(quantity) => o.number(name, quantity.to_f64()),
                Value::Ranges(ranges) => o.text(name, &ranges.to_string()),
                Value::Set(items) => {
                    let items: Vec<&str> = items.iter().map(String::as_str).collect();
                    o.text(name, &format!("{{{}}}", items.join(", ")));
                }
            }
        }
    });
}

/// Totals by role.
pub(crate) fn totals_by_role(o: &mut Object<'_>, name: &str, groups: &BTreeMap<Role, Resources>) {
    o.object(name, |o| {
        for (role, resources) in groups {
            totals(o, role.as_str(), resources);
        }
    });
}

/// Every entry, in both the old and the new form of reservations.
pub(crate) fn full(o: &mut Object<'_>, name: &str, resources: &Resources) {
    o.list(name, |l| {
        for resource in resources.to_wire(ResourceFormat::Endpoint) {
            l.message(&resource);
        }
    });
}

/// Every entry, by role.
pub(crate) fn full_by_role(o: &mut Object<'_>, name: &str, groups: &BTreeMap<Role, Resources>) {
    o.object(name, |o| {
        for (role, resources) in groups {
            full(o, role.as_str(), resources);
        }
    });
}
