//! What an operator decides once, at start.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::resources::{Quantities, ResourceName, Scalar};
use meseta_model::roles::Role;

use crate::policy::Scoring;

/// The order in which roles, or the frameworks of a role, come to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SorterKind {
    /// Dominant Resource Fairness: the lowest weighted dominant share first; ties by how often
    /// something was allocated, then by name.
    #[default]
    Drf,
    /// A weighted random order, drawn anew for every agent.
    Random,
}

/// Settings of the whole allocator.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `--allocation_interval`, microseconds, above zero: what a framework gave back itself is kept
    /// from it for at least this long, and while something lies unoffered every agent is looked at
    /// this often.
    pub allocation_interval_us: u64,
    /// What changes within this many microseconds is answered by one run. Zero is allowed.
    pub window_us: u64,
    /// `--min_allocatable_resources`: an offer must reach one of these. Empty: every offer may go out.
    pub min_allocatable: Vec<Quantities>,
    /// `--filter_gpu_resources`: agents with gpus are for frameworks that know gpus.
    pub filter_gpus: bool,
    /// `--role_sorter`.
    pub role_sorter: SorterKind,
    /// `--framework_sorter`.
    pub framework_sorter: SorterKind,
    /// `--weights`: what [`crate::Allocator::set_weight`] would say at the start; each a finite number
    /// above zero.
    pub weights: BTreeMap<Role, f64>,
    /// `--fair_sharing_excluded_resource_names`: these do not count in shares.
    pub fair_sharing_excluded: BTreeSet<ResourceName>,
    /// `--allocator_agent_recovery_factor`, 0 to 1: see [`crate::Allocator::await_agents`].
    pub recovery_factor: f64,
    /// `--allocator_recovery_timeout`, microseconds: see [`crate::Allocator::await_agents`].
    pub recovery_timeout_us: u64,
    /// The region of the master's own `--domain`; agents of another region are remote.
    pub region: Option<String>,
    /// Beyond Mesos: in which order agents are given away, and who comes first on them; of several
    /// scores, the next decides where the one before sees no difference. None: random order, and
    /// fairness alone.
    ///
    /// A look at all agents is put in order as a whole, unless `largest_demand` would have to compare more
    /// than [`crate::limits::PAIRS_PER_RUN`] pairs of an agent and a wish: then each run of it is put in
    /// order for itself. Agents that changed within one window are put in order among themselves: what
    /// is freed goes out at once, whether or not another agent would be better.
    pub scores: Vec<Scoring>,
    /// What the score `scarce` keeps for those who need it.
    pub scarce: BTreeSet<ResourceName>,
    /// Beyond Mesos: what is reserved for a role and held by nobody counts in the share of the role and
    /// of those above it, so that nobody gains by reserving what he does not use.
    pub charge_reservations: bool,
    /// Beyond Mesos: a framework that keeps refusing is asked less often. Its refusals in a role last
    /// twice as long each time in a row, at most this many microseconds unless it says longer itself,
    /// until it uses something or revives. `None`: they last as long as it says.
    pub longest_refusal_us: Option<u64>,
    /// After this many microseconds without an offer, a role that wants offers is reported as
    /// starving: [`crate::Allocator::take_starving`].
    pub starvation_us: u64,
}

impl Default for Config {
    /// Mesos's defaults: 1 s, `cpus:0.01|mem:32`, gpus filtered, DRF for both, 80 % of the agents or
    /// 10 min after a failover; and a window of 2 ms.
    fn default() -> Self {
        let least = |name, thousandths| {
            [(name, Scalar::from_thousandths(thousandths))]
                .into_iter()
                .collect()
        };
        Self {
            allocation_interval_us: 1_000_000,
            window_us: 2_000,
            min_allocatable: vec![
                least(ResourceName::Cpus, 10),
                least(ResourceName::Mem, 32_000),
            ],
            filter_gpus: true,
            role_sorter: SorterKind::Drf,
            framework_sorter: SorterKind::Drf,
            weights: BTreeMap::new(),
            fair_sharing_excluded: BTreeSet::new(),
            recovery_factor: 0.8,
            recovery_timeout_us: 600_000_000,
            region: None,
            scores: Vec::new(),
            scarce: BTreeSet::from([ResourceName::Gpus]),
            charge_reservations: false,
            longest_refusal_us: None,
            starvation_us: 300_000_000,
        }
    }
}

/// Why a [`Config`] makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadConfig {
    /// Would never rest.
    #[error("allocation_interval must be above zero")]
    AllocationInterval,
    /// Not a part of a whole.
    #[error("allocator_agent_recovery_factor must be between 0 and 1")]
    RecoveryFactor,
    /// A share is divided by it.
    #[error("the weight of role '{0}' must be above zero")]
    Weight(Role),
}

impl Config {
    /// Refuses settings that make no sense, in the words of the flag.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<(), BadConfig> {
        if self.allocation_interval_us == 0 {
            return Err(BadConfig::AllocationInterval);
        }
        if !(0.0..=1.0).contains(&self.recovery_factor) {
            return Err(BadConfig::RecoveryFactor);
        }
        let is_bad = |weight: f64| !weight.is_finite() || weight <= 0.0;
        let mut weights = self.weights.iter();
        match weights.find(|(_, weight)| is_bad(**weight)) {
            Some((role, _)) => Err(BadConfig::Weight(role.clone())),
            None => Ok(()),
        }
    }
}
