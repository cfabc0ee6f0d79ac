//! `/frameworks`: every framework, or the one that `framework_id` names.

use super::{completed, document, framework, live};
use crate::query::Query;
use crate::read::{FrameworkRead, MasterRead};

pub(crate) fn frameworks(read: &MasterRead, query: &Query) -> String {
    let wanted = query.get("framework_id");
    let asked =
        |known: &&FrameworkRead| wanted.is_none_or(|wanted| known.framework.id.as_str() == wanted);
    document(|o| {
        o.list("frameworks", |l| {
            for known in live(read).filter(asked) {
                l.object(|o| framework::full(o, known));
            }
        });
        o.list("completed_frameworks", |l| {
            for known in completed(read).filter(asked) {
                l.object(|o| framework::full(o, known));
            }
        });
        o.list("unregistered_frameworks", |_| {});
    })
}
