//! What an operation does to resources: consume some, give others of the same quantity back.

use meseta_proto::mesos::v1;
use v1::offer::Operation;
use v1::offer::operation::{GrowVolume, Reserve, ShrinkVolume, Type, Unreserve};

use super::{Disk, InvalidResource, InvalidResources, Resource, Resources, Scalar, Value};

/// One step of an operation: `consumed` goes, `converted` comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// What must be there beforehand.
    pub consumed: Resources,
    /// What takes its place.
    pub converted: Resources,
    /// A volume that must be gone afterwards: a shared one may be held several times.
    gone: Option<Resource>,
}

/// Why an operation cannot be carried out on given resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotConvert {
    /// What it consumes is not (all) there.
    #[error("{total} does not contain {consumed}")]
    NotContained {
        /// What there is.
        total: Box<Resources>,
        /// What was wanted.
        consumed: Box<Resources>,
    },
    /// A shared volume that others hold too.
    #[error("Persistent volume {0} cannot be removed due to additional shared copies")]
    SharedCopies(Box<Resource>),
    /// A resource in the operation is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidResources),
    /// A resource in the operation is not valid.
    #[error(transparent)]
    InvalidResource(#[from] InvalidResource),
    /// RESERVE or UNRESERVE of something that nobody has reserved.
    #[error("Resource {0} is not reserved")]
    NotReserved(Box<Resource>),
    /// CREATE or DESTROY of something that is no persistent volume.
    #[error("Resource {0} is not a persistent volume")]
    NotAVolume(Box<Resource>),
    /// GROW_VOLUME or SHRINK_VOLUME by something that is no quantity, or no smaller one.
    #[error("Volume {0} cannot be resized by that amount")]
    BadSize(Box<Resource>),
    /// Resizing at a resource provider.
    #[error("Operation not supported for resource provider")]
    ResourceProvider,
    /// An operation that does not convert resources in place, or one without its sub-message.
    #[error("Operation not supported")]
    NotSupported,
    /// An operation of a type nobody knows.
    #[error("Unknown operation")]
    Unknown,
}

impl Conversion {
    fn new(consumed: impl Into<Resources>, converted: impl Into<Resources>) -> Self {
        Self {
            consumed: consumed.into(),
            converted: converted.into(),
            gone: None,
        }
    }

    /// The same step for resources that do not say to whom they are allocated.
    #[must_use]
    pub fn unallocated(&self) -> Self {
        let gone = self.gone.clone();
        Self {
            consumed: self.consumed.unallocated(),
            converted: self.converted.unallocated(),
            gone: gone.map(|volume| volume.with_allocation(None)),
        }
    }

    /// The resources afterwards.
    ///
    /// # Errors
    /// When not all of `consumed` is there, or a destroyed shared volume is held more than once.
    pub fn apply(&self, total: &Resources) -> Result<Resources, CannotConvert> {
        let rest =
            total
                .checked_sub(&self.consumed)
                .ok_or_else(|| CannotConvert::NotContained {
                    total: Box::new(total.clone()),
                    consumed: Box::new(self.consumed.clone()),
                })?;
        let after = rest + &self.converted;
        match &self.gone {
            Some(volume) if after.contains(&Resources::from(volume.clone())) => {
                Err(CannotConvert::SharedCopies(Box::new(volume.clone())))
            }
            _ => Ok(after),
        }
    }
}

impl Resources {
    /// Carries out conversions one after the other; each sees what the one before left.
    ///
    /// # Errors
    /// The first that cannot be carried out.
    pub fn apply(&self, conversions: &[Conversion]) -> Result<Self, CannotConvert> {
        conversions
            .iter()
            .try_fold(self.clone(), |total, conversion| conversion.apply(&total))
    }

    /// What a restarted agent has: `self`, as its configuration says, changed by the dynamic
    /// reservations and persistent volumes that it wrote down.
    ///
    /// # Errors
    /// When the configuration no longer has what one of them is made of.
    pub fn with_checkpointed(&self, checkpointed: &Self) -> Result<Self, CannotConvert> {
        checkpointed
            .iter()
            .try_fold(self.clone(), |total, resource| {
                let configured = resource.without_volume().with_kind(|kind| {
                    kind.reservations.truncate(1);
                    kind.reservations
                        .retain(|r| r.kind == super::ReservationType::Static);
                });
                Conversion::new(configured, resource.clone()).apply(&total)
            })
    }
}

impl Resource {
    /// The disk space that a persistent volume is made of: no persistence, no volume, not shared.
    #[must_use]
    pub fn without_volume(&self) -> Self {
        self.clone().with_kind(|kind| {
            kind.shared = false;
            let source = kind.disk.take().and_then(|disk| disk.source);
            kind.disk = source.map(|source| Disk {
                source: Some(source),
                ..Disk::default()
            });
        })
    }

    /// Whether an agent must write it down: its configuration does not bring it back.
    #[must_use]
    pub fn needs_checkpointing(&self) -> bool {
        self.provider_id().is_none()
            && (self.is_dynamically_reserved() || self.is_persistent_volume())
    }
}

/// What an operation does, as steps. Assumes that it was validated as an operation; what would not
/// convert is refused all the same.
///
/// # Errors
/// Operations that do not convert resources here (LAUNCH, LAUNCH_GROUP, CREATE_DISK, DESTROY_DISK),
/// and resources that they cannot be done to.
pub fn conversions(operation: &Operation) -> Result<Vec<Conversion>, CannotConvert> {
    const ABSENT: CannotConvert = CannotConvert::NotSupported;
    match operation.r#type() {
        Type::Reserve => reserved(operation.reserve.as_ref().ok_or(ABSENT)?),
        Type::Unreserve => unreserved(operation.unreserve.as_ref().ok_or(ABSENT)?),
        Type::Create => {
            let volumes = volumes(&operation.create.as_ref().ok_or(ABSENT)?.volumes)?;
            let created = |volume: Resource| Conversion::new(volume.without_volume(), volume);
            Ok(volumes.into_iter().map(created).collect())
        }
        Type::Destroy => {
            let volumes = volumes(&operation.destroy.as_ref().ok_or(ABSENT)?.volumes)?;
            Ok(volumes.into_iter().map(destroyed).collect())
        }
        Type::GrowVolume => Ok(vec![grown(operation.grow_volume.as_ref().ok_or(ABSENT)?)?]),
        Type::ShrinkVolume => Ok(vec![shrunk(
            operation.shrink_volume.as_ref().ok_or(ABSENT)?,
        )?]),
        Type::Launch | Type::LaunchGroup | Type::CreateDisk | Type::DestroyDisk => {
            Err(CannotConvert::NotSupported)
        }
        Type::Unknown => Err(CannotConvert::Unknown),
    }
}

/// Without a source, the innermost reservation is what is new.
fn reserved(reserve: &Reserve) -> Result<Vec<Conversion>, CannotConvert> {
    let converted = Resources::from_wire(&reserve.resources)?;
    let consumed = if reserve.source.is_empty() {
        all_reserved(&converted)?;
        converted.pop_reservation()
    } else {
        Resources::from_wire(&reserve.source)?
    };
    Ok(vec![Conversion::new(consumed, converted)])
}

fn unreserved(unreserve: &Unreserve) -> Result<Vec<Conversion>, CannotConvert> {
    let all = Resources::from_wire(&unreserve.resources)?;
    all_reserved(&all)?;
    let pop = |resource: &Resource| {
        let one = Resources::from(resource.clone());
        let popped = one.pop_reservation();
        Conversion::new(one, popped)
    };
    Ok(all.iter().map(pop).collect())
}

fn all_reserved(all: &Resources) -> Result<(), CannotConvert> {
    match all.iter().find(|resource| resource.is_unreserved()) {
        Some(resource) => Err(CannotConvert::NotReserved(Box::new(resource.clone()))),
        None => Ok(()),
    }
}

fn volumes(wire: &[v1::Resource]) -> Result<Vec<Resource>, CannotConvert> {
    let volumes: Vec<Resource> = wire
        .iter()
        .map(Resource::from_wire)
        .collect::<Result<_, _>>()?;
    match volumes.iter().find(|volume| !volume.is_persistent_volume()) {
        Some(other) => Err(CannotConvert::NotAVolume(Box::new(other.clone()))),
        None => Ok(volumes),
    }
}

fn destroyed(volume: Resource) -> Conversion {
    let stripped = volume.without_volume();
    Conversion {
        gone: Some(volume.clone()),
        ..Conversion::new(volume, stripped)
    }
}

fn grown(grow: &GrowVolume) -> Result<Conversion, CannotConvert> {
    let volume = resizable(&grow.volume)?;
    let addition = Resource::from_wire(&grow.addition)?;
    let bad_size = || CannotConvert::BadSize(Box::new(volume.clone()));
    let (Some(size), Some(more)) = (volume.quantity(), addition.quantity()) else {
        return Err(bad_size());
    };
    let fits = volume.without_volume().with_value(addition.value().clone()) == addition;
    if more <= Scalar::ZERO || !fits || addition.is_indivisible() {
        return Err(bad_size());
    }
    let larger = volume
        .clone()
        .with_value(Value::Scalar(size.saturating_add(more)));
    let consumed: Resources = [volume, addition].into_iter().collect();
    Ok(Conversion::new(consumed, larger))
}

fn shrunk(shrink: &ShrinkVolume) -> Result<Conversion, CannotConvert> {
    let volume = resizable(&shrink.volume)?;
    let bad_size = || CannotConvert::BadSize(Box::new(volume.clone()));
    let less = Scalar::try_from_f64(shrink.subtract.value).map_err(|_| bad_size())?;
    let size = volume.quantity().ok_or_else(bad_size)?;
    if less <= Scalar::ZERO || less >= size {
        return Err(bad_size());
    }
    let freed = volume.without_volume().with_value(Value::Scalar(less));
    let smaller = volume
        .clone()
        .with_value(Value::Scalar(size.saturating_sub(less)));
    Ok(Conversion::new(
        volume,
        [smaller, freed].into_iter().collect::<Resources>(),
    ))
}

fn resizable(wire: &v1::Resource) -> Result<Resource, CannotConvert> {
    let volume = Resource::from_wire(wire)?;
    if !volume.is_persistent_volume() {
        return Err(CannotConvert::NotAVolume(Box::new(volume)));
    }
    if volume.provider_id().is_some() {
        return Err(CannotConvert::ResourceProvider);
    }
    Ok(volume)
}
