//! `ps`, `agents`, `frameworks`, `version`.

use anyhow::Context;
use meseta_client::OperatorClient;
use meseta_proto::mesos::v1::{self, master};
use serde_json::{Value, json};

use super::args::List;
use super::table::Table;

/// Asks the master one GET_* call.
///
/// # Errors
/// Nobody answers, or the answer is a refusal.
pub async fn ask(master: &str, kind: master::call::Type) -> anyhow::Result<master::Response> {
    let call = master::Call {
        r#type: Some(kind.into()),
        ..Default::default()
    };
    Ok(OperatorClient::new(master).master(&call).await?)
}

fn amount(resources: &[v1::Resource], name: &str) -> f64 {
    resources
        .iter()
        .filter(|r| r.name == name)
        .filter_map(|r| r.scalar.as_ref())
        .map(|s| s.value)
        // Not `sum`, which makes -0 of nothing.
        .fold(0.0, |sum, value| sum + value)
}

fn number(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// `meseta ps`.
///
/// # Errors
/// As [`ask`].
pub async fn ps(list: List) -> anyhow::Result<()> {
    let tasks = ask(&list.master.master, master::call::Type::GetTasks)
        .await?
        .get_tasks
        .unwrap_or_default();
    let agents = ask(&list.master.master, master::call::Type::GetAgents)
        .await?
        .get_agents
        .unwrap_or_default();
    let hostname = |id: &v1::AgentId| {
        let agent = agents
            .agents
            .iter()
            .find(|agent| agent.agent_info.id.as_ref() == Some(id));
        agent.map_or_else(
            || id.value.clone(),
            |agent| format!("{}:{}", agent.agent_info.hostname, agent.agent_info.port()),
        )
    };
    let over = if list.all {
        tasks.completed_tasks.as_slice()
    } else {
        &[]
    };
    let shown = tasks
        .tasks
        .iter()
        .chain(&tasks.unreachable_tasks)
        .chain(over);
    if list.json {
        let rows: Vec<Value> = shown.map(task_json).collect();
        return print_json(&json!(rows));
    }
    let mut table = Table::new(&["TASK", "STATE", "AGENT", "CPUS", "MEM", "FRAMEWORK"]);
    for task in shown {
        table.row(vec![
            task.task_id.value.clone(),
            task.state()
                .as_str_name()
                .trim_start_matches("TASK_")
                .to_owned(),
            hostname(&task.agent_id),
            number(amount(&task.resources, "cpus")),
            number(amount(&task.resources, "mem")),
            task.framework_id.value.clone(),
        ]);
    }
    table.print();
    Ok(())
}

fn task_json(task: &v1::Task) -> Value {
    json!({
        "task_id": task.task_id.value,
        "name": task.name,
        "state": task.state().as_str_name(),
        "agent_id": task.agent_id.value,
        "framework_id": task.framework_id.value,
        "cpus": amount(&task.resources, "cpus"),
        "mem": amount(&task.resources, "mem"),
    })
}

/// `meseta agents`.
///
/// # Errors
/// As [`ask`].
pub async fn agents(list: List) -> anyhow::Result<()> {
    let agents = ask(&list.master.master, master::call::Type::GetAgents)
        .await?
        .get_agents
        .unwrap_or_default();
    if list.json {
        let rows: Vec<Value> = agents.agents.iter().map(agent_json).collect();
        return print_json(&json!(rows));
    }
    let mut table = Table::new(&[
        "AGENT", "ADDRESS", "STATE", "CPUS", "MEM", "DISK", "VERSION",
    ]);
    for agent in &agents.agents {
        let of = |name| {
            let used = number(amount(&agent.allocated_resources, name));
            format!("{used}/{}", number(amount(&agent.total_resources, name)))
        };
        table.row(vec![
            agent
                .agent_info
                .id
                .as_ref()
                .map(|id| id.value.clone())
                .unwrap_or_default(),
            format!("{}:{}", agent.agent_info.hostname, agent.agent_info.port()),
            if agent.active { "active" } else { "inactive" }.to_owned(),
            of("cpus"),
            of("mem"),
            of("disk"),
            agent.version.clone(),
        ]);
    }
    for info in &agents.recovered_agents {
        let mut row = vec![
            info.id
                .as_ref()
                .map(|id| id.value.clone())
                .unwrap_or_default(),
            info.hostname.clone(),
            "recovered".to_owned(),
        ];
        row.resize(7, String::new());
        table.row(row);
    }
    table.print();
    Ok(())
}

fn agent_json(agent: &master::response::get_agents::Agent) -> Value {
    json!({
        "agent_id": agent.agent_info.id.as_ref().map(|id| &id.value),
        "hostname": agent.agent_info.hostname,
        "port": agent.agent_info.port(),
        "active": agent.active,
        "version": agent.version,
        "cpus": {"used": amount(&agent.allocated_resources, "cpus"), "total": amount(&agent.total_resources, "cpus")},
        "mem": {"used": amount(&agent.allocated_resources, "mem"), "total": amount(&agent.total_resources, "mem")},
        "disk": {"used": amount(&agent.allocated_resources, "disk"), "total": amount(&agent.total_resources, "disk")},
    })
}

/// `meseta frameworks`.
///
/// # Errors
/// As [`ask`].
pub async fn frameworks(list: List) -> anyhow::Result<()> {
    let answer = ask(&list.master.master, master::call::Type::GetFrameworks).await?;
    let frameworks = answer.get_frameworks.unwrap_or_default();
    let over = if list.all {
        frameworks.completed_frameworks.as_slice()
    } else {
        &[]
    };
    let live = frameworks
        .frameworks
        .iter()
        .map(|framework| (framework, state(framework)));
    let shown: Vec<_> = live
        .chain(over.iter().map(|framework| (framework, "completed")))
        .collect();
    if list.json {
        let rows: Vec<Value> = shown
            .iter()
            .map(|(framework, state)| framework_json(framework, state))
            .collect();
        return print_json(&json!(rows));
    }
    let mut table = Table::new(&["FRAMEWORK", "NAME", "STATE", "USER", "ROLES", "CPUS", "MEM"]);
    for (framework, state) in shown {
        let info = &framework.framework_info;
        table.row(vec![
            info.id
                .as_ref()
                .map(|id| id.value.clone())
                .unwrap_or_default(),
            info.name.clone(),
            state.to_owned(),
            info.user.clone(),
            roles(info),
            number(amount(&framework.allocated_resources, "cpus")),
            number(amount(&framework.allocated_resources, "mem")),
        ]);
    }
    table.print();
    Ok(())
}

fn roles(info: &v1::FrameworkInfo) -> String {
    if info.roles.is_empty() {
        info.role().to_owned()
    } else {
        info.roles.join(",")
    }
}

fn state(framework: &master::response::get_frameworks::Framework) -> &'static str {
    match (framework.active, framework.connected) {
        (true, _) => "active",
        (false, true) => "inactive",
        (false, false) => "disconnected",
    }
}

fn framework_json(framework: &master::response::get_frameworks::Framework, state: &str) -> Value {
    let info = &framework.framework_info;
    json!({
        "framework_id": info.id.as_ref().map(|id| &id.value),
        "name": info.name,
        "user": info.user,
        "state": state,
        "roles": roles(info).split(',').collect::<Vec<_>>(),
    })
}

/// `meseta version`.
///
/// # Errors
/// The master answers with something that is not JSON. No answer at all is not an error.
pub async fn version(list: List) -> anyhow::Result<()> {
    let own = env!("CARGO_PKG_VERSION");
    let answer = OperatorClient::new(list.master.master.as_str())
        .get("/version")
        .await;
    let master: Option<Value> = match answer {
        Ok(answer) => Some(
            serde_json::from_slice(&answer.body).context("the master's /version is not JSON")?,
        ),
        Err(_) => None,
    };
    if list.json {
        return print_json(&json!({"meseta": own, "master": master}));
    }
    println!("meseta {own}");
    match master {
        Some(version) => {
            let text = |key: &str| {
                version
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or("?")
                    .to_owned()
            };
            let ours = version.get("meseta_version").and_then(Value::as_str);
            let ours = ours
                .map(|ours| format!(" (meseta {ours})"))
                .unwrap_or_default();
            println!(
                "master at {}: Mesos {}{ours}",
                list.master.master,
                text("version")
            );
        }
        None => println!("master at {}: no answer", list.master.master),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_zero_without_a_sign() {
        assert_eq!(number(amount(&[], "cpus")), "0");
        assert_eq!(json!(amount(&[], "cpus")).to_string(), "0.0");
    }
}
