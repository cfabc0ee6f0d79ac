//! Some agents are only for frameworks that know what they are; some resources too.

use crate::explain::Reason;
use crate::policy::{Asked, Filter};
use crate::shape::{GPUS, REMOTE};

/// Agents with gpus, agents of other regions, and resources that nobody told the framework about.
pub(crate) struct Capability;

impl Filter for Capability {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Reason> {
        let unmet = asked.agent.needs & !asked.client.met;
        if unmet & GPUS != 0 {
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
