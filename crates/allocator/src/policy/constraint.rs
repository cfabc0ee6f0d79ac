//! Agents that a framework does not want to hear of.

use crate::explain::Reason;
use crate::policy::{Asked, Filter};

/// The client's offer constraints.
pub(crate) struct Constraints;

impl Filter for Constraints {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Reason> {
        let terms = asked.client.terms.as_ref();
        let constraints = terms.and_then(|terms| terms.constraints.as_ref());
        if constraints.is_none_or(|constraints| constraints.matches(&asked.agent.site)) {
            Ok(())
        } else {
            Err(Reason::Constraints)
        }
    }
}
