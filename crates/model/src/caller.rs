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
#[allow(missing_docs)]
pub enum Action {
    RegisterFramework,
    RunTask,
    TeardownFramework,
    RegisterAgent,
    ViewFramework,
    ViewTask,
    ViewExecutor,
    ViewRole,
    ViewFlags,
    AccessSandbox,
    AccessMesosLog,
    SetLogLevel,
    MarkAgentGone,
    ReserveResources,
    UnreserveResources,
    CreateVolume,
    DestroyVolume,
}

/// What the action is done to. `None` means any object of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Object<'a> {
    Any,
    Framework {
        principal: Option<&'a str>,
        role: &'a str,
    },
    User(&'a str),
    Role(&'a str),
}

/// Whether `caller` may do `action` to `object`. Today everyone may: the flags that would restrict
/// are refused at start-up until this consults access lists.
#[must_use]
pub fn permits(caller: &Caller, action: Action, object: &Object<'_>) -> bool {
    let _ = (caller, action, object);
    true
}
