//! An agent in `/state`, `/slaves` and `/state-summary`.

use meseta_proto::mesos::v1;

use crate::json::{self, Object};
use crate::legacy;
use crate::read::Agent;

/// The fields that all three documents share.
pub(super) fn slave(o: &mut Object<'_>, agent: &Agent) {
    o.fields(agent.fragments.legacy(|| shared(agent)));
}

fn shared(agent: &Agent) -> Box<str> {
    let mut out = String::new();
    json::object(&mut out, |o| write(o, agent));
    // Without the braces: each document goes on in its own way.
    out[1..out.len() - 1].into()
}

fn write(o: &mut Object<'_>, agent: &Agent) {
    let view = &agent.view;
    description(o, &view.info);
    o.text("pid", &view.pid);
    o.number("registered_time", view.registered_time);
    if let Some(time) = view.reregistered_time {
        o.number("reregistered_time", time);
    }
    legacy::totals(o, "resources", &agent.total);
    legacy::totals(o, "used_resources", &agent.used);
    legacy::totals(o, "offered_resources", &agent.offered);
    legacy::totals_by_role(o, "reserved_resources", &agent.total.reservations());
    legacy::totals(o, "unreserved_resources", &agent.total.unreserved());
    o.boolean("active", view.active);
    o.boolean("deactivated", false);
    o.text("version", &view.version);
    o.list("capabilities", |l| {
        for capability in &view.capabilities {
            l.text(capability.r#type().as_str_name());
        }
    });
}

/// What is known of an agent that has not come back yet, too.
pub(super) fn description(o: &mut Object<'_>, info: &v1::AgentInfo) {
    o.text("id", info.id.as_ref().map_or("", |id| &id.value));
    o.text("hostname", &info.hostname);
    o.integer("port", info.port());
    legacy::attributes(o, &info.attributes);
    if let Some(domain) = &info.domain {
        o.message("domain", domain);
    }
}

/// What `/slaves` adds: every resource entry.
pub(super) fn in_full(o: &mut Object<'_>, agent: &Agent) {
    legacy::full_by_role(o, "reserved_resources_full", &agent.total.reservations());
    legacy::full(o, "unreserved_resources_full", &agent.total.unreserved());
    legacy::full(o, "used_resources_full", &agent.used);
    legacy::full(o, "offered_resources_full", &agent.offered);
}
