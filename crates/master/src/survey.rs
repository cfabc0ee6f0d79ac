//! What a master has in its books, as those who put its deltas together must see it.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1::TaskState;

use crate::master::Reign;

/// The books of a leading master without their details. For tests and the simulator: a read model that
/// was put together from [`Delta`](crate::view::Delta)s alone must come to the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Registered agents: what each has, and whether it is active.
    pub agents: BTreeMap<AgentId, (Resources, bool)>,
    /// Tasks that are not over, or whose end is not acknowledged: where, and the newest state.
    pub tasks: BTreeMap<(FrameworkId, TaskId), (AgentId, TaskState)>,
    /// Tasks on agents that stopped answering.
    pub unreachable: BTreeSet<(FrameworkId, TaskId)>,
    /// Executors, by where they are and whose.
    pub executors: BTreeSet<(AgentId, FrameworkId, ExecutorId)>,
    /// Standing offers: of which agent.
    pub offers: BTreeMap<OfferId, AgentId>,
    /// Frameworks that are not removed, and whether each is connected.
    pub frameworks: BTreeMap<FrameworkId, bool>,
}

impl Reign {
    /// Work is proportional to the cluster.
    pub(crate) fn survey(&self) -> Survey {
        let frameworks = self.frameworks.registered.values();
        let tasks = frameworks.clone().flat_map(|framework| {
            let rows = framework.tasks.iter();
            rows.map(|(id, task)| {
                let key = (framework.id.clone(), id.clone());
                (key, (task.agent.clone(), task.state))
            })
        });
        let unreachable = frameworks.clone().flat_map(|framework| {
            let ids = framework.unreachable.keys();
            ids.map(|id| (framework.id.clone(), id.clone()))
        });
        let agents = self.agents.registered.iter();
        let executors = agents.clone().flat_map(|(agent, row)| {
            row.executors
                .iter()
                .flat_map(move |(framework, executors)| {
                    let ids = executors.keys();
                    ids.map(move |id| (agent.clone(), framework.clone(), id.clone()))
                })
        });
        let offers = self.offers.iter();
        Survey {
            agents: agents
                .map(|(id, agent)| (id.clone(), (agent.total.clone(), agent.active)))
                .collect(),
            tasks: tasks.collect(),
            unreachable: unreachable.collect(),
            executors: executors.collect(),
            offers: offers
                .map(|(id, offer)| (id.clone(), offer.agent.clone()))
                .collect(),
            frameworks: frameworks
                .map(|framework| (framework.id.clone(), framework.connection.is_some()))
                .collect(),
        }
    }
}
