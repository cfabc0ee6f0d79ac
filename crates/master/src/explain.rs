//! EXPLAIN_OFFERS of the operator API, ours: why frameworks are offered what they are offered, or not.
//!
//! It is the allocator that explains; here the question becomes pairs of clients (a framework in one of
//! its roles) and agents, and the answers are counted. A question about more pairs than one step may
//! take is worked on in slices, agents by id, one question at a time: agents that come or go meanwhile
//! may be missed, nothing is guessed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use meseta_allocator::{Explanation, Reason};
use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, RequestId};
use meseta_model::ids::{AgentId, FrameworkId, OfferId};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::roles::{self, Role};
use meseta_model::validation;
use meseta_proto::mesos::v1;
use v1::master::response::explain_offers as wire;
use v1::master::{Response, response};

use crate::event::{Question, Timer};
use crate::limits::{
    EXPLAIN_PATIENCE_US, EXPLAIN_PAUSE_US, EXPLAINED_AGENTS_PER_STEP, EXPLAINED_CLIENTS,
    EXPLAINED_PER_STEP, EXPLANATIONS, QUESTIONS,
};
use crate::master::Reign;
use crate::permissions;
use crate::turn::Turn;

/// Questions under way; the first one is being worked on.
pub(crate) type Questions = VecDeque<Asked>;

/// A question, and what was found so far.
#[derive(Debug)]
pub(crate) struct Asked {
    request: RequestId,
    question: Question,
    clients: Vec<(FrameworkId, Role)>,
    /// Where each client is in the list.
    places: BTreeMap<FrameworkId, BTreeMap<Role, usize>>,
    /// How many clients there are, those beyond [`EXPLAINED_CLIENTS`] included.
    clients_in_all: usize,
    /// The agent that was explained last.
    last: Option<AgentId>,
    agents_explained: u64,
    /// When whoever asks gets what was found by then.
    until_us: u64,
    found: Found,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    /// By client: how many agents for which reason.
    counts: Vec<BTreeMap<i32, u64>>,
    meanings: BTreeMap<i32, wire::Meaning>,
    list: Option<Vec<wire::Explanation>>,
    is_list_cut: bool,
}

/// Offers that are out, by places of client and agent.
type Held = BTreeMap<(usize, usize), (Vec<OfferId>, Resources)>;

impl Reign {
    /// Begins to work on a question; answered when it is done, mostly at once.
    pub(crate) fn explain_offers(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        caller: &Caller,
        question: Question,
    ) -> Result<Option<Outcome>, Refusal> {
        check(&question)?;
        if self.questions.len() >= QUESTIONS {
            let text = "Too many questions are waiting; try again";
            return Err(Refusal::new(RefusalKind::TooMany, text));
        }
        let mut clients = self.clients_in_question(caller, &question);
        let clients_in_all = clients.len();
        clients.truncate(EXPLAINED_CLIENTS);
        let mut places: BTreeMap<FrameworkId, BTreeMap<Role, usize>> = BTreeMap::new();
        for (at, (framework, role)) in clients.iter().enumerate() {
            let roles = places.entry(framework.clone()).or_default();
            roles.insert(role.clone(), at);
        }
        let found = Found {
            counts: vec![BTreeMap::new(); clients.len()],
            list: question.list.then(Vec::new),
            ..Found::default()
        };
        self.questions.push_back(Asked {
            request,
            question,
            clients,
            places,
            clients_in_all,
            last: None,
            agents_explained: 0,
            until_us: turn.now.mono_us.saturating_add(EXPLAIN_PATIENCE_US),
            found,
        });
        if self.questions.len() == 1 {
            self.explain_some(turn);
        }
        Ok(None)
    }

    /// The next slice of the first question.
    pub(crate) fn explain_some(&mut self, turn: &mut Turn<'_>) {
        let Some(mut asked) = self.questions.pop_front() else {
            return;
        };
        let now = turn.now.mono_us;
        if self.explain_slice(now, &mut asked) || now >= asked.until_us {
            let response = self.answer(&asked);
            turn.reply(asked.request, Outcome::Told(Box::new(response)));
        } else {
            self.questions.push_front(asked);
        }
        if !self.questions.is_empty() {
            turn.timer(Timer::Explain, EXPLAIN_PAUSE_US);
        }
    }

    /// What a question is about, as far as the caller may see it. A framework that is named and unknown
    /// is explained like others.
    fn clients_in_question(&self, caller: &Caller, asked: &Question) -> Vec<(FrameworkId, Role)> {
        let Some(id) = &asked.framework else {
            let all = self.frameworks.registered.values();
            return all
                .flat_map(|framework| framework.roles.iter().map(move |role| (framework, role)))
                .filter(|(_, role)| asked.role.as_ref().is_none_or(|named| named == *role))
                .filter(|(framework, role)| permissions::view(caller, framework, role))
                .map(|(framework, role)| (framework.id.clone(), role.clone()))
                .collect();
        };
        let known = self.frameworks.get(id);
        let roles = match (&asked.role, known) {
            (Some(role), _) => vec![role.clone()],
            (None, Some(framework)) => framework.roles.iter().cloned().collect(),
            (None, None) => vec![Role::default()],
        };
        let is_seen = |role: &Role| known.is_none_or(|it| permissions::view(caller, it, role));
        let roles = roles.into_iter().filter(is_seen);
        roles.map(|role| (id.clone(), role)).collect()
    }

    /// Explains as many more agents as one step may take. Whether those were the last ones.
    fn explain_slice(&mut self, now_us: u64, asked: &mut Asked) -> bool {
        let active = self.allocator.counts().active_clients;
        let width = asked.clients.len().max(active).max(1);
        let most = (EXPLAINED_PER_STEP / width).clamp(1, EXPLAINED_AGENTS_PER_STEP);
        let (agents, is_last) = match &asked.question.agent {
            Some(agent) => (vec![agent.clone()], true),
            None => self.agents_after(asked.last.as_ref(), most),
        };
        let held = self.held_offers(asked, &agents);
        let Self {
            allocator,
            frameworks,
            agents: books,
            ..
        } = self;
        let (clients, found) = (&asked.clients, &mut asked.found);
        allocator.explain_each(now_us, clients, &agents, |at, agent_at, explanation| {
            let (client, agent) = (&clients[at], &agents[agent_at]);
            let finding = match (held.get(&(at, agent_at)), explanation) {
                (Some(held), _) => Finding::Holds(held),
                (None, Explanation::Offered(resources)) => Finding::Next(resources),
                (None, Explanation::Behind(others)) => Finding::Behind(others),
                (None, Explanation::Withheld(reason)) => Finding::Withheld(match reason {
                    // Those that an earlier leader knew, and that are not back yet.
                    Reason::UnknownFramework if frameworks.get(&client.0).is_some() => {
                        Reason::FrameworkInactive
                    }
                    Reason::UnknownAgent if books.recovered.contains(agent) => {
                        Reason::AgentInactive
                    }
                    known => known,
                }),
            };
            found.add(now_us, at, client, agent, &finding);
        });
        asked.agents_explained += agents.len() as u64;
        asked.last = agents.last().cloned();
        is_last
    }

    /// The next agents by id, and whether those are the last ones.
    fn agents_after(&self, last: Option<&AgentId>, most: usize) -> (Vec<AgentId>, bool) {
        let begin = last.map_or(Bound::Unbounded, Bound::Excluded);
        let all = &self.agents.registered;
        let mut rest = all.range::<AgentId, _>((begin, Bound::Unbounded));
        let ids = rest.by_ref().take(most).map(|(id, _)| id.clone());
        (ids.collect(), rest.next().is_none())
    }

    fn held_offers(&self, asked: &Asked, agents: &[AgentId]) -> Held {
        let mut held = Held::new();
        for (at, agent) in agents.iter().enumerate() {
            let offers = self.agents.get(agent).map(|agent| agent.offers.iter());
            for id in offers.into_iter().flatten() {
                let Some(offer) = self.offers.get(id) else {
                    continue;
                };
                let roles = asked.places.get(&offer.framework);
                if let Some(client) = roles.and_then(|roles| roles.get(&offer.role)) {
                    let (ids, resources) = held.entry((*client, at)).or_default();
                    ids.push(id.clone());
                    *resources += &offer.resources;
                }
            }
        }
        held
    }

    /// What was found, with how much of what was asked for it is.
    fn answer(&self, asked: &Asked) -> Response {
        let Asked {
            question, found, ..
        } = asked;
        let agents = match question.agent {
            Some(_) => 1,
            None => self
                .agents
                .registered
                .len()
                .max(asked.agents_explained as usize) as u64,
        };
        let mut summaries: Vec<wire::Summary> = asked
            .clients
            .iter()
            .zip(&found.counts)
            .map(|((id, role), counts)| {
                let framework = self.frameworks.get(id);
                let has_role = framework.is_some() || question.role.is_some();
                wire::Summary {
                    framework_id: Some(id.to_wire()),
                    framework_name: framework.map(|framework| framework.info.name.clone()),
                    role: has_role.then(|| role.to_string()),
                    counts: counts
                        .iter()
                        .map(|(reason, agents)| count(*reason, *agents))
                        .collect(),
                }
            })
            .collect();
        let mut meanings: Vec<wire::Meaning> = found.meanings.values().cloned().collect();
        if let (true, Some(role)) = (asked.clients.is_empty(), &question.role) {
            summaries.push(wire::Summary {
                role: Some(role.to_string()),
                counts: vec![count(wire::Reason::NotSubscribed.into(), agents)],
                ..Default::default()
            });
            let mut meaning = Finding::Withheld(Reason::NotSubscribed).meaning();
            meaning.text = Some("no framework is subscribed to the role".to_owned());
            meanings.push(meaning);
        }
        let cut = found.is_list_cut
            || asked.clients_in_all > asked.clients.len()
            || asked.agents_explained < agents;
        Response {
            r#type: Some(response::Type::ExplainOffers.into()),
            explain_offers: Some(response::ExplainOffers {
                summaries,
                explanations: found.list.clone().unwrap_or_default(),
                meanings,
                clients: Some(asked.clients_in_all as u64),
                agents: Some(agents),
                agents_explained: Some(asked.agents_explained),
                cut: Some(cut),
            }),
            ..Default::default()
        }
    }
}

fn check(question: &Question) -> Result<(), Refusal> {
    let framework = question.framework.as_ref().map(FrameworkId::as_str);
    let agent = question.agent.as_ref().map(AgentId::as_str);
    for (field, id) in [("framework_id", framework), ("agent_id", agent)] {
        let checked = id.map_or(Ok(()), validation::id);
        checked.map_err(|why| Refusal::invalid(format!("Invalid '{field}': {why}")))?;
    }
    let role = question.role.as_ref().map(Role::as_str);
    let checked = role.map_or(Ok(()), roles::validate);
    checked.map_err(|why| Refusal::invalid(format!("Invalid 'role': {why}")))
}

fn count(reason: i32, agents: u64) -> wire::Count {
    wire::Count {
        reason: Some(reason),
        agents: Some(agents),
    }
}

/// How a framework, in one of its roles, stands to an agent.
enum Finding<'a> {
    Holds(&'a (Vec<OfferId>, Resources)),
    Next(Box<Resources>),
    Behind(std::sync::Arc<[(FrameworkId, Role)]>),
    Withheld(Reason),
}

impl Found {
    fn add(
        &mut self,
        now_us: u64,
        at: usize,
        client: &(FrameworkId, Role),
        agent: &AgentId,
        finding: &Finding<'_>,
    ) {
        let reason = finding.reason().into();
        *self.counts[at].entry(reason).or_default() += 1;
        let meaning = || finding.meaning();
        self.meanings.entry(reason).or_insert_with(meaning);
        let Some(list) = &mut self.list else {
            return;
        };
        if list.len() >= EXPLANATIONS {
            self.is_list_cut = true;
            return;
        }
        list.push(finding.explanation(now_us, client, agent));
    }
}

impl Finding<'_> {
    fn reason(&self) -> wire::Reason {
        use wire::Reason as W;
        let reason = match self {
            Self::Holds(_) => return W::HasOffer,
            Self::Next(_) => return W::WouldBeOffered,
            Self::Behind(_) => return W::BehindOthers,
            Self::Withheld(reason) => reason,
        };
        match reason {
            Reason::UnknownFramework => W::UnknownFramework,
            Reason::FrameworkInactive => W::FrameworkInactive,
            Reason::NotSubscribed => W::NotSubscribed,
            Reason::Suppressed => W::Suppressed,
            Reason::UnknownAgent => W::UnknownAgent,
            Reason::AgentInactive => W::AgentInactive,
            Reason::NotListed => W::NotWhitelisted,
            Reason::NothingFree => W::NothingFree,
            Reason::TooLittleFree => W::TooLittleFree,
            Reason::AwaitingAgents { .. } => W::AwaitingAgents,
            Reason::FlatAgent => W::LacksHierarchicalRole,
            Reason::NothingForRole => W::ReservedForOthers,
            Reason::LimitReached => W::QuotaLimit,
            Reason::HeldBack => W::QuotaOfOthers,
            Reason::OneRoleAgent => W::LacksMultiRole,
            Reason::NeedsGpus => W::LacksGpuResources,
            Reason::OtherRegion => W::LacksRegionAware,
            Reason::NotUnderstood => W::LacksCapability,
            Reason::BelowMinimum => W::BelowMinimum,
            Reason::Refused { .. } => W::Refused,
            Reason::Constraints => W::OfferConstraints,
        }
    }

    fn meaning(&self) -> wire::Meaning {
        let (text, remedy) = match self {
            Self::Holds(_) => (
                "the framework has an offer that it has not answered".to_owned(),
                "ACCEPT or DECLINE from the framework; --offer_timeout takes it back",
            ),
            Self::Next(_) => (
                "it would be offered what is free".to_owned(),
                "nothing: it is about to come",
            ),
            Self::Behind(_) => (
                "others come first and leave nothing".to_owned(),
                "wait, add agents, or raise the weight of the role",
            ),
            Self::Withheld(reason) => (reason.to_string(), reason.remedy()),
        };
        wire::Meaning {
            reason: Some(self.reason().into()),
            text: Some(text),
            remedy: Some(remedy.to_owned()),
        }
    }

    fn explanation(
        &self,
        now_us: u64,
        (framework, role): &(FrameworkId, Role),
        agent: &AgentId,
    ) -> wire::Explanation {
        let mut explanation = wire::Explanation {
            framework_id: Some(framework.to_wire()),
            role: Some(role.to_string()),
            agent_id: Some(agent.to_wire()),
            reason: Some(self.reason().into()),
            ..Default::default()
        };
        match self {
            Self::Holds((offers, resources)) => {
                explanation.offer_ids = offers.iter().map(OfferId::to_wire).collect();
                explanation.resources = resources.to_wire(ResourceFormat::PostRefinement);
            }
            Self::Next(resources) => {
                explanation.resources = resources.to_wire(ResourceFormat::PostRefinement);
            }
            Self::Behind(others) => {
                let named = others.iter().map(|(framework, role)| wire::Client {
                    framework_id: Some(framework.to_wire()),
                    role: Some(role.to_string()),
                });
                explanation.behind = named.collect();
            }
            Self::Withheld(Reason::Refused { until_us } | Reason::AwaitingAgents { until_us }) => {
                let left_us = until_us.saturating_sub(now_us);
                explanation.seconds_left = Some(left_us as f64 / 1e6);
            }
            Self::Withheld(_) => {}
        }
        explanation
    }
}
