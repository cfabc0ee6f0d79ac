//! `explain`: why frameworks are offered what they are offered, or not.

use std::collections::BTreeMap;

use anyhow::bail;
use meseta_client::OperatorClient;
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1::{self, master};

use master::response::explain_offers::{Explanation, Reason, Summary};
use master::response::{self, get_agents};

use super::args::Explain;
use super::lists::{ask, print_json};
use super::table::Table;

/// The word for `--agent` that stands for each agent by itself.
const ALL: &str = "all";
/// How many candidates an ambiguous name lists.
const CANDIDATES_SHOWN: usize = 5;

/// `meseta explain`.
///
/// # Errors
/// Something that is named does not exist, or the master does not know this call.
pub async fn explain(explain: Explain) -> anyhow::Result<()> {
    let master = explain.master.master.as_str();
    let agents = match explain.agent {
        Some(_) => agents(master).await?,
        None => Vec::new(),
    };
    let named = explain.agent.as_deref().filter(|name| *name != ALL);
    let agent_id = named
        .map(|name| pick("agent", &agents, name))
        .transpose()?
        .map(|value| v1::AgentId { value });
    let framework_id = match &explain.framework {
        Some(name) => Some(v1::FrameworkId {
            value: pick("framework", &frameworks(master).await?, name)?,
        }),
        None => None,
    };
    let call = master::Call {
        r#type: Some(master::call::Type::ExplainOffers.into()),
        explain_offers: Some(master::call::ExplainOffers {
            framework_id,
            role: explain.role.clone(),
            agent_id,
            list: Some(explain.agent.is_some()),
        }),
        ..Default::default()
    };
    let answer = OperatorClient::new(master).master(&call).await?;
    let answer = answer.explain_offers.unwrap_or_default();
    if explain.json {
        return print_json(&serde_json::from_slice(&meseta_proto::to_json(&answer))?);
    }
    let nobody = |summary: &Summary| summary.framework_id.is_none();
    if let (Some(role), true) = (&explain.role, answer.summaries.iter().all(nobody)) {
        bail!("no framework is subscribed to role '{role}'; `meseta frameworks` lists roles");
    }
    let names: BTreeMap<String, String> = agents.into_iter().map(|it| (it.id, it.name)).collect();
    for paragraph in paragraphs(&answer, &names, explain.agent.is_some()) {
        match paragraph {
            Paragraph::Table(table) => table.print(),
            Paragraph::Text(text) => println!("{text}"),
        }
    }
    Ok(())
}

/// Something that can be named by its id, a part of it, or its name.
struct Candidate {
    id: String,
    /// A framework's name, or an agent's address.
    name: String,
}

async fn agents(master: &str) -> anyhow::Result<Vec<Candidate>> {
    let answer = ask(master, master::call::Type::GetAgents).await?;
    let get_agents = answer.get_agents.unwrap_or_default();
    let registered = get_agents.agents.into_iter();
    let all = registered
        .map(|get_agents::Agent { agent_info, .. }| agent_info)
        .chain(get_agents.recovered_agents);
    let named = all.map(|info| Candidate {
        name: format!("{}:{}", info.hostname, info.port()),
        id: info.id.map(|id| id.value).unwrap_or_default(),
    });
    Ok(named.collect())
}

async fn frameworks(master: &str) -> anyhow::Result<Vec<Candidate>> {
    let answer = ask(master, master::call::Type::GetFrameworks).await?;
    let frameworks = answer.get_frameworks.unwrap_or_default().frameworks;
    let infos = frameworks.into_iter().map(|it| it.framework_info);
    let named = infos.map(|info| Candidate {
        id: info.id.map(|id| id.value).unwrap_or_default(),
        name: info.name,
    });
    Ok(named.collect())
}

/// The one that is meant. All ids of a cluster may begin alike, so that the end of one is as good.
fn pick(kind: &str, candidates: &[Candidate], wanted: &str) -> anyhow::Result<String> {
    if let Some(exact) = candidates.iter().find(|it| it.id == wanted) {
        return Ok(exact.id.clone());
    }
    let is_meant =
        |it: &&Candidate| it.id.starts_with(wanted) || it.id.ends_with(wanted) || it.name == wanted;
    let found: Vec<&Candidate> = candidates.iter().filter(is_meant).collect();
    match &found[..] {
        [] => bail!(
            "no {kind} has '{wanted}' for its name, or its id begins or ends with it; `meseta {kind}s` lists them"
        ),
        [one] => Ok(one.id.clone()),
        _ => {
            let ids = found.iter().take(CANDIDATES_SHOWN);
            let ids: Vec<&str> = ids.map(|it| it.id.as_str()).collect();
            let more = if found.len() > CANDIDATES_SHOWN {
                ", …"
            } else {
                ""
            };
            bail!(
                "'{wanted}' may be {} {kind}s: {}{more}",
                found.len(),
                ids.join(", ")
            )
        }
    }
}

enum Paragraph {
    Table(Table),
    Text(String),
}

fn paragraphs(
    answer: &response::ExplainOffers,
    agents: &BTreeMap<String, String>,
    by_agent: bool,
) -> Vec<Paragraph> {
    if answer.summaries.is_empty() {
        let text = "no framework is subscribed, so nobody is offered anything";
        return vec![Paragraph::Text(text.to_owned())];
    }
    let table = if by_agent {
        explanations(answer, agents)
    } else {
        summaries(answer)
    };
    let mut paragraphs = vec![Paragraph::Table(table)];
    if answer.agents() == 0 {
        paragraphs.push(Paragraph::Text("no agent is registered".to_owned()));
    }
    paragraphs.extend(left_out(answer, by_agent).map(Paragraph::Text));
    if !answer.meanings.is_empty() {
        paragraphs.push(Paragraph::Text(String::new()));
        paragraphs.push(Paragraph::Table(meanings(answer)));
    }
    paragraphs
}

/// What of the question the answer does not cover.
fn left_out(answer: &response::ExplainOffers, by_agent: bool) -> impl Iterator<Item = String> {
    let (looked_at, agents) = (answer.agents_explained(), answer.agents());
    let unseen = (looked_at < agents)
        .then(|| format!("there was time for {looked_at} of {agents} agents; ask for one of them"));
    let (told, clients) = (answer.summaries.len(), answer.clients());
    let untold = (told as u64) < clients;
    let untold = untold.then(|| format!("these are {told} of {clients} roles of frameworks"));
    let counts = answer.summaries.iter().flat_map(|summary| &summary.counts);
    let pairs: u64 = counts.map(|count| count.agents()).sum();
    let listed = answer.explanations.len();
    let unlisted = by_agent && (listed as u64) < pairs;
    let unlisted =
        unlisted.then(|| format!("these are {listed} of {pairs}; ask for a framework or an agent"));
    [unseen, untold, unlisted].into_iter().flatten()
}

/// A line for each framework and role.
fn summaries(answer: &response::ExplainOffers) -> Table {
    let mut table = Table::new(&["FRAMEWORK", "NAME", "ROLE", "AGENTS BY REASON"]);
    for summary in &answer.summaries {
        let mut counts = summary.counts.clone();
        counts.sort_by_key(|count| std::cmp::Reverse(count.agents()));
        let counts = counts
            .iter()
            .map(|count| format!("{} {}", count.agents(), word(count.reason())));
        table.row(vec![
            id(summary.framework_id.as_ref()),
            summary.framework_name().to_owned(),
            summary.role().to_owned(),
            counts.collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

/// A line for each framework, role and agent.
fn explanations(answer: &response::ExplainOffers, agents: &BTreeMap<String, String>) -> Table {
    let summaries = answer.summaries.iter();
    let names: BTreeMap<String, &str> = summaries
        .map(|summary| {
            let framework = id(summary.framework_id.as_ref());
            (framework, summary.framework_name())
        })
        .collect();
    let mut table = Table::new(&["FRAMEWORK", "NAME", "ROLE", "AGENT", "REASON"]);
    for explanation in &answer.explanations {
        let framework = id(explanation.framework_id.as_ref());
        let agent = explanation.agent_id.as_ref().map(|id| id.value.as_str());
        let agent = agent.unwrap_or_default();
        let name = names.get(&framework).copied().unwrap_or_default();
        table.row(vec![
            framework,
            name.to_owned(),
            explanation.role().to_owned(),
            agents.get(agent).map_or(agent, String::as_str).to_owned(),
            reason(explanation),
        ]);
    }
    table
}

fn meanings(answer: &response::ExplainOffers) -> Table {
    let mut table = Table::new(&["REASON", "MEANING", "WHAT WOULD CHANGE IT"]);
    for meaning in &answer.meanings {
        table.row(vec![
            word(meaning.reason()),
            meaning.text().to_owned(),
            meaning.remedy().to_owned(),
        ]);
    }
    table
}

fn id(id: Option<&v1::FrameworkId>) -> String {
    id.map(|id| id.value.clone()).unwrap_or_default()
}

/// A reason as people read it: `nothing free`.
fn word(reason: Reason) -> String {
    reason.as_str_name().to_lowercase().replace('_', " ")
}

/// A reason with what belongs to it.
fn reason(explanation: &Explanation) -> String {
    let word = word(explanation.reason());
    if let Some(left) = explanation.seconds_left {
        return format!("{word}, {left:.1} s left");
    }
    if !explanation.behind.is_empty() {
        let others = explanation
            .behind
            .iter()
            .map(|other| format!("{} ({})", id(other.framework_id.as_ref()), other.role()));
        return format!("{word}: {}", others.collect::<Vec<_>>().join(", "));
    }
    match Resources::from_wire(&explanation.resources) {
        Ok(resources) if !resources.is_empty() => format!("{word}: {resources}"),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use master::response::explain_offers::{Client, Count};

    fn candidates() -> [Candidate; 3] {
        [("u-S1", "h:1"), ("u-S11", "h:2"), ("v-S2", "h:1")].map(|(id, name)| Candidate {
            id: id.to_owned(),
            name: name.to_owned(),
        })
    }

    #[test]
    fn a_part_of_an_id_names_what_it_belongs_to() {
        let picked = |name| pick("agent", &candidates(), name).map_err(|e| e.to_string());
        assert_eq!(picked("u-S1"), Ok("u-S1".into()), "an exact id wins");
        assert_eq!(picked("S11"), Ok("u-S11".into()));
        assert_eq!(picked("v"), Ok("v-S2".into()));
        assert_eq!(picked("h:2"), Ok("u-S11".into()));
        assert_eq!(
            picked("h:1"),
            Err("'h:1' may be 2 agents: u-S1, v-S2".into())
        );
        let none = "no agent has 'x' for its name, or its id begins or ends with it; `meseta agents` lists them";
        assert_eq!(picked("x"), Err(none.into()));
    }

    #[test]
    fn a_reason_is_shown_with_what_belongs_to_it() {
        let framework = |id: &str| {
            Some(v1::FrameworkId {
                value: id.to_owned(),
            })
        };
        let shown = |reason: Reason| Explanation {
            reason: Some(reason.into()),
            ..Default::default()
        };
        assert_eq!(reason(&shown(Reason::NothingFree)), "nothing free");
        let refused = Explanation {
            seconds_left: Some(59.96),
            ..shown(Reason::Refused)
        };
        assert_eq!(reason(&refused), "refused, 60.0 s left");
        let behind = Explanation {
            behind: vec![Client {
                framework_id: framework("f"),
                role: Some("r".to_owned()),
            }],
            ..shown(Reason::BehindOthers)
        };
        assert_eq!(reason(&behind), "behind others: f (r)");
        let held = Explanation {
            resources: Resources::of(&[("cpus", 2.0)])
                .to_wire(meseta_model::resources::ResourceFormat::PostRefinement),
            ..shown(Reason::HasOffer)
        };
        assert_eq!(reason(&held), "has offer: cpus:2");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut answer = response::ExplainOffers {
            summaries: vec![Summary {
                counts: vec![Count {
                    reason: Some(Reason::Refused.into()),
                    agents: Some(12),
                }],
                ..Default::default()
            }],
            clients: Some(1),
            agents: Some(12),
            agents_explained: Some(12),
            ..Default::default()
        };
        let said = |answer: &_, by_agent| left_out(answer, by_agent).collect::<Vec<_>>();
        assert_eq!(said(&answer, false), Vec::<String>::new());
        let few = "these are 0 of 12; ask for a framework or an agent";
        assert_eq!(said(&answer, true), [few]);
        answer.clients = Some(3);
        answer.agents = Some(40);
        let (time, roles) = (
            "there was time for 12 of 40 agents; ask for one of them",
            "these are 1 of 3 roles of frameworks",
        );
        assert_eq!(said(&answer, false), [time, roles]);
    }
}
