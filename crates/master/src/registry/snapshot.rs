//! The bytes of a whole registry.

use std::collections::VecDeque;

use bytes::Bytes;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_proto::meseta::registry as wire;
use meseta_proto::{decode_within, encode};

use super::op::{TRUSTED, known_agent, known_framework, task_refs, task_sets};
use super::{
    AgentRecord, Digest, Disconnected, FORMAT_VERSION, FrameworkRecord, Registry, TaskRef,
    UnreachableRecord, Unreadable,
};

impl Registry {
    /// The whole registry as bytes; equal registries give equal bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let agents = self
            .agents
            .iter()
            .map(|(id, record)| wire::snapshot::Agent {
                info: record.info.clone(),
                digest: digest_sets(id, &record.digest),
            });
        let unreachable =
            self.unreachable
                .iter()
                .map(|(id, record)| wire::snapshot::UnreachableAgent {
                    agent_id: id.to_wire(),
                    since_ns: record.since_ns,
                    digest: digest_sets(id, &record.digest),
                });
        let gone = self
            .gone
            .iter()
            .map(|(id, since_ns)| wire::snapshot::GoneAgent {
                agent_id: id.to_wire(),
                since_ns: *since_ns,
            });
        let frameworks = self
            .frameworks
            .values()
            .map(|record| wire::snapshot::Framework {
                info: record.info.clone(),
                disconnected_since_ns: record.disconnected.map(|d| d.since_ns),
                failover_timeout_ns: record.disconnected.map(|d| d.failover_timeout_ns),
            });
        let snapshot = wire::Snapshot {
            version: FORMAT_VERSION,
            agents: agents.collect(),
            unreachable: unreachable.collect(),
            gone: gone.collect(),
            frameworks: frameworks.collect(),
            removed_frameworks: self
                .removed_frameworks
                .iter()
                .map(FrameworkId::to_wire)
                .collect(),
        };
        encode(&snapshot).into()
    }

    /// Reads a registry back.
    ///
    /// # Errors
    /// [`Unreadable`] says why these bytes are no registry this master understands.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let wire: wire::Snapshot =
            decode_within(bytes, &TRUSTED).map_err(|e| Unreadable::Malformed(e.to_string()))?;
        if wire.version > FORMAT_VERSION {
            let found = wire.version;
            return Err(Unreadable::NewerFormat { found });
        }
        let mut registry = Self::default();
        for agent in &wire.agents {
            let info = *known_agent(&agent.info)?;
            let digest = digest(&agent.digest);
            let id = super::agent_id(&info);
            registry.agents.insert(id, AgentRecord { info, digest });
        }
        for agent in &wire.unreachable {
            let record = UnreachableRecord {
                since_ns: agent.since_ns,
                digest: digest(&agent.digest),
            };
            registry
                .unreachable
                .insert(AgentId::from(&agent.agent_id), record);
        }
        for agent in &wire.gone {
            registry
                .gone
                .insert(AgentId::from(&agent.agent_id), agent.since_ns);
        }
        for framework in &wire.frameworks {
            let info = *known_framework(&framework.info)?;
            let disconnected = framework
                .disconnected_since_ns
                .map(|since_ns| Disconnected {
                    since_ns,
                    failover_timeout_ns: framework.failover_timeout_ns(),
                });
            let id = super::framework_id(&info);
            registry
                .frameworks
                .insert(id, FrameworkRecord { info, disconnected });
        }
        registry.removed_frameworks = wire
            .removed_frameworks
            .iter()
            .map(FrameworkId::from)
            .collect::<VecDeque<_>>();
        Ok(registry)
    }
}

fn digest_sets(agent: &AgentId, digest: &Digest) -> Vec<wire::TaskSet> {
    let tasks: Vec<TaskRef> = digest
        .iter()
        .map(|(framework, task)| TaskRef {
            agent: agent.clone(),
            framework: framework.clone(),
            task: task.clone(),
        })
        .collect();
    task_sets(&tasks)
}

fn digest(sets: &[wire::TaskSet]) -> Digest {
    task_refs(sets)
        .into_iter()
        .map(|task| (task.framework, task.task))
        .collect()
}
