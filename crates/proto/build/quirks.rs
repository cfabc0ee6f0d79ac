//! What the wire demands beyond the descriptors.
use crate::schema::Schema;

/// Lists that are printed even when empty.
///
/// compat: Mesos's masters and agents write these answers field by field instead of through the
/// general JSON conversion, and open every list; clients index into them without asking. Recorded in
/// `tests/golden/*/v1-GET_*.json`.
const SHOWN_EMPTY: &[(&str, &[&str])] = &[
    (
        "mesos.v1.master.Response.GetAgents",
        &["agents", "recovered_agents"],
    ),
    ("mesos.v1.master.Response.GetExecutors", &["executors"]),
    (
        "mesos.v1.master.Response.GetFrameworks",
        &["frameworks", "completed_frameworks"],
    ),
    (
        "mesos.v1.master.Response.GetTasks",
        &["tasks", "unreachable_tasks", "completed_tasks"],
    ),
    (
        "mesos.v1.agent.Response.GetExecutors",
        &["executors", "completed_executors"],
    ),
    (
        "mesos.v1.agent.Response.GetFrameworks",
        &["frameworks", "completed_frameworks"],
    ),
    (
        "mesos.v1.agent.Response.GetTasks",
        &[
            "pending_tasks",
            "queued_tasks",
            "launched_tasks",
            "terminated_tasks",
            "completed_tasks",
        ],
    ),
];

/// Fields that are kept in a box of their own: large, mostly unset, and in messages that there are many
/// of. They would make a `Resource` four times as large.
pub const BOXED: &[&str] = &[
    ".mesos.v1.Resource.disk",
    ".mesos.v1.ExecutorInfo.container",
    ".mesos.v1.TaskInfo.container",
    ".mesos.v1.Task.container",
];

/// Whether `field` of `message` is printed when it is an empty list.
pub fn shown_empty(message: &str, field: &str) -> bool {
    SHOWN_EMPTY
        .iter()
        .any(|(name, fields)| *name == message && fields.contains(&field))
}

/// Fails the build when a quirk names a field that does not exist.
pub fn check(schema: &Schema) -> Result<(), String> {
    for (message, fields) in SHOWN_EMPTY {
        for field in *fields {
            let known = schema
                .messages
                .iter()
                .any(|m| m.full == *message && m.fields.iter().any(|f| f.name == *field));
            if !known {
                return Err(format!(
                    "quirk about {message}.{field}, which does not exist"
                ));
            }
        }
    }
    Ok(())
}
