//! A scheduler's process dies and comes back with what it had written down.

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
    if world.is_up(Process::Scheduler(s)) {
        world.fired(Fault::SchedulerCrashed);
        world.crash_scheduler(s);
    }
}
