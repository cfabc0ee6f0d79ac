//! Planned absences, and the frameworks that are asked to leave before them.
//!
//! An inverse offer goes to every framework that has something on an agent that is planned to be away,
//! one at a time, and again when its answer has ended, as long as the framework stays. What is asked
//! for is the whole agent, as in Mesos. Nothing is taken by force: that is for operators.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::ids::{AgentId, FrameworkId};

use crate::Allocator;
use crate::ledger::refusal_us;
use crate::profile::{InverseAnswer, InverseGrant, Refusal, Refused, Unavailability};

/// One agent that is planned to be away.
#[derive(Debug)]
struct Absence {
    planned: Unavailability,
    /// Asked, and yet to answer.
    asked: BTreeSet<FrameworkId>,
    /// Who answered, and is asked again only then. Monotonic microseconds.
    quiet: BTreeMap<FrameworkId, u64>,
    answers: BTreeMap<FrameworkId, InverseAnswer>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    absences: BTreeMap<u32, Absence>,
    /// Agents to look at.
    dirty: BTreeSet<u32>,
    /// When somebody may be asked again.
    ends: BTreeSet<(u64, u32, FrameworkId)>,
}

impl Maintenance {
    /// When somebody is to be asked next; zero is now.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        if !self.dirty.is_empty() {
            return Some(0);
        }
        self.ends.first().map(|(end_us, _, _)| *end_us)
    }

    /// Somebody has something on this agent who may have had nothing before.
    pub(crate) fn touch(&mut self, agent: u32) {
        if self.absences.contains_key(&agent) {
            self.dirty.insert(agent);
        }
    }

    /// Somebody may be asked who could not be before.
    pub(crate) fn touch_all(&mut self) {
        self.dirty.extend(self.absences.keys());
    }

    /// The framework is to be asked anew everywhere.
    pub(crate) fn forget_quiet(&mut self, framework: &FrameworkId) {
        for absence in self.absences.values_mut() {
            absence.quiet.remove(framework);
        }
        self.ends.retain(|(_, _, other)| other != framework);
        self.touch_all();
    }

    /// The framework cannot answer any more.
    pub(crate) fn disconnect(&mut self, framework: &FrameworkId) {
        for absence in self.absences.values_mut() {
            absence.asked.remove(framework);
        }
        self.forget_quiet(framework);
    }

    /// The framework is gone for good.
    pub(crate) fn forget_framework(&mut self, framework: &FrameworkId) {
        self.disconnect(framework);
        for absence in self.absences.values_mut() {
            absence.answers.remove(framework);
        }
    }

    /// The agent is gone, or stays after all.
    pub(crate) fn forget_agent(&mut self, agent: u32) {
        self.absences.remove(&agent);
        self.dirty.remove(&agent);
        self.ends.retain(|(_, other, _)| *other != agent);
    }

    fn end_quiet(&mut self, now_us: u64) {
        while let Some((end_us, _, _)) = self.ends.first()
            && *end_us <= now_us
            && let Some((_, agent, framework)) = self.ends.pop_first()
        {
            if let Some(absence) = self.absences.get_mut(&agent) {
                absence.quiet.remove(&framework);
                self.dirty.insert(agent);
            }
        }
    }
}

impl Allocator {
    /// When an agent is planned to be away, or that it is not. What frameworks said about an earlier
    /// plan no longer counts: they are asked anew. The agent is still offered.
    ///
    /// # Errors
    /// [`Refused::UnknownAgent`].
    pub fn set_unavailability(
        &mut self,
        agent: &AgentId,
        unavailability: Option<Unavailability>,
    ) -> Result<(), Refused> {
        let slot = self.known_agent(agent)?;
        self.maintenance.forget_agent(slot);
        if let Some(planned) = unavailability {
            let absence = Absence {
                planned,
                asked: BTreeSet::new(),
                quiet: BTreeMap::new(),
                answers: BTreeMap::new(),
            };
            self.maintenance.absences.insert(slot, absence);
            self.maintenance.touch(slot);
        }
        Ok(())
    }

    /// When an agent is planned to be away.
    #[must_use]
    pub fn unavailability(&self, agent: &AgentId) -> Option<Unavailability> {
        let slot = self.agent_slots.get(agent)?;
        let absence = self.maintenance.absences.get(slot)?;
        Some(absence.planned)
    }

    /// Whom to ask now to leave an agent. Each counts as asked until it is answered with
    /// [`Allocator::answer_inverse_offer`], or the framework is deactivated. To be called whenever
    /// [`Allocator::allocate`] is.
    pub fn inverse_offers(&mut self, now_us: u64) -> Vec<InverseGrant> {
        self.maintenance.end_quiet(now_us);
        let mut grants = Vec::new();
        for slot in std::mem::take(&mut self.maintenance.dirty) {
            let there = self.present_on(slot);
            let Some(absence) = self.maintenance.absences.get_mut(&slot) else {
                continue;
            };
            for framework in there {
                if absence.quiet.contains_key(&framework)
                    || !absence.asked.insert(framework.clone())
                {
                    continue;
                }
                grants.push(InverseGrant {
                    framework,
                    agent: self.agents[slot].id.clone(),
                    unavailability: absence.planned,
                });
            }
        }
        grants
    }

    /// The connected frameworks that have something on an agent.
    fn present_on(&self, slot: u32) -> BTreeSet<FrameworkId> {
        let holders = self.agents[slot].holdings.iter().map(|holding| {
            let client = self.sorter.client(holding.client);
            &self.frameworks[client.framework]
        });
        let present = holders.filter(|framework| framework.known && framework.active);
        present.map(|framework| framework.id.clone()).collect()
    }

    /// An inverse offer is over: the framework answered, or it was withdrawn, and then there is no
    /// answer. The framework is not asked again about this agent for `max(seconds, allocation_interval)`,
    /// where a missing refusal counts as zero seconds. Answers that nobody waits for change nothing.
    pub fn answer_inverse_offer(
        &mut self,
        now_us: u64,
        framework: &FrameworkId,
        agent: &AgentId,
        answer: Option<InverseAnswer>,
        refusal: Option<Refusal>,
    ) {
        let Some(slot) = self.agent_slots.get(agent).copied() else {
            return;
        };
        let Some(absence) = self.maintenance.absences.get_mut(&slot) else {
            return;
        };
        if !absence.asked.remove(framework) {
            return;
        }
        if let Some(answer) = answer {
            absence.answers.insert(framework.clone(), answer);
        }
        let lasts_us = refusal.map_or(0, refusal_us);
        let lasts_us = lasts_us.max(self.config.allocation_interval_us);
        let until_us = now_us.saturating_add(lasts_us);
        absence.quiet.insert(framework.clone(), until_us);
        let end = (until_us, slot, framework.clone());
        self.maintenance.ends.insert(end);
    }

    /// What frameworks last said about the planned absence of an agent; nothing without one.
    pub fn inverse_answers(
        &self,
        agent: &AgentId,
    ) -> impl Iterator<Item = (&FrameworkId, InverseAnswer)> {
        let slot = self.agent_slots.get(agent);
        let absence = slot.and_then(|slot| self.maintenance.absences.get(slot));
        let answers = absence.into_iter().flat_map(|absence| &absence.answers);
        answers.map(|(framework, answer)| (framework, *answer))
    }
}
