//! The changes that a registry can see, and their bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::meseta::registry as wire;
use meseta_proto::mesos::v1;
use meseta_proto::{Limits, decode_within, encode};

use super::{Disconnected, FORMAT_VERSION, Unreadable};

/// What is read here a master wrote, and the registry of a large cluster is large.
pub(super) const TRUSTED: Limits = Limits {
    message_bytes: usize::MAX,
    element_bytes: usize::MAX,
};

/// A task on an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskRef {
    /// Where.
    pub agent: AgentId,
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub task: TaskId,
}

/// One change to the registry. What each means for the cluster is said at the variant of the same
/// name in `registry.proto`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Op {
    AgentAdmitted {
        info: Box<v1::AgentInfo>,
    },
    AgentUpdated {
        info: Box<v1::AgentInfo>,
    },
    AgentUnreachable {
        agent: AgentId,
        since_ns: u64,
    },
    AgentReachable {
        info: Box<v1::AgentInfo>,
    },
    AgentGone {
        agent: AgentId,
        since_ns: u64,
    },
    AgentRemoved {
        agent: AgentId,
    },
    FrameworkAdded {
        info: Box<v1::FrameworkInfo>,
    },
    FrameworkChanged {
        info: Box<v1::FrameworkInfo>,
    },
    FrameworkDisconnected {
        framework: FrameworkId,
        disconnected: Disconnected,
    },
    FrameworkRemoved {
        framework: FrameworkId,
    },
    DigestChanged {
        added: Vec<TaskRef>,
        removed: Vec<TaskRef>,
    },
    Pruned {
        unreachable: Vec<AgentId>,
        gone: Vec<AgentId>,
    },
}

impl Op {
    /// The bytes that go into the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&self.to_wire()).into()
    }

    fn to_wire(&self) -> wire::Op {
        let mut op = wire::Op {
            version: FORMAT_VERSION,
            ..wire::Op::default()
        };
        match self {
            Self::FrameworkAdded { info } => {
                let info = (**info).clone();
                op.framework_added = Some(wire::FrameworkAdded { info });
            }
            Self::FrameworkChanged { info } => {
                let info = (**info).clone();
                op.framework_changed = Some(wire::FrameworkChanged { info });
            }
            Self::FrameworkDisconnected {
                framework,
                disconnected,
            } => {
                op.framework_disconnected = Some(wire::FrameworkDisconnected {
                    framework_id: framework.to_wire(),
                    since_ns: disconnected.since_ns,
                    failover_timeout_ns: disconnected.failover_timeout_ns,
                });
            }
            Self::FrameworkRemoved { framework } => {
                let framework_id = framework.to_wire();
                op.framework_removed = Some(wire::FrameworkRemoved { framework_id });
            }
            Self::DigestChanged { added, removed } => {
                op.digest_changed = Some(wire::DigestChanged {
                    added: task_sets(added),
                    removed: task_sets(removed),
                });
            }
            Self::Pruned { unreachable, gone } => {
                op.pruned = Some(wire::Pruned {
                    unreachable: unreachable.iter().map(AgentId::to_wire).collect(),
                    gone: gone.iter().map(AgentId::to_wire).collect(),
                });
            }
            about_agent => about_agent.agent_to_wire(&mut op),
        }
        op
    }

    fn agent_to_wire(&self, op: &mut wire::Op) {
        match self {
            Self::AgentAdmitted { info } => {
                let info = (**info).clone();
                op.agent_admitted = Some(wire::AgentAdmitted { info });
            }
            Self::AgentUpdated { info } => {
                let info = (**info).clone();
                op.agent_updated = Some(wire::AgentUpdated { info });
            }
            Self::AgentUnreachable { agent, since_ns } => {
                op.agent_unreachable = Some(wire::AgentUnreachable {
                    agent_id: agent.to_wire(),
                    since_ns: *since_ns,
                });
            }
            Self::AgentReachable { info } => {
                let info = (**info).clone();
                op.agent_reachable = Some(wire::AgentReachable { info });
            }
            Self::AgentGone { agent, since_ns } => {
                op.agent_gone = Some(wire::AgentGone {
                    agent_id: agent.to_wire(),
                    since_ns: *since_ns,
                });
            }
            Self::AgentRemoved { agent } => {
                let agent_id = agent.to_wire();
                op.agent_removed = Some(wire::AgentRemoved { agent_id });
            }
            // `to_wire` writes all others; a variant that neither knows would fail the golden bytes.
            _ => {}
        }
    }

    /// Reads an op back.
    ///
    /// # Errors
    /// [`Unreadable`] says why these bytes are no op this master understands.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let op: wire::Op =
            decode_within(bytes, &TRUSTED).map_err(|e| Unreadable::Malformed(e.to_string()))?;
        if op.version > FORMAT_VERSION {
            let found = op.version;
            return Err(Unreadable::NewerFormat { found });
        }
        if let Some(agent) = Self::agent_from_wire(&op)? {
            return Ok(agent);
        }
        Self::other_from_wire(op)?.ok_or(Unreadable::UnknownOp)
    }

    fn agent_from_wire(op: &wire::Op) -> Result<Option<Self>, Unreadable> {
        Ok(Some(if let Some(wire) = &op.agent_admitted {
            let info = known_agent(&wire.info)?;
            Self::AgentAdmitted { info }
        } else if let Some(wire) = &op.agent_updated {
            let info = known_agent(&wire.info)?;
            Self::AgentUpdated { info }
        } else if let Some(wire) = &op.agent_reachable {
            let info = known_agent(&wire.info)?;
            Self::AgentReachable { info }
        } else if let Some(wire) = &op.agent_unreachable {
            Self::AgentUnreachable {
                agent: AgentId::from(&wire.agent_id),
                since_ns: wire.since_ns,
            }
        } else if let Some(wire) = &op.agent_gone {
            Self::AgentGone {
                agent: AgentId::from(&wire.agent_id),
                since_ns: wire.since_ns,
            }
        } else if let Some(wire) = &op.agent_removed {
            let agent = AgentId::from(&wire.agent_id);
            Self::AgentRemoved { agent }
        } else {
            return Ok(None);
        }))
    }

    fn other_from_wire(op: wire::Op) -> Result<Option<Self>, Unreadable> {
        Ok(Some(if let Some(wire) = op.framework_added {
            let info = known_framework(&wire.info)?;
            Self::FrameworkAdded { info }
        } else if let Some(wire) = op.framework_changed {
            let info = known_framework(&wire.info)?;
            Self::FrameworkChanged { info }
        } else if let Some(wire) = op.framework_disconnected {
            Self::FrameworkDisconnected {
                framework: FrameworkId::from(&wire.framework_id),
                disconnected: Disconnected {
                    since_ns: wire.since_ns,
                    failover_timeout_ns: wire.failover_timeout_ns,
                },
            }
        } else if let Some(wire) = op.framework_removed {
            let framework = FrameworkId::from(&wire.framework_id);
            Self::FrameworkRemoved { framework }
        } else if let Some(wire) = op.digest_changed {
            Self::DigestChanged {
                added: task_refs(&wire.added),
                removed: task_refs(&wire.removed),
            }
        } else if let Some(wire) = op.pruned {
            Self::Pruned {
                unreachable: wire.unreachable.iter().map(AgentId::from).collect(),
                gone: wire.gone.iter().map(AgentId::from).collect(),
            }
        } else {
            return Ok(None);
        }))
    }
}

/// An agent's description, sure to hold an id.
pub(super) fn known_agent(info: &v1::AgentInfo) -> Result<Box<v1::AgentInfo>, Unreadable> {
    if info.id.is_none() {
        return Err(Unreadable::Malformed("an agent without an id".to_owned()));
    }
    Ok(Box::new(info.clone()))
}

/// A framework's description, sure to hold an id.
pub(super) fn known_framework(
    info: &v1::FrameworkInfo,
) -> Result<Box<v1::FrameworkInfo>, Unreadable> {
    if info.id.is_none() {
        let reason = "a framework without an id".to_owned();
        return Err(Unreadable::Malformed(reason));
    }
    Ok(Box::new(info.clone()))
}

/// Groups tasks by agent and framework, in order.
pub(super) fn task_sets(tasks: &[TaskRef]) -> Vec<wire::TaskSet> {
    let mut sets: BTreeMap<(&AgentId, &FrameworkId), Vec<String>> = BTreeMap::new();
    for task in tasks {
        sets.entry((&task.agent, &task.framework))
            .or_default()
            .push(task.task.to_string());
    }
    sets.into_iter()
        .map(|((agent, framework), task_ids)| wire::TaskSet {
            agent_id: agent.to_wire(),
            framework_id: framework.to_wire(),
            task_ids,
        })
        .collect()
}

/// The opposite of [`task_sets`].
pub(super) fn task_refs(sets: &[wire::TaskSet]) -> Vec<TaskRef> {
    sets.iter()
        .flat_map(|set| {
            let agent = AgentId::from(&set.agent_id);
            let framework = FrameworkId::from(&set.framework_id);
            set.task_ids.iter().map(move |task| TaskRef {
                agent: agent.clone(),
                framework: framework.clone(),
                task: TaskId::from(task.as_str()),
            })
        })
        .collect()
}
