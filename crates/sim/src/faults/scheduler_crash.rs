//! A scheduler's process dies and comes back with what it had written down.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
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
        let back = world.draws.spread((10 * MILLISECOND_US, 5 * SECOND_US));
        world.crash_scheduler(s, back);
    }
}
