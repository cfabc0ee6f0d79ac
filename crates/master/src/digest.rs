//! The launch digest (design decision 7): what each agent must answer for, kept in the registry
//! without making a launch wait.
//!
//! What is sent to an agent is noted here and proposed in batches. A task that is over and
//! acknowledged before its batch leaves was never noted. Once the registry knows a task, its last
//! acknowledgement waits until the registry has forgotten it again: otherwise a new leader could expect
//! a task that the agent has forgotten, and declare a finished task lost.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::mesos::internal::StatusUpdateAcknowledgementMessage;

use crate::event::Timer;
use crate::limits::{DIGEST_BATCH_LIMIT, DIGEST_INTERVAL_US};
use crate::master::Reign;
use crate::proposals::Pending;
use crate::registry::{Op, TaskRef};
use crate::turn::Turn;
use crate::view::Counter;

/// Changes that the registry does not hold yet.
#[derive(Debug, Default)]
pub(crate) struct DigestBatch {
    added: BTreeSet<TaskRef>,
    removed: BTreeSet<TaskRef>,
    /// Acknowledgements that leave when the registry has forgotten the task.
    held: BTreeMap<TaskRef, StatusUpdateAcknowledgementMessage>,
    /// What is being written now; one batch at a time.
    in_flight: Option<(BTreeSet<TaskRef>, BTreeSet<TaskRef>)>,
    /// The timer of the next batch is set.
    scheduled: bool,
}

impl DigestBatch {
    /// Whether the registry holds this task, or is being told of it.
    fn is_known(&self, reign_knows: bool, task: &TaskRef) -> bool {
        let added_now = |(added, _): &(BTreeSet<TaskRef>, BTreeSet<TaskRef>)| added.contains(task);
        reign_knows || self.in_flight.as_ref().is_some_and(added_now)
    }

    /// Whether the framework has acknowledged this task's end, and only the registry is waited for.
    pub(crate) fn is_settled(&self, task: &TaskRef) -> bool {
        self.held.contains_key(task)
    }

    /// Forgets what an agent or framework that is removed had outstanding: the registry does too.
    pub(crate) fn forget(&mut self, gone: impl Fn(&TaskRef) -> bool) {
        self.added.retain(|task| !gone(task));
        self.removed.retain(|task| !gone(task));
        self.held.retain(|task, _| !gone(task));
    }
}

impl Reign {
    fn digest_has(&self, task: &TaskRef) -> bool {
        let key = (task.framework.clone(), task.task.clone());
        self.registry
            .digest(&task.agent)
            .is_some_and(|digest| digest.contains(&key))
    }

    /// A task is on its way to an agent, or was met there.
    ///
    /// Its id may have been used before on the same agent: an acknowledgement of that task that still
    /// waits leaves first.
    pub(crate) fn note_sent(&mut self, turn: &mut Turn<'_>, task: TaskRef) {
        if let Some(ack) = self.digest.held.remove(&task) {
            self.pass_on(turn, &task.agent, ack);
        }
        self.digest.removed.remove(&task);
        let removed_now = self
            .digest
            .in_flight
            .as_ref()
            .is_some_and(|(_, removed)| removed.contains(&task));
        if removed_now || !self.digest.is_known(self.digest_has(&task), &task) {
            self.digest.added.insert(task);
        }
        self.schedule_digest(turn);
    }

    /// A task is over and acknowledged: the acknowledgement leaves now, or when the registry has
    /// forgotten the task.
    pub(crate) fn acknowledge_last(
        &mut self,
        turn: &mut Turn<'_>,
        task: TaskRef,
        ack: StatusUpdateAcknowledgementMessage,
    ) {
        if self.note_over(turn, &task) {
            self.digest.held.insert(task, ack);
        } else {
            self.pass_on(turn, &task.agent, ack);
        }
    }

    /// A task is over and needs no answer any more. Says whether the registry must forget it first.
    pub(crate) fn note_over(&mut self, turn: &mut Turn<'_>, task: &TaskRef) -> bool {
        self.digest.added.remove(task);
        let known = self.digest.is_known(self.digest_has(task), task);
        if known {
            self.digest.removed.insert(task.clone());
            self.schedule_digest(turn);
        }
        known
    }

    fn pass_on(
        &mut self,
        turn: &mut Turn<'_>,
        agent: &AgentId,
        ack: StatusUpdateAcknowledgementMessage,
    ) {
        // An agent that is away repeats the update when it is back.
        if let Some(agent) = self.agents.connected(agent) {
            turn.send(&agent.pid, ack);
            turn.count(Counter::ValidStatusUpdateAcknowledgements);
        }
    }

    fn schedule_digest(&mut self, turn: &mut Turn<'_>) {
        let batch = &mut self.digest;
        let something = !batch.added.is_empty() || !batch.removed.is_empty();
        if something && !batch.scheduled && batch.in_flight.is_none() {
            batch.scheduled = true;
            turn.timer(Timer::Digest, DIGEST_INTERVAL_US);
        }
    }

    pub(crate) fn digest_due(&mut self, turn: &mut Turn<'_>) {
        let batch = &mut self.digest;
        batch.scheduled = false;
        if batch.in_flight.is_some() || (batch.added.is_empty() && batch.removed.is_empty()) {
            return;
        }
        let added = take_first(&mut batch.added, DIGEST_BATCH_LIMIT);
        let removed = take_first(&mut batch.removed, DIGEST_BATCH_LIMIT);
        let op = Op::DigestChanged {
            added: added.iter().cloned().collect(),
            removed: removed.iter().cloned().collect(),
        };
        batch.in_flight = Some((added, removed));
        self.propose(turn, &op, Pending::Digest);
    }

    pub(crate) fn digest_committed(&mut self, turn: &mut Turn<'_>, op: Op) {
        self.digest.in_flight = None;
        if let Op::DigestChanged { removed, .. } = op {
            for task in removed {
                if let Some(ack) = self.digest.held.remove(&task) {
                    self.pass_on(turn, &task.agent, ack);
                }
            }
        }
        self.schedule_digest(turn);
    }

    /// Nothing was written: the batch waits for the next one.
    pub(crate) fn digest_refused(&mut self, turn: &mut Turn<'_>) {
        if let Some((added, removed)) = self.digest.in_flight.take() {
            for task in added {
                // What ended meanwhile need not be written at all.
                if !self.digest.removed.remove(&task) {
                    self.digest.added.insert(task);
                } else if let Some(ack) = self.digest.held.remove(&task) {
                    self.pass_on(turn, &task.agent, ack);
                }
            }
            self.digest.removed.extend(removed);
        }
        self.schedule_digest(turn);
    }

    /// The tasks of this agent that the registry expects, but not `reported`.
    pub(crate) fn unaccounted(
        &self,
        agent: &AgentId,
        reported: &BTreeSet<(FrameworkId, TaskId)>,
    ) -> BTreeSet<(FrameworkId, TaskId)> {
        self.registry
            .digest(agent)
            .map(|digest| digest.difference(reported).cloned().collect())
            .unwrap_or_default()
    }
}

fn take_first(set: &mut BTreeSet<TaskRef>, limit: usize) -> BTreeSet<TaskRef> {
    if set.len() <= limit {
        return std::mem::take(set);
    }
    let rest = set.iter().nth(limit).cloned();
    rest.map_or_else(BTreeSet::new, |rest| {
        let tail = set.split_off(&rest);
        std::mem::replace(set, tail)
    })
}
