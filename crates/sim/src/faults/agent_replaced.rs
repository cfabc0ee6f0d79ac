//! The host of an agent is taken away; a new one with an empty disk gets its address.

use super::Source;
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 120,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    if world.is_up(Process::Agent(a)) {
        world.fired(Fault::AgentReplaced);
        world.replace_host(a);
    }
}
