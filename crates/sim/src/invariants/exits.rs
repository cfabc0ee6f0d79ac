//! Processes end for good reasons only: nothing that anyone sends and nothing that a disk forgets may
//! stop one. (Design, sections 5 and 6.)

use super::{Books, Found, Invariant, Seen};

const MASTER: &str = "masters exit for good reasons";
const AGENT: &str = "agents exit for good reasons";

/// How good reasons begin.
const MASTER_REASONS: [&str; 2] = ["lost the lead", "the registry refuses to be written"];
const AGENT_REASONS: [&str; 7] = [
    // Its disk failed too often.
    "the status updates of task",
    "the master told the agent to shut down",
    "the operator ended the agent",
    "cleanup of the earlier life is complete",
    // Its resources are not those it had.
    "Failed to perform recovery: Incompatible agent info detected",
    "Failed to perform recovery: Configuration change not permitted",
    // Two registrations crossed; as in Mesos, the next start sorts it out.
    "Registered but got wrong id",
];

pub(super) struct Exits;

impl Invariant for Exits {
    fn kinds(&self) -> &'static [&'static str] {
        &[MASTER, AGENT]
    }

    fn see(&mut self, seen: &Seen<'_>, _books: &Books, found: &mut Found) {
        let good = |reasons: &[&str], reason: &str| reasons.iter().any(|r| reason.starts_with(r));
        match seen {
            Seen::MasterExits { master, reason } => {
                found.check(MASTER, good(&MASTER_REASONS, reason), || {
                    format!("master{}: {reason}", master + 1)
                });
            }
            Seen::AgentExits { agent, reason } => {
                found.check(AGENT, good(&AGENT_REASONS, reason), || {
                    format!("agent{}: {reason}", agent + 1)
                });
            }
            _ => {}
        }
    }
}
