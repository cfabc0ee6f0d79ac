//! Planted bugs: each is a known mistake, made between a core and the world, so that the cores need no
//! hooks for it. The simulator must find each of them; that is how it is known to look.

mod change_not_shown;
mod digest_entry_lost;
mod double_launch;
mod epoch_not_sent;
mod given_again;
mod launch_given_up;
mod lost_acknowledgement;
mod missed_flush;
mod offer_used_twice;
mod orphaned_container;
mod overtaking_update;
mod revived_task;
mod said_again;
mod told_to_another;
mod unanswered_request;
mod update_lost_on_restart;
mod wrong_recount;

use meseta_agent::Agent;
use meseta_agent::event::{Event as AgentEvent, MetaEntry};
use meseta_master::Master;
use meseta_master::event::Event as MasterEvent;
use meseta_runtime::Output;

/// A mistake between the cores and the world.
pub(crate) trait Plant {
    /// Before a master takes an event: the event, unless it is swallowed, and what is done besides.
    fn before_master(&mut self, event: MasterEvent) -> (Option<MasterEvent>, Vec<Output<Master>>) {
        (Some(event), Vec::new())
    }

    /// What a master wants done, before it is done.
    fn after_master(&mut self, outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        outputs
    }

    /// What an agent that starts finds on its disk, before it does.
    fn on_disk(&mut self, meta: &mut Vec<MetaEntry>) {
        let _ = meta;
    }

    /// As [`Plant::before_master`], of an agent.
    fn before_agent(
        &mut self,
        agent: usize,
        event: AgentEvent,
    ) -> (Option<AgentEvent>, Vec<Output<Agent>>) {
        let _ = agent;
        (Some(event), Vec::new())
    }

    /// As [`Plant::after_master`], of an agent.
    fn after_agent(&mut self, agent: usize, outputs: Vec<Output<Agent>>) -> Vec<Output<Agent>> {
        let _ = agent;
        outputs
    }

    /// The epoch that goes out with a master's message.
    fn stamp(&mut self, epoch: Option<u64>) -> Option<u64> {
        epoch
    }

    /// Whether this write is said to be done and never is.
    fn reports_before_flush(&mut self) -> bool {
        false
    }
}

/// A planted bug and what it is.
#[derive(Debug)]
pub struct PlantedBug {
    /// What `--plant` takes.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    pub(crate) plant: fn() -> Box<dyn Plant>,
}

macro_rules! plants {
    ($($module:ident: $what:literal),+ $(,)?) => {
        /// All planted bugs.
        pub const PLANTS: &[PlantedBug] = &[$(PlantedBug {
            name: stringify!($module),
            what: $what,
            plant: || Box::new($module::Planted::default()),
        }),+];
    };
}

plants! {
    double_launch: "an executor is given a task twice",
    lost_acknowledgement: "acknowledgements of ends never reach the agent",
    offer_used_twice: "a second ACCEPT of an offer launches its tasks too",
    missed_flush: "a write is said to be on disk and never is",
    wrong_recount: "the end of a task is counted twice",
    digest_entry_lost: "launches are left out of the registry's digest",
    revived_task: "a framework hears that a task runs after it has ended",
    overtaking_update: "the second update of a task goes out before the first",
    update_lost_on_restart: "what executors repeat to a restarted agent is thrown away",
    epoch_not_sent: "masters do not say in which epoch they lead",
    unanswered_request: "some requests are never answered",
    told_to_another: "an update reaches another framework as well",
    said_again: "an agent says once more what was just acknowledged",
    change_not_shown: "a master leaves some changes out of what it shows",
    launch_given_up: "a restarted agent finds tasks without what it takes to go on with them",
    given_again: "a restarted agent gives an executor tasks that it has",
    orphaned_container: "a restarted agent does not take up one of its containers, nor end it",
}

/// The planted bug of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static PlantedBug> {
    PLANTS.iter().find(|plant| plant.name == name)
}
