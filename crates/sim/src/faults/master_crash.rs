//! A master's process dies and is started again by its supervisor.

use super::Source;
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 450,
    fire,
};

fn fire(world: &mut World) {
    let leader = world.leader.filter(|_| world.draws.permille(800));
    let m = leader.unwrap_or_else(|| world.draws.index(world.masters.len()));
    if world.is_up(Process::Master(m)) {
        world.fired(Fault::MasterCrashed);
        world.end_master(m);
    }
}
