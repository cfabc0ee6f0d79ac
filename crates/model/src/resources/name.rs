//! Names of resources, interned where Mesos predefines them.

use std::fmt;
use std::sync::Arc;

/// The name of a resource. The predefined ones cost nothing to copy and compare; the order is the
/// order in which a freshly started agent lists them, custom names last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceName {
    /// Processors; scalar.
    Cpus,
    /// Graphics processors; scalar, whole numbers only.
    Gpus,
    /// Memory in megabytes; scalar.
    Mem,
    /// Disk space in megabytes; scalar.
    Disk,
    /// Network ports; ranges.
    Ports,
    /// Anything else an operator made up.
    Custom(Arc<Box<str>>),
}

impl ResourceName {
    /// From its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text {
            "cpus" => Self::Cpus,
            "gpus" => Self::Gpus,
            "mem" => Self::Mem,
            "disk" => Self::Disk,
            "ports" => Self::Ports,
            custom => Self::Custom(Arc::new(custom.into())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cpus => "cpus",
            Self::Gpus => "gpus",
            Self::Mem => "mem",
            Self::Disk => "disk",
            Self::Ports => "ports",
            Self::Custom(text) => text,
        }
    }
}

impl From<&str> for ResourceName {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
