//! What is allocated to whom, between one run and the next.

use std::sync::Arc;

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Resource, Resources};
use meseta_model::roles::Role;

use crate::filter::Filter;
use crate::profile::{Refusal, Refused, Used};
use crate::quota::reserved_by;
use crate::shape::{SHARED, Shape};
use crate::sorter::Burden;
use crate::stock::Stock;
use crate::{Allocator, limits};

/// How long a refusal lasts, microseconds.
pub(crate) fn refusal_us(refusal: Refusal) -> u64 {
    let us = refusal.seconds * 1e6;
    if us.is_nan() || us < 0.0 {
        limits::REFUSAL_DEFAULT_US
    } else {
        (us.min(limits::REFUSAL_MAX_US as f64)) as u64
    }
}

impl Allocator {
    /// Something that was granted or tracked is free again: an offer was declined or withdrawn, a part
    /// of one was not used, a task ended. With a refusal it was the framework's own decision, and the
    /// framework is kept from it for a while in this role; others get it at once.
    ///
    /// Agents and frameworks that are gone took everything with them: then nothing happens.
    ///
    /// # Panics
    /// When the framework does not have that much there: the books would be wrong.
    pub fn recover(
        &mut self,
        now_us: u64,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        resources: &Resources,
        refusal: Option<Refusal>,
    ) {
        if resources.is_empty() {
            return;
        }
        let Some((agent, client)) = self.find_holding(framework, role, agent) else {
            return;
        };
        let released = self.release(agent, client, resources);
        if let Some(refusal) = refusal {
            self.refuse(now_us, agent, client, refusal, released);
        }
        self.touch(now_us, agent);
        self.quota_eased(now_us);
        self.settle_holder(client);
    }

    fn find_holding(
        &self,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Option<(u32, u32)> {
        let agent = *self.agent_slots.get(agent)?;
        let framework = *self.framework_slots.get(framework)?;
        let client = self.find_client(framework, role)?;
        self.agents[agent].holding(client)?;
        Some((agent, client))
    }

    /// Takes resources from a holder; they are free afterwards, unless it has them once more.
    fn release(&mut self, agent: u32, client: u32, resources: &Resources) -> Arc<Shape> {
        let Some(held) = self.agents[agent].holding(client).cloned() else {
            panic!("nothing is held");
        };
        let is_doubled = self.again.contains_key(&(agent, client));
        let released = if held.resources == *resources && !is_doubled {
            self.set_holding(agent, client, None);
            held
        } else {
            let mut stock = self.stock(agent, client);
            let is_all = stock.take(resources);
            assert!(is_all, "{resources:?} exceeds what is held: {held:?}");
            self.set_stock(agent, client, stock);
            self.shapes.make(resources.clone())
        };
        let entry = &self.agents[agent];
        let odd = entry.overcommitted || is_doubled;
        let is_any_shared = (released.needs | entry.free.needs) & SHARED != 0;
        let free = if odd || is_any_shared || released.disks {
            self.recount(agent)
        } else if entry.free.is_empty() {
            released.clone()
        } else {
            let sum = entry.free.resources.clone() + &released.resources;
            self.shapes.make(sum)
        };
        self.set_free(agent, free);
        released
    }

    /// What a client has on an agent, to be changed.
    fn stock(&self, agent: u32, client: u32) -> Stock {
        let held = self.agents[agent].holding(client);
        let again = self.again.get(&(agent, client));
        Stock {
            held: held.map_or_else(Resources::new, |held| held.resources.clone()),
            again: again.cloned().unwrap_or_default(),
        }
    }

    fn set_stock(&mut self, agent: u32, client: u32, stock: Stock) {
        let Stock { held, again } = stock;
        if again.is_empty() {
            self.again.remove(&(agent, client));
        } else {
            self.again.insert((agent, client), again);
        }
        let held = (!held.is_empty()).then(|| self.shapes.make(held));
        self.set_holding(agent, client, held);
    }

    fn refuse(
        &mut self,
        now_us: u64,
        agent: u32,
        client: u32,
        refusal: Refusal,
        refused: Arc<Shape>,
    ) {
        let lasts_us = refusal_us(refusal).max(self.config.allocation_interval_us);
        let lasts_us = self.lengthened(now_us, client, lasts_us);
        if !self.sorter.client(client).subscribed {
            return;
        }
        let filters = &mut self.agents[agent].filters;
        let era = &mut self.sorter.eras[client as usize];
        let new = Filter {
            client,
            generation: era.generation,
            until_us: now_us.saturating_add(lasts_us),
            refused,
        };
        filters.add(new, era);
        let after = filters.next_end_us;
        self.wheel.set(agent, after);
    }

    /// How long a refusal lasts of a framework that keeps refusing. What it refuses while one of its
    /// refusals lasts is the same refusal: a large cluster is refused agent by agent.
    fn lengthened(&mut self, now_us: u64, client: u32, lasts_us: u64) -> u64 {
        let Some(longest_us) = self.config.longest_refusal_us else {
            return lasts_us;
        };
        let (in_a_row, until_us) = &mut self.sorter.client_mut(client).refusals;
        let is_another = now_us >= *until_us;
        if is_another {
            *in_a_row = in_a_row.saturating_add(1);
        }
        let doublings = in_a_row.saturating_sub(1).min(63);
        let longer_us = lasts_us.saturating_mul(1 << doublings);
        let lasts_us = longer_us.min(longest_us).max(lasts_us);
        if is_another {
            *until_us = now_us.saturating_add(lasts_us);
        }
        lasts_us
    }

    /// A framework turned out to have something on an agent: it or the agent came back to a new master.
    /// It may be more than is free, if an agent came back with less than it had.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`].
    pub fn track(&mut self, agent: &AgentId, used: &Used) -> Result<(), Refused> {
        let slot = self.known_agent(agent)?;
        self.track_on(slot, used);
        let free = self.recount(slot);
        self.set_free(slot, free);
        Ok(())
    }

    /// Notes a holding without working out anew what is free.
    pub(crate) fn track_on(&mut self, agent: u32, used: &Used) {
        if used.resources.is_empty() {
            return;
        }
        let framework = self.framework_slot(&used.framework);
        let client = self.client_slot(framework, &used.role);
        let mut stock = self.stock(agent, client);
        stock.put(&used.resources);
        self.set_stock(agent, client, stock);
    }

    /// Operations of a framework turned some of what it has into something else: step by step, the
    /// first of a pair becomes the second in what it has and in what the agent has in all.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`], or [`Refused::NotAvailable`] unless the framework has all of what a
    /// step takes. Then nothing has changed.
    pub fn update_allocation<'a>(
        &mut self,
        now_us: u64,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        steps: impl IntoIterator<Item = (&'a Resources, &'a Resources)>,
    ) -> Result<(), Refused> {
        self.known_agent(agent)?;
        let unavailable = || Refused::NotAvailable(agent.clone());
        let (slot, client) = self
            .find_holding(framework, role, agent)
            .ok_or_else(unavailable)?;
        let mut stock = self.stock(slot, client);
        let mut total = self.agents[slot].total.resources.clone();
        for (from, to) in steps {
            if !stock.take(from) {
                return Err(unavailable());
            }
            stock.put(to);
            total = total.checked_sub(from).ok_or_else(unavailable)? + to;
        }
        self.set_stock(slot, client, stock);
        self.set_total(slot, total);
        self.touch(now_us, slot);
        self.quota_eased(now_us);
        self.settle_holder(client);
        Ok(())
    }

    /// An operator turned some of what is free on an agent into something else.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`], or [`Refused::NotAvailable`] unless all of `from` is free.
    pub fn update_available(
        &mut self,
        now_us: u64,
        agent: &AgentId,
        from: &Resources,
        to: &Resources,
    ) -> Result<(), Refused> {
        let slot = self.known_agent(agent)?;
        let entry = &self.agents[slot];
        let unavailable = || Refused::NotAvailable(agent.clone());
        if !entry.free.resources.contains(from) {
            return Err(unavailable());
        }
        let total = &entry.total.resources;
        let total = total.checked_sub(from).ok_or_else(unavailable)? + to;
        self.set_total(slot, total);
        self.touch(now_us, slot);
        self.quota_eased(now_us);
        Ok(())
    }

    /// How what a client has on an agent, or is to have, counts in shares. compat: a role counts what is
    /// shared once an agent, however many of its frameworks have it, but once more where it is allocated
    /// in a role below: that is another resource to Mesos.
    pub(crate) fn burden(&mut self, agent: u32, client: u32, shape: &Shape) -> Burden {
        let mut roles = shape.all.clone();
        if shape.needs & SHARED != 0 {
            let role = self.sorter.client(client).role;
            let others = self.agents[agent].holdings.iter().filter(|holding| {
                holding.shape.needs & SHARED != 0
                    && holding.client != client
                    && self.sorter.client(holding.client).role == role
            });
            let theirs = others.flat_map(|holding| &holding.shape.resources);
            let counts_already = |entry: &&Resource| {
                let is_it =
                    |other: &Resource| other.is_same_kind(entry) && other.value() == entry.value();
                entry.is_shared() && theirs.clone().any(is_it)
            };
            let known = shape.resources.iter().filter(counts_already);
            roles.subtract(&self.shapes.kinds.sum(known));
        }
        Burden {
            client: shape.all.clone(),
            roles,
        }
    }

    /// What a client has on an agent once it has this too, and what that adds to shares.
    pub(crate) fn grown(
        &mut self,
        agent: u32,
        client: u32,
        shape: &Arc<Shape>,
    ) -> (Arc<Shape>, Burden) {
        let Some(held) = self.agents[agent].holding(client).cloned() else {
            return (shape.clone(), self.burden(agent, client, shape));
        };
        let sum = held.resources.clone() + &shape.resources;
        let sum = self.shapes.make(sum);
        let mut more = self.burden(agent, client, &sum);
        more.subtract(&self.burden(agent, client, &held));
        (sum, more)
    }

    /// Replaces what a client has on an agent, in all books but what is free. compat: where it had
    /// nothing, that is one allocation, whatever the number of tasks that an agent brings along.
    pub(crate) fn set_holding(&mut self, agent: u32, client: u32, new: Option<Arc<Shape>>) {
        let account = self.account_of(client);
        let old = self.agents[agent].holding(client).cloned();
        let holder = self.sorter.client_mut(client);
        match (&old, &new) {
            (None, Some(_)) => {
                holder.holdings += 1;
                self.maintenance.touch(agent);
            }
            (Some(_), None) => holder.holdings -= 1,
            _ => {}
        }
        if let Some(old) = &old {
            self.change_idle(old, true);
            let burden = self.burden(agent, client, old);
            self.sorter.discharge(client, &burden);
            self.quotas.discharge(account, &old.firm);
        }
        if let Some(new) = &new {
            self.change_idle(new, false);
            let burden = self.burden(agent, client, new);
            if old.is_none() {
                self.sorter.charge(client, &burden);
            } else {
                self.sorter.recharge(client, &burden);
            }
            self.quotas.charge(account, &new.firm);
        }
        self.agents[agent].hold(client, new);
    }

    /// Reservations are held by nobody any more, or no longer by nobody. Shared ones never are.
    pub(crate) fn change_idle(&mut self, shape: &Shape, more: bool) {
        if !self.config.charge_reservations || !shape.reserved {
            return;
        }
        let entries = shape.resources.iter().filter(|entry| !entry.is_shared());
        for (role, amounts) in reserved_by(&mut self.shapes.kinds, entries, Role::as_str) {
            self.sorter.change_idle(&role, |idle| {
                if more {
                    idle.add(&amounts);
                } else {
                    idle.subtract(&amounts);
                }
            });
        }
    }

    /// The account that what a client has is charged to.
    pub(crate) fn account_of(&self, client: u32) -> u32 {
        self.sorter.node(self.sorter.client(client).role).account
    }

    /// After a holding changed: forgets who has nothing and is not subscribed.
    pub(crate) fn settle_holder(&mut self, client: u32) {
        let entry = self.sorter.client(client);
        if entry.holdings == 0 && !entry.subscribed {
            let framework = entry.framework;
            self.settle_client(client);
            self.forget_framework_if_empty(framework);
        }
    }
}
