//! Offers that are not worth making.

use meseta_model::resources::{Quantities, ResourceName};

use crate::amounts::{Amounts, Kinds};
use crate::explain::Reason;
use crate::policy::{Asked, Filter};
use crate::shape::Shape;

/// The least that an offer must hold, or what somebody waits for.
///
/// Anybody may name anything here: only what an agent has gets a place among [`Kinds`].
#[derive(Debug, Clone)]
pub(crate) struct Least {
    /// What has a place there.
    pub(crate) amounts: Amounts,
    /// All of it, where it names what may have no place, or no quantity: numbers (ports) and items then
    /// count one each.
    counted: Option<Box<Quantities>>,
}

impl PartialEq for Least {
    /// Whether they ask for the same, however many of the names have a place.
    fn eq(&self, other: &Self) -> bool {
        self.counted == other.counted && (self.counted.is_some() || self.amounts == other.amounts)
    }
}

impl Least {
    pub(crate) fn new(kinds: &Kinds, least: &Quantities) -> Self {
        use ResourceName::{Cpus, Disk, Gpus, Mem};
        let is_scalar = |name: &ResourceName| matches!(name, Cpus | Disk | Gpus | Mem);
        let counted = !least.iter().all(|(name, _)| is_scalar(name));
        Self {
            amounts: kinds.known_amounts(least),
            counted: counted.then(|| Box::new(least.clone())),
        }
    }

    /// There are more places than there were.
    pub(crate) fn look_up(&mut self, kinds: &Kinds) {
        if let Some(counted) = &self.counted {
            self.amounts = kinds.known_amounts(counted);
        }
    }

    pub(crate) fn is_in(&self, shape: &Shape) -> bool {
        match &self.counted {
            None => shape.all.covers(&self.amounts),
            Some(counted) => shape.resources.contains_quantities(counted),
        }
    }
}

/// Whether it reaches one of the minimums; without any, everything does.
pub(crate) fn is_enough(minimums: &[Least], shape: &Shape) -> bool {
    minimums.is_empty() || minimums.iter().any(|least| least.is_in(shape))
}

/// Whether something of which this is left after a cut may reach one.
pub(crate) fn may_be_enough(minimums: &[Least], left: &Amounts) -> bool {
    let may_be = |least: &Least| least.counted.is_some() || left.covers(&least.amounts);
    minimums.is_empty() || minimums.iter().any(may_be)
}

/// The client's own minimums, or else the cluster's.
pub(crate) struct Minimum;

impl Filter for Minimum {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Reason> {
        let terms = asked.client.terms.as_ref();
        let own = terms.and_then(|terms| terms.minimums.as_deref());
        if is_enough(own.unwrap_or(asked.minimums), asked.shape) {
            Ok(())
        } else {
            Err(Reason::BelowMinimum)
        }
    }
}
