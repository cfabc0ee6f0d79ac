//! The wall clock of a host jumps, forward or back. Nothing that waits may notice.

use super::Source;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 300,
    fire,
};

fn fire(world: &mut World) {
    let seconds = world.draws.spread((1, 100_000)) as i64;
    let seconds = if world.draws.coin() {
        seconds
    } else {
        -seconds
    };
    let skew_ns = seconds * 1_000_000_000;
    world.fired(Fault::ClockJumped);
    if world.draws.coin() {
        let m = world.draws.index(world.masters.len());
        world.masters[m].wall_skew_ns = skew_ns;
    } else {
        let a = world.draws.index(world.agents.len());
        world.agents[a].wall_skew_ns = skew_ns;
    }
}
