//! Who waits for much should not be kept from it by crumbs.

use crate::agent::Agent;
use crate::policy::{Score, Standings};
use crate::sorter::Client;

/// The agents that fit the largest wishes first, and on them those who have these wishes.
pub(crate) struct LargestDemand;

impl Score for LargestDemand {
    fn of_agent(&self, agent: &Agent, standings: &Standings) -> f64 {
        let mut wishes = standings.wishes.iter();
        let largest = wishes.find(|wanted| wanted.is_in(&agent.free));
        largest.map_or(0.0, |wanted| standings.size(&wanted.amounts))
    }

    fn looks_at_wishes(&self) -> bool {
        true
    }

    fn ranks_clients(&self) -> bool {
        true
    }

    fn of_client(&self, agent: &Agent, client: &Client, standings: &Standings) -> f64 {
        match client.wish() {
            Some(wanted) if wanted.is_in(&agent.free) => standings.size(&wanted.amounts),
            _ => 0.0,
        }
    }
}
