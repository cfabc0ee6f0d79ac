//! The version on the wire (design decision 14).

/// The level of Mesos that Meseta speaks: in `MasterInfo`, `RegisterSlaveMessage`, `/version` and
/// `/state`. Original peers ignore one that is below theirs.
pub const MESOS_VERSION: &str = "1.11.0";
