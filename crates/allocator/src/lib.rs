//! The `allocator` room: who is offered what.
//!
//! **What it is.** One plain struct, [`Allocator`], that is told what frameworks want and what agents
//! have, and that hands out [`Grant`]s: roles by Dominant Resource Fairness, then the frameworks of a
//! role, agent by agent in random order, first to meet guarantees, then the rest. What is granted counts
//! as allocated until it is given back with [`Allocator::recover`].
//!
//! **What it never does.** It reads no clock, draws from no generator but the one it is handed, knows no
//! wire type, connection or storage, and makes no offers: ids and their life are the master's. It does
//! not run by itself either: [`Allocator::next_wake`] says when [`Allocator::allocate`] should be called.
//!
//! **Where to start reading.** `cycle` makes a run of visits, `visit` decides on one agent, `policy` holds
//! what may be added to that; `wake` says when and for which agents; `sorter` keeps the shares; `quota`
//! keeps promises and limits; `filter` remembers refusals, and `wheel` when they end; `explain` makes a
//! visit to say why; `maintenance` asks frameworks to leave. The rest of the face is in `frameworks`,
//! `agents`, `ledger` (what is allocated), `settings`, `census` and `stats` (for operators).
//!
//! **Invariants.** What is allocated on an agent never exceeds what it has, unless the agent itself came
//! back with less. Shares, consumption and headroom equal a recount ([`Allocator::audit`]). Work follows
//! what changed: a run looks at the agents on which something changed since the last one, and when it
//! has run, looking at all others would grant nothing more, except where another role's quota was in
//! the way. The same calls in the same order give the same grants.

mod agent;
mod agents;
mod amounts;
mod audit;
mod census;
mod config;
mod constraint;
mod cycle;
mod explain;
mod filter;
mod frameworks;
mod ledger;
pub mod limits;
mod maintenance;
mod policy;
mod profile;
mod quota;
mod random;
mod settings;
mod shape;
mod slab;
mod sorter;
mod stats;
mod stock;
mod visit;
mod wake;
mod wheel;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use indexmap::IndexMap;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::Resources;

pub use census::{RoleOffers, Starving};
pub use config::{BadConfig, Config, SorterKind};
pub use constraint::{
    Attribute, Constraint, Pattern, PatternLimits, Predicate, RoleConstraints, Selector,
};
pub use explain::{Explanation, Reason};
pub use policy::Scoring;
pub use profile::{
    AgentProfile, FrameworkCapabilities, FrameworkProfile, Grant, InverseAnswer, InverseGrant,
    Quota, Refusal, Refused, Site, Unavailability, Used,
};
pub use stats::{Counts, LastRun, RoleShare};

use agent::Agent;
use cycle::Scratch;
use frameworks::Framework;
use maintenance::Maintenance;
use policy::minimum::Least;
use quota::Quotas;
use shape::{Shape, Shapes};
use slab::Slab;
use sorter::Sorter;
use wake::Wake;
use wheel::Wheel;

/// Hashes the same in every process, unlike the standard library's default.
pub(crate) type Digest = BuildHasherDefault<DefaultHasher>;

/// See the crate. All times are monotonic microseconds and never go back.
#[derive(Debug)]
pub struct Allocator {
    config: Config,
    /// [`Config::min_allocatable`] by position.
    minimums: Vec<Least>,
    /// Framework roles with minimums of their own.
    own_minimums: usize,
    shapes: Shapes,
    sorter: Sorter,
    quotas: Quotas,
    frameworks: Slab<Framework>,
    framework_slots: IndexMap<FrameworkId, u32, Digest>,
    agents: Slab<Agent>,
    agent_slots: IndexMap<AgentId, u32, Digest>,
    /// By agent and client: what is held there beyond what its holding can say; see [`stock`].
    again: BTreeMap<(u32, u32), Vec<Resources>>,
    wheel: Wheel,
    wake: Wake,
    maintenance: Maintenance,
    /// Host names, if only some agents may be offered.
    whitelist: Option<BTreeSet<String>>,
    /// Shared by all agents that have nothing free.
    nothing: Arc<Shape>,
    scratch: Scratch,
    /// Runs made so far.
    runs: u64,
    last_run: LastRun,
}

impl Allocator {
    /// An empty cluster.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut shapes = Shapes::default();
        let minimums = config
            .min_allocatable
            .iter()
            .map(|least| Least::new(&shapes.kinds, least))
            .collect();
        let nothing = shapes.make(Resources::new());
        let mut sorter = Sorter::new(config.fair_sharing_excluded.clone());
        for (role, weight) in &config.weights {
            sorter.set_weight(role, *weight);
        }
        Self {
            minimums,
            own_minimums: 0,
            shapes,
            sorter,
            quotas: Quotas::default(),
            frameworks: Slab::default(),
            framework_slots: IndexMap::default(),
            agents: Slab::default(),
            agent_slots: IndexMap::default(),
            again: BTreeMap::new(),
            wheel: Wheel::default(),
            wake: Wake::default(),
            maintenance: Maintenance::default(),
            whitelist: None,
            nothing,
            scratch: Scratch::default(),
            runs: 0,
            last_run: LastRun::default(),
            config,
        }
    }
}
