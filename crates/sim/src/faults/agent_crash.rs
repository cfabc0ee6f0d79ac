//! An agent's process dies (kill -9); its executors and its host live on.

use super::Source;
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 500,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    if world.is_up(Process::Agent(a)) {
        world.fired(Fault::AgentCrashed);
        world.end_agent(a);
    }
}
