//! Everything between two hosts takes seconds for a while, so that what a leader wrote arrives when
//! another one leads.

use super::{Source, some_pair};
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 250,
    fire,
};

fn fire(world: &mut World) {
    let Some((master, other)) = some_pair(world) else {
        return;
    };
    world.fired(Fault::LinkSlow);
    let extra_us = world.draws.spread((200 * MILLISECOND_US, 20 * SECOND_US));
    let for_us = world.draws.spread((SECOND_US, 60 * SECOND_US));
    world.slow_down(master, other, extra_us, for_us);
}
