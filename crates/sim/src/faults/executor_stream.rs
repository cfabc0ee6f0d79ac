//! The stream between an executor and its agent breaks.

use super::{Source, some_container};
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 300,
    fire,
};

fn fire(world: &mut World) {
    let Some((a, id)) = some_container(world) else {
        return;
    };
    if world.break_executor_stream(a, &id) {
        world.fired(Fault::ExecutorStreamBroken);
    }
}
