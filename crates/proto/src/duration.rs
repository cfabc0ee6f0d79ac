//! `google.protobuf.Duration` as Mesos writes durations: `10mins`, `1.5hrs`.
//!
//! compat: DRAIN_AGENT's documentation shows its grace period in this form, although Mesos's own parser
//! takes the object form only; both are accepted.
use prost_types::Duration;

/// Units and their nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 60e9),
    ("hrs", 3_600e9),
    ("days", 86_400e9),
    ("weeks", 604_800e9),
];

/// Reads a duration of a number and a unit, at most what 64-bit nanoseconds hold.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    if !number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let ns = number.parse::<f64>().ok()? * unit_ns;
    if ns.abs() >= i64::MAX as f64 {
        return None;
    }
    let ns = ns.round() as i64;
    // The remainder of a division by 1e9 fits.
    Some(Duration {
        seconds: ns / 1_000_000_000,
        nanos: (ns % 1_000_000_000) as i32,
    })
}
