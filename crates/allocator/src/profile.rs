//! What the master says about frameworks, agents and roles, and what it is told.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{Quantities, ResourceName, Resources, Scalar};
use meseta_model::roles::Role;

use crate::constraint::{Attribute, RoleConstraints};

/// Framework capabilities that decide what may be offered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameworkCapabilities {
    /// `SHARED_RESOURCES`: shared volumes may be in its offers.
    pub shared_resources: bool,
    /// `REVOCABLE_RESOURCES`: revocable resources may be in its offers.
    pub revocable_resources: bool,
    /// `RESERVATION_REFINEMENT`: refined reservations may be in its offers.
    pub reservation_refinement: bool,
    /// `GPU_RESOURCES`: agents with gpus may be offered to it.
    pub gpu_resources: bool,
    /// `REGION_AWARE`: agents of other regions may be offered to it.
    pub region_aware: bool,
    /// `MULTI_ROLE`: only agents that know it too may be offered to it.
    pub multi_role: bool,
}

impl From<meseta_model::capabilities::FrameworkCapabilities> for FrameworkCapabilities {
    fn from(all: meseta_model::capabilities::FrameworkCapabilities) -> Self {
        let mut known = Self::default();
        for capability in all.iter() {
            match capability.as_str_name() {
                "SHARED_RESOURCES" => known.shared_resources = true,
                "REVOCABLE_RESOURCES" => known.revocable_resources = true,
                "RESERVATION_REFINEMENT" => known.reservation_refinement = true,
                "GPU_RESOURCES" => known.gpu_resources = true,
                "REGION_AWARE" => known.region_aware = true,
                "MULTI_ROLE" => known.multi_role = true,
                _ => {}
            }
        }
        known
    }
}

/// A framework, as far as offers go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameworkProfile {
    /// The roles it is subscribed to.
    pub roles: BTreeSet<Role>,
    /// Those of them that want no offers now; others are ignored.
    pub suppressed: BTreeSet<Role>,
    /// What it understands.
    pub capabilities: FrameworkCapabilities,
    /// `FrameworkInfo.offer_filters`: per role, an offer must reach one of these quantities; they
    /// replace [`crate::Config::min_allocatable`]. An empty list lets every offer through.
    pub min_allocatable: BTreeMap<Role, Vec<Quantities>>,
    /// `offer_constraints` by role: agents that do not match are not offered.
    pub offer_constraints: BTreeMap<Role, RoleConstraints>,
    /// Whether it is connected and wants offers at all.
    pub active: bool,
}

/// An agent, as far as offers go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgentProfile {
    /// All it has, reservations and volumes included, without allocation info.
    pub total: Resources,
    /// `HIERARCHICAL_ROLE`: its resources may go to roles with a slash.
    pub hierarchical_role: bool,
    /// `MULTI_ROLE`: it knows in which role something is allocated, without which it is not for
    /// frameworks of several roles (Mesos's agents before 1.2 lack it).
    pub multi_role: bool,
    /// Where and what it is.
    pub site: Site,
}

/// What whitelists, domains and offer constraints look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// The agent's host name.
    pub hostname: String,
    /// Its attributes, in the agent's order.
    pub attributes: Vec<Attribute>,
    /// Its region, if it has a domain.
    pub region: Option<String>,
    /// Its zone, if it has a domain.
    pub zone: Option<String>,
}

/// Something in use when an agent is added or tracked.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// By whom; it may subscribe later.
    pub framework: FrameworkId,
    /// In which of its roles.
    pub role: Role,
    /// What, without allocation info.
    pub resources: Resources,
}

/// How a framework gave something back itself: it is kept from that framework and role for
/// `max(seconds, allocation_interval)`, unless more than this comes up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusal {
    /// `refuse_seconds`; 5 when unset (the caller's job), negative or not a number is 5, more than a
    /// year is a year.
    pub seconds: f64,
}

/// What a top-level role, with all roles below it, is promised and may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// Kept free for the role as long as it has less. Must not exceed the limits.
    pub guarantees: Quantities,
    /// The most the role may have; a name that is absent is not limited, zero is a limit.
    pub limits: BTreeMap<ResourceName, Scalar>,
}

/// Maintenance: when an agent is planned to be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailability {
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds; absent: until further notice.
    pub duration_ns: Option<u64>,
}

/// Something to be offered: it counts as allocated from now until it is recovered.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// To whom.
    pub framework: FrameworkId,
    /// In which role; the master stamps it into the allocation info.
    pub role: Role,
    /// Where.
    pub agent: AgentId,
    /// What, without allocation info.
    pub resources: Resources,
}

/// A framework to be asked to leave an agent: it counts as asked until it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InverseGrant {
    /// Whom.
    pub framework: FrameworkId,
    /// Where.
    pub agent: AgentId,
    /// When the agent is planned to be away.
    pub unavailability: Unavailability,
}

/// What a framework said about an inverse offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InverseAnswer {
    /// It will leave in time, as far as it can.
    Accepted,
    /// It will not.
    Declined,
}

/// Why the allocator does not take a setting.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// A weight must be a finite number above zero.
    #[error("the weight of role '{role}' must be above zero, not {weight}")]
    BadWeight {
        /// Whose.
        role: Role,
        /// What was asked for.
        weight: f64,
    },
    /// Quota on a role below another one.
    #[error("quota can only be set on top-level roles, not on '{0}'")]
    NestedQuota(Role),
    /// A guarantee above the limit of the same name.
    #[error("the guarantee of {name} for role '{role}' exceeds its limit")]
    GuaranteeAboveLimit {
        /// Whose quota.
        role: Role,
        /// Which resource.
        name: ResourceName,
    },
    /// More names of resources than [`crate::limits::KINDS`].
    #[error("too many names of resources to limit {name} for role '{role}'")]
    TooManyNames {
        /// Whose quota.
        role: Role,
        /// Which resource.
        name: ResourceName,
    },
    /// An agent that is not there.
    #[error("agent {0} is not known")]
    UnknownAgent(AgentId),
    /// What the agent has free does not cover it.
    #[error("agent {0} does not have these resources free")]
    NotAvailable(AgentId),
    /// Oversubscribed resources that are not revocable.
    #[error("oversubscribed resources must be revocable")]
    NotRevocable,
    /// An expression that does not compile.
    #[error("Failed to construct regex from pattern '{expression}': {reason}")]
    BadExpression {
        /// As given.
        expression: String,
        /// What the compiler says.
        reason: String,
    },
    /// An expression beyond [`crate::PatternLimits::max_program_size`].
    #[error(
        "Regex '{expression}' is too complex: program size of {size} is larger than maximum of {most} \
         allowed"
    )]
    ComplexExpression {
        /// As given.
        expression: String,
        /// Instructions that it takes.
        size: usize,
        /// Instructions that it may take.
        most: usize,
    },
}
