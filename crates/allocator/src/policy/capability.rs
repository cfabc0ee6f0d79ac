//! Some agents are only for frameworks that know what they are; some resources too.

use crate::explain::Reason;
use crate::policy::{Asked, Filter};
use crate::shape::{GPUS, ONE_ROLE, REMOTE};

/// Agents that know no roles, agents with gpus, agents of other regions, and resources that nobody told the framework about.
pub(crate) struct Capability;

impl Filter for Capability {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Reason> {
        let unmet = asked.agent.needs & !asked.client.met;
        if unmet & ONE_ROLE != 0 {
            Err(Reason::OneRoleAgent)
        } else if unmet & GPUS != 0 {
            Err(Reason::NeedsGpus)
        } else if unmet & REMOTE != 0 {
            Err(Reason::OtherRegion)
        } else if asked.shape.is_empty() {
            Err(Reason::NotUnderstood)
        } else {
            Ok(())
        }
    }
}
