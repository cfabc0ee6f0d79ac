//! Quota: what top-level roles consume, are promised and may have.
//!
//! A role consumes what is reserved for it or a role below it, used or not, and what it has of
//! unreserved, regular resources. Revocable and shared resources never count.
//!
//! Headroom is what keeps promises: free unreserved, regular resources in the cluster, of which as
//! much is held back as all roles together lack to their guarantees.

use indexmap::IndexMap;
use meseta_model::resources::{Resource, ResourceName, Resources, Scalar};
use meseta_model::roles::Role;
use smallvec::SmallVec;

use crate::Digest;
use crate::amounts::{Amounts, GPUS_AT, Kinds};
use crate::profile::{Quota, Refused};
use crate::slab::Slab;

/// Which of the two passes over the agents is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Roles with unmet guarantees come first. compat: where they get something that they lack, they get
    /// all they may have of the agent, so that it comes in one offer.
    Guarantees,
    /// Everybody gets the rest, within limits and headroom.
    Rest,
}

/// One top-level role.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    role: Role,
    /// Role nodes that refer to it.
    users: u32,
    has_quota: bool,
    guarantees: Amounts,
    limits: Vec<(usize, i64)>,
    /// Reserved on all agents, for the role or below.
    reserved: Amounts,
    /// Allocated, unreserved and regular.
    firm: Amounts,
    /// What it lacks to its guarantees.
    lacking: Amounts,
}

impl Account {
    fn consumed_at(&self, position: usize) -> i64 {
        self.reserved
            .at(position)
            .saturating_add(self.firm.at(position))
    }

    /// What quota counts.
    pub(crate) fn consumed(&self) -> Amounts {
        let mut sum = self.reserved.clone();
        sum.add(&self.firm);
        sum
    }

    /// Whether it lacks something of what is in `free`.
    pub(crate) fn lacks_some_of(&self, free: &Amounts) -> bool {
        self.lacking
            .iter()
            .any(|(position, lack)| lack > 0 && free.at(position) > 0)
    }

    /// Whether it may not have all of `firm`, whatever others are promised.
    pub(crate) fn is_limited(&self, firm: &Amounts) -> bool {
        firm.iter()
            .any(|(position, amount)| amount > self.left_to_limit(position))
    }

    fn left_to_limit(&self, position: usize) -> i64 {
        self.limits
            .iter()
            .find(|(limited, _)| *limited == position)
            .map_or(i64::MAX, |(_, limit)| {
                limit.saturating_sub(self.consumed_at(position)).max(0)
            })
    }
}

/// All accounts, and the headroom.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    accounts: Slab<Account>,
    by_role: IndexMap<Role, u32, Digest>,
    /// What all roles lack to their guarantees.
    required: Amounts,
    /// Free on all agents, unreserved and regular.
    pub(crate) free: Amounts,
}

impl Quotas {
    /// The account of a top-level role, for one more user.
    pub(crate) fn join(&mut self, top: &Role) -> u32 {
        let slot = self.open(top);
        self.accounts[slot].users += 1;
        slot
    }

    /// One user less.
    pub(crate) fn leave(&mut self, slot: u32) {
        self.accounts[slot].users -= 1;
        self.close(slot);
    }

    fn open(&mut self, top: &Role) -> u32 {
        if let Some(slot) = self.by_role.get(top) {
            return *slot;
        }
        let slot = self.accounts.insert(Account {
            role: top.clone(),
            ..Account::default()
        });
        self.by_role.insert(top.clone(), slot);
        slot
    }

    /// Forgets the account if nothing is left of it.
    fn close(&mut self, slot: u32) {
        let account = &self.accounts[slot];
        if account.users == 0 && !account.has_quota && account.reserved.is_zero() {
            assert!(account.firm.is_zero(), "a role left with resources");
            let account = self.accounts.remove(slot);
            self.by_role.swap_remove(&account.role);
        }
    }

    /// The account of a number.
    pub(crate) fn account(&self, slot: u32) -> &Account {
        &self.accounts[slot]
    }

    /// The account of a top-level role, if it has one.
    pub(crate) fn find(&self, top: &Role) -> Option<&Account> {
        self.by_role.get(top).map(|slot| &self.accounts[*slot])
    }

    /// Every account with a name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Role, &Account)> {
        self.accounts
            .iter()
            .map(|(_, account)| (&account.role, account))
    }

    /// Sets or drops a quota.
    pub(crate) fn set(
        &mut self,
        kinds: &mut Kinds,
        role: &Role,
        quota: Option<&Quota>,
    ) -> Result<(), Refused> {
        if role.as_str().contains('/') {
            return Err(Refused::NestedQuota(role.clone()));
        }
        let quota = quota.cloned().unwrap_or_default();
        for (name, guarantee) in quota.guarantees.iter() {
            if quota.limits.get(name).is_some_and(|most| *most < guarantee) {
                return Err(Refused::GuaranteeAboveLimit {
                    role: role.clone(),
                    name: name.clone(),
                });
            }
        }
        let limits = limits_by_position(kinds, role, &quota)?;
        let slot = self.open(role);
        let account = &mut self.accounts[slot];
        account.has_quota = quota != Quota::default();
        account.guarantees = kinds.amounts(&quota.guarantees);
        account.limits = limits;
        self.settle(slot);
        self.close(slot);
        Ok(())
    }

    /// Works out again what the account lacks, and with it the required headroom.
    fn settle(&mut self, slot: u32) {
        let account = &mut self.accounts[slot];
        if account.guarantees.is_zero() && account.lacking.is_zero() {
            return;
        }
        let mut lacking = Amounts::default();
        for (position, guarantee) in account.guarantees.iter() {
            let lack = guarantee
                .saturating_sub(account.consumed_at(position))
                .max(0);
            lacking.add_at(position, lack);
        }
        self.required.subtract(&account.lacking);
        self.required.add(&lacking);
        account.lacking = lacking;
    }

    /// Unreserved, regular resources were allocated in the role.
    pub(crate) fn charge(&mut self, slot: u32, firm: &Amounts) {
        self.accounts[slot].firm.add(firm);
        self.settle(slot);
    }

    /// And given back.
    pub(crate) fn discharge(&mut self, slot: u32, firm: &Amounts) {
        self.accounts[slot].firm.subtract(firm);
        self.settle(slot);
    }

    /// Resources came to the cluster: their reservations count from now on.
    pub(crate) fn reserve(&mut self, kinds: &mut Kinds, total: &Resources) {
        for (top, amounts) in reservations(kinds, total) {
            let slot = self.open(&top);
            self.accounts[slot].reserved.add(&amounts);
            self.settle(slot);
        }
    }

    /// Resources left the cluster, and their reservations with them.
    pub(crate) fn unreserve(&mut self, kinds: &mut Kinds, total: &Resources) {
        for (top, amounts) in reservations(kinds, total) {
            let slot = self.open(&top);
            self.accounts[slot].reserved.subtract(&amounts);
            self.settle(slot);
            self.close(slot);
        }
    }

    /// Compares what is lacking with a recount.
    pub(crate) fn audit_required(&self) -> Result<(), String> {
        let mut required = Amounts::default();
        for (_, account) in self.accounts.iter() {
            for (position, guarantee) in account.guarantees.iter() {
                let lack = guarantee
                    .saturating_sub(account.consumed_at(position))
                    .max(0);
                required.add_at(position, lack);
            }
        }
        if required == self.required {
            Ok(())
        } else {
            Err(format!("{required:?} is lacking, not {:?}", self.required))
        }
    }

    /// Whether any role has a quota.
    pub(crate) fn is_any_set(&self) -> bool {
        self.accounts.iter().any(|(_, account)| account.has_quota)
    }

    /// Whether some role lacks something to its guarantee.
    pub(crate) fn has_lack(&self) -> bool {
        !self.required.is_zero()
    }

    /// The most of `position` that a role may get from what is free: what it lacks, and what nobody does.
    pub(crate) fn allowed(&self, account: &Account, position: usize) -> i64 {
        let left = account.left_to_limit(position);
        let free = self.free.at(position);
        let surplus = free.saturating_sub(self.required.at(position));
        let lack = account.lacking.at(position);
        left.min(lack.saturating_add(surplus.max(0)))
    }

    /// Whether of `all` the role may not have all that is `firm`, and if so, what is `left` of it then.
    pub(crate) fn cuts(
        &self,
        account: &Account,
        all: &Amounts,
        firm: &Amounts,
        left: &mut Amounts,
    ) -> bool {
        if account.limits.is_empty() && !self.has_lack() {
            return false;
        }
        left.copy_from(all);
        let mut any = false;
        for (position, amount) in firm.iter() {
            let mut most = self.allowed(account, position);
            if amount > most {
                most = most.max(0);
                if position == GPUS_AT {
                    most -= most % 1000;
                }
                left.add_at(position, most - amount);
                any = true;
            }
        }
        any
    }
}

fn limits_by_position(
    kinds: &mut Kinds,
    role: &Role,
    quota: &Quota,
) -> Result<Vec<(usize, i64)>, Refused> {
    let of = |(name, most): (&ResourceName, &Scalar)| {
        let position = kinds.position(name).ok_or_else(|| Refused::TooManyNames {
            role: role.clone(),
            name: name.clone(),
        })?;
        Ok((position, most.thousandths()))
    };
    quota.limits.iter().map(of).collect()
}

/// What of `resources` is reserved, by top-level role.
fn reservations(kinds: &mut Kinds, resources: &Resources) -> SmallVec<[(Role, Amounts); 2]> {
    reserved_by(kinds, resources.iter(), Role::top)
}

/// What of `resources` is reserved, by a role that follows from that of the innermost reservation.
pub(crate) fn reserved_by<'a>(
    kinds: &mut Kinds,
    resources: impl Iterator<Item = &'a Resource>,
    key: impl Fn(&Role) -> &str,
) -> SmallVec<[(Role, Amounts); 2]> {
    let mut sums: SmallVec<[(Role, Amounts); 2]> = SmallVec::new();
    for entry in resources {
        let Some(quantity) = entry.total_quantity() else {
            continue;
        };
        let Some(role) = entry.reservation_role() else {
            continue;
        };
        let Some(position) = kinds.position(entry.name()) else {
            continue;
        };
        let key = key(role);
        let at = match sums.iter().position(|(known, _)| known.as_str() == key) {
            Some(at) => at,
            None => {
                let key = if key == role.as_str() {
                    role.clone()
                } else {
                    Role::from(key)
                };
                sums.push((key, Amounts::default()));
                sums.len() - 1
            }
        };
        sums[at].1.add_at(position, quantity.thousandths());
    }
    sums
}
