//! Sources of faults: each strikes now and then while faults are on. What goes wrong packet by packet
//! or flush by flush (delays, lost calls, failed flushes, failed launches) is decided where it happens,
//! by the rates in [`crate::plan`].

mod agent_crash;
mod agent_gone;
mod agent_pause;
mod agent_reconfigured;
mod agent_replaced;
mod agent_shutdown;
mod clock_jump;
mod executor_crash;
mod executor_stream;
mod link_break;
mod link_slow;
mod master_crash;
mod master_pause;
mod partition;
mod power_loss;
mod scheduler_away;
mod scheduler_crash;
mod scheduler_failover;
mod scheduler_pause;
mod stream_break;
mod task_kill;
mod teardown;

use meseta_model::ids::ContainerId;

use crate::process::Process;
use crate::world::World;

/// Something that strikes now and then.
pub(crate) struct Source {
    /// In how many of a thousand runs it strikes at all.
    pub(crate) permille: u64,
    pub(crate) fire: fn(&mut World),
}

/// All sources.
pub(crate) const SOURCES: &[Source] = &[
    link_break::SOURCE,
    stream_break::SOURCE,
    partition::SOURCE,
    master_crash::SOURCE,
    master_pause::SOURCE,
    agent_crash::SOURCE,
    agent_pause::SOURCE,
    power_loss::SOURCE,
    clock_jump::SOURCE,
    executor_crash::SOURCE,
    executor_stream::SOURCE,
    scheduler_crash::SOURCE,
    scheduler_failover::SOURCE,
    scheduler_pause::SOURCE,
    agent_gone::SOURCE,
    task_kill::SOURCE,
    link_slow::SOURCE,
    agent_replaced::SOURCE,
    agent_reconfigured::SOURCE,
    agent_shutdown::SOURCE,
    scheduler_away::SOURCE,
    teardown::SOURCE,
];

/// A master and one that talks to masters.
fn some_pair(world: &mut World) -> Option<(Process, Process)> {
    let (masters, others) = (world.all_masters(), world.all_others());
    let master = world.draws.pick(&masters).copied();
    let other = world.draws.pick(&others).copied();
    master.zip(other)
}

/// A container in which something runs, and its agent.
fn some_container(world: &mut World) -> Option<(usize, ContainerId)> {
    let a = world.draws.index(world.agents.len());
    let running = world.running_containers(a);
    let id = world.draws.pick(&running)?;
    Some((a, id.clone()))
}
