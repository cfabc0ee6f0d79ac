//! Says which agent falls short of what.

use meseta_client::OperatorClient;
use meseta_proto::mesos::v1::{self, master};

use super::placement::Needs;

/// One line for each agent: what it lacks, or that others hold it.
pub async fn report(master: &str, needs: &Needs) -> Vec<String> {
    let call = master::Call {
        r#type: Some(master::call::Type::GetAgents.into()),
        ..Default::default()
    };
    let agents = match OperatorClient::new(master).master(&call).await {
        Ok(response) => response.get_agents.unwrap_or_default().agents,
        Err(error) => return vec![error.to_string()],
    };
    if agents.is_empty() {
        return vec![
            "no agent is registered; start one with `meseta agent --master=HOST:PORT`".to_owned(),
        ];
    }
    agents.iter().map(|agent| line(agent, needs)).collect()
}

fn line(agent: &master::response::get_agents::Agent, needs: &Needs) -> String {
    let info = &agent.agent_info;
    let id = info.id.as_ref().map_or("?", |id| id.value.as_str());
    let name = format!("agent {} ({id})", info.hostname);
    if !agent.active {
        return format!("{name}: not active");
    }
    if let Some(unmet) = needs.unmet(&info.attributes) {
        return format!("{name}: {unmet}");
    }
    let total = needs.shortfalls(&agent.total_resources);
    if !total.is_empty() {
        return format!("{name} has too little in all: {}", total.join(", "));
    }
    let free = free(agent);
    let now = needs.shortfalls(&free);
    if now.is_empty() {
        return format!(
            "{name} has room; its next offer is on its way, or reserved for another role"
        );
    }
    format!("{name} has too little free now: {}", now.join(", "))
}

/// What is neither allocated nor offered, by name.
fn free(agent: &master::response::get_agents::Agent) -> Vec<v1::Resource> {
    let mut free = agent.total_resources.clone();
    for used in agent
        .allocated_resources
        .iter()
        .chain(&agent.offered_resources)
    {
        let Some(mut left) = used.scalar.as_ref().map(|scalar| scalar.value) else {
            continue;
        };
        for resource in free
            .iter_mut()
            .filter(|resource| resource.name == used.name)
        {
            if let Some(scalar) = &mut resource.scalar {
                let part = left.min(scalar.value);
                scalar.value -= part;
                left -= part;
            }
        }
    }
    free
}
