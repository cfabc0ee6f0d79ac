//! Machines with something scarce are kept for those who need it, without being hidden from others.

use crate::agent::Agent;
use crate::policy::{Score, Standings};
use crate::shape::GPUS;
use crate::sorter::Client;

/// Agents with scarce resources come last, so that others find enough before; on them, those who need
/// what is scarce come first.
///
/// A framework needs something scarce if its wish or one of its minimums names it. `gpus` it needs as
/// well if it has the capability for them.
pub(crate) struct Scarce;

impl Score for Scarce {
    fn of_agent(&self, agent: &Agent, standings: &Standings) -> f64 {
        if standings.is_any_scarce(&agent.total.all) {
            -1.0
        } else {
            0.0
        }
    }

    fn ranks_clients(&self) -> bool {
        true
    }

    fn of_client(&self, agent: &Agent, client: &Client, standings: &Standings) -> f64 {
        let free = &agent.free.all;
        if !standings.is_any_scarce(free) {
            return 0.0;
        }
        let minimums = client.terms.as_ref().and_then(|t| t.minimums.as_deref());
        let mut named = client.wish().into_iter().chain(minimums.unwrap_or(&[]));
        let knows_gpus = client.met & GPUS != 0 && standings.has_scarce_gpus(free);
        if knows_gpus || named.any(|wanted| standings.is_any_scarce(&wanted.amounts)) {
            1.0
        } else {
            0.0
        }
    }
}
