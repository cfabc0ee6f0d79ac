//! The same rules, slow and obvious: nothing is kept but what happened, everything else is worked out
//! when it is asked for. What the allocator keeps in order, this one sorts; what it sums up, this one
//! counts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{
    AgentProfile, Config, Constraint, FrameworkProfile, Grant, Predicate, Quota, Selector, Site,
    SorterKind, Used, limits,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Quantities, Resource, ResourceName, Resources, Scalar};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

type Client = (FrameworkId, Role);

#[derive(Clone)]
pub struct Agent {
    id: AgentId,
    total: Resources,
    held: Vec<(Client, Resources)>,
    site: Site,
    hierarchical_role: bool,
    multi_role: bool,
    active: bool,
    filters: Vec<(Client, u64, Resources)>,
    dirty: bool,
}

impl Agent {
    fn held_by(&self, client: &Client) -> Option<&Resources> {
        let found = self.held.iter().find(|(holder, _)| holder == client)?;
        Some(&found.1)
    }

    pub fn free(&self) -> Resources {
        let held: Resources = self.held.iter().map(|(_, what)| what).sum();
        self.total.saturating_sub(&held.non_shared())
    }
}

#[derive(Clone)]
pub struct Reference {
    config: Config,
    agents: Vec<Option<Agent>>,
    unused: Vec<usize>,
    pub frameworks: BTreeMap<FrameworkId, FrameworkProfile>,
    counts: BTreeMap<String, u64>,
    weights: BTreeMap<Role, f64>,
    quotas: BTreeMap<Role, Quota>,
    whitelist: Option<BTreeSet<String>>,
    dirty: Vec<usize>,
    dirty_at: Option<u64>,
    round_at: Option<u64>,
    net_at: Option<u64>,
    last_round: Option<u64>,
    in_the_way: bool,
}

fn is_firm(entry: &Resource) -> bool {
    entry.is_unreserved() && !entry.is_revocable() && !entry.is_shared()
}

/// Of an attribute, whether it is there and what it says; other rules are not drawn.
fn is_met(rule: &Constraint, site: &Site) -> bool {
    let Selector::Attribute(name) = &rule.selector else {
        panic!("{rule:?} is not about an attribute");
    };
    let mut values = site.attributes.iter().filter(|it| it.name == *name);
    let value = values.next().map(|it| it.text.as_deref());
    match &rule.predicate {
        Predicate::Exists => value.is_some(),
        Predicate::NotExists => value.is_none(),
        Predicate::TextEquals(text) => value.is_some_and(|own| own.is_none_or(|own| own == text)),
        Predicate::TextNotEquals(text) => value.is_none_or(|own| own.is_none_or(|own| own != text)),
        other => panic!("{other:?} is not drawn"),
    }
}

fn is_top(role: &Role, top: &str) -> bool {
    role.top() == top
}

/// A reading of the state: who offers must not see what he has decided on this agent only in shares.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Guarantees,
    Rest,
}

impl Reference {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            agents: Vec::new(),
            unused: Vec::new(),
            frameworks: BTreeMap::new(),
            counts: BTreeMap::new(),
            weights: BTreeMap::new(),
            quotas: BTreeMap::new(),
            whitelist: None,
            dirty: Vec::new(),
            dirty_at: None,
            round_at: None,
            net_at: None,
            last_round: None,
            in_the_way: false,
        }
    }

    fn slot(&self, id: &AgentId) -> Option<usize> {
        let named = |agent: &Option<Agent>| agent.as_ref().is_some_and(|agent| agent.id == *id);
        self.agents.iter().position(named)
    }

    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents[self.slot(id)?].as_ref()
    }

    fn at(&self, slot: usize) -> &Agent {
        self.agents[slot].as_ref().expect("an agent")
    }

    fn at_mut(&mut self, slot: usize) -> &mut Agent {
        self.agents[slot].as_mut().expect("an agent")
    }

    fn all_agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.iter().flatten()
    }

    // What is asked about frameworks and roles.

    fn is_subscribed(&self, client: &Client) -> bool {
        let framework = self.frameworks.get(&client.0);
        framework.is_some_and(|profile| profile.roles.contains(&client.1))
    }

    fn wants(&self, client: &Client) -> bool {
        self.frameworks.get(&client.0).is_some_and(|profile| {
            profile.active
                && profile.roles.contains(&client.1)
                && !profile.suppressed.contains(&client.1)
        })
    }

    /// Everybody who wants offers.
    fn wanting(&self) -> Vec<Client> {
        let pairs = self
            .frameworks
            .iter()
            .flat_map(|(id, profile)| profile.roles.iter().map(|role| (id.clone(), role.clone())));
        pairs.filter(|client| self.wants(client)).collect()
    }

    /// Everybody who is subscribed or has something.
    fn present(&self) -> BTreeSet<Client> {
        let mut all: BTreeSet<Client> = self
            .all_agents()
            .flat_map(|agent| agent.held.iter().map(|(client, _)| client.clone()))
            .collect();
        for (id, profile) in &self.frameworks {
            all.extend(profile.roles.iter().map(|role| (id.clone(), role.clone())));
        }
        all
    }

    fn count_names(client: &Client) -> Vec<String> {
        let mut names = vec![format!("client {client:?}"), format!("own {}", client.1)];
        names.push(format!("tree {}", client.1));
        names.extend(client.1.ancestors().map(|role| format!("tree {role}")));
        names
    }

    fn count_allocation(&mut self, client: &Client) {
        for name in Self::count_names(client) {
            *self.counts.entry(name).or_insert(0) += 1;
        }
    }

    /// A count is forgotten when nobody is left whom it counts for.
    fn forget_counts(&mut self) {
        let known: BTreeSet<String> = self
            .present()
            .iter()
            .flat_map(|client| {
                let mut names = Self::count_names(client);
                // A role that only has roles below it is kept for them.
                let above = client.1.ancestors().map(|role| format!("own {role}"));
                names.extend(above.collect::<Vec<_>>());
                names
            })
            .collect();
        self.counts.retain(|name, _| known.contains(name));
    }

    /// Reserved for roles that `is_owner` names and held by nobody, by name; shared volumes never are.
    fn idle(&self, is_owner: impl Fn(&Role) -> bool) -> BTreeMap<ResourceName, i64> {
        let mut idle: BTreeMap<ResourceName, i64> = BTreeMap::new();
        let mut count = |what: &Resources, sign: i64| {
            let own = what.filter(|entry| {
                !entry.is_shared() && entry.reservation_role().is_some_and(&is_owner)
            });
            for (name, amount) in own.quantities().iter() {
                *idle.entry(name.clone()).or_default() += sign * amount.thousandths();
            }
        };
        for agent in self
            .all_agents()
            .filter(|_| self.config.charge_reservations)
        {
            count(&agent.total, 1);
            agent.held.iter().for_each(|(_, what)| count(what, -1));
        }
        idle
    }

    fn share(
        &self,
        is_counted: impl Fn(&Client) -> bool,
        is_owner: impl Fn(&Role) -> bool,
        weight: f64,
    ) -> f64 {
        let idle = self.idle(is_owner);
        let mut has = Quantities::new();
        for agent in self.all_agents() {
            // Of what is shared, once by role.
            let mut shared: BTreeMap<&Role, Resources> = BTreeMap::new();
            for (client, what) in agent.held.iter().filter(|(client, _)| is_counted(client)) {
                has.add(&what.non_shared().quantities());
                *shared.entry(&client.1).or_default() += &what.shared();
            }
            shared.values().for_each(|all| has.add(&all.quantities()));
        }
        let mut total = Quantities::new();
        for agent in self.all_agents() {
            total.add(&agent.total.quantities());
        }
        let mut share: f64 = 0.0;
        for (name, all) in total.iter() {
            let idle = idle.get(name).copied().unwrap_or(0).max(0);
            let charged = has.get(name).thousandths() + idle;
            if !self.config.fair_sharing_excluded.contains(name) {
                share = share.max(charged as f64 / all.thousandths() as f64);
            }
        }
        share / weight
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// The roles that want offers, in the order in which they choose.
    fn roles(&self) -> Vec<Role> {
        let leaves: BTreeSet<Role> = self.wanting().into_iter().map(|(_, role)| role).collect();
        self.roles_below("", &leaves)
    }

    fn roles_below(&self, above: &str, leaves: &BTreeSet<Role>) -> Vec<Role> {
        let mut members: BTreeSet<String> = BTreeSet::new();
        for role in leaves {
            if above.is_empty() {
                members.insert(role.top().to_owned());
            } else if role.as_str() == above {
                members.insert(".".to_owned());
            } else if let Some(rest) = role.as_str().strip_prefix(&format!("{above}/")) {
                members.insert(rest.split('/').next().unwrap().to_owned());
            }
        }
        let mut keyed: Vec<(f64, u64, String)> = members
            .into_iter()
            .map(|member| {
                if member == "." {
                    let share = self.share(
                        |client| client.1.as_str() == above,
                        |role| role.as_str() == above,
                        1.0,
                    );
                    return (share, self.count(&format!("own {above}")), member);
                }
                let path = Role::from(join(above, &member).as_str());
                let weight = self.weights.get(&path).copied().unwrap_or(1.0);
                let share = self.share(
                    |client| client.1.is_or_is_below(&path),
                    |role| role.is_or_is_below(&path),
                    weight,
                );
                (share, self.count(&format!("tree {path}")), member)
            })
            .collect();
        keyed.sort_by(|a, b| {
            let by_share = a.0.total_cmp(&b.0);
            by_share.then(a.1.cmp(&b.1)).then_with(|| a.2.cmp(&b.2))
        });
        let mut order = Vec::new();
        for (_, _, member) in keyed {
            if member == "." {
                order.push(Role::from(above));
            } else {
                order.extend(self.roles_below(&join(above, &member), leaves));
            }
        }
        order
    }

    fn frameworks_of(&self, role: &Role) -> Vec<Client> {
        let mut clients: Vec<Client> = self.wanting();
        clients.retain(|client| client.1 == *role);
        let key = |client: &Client| {
            let share = self.share(|other| other == client, |_| false, 1.0);
            (share, self.count(&format!("client {client:?}")))
        };
        clients.sort_by(|a, b| {
            let ((a_share, a_count), (b_share, b_count)) = (key(a), key(b));
            let by_share = a_share.total_cmp(&b_share).then(a_count.cmp(&b_count));
            by_share.then_with(|| a.0.cmp(&b.0))
        });
        clients
    }

    // Quota.

    fn consumed(&self, top: &str, pending: &[(Client, Resources)]) -> Quantities {
        let mut sum = Quantities::new();
        for agent in self.all_agents() {
            for entry in &agent.total {
                if entry
                    .reservation_role()
                    .is_some_and(|role| is_top(role, top))
                {
                    sum.add(&Resources::from(entry.clone()).quantities());
                }
            }
        }
        let held = self.all_agents().flat_map(|agent| agent.held.iter());
        for (client, what) in held.chain(pending) {
            if is_top(&client.1, top) {
                sum.add(&what.filter(is_firm).quantities());
            }
        }
        sum
    }

    fn lack(&self, top: &str, name: &ResourceName, pending: &[(Client, Resources)]) -> i64 {
        let quota = self.quotas.get(&Role::from(top));
        let guarantee = quota.map_or(Scalar::ZERO, |quota| quota.guarantees.get(name));
        let has = self.consumed(top, pending).get(name);
        (guarantee.thousandths() - has.thousandths()).max(0)
    }

    fn names(&self) -> Vec<ResourceName> {
        let mut names: BTreeSet<ResourceName> = BTreeSet::new();
        for agent in self.all_agents() {
            names.extend(
                agent
                    .total
                    .quantities()
                    .iter()
                    .map(|(name, _)| name.clone()),
            );
        }
        for quota in self.quotas.values() {
            names.extend(quota.guarantees.iter().map(|(name, _)| name.clone()));
        }
        names.into_iter().collect()
    }

    fn surplus(&self, name: &ResourceName, pending: &[(Client, Resources)]) -> i64 {
        let mut free = 0;
        for agent in self.all_agents() {
            let firm = agent.free().filter(is_firm).quantities();
            free += firm.get(name).thousandths();
        }
        for (_, what) in pending {
            free -= what.filter(is_firm).quantities().get(name).thousandths();
        }
        let tops = self.quotas.keys();
        let required: i64 = tops.map(|top| self.lack(top.as_str(), name, pending)).sum();
        free - required
    }

    fn has_lack(&self) -> bool {
        let tops = self.quotas.keys();
        tops.into_iter().any(|top| {
            let mut names = self.names().into_iter();
            names.any(|name| self.lack(top.as_str(), &name, &[]) > 0)
        })
    }

    fn allowed(&self, top: &str, name: &ResourceName, pending: &[(Client, Resources)]) -> i64 {
        let quota = self
            .quotas
            .get(&Role::from(top))
            .cloned()
            .unwrap_or_default();
        let has = self.consumed(top, pending).get(name).thousandths();
        let left = match quota.limits.get(name) {
            Some(limit) => (limit.thousandths() - has).max(0),
            None => i64::MAX,
        };
        let (lack, surplus) = (
            self.lack(top, name, pending),
            self.surplus(name, pending).max(0),
        );
        left.min(lack + surplus)
    }

    // Decisions.

    fn is_enough(&self, client: &Client, what: &Resources) -> bool {
        let own = self.frameworks[&client.0].min_allocatable.get(&client.1);
        let list = own.unwrap_or(&self.config.min_allocatable);
        let has = what.quantities();
        list.is_empty() || list.iter().any(|least| has.contains(least))
    }

    fn has_own_minimums(&self) -> bool {
        self.frameworks.values().any(|profile| {
            let mut roles = profile.min_allocatable.keys();
            roles.any(|role| profile.roles.contains(role))
        })
    }

    fn is_offerable(&self, slot: usize) -> bool {
        let agent = self.at(slot);
        let free = agent.free();
        let listed = self.whitelist.as_ref();
        let own = self.has_own_minimums();
        let list = &self.config.min_allocatable;
        let enough =
            own || list.is_empty() || list.iter().any(|least| free.quantities().contains(least));
        agent.active
            && listed.is_none_or(|names| names.contains(&agent.site.hostname))
            && !free.is_empty()
            && enough
    }

    fn understands(&self, client: &Client, entry: &Resource) -> bool {
        let can = self.frameworks[&client.0].capabilities;
        (can.shared_resources || !entry.is_shared())
            && (can.revocable_resources || !entry.is_revocable())
            && (can.reservation_refinement || !entry.has_refined_reservations())
    }

    fn likes_agent(&self, client: &Client, agent: &Agent) -> bool {
        let profile = &self.frameworks[&client.0];
        let can = profile.capabilities;
        let has_gpus = !agent.total.total(&ResourceName::Gpus).is_zero();
        let is_remote = match (&self.config.region, &agent.site.region) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        };
        (agent.multi_role || !can.multi_role)
            && (can.gpu_resources || !has_gpus || !self.config.filter_gpus)
            && (can.region_aware || !is_remote)
            && profile
                .offer_constraints
                .get(&client.1)
                .is_none_or(|wanted| {
                    let mut groups = wanted.groups.iter();
                    groups.any(|group| group.iter().all(|rule| is_met(rule, &agent.site)))
                })
    }

    /// What of `free` the client is to be offered on the agent, if anything.
    fn choose(
        &mut self,
        now: u64,
        slot: usize,
        client: &Client,
        free: &Resources,
        stage: Stage,
        pending: &[(Client, Resources)],
    ) -> Option<Resources> {
        let top = client.1.top().to_owned();
        let firm = free.filter(is_firm);
        if stage == Stage::Guarantees {
            let quantities = firm.quantities();
            let lacks = |name: &ResourceName| self.lack(&top, name, pending) > 0;
            if !quantities.iter().any(|(name, _)| lacks(name)) {
                return None;
            }
        }
        let mut cut = firm.clone();
        for (name, amount) in firm.quantities().iter() {
            let mut most = self.allowed(&top, name, pending);
            if amount.thousandths() > most {
                if stage == Stage::Rest {
                    self.in_the_way = true;
                }
                if *name == ResourceName::Gpus {
                    most -= most % 1000;
                }
                cut = cut.at_most(name, Scalar::from_thousandths(most));
            }
        }
        let rest = free.filter(|entry| !is_firm(entry) && entry.is_allocatable_to(&client.1));
        let what = (cut + &rest).filter(|entry| self.understands(client, entry));
        let agent = self.at(slot);
        let refused = agent
            .filters
            .iter()
            .any(|(who, until, refused)| who == client && *until > now && refused.contains(&what));
        let good = !what.is_empty()
            && self.is_enough(client, &what)
            && self.likes_agent(client, agent)
            && !refused;
        good.then_some(what)
    }

    fn visit(
        &mut self,
        now: u64,
        slot: usize,
        stage: Stage,
        shared: &mut BTreeMap<usize, Resources>,
        grants: &mut Vec<(usize, Client, Resources)>,
    ) {
        if !self.is_offerable(slot) {
            return;
        }
        let mut free = self.at(slot).free();
        if let Some(offered) = shared.get(&slot) {
            free = free.saturating_sub(offered);
        }
        let mut pending: Vec<(Client, Resources)> = Vec::new();
        let mut roles = self.roles();
        if !self.at(slot).hierarchical_role {
            roles.retain(|role| !role.as_str().contains('/'));
        }
        for role in roles {
            for client in self.frameworks_of(&role) {
                let found = self.choose(now, slot, &client, &free, stage, &pending);
                let Some(what) = found else { continue };
                free = free.saturating_sub(&what);
                pending.push((client, what));
            }
        }
        for (client, what) in pending {
            self.count_allocation(&client);
            self.hold(slot, &client, &what);
            if stage == Stage::Guarantees {
                *shared.entry(slot).or_default() += &what.shared();
            }
            let same =
                |grant: &&mut (usize, Client, Resources)| grant.0 == slot && grant.1 == client;
            match grants.iter_mut().find(same) {
                Some(grant) => grant.2 += &what,
                None => grants.push((slot, client, what)),
            }
        }
    }

    fn hold(&mut self, slot: usize, client: &Client, what: &Resources) {
        let held = &mut self.at_mut(slot).held;
        match held.iter_mut().find(|(holder, _)| holder == client) {
            Some(entry) => entry.1 += what,
            None => held.push((client.clone(), what.clone())),
        }
    }

    fn candidates(&mut self, now: u64, rng: &mut Rng) -> Vec<usize> {
        let _ = rng;
        if self.dirty_at.is_some_and(|at| at <= now) {
            self.dirty_at = None;
            let mut dirty = std::mem::take(&mut self.dirty);
            for slot in &dirty {
                self.at_mut(*slot).dirty = false;
            }
            dirty.retain(|slot| self.is_offerable(*slot));
            return dirty;
        }
        let planned = [self.round_at, self.net_at];
        if !planned.into_iter().flatten().any(|at| at <= now) {
            return Vec::new();
        }
        self.round_at = None;
        self.net_at = Some(now + self.config.allocation_interval_us);
        self.last_round = Some(now);
        self.in_the_way = false;
        self.every_candidate()
    }

    fn every_candidate(&self) -> Vec<usize> {
        let slots = 0..self.agents.len();
        let there = slots.filter(|slot| self.agents[*slot].is_some());
        there
            .filter(|slot| !self.at(*slot).dirty && self.is_offerable(*slot))
            .collect()
    }

    pub fn allocate(&mut self, now: u64, rng: &mut Rng) -> Vec<Grant> {
        self.end_filters(now);
        let agents = self.candidates(now, rng);
        if agents.is_empty() || self.wanting().is_empty() {
            return Vec::new();
        }
        let grants = self.decide(now, agents, rng);
        let slots = 0..self.agents.len();
        let any = slots
            .into_iter()
            .any(|slot| self.agents[slot].is_some() && self.is_offerable(slot));
        if !any {
            self.round_at = None;
            self.net_at = None;
        }
        grants
    }

    /// What a look at every agent would grant right now.
    pub fn would_grant(&self, now: u64) -> Vec<Grant> {
        let all = self.every_candidate();
        self.clone().decide(now, all, &mut Rng::new(7))
    }

    fn decide(&mut self, now: u64, mut agents: Vec<usize>, rng: &mut Rng) -> Vec<Grant> {
        assert_eq!(self.config.role_sorter, SorterKind::Drf);
        let mut grants = Vec::new();
        let mut shared = BTreeMap::new();
        if self.has_lack() {
            rng.shuffle(&mut agents);
            for slot in &agents {
                self.visit(now, *slot, Stage::Guarantees, &mut shared, &mut grants);
            }
        }
        rng.shuffle(&mut agents);
        for slot in &agents {
            self.visit(now, *slot, Stage::Rest, &mut shared, &mut grants);
        }
        let named = grants
            .into_iter()
            .map(|(slot, (framework, role), resources)| Grant {
                framework,
                role,
                agent: self.at(slot).id.clone(),
                resources,
            });
        named.collect()
    }

    // When.

    /// How many filters stand.
    fn filters(&self) -> usize {
        let agents = self.agents.iter().flatten();
        agents.map(|agent| agent.filters.len()).sum()
    }

    pub fn is_round_pending(&self) -> bool {
        self.round_at.is_some()
    }

    fn touch(&mut self, now: u64, slot: usize) {
        if self.at(slot).dirty || !self.is_offerable(slot) {
            return;
        }
        self.at_mut(slot).dirty = true;
        self.dirty.push(slot);
        self.dirty_at.get_or_insert(now + self.config.window_us);
        self.net_at
            .get_or_insert(now + self.config.allocation_interval_us);
    }

    fn touch_all(&mut self, now: u64) {
        let slots = 0..self.agents.len();
        let offerable = slots
            .filter(|slot| self.agents[*slot].is_some() && self.is_offerable(*slot))
            .count() as u64;
        if offerable == 0 {
            return;
        }
        let pairs = offerable * self.wanting().len() as u64;
        let distance = (offerable * limits::ROUND_DISTANCE_PER_AGENT_US
            + pairs * limits::ROUND_DISTANCE_PER_PAIR_NS / 1_000)
            .min(self.config.allocation_interval_us);
        let earliest = self.last_round.map_or(0, |last| last + distance);
        let at = earliest.max(now + self.config.window_us);
        self.round_at = Some(self.round_at.map_or(at, |planned| planned.min(at)));
        self.net_at
            .get_or_insert(now + self.config.allocation_interval_us);
    }

    fn eased(&mut self, now: u64) {
        if self.in_the_way {
            self.touch_all(now);
        }
    }

    fn end_filters(&mut self, now: u64) {
        let mut ended: Vec<(u64, usize)> = Vec::new();
        for (slot, agent) in self.agents.iter().enumerate() {
            let ends = agent.iter().flat_map(|agent| &agent.filters);
            let first = ends.map(|(_, until, _)| *until).min();
            ended.extend(
                first
                    .filter(|until| *until <= now)
                    .map(|until| (until, slot)),
            );
        }
        ended.sort_unstable();
        for (_, slot) in ended {
            self.at_mut(slot)
                .filters
                .retain(|(_, until, _)| *until > now);
            self.touch(now, slot);
        }
    }

    // Calls.

    pub fn add_framework(&mut self, now: u64, id: &FrameworkId, profile: FrameworkProfile) {
        let before = self.wanting();
        let had_own_minimums = self.has_own_minimums();
        let old = self.frameworks.insert(id.clone(), profile.clone());
        self.drop_orphaned_filters();
        let is_more = |(who, role): &Client| {
            let client = (who.clone(), role.clone());
            let old = old.as_ref().filter(|_| before.contains(&client));
            *who == *id
                && old.is_none_or(|old| {
                    old.capabilities != profile.capabilities
                        || old.min_allocatable.get(role) != profile.min_allocatable.get(role)
                        || old.offer_constraints.get(role) != profile.offer_constraints.get(role)
                })
        };
        if self.wanting().iter().any(is_more) || had_own_minimums != self.has_own_minimums() {
            self.touch_all(now);
        }
    }

    pub fn remove_framework(&mut self, now: u64, id: &FrameworkId) {
        if self.frameworks.remove(id).is_some() {
            self.drop_orphaned_filters();
            self.forget_counts();
            self.eased(now);
        }
    }

    /// Filters of a role that a framework left, where it has nothing left either, go.
    fn drop_orphaned_filters(&mut self) {
        let present = self.present();
        for agent in self.agents.iter_mut().flatten() {
            agent
                .filters
                .retain(|(client, _, _)| present.contains(client));
        }
        self.forget_counts();
    }

    pub fn set_active(&mut self, now: u64, id: &FrameworkId, active: bool) {
        let before = self.wanting().len();
        if let Some(profile) = self.frameworks.get_mut(id) {
            profile.active = active;
            if !active {
                for agent in self.agents.iter_mut().flatten() {
                    agent.filters.retain(|(client, _, _)| client.0 != *id);
                }
            }
        }
        if self.wanting().len() > before {
            self.touch_all(now);
        }
    }

    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) {
        if let Some(profile) = self.frameworks.get_mut(id) {
            profile.suppressed.extend(roles.iter().cloned());
        }
    }

    pub fn revive(&mut self, now: u64, id: &FrameworkId, roles: &BTreeSet<Role>) {
        let before = (self.wanting().len(), self.filters());
        if let Some(profile) = self.frameworks.get_mut(id) {
            profile.suppressed.retain(|role| !roles.contains(role));
            let subscribed = profile.roles.clone();
            for agent in self.agents.iter_mut().flatten() {
                agent.filters.retain(|(client, _, _)| {
                    client.0 != *id || !roles.contains(&client.1) || !subscribed.contains(&client.1)
                });
            }
        }
        if before != (self.wanting().len(), self.filters()) {
            self.touch_all(now);
        }
    }

    pub fn add_agent(&mut self, now: u64, id: &AgentId, profile: AgentProfile, used: &[Used]) {
        let agent = Agent {
            id: id.clone(),
            total: profile.total,
            held: Vec::new(),
            site: profile.site,
            hierarchical_role: profile.hierarchical_role,
            multi_role: profile.multi_role,
            active: true,
            filters: Vec::new(),
            dirty: false,
        };
        let slot = match self.unused.pop() {
            Some(slot) => {
                self.agents[slot] = Some(agent);
                slot
            }
            None => {
                self.agents.push(Some(agent));
                self.agents.len() - 1
            }
        };
        for used in used.iter().filter(|used| !used.resources.is_empty()) {
            let client = (used.framework.clone(), used.role.clone());
            if self.at(slot).held_by(&client).is_none() {
                self.count_allocation(&client);
            }
            self.hold(slot, &client, &used.resources);
        }
        self.touch(now, slot);
        self.eased(now);
    }

    pub fn remove_agent(&mut self, now: u64, id: &AgentId) {
        let Some(slot) = self.slot(id) else { return };
        self.agents[slot] = None;
        self.unused.push(slot);
        self.dirty.retain(|other| *other != slot);
        if self.dirty.is_empty() {
            self.dirty_at = None;
        }
        self.drop_orphaned_filters();
        self.eased(now);
    }

    pub fn set_total(&mut self, now: u64, id: &AgentId, total: Resources) {
        let Some(slot) = self.slot(id) else { return };
        if self.at(slot).total != total {
            self.at_mut(slot).total = total;
            self.touch(now, slot);
            self.eased(now);
        }
    }

    pub fn set_agent_active(&mut self, now: u64, id: &AgentId, active: bool) {
        let Some(slot) = self.slot(id) else { return };
        self.at_mut(slot).active = active;
        if active {
            self.touch(now, slot);
        }
    }

    pub fn set_whitelist(&mut self, now: u64, names: Option<BTreeSet<String>>) {
        let listed = |names: &Option<BTreeSet<String>>, agent: &Agent| {
            let names = names.as_ref();
            names.is_none_or(|names| names.contains(&agent.site.hostname))
        };
        let before = std::mem::replace(&mut self.whitelist, names);
        for slot in 0..self.agents.len() {
            let Some(agent) = &self.agents[slot] else {
                continue;
            };
            if listed(&before, agent) != listed(&self.whitelist, agent) {
                self.touch(now, slot);
            }
        }
    }

    pub fn set_weight(&mut self, now: u64, role: &Role, weight: f64) {
        self.weights.insert(role.clone(), weight);
        self.touch_all(now);
    }

    pub fn set_quota(&mut self, now: u64, role: &Role, quota: Option<Quota>) {
        match quota {
            Some(quota) => self.quotas.insert(role.clone(), quota),
            None => self.quotas.remove(role),
        };
        self.touch_all(now);
    }

    pub fn recover(
        &mut self,
        now: u64,
        client: &Client,
        agent: &AgentId,
        what: &Resources,
        refuse_us: Option<u64>,
    ) {
        let Some(slot) = self.slot(agent) else { return };
        let held = &mut self.at_mut(slot).held;
        let Some(at) = held.iter().position(|(holder, _)| holder == client) else {
            return;
        };
        held[at].1 = held[at].1.checked_sub(what).expect("what is held");
        if held[at].1.is_empty() {
            held.remove(at);
        }
        if let Some(refuse_us) = refuse_us
            && self.is_subscribed(client)
        {
            let until = now + refuse_us.max(self.config.allocation_interval_us);
            self.filter(slot, client, until, what);
        }
        self.touch(now, slot);
        self.eased(now);
        self.drop_orphaned_filters();
    }

    /// Of two refusals of which one says all that the other says, and longer, one is enough.
    fn filter(&mut self, slot: usize, client: &Client, until: u64, what: &Resources) {
        let filters = &mut self.at_mut(slot).filters;
        let superfluous = filters.iter().any(|(who, other, refused)| {
            who == client && *other >= until && refused.contains(what)
        });
        if !superfluous {
            filters.retain(|(who, other, refused)| {
                who != client || *other > until || !what.contains(refused)
            });
            filters.push((client.clone(), until, what.clone()));
        }
    }

    pub fn convert(
        &mut self,
        now: u64,
        client: &Client,
        agent: &AgentId,
        from: &Resources,
        to: &Resources,
    ) {
        let Some(slot) = self.slot(agent) else { return };
        let agent = self.at_mut(slot);
        agent.total = agent.total.checked_sub(from).expect("it has that") + to;
        let entry = agent.held.iter_mut().find(|(holder, _)| holder == client);
        let held = &mut entry.expect("a holder").1;
        *held = held.checked_sub(from).expect("it has that") + to;
        self.touch(now, slot);
        self.eased(now);
    }

    pub fn held(&self, client: &Client, agent: &AgentId) -> Option<&Resources> {
        self.agent(agent)?.held_by(client)
    }
}

fn join(above: &str, member: &str) -> String {
    if above.is_empty() {
        member.to_owned()
    } else {
        format!("{above}/{member}")
    }
}
