//! Every limit of this room, with what happens there.
//!
//! Agents, frameworks, tasks and offers themselves are bounded by what the cluster has: a task holds
//! resources until it is over, an offer holds resources until it is answered, and what is over is
//! kept in histories whose lengths are settings ([`crate::Config`]).
//!
//! What is kept beside them is bounded by them: the digest, held acknowledgements, and tasks to kill or
//! ask about again by the tasks of an agent; the agents where a framework has been by the agents;
//! agents and subscriptions on their way in by [`PROPOSALS_LIMIT`].

/// Removed frameworks that the registry remembers; beyond it the oldest is forgotten, and would be
/// taken for one of an earlier cluster if it came back.
pub const REMOVED_FRAMEWORKS_LIMIT: usize = 1_000;

/// Ops that may wait for the log. Beyond it agents that register and schedulers that subscribe are not
/// let in; they ask again. What the master itself must write (agents that are unreachable, frameworks
/// that are removed) is not held up by it: there is at most one such op per agent and framework.
pub const PROPOSALS_LIMIT: usize = 10_000;

/// Ops that the log refuses in a row before the master gives up and exits.
pub const REFUSALS_LIMIT: u32 = 5;

/// Ops after which the log is replaced by a snapshot.
pub const SNAPSHOT_EVERY: u64 = 1_000;

/// Operations of one agent that are not over and acknowledged. Beyond it operations fail, and those
/// that an agent brings along are not known here; asked about them, the answer is that.
pub const OPERATIONS_PER_AGENT_LIMIT: usize = 10_000;

/// Dynamic reservations and persistent volumes of one agent that differ in more than how much there is.
/// Beyond it operations fail that would make one more: each operation on an agent, and each word to it,
/// has to do with all of them. What an agent brings along stands.
pub const RESERVATIONS_PER_AGENT: usize = 1_000;

/// Times that the operations of one ACCEPT may try to convert resources: a RESERVE does it once, others
/// once for each resource that they name. Beyond it operations fail: each time looks at all that the
/// agent has.
pub const CONVERSIONS_PER_ACCEPT: usize = 1_000;

/// Bytes of the text that says what is wrong with an operation or a task; beyond it the text is cut.
pub const REASON_BYTES: usize = 4_096;

/// Statuses of one operation that are remembered until they are acknowledged; beyond it the oldest goes.
pub const STATUSES_PER_OPERATION: usize = 8;

/// Microseconds between two batches of digest changes: ten a second in all.
pub const DIGEST_INTERVAL_US: u64 = 100_000;

/// Tasks that are added, and tasks that are removed, in one batch; the rest waits for the next one.
pub const DIGEST_BATCH_LIMIT: usize = 10_000;

/// Agents that did not come back after an election and are given up in one step.
pub const RECOVERED_SLICE: usize = 100;

/// Microseconds between two such steps.
pub const RECOVERED_PAUSE_US: u64 = 100_000;

/// Microseconds after which something is tried again that a timer led to and that could not be written:
/// the removal of a framework (also when it was just about to come back), giving up an agent.
pub const RETRY_US: u64 = 1_000_000;

/// Pairs of a framework's role and an agent that one step explains. Beyond it a question goes on in
/// further steps, so that none holds the core for 5 ms.
pub const EXPLAINED_PER_STEP: usize = meseta_allocator::limits::EXPLAINED_AT_ONCE;

/// Agents that one step explains; beyond it as above.
pub const EXPLAINED_AGENTS_PER_STEP: usize = meseta_allocator::limits::EXPLAINED_AGENTS_AT_ONCE;

/// Microseconds between two such steps.
pub const EXPLAIN_PAUSE_US: u64 = 1_000;

/// Microseconds after which whoever asked is told what was found by then, and of how many agents.
pub const EXPLAIN_PATIENCE_US: u64 = 30_000_000;

/// Roles of frameworks that one question is about; the rest is left out, and the answer says how many
/// there are.
pub const EXPLAINED_CLIENTS: usize = 10_000;

/// Explanations that one answer lists; of what is beyond it there are only counts, and the answer says
/// so.
pub const EXPLANATIONS: usize = 1_000;

/// Questions that may be under way; one more is refused (429).
pub const QUESTIONS: usize = 16;
