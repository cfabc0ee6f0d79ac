//! The books against a recount.

use std::collections::BTreeMap;

use meseta_model::resources::Resources;
use meseta_model::roles::Role;

use crate::Allocator;
use crate::amounts::{Amounts, Kinds};
use crate::quota::reserved_by;
use crate::shape::Shape;
use crate::sorter::{OWN, ROOT};

fn check(is_right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(what()) }
}

impl Allocator {
    /// Counts everything anew from what agents have and frameworks hold, and compares. For tests and
    /// simulations: the work is proportional to the cluster.
    ///
    /// # Errors
    /// The first difference found.
    pub fn audit(&mut self) -> Result<(), String> {
        self.audit_agents()?;
        self.audit_standings()?;
        self.audit_quota()?;
        self.audit_idle()?;
        self.audit_filters()?;
        self.audit_shares()?;
        self.audit_lists()
    }

    fn audit_agents(&mut self) -> Result<(), String> {
        let mut offerable = 0;
        let mut totals = Amounts::default();
        let mut free = Amounts::default();
        for (_, agent) in self.agents.iter() {
            let (expected, overcommitted) = agent.count_free(&mut self.shapes);
            check(agent.free.resources == expected.resources, || {
                format!("{}: {expected:?} is free, not {:?}", agent.id, agent.free)
            })?;
            check(overcommitted == agent.overcommitted, || {
                format!("{}: {:?}", agent.id, agent.holdings)
            })?;
            offerable += usize::from(agent.is_offerable());
            totals.add(&agent.total.all);
            free.add(&agent.free.firm);
        }
        for ((slot, client), again) in &self.again {
            let held = self.agents[*slot].holding(*client);
            let is_held = |again| held.is_some_and(|held| held.resources.contains(again));
            check(!again.is_empty() && again.iter().all(is_held), || {
                format!("{again:?} is held once more, of {held:?}")
            })?;
        }
        check(offerable == self.wake.offerable, || {
            format!(
                "{offerable} agents are offerable, not {}",
                self.wake.offerable
            )
        })?;
        check(totals == *self.sorter.totals(), || "totals".to_owned())?;
        check(free == self.quotas.free, || "headroom".to_owned())
    }

    /// What each client has, and on how many agents.
    fn held_by_client(&self) -> BTreeMap<u32, (u32, Amounts, Amounts)> {
        let mut held: BTreeMap<u32, (u32, Amounts, Amounts)> = BTreeMap::new();
        for (_, agent) in self.agents.iter() {
            for holding in &agent.holdings {
                let entry = held.entry(holding.client).or_default();
                entry.0 += 1;
                entry.1.add(&holding.shape.all);
                entry.2.add(&holding.shape.firm);
            }
        }
        held
    }

    /// What each role has itself: what is shared once an agent.
    fn held_by_role(&mut self) -> BTreeMap<u32, Amounts> {
        let mut held: BTreeMap<u32, Amounts> = BTreeMap::new();
        for (_, agent) in self.agents.iter() {
            let mut shared: BTreeMap<u32, Resources> = BTreeMap::new();
            for holding in &agent.holdings {
                let role = self.sorter.client(holding.client).role;
                let all = &holding.shape.resources;
                let own = all.iter().filter(|entry| !entry.is_shared());
                held.entry(role)
                    .or_default()
                    .add(&self.shapes.kinds.sum(own));
                *shared.entry(role).or_default() += all.shared();
            }
            for (role, shared) in shared {
                held.entry(role)
                    .or_default()
                    .add(&self.shapes.kinds.sum(&shared));
            }
        }
        held
    }

    fn audit_standings(&mut self) -> Result<(), String> {
        let held = self.held_by_client();
        let mut own = self.held_by_role();
        let mut tree: BTreeMap<u32, Amounts> = BTreeMap::new();
        for (slot, client) in self.sorter.clients() {
            let (holdings, all, _) = held.get(&slot).cloned().unwrap_or_default();
            let right = client.holdings == holdings && client.standing.allocated == all;
            check(right, || format!("{:?}", client.framework_id))?;
        }
        for (role, all) in &own {
            let mut at = *role;
            loop {
                tree.entry(at).or_default().add(all);
                if at == ROOT {
                    break;
                }
                at = self.sorter.node(at).parent;
            }
        }
        for (slot, node) in self.sorter.nodes() {
            let expected_own = own.remove(&slot).unwrap_or_default();
            let expected_tree = tree.remove(&slot).unwrap_or_default();
            let right = node.own.allocated == expected_own && node.tree.allocated == expected_tree;
            check(right, || format!("{:?}", node.role))?;
        }
        Ok(())
    }

    fn audit_quota(&mut self) -> Result<(), String> {
        let mut again = crate::quota::Quotas::default();
        for (_, agent) in self.agents.iter() {
            again.reserve(&mut self.shapes.kinds, &agent.total.resources);
        }
        let held = self.held_by_client();
        for (role, account) in self.quotas.iter() {
            let mut expected = again.find(role).map(|a| a.consumed()).unwrap_or_default();
            for (client, (_, _, firm)) in &held {
                let node = self.sorter.node(self.sorter.client(*client).role);
                if node.role.top() == role.as_str() {
                    expected.add(firm);
                }
            }
            check(account.consumed() == expected, || {
                format!("quota of {role:?}")
            })?;
        }
        self.quotas.audit_required()
    }

    /// Reservations that nobody holds, if they are charged.
    fn audit_idle(&mut self) -> Result<(), String> {
        if !self.config.charge_reservations {
            return check(self.sorter.idle().is_empty(), || "idle".to_owned());
        }
        let mut expected: BTreeMap<Role, Amounts> = BTreeMap::new();
        let mut count = |kinds: &mut Kinds, shape: &Shape, more: bool| {
            let entries = shape.resources.iter().filter(|entry| !entry.is_shared());
            for (role, amounts) in reserved_by(kinds, entries, Role::as_str) {
                let sum = expected.entry(role).or_default();
                if more {
                    sum.add(&amounts);
                } else {
                    sum.subtract(&amounts);
                }
            }
        };
        for (_, agent) in self.agents.iter() {
            count(&mut self.shapes.kinds, &agent.total, true);
            for holding in &agent.holdings {
                count(&mut self.shapes.kinds, &holding.shape, false);
            }
        }
        expected.retain(|_, amounts| !amounts.is_zero());
        check(expected == *self.sorter.idle(), || {
            format!("{expected:?} is reserved and idle")
        })?;
        for (slot, node) in self.sorter.nodes().filter(|(slot, _)| *slot != ROOT) {
            let right = self.sorter.idle_of(&node.role) == *self.sorter.node(slot).idle();
            check(right, || format!("idle of {:?}", node.role))?;
        }
        Ok(())
    }

    /// Filters that stand are counted, and each agent's next end is known.
    fn audit_filters(&self) -> Result<(), String> {
        let mut counts = vec![0; self.sorter.eras.len()];
        for (slot, agent) in self.agents.iter() {
            for filter in agent.filters.list() {
                let client = filter.client as usize;
                let stands = self.sorter.eras[client].generation == filter.generation;
                counts[client] += u32::from(stands);
            }
            let ends = agent.filters.list().iter().map(|filter| filter.until_us);
            let next_us = ends.min().unwrap_or(u64::MAX);
            check(agent.filters.next_end_us == next_us, || {
                format!("the first filter of {} ends at {next_us}", agent.id)
            })?;
            check(self.wheel.end_of(slot) == agent.filters.next_end_us, || {
                format!("the wheel has another end for {}", agent.id)
            })?;
        }
        let known = self.sorter.eras.iter().map(|era| era.filters);
        check(known.eq(counts.iter().copied()), || {
            format!("{counts:?} filters stand")
        })
    }

    /// Shares are what the amounts say, which are right by now.
    fn audit_shares(&mut self) -> Result<(), String> {
        self.sorter.refresh(&self.shapes.kinds);
        let nothing = Amounts::default();
        for (_, client) in self.sorter.clients() {
            let standing = &client.standing;
            let share = self.sorter.share(&standing.allocated, &nothing, 1.0);
            check(standing.share == share, || {
                format!("the share of {:?} is {share}", client.framework_id)
            })?;
        }
        // Nobody is compared with the root.
        for (slot, node) in self.sorter.nodes().filter(|(slot, _)| *slot != ROOT) {
            let (own, tree, idle) = (&node.own, &node.tree, node.idle());
            let own_share = self.sorter.share(&own.allocated, &idle.own, 1.0);
            let weight = self.sorter.weight(slot);
            let tree_share = self.sorter.share(&tree.allocated, &idle.tree, weight);
            let right = own.share == own_share && tree.share == tree_share;
            check(right, || {
                format!("shares of {:?} are {own_share}, {tree_share}", node.role)
            })?;
        }
        Ok(())
    }

    /// Lists hold who should be in them, in order once shares are worked out.
    fn audit_lists(&mut self) -> Result<(), String> {
        for (slot, node) in self.sorter.nodes() {
            let mut queue: Vec<u32> = self
                .sorter
                .clients()
                .filter(|(_, client)| client.active && client.role == slot)
                .map(|(client, _)| client)
                .collect();
            queue.sort_by(|a, b| self.sorter.compare_clients(*a, *b));
            check(queue == node.queue, || format!("queue of {:?}", node.role))?;
            let mut members: Vec<u32> = self
                .sorter
                .nodes()
                .filter(|(child, node)| *child != ROOT && node.parent == slot && node.active > 0)
                .map(|(child, _)| child)
                .collect();
            if !queue.is_empty() {
                members.push(OWN);
            }
            members.sort_by(|a, b| self.sorter.compare_members(slot, *a, *b));
            check(members == node.members, || {
                format!("members of {:?}", node.role)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use meseta_model::ids::{AgentId, FrameworkId};
    use meseta_model::resources::Resources;
    use meseta_model::roles::Role;

    use crate::sorter::ROOT;
    use crate::{AgentProfile, Allocator, Config, Used};

    fn cluster() -> Allocator {
        let mut allocator = Allocator::new(Config::default());
        let profile = AgentProfile {
            total: Resources::of(&[("cpus", 4.0)]),
            ..AgentProfile::default()
        };
        let used = Used {
            framework: FrameworkId::from("F"),
            role: Role::from("a/b"),
            resources: Resources::of(&[("cpus", 1.0)]),
        };
        allocator.add_agent(0, &AgentId::from("A"), profile, &[used]);
        assert_eq!(allocator.audit(), Ok(()));
        allocator
    }

    /// Amounts are right, and so is the order of lists, each of one.
    #[test]
    fn a_wrong_share_is_found() {
        let mut allocator = cluster();
        let (client, _) = allocator
            .sorter
            .clients()
            .next()
            .unwrap_or_else(|| panic!());
        allocator.sorter.client_mut(client).standing.share = 0.5;
        let found = allocator.audit();
        assert_eq!(found, Err("the share of FrameworkId(F) is 0.25".to_owned()));
        for at in 0..2 {
            let mut allocator = cluster();
            let nodes = allocator.sorter.nodes_mut();
            let Some((_, node)) = nodes.filter(|(slot, _)| *slot != ROOT).nth(at) else {
                panic!("two roles")
            };
            node.tree.share = 0.5;
            assert!(
                allocator
                    .audit()
                    .is_err_and(|error| error.starts_with("shares of"))
            );
        }
    }
}
