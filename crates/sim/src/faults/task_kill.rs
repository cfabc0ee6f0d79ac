//! An operator kills a task of some framework.

use meseta_master::event::OperatorCall;

use super::Source;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 300,
    fire,
};

fn fire(world: &mut World) {
    let Some(m) = world.leading_master() else {
        return;
    };
    let live = world.oracle.live_tasks(m);
    let Some((framework, task)) = world.draws.pick(&live).cloned() else {
        return;
    };
    let call = OperatorCall::KillTask {
        framework,
        task,
        policy: None,
    };
    if world.operator_calls(call) {
        world.fired(Fault::TaskKilledByOperator);
    }
}
