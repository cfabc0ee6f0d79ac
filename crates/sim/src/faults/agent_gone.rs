//! An operator declares an agent gone, whether it is or not.

use meseta_master::event::OperatorCall;

use super::Source;
use crate::tally::Fault;
use crate::world::World;

pub(super) const SOURCE: Source = Source {
    permille: 150,
    fire,
};

fn fire(world: &mut World) {
    let registry = world.oracle.registry();
    let known: Vec<_> = registry
        .agents()
        .keys()
        .chain(registry.unreachable().keys())
        .cloned()
        .collect();
    // One of several: somebody must go on to work.
    if known.len() < 2 || !world.draws.permille(300) {
        return;
    }
    if let Some(agent) = world.draws.pick(&known).cloned()
        && world.operator_calls(OperatorCall::MarkAgentGone(agent))
    {
        world.fired(Fault::AgentMarkedGone);
    }
}
