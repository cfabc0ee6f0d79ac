//! Who asks, and whether they may (design decision 13).

use std::collections::BTreeMap;

/// The one behind an event from outside. Without authentication the principal is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The authenticated name.
    pub principal: Option<String>,
    /// Claims of a token, for example `fid`, `eid`, `cid` of an executor.
    pub claims: BTreeMap<String, String>,
}

/// What a caller wants to do; Mesos's authorization actions, in its spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Subscribe a framework, or change it.
    RegisterFramework,
    /// Launch a task as a user.
    RunTask,
    /// End a framework and all it runs.
    TeardownFramework,
    /// Join the cluster as an agent.
    RegisterAgent,
    /// See a framework.
    ViewFramework,
    /// See a task.
    ViewTask,
    /// See an executor.
    ViewExecutor,
    /// See a role, its weight, quota and resources.
    ViewRole,
    /// See what a daemon was started with.
    ViewFlags,
    /// Read files of an executor's sandbox.
    AccessSandbox,
    /// Read the daemon's own log.
    AccessMesosLog,
    /// Change how much is logged.
    SetLogLevel,
    /// Declare an agent gone for good.
    MarkAgentGone,
    /// Reserve resources for a role.
    ReserveResources,
    /// Undo a reservation.
    UnreserveResources,
    /// Make a persistent volume.
    CreateVolume,
    /// Destroy a persistent volume.
    DestroyVolume,
    /// Grow or shrink a persistent volume.
    ResizeVolume,
    /// Make a disk of a resource provider's space.
    CreateDisk,
    /// Give a disk back to its resource provider.
    DestroyDisk,
}

/// What the action is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object<'a> {
    /// Any object of the kind that the action is about.
    Any,
    /// A framework, and what belongs to it.
    Framework {
        /// The principal it subscribed with.
        principal: Option<&'a str>,
        /// One of its roles; a framework of several is asked about once for each.
        role: &'a str,
    },
    /// An operating system user.
    User(&'a str),
    /// A role.
    Role(&'a str),
}

/// Whether `caller` may do `action` to `object`. Today everyone may: the flags that would restrict
/// are refused at start-up until this consults access lists.
#[must_use]
pub fn permits(caller: &Caller, action: Action, object: &Object<'_>) -> bool {
    let _ = (caller, action, object);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_access_lists_everyone_may() {
        let anonymous = Caller::default();
        let object = Object::Framework {
            principal: Some("p"),
            role: "a",
        };
        assert!(permits(&anonymous, Action::TeardownFramework, &object));
    }
}
