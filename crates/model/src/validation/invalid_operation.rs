//! Why operations on resources are refused.

use super::resources::{InvalidMix, InvalidResourceList};
use crate::ids::FrameworkId;
use crate::resources::{InvalidResource, Resource, Resources};
use crate::roles::Role;

/// Why an operation is refused. A framework hears it in OPERATION_ERROR, an operator with 400.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidOperation {
    /// The type's sub-message is absent.
    #[error("{article} {kind} offer operation must have the Offer.Operation.{field} field set.")]
    Missing {
        /// `A` or `An`.
        article: &'static str,
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// No type, or one that nobody knows.
    #[error("Unknown offer operation")]
    Unknown,
    /// LAUNCH and LAUNCH_GROUP, which [`super::task()`] and [`super::task_group()`] check.
    #[error("Unexpected {0} operation")]
    NotHere(&'static str),
    /// Bad resources.
    #[error("Invalid resources: {0}")]
    Resources(InvalidResourceList),
    /// Bad resources to take from.
    #[error("Invalid source: {0}")]
    Source(InvalidResourceList),
    /// Resources that do not go together.
    #[error("Invalid resources: {0}")]
    Mix(InvalidMix),
    /// A re-reservation of nothing, or of several reservations at once.
    #[error("Invalid {field}: {reason}")]
    Reservations {
        /// `source` or `resources`.
        field: &'static str,
        /// What is wrong.
        reason: InvalidReservations,
    },
    /// A re-reservation that changes quantities.
    #[error(
        "Source and target resources should refer to identical resource quantities: {source_} vs. \
         {target}"
    )]
    QuantitiesDiffer {
        /// What is taken.
        source_: Box<Resources>,
        /// What is made of it.
        target: Box<Resources>,
    },
    /// Nothing that an operation could reserve or unreserve.
    #[error("Resource {0} is not dynamically reserved")]
    NotDynamic(Box<Resource>),
    /// A path as role at an agent that knows none.
    #[error(
        "{what} {resource} with reservation for hierarchical role '{role}' cannot be {done} on an \
         agent without HIERARCHICAL_ROLE capability"
    )]
    HierarchicalRole {
        /// `Resource` or `Volume`.
        what: &'static str,
        /// Which.
        resource: Box<Resource>,
        /// The role.
        role: Role,
        /// `reserved` or `created`.
        done: &'static str,
    },
    /// A refined reservation at an agent that knows none.
    #[error(
        "{what} {resource} with reservation refinement cannot be {done} on an agent without \
         RESERVATION_REFINEMENT capability"
    )]
    Refinement {
        /// `Resource` or `Volume`.
        what: &'static str,
        /// Which.
        resource: Box<Resource>,
        /// `reserved` or `created`.
        done: &'static str,
    },
    /// RESERVE by a known principal that is not named in the reservation.
    #[error(
        "A reserve operation was attempted by principal '{0}', but there is a reserved resource in \
         the request with no principal set"
    )]
    ReservePrincipalMissing(String),
    /// RESERVE in somebody else's name.
    #[error(
        "A reserve operation was attempted by authenticated principal '{authenticated}', which does \
         not match a reserved resource in the request with principal '{stated}'"
    )]
    ReservePrincipal {
        /// Who was authenticated.
        authenticated: String,
        /// Who is named.
        stated: String,
    },
    /// RESERVE by a framework of something that was not offered to it.
    #[error(
        "A reserve operation was attempted on unallocated resource {0}, but frameworks can only \
         perform reservations on allocated resources"
    )]
    ReserveUnallocated(Box<Resource>),
    /// RESERVE for another role than the offer's.
    #[error(
        "A reserve operation was attempted for a resource with role '{role}', but the resource was \
         allocated to role '{allocated}'"
    )]
    ReserveRole {
        /// For whom.
        role: Role,
        /// Whose offer.
        allocated: Role,
    },
    /// RESERVE of something allocated to a role that the framework does not have.
    #[error(
        "A reserve operation was attempted for a resource allocated to role '{role}', but the \
         framework only has roles '{roles}'"
    )]
    ReserveForeignRole {
        /// For whom.
        role: Role,
        /// The framework's.
        roles: String,
    },
    /// RESERVE by an operator of something that is allocated.
    #[error(
        "A reserve operation was attempted with an allocated resource, but the operator API only \
         allows reservations to be made to unallocated resources"
    )]
    ReserveAllocated,
    /// Resources of several roles.
    #[error("Invalid reservation resources: {0}")]
    ReserveMix(InvalidMix),
    /// UNRESERVE of a volume.
    #[error(
        "A dynamically reserved persistent volume {0} cannot be unreserved directly. Please destroy \
         the persistent volume first then unreserve the resource"
    )]
    UnreserveVolume(Box<Resource>),
    /// Something else than a volume.
    #[error("Not a persistent volume: {0}")]
    NotAVolume(NotAVolume),
    /// A volume id that the role has already.
    #[error(transparent)]
    DuplicateVolume(InvalidMix),
    /// A shared volume for a framework that knows none.
    #[error(
        "Create volume operation for '{volume}' has been attempted by framework '{framework}' with \
         no SHARED_RESOURCES capability"
    )]
    SharedNotSupported {
        /// Which.
        volume: Box<Resource>,
        /// Whose.
        framework: FrameworkId,
    },
    /// CREATE by a known principal that is not named in the volume.
    #[error(
        "Create volume operation attempted by principal '{0}', but there is a volume in the \
         operation with no principal set in 'disk.persistence'"
    )]
    CreatePrincipalMissing(String),
    /// CREATE in somebody else's name.
    #[error(
        "Create volume operation attempted by authenticated principal '{authenticated}', which does \
         not match a volume in the operation with principal '{stated}' set in 'disk.persistence'"
    )]
    CreatePrincipal {
        /// Who was authenticated.
        authenticated: String,
        /// Who is named.
        stated: String,
    },
    /// Volumes of several roles.
    #[error("Invalid volume resources: {0}")]
    CreateMix(InvalidMix),
    /// DESTROY of a volume that the agent does not have.
    #[error("Persistent volumes not found")]
    VolumeNotFound,
    /// DESTROY of a volume that somebody uses.
    #[error("Persistent volumes in use")]
    VolumeInUse,
    /// A bad resource in a field of GROW_VOLUME or SHRINK_VOLUME.
    #[error("Invalid resource in the '{field}' field: {reason}")]
    ResizeResource {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: InvalidResource,
    },
    /// Something else than a volume in GROW_VOLUME or SHRINK_VOLUME.
    #[error("Invalid persistent volume in the '{field}' field: {reason}")]
    ResizeVolume {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: NotAVolume,
    },
    /// GROW_VOLUME by nothing.
    #[error("The size of 'GrowVolume.addition' field must be greater than zero")]
    GrowByNothing,
    /// GROW_VOLUME by something else than what the volume is made of.
    #[error("Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields")]
    GrowIncompatible,
    /// SHRINK_VOLUME by nothing.
    #[error("Value of 'ShrinkVolume.subtract' must be greater than zero")]
    ShrinkByNothing,
    /// SHRINK_VOLUME to nothing.
    #[error(
        "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'"
    )]
    ShrinkToNothing,
    /// Resizing a volume of a resource provider.
    #[error("{0} a volume from a resource provider is not supported")]
    ResizeProvider(&'static str),
    /// Shrinking a volume that has its own file system.
    #[error("Shrinking a volume on a MOUNT disk is not supported")]
    ShrinkMount,
    /// Resizing a shared volume.
    #[error("{0} a shared persistent volume is not supported")]
    ResizeShared(&'static str),
    /// Resizing at an agent that cannot.
    #[error("Volume {volume} cannot be {done} on an agent without RESIZE_VOLUME capability")]
    ResizeNotSupported {
        /// Which.
        volume: Box<Resource>,
        /// `grown` or `shrunk`.
        done: &'static str,
    },
    /// A bad resource in CREATE_DISK or DESTROY_DISK.
    #[error("Invalid resource: {0}")]
    DiskResource(InvalidResourceList),
    /// A disk of the agent's own.
    #[error("'source' is not managed by a resource provider")]
    NoProvider,
    /// CREATE_DISK from something else than raw space.
    #[error("'source' is not a RAW disk resource")]
    NotRaw,
    /// CREATE_DISK to something else than MOUNT or BLOCK.
    #[error("'target_type' is neither MOUNT or BLOCK")]
    TargetType,
    /// A profile in both source and target.
    #[error("'target_profile' must not be set when 'source' has a profile")]
    TargetProfile,
    /// A profile in neither.
    #[error("'target_profile' must be set when 'source' has no profile")]
    TargetProfileMissing,
    /// DESTROY_DISK of something that was never created.
    #[error("'source' is neither a MOUNT, BLOCK or RAW disk resource")]
    NotADisk,
    /// DESTROY_DISK of space without a disk.
    #[error("'source' is not backed by a CSI volume")]
    NoDiskId,
    /// DESTROY_DISK under a volume.
    #[error(
        "A disk resource containing a persistent volume {0} cannot be destroyed directly. Please \
         destroy the persistent volume first then destroy the disk resource"
    )]
    DiskWithVolume(Box<Resource>),
}

/// Why the reservations of a re-reservation are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReservations {
    /// No resources.
    #[error("Resource cannot be empty")]
    Empty,
    /// Different stacks.
    #[error("Mixed reservations are not supported{0}")]
    Mixed(Box<Resources>),
}

/// Why a resource is no persistent volume that could be made or destroyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAVolume {
    /// No disk part.
    #[error("Resource {0} does not have DiskInfo")]
    NoDisk(Box<Resource>),
    /// No persistence.
    #[error("'persistence' is not set in DiskInfo")]
    NoPersistence,
    /// No place in the container.
    #[error("Expecting 'volume' to be set for persistent volume")]
    NoVolume,
    /// Read-only.
    #[error("Read-only persistent volume not supported")]
    ReadOnly,
}
