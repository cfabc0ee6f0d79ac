//! Two hosts cannot reach each other, or one cannot reach anybody, for a while. Connections between
//! them stand still, and may be given up by either end before it is over.

use super::{Source, some_pair};
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 450,
    fire,
};

fn fire(world: &mut World) {
    let Some((master, other)) = some_pair(world) else {
        return;
    };
    let for_us = world.draws.spread((50 * MILLISECOND_US, 100 * SECOND_US));
    world.fired(Fault::Partition);
    match world.draws.below(3) {
        0 => cut(world, master, other, for_us),
        1 => {
            for master in world.all_masters() {
                cut(world, master, other, for_us);
            }
        }
        _ => {
            for other in world.all_others() {
                cut(world, master, other, for_us);
            }
        }
    }
}

pub(super) fn cut(world: &mut World, a: Process, b: Process, for_us: u64) {
    world.cut(a, b, for_us);
    for link in world.links.between(a, b) {
        if !world.draws.permille(600) {
            continue;
        }
        let twin = world.links.twin(link);
        for link in [Some(link), twin].into_iter().flatten() {
            let told = world.draws.spread((200 * MILLISECOND_US, 75 * SECOND_US));
            world.break_link(link, world.now_us, told);
        }
    }
    for stream in world.streams.between(a, b) {
        if world.draws.permille(600) {
            let master = world.draws.spread((200 * MILLISECOND_US, 75 * SECOND_US));
            let scheduler = world.draws.spread((200 * MILLISECOND_US, 75 * SECOND_US));
            world.break_stream(&stream, master, scheduler);
        }
    }
}
