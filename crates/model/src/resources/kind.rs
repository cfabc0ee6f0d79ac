//! What stands behind a quantity: for whom it is reserved, which disk it lies on, who provides it.

use std::cmp::Ordering;
use std::sync::Arc;

use meseta_proto::mesos::v1;

use crate::roles::Role;

/// Labels in the order given; compared as such.
pub type Labels = Vec<(String, Option<String>)>;

/// Who made a reservation permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservationType {
    /// By the agent's configuration; it cannot be undone while the agent runs.
    Static,
    /// By a RESERVE operation.
    Dynamic,
}

/// One level of a reservation stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reservation {
    /// Static or dynamic.
    pub kind: ReservationType,
    /// For whom; never `*`.
    pub role: Role,
    /// Who reserved, if known.
    pub principal: Option<String>,
    /// What the reserver noted; part of the identity. `Some` and empty differs from `None` on the wire.
    pub labels: Option<Labels>,
}

impl Reservation {
    /// A dynamic reservation without principal and labels.
    #[must_use]
    pub fn dynamic(role: Role) -> Self {
        Self {
            kind: ReservationType::Dynamic,
            role,
            principal: None,
            labels: None,
        }
    }

    /// A static reservation.
    #[must_use]
    pub fn fixed(role: Role) -> Self {
        Self {
            kind: ReservationType::Static,
            role,
            principal: None,
            labels: None,
        }
    }
}

/// Where a disk resource comes from, when it is not the agent's work directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskSourceType {
    /// A directory of a shared file system; divisible.
    Path,
    /// A file system of its own; all or nothing.
    Mount,
    /// A block device; all or nothing.
    Block,
    /// Space from which disks can be made; divisible as long as it has no id.
    Raw,
}

/// The source of a disk resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskSource {
    /// What it is.
    pub kind: DiskSourceType,
    /// The directory of a PATH or MOUNT; the outer `None` says that the sub-message is absent.
    pub root: Option<Option<String>>,
    /// The plugin's vendor.
    pub vendor: Option<String>,
    /// The plugin's id of this very disk.
    pub id: Option<String>,
    /// The plugin's notes.
    pub metadata: Option<Labels>,
    /// The disk profile it was made with.
    pub profile: Option<String>,
}

/// What makes a disk resource a persistent volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Persistence {
    /// Unique per role on an agent.
    pub id: String,
    /// Who created it.
    pub principal: Option<String>,
}

/// The disk part of a resource.
///
/// compat: as in Mesos, two disks are the same when persistence id and source are; `volume` says how
/// a task uses it, which may differ from task to task, and the creator is not compared either.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// Present on persistent volumes.
    pub persistence: Option<Persistence>,
    /// How it is mounted; not part of the identity.
    pub volume: Option<Arc<v1::Volume>>,
    /// Absent: the agent's work directory.
    pub source: Option<DiskSource>,
}

impl Disk {
    fn identity(&self) -> (Option<&str>, Option<&DiskSource>) {
        (
            self.persistence.as_ref().map(|p| p.id.as_str()),
            self.source.as_ref(),
        )
    }

    /// Whether parts of it cannot be split off or joined: a persistent volume, a MOUNT or BLOCK disk,
    /// a RAW disk with an id.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.persistence.is_some()
            || self
                .source
                .as_ref()
                .is_some_and(|source| match source.kind {
                    DiskSourceType::Path => false,
                    DiskSourceType::Mount | DiskSourceType::Block => true,
                    DiskSourceType::Raw => source.id.is_some(),
                })
    }
}

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Disk {}

impl Ord for Disk {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl PartialOrd for Disk {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Everything but name, value and allocation that tells resources apart. The default kind (nothing
/// reserved, no disk, firm, unshared, the agent's own) is the common one and is not stored at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Kind {
    /// From the outermost to the most refined; empty when unreserved.
    pub reservations: Vec<Reservation>,
    /// Set on disks that are more than space in the work directory.
    pub disk: Option<Disk>,
    /// May be taken back at any time (oversubscription).
    pub revocable: bool,
    /// May be used by several tasks at once.
    pub shared: bool,
    /// The resource provider that has it; absent: the agent itself.
    pub provider_id: Option<String>,
}

impl Kind {
    /// Whether resources of this kind are counted rather than split and joined.
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        self.shared || self.disk.as_ref().is_some_and(Disk::is_exclusive)
    }
}
