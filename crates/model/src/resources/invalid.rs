//! Why a resource on the wire is refused, in Mesos's words where Mesos has any.

use crate::roles::InvalidRole;

/// One resource that cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResource {
    /// `name` is empty.
    #[error("Empty resource name")]
    EmptyName,
    /// `type` is no known number.
    #[error("Invalid resource type")]
    UnknownType,
    /// `type` is TEXT, which only attributes may have.
    #[error("Unsupported resource type")]
    UnsupportedType,
    /// A SCALAR without `scalar`, or with another value beside it.
    #[error("Invalid scalar resource")]
    NotScalar,
    /// A quantity below zero, or above zero and rounded to nothing.
    #[error("Invalid scalar resource: value <= 0")]
    NotPositive,
    /// A quantity that is NaN or infinite.
    #[error("Invalid scalar resource: value is not a finite number")]
    NotFinite,
    /// A quantity beyond [`super::SCALAR_LIMIT`].
    #[error("Invalid scalar resource: value is out of range")]
    OutOfRange,
    /// A fraction of a gpu.
    #[error("The 'gpus' resource must be an unsigned integer")]
    FractionalGpus,
    /// A RANGES without `ranges`, or with another value beside it.
    #[error("Invalid ranges resource")]
    NotRanges,
    /// A range whose end is before its beginning.
    #[error("Invalid ranges resource: begin > end")]
    InvertedRange,
    /// Two ranges that share a number.
    #[error("Invalid ranges resource: overlapping ranges")]
    OverlappingRanges,
    /// A SET without `set`, or with another value beside it.
    #[error("Invalid set resource")]
    NotSet,
    /// An item that appears twice.
    #[error("Invalid set resource: duplicated elements")]
    DuplicateItems,
    /// `disk` on something that is no disk.
    #[error("DiskInfo should not be set for {0} resource")]
    DiskInfoOn(String),
    /// `mount` in a BLOCK or RAW source.
    #[error("Mount should not be set for {0} disk source")]
    MountInSource(&'static str),
    /// `path` in a BLOCK or RAW source.
    #[error("Path should not be set for {0} disk source")]
    PathInSource(&'static str),
    /// A source of a type nobody knows.
    #[error("Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'")]
    UnknownDiskSource,
    /// A bad role, in `role` or in a reservation.
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// `reservation.type` in the old format.
    #[error("'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field")]
    TypeInOldReservation,
    /// `reservation.role` in the old format.
    #[error("'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field")]
    RoleInOldReservation,
    /// A reservation for `*` in the old format.
    #[error("Invalid reservation: role \"*\" cannot be dynamically reserved")]
    DefaultRoleDynamicallyReserved,
    /// A reservation for `*` in the new format.
    #[error("Invalid reservation: role \"*\" cannot be reserved")]
    DefaultRoleReserved,
    /// A reservation without `type` in the new format.
    #[error("Invalid reservation: 'Resource.ReservationInfo.type' field must be set.")]
    ReservationWithoutType,
    /// A reservation without `role` in the new format.
    #[error("Invalid reservation: 'Resource.ReservationInfo.role' field must be set.")]
    ReservationWithoutRole,
    /// A reservation of a type nobody knows.
    #[error("Unsupported 'Resource.ReservationInfo.Type'")]
    UnknownReservationType,
    /// A static reservation above the first level.
    #[error("Invalid refined reservation: A refined reservation cannot be STATIC")]
    RefinedStatic,
    /// A level whose role is not below the one before.
    #[error("Invalid refined reservation: role '{descendant}' is not a refinement of '{ancestor}'")]
    NotARefinement {
        /// The inner role.
        descendant: String,
        /// The outer role.
        ancestor: String,
    },
    /// More levels than [`super::RESERVATION_DEPTH_LIMIT`].
    #[error(
        "Invalid refined reservation: more than {} reservations",
        super::RESERVATION_DEPTH_LIMIT
    )]
    TooManyReservations,
    /// Both formats, with different roles.
    #[error(
        "Invalid resource format: 'Resource.role' field with '{role}' does not match the role \
         '{reservation_role}' in 'Resource.reservations'"
    )]
    RoleMismatch {
        /// The old format's role.
        role: String,
        /// The new format's role.
        reservation_role: String,
    },
    /// Both formats, one dynamic and one static.
    #[error(
        "Invalid resource format: 'Resource.reservation' must not be set if the single reservation \
         in 'Resource.reservations' is STATIC"
    )]
    OldReservationOnStatic,
    /// Both formats, the old one half.
    #[error(
        "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both \
         set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC"
    )]
    HalfOldReservation,
    /// Both formats, with different principals.
    #[error(
        "Invalid resource format: 'Resource.reservation.principal' field with '{old}' does not \
         match the principal '{new}' in 'Resource.reservations'"
    )]
    PrincipalMismatch {
        /// The old format's principal.
        old: String,
        /// The new format's principal.
        new: String,
    },
    /// Both formats, with different labels.
    #[error(
        "Invalid resource format: 'Resource.reservation.labels' field does not match the labels in \
         'Resource.reservations'"
    )]
    LabelsMismatch,
    /// `role` beside a refined stack.
    #[error(
        "Invalid resource format: 'Resource.role' must not be set if there is more than one \
         reservation in 'Resource.reservations'"
    )]
    RoleOnRefined,
    /// `reservation` beside a refined stack.
    #[error(
        "Invalid resource format: 'Resource.reservation' must not be set if there is more than one \
         reservation in 'Resource.reservations'"
    )]
    OldReservationOnRefined,
    /// `shared` on something that is no disk.
    #[error("Resource {0} cannot be shared")]
    CannotBeShared(String),
    /// `shared` on a disk that is no persistent volume.
    #[error("Only persistent volumes can be shared")]
    SharedWithoutPersistence,
}

/// One resource of a list that cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Resource '{resource}' is invalid: {reason}")]
pub struct InvalidResources {
    /// The resource as Mesos prints it.
    pub resource: String,
    /// What is wrong with it.
    pub reason: InvalidResource,
}
