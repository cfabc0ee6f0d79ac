//! What only operators look at: how roles fare with offers.
//!
//! Nothing here decides anything, so that it is asked for between steps instead of being told as
//! changes: the work is proportional to roles, and done as often as the node likes.

use meseta_allocator::{LastRun, RoleOffers, Starving};
use meseta_model::step::Now;

use crate::master::Master;

impl Master {
    /// The last look at agents with something free; `None` unless this master leads.
    #[must_use]
    pub fn last_run(&self) -> Option<LastRun> {
        Some(self.reign()?.allocator.last_run())
    }

    /// How each role in use fares, by name; none unless this master leads.
    pub fn role_offers(&mut self, now: Now) -> Vec<RoleOffers> {
        let reign = self.reign_mut();
        reign.map_or_else(Vec::new, |reign| reign.allocator.role_offers(now.mono_us))
    }

    /// Roles that have begun to starve since this was last asked.
    pub fn take_starving(&mut self, now: Now) -> Vec<Starving> {
        let reign = self.reign_mut();
        reign.map_or_else(Vec::new, |reign| reign.allocator.take_starving(now.mono_us))
    }
}
