//! What operators set while the cluster runs.

use meseta_model::roles::Role;

use crate::Allocator;
use crate::profile::{Quota, Refused};

impl Allocator {
    /// The share that a role, with all below it, is entitled to against its siblings; 1 by default.
    ///
    /// # Errors
    /// [`Refused::BadWeight`] unless it is a finite number above zero.
    pub fn set_weight(&mut self, now_us: u64, role: &Role, weight: f64) -> Result<(), Refused> {
        if !weight.is_finite() || weight <= 0.0 {
            return Err(Refused::BadWeight {
                role: role.clone(),
                weight,
            });
        }
        self.sorter.set_weight(role, weight);
        self.touch_all(now_us);
        Ok(())
    }

    /// What a top-level role is promised and may have; without a quota, nothing and everything.
    ///
    /// # Errors
    /// [`Refused::NestedQuota`], [`Refused::GuaranteeAboveLimit`], [`Refused::TooManyNames`].
    pub fn set_quota(
        &mut self,
        now_us: u64,
        role: &Role,
        quota: Option<&Quota>,
    ) -> Result<(), Refused> {
        self.quotas.set(&mut self.shapes.kinds, role, quota)?;
        self.note_quota(now_us);
        self.touch_all(now_us);
        Ok(())
    }
}
