//! Who comes next: the tree of roles, the frameworks in each, and their shares.
//!
//! A client is one framework in one role. Every role keeps its clients that want offers in order of
//! their shares, and its children that have such clients below them; a role's own clients compete with
//! its children as one member, [`OWN`], of weight 1. All lists are kept in order as shares change. When
//! the size of the cluster changes, and with it every share, they are put in order once, at the next
//! [`Sorter::refresh`].

mod members;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use meseta_model::ids::FrameworkId;
use meseta_model::resources::ResourceName;
use meseta_model::roles::Role;

use crate::Digest;
use crate::amounts::{Amounts, Kinds};
use crate::filter::Era;
use crate::quota::Quotas;
use crate::slab::Slab;

use members::Idle;
pub(crate) use members::{Burden, Client, Node, Standing, Terms};

/// In a role's list of members: its own clients.
pub(crate) const OWN: u32 = u32::MAX;

/// The node above all top-level roles.
pub(crate) const ROOT: u32 = 0;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sorter {
    nodes: Slab<Node>,
    by_role: IndexMap<Role, u32, Digest>,
    clients: Slab<Client>,
    /// By client number: which of its filters stand.
    pub(crate) eras: Vec<Era>,
    weights: BTreeMap<Role, f64>,
    excluded_names: BTreeSet<ResourceName>,
    scale: Scale,
    /// Whether totals changed since the lists were in order.
    stale: bool,
    /// Reservations that nobody holds, by role, used or not; empty unless they are charged.
    idle: BTreeMap<Role, Amounts>,
    /// Roles in which somebody began to want offers, or nobody does any more.
    pub(crate) stirred: BTreeSet<u32>,
}

impl Sorter {
    /// Nobody yet.
    pub(crate) fn new(excluded_names: BTreeSet<ResourceName>) -> Self {
        let mut nodes = Slab::default();
        let root = nodes.insert(Node::new(Role::new(""), ROOT, u32::MAX, 1.0));
        assert_eq!(root, ROOT);
        Self {
            nodes,
            by_role: IndexMap::default(),
            clients: Slab::default(),
            eras: Vec::new(),
            weights: BTreeMap::new(),
            excluded_names,
            scale: Scale::default(),
            stale: false,
            idle: BTreeMap::new(),
            stirred: BTreeSet::new(),
        }
    }

    pub(crate) fn node(&self, slot: u32) -> &Node {
        &self.nodes[slot]
    }

    pub(crate) fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.nodes[slot]
    }

    pub(crate) fn nodes_mut(&mut self) -> impl Iterator<Item = (u32, &mut Node)> {
        self.nodes.iter_mut()
    }

    pub(crate) fn node_capacity(&self) -> usize {
        self.nodes.capacity()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.nodes.iter()
    }

    pub(crate) fn client(&self, slot: u32) -> &Client {
        &self.clients[slot]
    }

    pub(crate) fn client_mut(&mut self, slot: u32) -> &mut Client {
        &mut self.clients[slot]
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = (u32, &Client)> {
        self.clients.iter()
    }

    pub(crate) fn client_capacity(&self) -> usize {
        self.clients.capacity()
    }

    pub(crate) fn role_slot(&self, role: &Role) -> Option<u32> {
        self.by_role.get(role).copied()
    }

    /// How many clients want offers.
    pub(crate) fn active(&self) -> u32 {
        self.nodes[ROOT].active
    }

    /// The node of a role, made with its ancestors if need be: at most `ROLE_LEVELS` (model) of them.
    fn open(&mut self, quotas: &mut Quotas, role: &Role) -> u32 {
        if let Some(slot) = self.by_role.get(role) {
            return *slot;
        }
        let (parent, account) = match role.as_str().rsplit_once('/') {
            None => (ROOT, quotas.join(role)),
            Some((above, _)) => {
                let parent = self.open(quotas, &Role::from(above));
                (parent, self.nodes[parent].account)
            }
        };
        let weight = self.weight_of(role);
        let mut node = Node::new(role.clone(), parent, account, weight);
        node.idle = self.idle_of(role);
        node.own.share = self.scale.share(&node.own.allocated, &node.idle.own, 1.0);
        node.tree.share = self
            .scale
            .share(&node.tree.allocated, &node.idle.tree, weight);
        let slot = self.nodes.insert(node);
        self.nodes[parent].children += 1;
        self.by_role.insert(role.clone(), slot);
        slot
    }

    /// Forgets the role, and those above it, if nobody uses them any more.
    fn close(&mut self, quotas: &mut Quotas, slot: u32) {
        let node = &self.nodes[slot];
        if slot == ROOT || node.clients > 0 || node.children > 0 {
            return;
        }
        let node = self.nodes.remove(slot);
        self.stirred.remove(&slot);
        self.by_role.swap_remove(&node.role);
        self.nodes[node.parent].children -= 1;
        if node.parent == ROOT {
            quotas.leave(node.account);
        }
        self.close(quotas, node.parent);
    }

    /// A framework in a role, new, without anything and not active.
    pub(crate) fn add_client(
        &mut self,
        quotas: &mut Quotas,
        framework: u32,
        framework_id: &FrameworkId,
        role: &Role,
    ) -> u32 {
        let node = self.open(quotas, role);
        self.nodes[node].clients += 1;
        let slot = self.clients.insert(Client {
            framework,
            framework_id: framework_id.clone(),
            role: node,
            standing: Standing::default(),
            active: false,
            subscribed: false,
            suppressed: false,
            holdings: 0,
            met: 0,
            refusals: (0, 0),
            terms: None,
        });
        if self.eras.len() <= slot as usize {
            self.eras.resize(slot as usize + 1, Era::default());
        }
        slot
    }

    /// Forgets a client, which must not be active nor have anything.
    pub(crate) fn remove_client(&mut self, quotas: &mut Quotas, slot: u32) {
        let client = self.clients.remove(slot);
        assert!(
            !client.active && client.holdings == 0,
            "{:?} left early",
            client.framework_id
        );
        self.clear_filters(slot);
        self.nodes[client.role].clients -= 1;
        self.close(quotas, client.role);
    }

    /// Lets no filter of this client stand.
    pub(crate) fn clear_filters(&mut self, slot: u32) {
        self.eras[slot as usize].end();
    }

    /// Puts a client into its role's queue or takes it out.
    pub(crate) fn set_active(&mut self, slot: u32, active: bool) {
        if self.clients[slot].active == active {
            return;
        }
        let role = self.clients[slot].role;
        if active {
            self.clients[slot].active = true;
            self.enqueue(slot);
            if self.nodes[role].queue.len() == 1 {
                self.enlist(role, OWN);
                self.stirred.insert(role);
            }
        } else {
            self.dequeue(slot);
            self.clients[slot].active = false;
            if self.nodes[role].queue.is_empty() {
                self.delist(role, OWN);
                self.stirred.insert(role);
            }
        }
        self.count_active(role, active);
    }

    fn count_active(&mut self, mut at: u32, more: bool) {
        loop {
            let parent = self.nodes[at].parent;
            if more {
                self.nodes[at].active += 1;
                if at != ROOT && self.nodes[at].active == 1 {
                    self.enlist(parent, at);
                }
            } else {
                if at != ROOT && self.nodes[at].active == 1 {
                    self.delist(parent, at);
                }
                self.nodes[at].active -= 1;
            }
            if at == ROOT {
                return;
            }
            at = parent;
        }
    }

    pub(crate) fn compare_clients(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (&self.clients[a], &self.clients[b]);
        let by_standing = a.standing.compare(&b.standing);
        by_standing.then_with(|| a.framework_id.cmp(&b.framework_id))
    }

    fn member(&self, node: u32, member: u32) -> &Standing {
        if member == OWN {
            &self.nodes[node].own
        } else {
            &self.nodes[member].tree
        }
    }

    /// The last part of the name of a member. compat: own clients sort as `.`.
    fn member_name(&self, member: u32) -> &str {
        if member == OWN {
            return ".";
        }
        let name = self.nodes[member].role.as_str();
        name.rsplit('/').next().unwrap_or(name)
    }

    pub(crate) fn compare_members(&self, node: u32, a: u32, b: u32) -> Ordering {
        let by_standing = self.member(node, a).compare(self.member(node, b));
        by_standing.then_with(|| self.member_name(a).cmp(self.member_name(b)))
    }

    fn enqueue(&mut self, slot: u32) {
        let role = self.clients[slot].role;
        let mut queue = std::mem::take(&mut self.nodes[role].queue);
        let at = if self.stale {
            queue.len()
        } else {
            queue.partition_point(|other| self.compare_clients(*other, slot).is_lt())
        };
        queue.insert(at, slot);
        self.nodes[role].queue = queue;
    }

    fn dequeue(&mut self, slot: u32) {
        let role = self.clients[slot].role;
        let mut queue = std::mem::take(&mut self.nodes[role].queue);
        let at = self.place(&queue, slot, |other| self.compare_clients(other, slot));
        queue.remove(at);
        self.nodes[role].queue = queue;
    }

    fn enlist(&mut self, node: u32, member: u32) {
        let mut members = std::mem::take(&mut self.nodes[node].members);
        let at = if self.stale {
            members.len()
        } else {
            members.partition_point(|other| self.compare_members(node, *other, member).is_lt())
        };
        members.insert(at, member);
        self.nodes[node].members = members;
    }

    fn delist(&mut self, node: u32, member: u32) {
        let mut members = std::mem::take(&mut self.nodes[node].members);
        let at = self.place(&members, member, |other| {
            self.compare_members(node, other, member)
        });
        members.remove(at);
        self.nodes[node].members = members;
    }

    /// Where `wanted` is in a list.
    fn place(&self, list: &[u32], wanted: u32, compare: impl Fn(u32) -> Ordering) -> usize {
        let at = if self.stale {
            list.iter().position(|entry| *entry == wanted)
        } else {
            list.binary_search_by(|entry| compare(*entry)).ok()
        };
        let Some(at) = at else {
            panic!("number {wanted} is not where its share says");
        };
        at
    }

    /// Something was allocated to a client.
    pub(crate) fn charge(&mut self, slot: u32, burden: &Burden) {
        self.restand(slot, burden, |standing, amounts| {
            standing.allocated.add(amounts);
            standing.count += 1;
        });
    }

    /// Undoes a charge.
    pub(crate) fn uncharge(&mut self, slot: u32, burden: &Burden) {
        self.restand(slot, burden, |standing, amounts| {
            standing.allocated.subtract(amounts);
            standing.count -= 1;
        });
    }

    /// The same without counting it as an allocation.
    pub(crate) fn recharge(&mut self, slot: u32, burden: &Burden) {
        self.restand(slot, burden, |standing, amounts| {
            standing.allocated.add(amounts);
        });
    }

    /// Something of a client was given back.
    pub(crate) fn discharge(&mut self, slot: u32, burden: &Burden) {
        self.restand(slot, burden, |standing, amounts| {
            standing.allocated.subtract(amounts);
        });
    }

    /// Changes the standing of a client and everything above it, keeping the lists in order.
    fn restand(&mut self, slot: u32, burden: &Burden, change: impl Fn(&mut Standing, &Amounts)) {
        let role = self.clients[slot].role;
        // Who is alone in a list keeps its place.
        let queued = self.clients[slot].active && !self.stale && self.nodes[role].queue.len() > 1;
        if queued {
            self.dequeue(slot);
        }
        let standing = &mut self.clients[slot].standing;
        change(standing, &burden.client);
        let nothing = Amounts::default();
        standing.share = self.scale.share(&standing.allocated, &nothing, 1.0);
        if queued {
            self.enqueue(slot);
        }
        let node = &self.nodes[role];
        let listed = !self.stale && !node.queue.is_empty() && node.members.len() > 1;
        if listed {
            self.delist(role, OWN);
        }
        let node = &mut self.nodes[role];
        change(&mut node.own, &burden.roles);
        node.own.share = self.scale.share(&node.own.allocated, &node.idle.own, 1.0);
        if listed {
            self.enlist(role, OWN);
        }
        self.restand_above(role, |node| change(&mut node.tree, &burden.roles));
    }

    fn restand_above(&mut self, mut at: u32, change: impl Fn(&mut Node)) {
        loop {
            let parent = self.nodes[at].parent;
            let is_one_of_many = self.nodes[parent].members.len() > 1;
            let listed = at != ROOT && !self.stale && self.nodes[at].active > 0 && is_one_of_many;
            if listed {
                self.delist(parent, at);
            }
            let node = &mut self.nodes[at];
            change(node);
            if at == ROOT {
                // Nobody is compared with it.
                return;
            }
            let (tree, idle) = (&mut node.tree, &node.idle.tree);
            tree.share = self.scale.share(&tree.allocated, idle, node.weight);
            if listed {
                self.enlist(parent, at);
            }
            at = parent;
        }
    }

    /// Reservations of a role are held by nobody any more, or by somebody again. They count in the
    /// shares of the role and of those above it, not in those of frameworks.
    pub(crate) fn change_idle(&mut self, role: &Role, change: impl Fn(&mut Amounts)) {
        let known = self.idle.entry(role.clone()).or_default();
        change(known);
        if known.is_zero() {
            self.idle.remove(role);
        }
        let roles = std::iter::once(role.clone()).chain(role.ancestors().map(Role::from));
        let nearest = { roles }.find_map(|role| self.role_slot(&role));
        let Some(nearest) = nearest else {
            return;
        };
        let node = &self.nodes[nearest];
        if node.role == *role {
            let listed = !self.stale && !node.queue.is_empty() && node.members.len() > 1;
            if listed {
                self.delist(nearest, OWN);
            }
            let node = &mut self.nodes[nearest];
            change(&mut node.idle.own);
            node.own.share = self.scale.share(&node.own.allocated, &node.idle.own, 1.0);
            if listed {
                self.enlist(nearest, OWN);
            }
        }
        self.restand_above(nearest, |node| change(&mut node.idle.tree));
    }

    /// What of the idle reservations counts for a role.
    pub(crate) fn idle_of(&self, role: &Role) -> Idle {
        let mut idle = Idle::default();
        for (owner, amounts) in self.idle.range(role.clone()..) {
            if owner.is_or_is_below(role) {
                idle.tree.add(amounts);
            } else if !owner.as_str().starts_with(role.as_str()) {
                break;
            }
        }
        idle.own = self.idle.get(role).cloned().unwrap_or_default();
        idle
    }

    /// All idle reservations that are charged, by role.
    pub(crate) fn idle(&self) -> &BTreeMap<Role, Amounts> {
        &self.idle
    }

    /// The cluster grew.
    pub(crate) fn add_total(&mut self, amounts: &Amounts) {
        self.scale.totals.add(amounts);
        self.stale = true;
    }

    /// The cluster shrank.
    pub(crate) fn take_total(&mut self, amounts: &Amounts) {
        self.scale.totals.subtract(amounts);
        self.stale = true;
    }

    /// An agent has something else now. Where it is as much as before, as after a reservation, no share
    /// is another.
    pub(crate) fn change_total(&mut self, old: &Amounts, new: &Amounts) {
        if old != new {
            self.take_total(old);
            self.add_total(new);
        }
    }

    /// What the share is of somebody with so much, as the cluster was when lists were last in order.
    pub(crate) fn share(&self, allocated: &Amounts, idle: &Amounts, weight: f64) -> f64 {
        self.scale.share(allocated, idle, weight)
    }

    fn weight_of(&self, role: &Role) -> f64 {
        self.weights.get(role).copied().unwrap_or(1.0)
    }

    /// Sets the weight of a role against its siblings, now or when it comes into use.
    pub(crate) fn set_weight(&mut self, role: &Role, weight: f64) {
        self.weights.insert(role.clone(), weight);
        if let Some(slot) = self.by_role.get(role) {
            self.nodes[*slot].weight = weight;
            self.stale = true;
        }
    }

    /// Everything in the cluster.
    pub(crate) fn totals(&self) -> &Amounts {
        &self.scale.totals
    }

    /// The weight of a node against its siblings.
    pub(crate) fn weight(&self, slot: u32) -> f64 {
        self.nodes[slot].weight
    }

    /// Puts every list in order if the size of the cluster or a weight changed.
    pub(crate) fn refresh(&mut self, kinds: &Kinds) {
        if !self.stale {
            return;
        }
        let is_out = |position| self.excluded_names.contains(kinds.name(position));
        self.scale.excluded = (0..kinds.len()).map(is_out).collect();
        self.work_out_shares();
        let slots: Vec<u32> = self.nodes.iter().map(|(slot, _)| slot).collect();
        for node in slots {
            let mut queue = std::mem::take(&mut self.nodes[node].queue);
            // Mostly in order already, which this kind of sorting makes use of.
            queue.sort_by(|a, b| self.compare_clients(*a, *b));
            self.nodes[node].queue = queue;
            let mut members = std::mem::take(&mut self.nodes[node].members);
            members.sort_by(|a, b| self.compare_members(node, *a, *b));
            self.nodes[node].members = members;
        }
        self.stale = false;
    }

    fn work_out_shares(&mut self) {
        let scale = &self.scale;
        for (_, client) in self.clients.iter_mut() {
            let nothing = Amounts::default();
            client.standing.share = scale.share(&client.standing.allocated, &nothing, 1.0);
        }
        for (_, node) in self.nodes.iter_mut() {
            node.own.share = scale.share(&node.own.allocated, &node.idle.own, 1.0);
            node.tree.share = scale.share(&node.tree.allocated, &node.idle.tree, node.weight);
        }
    }
}

/// What shares are shares of.
#[derive(Debug, Default)]
struct Scale {
    /// Everything in the cluster.
    totals: Amounts,
    /// Names that do not count, by position.
    excluded: Vec<bool>,
}

impl Scale {
    /// The largest ratio of what is charged to the total, divided by the weight.
    fn share(&self, allocated: &Amounts, idle: &Amounts, weight: f64) -> f64 {
        let mut share = 0.0;
        for position in 0..allocated.len().max(idle.len()) {
            let charged = allocated.at(position) + idle.at(position).max(0);
            let total = self.totals.at(position);
            if total > 0 && !self.excluded.get(position).copied().unwrap_or(false) {
                share = f64::max(share, charged as f64 / total as f64);
            }
        }
        share / weight
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use meseta_model::ids::{AgentId, FrameworkId};
    use meseta_model::resources::{Reservation, Resources};
    use meseta_model::rng::Rng;
    use meseta_model::roles::Role;

    use crate::{AgentProfile, Allocator, Config, FrameworkProfile};

    #[test]
    fn a_reservation_leaves_the_lists_in_order() {
        let (role, framework) = (Role::from("a"), FrameworkId::from("F"));
        let agent = AgentId::from("A");
        let mut allocator = Allocator::new(Config::default());
        let profile = FrameworkProfile {
            roles: [role.clone()].into(),
            active: true,
            ..FrameworkProfile::default()
        };
        allocator.add_framework(0, &framework, profile);
        let all = Resources::of(&[("cpus", 4.0)]);
        let profile = AgentProfile {
            total: all.clone(),
            ..AgentProfile::default()
        };
        allocator.add_agent(0, &agent, profile, &[]);
        assert!(allocator.sorter.stale, "the cluster grew");
        assert_eq!(allocator.allocate(1_000_000, &mut Rng::new(1)).len(), 1);
        let reserved = all.push_reservation(&Reservation::dynamic(role.clone()));
        let step = [(&all, &reserved)];
        let done = allocator.update_allocation(1_000_000, &framework, &role, &agent, step);
        done.unwrap();
        assert!(!allocator.sorter.stale, "it is as large as before");
        let more = Resources::of(&[("cpus", 5.0)]);
        allocator
            .update_agent_total(1_000_000, &agent, more)
            .unwrap();
        assert!(allocator.sorter.stale, "the agent has more");
    }
}
