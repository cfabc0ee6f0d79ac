//! `/state`: the whole cluster.

use std::collections::BTreeMap;

use super::{completed, document, framework, live, slave};
use crate::json::Object;
use crate::read::MasterRead;
use crate::version;

pub(crate) fn state(read: &MasterRead, flags: &BTreeMap<String, String>) -> String {
    document(|o| {
        version::fields(o);
        master(o, read);
        for name in ["cluster", "log_dir", "external_log_file"] {
            if let Some(value) = flags.get(name) {
                o.text(name, value);
            }
        }
        o.object("flags", |o| {
            for (name, value) in flags {
                o.text(name, value);
            }
        });
        o.list("slaves", |l| {
            for agent in read.agents.iter().filter(|agent| !agent.view.recovered) {
                l.object(|o| slave::slave(o, agent));
            }
        });
        o.list("recovered_slaves", |l| {
            for agent in read.agents.iter().filter(|agent| agent.view.recovered) {
                l.object(|o| slave::description(o, &agent.view.info));
            }
        });
        o.list("frameworks", |l| {
            for known in live(read) {
                l.object(|o| framework::full(o, known));
            }
        });
        o.list("completed_frameworks", |l| {
            for known in completed(read) {
                l.object(|o| framework::full(o, known));
            }
        });
        // Orphans have no list of their own since Mesos 1.2; tools still look for these.
        o.list("orphan_tasks", |_| {});
        o.list("unregistered_frameworks", |_| {});
    })
}

fn master(o: &mut Object<'_>, read: &MasterRead) {
    let Some(view) = &read.master else {
        return;
    };
    let info = &view.info;
    o.number("start_time", view.start_time);
    o.number("elected_time", view.elected_time);
    o.text("id", &info.id);
    o.text("pid", info.pid());
    o.text("hostname", info.hostname());
    o.list("capabilities", |l| {
        for capability in &info.capabilities {
            l.text(capability.r#type().as_str_name());
        }
    });
    let registered = || read.agents.iter().filter(|agent| !agent.view.recovered);
    let active = registered().filter(|agent| agent.view.active).count();
    o.number("activated_slaves", active as f64);
    o.number("deactivated_slaves", (registered().count() - active) as f64);
    o.number("unreachable_slaves", read.unreachable_agents as f64);
    o.text("leader", info.pid());
    o.object("leader_info", |o| {
        o.text("id", &info.id);
        o.text("pid", info.pid());
        o.integer("port", info.port);
        o.text("hostname", info.hostname());
        if let Some(domain) = &info.domain {
            o.message("domain", domain);
        }
    });
    if let Some(domain) = &info.domain {
        o.message("domain", domain);
    }
}
