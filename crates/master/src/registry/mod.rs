//! What of a master is replicated, and the one way to change it.
//!
//! A [`Registry`] is a function of the ops that were applied to it, in order: every master that
//! applied the same log holds the same registry, byte for byte ([`Registry::encode`]). Handlers
//! propose an [`Op`]; [`Registry::apply`] runs when it is committed, and nowhere else.
//!
//! It holds what a new leader must know before anyone tells it: which agents to expect, which are
//! unreachable or gone, which frameworks there are, and per agent the *digest*, the tasks that were
//! sent there and are not yet over and acknowledged. Everything else is learnt again from agents and
//! frameworks.

mod op;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::mesos::v1;

pub use op::{Op, TaskRef};

use crate::limits::REMOVED_FRAMEWORKS_LIMIT;

/// The version of ops and snapshots that this master writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The tasks that one agent must answer for.
pub type Digest = BTreeSet<(FrameworkId, TaskId)>;

/// An agent that may run tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRecord {
    /// As it last described itself, id included.
    pub info: v1::AgentInfo,
    /// What it must answer for.
    pub digest: Digest,
}

/// An agent that stopped answering and may come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachableRecord {
    /// Nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// What it must answer for when it comes back.
    pub digest: Digest,
}

/// A framework that was not removed.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkRecord {
    /// As it last described itself, id included.
    pub info: v1::FrameworkInfo,
    /// Set while it has no connection. A new leader grants the whole timeout anew; the record is for
    /// people who read a registry after an accident.
    pub disconnected: Option<Disconnected>,
}

/// Since when a framework is away, and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected {
    /// Nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// Nanoseconds from then on.
    pub failover_timeout_ns: u64,
}

/// Why an op does not apply to the state that it met. Nothing was changed; every master comes to the
/// same answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inapplicable {
    /// The agent is not among the admitted ones.
    #[error("agent {0} is not admitted")]
    AgentNotAdmitted(AgentId),
    /// The agent is among the admitted ones already.
    #[error("agent {0} is already admitted")]
    AgentAdmitted(AgentId),
    /// The agent was declared gone.
    #[error("agent {0} is gone")]
    AgentGone(AgentId),
    /// There is no such framework.
    #[error("framework {0} is unknown")]
    FrameworkUnknown(FrameworkId),
    /// There is such a framework already.
    #[error("framework {0} is already known")]
    FrameworkKnown(FrameworkId),
    /// The framework was removed.
    #[error("framework {0} was removed")]
    FrameworkRemoved(FrameworkId),
}

/// Why bytes are no op or snapshot that this master understands. A master that meets one must not
/// lead: it would act on half of the truth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not protobuf, or a required part is missing.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Written by a newer master.
    #[error("written in format {found}, this master reads formats up to {FORMAT_VERSION}")]
    NewerFormat {
        /// What stands in the record.
        found: u32,
    },
    /// A change this master does not know.
    #[error("a kind of change that this master does not know")]
    UnknownOp,
}

/// Everything replicated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registry {
    agents: BTreeMap<AgentId, AgentRecord>,
    unreachable: BTreeMap<AgentId, UnreachableRecord>,
    gone: BTreeMap<AgentId, u64>,
    frameworks: BTreeMap<FrameworkId, FrameworkRecord>,
    /// Oldest first, at most [`REMOVED_FRAMEWORKS_LIMIT`].
    removed_frameworks: VecDeque<FrameworkId>,
}

impl Registry {
    /// The admitted agents.
    #[must_use]
    pub fn agents(&self) -> &BTreeMap<AgentId, AgentRecord> {
        &self.agents
    }

    /// The agents that stopped answering.
    #[must_use]
    pub fn unreachable(&self) -> &BTreeMap<AgentId, UnreachableRecord> {
        &self.unreachable
    }

    /// The agents declared gone, with the time in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn gone(&self) -> &BTreeMap<AgentId, u64> {
        &self.gone
    }

    /// The frameworks that were not removed.
    #[must_use]
    pub fn frameworks(&self) -> &BTreeMap<FrameworkId, FrameworkRecord> {
        &self.frameworks
    }

    /// Whether the framework was removed, as far back as is remembered.
    #[must_use]
    pub fn is_removed_framework(&self, framework: &FrameworkId) -> bool {
        self.removed_frameworks.contains(framework)
    }

    /// What an agent must answer for, admitted or unreachable.
    #[must_use]
    pub fn digest(&self, agent: &AgentId) -> Option<&Digest> {
        self.agents
            .get(agent)
            .map(|record| &record.digest)
            .or_else(|| self.unreachable.get(agent).map(|record| &record.digest))
    }

    /// Makes one change, or refuses it and changes nothing.
    ///
    /// # Errors
    /// [`Inapplicable`] when the state that the op counts on is not there.
    pub fn apply(&mut self, op: &Op) -> Result<(), Inapplicable> {
        match op {
            Op::AgentAdmitted { info } => self.admit(info),
            Op::AgentUpdated { info } => {
                self.admitted(&agent_id(info))?.info = (**info).clone();
                Ok(())
            }
            Op::AgentUnreachable { agent, since_ns } => self.unreachable_now(agent, *since_ns),
            Op::AgentReachable { info } => self.reachable_again(info),
            Op::AgentGone { agent, since_ns } => self.gone_now(agent, *since_ns),
            Op::AgentRemoved { agent } => {
                self.admitted(agent)?;
                self.agents.remove(agent);
                Ok(())
            }
            Op::FrameworkAdded { info } => self.add_framework(info),
            Op::FrameworkChanged { info } => {
                let record = self.framework(&framework_id(info))?;
                record.info = (**info).clone();
                record.disconnected = None;
                Ok(())
            }
            Op::FrameworkDisconnected {
                framework,
                disconnected,
            } => {
                self.framework(framework)?.disconnected = Some(*disconnected);
                Ok(())
            }
            Op::FrameworkRemoved { framework } => self.remove_framework(framework),
            Op::DigestChanged { added, removed } => {
                self.change_digest(added, removed);
                Ok(())
            }
            Op::Pruned { unreachable, gone } => {
                unreachable.iter().for_each(|agent| {
                    self.unreachable.remove(agent);
                });
                gone.iter().for_each(|agent| {
                    self.gone.remove(agent);
                });
                Ok(())
            }
        }
    }

    fn admitted(&mut self, agent: &AgentId) -> Result<&mut AgentRecord, Inapplicable> {
        self.agents
            .get_mut(agent)
            .ok_or_else(|| Inapplicable::AgentNotAdmitted(agent.clone()))
    }

    fn framework(&mut self, id: &FrameworkId) -> Result<&mut FrameworkRecord, Inapplicable> {
        self.frameworks
            .get_mut(id)
            .ok_or_else(|| Inapplicable::FrameworkUnknown(id.clone()))
    }

    fn admit(&mut self, info: &v1::AgentInfo) -> Result<(), Inapplicable> {
        let id = agent_id(info);
        if self.gone.contains_key(&id) {
            return Err(Inapplicable::AgentGone(id));
        }
        if self.agents.contains_key(&id) {
            return Err(Inapplicable::AgentAdmitted(id));
        }
        let digest = Digest::new();
        let info = info.clone();
        self.agents.insert(id, AgentRecord { info, digest });
        Ok(())
    }

    fn unreachable_now(&mut self, agent: &AgentId, since_ns: u64) -> Result<(), Inapplicable> {
        self.admitted(agent)?;
        if let Some(AgentRecord { digest, .. }) = self.agents.remove(agent) {
            let record = UnreachableRecord { since_ns, digest };
            self.unreachable.insert(agent.clone(), record);
        }
        Ok(())
    }

    fn reachable_again(&mut self, info: &v1::AgentInfo) -> Result<(), Inapplicable> {
        self.admit(info)?;
        let id = agent_id(info);
        if let Some(UnreachableRecord { digest, .. }) = self.unreachable.remove(&id) {
            self.admitted(&id)?.digest = digest;
        }
        Ok(())
    }

    fn gone_now(&mut self, agent: &AgentId, since_ns: u64) -> Result<(), Inapplicable> {
        let known = self.agents.remove(agent).is_some() | self.unreachable.remove(agent).is_some();
        if !known {
            return Err(Inapplicable::AgentNotAdmitted(agent.clone()));
        }
        self.gone.insert(agent.clone(), since_ns);
        Ok(())
    }

    fn add_framework(&mut self, info: &v1::FrameworkInfo) -> Result<(), Inapplicable> {
        let id = framework_id(info);
        if self.is_removed_framework(&id) {
            return Err(Inapplicable::FrameworkRemoved(id));
        }
        if self.frameworks.contains_key(&id) {
            return Err(Inapplicable::FrameworkKnown(id));
        }
        let record = FrameworkRecord {
            info: info.clone(),
            disconnected: None,
        };
        self.frameworks.insert(id, record);
        Ok(())
    }

    fn remove_framework(&mut self, id: &FrameworkId) -> Result<(), Inapplicable> {
        self.framework(id)?;
        self.frameworks.remove(id);
        for digest in self.digests() {
            digest.retain(|(framework, _)| framework != id);
        }
        if self.removed_frameworks.len() >= REMOVED_FRAMEWORKS_LIMIT {
            self.removed_frameworks.pop_front();
        }
        self.removed_frameworks.push_back(id.clone());
        Ok(())
    }

    fn digests(&mut self) -> impl Iterator<Item = &mut Digest> {
        let admitted = self.agents.values_mut().map(|record| &mut record.digest);
        let unreachable = self.unreachable.values_mut();
        admitted.chain(unreachable.map(|record| &mut record.digest))
    }

    /// Tasks of agents that were removed meanwhile are nobody's business any more and left out.
    fn change_digest(&mut self, added: &[TaskRef], removed: &[TaskRef]) {
        for task in added {
            if !self.frameworks.contains_key(&task.framework) {
                continue;
            }
            if let Some(digest) = self.digest_mut(&task.agent) {
                digest.insert((task.framework.clone(), task.task.clone()));
            }
        }
        for task in removed {
            if let Some(digest) = self.digest_mut(&task.agent) {
                digest.remove(&(task.framework.clone(), task.task.clone()));
            }
        }
    }

    fn digest_mut(&mut self, agent: &AgentId) -> Option<&mut Digest> {
        match self.agents.get_mut(agent) {
            Some(record) => Some(&mut record.digest),
            None => self
                .unreachable
                .get_mut(agent)
                .map(|record| &mut record.digest),
        }
    }
}

/// The id of a record whose presence was checked when it was made or read.
fn agent_id(info: &v1::AgentInfo) -> AgentId {
    info.id
        .as_ref()
        .map_or_else(|| AgentId::new(""), AgentId::from)
}

/// The id of a record whose presence was checked when it was made or read.
fn framework_id(info: &v1::FrameworkInfo) -> FrameworkId {
    info.id
        .as_ref()
        .map_or_else(|| FrameworkId::new(""), FrameworkId::from)
}
