//! An agent comes back with other resources: more, less, or some of either. If its settings do not
//! allow it to be the same agent then, its operator makes it a new one.

use super::Source;
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 200,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    if world.is_up(Process::Agent(a)) {
        world.fired(Fault::AgentReconfigured);
        world.reconfigure_agent(a);
    }
}
