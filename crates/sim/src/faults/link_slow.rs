//! Everything between two hosts takes seconds for a while, so that what a leader wrote arrives when
//! another one leads.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 250,
    fire,
};

fn fire(world: &mut World) {
    let masters: Vec<Process> = (0..world.masters.len()).map(Process::Master).collect();
    let agents = (0..world.agents.len()).map(Process::Agent);
    let schedulers = (0..world.schedulers.len()).map(Process::Scheduler);
    let others: Vec<Process> = agents.chain(schedulers).collect();
    let (Some(master), Some(other)) = (
        world.draws.pick(&masters).copied(),
        world.draws.pick(&others).copied(),
    ) else {
        return;
    };
    world.fired(Fault::LinkSlow);
    let extra_us = world.draws.spread((200 * MILLISECOND_US, 20 * SECOND_US));
    let for_us = world.draws.spread((SECOND_US, 60 * SECOND_US));
    world.slow_down(master, other, extra_us, for_us);
}
