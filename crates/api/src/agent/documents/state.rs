//! `/state` of an agent.

use std::sync::Arc;

use meseta_agent::view::AgentView;
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1::framework_info::capability::Type as Capability;

use crate::agent::AgentConfig;
use crate::json::{self, Object};
use crate::legacy;
use crate::read::{AgentRead, RunRead, Task, WorkloadRead};
use crate::version;

pub(crate) fn state(read: &AgentRead, config: &AgentConfig) -> String {
    let mut out = String::new();
    json::object(&mut out, |o| {
        version::fields(o);
        if let Some(view) = &read.agent {
            agent(o, view, read);
        }
        for name in ["log_dir", "external_log_file"] {
            if let Some(value) = config.flags.get(name) {
                o.text(name, value);
            }
        }
        o.object("flags", |o| {
            for (name, value) in &config.flags {
                o.text(name, value);
            }
        });
        workloads(o, "frameworks", read, false);
        workloads(o, "completed_frameworks", read, true);
    });
    out
}

fn agent(o: &mut Object<'_>, view: &AgentView, read: &AgentRead) {
    let total = Resources::from_wire(&view.total).unwrap_or_default();
    o.number("start_time", view.start_time);
    o.text("id", view.info.id.as_ref().map_or("", |id| &id.value));
    o.text("pid", &view.pid);
    o.text("hostname", &view.info.hostname);
    o.list("capabilities", |l| {
        for capability in &view.capabilities {
            l.text(capability.r#type().as_str_name());
        }
    });
    legacy::totals(o, "resources", &total);
    legacy::totals_by_role(o, "reserved_resources", &total.reservations());
    legacy::totals(o, "unreserved_resources", &total.unreserved());
    legacy::full_by_role(o, "reserved_resources_full", &total.reservations());
    legacy::full(o, "unreserved_resources_full", &total.unreserved());
    let allocated = read.allocated();
    legacy::totals_by_role(o, "reserved_resources_allocated", &allocated.reservations());
    legacy::totals(o, "unreserved_resources_allocated", &allocated.unreserved());
    o.list("resource_providers", |_| {});
    legacy::attributes(o, &view.info.attributes);
    if let Some(domain) = &view.info.domain {
        o.message("domain", domain);
    }
    if let Some(master) = &view.master {
        let host = master
            .rsplit_once('@')
            .map_or(master.as_str(), |(_, address)| address);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        o.text("master_hostname", host);
    }
}

fn workloads(o: &mut Object<'_>, name: &str, read: &AgentRead, completed: bool) {
    o.list(name, |l| {
        let shown = read.workloads.iter();
        for workload in shown.filter(|workload| workload.completed == completed) {
            l.object(|o| framework(o, workload));
        }
    });
}

fn framework(o: &mut Object<'_>, workload: &WorkloadRead) {
    let info = &workload.info;
    o.text("id", info.id.as_ref().map_or("", |id| &id.value));
    o.text("name", &info.name);
    o.text("user", &info.user);
    o.number("failover_timeout", info.failover_timeout());
    o.boolean("checkpoint", info.checkpoint());
    o.text("hostname", info.hostname());
    if let Some(principal) = &info.principal {
        o.text("principal", principal);
    }
    if let Some(labels) = &info.labels {
        legacy::labels(o, labels);
    }
    let mut capabilities = info.capabilities.iter();
    if capabilities.any(|capability| capability.r#type() == Capability::MultiRole) {
        o.list("roles", |l| {
            for role in &info.roles {
                l.text(role);
            }
        });
    } else {
        o.text("role", info.role());
    }
    for (name, completed) in [("executors", false), ("completed_executors", true)] {
        o.list(name, |l| {
            let shown = workload.runs.iter();
            for run in shown.filter(|run| run.completed == completed) {
                l.object(|o| executor(o, run));
            }
        });
    }
}

fn executor(o: &mut Object<'_>, run: &RunRead) {
    let (view, info) = (&run.view, &run.view.info);
    o.text("id", &info.executor_id.value);
    o.text("name", info.name());
    o.text("source", info.source());
    o.text("container", view.container_id.value());
    o.text("directory", &view.directory);
    let resources = Resources::from_wire(&view.resources).unwrap_or_default();
    legacy::totals(o, "resources", &resources);
    if !info.resources.is_empty() {
        o.text("role", legacy::role(&info.resources));
    }
    if let Some(labels) = &info.labels {
        legacy::labels(o, labels);
    }
    if info.r#type.is_some() {
        o.text("type", info.r#type().as_str_name());
    }
    tasks(o, "tasks", &[&run.launched]);
    o.list("queued_tasks", |l| {
        for task in &run.queued {
            l.object(|o| legacy::queued(o, &task.whole()));
        }
    });
    // compat: what is over but not acknowledged counts as completed here (slave/http.cpp).
    tasks(
        o,
        "completed_tasks",
        &[&run.completed_tasks, &run.terminated],
    );
}

fn tasks(o: &mut Object<'_>, name: &str, lists: &[&Vec<Arc<Task>>]) {
    o.list(name, |l| {
        for task in lists.iter().copied().flatten() {
            l.raw(task.legacy());
        }
    });
}
