//! A connection between daemons breaks. What was written last is lost; its owner learns it soon, or,
//! when nothing was reset and it stays silent, late. Or nothing is lost, and what it carried last arrives
//! behind what goes over the next connection.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 500,
    fire,
};

fn fire(world: &mut World) {
    let working = world.links.working();
    let Some(link) = world.draws.pick(&working).copied() else {
        return;
    };
    let twin = world.links.twin(link);
    if twin.is_none() && world.draws.permille(250) {
        world.fired(Fault::LinkBroken);
        let for_us = world.draws.spread((10 * MILLISECOND_US, SECOND_US));
        return world.links.linger(link, for_us);
    }
    // What is on its way may still arrive, behind what goes over the next connection.
    let on_its_way = world.draws.spread((1, 60 * MILLISECOND_US));
    let cut_after = world.now_us + on_its_way;
    let half_open = world.draws.permille(300);
    world.fired(if half_open {
        Fault::LinkHalfOpen
    } else {
        Fault::LinkBroken
    });
    let late = (SECOND_US, 75 * SECOND_US);
    let soon = (100, 500 * MILLISECOND_US);
    for link in [Some(link), twin].into_iter().flatten() {
        let told = world.draws.spread(if half_open { late } else { soon });
        world.break_link(link, cut_after, told);
    }
}
