//! `/slaves`: every agent, or the one that `slave_id` names.

use super::{document, slave};
use crate::query::Query;
use crate::read::{Agent, MasterRead};

pub(crate) fn slaves(read: &MasterRead, query: &Query) -> String {
    let wanted = query.get("slave_id");
    let asked = |agent: &&Agent| {
        let id = agent.view.info.id.as_ref();
        wanted.is_none_or(|wanted| id.is_some_and(|id| id.value == wanted))
    };
    let agents = || read.agents.iter().map(|agent| &**agent).filter(asked);
    document(|o| {
        o.list("slaves", |l| {
            for agent in agents().filter(|agent| !agent.view.recovered) {
                l.object(|o| {
                    slave::slave(o, agent);
                    slave::in_full(o, agent);
                });
            }
        });
        o.list("recovered_slaves", |l| {
            for agent in agents().filter(|agent| agent.view.recovered) {
                l.object(|o| slave::description(o, &agent.view.info));
            }
        });
    })
}
