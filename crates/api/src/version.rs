//! What `/version`, GET_VERSION and the head of `/state` say.

use meseta_model::version::MESOS_VERSION;
use meseta_proto::mesos::v1;

use crate::json::{self, Object};

/// Meseta's own version.
const MESETA_VERSION: &str = env!("CARGO_PKG_VERSION");

/// When this version was made, for tools that print it. A constant of the release, so that the same
/// source builds the same binary.
const BUILD_DATE: &str = "2026-11-20 00:00:00 UTC";

/// [`BUILD_DATE`] in seconds since the Unix epoch.
const BUILD_TIME: f64 = 1_795_132_800.0;

/// The `/version` document: Mesos's level, and ours beside it (design decision 14).
pub(crate) fn document() -> String {
    let mut out = String::new();
    json::object(&mut out, |o| {
        o.text("build_date", BUILD_DATE);
        o.number("build_time", BUILD_TIME);
        o.text("build_user", "");
        o.text("meseta_version", MESETA_VERSION);
        o.text("version", MESOS_VERSION);
    });
    out
}

/// The first fields of `/state`.
pub(crate) fn fields(o: &mut Object<'_>) {
    o.text("version", MESOS_VERSION);
    o.text("meseta_version", MESETA_VERSION);
    o.text("build_date", BUILD_DATE);
    o.number("build_time", BUILD_TIME);
    o.text("build_user", "");
}

/// As the operator API says it.
pub(crate) fn info() -> v1::VersionInfo {
    v1::VersionInfo {
        version: MESOS_VERSION.to_owned(),
        build_date: Some(BUILD_DATE.to_owned()),
        build_time: Some(BUILD_TIME),
        build_user: Some(String::new()),
        ..Default::default()
    }
}
