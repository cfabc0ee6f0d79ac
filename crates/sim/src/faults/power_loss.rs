//! An agent's host loses power. Whatever ran there is gone, and of what was not flushed the disk keeps
//! nothing, parts, or all.

use super::Source;
use crate::draws::Draws;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 350,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    match world.draws.below(3) {
        0 => {
            world.fired(Fault::PowerLostWithTail);
            world.end_host(a, &mut |_| 0);
        }
        1 => {
            world.fired(Fault::PowerLostTailKept);
            world.end_host(a, &mut |bound| bound.saturating_sub(1));
        }
        _ => {
            world.fired(Fault::PowerLostTornTail);
            let mut draws = Draws::new(world.draws.bits());
            world.end_host(a, &mut |bound| draws.below(bound));
        }
    }
}
