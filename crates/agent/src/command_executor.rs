//! The executor that the agent makes up for a command task.

use meseta_model::ids::FrameworkId;
use meseta_proto::mesos::v1;

use crate::limits;

/// The executor that runs a command task: named after its task, with a little of its own to live on
/// that nobody is charged for.
pub(crate) fn command_executor(
    launcher_dir: &str,
    framework: &FrameworkId,
    task: &v1::TaskInfo,
) -> v1::ExecutorInfo {
    let command = task.command.clone().unwrap_or_default();
    let role = task
        .resources
        .iter()
        .find_map(|resource| resource.allocation_info.clone());
    let kill_grace = task
        .kill_policy
        .as_ref()
        .and_then(|policy| policy.grace_period.as_ref());
    #[allow(deprecated)]
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId {
            value: task.task_id.value.clone(),
        },
        framework_id: Some(framework.to_wire()),
        name: Some(command_executor_name(task, &command)),
        source: Some(task.task_id.value.clone()),
        command: Some(v1::CommandInfo {
            uris: command.uris.clone(),
            environment: command.environment.clone(),
            user: command.user.clone(),
            shell: Some(false),
            value: Some(format!("{launcher_dir}/mesos-executor")),
            arguments: vec![
                "mesos-executor".to_owned(),
                format!("--launcher_dir={launcher_dir}"),
            ],
        }),
        container: task.container.clone(),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        resources: vec![
            overhead("cpus", limits::COMMAND_EXECUTOR_CPUS, role.clone()),
            overhead("mem", limits::COMMAND_EXECUTOR_MEM_MB, role),
        ],
        // Time to report TASK_KILLED after the task's own grace. compat: slave.cpp getExecutorInfo,
        // one second and its reaper's one.
        shutdown_grace_period: kill_grace.map(|grace| v1::DurationInfo {
            nanoseconds: grace.nanoseconds.saturating_add(2_000_000_000),
        }),
        ..Default::default()
    }
}

fn overhead(
    name: &str,
    value: f64,
    allocation_info: Option<v1::resource::AllocationInfo>,
) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        r#type: v1::value::Type::Scalar.into(),
        scalar: Some(v1::value::Scalar { value }),
        allocation_info,
        ..Default::default()
    }
}

/// compat: slave.cpp getExecutorInfo; the texts are in every `/state`.
fn command_executor_name(task: &v1::TaskInfo, command: &v1::CommandInfo) -> String {
    let quoted = match (&command.value, command.shell()) {
        (None, true) => "NO COMMAND".to_owned(),
        (None, false) => "NO EXECUTABLE".to_owned(),
        (Some(line), true) => format!("sh -c '{}'", cut(line, "...")),
        (Some(value), false) => {
            let all = format!("{value}, {}", command.arguments.join(", "));
            format!("[{}]", cut(&all, "..."))
        }
    };
    format!(
        "Command Executor (Task: {}) (Command: {quoted})",
        task.task_id.value
    )
}

fn cut(text: &str, dots: &str) -> String {
    if text.len() <= limits::NAME_COMMAND_BYTES {
        return text.to_owned();
    }
    let mut end = limits::NAME_COMMAND_CUT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{dots}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(value: Option<&str>, shell: bool, arguments: &[&str]) -> String {
        let command = v1::CommandInfo {
            value: value.map(str::to_owned),
            shell: Some(shell),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            ..Default::default()
        };
        let task = v1::TaskInfo {
            task_id: v1::TaskId {
                value: "t".to_owned(),
            },
            ..Default::default()
        };
        let name = command_executor_name(&task, &command);
        let prefix = "Command Executor (Task: t) ";
        name.strip_prefix(prefix).unwrap().to_owned()
    }

    #[test]
    fn names_quote_the_beginning_of_the_command() {
        assert_eq!(name(None, true, &[]), "(Command: NO COMMAND)");
        assert_eq!(name(None, false, &[]), "(Command: NO EXECUTABLE)");
        assert_eq!(
            name(Some("echo hello"), true, &[]),
            "(Command: sh -c 'echo hello')"
        );
        let fifteen = "123456789012345";
        assert_eq!(
            name(Some(fifteen), true, &[]),
            format!("(Command: sh -c '{fifteen}')")
        );
        assert_eq!(
            name(Some("1234567890123456"), true, &[]),
            "(Command: sh -c '123456789012...')"
        );
        assert_eq!(
            name(Some("ls"), false, &["ls", "/"]),
            "(Command: [ls, ls, /])"
        );
        assert_eq!(
            name(Some("/usr/bin/python"), false, &["python"]),
            "(Command: [/usr/bin/pyt...])"
        );
    }

    #[test]
    fn a_cut_never_falls_within_a_character() {
        assert_eq!(
            name(Some("12345678901äöüäöü"), true, &[]),
            "(Command: sh -c '12345678901...')"
        );
    }

    #[test]
    fn it_gets_a_little_of_its_own_under_the_role_of_its_task() {
        let task = v1::TaskInfo {
            task_id: v1::TaskId {
                value: "t".to_owned(),
            },
            resources: vec![overhead(
                "cpus",
                1.0,
                Some(v1::resource::AllocationInfo {
                    role: Some("r".to_owned()),
                }),
            )],
            kill_policy: Some(v1::KillPolicy {
                grace_period: Some(v1::DurationInfo {
                    nanoseconds: 3_000_000_000,
                }),
            }),
            ..Default::default()
        };
        let made = command_executor("/l", &"f".into(), &task);
        let roles: Vec<_> = made
            .resources
            .iter()
            .map(|resource| resource.allocation_info.as_ref().unwrap().role())
            .collect();
        assert_eq!(roles, ["r", "r"]);
        let amounts: Vec<_> = made
            .resources
            .iter()
            .map(|resource| resource.scalar.as_ref().unwrap().value)
            .collect();
        assert_eq!(amounts, [0.1, 32.0]);
        assert_eq!(
            made.shutdown_grace_period.unwrap().nanoseconds,
            5_000_000_000
        );
    }
}
