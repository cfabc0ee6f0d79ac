//! Bounds that several rooms share, and what happens there. Each room has its own besides.

pub use meseta_proto::limits::MAX_MESSAGE_BYTES as MESSAGE_BYTES;

pub use crate::ids::CONTAINER_DEPTH_LIMIT as CONTAINER_DEPTH;
pub use crate::resources::{RESERVATION_DEPTH_LIMIT as RESERVATION_DEPTH, SCALAR_LIMIT};

/// Bytes of an id that a framework chooses: such ids become names of directories, and this is the
/// longest name a Linux file system takes (`NAME_MAX`). A longer one is refused.
pub const ID_BYTES: usize = 255;

/// Bytes of one level of a container id: leaves room for what is put around it in file names
/// (Mesos: `MAX_CONTAINER_ID_LENGTH`). A longer one is refused.
pub const CONTAINER_ID_BYTES: usize = 242;

/// Offers that one ACCEPT or DECLINE may name; a call with more is refused. An agent has at most a
/// few offers out per framework, and one ACCEPT concerns one agent.
pub const OFFERS_PER_CALL: usize = 10_000;

/// Tasks that one ACCEPT may launch, over all its operations; a call with more is refused. More
/// would hold up the master for too long in one step.
pub const TASKS_PER_ACCEPT: usize = 10_000;

/// Operations that one ACCEPT may hold; a call with more is refused.
pub const OPERATIONS_PER_ACCEPT: usize = 1_000;

/// Roles that one framework may name; one with more is refused. The allocator keeps records by
/// framework, role and agent.
pub const ROLES_PER_FRAMEWORK: usize = 1_000;

/// Offer constraints that one framework may set, over all its roles; a group without any counts as
/// one. A framework with more is refused: each is looked at for every agent that could be offered.
/// Mesos has no bound.
pub const CONSTRAINTS_PER_FRAMEWORK: usize = 1_000;

/// Quantities, over all alternatives, that a framework may set as the least to be offered in one role
/// (`FrameworkInfo.offer_filters`). A framework with more is refused, for the same reason. Mesos has no
/// bound.
pub const MINIMUMS_PER_ROLE: usize = 100;

/// Bytes of a role's name: persistent volumes of a role lie in a directory of its name, and this is the
/// longest that a Linux file system takes (`NAME_MAX`). A longer name is refused.
pub const ROLE_BYTES: usize = 255;

/// Levels of a role's name. A role below more is refused: each level costs a place in the allocator's
/// tree, and a step down it wherever a share changes.
pub const ROLE_LEVELS: usize = 32;

/// Statuses kept in the history of one task; beyond it the second oldest makes room, so that how the
/// task began stays known.
pub const STATUSES_PER_TASK: usize = 100;
