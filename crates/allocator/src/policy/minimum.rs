//! Offers that are not worth making.

use crate::explain::Reason;
use crate::policy::{Asked, Filter};
use crate::visit::is_enough;

/// The client's own minimums, or else the cluster's.
pub(crate) struct Minimum;

impl Filter for Minimum {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Reason> {
        let terms = asked.client.terms.as_ref();
        let own = terms.and_then(|terms| terms.minimums.as_deref());
        if is_enough(own.unwrap_or(asked.minimums), &asked.shape.all) {
            Ok(())
        } else {
            Err(Reason::BelowMinimum)
        }
    }
}
