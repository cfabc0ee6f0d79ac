//! Figures of the allocator: the shapes of Mesos's own allocator benchmarks, run against ours.
//!
//! Unlike the rest of this room this reads a clock, since time is what it is about; the allocator itself
//! does not, and gives the same grants in every run. `list` names what is run when nothing is asked
//! for, `shapes` and `quota_shapes` hold one function per shape, `mesos` what Mesos took for the same.
//! `cargo bench -p meseta-allocator` compiles this same module, with a heap that counts.

mod cluster;
mod list;
mod mesos;
mod quota_shapes;
mod row;
mod shapes;

pub use list::{Asked, grid, mesos_list};
pub use mesos::mesos_ms;
pub use row::Row;

use row::Rows;

/// Bytes of memory in use now. What a row says is how much this grew.
pub type Meter = fn() -> u64;

/// A cluster's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Agents.
    pub agents: usize,
    /// Frameworks.
    pub frameworks: usize,
    /// Roles over which the frameworks are spread evenly; 1: all are in `*`.
    pub roles: usize,
}

type Shape = fn(Size, &mut Rows<'_>);

/// Every shape by name, with what it is.
pub const SHAPES: &[(&str, &str)] = &[
    (
        "add",
        "agents with one allocation each come, then grow (AddAndUpdateSlave)",
    ),
    (
        "decline",
        "every offer is declined for long, until all are filtered (DeclineOffers)",
    ),
    (
        "volumes",
        "reserved agents with a volume and 16 port ranges in use (PersistentVolumes)",
    ),
    ("ports", "agents with 100 port ranges each"),
    (
        "labels",
        "agents with labelled reservations, all declined (ResourceLabels)",
    ),
    ("offering", "a full round of offers, nothing refused"),
    (
        "suppressed",
        "a full round while all but two frameworks suppress (ExtremeSuppressOffers)",
    ),
    (
        "backlog",
        "every framework revives at once (AllocatorBacklog)",
    ),
    (
        "single",
        "one task ends on one agent: from the event to the offer",
    ),
    (
        "quota",
        "half of the roles promised half an agent, half one and a half (LargeAndSmallQuota)",
    ),
    ("quota_random", "the same with random sorters"),
    (
        "promised",
        "every role promised what its frameworks can have (NonQuotaVsQuota)",
    ),
    ("promised_random", "the same with random sorters"),
    (
        "limited",
        "limits that leave each role half a cpu, while nobody likes any agent",
    ),
    ("memory", "what agents and frameworks weigh"),
    (
        "explain",
        "why frameworks are offered agents or not, as many as are explained in one step",
    ),
];

fn find(name: &str) -> Option<Shape> {
    Some(match name {
        "add" => shapes::add,
        "decline" => shapes::decline,
        "volumes" => shapes::volumes,
        "ports" => shapes::ports,
        "labels" => shapes::labels,
        "offering" => shapes::offering,
        "suppressed" => shapes::suppressed,
        "backlog" => shapes::backlog,
        "single" => shapes::single,
        "quota" => quota_shapes::quota,
        "quota_random" => quota_shapes::quota_random,
        "promised" => quota_shapes::promised,
        "promised_random" => quota_shapes::promised_random,
        "limited" => quota_shapes::limited,
        "memory" => shapes::memory,
        "explain" => shapes::explain,
        _ => return None,
    })
}

/// Runs one shape at one size; `print` takes each row as it is measured. `false` when there is no such
/// shape, or when the size has no agents, frameworks or roles.
pub fn measure(shape: &str, size: Size, meter: Meter, print: &mut dyn FnMut(&Row)) -> bool {
    let (Some((name, _)), Some(run)) =
        (SHAPES.iter().find(|(name, _)| *name == shape), find(shape))
    else {
        return false;
    };
    if size.agents == 0 || size.frameworks == 0 || size.roles == 0 {
        return false;
    }
    run(size, &mut Rows::new(name, size, meter, print));
    true
}
