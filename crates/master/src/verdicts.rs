//! What the master says of tasks on its own: statuses without uuid, that nobody acknowledges.

use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_model::units::Duration;
use meseta_proto::mesos::{internal, v1};
use v1::TaskState;
use v1::task_status::{Reason, Source};

use crate::turn::Turn;

/// What is said of one task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) state: TaskState,
    pub(crate) reason: Reason,
    pub(crate) text: String,
    /// Since when the agent is unreachable, nanoseconds since the Unix epoch.
    pub(crate) since_ns: Option<u64>,
}

impl Word {
    pub(crate) fn new(state: TaskState, reason: Reason, text: impl Into<String>) -> Self {
        Self {
            state,
            reason,
            text: text.into(),
            since_ns: None,
        }
    }

    /// The status that says it.
    pub(crate) fn update(
        self,
        turn: &Turn<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        agent: Option<&AgentId>,
    ) -> internal::StatusUpdate {
        let status = v1::TaskStatus {
            message: Some(self.text),
            reason: Some(self.reason as i32),
            unreachable_time: self.since_ns.map(|ns| v1::TimeInfo {
                nanoseconds: i64::try_from(ns).unwrap_or(i64::MAX),
            }),
            ..meseta_model::task::status(task, self.state, Source::Master, turn.now)
        };
        meseta_model::task::status_update(framework, agent, status, turn.now)
    }
}

/// Why an agent is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Pings had no answer.
    Pings,
    /// Its link broke, and it did not come back for so many microseconds.
    Disconnected(u64),
    /// It did not come back after the election, for so many microseconds.
    SinceElection(u64),
}

/// What becomes of all tasks of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// For frameworks with PARTITION_AWARE.
    aware: Word,
    /// For others.
    unaware: Word,
}

impl Verdict {
    /// The agent does not answer; it may come back.
    pub(crate) fn unreachable(silence: Silence, since_ns: u64) -> Self {
        let waited = |us: u64| {
            Duration::from_nanos(i64::try_from(us.saturating_mul(1_000)).unwrap_or(i64::MAX))
        };
        let text = match silence {
            Silence::Pings => "health check timed out".to_owned(),
            Silence::Disconnected(us) => {
                let waited = waited(us);
                format!("agent did not re-register within {waited} after disconnecting")
            }
            Silence::SinceElection(us) => {
                let waited = waited(us);
                format!("agent did not re-register within {waited} after master failover")
            }
        };
        let word = |state| Word {
            since_ns: Some(since_ns),
            ..Word::new(state, Reason::AgentRemoved, text.clone())
        };
        Self {
            aware: word(TaskState::TaskUnreachable),
            unaware: word(TaskState::TaskLost),
        }
    }

    /// The agent is no more. compat: LOST for every framework, partition-aware or not.
    pub(crate) fn removed(hostname: &str, why: &str) -> Self {
        let text = format!("Agent {hostname} removed: {why}");
        Self::for_all(Word::new(TaskState::TaskLost, Reason::AgentRemoved, text))
    }

    /// The agent's link broke, and the framework does not checkpoint. compat: LOST for every framework.
    pub(crate) fn disconnected(hostname: &str) -> Self {
        let text = format!("Agent {hostname} disconnected");
        Self::for_all(Word::new(
            TaskState::TaskLost,
            Reason::AgentDisconnected,
            text,
        ))
    }

    /// An operator declared the agent gone.
    pub(crate) fn gone() -> Self {
        let word = |state, reason| Word::new(state, reason, MARKED_GONE);
        Self {
            aware: word(
                TaskState::TaskGoneByOperator,
                Reason::AgentRemovedByOperator,
            ),
            unaware: word(TaskState::TaskLost, Reason::AgentRemoved),
        }
    }

    fn for_all(word: Word) -> Self {
        Self {
            aware: word.clone(),
            unaware: word,
        }
    }

    /// What frameworks of this kind hear.
    pub(crate) fn word(&self, partition_aware: bool) -> &Word {
        if partition_aware {
            &self.aware
        } else {
            &self.unaware
        }
    }

    /// Whether the tasks may be alive, and come back with their agent.
    pub(crate) fn may_return(&self) -> bool {
        self.aware.state == TaskState::TaskUnreachable
    }
}

/// What is said of, and to, an agent that was declared gone.
pub(crate) const MARKED_GONE: &str = "Agent has been marked gone";
