//! Tasks, as `/state`, `/frameworks` and `/tasks` show them.

use meseta_model::resources::Resources;
use meseta_proto::mesos::v1;

use super::{labels, role, totals};
use crate::json::Object;

/// The fields of one task.
pub(crate) fn task(o: &mut Object<'_>, task: &v1::Task) {
    o.text("id", &task.task_id.value);
    o.text("name", &task.name);
    o.text("framework_id", &task.framework_id.value);
    let executor = task.executor_id.as_ref();
    o.text("executor_id", executor.map_or("", |id| &id.value));
    o.text("slave_id", &task.agent_id.value);
    o.text("state", task.state().as_str_name());
    let resources = Resources::from_wire(&task.resources).unwrap_or_default();
    totals(o, "resources", &resources);
    limits(o, task);
    o.text("role", role(&task.resources));
    o.list("statuses", |l| {
        for status in &task.statuses {
            l.object(|o| self::status(o, status));
        }
    });
    if let Some(user) = &task.user {
        o.text("user", user);
    }
    if let Some(labels) = &task.labels {
        self::labels(o, labels);
    }
    if let Some(discovery) = &task.discovery {
        o.message("discovery", discovery);
    }
    if let Some(container) = &task.container {
        o.message("container", &**container);
    }
    if let Some(health_check) = &task.health_check {
        o.message("health_check", health_check);
    }
}

/// The fields of a task that its executor has not been given yet, on an agent.
pub(crate) fn queued(o: &mut Object<'_>, task: &v1::Task) {
    o.text("id", &task.task_id.value);
    o.text("name", &task.name);
    o.text("slave_id", &task.agent_id.value);
    let resources = Resources::from_wire(&task.resources).unwrap_or_default();
    totals(o, "resources", &resources);
    limits(o, task);
    o.text("role", role(&task.resources));
    if let Some(executor) = &task.executor_id {
        o.text("executor_id", &executor.value);
    }
    if let Some(discovery) = &task.discovery {
        o.message("discovery", discovery);
    }
}

fn limits(o: &mut Object<'_>, task: &v1::Task) {
    if task.limits.is_empty() {
        return;
    }
    o.object("limits", |o| {
        for (name, limit) in &task.limits {
            o.number(name, limit.value);
        }
    });
}

/// A status, of which the documents show a part only.
fn status(o: &mut Object<'_>, status: &v1::TaskStatus) {
    o.text("state", status.state().as_str_name());
    o.number("timestamp", status.timestamp());
    if let Some(labels) = &status.labels {
        self::labels(o, labels);
    }
    if let Some(container) = &status.container_status {
        o.object("container_status", |o| {
            if let Some(id) = &container.container_id {
                o.message("container_id", id);
            }
            if !container.network_infos.is_empty() {
                o.list("network_infos", |l| {
                    for info in &container.network_infos {
                        l.message(info);
                    }
                });
            }
            if let Some(cgroup) = &container.cgroup_info {
                o.message("cgroup_info", cgroup);
            }
        });
    }
    if let Some(healthy) = status.healthy {
        o.boolean("healthy", healthy);
    }
}
