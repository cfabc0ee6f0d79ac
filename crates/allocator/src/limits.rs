//! Every bound of this room, and what happens there.

/// The longest time a refusal lasts, microseconds: 365 days, as in Mesos. A longer one is cut.
pub const REFUSAL_MAX_US: u64 = 365 * 24 * 3600 * 1_000_000;

/// What an unusable `refuse_seconds` (negative, not a number) is taken for, microseconds. Mesos: 5 s.
pub const REFUSAL_DEFAULT_US: u64 = 5_000_000;

/// Standing filters per (framework, role, agent). At the limit the one that ends first makes room:
/// at worst something is offered again early.
pub const FILTERS_PER_CLIENT: usize = 16;

/// Names of scalar resources that shares and quotas can tell apart, the four predefined ones
/// included. Further custom names are offered and tracked, but do not count in shares. What an agent
/// has, or an operator sets a quota on, takes a place for good; what a framework asks for takes none.
pub const KINDS: usize = 64;

/// Groups within groups that an expression of an offer constraint may have.
pub const PATTERN_NESTING: u32 = 50;

/// Bytes a compiled expression may take before it is even measured.
pub const PATTERN_BYTES: usize = 64 * 1024;

/// States of a compiled expression that every one has: anchors, the capture of the whole, the match.
pub const PATTERN_FRAME: usize = 5;

/// Agents that one run looks at; a round over more of them takes several runs.
pub const AGENTS_PER_RUN: usize = 5_000;

/// Pairs of agents and framework roles that one run looks at, at most; bounds a run to some
/// milliseconds, as [`AGENTS_PER_RUN`] does.
pub const PAIRS_PER_RUN: usize = 500_000;

/// The distance between two rounds grows with the agents that have something free by this much each,
/// microseconds, and by [`ROUND_DISTANCE_PER_PAIR_NS`], up to the allocation interval: as long as that
/// does not cut it, rounds cost a few percent of a core.
pub const ROUND_DISTANCE_PER_AGENT_US: u64 = 20;

/// And by this much for each pair of such an agent and a framework role that wants offers, nanoseconds.
/// A pair takes some 6 ns of a round if a refusal stands, up to 20 ns with quotas.
pub const ROUND_DISTANCE_PER_PAIR_NS: u64 = 150;

/// Shapes that are kept at hand for the next agent that has the same; the newest takes the place of
/// one with the same digest.
pub const RECENT_SHAPES: usize = 256;

/// What quotas left of shapes, kept at hand for the next role that may have as much of the same; the
/// newest takes the place of one with the same digest. Half a megabyte, once quotas cut anything.
pub const RECENT_CUTS: usize = 4_096;

/// Instructions of a program of RE2 that every one has, whatever the expression.
pub const RE2_FRAME: usize = 4;

/// Pairs of a framework's role and an agent about which [`crate::Allocator::explain_each`] should be
/// asked at once: some hundredths of a microsecond each, 0.4 with thousands of quotas, so that nobody is
/// held up for 5 ms. Whoever wants offers counts, asked about or not.
pub const EXPLAINED_AT_ONCE: usize = 12_000;

/// Agents about which it should be asked at once, however few want offers: a microsecond each.
pub const EXPLAINED_AGENTS_AT_ONCE: usize = 1_000;
