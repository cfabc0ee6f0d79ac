//! Where policies plug in: [`Filter`] says whether a client may be offered something, [`Score`] says
//! which agents are given away first and who comes first on them.
//!
//! A new policy is one file in this folder and one line in [`FILTERS`] or [`SCORES`]. Both traits see
//! an agent and a client as the allocator keeps them, change nothing, and must answer the same for the
//! same state. They stand in the inner loop: a filter is called for each pair of agent and client that
//! comes into question, and must not allocate.

mod capability;
mod constraint;
mod fill;
mod largest_demand;
pub(crate) mod minimum;
mod scarce;

use std::collections::BTreeSet;
use std::fmt;

use meseta_model::resources::ResourceName;

use crate::agent::Agent;
use crate::amounts::{Amounts, GPUS_AT, Kinds};
use crate::explain::Reason;
use crate::shape::Shape;
use crate::sorter::{Client, Sorter};

/// A question: may this client be offered this on that agent?
pub(crate) struct Asked<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) client: &'a Client,
    /// What it would be offered: within quota, and no more than its framework understands.
    pub(crate) shape: &'a Shape,
    /// The cluster's minimums.
    pub(crate) minimums: &'a [minimum::Least],
}

/// Says no to single offers.
pub(crate) trait Filter: Sync {
    /// Whether the offer may be made.
    ///
    /// # Errors
    /// The reason why not, as [`crate::Allocator::explain`] shows it.
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Reason>;
}

/// Orders agents within a run, and clients on an agent.
pub(crate) trait Score: Sync {
    /// What the agent is worth: those with more are given away first, equals in random order.
    fn of_agent(&self, agent: &Agent, standings: &Standings) -> f64;

    /// Whether [`Score::of_agent`] goes through [`Standings::wishes`], of which there may be many.
    fn looks_at_wishes(&self) -> bool {
        false
    }

    /// Whether [`Score::of_client`] is ever anything but zero.
    fn ranks_clients(&self) -> bool {
        false
    }

    /// What the client is worth on the agent: those with more than zero are asked before all others,
    /// those with most first; fairness orders the rest.
    fn of_client(&self, _agent: &Agent, _client: &Client, _standings: &Standings) -> f64 {
        0.0
    }
}

/// All filters, in the order in which they are asked. Refusals that stand are asked about before.
pub(crate) const FILTERS: &[(&str, &dyn Filter)] = &[
    ("capability", &capability::Capability),
    ("minimum", &minimum::Minimum),
    ("constraint", &constraint::Constraints),
];

/// All scores, by the names that operators give.
const SCORES: &[(&str, &dyn Score)] = &[
    ("pack", &fill::Fill::Fullest),
    ("spread", &fill::Fill::Emptiest),
    ("largest_demand", &largest_demand::LargestDemand),
    ("scarce", &scarce::Scarce),
];

/// One of the scores; see [`Scoring::named`].
#[derive(Clone, Copy)]
pub struct Scoring {
    name: &'static str,
    score: &'static dyn Score,
}

impl Scoring {
    /// The score of that name:
    ///
    /// - `pack`: agents with the least left of them first, so that crumbs are used up before whole
    ///   machines are touched;
    /// - `spread`: agents with the most left of them first;
    /// - `largest_demand`: agents that fit the largest wish first, and on them those with wishes that
    ///   fit, the largest first ([`crate::Allocator::set_wish`]);
    /// - `scarce`: agents with scarce resources ([`crate::Config::scarce`]) last, and on them those who
    ///   need what is scarce first. Nobody is kept from what they leave.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = SCORES.iter().find(|(known, _)| *known == name);
        found.map(|(name, score)| Self {
            name,
            score: *score,
        })
    }

    pub(crate) fn score(self) -> &'static dyn Score {
        self.score
    }

    /// The names of all scores.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCORES.iter().map(|(name, _)| *name)
    }
}

impl fmt::Debug for Scoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Scoring {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What scores compare with; the same for a whole run.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    /// What clients that want offers wait for, the largest first.
    pub(crate) wishes: Vec<minimum::Least>,
    /// A bit per position of what is scarce.
    scarce: u64,
    /// Everything in the cluster.
    totals: Amounts,
    /// How many names of resources there were.
    pub(crate) names: usize,
}

impl Standings {
    pub(crate) fn new(sorter: &Sorter, kinds: &Kinds, scarce: &BTreeSet<ResourceName>) -> Self {
        let is_scarce = |position: &usize| scarce.contains(kinds.name(*position));
        let scarce = (0..kinds.len()).filter(is_scarce);
        let mut standings = Self {
            wishes: Vec::new(),
            scarce: scarce.fold(0, |bits, position| bits | 1 << position),
            totals: sorter.totals().clone(),
            names: kinds.len(),
        };
        let active = sorter.clients().filter(|(_, client)| client.active);
        let wishes = active.filter_map(|(_, client)| client.wish());
        let sized = wishes.map(|wish| (standings.size(&wish.amounts), wish));
        let mut sized: Vec<(f64, &minimum::Least)> = sized.collect();
        sized.sort_by(|a, b| b.0.total_cmp(&a.0));
        standings.wishes = sized.into_iter().map(|(_, wish)| wish.clone()).collect();
        standings
    }

    /// The largest part of the cluster that it is of any resource.
    pub(crate) fn size(&self, wanted: &Amounts) -> f64 {
        let parts = wanted.iter().map(|(position, amount)| {
            let all = self.totals.at(position);
            amount as f64 / all.max(1) as f64
        });
        parts.fold(0.0, f64::max)
    }

    /// Whether anything scarce is in it.
    pub(crate) fn is_any_scarce(&self, amounts: &Amounts) -> bool {
        let mut amounts = amounts.iter();
        self.scarce != 0 && amounts.any(|(position, _)| self.scarce & (1 << position) != 0)
    }

    /// Whether there are gpus in it, and these are scarce.
    pub(crate) fn has_scarce_gpus(&self, amounts: &Amounts) -> bool {
        self.scarce & (1 << GPUS_AT) != 0 && amounts.at(GPUS_AT) > 0
    }
}
