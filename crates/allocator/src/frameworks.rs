//! Frameworks come, change, fall silent and go.

use std::collections::BTreeSet;

use meseta_model::ids::FrameworkId;
use meseta_model::resources::Quantities;
use meseta_model::roles::Role;
use smallvec::SmallVec;

use crate::Allocator;
use crate::policy::minimum::Least;
use crate::profile::{FrameworkCapabilities, FrameworkProfile};
use crate::shape::met_by;
use crate::sorter::Terms;

/// A framework that is subscribed, or that still has something.
#[derive(Debug)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    /// Whether the master has added it; if not, it is here for what it has.
    pub(crate) known: bool,
    pub(crate) active: bool,
    pub(crate) capabilities: FrameworkCapabilities,
    /// Its clients, one per role.
    pub(crate) clients: SmallVec<[u32; 1]>,
}

fn has_minimums(terms: Option<&Terms>) -> bool {
    terms.is_some_and(|terms| terms.minimums.is_some())
}

impl Allocator {
    /// A framework is there; it may have had resources before ([`Allocator::track`]). Adding one that
    /// was added already updates it.
    pub fn add_framework(&mut self, now_us: u64, id: &FrameworkId, profile: FrameworkProfile) {
        let slot = self.framework_slot(id);
        self.frameworks[slot].known = true;
        self.replace_profile(now_us, slot, profile);
    }

    /// A framework changed: all of its profile is replaced. Roles that are no longer suppressed want
    /// offers again, but filters stand. A profile that says nothing new asks for no round over all agents.
    /// Unknown frameworks are ignored.
    pub fn update_framework(&mut self, now_us: u64, id: &FrameworkId, profile: FrameworkProfile) {
        if let Some(slot) = self.known_framework(id) {
            self.replace_profile(now_us, slot, profile);
        }
    }

    fn replace_profile(&mut self, now_us: u64, slot: u32, profile: FrameworkProfile) {
        if self.adopt(slot, profile) {
            self.touch_all(now_us);
        } else {
            self.note_waiting(now_us);
        }
    }

    /// A framework is gone. What it still has stays charged to it until it is recovered. Unknown
    /// frameworks are ignored.
    pub fn remove_framework(&mut self, now_us: u64, id: &FrameworkId) {
        if let Some(slot) = self.known_framework(id) {
            self.frameworks[slot].known = false;
            self.adopt(slot, FrameworkProfile::default());
            self.maintenance.forget_framework(id);
            self.forget_framework_if_empty(slot);
            self.quota_eased(now_us);
        }
    }

    /// The framework is connected and wants offers. Unknown frameworks are ignored.
    pub fn activate_framework(&mut self, now_us: u64, id: &FrameworkId) {
        if self.set_framework_active(id, true) {
            self.touch_all(now_us);
        }
    }

    /// The framework is gone for now: no offers, and its filters are forgotten. Unknown frameworks are
    /// ignored.
    pub fn deactivate_framework(&mut self, id: &FrameworkId) {
        self.set_framework_active(id, false);
    }

    /// Says whether anybody wants offers who did not before.
    fn set_framework_active(&mut self, id: &FrameworkId, active: bool) -> bool {
        let Some(slot) = self.known_framework(id) else {
            return false;
        };
        self.frameworks[slot].active = active;
        if active {
            self.maintenance.touch_all();
        } else {
            self.maintenance.disconnect(id);
        }
        let mut any_new = false;
        for client in self.frameworks[slot].clients.clone() {
            if !active {
                self.sorter.clear_filters(client);
            }
            any_new |= self.settle_client(client);
        }
        any_new
    }

    /// The framework wants no offers in these roles; in all of its roles if none is named. Standing
    /// offers and filters are not touched. Roles that are not its own are ignored.
    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) {
        for client in self.named_clients(id, roles) {
            self.sorter.client_mut(client).suppressed = true;
            self.settle_client(client);
        }
    }

    /// The framework wants offers in these roles again, in all of its roles if none is named, and is
    /// not kept from anything that it refused before, inverse offers of any role included. Where nothing
    /// was refused and offers are wanted already, what it may have was offered or will be: no round over
    /// all agents is asked for. Roles that are not its own are ignored.
    pub fn revive(&mut self, now_us: u64, id: &FrameworkId, roles: &BTreeSet<Role>) {
        let mut any_more = false;
        for client in self.named_clients(id, roles) {
            any_more |= self.sorter.eras[client as usize].filters > 0;
            self.sorter.clear_filters(client);
            self.sorter.client_mut(client).suppressed = false;
            self.sorter.client_mut(client).refusals = (0, 0);
            any_more |= self.settle_client(client);
        }
        self.maintenance.forget_quiet(id);
        if any_more {
            self.touch_all(now_us);
        }
    }

    /// What a framework waits for in a role, or that it waits for nothing in particular any more. It
    /// decides nothing by itself: scores look at it ([`crate::Config::scores`]). Roles that are not the
    /// framework's own are ignored.
    pub fn set_wish(&mut self, id: &FrameworkId, role: &Role, wish: Option<&Quantities>) {
        let wish = wish.filter(|wish| wish.iter().any(|(_, quantity)| !quantity.is_zero()));
        let wish = wish.map(|wish| Least::new(&self.shapes.kinds, wish));
        for client in self.named_clients(id, &BTreeSet::from([role.clone()])) {
            let client = self.sorter.client_mut(client);
            let mut terms = client.terms.take().unwrap_or_default();
            terms.wish.clone_from(&wish);
            client.terms = (*terms != Terms::default()).then_some(terms);
        }
    }

    /// Agents brought names of resources along that somebody may have been waiting for.
    pub(crate) fn look_up_names(&mut self) {
        let clients: Vec<u32> = self.sorter.clients().map(|(slot, _)| slot).collect();
        for slot in clients {
            if let Some(terms) = &mut self.sorter.client_mut(slot).terms {
                let minimums = terms.minimums.iter_mut().flatten();
                for least in minimums.chain(&mut terms.wish) {
                    least.look_up(&self.shapes.kinds);
                }
            }
        }
    }

    fn named_clients(&self, id: &FrameworkId, roles: &BTreeSet<Role>) -> Vec<u32> {
        let Some(slot) = self.known_framework(id) else {
            return Vec::new();
        };
        let clients = self.frameworks[slot].clients.iter().copied();
        clients
            .filter(|client| {
                let client = self.sorter.client(*client);
                let role = &self.sorter.node(client.role).role;
                client.subscribed && (roles.is_empty() || roles.contains(role))
            })
            .collect()
    }

    fn known_framework(&self, id: &FrameworkId) -> Option<u32> {
        let slot = *self.framework_slots.get(id)?;
        self.frameworks[slot].known.then_some(slot)
    }

    /// The framework of that id; one that was never heard of is noted down as not known.
    pub(crate) fn framework_slot(&mut self, id: &FrameworkId) -> u32 {
        if let Some(slot) = self.framework_slots.get(id) {
            return *slot;
        }
        let slot = self.frameworks.insert(Framework {
            id: id.clone(),
            known: false,
            active: false,
            capabilities: FrameworkCapabilities::default(),
            clients: SmallVec::new(),
        });
        self.framework_slots.insert(id.clone(), slot);
        slot
    }

    /// The client of a framework in a role, if there is one.
    pub(crate) fn find_client(&self, framework: u32, role: &Role) -> Option<u32> {
        let wanted = self.sorter.role_slot(role)?;
        let clients = self.frameworks[framework].clients.iter().copied();
        clients
            .into_iter()
            .find(|client| self.sorter.client(*client).role == wanted)
    }

    /// The client of a framework in a role, made if need be.
    pub(crate) fn client_slot(&mut self, framework: u32, role: &Role) -> u32 {
        if let Some(client) = self.find_client(framework, role) {
            return client;
        }
        let id = self.frameworks[framework].id.clone();
        let client = self
            .sorter
            .add_client(&mut self.quotas, framework, &id, role);
        self.frameworks[framework].clients.push(client);
        client
    }

    /// Makes the framework what the profile says, and says whether it may be offered something for that
    /// which it was not before.
    fn adopt(&mut self, slot: u32, mut profile: FrameworkProfile) -> bool {
        let had_own_minimums = self.own_minimums > 0;
        let mut any_more = false;
        self.frameworks[slot].active = profile.active;
        self.maintenance.touch_all();
        self.frameworks[slot].capabilities = profile.capabilities;
        for role in &profile.roles {
            let client = self.client_slot(slot, role);
            let terms = Terms {
                minimums: profile.min_allocatable.remove(role).map(|list| {
                    let kinds = &self.shapes.kinds;
                    list.iter().map(|least| Least::new(kinds, least)).collect()
                }),
                constraints: profile.offer_constraints.remove(role),
                wish: self.sorter.client(client).wish().cloned(),
            };
            let client = self.sorter.client_mut(client);
            client.subscribed = true;
            client.suppressed = profile.suppressed.contains(role);
            let met = met_by(profile.capabilities);
            let after = terms.minimums.is_some();
            let terms = (terms != Terms::default()).then(|| Box::new(terms));
            let stays = client.active && !client.suppressed && profile.active;
            any_more |= stays && (client.met != met || client.terms != terms);
            client.met = met;
            let before = std::mem::replace(&mut client.terms, terms);
            self.count_own_minimums(has_minimums(before.as_deref()), after);
        }
        for client in self.frameworks[slot].clients.clone() {
            let role = self.sorter.client(client).role;
            if !profile.roles.contains(&self.sorter.node(role).role) {
                let entry = self.sorter.client_mut(client);
                entry.subscribed = false;
                let before = entry.terms.take();
                self.count_own_minimums(has_minimums(before.as_deref()), false);
            }
            any_more |= self.settle_client(client);
        }
        any_more || had_own_minimums != (self.own_minimums > 0)
    }

    /// Lets a client take part or not, as its framework's state demands, and forgets it if nothing is
    /// left of it. Says whether it takes part now and did not before.
    pub(crate) fn settle_client(&mut self, slot: u32) -> bool {
        let client = self.sorter.client(slot);
        let framework = client.framework;
        let wants = client.subscribed && !client.suppressed && self.frameworks[framework].active;
        let is_left = client.subscribed || client.holdings > 0;
        let is_new = wants && !client.active;
        self.sorter.set_active(slot, wants);
        if !is_left {
            self.sorter.remove_client(&mut self.quotas, slot);
            self.frameworks[framework].clients.retain(|c| *c != slot);
        }
        is_new
    }

    /// Forgets a framework that is not known and has nothing.
    pub(crate) fn forget_framework_if_empty(&mut self, slot: u32) {
        let framework = &self.frameworks[slot];
        if !framework.known && framework.clients.is_empty() {
            let framework = self.frameworks.remove(slot);
            self.framework_slots.swap_remove(&framework.id);
        }
    }
}
