//! A framework in `/state`, `/frameworks` and `/state-summary`.

use std::sync::Arc;

use meseta_master::view::FrameworkState;
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::framework_info::capability::Type as Capability;

use crate::json::Object;
use crate::legacy;
use crate::read::{Framework, FrameworkRead, Task};

/// The fields that all three documents share.
pub(super) fn summary(o: &mut Object<'_>, framework: &Framework) {
    let (view, info) = (&framework.view, &framework.view.info);
    o.text("id", framework.id.as_str());
    o.text("name", &info.name);
    if let Some(pid) = &view.pid {
        o.text("pid", pid);
    }
    legacy::totals(o, "used_resources", &framework.used);
    legacy::totals(o, "offered_resources", &framework.offered);
    o.list("capabilities", |l| {
        for capability in &info.capabilities {
            l.text(capability.r#type().as_str_name());
        }
    });
    o.text("hostname", info.hostname());
    o.text("webui_url", info.webui_url());
    o.boolean("active", view.active);
    o.boolean("connected", view.connected);
    o.boolean("recovered", view.state == FrameworkState::Recovered);
}

/// Everything about a framework.
pub(super) fn full(o: &mut Object<'_>, known: &FrameworkRead) {
    let (view, info) = (&known.framework.view, &known.framework.view.info);
    summary(o, &known.framework);
    o.text("user", &info.user);
    o.number("failover_timeout", info.failover_timeout());
    o.boolean("checkpoint", info.checkpoint());
    o.number("registered_time", view.registered_time);
    o.number("unregistered_time", view.unregistered_time.unwrap_or(0.0));
    if let Some(principal) = &info.principal {
        o.text("principal", principal);
    }
    let mut resources = known.framework.used.clone();
    resources += &known.framework.offered;
    legacy::totals(o, "resources", &resources);
    if view.reregistered_time != view.registered_time {
        o.number("reregistered_time", view.reregistered_time);
    }
    roles(o, info);
    tasks(o, "tasks", &known.active);
    tasks(o, "unreachable_tasks", &known.unreachable);
    tasks(o, "completed_tasks", &known.completed);
    o.list("offers", |l| {
        for offer in &known.offers {
            l.object(|o| legacy::offer(o, &offer.offer));
        }
    });
    o.list("executors", |l| {
        for executor in &known.executors {
            l.object(|o| {
                legacy::executor(o, &executor.info);
                o.text("slave_id", executor.agent.as_str());
            });
        }
    });
    if let Some(labels) = &info.labels {
        legacy::labels(o, labels);
    }
    o.object("offer_constraints", |_| {});
}

/// `roles` of who has several, `role` of who has one: as the FrameworkInfo says it.
pub(crate) fn roles(o: &mut Object<'_>, info: &v1::FrameworkInfo) {
    let multi = info
        .capabilities
        .iter()
        .any(|capability| capability.r#type() == Capability::MultiRole);
    if multi {
        o.list("roles", |l| {
            for role in &info.roles {
                l.text(role);
            }
        });
    } else {
        o.text("role", info.role());
    }
}

fn tasks(o: &mut Object<'_>, name: &str, tasks: &[Arc<Task>]) {
    o.list(name, |l| {
        for task in tasks {
            l.raw(task.legacy());
        }
    });
}
