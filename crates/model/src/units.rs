//! Durations and sizes as flags spell them: `10mins`, `2GB`.

use std::fmt;
use std::str::FromStr;

const NANOSECONDS_PER: [(&str, i64); 8] = [
    ("weeks", 604_800_000_000_000),
    ("days", 86_400_000_000_000),
    ("hrs", 3_600_000_000_000),
    ("mins", 60_000_000_000),
    ("secs", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A span of time in whole nanoseconds, negative ones included, as Mesos's durations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(i64);

/// Why a text or number is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// No unit, or nothing at all.
    #[error("Invalid duration '{0}'")]
    Invalid(String),
    /// Something else than a number before the unit.
    #[error("Failed to convert '{0}' to number")]
    NotANumber(String),
    /// A unit nobody knows.
    #[error(
        "Unknown duration unit '{0}'; supported units are 'ns', 'us', 'ms', 'secs', 'mins', 'hrs', \
         'days', and 'weeks'"
    )]
    UnknownUnit(String),
    /// More than 292 years.
    #[error("Argument out of the range that a Duration can represent due to int64_t's size limit")]
    OutOfRange,
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds, saturating.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// From fractional seconds, as `failover_timeout` has them; rounded to a nanosecond.
    ///
    /// # Errors
    /// Beyond what 64 bits of nanoseconds hold, or not a number.
    pub fn try_from_secs(secs: f64) -> Result<Self, BadDuration> {
        from_nanos_f64(secs * 1e9)
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// In whole microseconds, the unit of the cores' clocks; negative ones are 0.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        if self.0 < 0 {
            0
        } else {
            self.0.unsigned_abs() / 1000
        }
    }

    /// In fractional seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// As the standard library has it; negative ones are 0.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        if self.0 < 0 {
            std::time::Duration::ZERO
        } else {
            std::time::Duration::from_nanos(self.0.unsigned_abs())
        }
    }
}

fn from_nanos_f64(nanos: f64) -> Result<Duration, BadDuration> {
    // 2^63 is the first double that i64 cannot hold; NaN fails both comparisons.
    let limit = -(i64::MIN as f64);
    if nanos >= -limit && nanos < limit {
        return Ok(Duration(nanos.round() as i64));
    }
    Err(BadDuration::OutOfRange)
}

impl FromStr for Duration {
    type Err = BadDuration;

    /// A number with an optional fraction, directly followed by its unit. No sign, no spaces.
    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let at = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| BadDuration::Invalid(text.to_owned()))?;
        let (number, unit) = text.split_at(at);
        let bad_number = || BadDuration::NotANumber(number.to_owned());
        let factor = NANOSECONDS_PER
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, n)| *n);
        let value: f64 = number.parse().map_err(|_| bad_number())?;
        let factor = factor.ok_or_else(|| BadDuration::UnknownUnit(unit.to_owned()))?;
        match number.parse::<i64>() {
            Ok(whole) => whole
                .checked_mul(factor)
                .map(Duration)
                .ok_or(BadDuration::OutOfRange),
            Err(_) => from_nanos_f64(value * factor as f64),
        }
    }
}

impl fmt::Display for Duration {
    /// The largest unit that does not exceed it; the next smaller one where that makes the number
    /// whole: `10days`, not `1.42857142857143weeks`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let at = NANOSECONDS_PER
            .iter()
            .position(|(_, factor)| nanos >= factor.unsigned_abs())
            .unwrap_or(NANOSECONDS_PER.len() - 1);
        let divides = |&(_, factor): &(&str, i64)| nanos.is_multiple_of(factor.unsigned_abs());
        let chosen = NANOSECONDS_PER[at..]
            .iter()
            .take(2)
            .find(|unit| divides(unit));
        let (unit, factor) = chosen.copied().unwrap_or(NANOSECONDS_PER[at]);
        let factor = factor.unsigned_abs();
        if nanos.is_multiple_of(factor) {
            return write!(f, "{sign}{}{unit}", nanos / factor);
        }
        write!(
            f,
            "{sign}{}{unit}",
            fifteen_digits(nanos as f64 / factor as f64)
        )
    }
}

/// A number below a thousand with fifteen significant digits, trailing zeros cut.
fn fifteen_digits(value: f64) -> String {
    let before_point = (value.log10().floor() as i32).clamp(0, 14) as usize + 1;
    let text = format!("{value:.*}", 15 - before_point);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

const BYTES_PER: [(&str, u64); 5] = [
    ("TB", 1 << 40),
    ("GB", 1 << 30),
    ("MB", 1 << 20),
    ("KB", 1 << 10),
    ("B", 1),
];

/// A size in bytes; units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBytes {
    /// No unit, or nothing at all.
    #[error("Invalid bytes '{0}'")]
    Invalid(String),
    /// A fraction.
    #[error("Fractional bytes '{0}'")]
    Fractional(String),
    /// Nothing before the unit, or more than 64 bits.
    #[error("Failed to convert '{0}' to number")]
    NotANumber(String),
    /// A unit nobody knows.
    #[error("Unknown bytes unit '{0}'")]
    UnknownUnit(String),
    /// More than 64 bits once multiplied.
    #[error("Bytes '{0}' out of range")]
    OutOfRange(String),
}

impl Bytes {
    /// From megabytes, the unit of `mem` and `disk`, saturating.
    #[must_use]
    pub const fn from_megabytes(megabytes: u64) -> Self {
        Self(megabytes.saturating_mul(1 << 20))
    }

    /// In whole megabytes.
    #[must_use]
    pub const fn as_megabytes(self) -> u64 {
        self.0 >> 20
    }
}

impl FromStr for Bytes {
    type Err = BadBytes;

    /// A whole number directly followed by its unit, in either case.
    fn from_str(text: &str) -> Result<Self, BadBytes> {
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(|| BadBytes::Invalid(text.to_owned()))?;
        let (number, unit) = text.split_at(at);
        if unit.starts_with('.') {
            return Err(BadBytes::Fractional(text.to_owned()));
        }
        let value: u64 = number
            .parse()
            .map_err(|_| BadBytes::NotANumber(number.to_owned()))?;
        let unit = unit.to_ascii_uppercase();
        let factor = BYTES_PER
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, n)| *n);
        let factor = factor.ok_or(BadBytes::UnknownUnit(unit))?;
        let bytes = value
            .checked_mul(factor)
            .ok_or_else(|| BadBytes::OutOfRange(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Bytes {
    /// The largest unit that loses nothing: `2GB`, `1500MB`, `0B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |&&(_, factor): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(factor);
        let (unit, factor) = BYTES_PER.iter().find(whole).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_and_printed() {
        let cases = [
            ("15secs", 15_000_000_000, "15secs"),
            ("10mins", 600_000_000_000, "10mins"),
            ("1weeks", 604_800_000_000_000, "1weeks"),
            ("2weeks", 1_209_600_000_000_000, "2weeks"),
            ("10days", 864_000_000_000_000, "10days"),
            ("7days", 604_800_000_000_000, "1weeks"),
            ("24hrs", 86_400_000_000_000, "1days"),
            ("90mins", 5_400_000_000_000, "90mins"),
            ("1.5hrs", 5_400_000_000_000, "90mins"),
            ("60secs", 60_000_000_000, "1mins"),
            ("75secs", 75_000_000_000, "75secs"),
            ("500ms", 500_000_000, "500ms"),
            ("0.5secs", 500_000_000, "500ms"),
            ("1500ms", 1_500_000_000, "1500ms"),
            ("100us", 100_000, "100us"),
            ("0ns", 0, "0ns"),
            ("0secs", 0, "0ns"),
            ("1.5us", 1_500, "1500ns"),
            ("3700001ms", 3_700_001_000_000, "1.02777805555556hrs"),
            (".5mins", 30_000_000_000, "30secs"),
            ("9223372036854775807ns", i64::MAX, "15250.2844524715weeks"),
        ];
        for (text, nanos, shown) in cases {
            assert_eq!(text.parse(), Ok(Duration(nanos)), "{text}");
            assert_eq!(Duration(nanos).to_string(), shown);
        }
        assert_eq!(Duration(-1_500_000_000).to_string(), "-1500ms");
    }

    #[test]
    fn bad_durations_are_refused() {
        let units =
            "; supported units are 'ns', 'us', 'ms', 'secs', 'mins', 'hrs', 'days', and 'weeks'";
        let range =
            "Argument out of the range that a Duration can represent due to int64_t's size limit";
        let cases = [
            ("", "Invalid duration ''".to_owned()),
            ("10", "Invalid duration '10'".to_owned()),
            ("secs", "Failed to convert '' to number".to_owned()),
            (
                "1.2.3secs",
                "Failed to convert '1.2.3' to number".to_owned(),
            ),
            ("-1secs", "Failed to convert '' to number".to_owned()),
            ("1 secs", format!("Unknown duration unit ' secs'{units}")),
            ("1sec", format!("Unknown duration unit 'sec'{units}")),
            ("9223372036854775808ns", range.to_owned()),
            ("99999999weeks", range.to_owned()),
        ];
        for (text, wanted) in cases {
            let got = text.parse::<Duration>().map_err(|bad| bad.to_string());
            assert_eq!(got, Err(wanted), "{text}");
        }
    }

    #[test]
    fn seconds_must_be_representable() {
        assert_eq!(Duration::try_from_secs(1.5), Ok(Duration(1_500_000_000)));
        assert_eq!(Duration::try_from_secs(-1.0), Ok(Duration(-1_000_000_000)));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e10, f64::MAX] {
            assert_eq!(
                Duration::try_from_secs(bad),
                Err(BadDuration::OutOfRange),
                "{bad}"
            );
        }
        assert_eq!(Duration(-5).to_std(), std::time::Duration::ZERO);
        assert_eq!(
            (Duration(-5).as_micros(), Duration(5_999).as_micros()),
            (0, 5)
        );
    }

    #[test]
    fn sizes_are_read_and_printed() {
        let cases = [
            ("2GB", 2 << 30, "2GB"),
            ("1024MB", 1 << 30, "1GB"),
            ("1500MB", 1500 << 20, "1500MB"),
            ("4kb", 4096, "4KB"),
            ("1TB", 1 << 40, "1TB"),
            ("0B", 0, "0B"),
            ("0GB", 0, "0B"),
            ("1023B", 1023, "1023B"),
        ];
        for (text, bytes, shown) in cases {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
        let refused = [
            ("", "Invalid bytes ''"),
            ("12", "Invalid bytes '12'"),
            ("1.5GB", "Fractional bytes '1.5GB'"),
            ("GB", "Failed to convert '' to number"),
            ("1PB", "Unknown bytes unit 'PB'"),
            ("99999999TB", "Bytes '99999999TB' out of range"),
        ];
        for (text, wanted) in refused {
            let got = text.parse::<Bytes>().map_err(|bad| bad.to_string());
            assert_eq!(got, Err(wanted.to_owned()), "{text}");
        }
        assert_eq!(Bytes::from_megabytes(3).as_megabytes(), 3);
        assert_eq!(Bytes::from_megabytes(u64::MAX), Bytes(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos in 0i64.., bytes in any::<u64>()) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
            let shown = Duration(nanos).to_string();
            let back = shown.parse::<Duration>().map(Duration::as_nanos).unwrap_or(i64::MAX);
            let off = back.abs_diff(nanos) as f64;
            prop_assert!(off <= nanos as f64 * 1e-14 + 1.0, "{shown}: off by {off}ns");
        }

        #[test]
        fn whole_seconds_and_milliseconds_are_exact(secs in 0i64..3_600, ms in 0i64..60_000) {
            for duration in [Duration::from_secs(secs), Duration(ms * 1_000_000)] {
                prop_assert_eq!(duration.to_string().parse(), Ok(duration));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}", near in "[0-9.]{0,24}[a-z]{0,5}") {
            for text in [text, near] {
                let _ = (text.parse::<Duration>(), text.parse::<Bytes>());
            }
        }
    }
}
