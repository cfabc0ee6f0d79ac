//! An agent's process stands still (SIGSTOP) and wakes up later, perhaps when it was given up.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 350,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    if world.is_up(Process::Agent(a)) {
        world.fired(Fault::AgentPaused);
        let for_us = world.draws.spread((50 * MILLISECOND_US, 90 * SECOND_US));
        world.pause(Process::Agent(a), for_us);
    }
}
