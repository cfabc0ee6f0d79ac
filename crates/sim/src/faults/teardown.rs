//! A framework is torn down, by itself or by an operator, while one of its agents cannot be reached.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 120,
    fire,
};

fn fire(world: &mut World) {
    let (s, a) = (
        world.draws.index(world.schedulers.len()),
        world.draws.index(world.agents.len()),
    );
    let Some(m) = world.leading_master() else {
        return;
    };
    // One of several: somebody must go on to work.
    let busy = world.schedulers.iter().filter(|s| !s.ended).count();
    if busy < 2 || world.schedulers[s].framework.is_none() || world.schedulers[s].ended {
        return;
    }
    world.fired(Fault::TornDownPartitioned);
    let for_us = world.draws.spread((50 * MILLISECOND_US, 100 * SECOND_US));
    super::partition::cut(world, Process::Master(m), Process::Agent(a), for_us);
    if world.draws.coin() {
        world.ask_for_teardown(s);
    }
    world.dismiss_scheduler(s);
}
