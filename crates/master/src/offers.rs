//! Offers: made of what the allocator grants, answered or withdrawn once.

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{Grant, Refusal};
use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId};
use meseta_model::resources::Resources;
use meseta_model::roles::Role;
use meseta_proto::mesos::v1;

use crate::agents::Agent;
use crate::event::Timer;
use crate::frameworks::Framework;
use crate::master::Reign;
use crate::notice::Notice;
use crate::turn::Turn;
use crate::view::{Counter, Delta};

/// What a framework may take, until it answers or the offer is withdrawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    pub(crate) framework: FrameworkId,
    pub(crate) agent: AgentId,
    pub(crate) role: Role,
    /// Without allocation info.
    pub(crate) resources: Resources,
}

/// Several offers taken together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) agent: AgentId,
    pub(crate) role: Role,
    pub(crate) resources: Resources,
}

impl Reign {
    /// Something changed that may lead to offers: has the allocator run when it wants to.
    pub(crate) fn nudge(&mut self, turn: &mut Turn<'_>) {
        let wake = self.allocator.next_wake(turn.now.mono_us);
        if wake == self.allocate_at {
            return;
        }
        self.allocate_at = wake;
        match wake {
            Some(at) => turn.timer_at(Timer::Allocate, at),
            None => turn.cancel(Timer::Allocate),
        }
    }

    /// Only agents on these hosts are offered from now on; standing offers stay, as in Mesos.
    pub(crate) fn set_whitelist(
        &mut self,
        turn: &mut Turn<'_>,
        hostnames: Option<BTreeSet<String>>,
    ) {
        self.allocator.set_whitelist(turn.now.mono_us, hostnames);
        self.nudge(turn);
    }

    /// Turns what the allocator grants into offers, one event per framework.
    pub(crate) fn allocate(&mut self, turn: &mut Turn<'_>) {
        self.allocate_at = None;
        let grants = self.allocator.allocate(turn.now.mono_us, &mut self.rng);
        turn.count(Counter::AllocationRuns);
        let mut by_framework: BTreeMap<FrameworkId, Vec<Grant>> = BTreeMap::new();
        for grant in grants {
            by_framework
                .entry(grant.framework.clone())
                .or_default()
                .push(grant);
        }
        for (framework, grants) in by_framework {
            self.make_offers(turn, &framework, grants);
        }
        self.nudge(turn);
    }

    fn make_offers(&mut self, turn: &mut Turn<'_>, framework: &FrameworkId, grants: Vec<Grant>) {
        let mut offers = Vec::with_capacity(grants.len());
        let mut pids = Vec::with_capacity(grants.len());
        for grant in grants {
            let Some((offer, pid)) = self.make_offer(turn, &grant) else {
                let Grant {
                    framework,
                    role,
                    agent,
                    resources,
                } = grant;
                self.give_back(turn, &framework, &role, &agent, &resources);
                continue;
            };
            offers.push(offer);
            pids.push(pid);
        }
        let Some(owner) = self.frameworks.get(framework) else {
            return;
        };
        if !offers.is_empty() {
            turn.count_by(Counter::OffersMade, offers.len() as u64);
            turn.tell(owner.connection.as_ref(), Notice::Offers { offers, pids });
        }
    }

    /// One offer, entered into the books; `None` if the framework or the agent cannot take part.
    fn make_offer(&mut self, turn: &mut Turn<'_>, grant: &Grant) -> Option<(v1::Offer, String)> {
        let owner = self
            .frameworks
            .get_mut(&grant.framework)
            .filter(|f| f.active)?;
        let agent = self.agents.get_mut(&grant.agent).filter(|a| a.active)?;
        let id = OfferId::new(format!("{}-O{}", self.info.id, self.next_offer));
        self.next_offer += 1;
        owner.offers.insert(id.clone());
        agent.offers.insert(id.clone());
        turn.changed(Delta::Offer(Box::new(plain_offer(
            &id, owner, agent, grant,
        ))));
        if let Some(timeout) = self.config.offer_timeout_us {
            turn.timer(Timer::OfferTimeout(id.clone()), timeout);
        }
        let wire = offer_for(&id, owner, agent, grant);
        let offer = Offer {
            framework: grant.framework.clone(),
            agent: grant.agent.clone(),
            role: grant.role.clone(),
            resources: grant.resources.clone(),
        };
        self.offers.insert(id, offer);
        Some((wire, agent.pid.to_string()))
    }

    /// Strikes an offer from the books; what becomes of its resources is the caller's business.
    pub(crate) fn strike_offer(&mut self, turn: &mut Turn<'_>, id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        if let Some(owner) = self.frameworks.get_mut(&offer.framework) {
            owner.offers.remove(id);
        }
        if let Some(agent) = self.agents.get_mut(&offer.agent) {
            agent.offers.remove(id);
        }
        if self.config.offer_timeout_us.is_some() {
            turn.cancel(Timer::OfferTimeout(id.clone()));
        }
        turn.changed(Delta::OfferRemoved(id.clone()));
        Some(offer)
    }

    /// Takes an offer back; the framework hears of it.
    pub(crate) fn rescind(&mut self, turn: &mut Turn<'_>, id: &OfferId) {
        self.take_back(turn, id, None);
    }

    fn take_back(&mut self, turn: &mut Turn<'_>, id: &OfferId, refusal: Option<Refusal>) {
        let Some(offer) = self.strike_offer(turn, id) else {
            return;
        };
        turn.count(Counter::OffersRescinded);
        if let Some(owner) = self.frameworks.get(&offer.framework) {
            turn.tell(owner.connection.as_ref(), Notice::Rescind(id.clone()));
        }
        let Offer {
            framework,
            agent,
            role,
            resources,
        } = &offer;
        match refusal {
            Some(refusal) => {
                self.refuse_resources(turn, framework, role, agent, resources, refusal);
            }
            None => self.give_back(turn, framework, role, agent, resources),
        }
    }

    pub(crate) fn rescind_agent_offers(&mut self, turn: &mut Turn<'_>, agent: &AgentId) {
        let offers = self.agents.get(agent).map(|agent| agent.offers.clone());
        for id in offers.unwrap_or_default() {
            self.rescind(turn, &id);
        }
    }

    /// Takes back all offers of a framework that cannot hear of it any more.
    pub(crate) fn withdraw_offers(&mut self, turn: &mut Turn<'_>, framework: &FrameworkId) {
        let offers = self
            .frameworks
            .get(framework)
            .map(|owner| owner.offers.clone());
        for id in offers.unwrap_or_default() {
            if let Some(offer) = self.strike_offer(turn, &id) {
                self.give_back(turn, framework, &offer.role, &offer.agent, &offer.resources);
            }
        }
    }

    /// An offer was held for too long: others have their turn, and its framework not before the next
    /// allocation interval, or it might just be offered the same again.
    pub(crate) fn offer_timed_out(&mut self, turn: &mut Turn<'_>, id: &OfferId) {
        self.take_back(turn, id, Some(Refusal { seconds: 0.0 }));
    }

    /// DECLINE: what is still on offer goes to others, and is kept from this framework for a while. Says
    /// how many of the offers were.
    pub(crate) fn decline(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        ids: &[v1::OfferId],
        filters: Option<&v1::Filters>,
    ) -> usize {
        let refusal = refusal(filters);
        let mut declined = 0;
        for id in ids.iter().map(OfferId::from) {
            if self
                .offers
                .get(&id)
                .is_none_or(|offer| offer.framework != *framework)
            {
                continue;
            }
            if let Some(offer) = self.strike_offer(turn, &id) {
                declined += 1;
                self.refuse_resources(
                    turn,
                    framework,
                    &offer.role,
                    &offer.agent,
                    &offer.resources,
                    refusal,
                );
            }
        }
        declined
    }

    /// Gives back what a framework did not want.
    pub(crate) fn refuse_resources(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        resources: &Resources,
        refusal: Refusal,
    ) {
        if resources.is_empty() {
            return;
        }
        let now = turn.now.mono_us;
        self.allocator
            .recover(now, framework, role, agent, resources, Some(refusal));
        self.nudge(turn);
    }

    /// Takes the offers that an ACCEPT names, all or none.
    ///
    /// compat: one bad id voids the call, and every live offer in it is discarded (semantic 58).
    pub(crate) fn take_offers(
        &mut self,
        turn: &mut Turn<'_>,
        framework: &FrameworkId,
        ids: &[v1::OfferId],
    ) -> Result<Taken, String> {
        let ids: Vec<OfferId> = ids.iter().map(OfferId::from).collect();
        let checked = self.check_offers(framework, &ids);
        let mut resources = Resources::new();
        for id in &ids {
            let own = self
                .offers
                .get(id)
                .is_some_and(|offer| offer.framework == *framework);
            if !own {
                continue;
            }
            let Some(offer) = self.strike_offer(turn, id) else {
                continue;
            };
            if checked.is_ok() {
                resources += offer.resources;
            } else {
                self.give_back(turn, framework, &offer.role, &offer.agent, &offer.resources);
            }
        }
        let (agent, role) = checked?;
        self.allocator.note_used(turn.now.mono_us, framework, &role);
        Ok(Taken {
            agent,
            role,
            resources,
        })
    }

    fn check_offers(
        &self,
        framework: &FrameworkId,
        ids: &[OfferId],
    ) -> Result<(AgentId, Role), String> {
        let mut seen = BTreeSet::new();
        let mut common: Option<&Offer> = None;
        for id in ids {
            if !seen.insert(id) {
                return Err(format!("Duplicate offer {id} in offer list"));
            }
            let offer = self
                .offers
                .get(id)
                .ok_or_else(|| format!("Offer {id} is no longer valid"))?;
            if offer.framework != *framework {
                return Err(format!(
                    "Offer {id} has invalid framework {} while framework {framework} is expected",
                    offer.framework
                ));
            }
            let first = *common.get_or_insert(offer);
            if first.agent != offer.agent {
                return Err(format!(
                    "Aggregated offers must belong to one single agent. Offer {id} uses agent {} \
                     and agent {}",
                    offer.agent, first.agent
                ));
            }
            if first.role != offer.role {
                return Err(format!(
                    "Aggregated offers must be allocated to the same role. Offer {id} uses role \
                     '{}' but another is using role '{}'",
                    offer.role, first.role
                ));
            }
        }
        common
            .map(|offer| (offer.agent.clone(), offer.role.clone()))
            .ok_or_else(|| "No offers specified".to_owned())
    }

    /// REQUEST: what the framework waits for, in all of its roles. Nothing is promised: scores look at
    /// it, if there are any.
    ///
    /// compat: the allocator that Mesos has built in ignores requests.
    pub(crate) fn request(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        requests: &[v1::Request],
    ) {
        turn.count(Counter::Message("resource_request"));
        let wish = crate::descriptions::request(requests);
        let roles = own_roles(self.frameworks.get(id), &[]);
        for role in roles.into_iter().flatten() {
            self.allocator.set_wish(id, &role, wish.as_ref());
        }
    }

    /// REVIVE: offers for these roles again, and nothing is kept back any more.
    pub(crate) fn revive(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, roles: &[String]) {
        turn.count(Counter::Message("revive_offers"));
        let Some(roles) = own_roles(self.frameworks.get(id), roles) else {
            return;
        };
        if let Some(framework) = self.frameworks.get_mut(id) {
            let revived = framework.suppressed.len();
            framework.suppressed.retain(|role| !roles.contains(role));
            if framework.suppressed.len() != revived {
                turn.changed(Delta::Framework(Box::new(framework.view())));
            }
            self.allocator.revive(turn.now.mono_us, id, &roles);
            self.nudge(turn);
        }
    }

    /// SUPPRESS: no offers for these roles; standing ones stay.
    pub(crate) fn suppress(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, roles: &[String]) {
        turn.count(Counter::Message("suppress_offers"));
        let Some(roles) = own_roles(self.frameworks.get(id), roles) else {
            return;
        };
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.suppressed.extend(roles.iter().cloned());
            turn.changed(Delta::Framework(Box::new(framework.view())));
            self.allocator.suppress(id, &roles);
        }
    }
}

/// The named roles that are the framework's own, or all of them if none is named. `None` if none of the
/// named is: to the allocator no role would mean every role.
fn own_roles(framework: Option<&Framework>, named: &[String]) -> Option<BTreeSet<Role>> {
    let own = &framework?.roles;
    if named.is_empty() {
        return Some(own.clone());
    }
    let named: BTreeSet<Role> = named.iter().map(|role| Role::from(role.as_str())).collect();
    let roles = &named & own;
    (!roles.is_empty()).then_some(roles)
}

/// How long a framework does not want what it gives back.
pub(crate) fn refusal(filters: Option<&v1::Filters>) -> Refusal {
    Refusal {
        seconds: filters.map_or(
            v1::Filters::default().refuse_seconds(),
            v1::Filters::refuse_seconds,
        ),
    }
}

fn executors_on(agent: &Agent, framework: &FrameworkId) -> Vec<v1::ExecutorId> {
    agent
        .executors
        .get(framework)
        .map(|executors| executors.keys().map(ExecutorId::to_wire).collect())
        .unwrap_or_default()
}

/// The offer as it is: what the operator API shows.
fn plain_offer(id: &OfferId, owner: &Framework, agent: &Agent, grant: &Grant) -> v1::Offer {
    let address = agent.pid.address;
    v1::Offer {
        id: id.to_wire(),
        framework_id: owner.id.to_wire(),
        agent_id: agent.id.to_wire(),
        hostname: agent.info.hostname.clone(),
        url: Some(v1::Url {
            scheme: "http".to_owned(),
            address: v1::Address {
                hostname: Some(agent.info.hostname.clone()),
                ip: Some(address.ip().to_string()),
                port: i32::from(address.port()),
            },
            path: Some(format!("/{}", agent.pid.name)),
            query: Vec::new(),
            fragment: None,
        }),
        domain: agent.info.domain.clone(),
        resources: grant
            .resources
            .allocated_to(&grant.role)
            .to_wire(meseta_model::resources::ResourceFormat::PostRefinement),
        attributes: agent.info.attributes.clone(),
        executor_ids: executors_on(agent, &grant.framework),
        unavailability: None,
        allocation_info: Some(v1::resource::AllocationInfo {
            role: Some(grant.role.to_string()),
        }),
    }
}

/// The offer in the words its framework knows: without MULTI_ROLE nothing says to whom things are
/// allocated, and without RESERVATION_REFINEMENT reservations are written the old way.
fn offer_for(id: &OfferId, owner: &Framework, agent: &Agent, grant: &Grant) -> v1::Offer {
    let mut offer = plain_offer(id, owner, agent, grant);
    let format = owner.capabilities.resource_format();
    if owner.capabilities.is_multi_role() {
        offer.resources = grant.resources.allocated_to(&grant.role).to_wire(format);
    } else {
        offer.resources = grant.resources.to_wire(format);
        offer.allocation_info = None;
    }
    offer
}
