//! An operator ends an agent and all that runs there: now, or with the agent's next life
//! (`--recover=cleanup`). Its supervisor starts it again, as a new one.

use meseta_agent::event::Event;

use super::Source;
use crate::process::Process;
use crate::tally::Fault;
use crate::world::{Happening, World};

pub(super) const SOURCE: Source = Source {
    permille: 150,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    if !world.is_up(Process::Agent(a)) {
        return;
    }
    if world.draws.coin() {
        world.fired(Fault::AgentCleanedUp);
        world.clean_up_agent(a);
    } else {
        world.fired(Fault::AgentShutDown);
        let life = world.agents[a].life;
        let event = Box::new(Event::ShutdownRequested);
        world.later(0, Happening::AgentEvent(a, life, event));
    }
}
