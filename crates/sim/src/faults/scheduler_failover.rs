//! A second instance of a scheduler subscribes while the first still has its stream.

use super::Source;
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 300,
    fire,
};

fn fire(world: &mut World) {
    let s = world.draws.index(world.schedulers.len());
    if world.is_up(Process::Scheduler(s)) && world.fail_over_scheduler(s) {
        world.fired(Fault::SchedulerFailedOver);
    }
}
