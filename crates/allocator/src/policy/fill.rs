//! Packing and spreading: the same measure, read from either end.

use crate::agent::Agent;
use crate::policy::{Score, Standings};

/// By how much of an agent is free: the part of its dominant resource.
pub(crate) enum Fill {
    /// Those with least free first.
    Fullest,
    /// Those with most free first.
    Emptiest,
}

impl Score for Fill {
    fn of_agent(&self, agent: &Agent, _standings: &Standings) -> f64 {
        let (total, free) = (&agent.total.all, &agent.free.all);
        let parts = total
            .iter()
            .map(|(position, all)| free.at(position) as f64 / all as f64);
        let free_part = parts.fold(0.0, f64::max);
        match self {
            Self::Fullest => -free_part,
            Self::Emptiest => free_part,
        }
    }
}
