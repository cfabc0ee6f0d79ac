//! FrameworkInfo: roles, id, filters, timeout; what may change later.

use std::collections::BTreeSet;

use meseta_proto::mesos::v1;
use v1::scheduler::OfferConstraints;

use super::id::{InvalidId, id};
use crate::capabilities::FrameworkCapabilities;
use crate::limits::{CONSTRAINTS_PER_FRAMEWORK, MINIMUMS_PER_ROLE, ROLES_PER_FRAMEWORK};
use crate::resources::{BadScalar, Scalar};
use crate::roles::{self, InvalidRole, Role};
use crate::units::Duration;

/// Why a framework may not subscribe, or not change in that way.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidFramework {
    /// `role` beside the capability MULTI_ROLE.
    #[error("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable")]
    RoleWithMultiRole,
    /// `roles` without the capability MULTI_ROLE.
    #[error("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable")]
    RolesWithoutMultiRole,
    /// A role twice.
    #[error("'FrameworkInfo.roles' contains duplicate items: {0}")]
    DuplicateRoles(String),
    /// More than [`ROLES_PER_FRAMEWORK`].
    #[error(
        "'FrameworkInfo.roles' contains more than {} roles",
        ROLES_PER_FRAMEWORK
    )]
    TooManyRoles,
    /// A bad name in `roles`.
    #[error("'FrameworkInfo.roles' contains invalid role: {0}")]
    BadRoles(InvalidRole),
    /// A bad name in `role`.
    #[error("'FrameworkInfo.role' is not a valid role: {0}")]
    BadRole(InvalidRole),
    /// A bad framework id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// An alternative of a minimum that asks for nothing.
    #[error("Resource quantities must contain at least one quantity")]
    EmptyQuantities,
    /// A minimum that is no quantity.
    #[error("Invalid resource quantity for '{name}': {reason}")]
    BadQuantity {
        /// The resource.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// More than [`MINIMUMS_PER_ROLE`].
    #[error(
        "'FrameworkInfo.offer_filters' contains more than {limit} resource quantities for role '{0}'",
        limit = MINIMUMS_PER_ROLE
    )]
    TooManyMinimums(String),
    /// A timeout that is no duration.
    #[error("The framework failover_timeout ({0:?}) is invalid")]
    FailoverTimeout(f64),
    /// Another principal than before.
    #[error("Changing framework's principal is not allowed.")]
    PrincipalChanged,
    /// Another user than before.
    #[error(
        "Updating 'FrameworkInfo.user' is unsupported; attempted to update from '{from}' to '{to}'"
    )]
    UserChanged {
        /// Before.
        from: String,
        /// Wanted.
        to: String,
    },
    /// Another choice of checkpointing than before.
    #[error(
        "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from '{from}' to \
         '{to}'"
    )]
    CheckpointChanged {
        /// Before.
        from: bool,
        /// Wanted.
        to: bool,
    },
    /// Suppressed roles that the framework does not have.
    #[error("Suppressed roles {0} are not contained in the set of roles")]
    SuppressedRoles(String),
    /// A constraint for a role that the framework does not have.
    #[error(
        "Offer constraints specify `role_constraints` for a role '{0}'not contained in the set of \
         roles"
    )]
    ConstraintRole(String),
    /// More than [`CONSTRAINTS_PER_FRAMEWORK`].
    #[error(
        "Offer constraints contain more than {} attribute constraints",
        CONSTRAINTS_PER_FRAMEWORK
    )]
    TooManyConstraints,
}

/// A set as Mesos prints one.
fn braces<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("{{ {} }}", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// The roles a framework subscribes to: `roles` if it is MULTI_ROLE, else `role`, by default `*`.
#[allow(deprecated)]
#[must_use]
pub fn roles(info: &v1::FrameworkInfo) -> BTreeSet<Role> {
    if FrameworkCapabilities::from_wire(&info.capabilities).is_multi_role() {
        info.roles
            .iter()
            .map(|role| Role::from(role.as_str()))
            .collect()
    } else {
        [Role::from(info.role())].into()
    }
}

/// Checks what a framework says about itself.
///
/// # Errors
/// The first thing wrong with it. A subscriber hears it in an ERROR event.
pub fn framework(info: &v1::FrameworkInfo) -> Result<(), InvalidFramework> {
    check_roles(info)?;
    // An empty id is as good as none: the framework is new.
    if let Some(given) = info.id.as_ref().filter(|given| !given.value.is_empty()) {
        id(&given.value)?;
    }
    for (role, filters) in &info.offer_filters {
        check_offer_filters(role, filters)?;
    }
    match Duration::try_from_secs(info.failover_timeout()) {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidFramework::FailoverTimeout(info.failover_timeout())),
    }
}

#[allow(deprecated)]
fn check_roles(info: &v1::FrameworkInfo) -> Result<(), InvalidFramework> {
    if !FrameworkCapabilities::from_wire(&info.capabilities).is_multi_role() {
        if !info.roles.is_empty() {
            return Err(InvalidFramework::RolesWithoutMultiRole);
        }
        return roles::validate(info.role()).map_err(InvalidFramework::BadRole);
    }
    if info.role.is_some() {
        return Err(InvalidFramework::RoleWithMultiRole);
    }
    if info.roles.len() > ROLES_PER_FRAMEWORK {
        return Err(InvalidFramework::TooManyRoles);
    }
    let mut seen = BTreeSet::new();
    let duplicates: BTreeSet<&str> = info
        .roles
        .iter()
        .map(String::as_str)
        .filter(|role| !seen.insert(*role))
        .collect();
    if !duplicates.is_empty() {
        return Err(InvalidFramework::DuplicateRoles(braces(duplicates)));
    }
    let bad = info
        .roles
        .iter()
        .find_map(|role| roles::validate(role).err());
    bad.map_or(Ok(()), |bad| Err(InvalidFramework::BadRoles(bad)))
}

fn check_offer_filters(role: &str, filters: &v1::OfferFilters) -> Result<(), InvalidFramework> {
    let alternatives = filters
        .min_allocatable_resources
        .iter()
        .flat_map(|min| &min.quantities);
    let count: usize = alternatives.clone().map(|one| one.quantities.len()).sum();
    if count > MINIMUMS_PER_ROLE {
        return Err(InvalidFramework::TooManyMinimums(role.to_owned()));
    }
    for alternative in alternatives {
        if alternative.quantities.is_empty() {
            return Err(InvalidFramework::EmptyQuantities);
        }
        for (name, quantity) in &alternative.quantities {
            check_quantity(quantity.value).map_err(|reason| InvalidFramework::BadQuantity {
                name: name.clone(),
                reason,
            })?;
        }
    }
    Ok(())
}

fn check_quantity(value: f64) -> Result<(), &'static str> {
    match Scalar::try_from_f64(value) {
        Err(BadScalar::NotFinite) if value.is_nan() => Err("NaN not supported"),
        Err(BadScalar::NotFinite) => Err("Infinite values not supported"),
        Err(BadScalar::OutOfRange) => Err("Value out of range"),
        Ok(_) if value.is_subnormal() => Err("Subnormal values not supported"),
        Ok(_) if value < 0.0 => Err("Negative values not supported"),
        Ok(_) => Ok(()),
    }
}

/// Checks an UPDATE_FRAMEWORK, or with `resubscribing` a SUBSCRIBE of a known framework, against what
/// was said before.
///
/// compat: a re-subscription keeps the old user and checkpoint silently (see
/// [`keep_immutable_fields`]); an update is refused for them. Another principal is always refused.
///
/// # Errors
/// The first field that may not change.
pub fn check_update(
    old: &v1::FrameworkInfo,
    new: &v1::FrameworkInfo,
    resubscribing: bool,
) -> Result<(), InvalidFramework> {
    if old.principal != new.principal {
        return Err(InvalidFramework::PrincipalChanged);
    }
    if resubscribing {
        return Ok(());
    }
    if old.user != new.user {
        return Err(InvalidFramework::UserChanged {
            from: old.user.clone(),
            to: new.user.clone(),
        });
    }
    if old.checkpoint() != new.checkpoint() {
        return Err(InvalidFramework::CheckpointChanged {
            from: old.checkpoint(),
            to: new.checkpoint(),
        });
    }
    Ok(())
}

/// Undoes, in a re-subscription, the changes that Mesos ignores.
pub fn keep_immutable_fields(old: &v1::FrameworkInfo, new: &mut v1::FrameworkInfo) {
    if old.user != new.user {
        new.user.clone_from(&old.user);
    }
    if old.checkpoint() != new.checkpoint() {
        new.checkpoint = Some(old.checkpoint());
    }
}

/// Checks that every suppressed role is one of the framework's.
///
/// # Errors
/// The ones that are not.
pub fn check_suppressed_roles<'a>(
    roles: &BTreeSet<Role>,
    suppressed: impl IntoIterator<Item = &'a str>,
) -> Result<(), InvalidFramework> {
    let foreign: BTreeSet<&str> = suppressed
        .into_iter()
        .filter(|role| !roles.contains(&Role::from(*role)))
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(InvalidFramework::SuppressedRoles(braces(foreign)))
}

/// Checks that offer constraints name roles of the framework only.
///
/// # Errors
/// The first one that does not. compat: the space missing in the text is missing in Mesos too.
pub fn check_offer_constraint_roles(
    roles: &BTreeSet<Role>,
    constraints: &OfferConstraints,
) -> Result<(), InvalidFramework> {
    let mut named = constraints.role_constraints.keys();
    match named.find(|role| !roles.contains(&Role::from(role.as_str()))) {
        Some(role) => Err(InvalidFramework::ConstraintRole(role.clone())),
        None => Ok(()),
    }
}

/// Checks how many offer constraints there are.
///
/// # Errors
/// More than [`CONSTRAINTS_PER_FRAMEWORK`].
pub fn check_offer_constraint_count(
    constraints: &OfferConstraints,
) -> Result<(), InvalidFramework> {
    let roles = constraints.role_constraints.values();
    let groups = roles.flat_map(|role| &role.groups);
    let count: usize = groups
        .map(|group| group.attribute_constraints.len().max(1))
        .sum();
    if count > CONSTRAINTS_PER_FRAMEWORK {
        return Err(InvalidFramework::TooManyConstraints);
    }
    Ok(())
}
