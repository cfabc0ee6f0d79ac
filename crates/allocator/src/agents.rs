//! Agents come, change, are held back and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use meseta_model::ids::AgentId;
use meseta_model::resources::{ResourceName, Resources};

use crate::Allocator;
use crate::agent::Agent;
use crate::filter::Filters;
use crate::policy::minimum::is_enough;
use crate::profile::{AgentProfile, Refused, Site, Used};
use crate::shape::{GPUS, Needs, ONE_ROLE, REMOTE, Shape};

impl Allocator {
    /// An agent is there, active, with what is in use on it by frameworks that may still be unknown.
    /// One of the same id must have been removed before.
    ///
    /// # Panics
    /// When there is an agent of that id.
    pub fn add_agent(&mut self, now_us: u64, id: &AgentId, profile: AgentProfile, used: &[Used]) {
        let total = self.shapes.make(profile.total);
        let agent = Agent {
            id: id.clone(),
            needs: self.needs_of_agent(&total.resources, &profile.site, profile.multi_role),
            multi_role: profile.multi_role,
            listed: self.is_listed(&profile.site),
            site: Arc::new(profile.site),
            hierarchical_role: profile.hierarchical_role,
            total: total.clone(),
            free: self.nothing.clone(),
            holdings: smallvec::SmallVec::new(),
            filters: Filters::default(),
            active: true,
            dirty: false,
            overcommitted: false,
            enough: false,
        };
        let slot = self.agents.insert(agent);
        self.wheel.make_room(slot);
        let before = self.agent_slots.insert(id.clone(), slot);
        assert!(before.is_none(), "{id} was added twice");
        self.sorter.add_total(&total.all);
        self.change_idle(&total, true);
        self.quotas
            .reserve(&mut self.shapes.kinds, &total.resources);
        for used in used {
            self.track_on(slot, used);
        }
        let free = self.recount(slot);
        self.set_free(slot, free);
        self.touch(now_us, slot);
        self.quota_eased(now_us);
    }

    /// An agent is gone, and with it all that frameworks had there. Unknown agents are ignored.
    pub fn remove_agent(&mut self, now_us: u64, id: &AgentId) {
        let Some(slot) = self.agent_slots.swap_remove(id) else {
            return;
        };
        self.untouch(slot);
        let holdings = self.agents[slot].holdings.iter();
        let holders: Vec<u32> = holdings.map(|holding| holding.client).collect();
        for client in holders {
            self.again.remove(&(slot, client));
            self.set_holding(slot, client, None);
            self.settle_holder(client);
        }
        self.set_free(slot, self.nothing.clone());
        self.maintenance.forget_agent(slot);
        let mut agent = self.agents.remove(slot);
        self.wheel.set(slot, u64::MAX);
        agent.filters.clear(&mut self.sorter.eras);
        self.sorter.take_total(&agent.total.all);
        self.change_idle(&agent.total, false);
        self.quotas
            .unreserve(&mut self.shapes.kinds, &agent.total.resources);
        self.quota_eased(now_us);
    }

    /// All that an agent has is something else now; what is in use stays in use, even where the agent
    /// no longer has it.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`].
    pub fn update_agent_total(
        &mut self,
        now_us: u64,
        id: &AgentId,
        total: Resources,
    ) -> Result<(), Refused> {
        let slot = self.known_agent(id)?;
        if self.agents[slot].total.resources != total {
            self.set_total(slot, total);
            self.touch(now_us, slot);
            self.quota_eased(now_us);
        }
        Ok(())
    }

    /// What constraints and domains look at is something else now: frameworks may like the agent
    /// better, so that no filter stands any longer.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`].
    pub fn update_agent_site(
        &mut self,
        now_us: u64,
        id: &AgentId,
        site: Site,
    ) -> Result<(), Refused> {
        let slot = self.known_agent(id)?;
        if *self.agents[slot].site == site {
            return Ok(());
        }
        let agent = &self.agents[slot];
        let needs = self.needs_of_agent(&agent.total.resources, &site, agent.multi_role);
        let listed = self.is_listed(&site);
        self.wheel.set(slot, u64::MAX);
        self.agents[slot].filters.clear(&mut self.sorter.eras);
        self.change_agent(slot, |agent| {
            agent.needs = needs;
            agent.listed = listed;
            agent.site = Arc::new(site);
        });
        self.touch(now_us, slot);
        Ok(())
    }

    /// An agent came back to the same master: all of its profile may be something else now.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`].
    pub fn update_agent(
        &mut self,
        now_us: u64,
        id: &AgentId,
        profile: AgentProfile,
    ) -> Result<(), Refused> {
        let slot = self.known_agent(id)?;
        let agent = &mut self.agents[slot];
        if agent.hierarchical_role != profile.hierarchical_role
            || agent.multi_role != profile.multi_role
        {
            agent.hierarchical_role = profile.hierarchical_role;
            agent.multi_role = profile.multi_role;
            self.touch(now_us, slot);
        }
        self.update_agent_total(now_us, id, profile.total)?;
        self.update_agent_site(now_us, id, profile.site)
    }

    /// Replaces the revocable part of what an agent has, as its estimator reports it.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`], or [`Refused::NotRevocable`] if any of it is not revocable.
    pub fn set_oversubscribed(
        &mut self,
        now_us: u64,
        id: &AgentId,
        oversubscribed: &Resources,
    ) -> Result<(), Refused> {
        let slot = self.known_agent(id)?;
        if !oversubscribed.iter().all(|entry| entry.is_revocable()) {
            return Err(Refused::NotRevocable);
        }
        let firm = self.agents[slot].total.resources.non_revocable();
        self.update_agent_total(now_us, id, firm + oversubscribed)
    }

    /// The agent may be offered again. Unknown agents are ignored.
    pub fn activate_agent(&mut self, now_us: u64, id: &AgentId) {
        if let Some(slot) = self.agent_slots.get(id).copied() {
            self.change_agent(slot, |agent| agent.active = true);
            self.touch(now_us, slot);
        }
    }

    /// The agent is not offered for now; standing offers are the master's business. Unknown agents are
    /// ignored.
    pub fn deactivate_agent(&mut self, id: &AgentId) {
        if let Some(slot) = self.agent_slots.get(id).copied() {
            self.change_agent(slot, |agent| agent.active = false);
        }
    }

    /// Only agents with these host names are offered; all of them without a list.
    pub fn set_whitelist(&mut self, now_us: u64, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
        let slots: Vec<u32> = self.agents.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let listed = self.is_listed(&self.agents[slot].site);
            if listed != self.agents[slot].listed {
                self.change_agent(slot, |agent| agent.listed = listed);
                self.touch(now_us, slot);
            }
        }
    }

    fn is_listed(&self, site: &Site) -> bool {
        let list = self.whitelist.as_ref();
        list.is_none_or(|names| names.contains(&site.hostname))
    }

    /// What a framework must understand to be offered anything of an agent.
    fn needs_of_agent(&self, total: &Resources, site: &Site, multi_role: bool) -> Needs {
        let has_gpus = !total.total(&ResourceName::Gpus).is_zero();
        let is_remote = match (&self.config.region, &site.region) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        };
        let bit = |is_needed, need| if is_needed { need } else { 0 };
        bit(has_gpus && self.config.filter_gpus, GPUS)
            | bit(is_remote, REMOTE)
            | bit(!multi_role, ONE_ROLE)
    }

    pub(crate) fn known_agent(&self, id: &AgentId) -> Result<u32, Refused> {
        let slot = self.agent_slots.get(id).copied();
        slot.ok_or_else(|| Refused::UnknownAgent(id.clone()))
    }

    /// Replaces all that an agent has, in all books.
    pub(crate) fn set_total(&mut self, slot: u32, total: Resources) {
        let new = self.shapes.make(total);
        let agent = &self.agents[slot];
        let needs = self.needs_of_agent(&new.resources, &agent.site, agent.multi_role);
        let old = std::mem::replace(&mut self.agents[slot].total, new.clone());
        self.agents[slot].needs = needs;
        self.sorter.change_total(&old.all, &new.all);
        self.change_idle(&old, false);
        self.change_idle(&new, true);
        self.quotas
            .unreserve(&mut self.shapes.kinds, &old.resources);
        self.quotas.reserve(&mut self.shapes.kinds, &new.resources);
        let free = self.recount(slot);
        self.set_free(slot, free);
    }

    /// Works out what is free, and whether more is held than there is.
    pub(crate) fn recount(&mut self, slot: u32) -> Arc<Shape> {
        let agent = &mut self.agents[slot];
        let (free, overcommitted) = agent.count_free(&mut self.shapes);
        agent.overcommitted = overcommitted;
        free
    }

    /// Replaces what is free on an agent, in all books.
    pub(crate) fn set_free(&mut self, slot: u32, free: Arc<Shape>) {
        self.quotas.free.subtract(&self.agents[slot].free.firm);
        self.quotas.free.add(&free.firm);
        self.set_free_only(slot, free);
    }

    /// The same without the headroom.
    pub(crate) fn set_free_only(&mut self, slot: u32, free: Arc<Shape>) {
        let enough = self.is_worth_a_look(&free);
        self.change_agent(slot, |agent| {
            agent.free = free;
            agent.enough = enough;
        });
    }

    /// Whether it might be enough for an offer to somebody.
    fn is_worth_a_look(&self, free: &Shape) -> bool {
        !free.is_empty() && (self.own_minimums > 0 || is_enough(&self.minimums, free))
    }

    /// One framework role more, or one less, has minimums of its own.
    pub(crate) fn count_own_minimums(&mut self, before: bool, after: bool) {
        let was_any = self.own_minimums > 0;
        self.own_minimums += usize::from(after);
        self.own_minimums -= usize::from(before);
        if was_any == (self.own_minimums > 0) {
            return;
        }
        let slots: Vec<u32> = self.agents.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let enough = self.is_worth_a_look(&self.agents[slot].free);
            self.change_agent(slot, |agent| agent.enough = enough);
        }
    }

    /// Changes an agent and keeps count of those that may be offered.
    fn change_agent(&mut self, slot: u32, change: impl FnOnce(&mut Agent)) {
        let agent = &mut self.agents[slot];
        let before = agent.is_offerable();
        change(agent);
        let after = agent.is_offerable();
        self.wake.offerable += usize::from(after);
        self.wake.offerable -= usize::from(before);
    }
}
