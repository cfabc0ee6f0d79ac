//! The members of the tree: roles, the frameworks in them, and how each stands.

use std::cmp::Ordering;

use meseta_model::ids::FrameworkId;
use meseta_model::roles::Role;

use crate::amounts::Amounts;
use crate::census::Hunger;
use crate::constraint::RoleConstraints;
use crate::policy::minimum::Least;
use crate::shape::Needs;

/// What decides who comes first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    /// Allocated now; shared resources once per agent. compat: in a role, those that are allocated in a
    /// role below it count once more.
    pub(crate) allocated: Amounts,
    /// How often something was allocated, ever.
    pub(crate) count: u64,
    /// The dominant share divided by the weight.
    pub(crate) share: f64,
}

/// What changes hands, as it counts in shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Burden {
    /// For the client.
    pub(crate) client: Amounts,
    /// For its role and those above: what is shared and another client of the role has on the same
    /// agent counts already.
    pub(crate) roles: Amounts,
}

impl Burden {
    /// Leaves what it is more than another.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.client.subtract(&other.client);
        self.roles.subtract(&other.roles);
    }
}

impl Standing {
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let by_share = self.share.total_cmp(&other.share);
        by_share.then(self.count.cmp(&other.count))
    }
}

/// What a framework asks of offers in one role, where it asks for anything.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Terms {
    /// Replaces the cluster's minimum.
    pub(crate) minimums: Option<Vec<Least>>,
    /// Which agents may be offered.
    pub(crate) constraints: Option<RoleConstraints>,
    /// What it waits for.
    pub(crate) wish: Option<Least>,
}

/// One framework in one role.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) framework: u32,
    pub(crate) framework_id: FrameworkId,
    pub(crate) role: u32,
    pub(crate) standing: Standing,
    /// Whether it wants offers: subscribed, not suppressed, its framework active.
    pub(crate) active: bool,
    /// Whether the framework is subscribed to the role; if not, it is here for what it still has.
    pub(crate) subscribed: bool,
    /// Whether it asked for quiet.
    pub(crate) suppressed: bool,
    /// On how many agents it has something.
    pub(crate) holdings: u32,
    /// What its framework understands.
    pub(crate) met: Needs,
    /// How often it refused in a row, and until when further refusals are part of the last one.
    pub(crate) refusals: (u32, u64),
    pub(crate) terms: Option<Box<Terms>>,
}

impl Client {
    /// What it waits for, if it said so.
    pub(crate) fn wish(&self) -> Option<&Least> {
        self.terms.as_ref()?.wish.as_ref()
    }
}

/// One role that somebody uses, or that has such roles below.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) role: Role,
    pub(crate) parent: u32,
    /// The account of its top-level role.
    pub(crate) account: u32,
    /// Whether the name has a slash.
    pub(crate) nested: bool,
    pub(super) weight: f64,
    /// Children, with or without clients that want offers.
    pub(super) children: u32,
    /// Clients of this very role, of any kind.
    pub(super) clients: u32,
    /// Clients here and below that want offers.
    pub(crate) active: u32,
    /// Children with such clients, and [`OWN`] if there are some here; in order.
    pub(crate) members: Vec<u32>,
    /// Clients of this very role that want offers; in order.
    pub(crate) queue: Vec<u32>,
    /// This role and all below.
    pub(crate) tree: Standing,
    /// This very role.
    pub(crate) own: Standing,
    /// Reserved for it and held by nobody, as far as that is charged to its share.
    pub(super) idle: Idle,
    /// How it fares with offers.
    pub(crate) hunger: Hunger,
}

/// Reservations that nobody holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Idle {
    /// For this role and all below.
    pub(crate) tree: Amounts,
    /// For this very role.
    pub(crate) own: Amounts,
}

impl Node {
    /// Reservations charged to it that nobody holds.
    pub(crate) fn idle(&self) -> &Idle {
        &self.idle
    }

    /// Whether a framework is subscribed to this very role, or has something in it.
    pub(crate) fn is_used(&self) -> bool {
        self.clients > 0
    }

    pub(super) fn new(role: Role, parent: u32, account: u32, weight: f64) -> Self {
        Self {
            nested: role.as_str().contains('/'),
            role,
            parent,
            account,
            weight,
            children: 0,
            clients: 0,
            active: 0,
            members: Vec::new(),
            queue: Vec::new(),
            tree: Standing::default(),
            own: Standing::default(),
            idle: Idle::default(),
            hunger: Hunger::default(),
        }
    }
}
