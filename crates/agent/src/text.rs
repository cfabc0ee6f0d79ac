//! Durations as Mesos spells them, in flags, environment variables and sentences.

use std::time::Duration;

/// The units of Mesos's duration texts, smallest first, in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("secs", 1_000_000_000),
    ("mins", 60_000_000_000),
    ("hrs", 3_600_000_000_000),
    ("days", 86_400_000_000_000),
    ("weeks", 604_800_000_000_000),
];

/// `5secs`, `1.5secs` as `1500ms`, `90secs`: the largest unit that the duration reaches, or the one
/// below it when that one does not divide it. compat: stout `duration.hpp`.
pub(crate) fn duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    let reached = UNITS.iter().rposition(|(_, unit)| nanos >= *unit).unwrap_or(0);
    let (_, unit) = UNITS[reached];
    let shown = if nanos % unit == 0 { reached } else { reached.saturating_sub(1) };
    let (name, unit) = UNITS[shown];
    if nanos % unit == 0 {
        format!("{}{name}", nanos / unit)
    } else {
        format!("{}{name}", nanos as f64 / unit as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn spelled_like_mesos() {
        let spelled = |nanos| duration(Duration::from_nanos(nanos));
        assert_eq!(spelled(0), "0ns");
        assert_eq!(spelled(999), "999ns");
        assert_eq!(spelled(1_500_000_000), "1500ms");
        assert_eq!(spelled(5_000_000_000), "5secs");
        assert_eq!(spelled(90_000_000_000), "90secs");
        assert_eq!(spelled(900_000_000_000), "15mins");
        assert_eq!(spelled(604_800_000_000_000), "1weeks");
        assert_eq!(spelled(864_000_000_000_000), "10days");
        assert_eq!(spelled(60_000_500_000), "60.0005secs");
    }
}
