//! What the masters agree on: the specification of the consensus room, and who hears of a new leader.

use meseta_agent::event::Event as AgentEvent;
use meseta_consensus::Event as Agreed;
use meseta_master::event::Event;
use meseta_model::step::Seq;
use meseta_model::upid::Upid;

use super::schedulers::SchedulerHappening;
use super::{Happening, World};
use crate::invariants::Seen;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Fault;

impl World {
    /// Makes sure that the agreement is polled when it has something due.
    pub(super) fn plan_agreement(&mut self) {
        let Some(at) = self.agreement.next_at() else {
            return;
        };
        let at = at.max(self.now_us);
        if self.agreed_at.is_none_or(|planned| at < planned) {
            self.agreed_at = Some(at);
            self.queue.plan(at, Happening::Agreed);
        }
    }

    pub(super) fn agreed(&mut self) {
        self.agreed_at = None;
        let mut told = Vec::new();
        self.agreement.poll(self.now_us, &mut told);
        for (node, agreed) in told {
            let m = node as usize;
            if m < self.masters.len() {
                self.tell_master(m, agreed);
            }
        }
    }

    fn tell_master(&mut self, m: usize, agreed: Agreed) {
        let event = match agreed {
            Agreed::Led {
                epoch,
                snapshot,
                ops,
            } => {
                self.see(&Seen::Led {
                    snapshot: snapshot.as_ref(),
                    ops: &ops,
                });
                self.leader = Some(m);
                self.announce_leader();
                let seed = self.draws.bits();
                Event::Led {
                    epoch,
                    seed,
                    snapshot,
                    ops,
                }
            }
            Agreed::Lost { reason } => {
                self.note(|| format!("master{} has lost the lead: {reason}", m + 1));
                Event::LeadLost
            }
            Agreed::Committed { seq, index, op } => {
                self.settle_proposal(m, seq);
                self.see(&Seen::Committed { index, op: &op });
                let seq = Seq(seq);
                Event::Committed { seq, index, op }
            }
            Agreed::Refused { seq, reason } => {
                self.settle_proposal(m, seq);
                Event::Refused {
                    seq: Seq(seq),
                    reason: reason.to_string(),
                }
            }
            Agreed::Unknown { seq } => {
                self.settle_proposal(m, seq);
                self.fired(Fault::OutcomeUnknown);
                Event::Unknown { seq: Seq(seq) }
            }
            Agreed::Snapshotted { .. } | Agreed::SnapshotRefused { .. } => return,
            // The engine stopped, and the process with it.
            Agreed::Failed { .. } => return self.end_master(m),
        };
        let life = self.masters[m].life;
        self.happen(Happening::MasterEvent(m, life, Box::new(event)));
    }

    fn settle_proposal(&mut self, m: usize, seq: u64) {
        if let Some(process) = &mut self.masters[m].process {
            process.proposed.remove(&seq);
        }
    }

    /// With several masters a detector tells who leads, each listener in its own time. With one master
    /// its address is all that anybody knows.
    pub(super) fn announce_leader(&mut self) {
        if self.masters.len() == 1 {
            return;
        }
        for listener in self.all_others() {
            let after = self.detection();
            self.later(after, Happening::Detect(listener));
        }
    }

    /// A listener learns who leads now. It may be late, but is not told of a leader that is older than
    /// one it was told of before.
    pub(super) fn detect(&mut self, listener: Process) {
        match (listener, self.leader) {
            (Process::Agent(a), Some(m)) => {
                self.agent_event(a, AgentEvent::MasterDetected(master_upid(m)));
            }
            (Process::Agent(a), None) => self.agent_event(a, AgentEvent::MasterLost),
            (Process::Scheduler(s), Some(m)) => {
                self.scheduler_happening(s, SchedulerHappening::Detected(m));
            }
            (Process::Scheduler(_), None) | (Process::Master(_), _) => {}
        }
    }

    fn detection(&mut self) -> u64 {
        self.draws.spread((MILLISECOND_US, 3 * SECOND_US))
    }

    /// The master that a new process is told of: the leader, or the only one.
    pub(super) fn known_master(&self) -> Option<usize> {
        if self.masters.len() == 1 {
            Some(0)
        } else {
            self.leader
        }
    }
}

/// The actor of a master.
pub(super) fn master_upid(m: usize) -> Upid {
    Upid::new("master", Process::Master(m).address())
}
