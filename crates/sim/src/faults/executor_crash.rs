//! An executor dies: by a signal, or of its own doing.

use meseta_model::wait_status::WaitStatus;

use super::Source;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 350,
    fire,
};

fn fire(world: &mut World) {
    let a = world.draws.index(world.agents.len());
    let running = world.running_containers(a);
    let Some(id) = world.draws.pick(&running).cloned() else {
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
