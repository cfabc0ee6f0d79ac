//! What is run when no shape is named.

use super::Size;

/// A shape at a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// One of [`super::SHAPES`].
    pub shape: &'static str,
    /// How large.
    pub size: Size,
}

fn asked(shape: &'static str, agents: usize, frameworks: usize, roles: usize) -> Asked {
    Asked {
        shape,
        size: Size {
            agents,
            frameworks,
            roles,
        },
    }
}

/// The shapes and sizes for which there are figures of Mesos, and those with a target of their own.
#[must_use]
pub fn mesos_list() -> Vec<Asked> {
    let all = [
        ("memory", 50_000, 6_000, 1),
        ("single", 50_000, 200, 1),
        ("single", 50_000, 6_000, 1),
        ("explain", 1_000, 50, 1),
        ("explain", 10_000, 200, 1),
        ("add", 1_000, 50, 1),
        ("add", 1_000, 200, 1),
        ("add", 5_000, 200, 1),
        ("add", 10_000, 200, 1),
        ("add", 10_000, 1_000, 1),
        ("decline", 1_000, 50, 1),
        ("decline", 5_000, 50, 1),
        ("decline", 10_000, 50, 1),
        ("decline", 1_000, 200, 1),
        ("labels", 1_000, 50, 1),
        ("volumes", 1_000, 50, 1),
        ("volumes", 1_000, 200, 1),
        ("volumes", 5_000, 200, 1),
        ("volumes", 10_000, 200, 1),
        ("ports", 1_000, 50, 1),
        ("ports", 10_000, 200, 1),
        ("offering", 5_000, 500, 1),
        ("offering", 10_000, 200, 1),
        ("offering", 10_000, 1_000, 1),
        ("offering", 20_000, 2_000, 1),
        ("suppressed", 1_000, 200, 1),
        ("suppressed", 5_000, 200, 1),
        ("backlog", 1_000, 50, 1),
        ("backlog", 1_000, 200, 1),
        ("backlog", 10_000, 200, 1),
        ("quota", 30, 30, 30),
        ("quota", 300, 300, 300),
        ("quota", 3_000, 3_000, 3_000),
        ("quota_random", 300, 300, 300),
        ("quota_random", 3_000, 3_000, 3_000),
        ("promised", 200, 200, 100),
        ("promised", 2_000, 2_000, 1_000),
        ("promised_random", 2_000, 2_000, 1_000),
        ("limited", 300, 300, 300),
        ("limited", 3_000, 3_000, 3_000),
    ];
    let each = |(shape, agents, frameworks, roles)| asked(shape, agents, frameworks, roles);
    all.into_iter().map(each).collect()
}

/// Pairs of agents and frameworks that filtered shapes of the grid have at most.
const FILTERED_PAIRS: usize = 10_000_000;

/// Rounds of offers over 1,000 to 50,000 agents and 1 to 6,000 frameworks, and the same all filtered
/// where that is at most ten million pairs.
#[must_use]
pub fn grid() -> Vec<Asked> {
    let mut all = Vec::new();
    for agents in [1_000, 5_000, 10_000, 20_000, 50_000] {
        for frameworks in [1, 50, 200, 1_000, 6_000] {
            all.push(asked("offering", agents, frameworks, 1));
            if agents * frameworks <= FILTERED_PAIRS {
                all.push(asked("decline", agents, frameworks, 1));
            }
        }
    }
    all
}
