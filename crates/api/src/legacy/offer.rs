//! Offers, as the master's `/state` and `/frameworks` show them.

use meseta_model::resources::Resources;
use meseta_proto::mesos::v1;

use super::totals;
use crate::json::Object;

/// The fields of one offer.
pub(crate) fn offer(o: &mut Object<'_>, offer: &v1::Offer) {
    o.text("id", &offer.id.value);
    o.text("framework_id", &offer.framework_id.value);
    if let Some(allocation) = &offer.allocation_info {
        o.message("allocation_info", allocation);
    }
    o.text("slave_id", &offer.agent_id.value);
    let resources = Resources::from_wire(&offer.resources).unwrap_or_default();
    totals(o, "resources", &resources);
}
