//! An executor dies: by a signal, or of its own doing.

use meseta_model::wait_status::WaitStatus;

use super::{Source, some_container};
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 350,
    fire,
};

fn fire(world: &mut World) {
    let Some((a, id)) = some_container(world) else {
        return;
    };
    world.fired(Fault::ExecutorCrashed);
    let status = if world.draws.coin() {
        WaitStatus::signaled(11)
    } else {
        WaitStatus::exited(world.draws.below(3) as u8)
    };
    world.crash_executor(a, &id, status);
}
