//! The stream between an executor and its agent breaks.

use super::Source;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 300,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    let running = world.running_containers(a);
    let Some(id) = world.draws.pick(&running).cloned() else {
        return;
    };
    if world.break_executor_stream(a, &id) {
        world.fired(Fault::ExecutorStreamBroken);
    }
}
