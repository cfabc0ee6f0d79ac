//! What `/version` and GET_VERSION say.

use meseta_model::version::MESOS_VERSION;
use serde_json::json;

/// Meseta's own version.
pub(crate) const MESETA_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The `/version` document: Mesos's level, and ours beside it (design decision 14).
pub(crate) fn document() -> Vec<u8> {
    let document = json!({
        "build_user": "",
        "meseta_version": MESETA_VERSION,
        "version": MESOS_VERSION,
    });
    document.to_string().into_bytes()
}
