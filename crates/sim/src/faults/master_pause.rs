//! A master's process stands still (SIGSTOP, a stalled virtual machine) and wakes up later, perhaps
//! when another one leads.

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
    let leader = world.leader.filter(|_| world.draws.permille(800));
    let m = leader.unwrap_or_else(|| world.draws.index(world.masters.len()));
    if world.is_up(Process::Master(m)) {
        world.fired(Fault::MasterPaused);
        let for_us = world.draws.spread((50 * MILLISECOND_US, 60 * SECOND_US));
        world.pause(Process::Master(m), for_us);
    }
}
