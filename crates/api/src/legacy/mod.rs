//! The older JSON documents' way of showing things: `slave` for agent, totals for resources. Field
//! names, their order and what is left out are what tools of many years rely on.

mod executor;
mod offer;
mod resources;
mod task;

use meseta_proto::mesos::v1;

pub(crate) use executor::executor;
pub(crate) use offer::offer;
pub(crate) use resources::{full, full_by_role, totals, totals_by_role};
pub(crate) use task::{queued, task};

use crate::json::{self, Object};

/// Labels: a list of keys and values.
pub(crate) fn labels(o: &mut Object<'_>, labels: &v1::Labels) {
    o.list("labels", |l| {
        for label in &labels.labels {
            l.message(label);
        }
    });
}

/// Attributes by name; of two of one name the last is shown, as in Mesos.
pub(crate) fn attributes(o: &mut Object<'_>, attributes: &[v1::Attribute]) {
    o.object("attributes", |o| {
        let shown = attributes.iter().enumerate().filter(|(at, attribute)| {
            let mut later = attributes[at + 1..].iter();
            !later.any(|other| other.name == attribute.name)
        });
        for (_, attribute) in shown {
            match meseta_model::attributes::text_value(attribute) {
                Some(text) => o.text(&attribute.name, &text),
                None => {
                    let value = attribute.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
                    o.number(&attribute.name, value);
                }
            }
        }
    });
}

/// A task's role: that of its resources, which are all allocated to one.
pub(crate) fn role(resources: &[v1::Resource]) -> &str {
    let allocated = resources
        .iter()
        .find_map(|resource| resource.allocation_info.as_ref()?.role.as_deref());
    allocated.unwrap_or("*")
}

/// One whole object as a text of its own.
pub(crate) fn fragment(write: impl FnOnce(&mut Object<'_>)) -> Box<str> {
    let mut out = String::new();
    json::object(&mut out, write);
    out.into_boxed_str()
}
