//! The event stream of a scheduler breaks; each end learns it in its own time.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 450,
    fire,
};

fn fire(world: &mut World) {
    let open = world.streams.open();
    let Some(stream) = world.draws.pick(&open).cloned() else {
        return;
    };
    let soon = (100, 300 * MILLISECOND_US);
    let late = (SECOND_US, 60 * SECOND_US);
    let half_open = world.draws.permille(400);
    let master_late = half_open && world.draws.coin();
    world.fired(if half_open {
        Fault::StreamHalfOpen
    } else {
        Fault::StreamBroken
    });
    let master = world.draws.spread(if master_late { late } else { soon });
    let scheduler_late = half_open && !master_late;
    let scheduler = world.draws.spread(if scheduler_late { late } else { soon });
    world.break_stream(&stream, master, scheduler);
}
