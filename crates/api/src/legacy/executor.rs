//! Executors and commands, as the master's `/state` and `/frameworks` show them.

use meseta_model::resources::Resources;
use meseta_proto::mesos::v1;

use super::{labels, role, totals};
use crate::json::Object;

/// The fields of one executor.
pub(crate) fn executor(o: &mut Object<'_>, info: &v1::ExecutorInfo) {
    o.text("executor_id", &info.executor_id.value);
    o.text("name", info.name());
    let framework = info.framework_id.as_ref();
    o.text("framework_id", framework.map_or("", |id| &id.value));
    o.object("command", |o| {
        command(
            o,
            info.command.as_ref().unwrap_or(&v1::CommandInfo::default()),
        )
    });
    let resources = Resources::from_wire(&info.resources).unwrap_or_default();
    totals(o, "resources", &resources);
    if !info.resources.is_empty() {
        o.text("role", role(&info.resources));
    }
    if let Some(labels) = &info.labels {
        self::labels(o, labels);
    }
    if info.r#type.is_some() {
        o.text("type", info.r#type().as_str_name());
    }
}

/// The fields of a command.
fn command(o: &mut Object<'_>, command: &v1::CommandInfo) {
    if let Some(shell) = command.shell {
        o.boolean("shell", shell);
    }
    if let Some(value) = &command.value {
        o.text("value", value);
    }
    o.list("argv", |l| {
        for argument in &command.arguments {
            l.text(argument);
        }
    });
    if let Some(environment) = &command.environment {
        o.message("environment", environment);
    }
    o.list("uris", |l| {
        for uri in &command.uris {
            // compat: of an URI these two are shown, whatever else is set (common/http.cpp).
            l.object(|o| {
                o.text("value", &uri.value);
                o.boolean("executable", uri.executable());
            });
        }
    });
}
