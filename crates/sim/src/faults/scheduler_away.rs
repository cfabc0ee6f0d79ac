//! A scheduler's process dies and stays away for longer than its framework may, perhaps over a change
//! of leaders.

use super::Source;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Fault;
use crate::world::World;

/// Frameworks that may stay away for longer than this are not waited for.
const LONGEST_US: u64 = 30 * SECOND_US;

pub(super) const SOURCE: Source = Source {
    permille: 300,
    fire,
};

fn fire(world: &mut World) {
    let s = world.draws.index(world.schedulers.len());
    let mut timeout_us = world.schedulers[s].plan.failover_timeout_s * SECOND_US;
    if timeout_us > LONGEST_US || !world.is_up(Process::Scheduler(s)) {
        return;
    }
    world.fired(Fault::SchedulerStayedAway);
    let leader = world.leader.filter(|_| world.draws.permille(600));
    if leader.is_some() {
        // A new leader waits as long for frameworks as for agents.
        timeout_us = timeout_us.max(world.plan.settings.agent_return_us);
    }
    let longer_us = world.draws.spread((10 * MILLISECOND_US, 20 * SECOND_US));
    world.crash_scheduler(s, timeout_us + longer_us);
    if let Some(m) = leader {
        world.end_master(m);
    }
}
