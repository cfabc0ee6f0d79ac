//! How roles fare with offers, for operators: who waits, since when, and who starves.

use std::collections::BTreeSet;

use meseta_model::ids::FrameworkId;
use meseta_model::roles::Role;

use crate::Allocator;
use crate::sorter::{Node, ROOT};

/// What a role knows of its offers. Monotonic microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hunger {
    /// Since when somebody in it wants offers.
    waiting_since_us: Option<u64>,
    /// When it was offered something last.
    offered_us: Option<u64>,
    /// When something of an offer was used last.
    used_us: Option<u64>,
    /// When it was last seen to have its part of the cluster.
    sated_us: Option<u64>,
    /// Whether its starvation was reported.
    reported: bool,
}

impl Hunger {
    /// Since when it lacks what would feed it: an offer, or one that was of use if it has a wish.
    fn since_us(self, has_wish: bool) -> Option<u64> {
        let fed_us = if has_wish {
            self.used_us
        } else {
            self.offered_us.max(self.used_us)
        };
        let waiting_us = self.waiting_since_us?;
        let fed_us = fed_us.max(self.sated_us);
        Some(waiting_us.max(fed_us.unwrap_or(0)))
    }
}

/// How a role fares with offers. All times are monotonic microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleOffers {
    /// Which.
    pub role: Role,
    /// Filters of its frameworks that stand: `allocator/mesos/offer_filters/roles/ROLE/active`.
    pub filters: u64,
    /// Since when somebody in it wants offers; absent while nobody does.
    pub waiting_since_us: Option<u64>,
    /// When it was offered something last.
    pub offered_us: Option<u64>,
    /// When something of an offer was used last ([`Allocator::note_used`]).
    pub used_us: Option<u64>,
}

impl RoleOffers {
    /// How long the role has waited for an offer that is of use; zero while it does not want any.
    #[must_use]
    pub fn since_useful_us(&self, now_us: u64) -> u64 {
        let Some(waiting_us) = self.waiting_since_us else {
            return 0;
        };
        let since_us = self.used_us.unwrap_or(0).max(waiting_us);
        now_us.saturating_sub(since_us)
    }
}

/// A role that wants offers and gets none that feed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starving {
    /// Which.
    pub role: Role,
    /// Since when; monotonic microseconds.
    pub since_us: u64,
}

impl Allocator {
    /// A framework used something of an offer: its role has been fed, and the framework's refusals
    /// count from one again ([`crate::Config::longest_refusal_us`]).
    pub fn note_used(&mut self, now_us: u64, framework: &FrameworkId, role: &Role) {
        let framework = self.framework_slots.get(framework).copied();
        let client = framework.and_then(|framework| self.find_client(framework, role));
        if let Some(client) = client {
            let entry = self.sorter.client_mut(client);
            entry.refusals = (0, 0);
            let node = entry.role;
            let hunger = &mut self.sorter.node_mut(node).hunger;
            hunger.used_us = Some(now_us);
            hunger.reported = false;
        }
    }

    /// Something was granted in a role.
    pub(crate) fn note_offered(&mut self, now_us: u64, client: u32) {
        let node = self.sorter.client(client).role;
        self.sorter.node_mut(node).hunger.offered_us = Some(now_us);
    }

    /// Notes since when roles want offers.
    pub(crate) fn note_waiting(&mut self, now_us: u64) {
        for slot in std::mem::take(&mut self.sorter.stirred) {
            let node = self.sorter.node_mut(slot);
            let waiting = &mut node.hunger.waiting_since_us;
            if node.queue.is_empty() {
                *waiting = None;
            } else {
                waiting.get_or_insert(now_us);
            }
        }
    }

    /// How every role in use fares, by name; a look at every framework and role.
    pub fn role_offers(&mut self, now_us: u64) -> Vec<RoleOffers> {
        self.note_waiting(now_us);
        let mut filters = vec![0u64; self.sorter.node_capacity()];
        for (slot, client) in self.sorter.clients() {
            let era = self.sorter.eras[slot as usize];
            filters[client.role as usize] += u64::from(era.filters);
        }
        let used = self
            .sorter
            .nodes()
            .filter(|(slot, node)| *slot != ROOT && node.is_used());
        let mut roles: Vec<RoleOffers> = used
            .map(|(slot, node)| RoleOffers {
                role: node.role.clone(),
                filters: filters[slot as usize],
                waiting_since_us: node.hunger.waiting_since_us,
                offered_us: node.hunger.offered_us,
                used_us: node.hunger.used_us,
            })
            .collect();
        roles.sort_by(|a, b| a.role.cmp(&b.role));
        roles
    }

    /// Roles that have now been waiting in vain for [`crate::Config::starvation_us`], each once until
    /// it is fed: no offer came, or none was of use to a role in which a framework has a wish
    /// ([`Allocator::set_wish`]). A role that has its equal part of the cluster does not starve. A look
    /// at every role.
    pub fn take_starving(&mut self, now_us: u64) -> Vec<Starving> {
        self.note_waiting(now_us);
        let clients = self.sorter.clients();
        let with_wish: BTreeSet<u32> = clients
            .filter(|(_, client)| client.active && client.wish().is_some())
            .map(|(_, client)| client.role)
            .collect();
        let patience_us = self.config.starvation_us;
        let used = self.sorter.nodes().filter(|(_, node)| node.is_used());
        let equal_part = 1.0 / used.count().max(1) as f64;
        let mut found = Vec::new();
        for (slot, node) in self.sorter.nodes_mut() {
            if node.own.share >= equal_part {
                node.hunger.sated_us = Some(now_us);
            }
            let since_us = node.hunger.since_us(with_wish.contains(&slot));
            let starving = since_us.filter(|since| now_us.saturating_sub(*since) >= patience_us);
            match starving {
                Some(since_us) if !node.hunger.reported => {
                    found.push(starving_role(node, since_us))
                }
                _ => {}
            }
            node.hunger.reported = starving.is_some();
        }
        found.sort_by(|a, b| a.role.cmp(&b.role));
        found
    }
}

fn starving_role(node: &Node, since_us: u64) -> Starving {
    Starving {
        role: node.role.clone(),
        since_us,
    }
}
