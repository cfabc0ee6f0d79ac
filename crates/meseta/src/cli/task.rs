//! `logs` and `kill`: one task, named by its id or the beginning of it.

use std::time::Duration;

use anyhow::{Context, bail};
use meseta_client::OperatorClient;
use meseta_proto::mesos::v1::{self, TaskState, master};

use tokio::signal::unix::{SignalKind, signal};

use super::args::{Kill, Logs};
use super::lists::ask;
use super::output::{Output, Stream, is_over};

/// The pause between two looks at a followed task.
const LOOK: Duration = Duration::from_millis(200);
/// How many candidates an ambiguous name lists.
const CANDIDATES_SHOWN: usize = 5;

/// Finds the one task whose id is, or begins with, `name`.
async fn find(master: &str, name: &str) -> anyhow::Result<v1::Task> {
    let tasks = ask(master, master::call::Type::GetTasks)
        .await?
        .get_tasks
        .unwrap_or_default();
    let all = tasks
        .tasks
        .into_iter()
        .chain(tasks.unreachable_tasks)
        .chain(tasks.completed_tasks);
    pick(all.collect(), name)
}

fn pick(tasks: Vec<v1::Task>, name: &str) -> anyhow::Result<v1::Task> {
    if let Some(exact) = tasks.iter().find(|task| task.task_id.value == name) {
        return Ok(exact.clone());
    }
    let mut found: Vec<v1::Task> = tasks
        .into_iter()
        .filter(|task| task.task_id.value.starts_with(name))
        .collect();
    match found.len() {
        0 => bail!("no task's id begins with '{name}'; `meseta ps --all` lists them"),
        1 => found.pop().context("there is one"),
        n => {
            let ids: Vec<&str> = found
                .iter()
                .take(CANDIDATES_SHOWN)
                .map(|task| task.task_id.value.as_str())
                .collect();
            let more = if n > CANDIDATES_SHOWN { ", …" } else { "" };
            bail!(
                "{n} tasks' ids begin with '{name}': {}{more}",
                ids.join(", ")
            )
        }
    }
}

/// Where the agent `id` listens.
async fn agent_address(master: &str, id: &v1::AgentId) -> anyhow::Result<String> {
    let agents = ask(master, master::call::Type::GetAgents)
        .await?
        .get_agents
        .unwrap_or_default();
    let agent = agents
        .agents
        .iter()
        .find(|agent| agent.agent_info.id.as_ref() == Some(id));
    let agent = agent.with_context(|| {
        format!(
            "agent {} is not registered, so its files cannot be read",
            id.value
        )
    })?;
    let pid = agent
        .pid
        .as_deref()
        .and_then(|pid| pid.rsplit_once('@'))
        .map(|(_, address)| address.to_owned());
    Ok(pid.unwrap_or_else(|| format!("{}:{}", agent.agent_info.hostname, agent.agent_info.port())))
}

/// `meseta logs`.
///
/// # Errors
/// The task is unknown, or its agent cannot be asked.
pub async fn logs(logs: Logs) -> anyhow::Result<()> {
    let master = &logs.master.master;
    let mut task = find(master, &logs.task).await?;
    let agent = agent_address(master, &task.agent_id).await?;
    let executor = task
        .executor_id
        .as_ref()
        .map(|id| id.value.clone())
        .filter(|id| !id.is_empty());
    let executor = executor.unwrap_or_else(|| task.task_id.value.clone());
    let stream = if logs.stderr {
        Stream::Stderr
    } else {
        Stream::Stdout
    };
    let mut output = Output::new(&agent, &task.framework_id.value, &executor, stream);
    let id = task.task_id.value.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let over = is_over(task.state());
        output.print("").await?;
        if !logs.follow || over {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = interrupt.recv() => return Ok(()),
        }
        task = find(master, &id).await?;
    }
}

/// `meseta kill`.
///
/// # Errors
/// The task is unknown or over, or the master does not know this call.
pub async fn kill(kill: Kill) -> anyhow::Result<()> {
    let master = &kill.master.master;
    let task = find(master, &kill.task).await?;
    let id = task.task_id.value.clone();
    if is_over(task.state()) {
        bail!("task {id} is over already: {}", task.state().as_str_name());
    }
    let call = master::Call {
        r#type: Some(master::call::Type::KillTask.into()),
        kill_task: Some(master::call::KillTask {
            framework_id: task.framework_id.clone(),
            task_id: task.task_id.clone(),
            kill_policy: None,
        }),
        ..Default::default()
    };
    OperatorClient::new(master.as_str()).master(&call).await?;
    println!("{id}: asked to end (was {})", short(task.state()));
    Ok(())
}

fn short(state: TaskState) -> &'static str {
    state.as_str_name().trim_start_matches("TASK_")
}

#[cfg(test)]
mod tests {
    use super::pick;
    use meseta_proto::mesos::v1::{Task, TaskId};

    fn tasks(ids: &[&str]) -> Vec<Task> {
        ids.iter()
            .map(|id| Task {
                task_id: TaskId {
                    value: (*id).into(),
                },
                ..Default::default()
            })
            .collect()
    }

    #[test]
    fn a_prefix_names_a_task_if_it_names_only_one() {
        let id = |ids: &[&str], name| {
            pick(tasks(ids), name)
                .map(|task| task.task_id.value)
                .map_err(|e| e.to_string())
        };
        assert_eq!(id(&["echo.1", "sleep.2"], "ec"), Ok("echo.1".into()));
        assert_eq!(
            id(&["echo", "echo.1"], "echo"),
            Ok("echo".into()),
            "an exact id wins"
        );
        assert_eq!(
            id(&["echo.1", "echo.2"], "echo"),
            Err("2 tasks' ids begin with 'echo': echo.1, echo.2".into())
        );
        assert_eq!(
            id(&[], "x"),
            Err("no task's id begins with 'x'; `meseta ps --all` lists them".into())
        );
    }
}
