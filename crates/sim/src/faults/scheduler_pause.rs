//! A scheduler's process stands still: it reads nothing and answers nothing.

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
        world.fired(Fault::SchedulerPaused);
        let for_us = world.draws.spread((50 * MILLISECOND_US, 40 * SECOND_US));
        world.pause(Process::Scheduler(s), for_us);
    }
}
