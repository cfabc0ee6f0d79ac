//! Fixed-point scalars: whole thousandths, as Mesos computes.

use std::fmt;

/// The largest magnitude, in thousandths, that may enter from outside: 2^53, beyond which the
/// wire's doubles no longer tell neighbouring thousandths apart.
pub const SCALAR_LIMIT: i64 = 1 << 53;

/// A scalar quantity in thousandths (`0.1` cpus is 100). Sums saturate at the ends of `i64`, which
/// values within [`SCALAR_LIMIT`] reach only after a thousand additions of the largest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar(i64);

/// Why a number cannot be a scalar quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadScalar {
    /// NaN or infinite.
    #[error("not a finite number")]
    NotFinite,
    /// Beyond [`SCALAR_LIMIT`].
    #[error("out of range")]
    OutOfRange,
}

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// From whole units, saturating.
    #[must_use]
    pub const fn from_whole(units: i64) -> Self {
        Self(units.saturating_mul(1000))
    }

    /// From a double: times 1000, rounded half away from zero.
    ///
    /// # Errors
    /// When the number is not finite or its magnitude is beyond [`SCALAR_LIMIT`].
    pub fn try_from_f64(value: f64) -> Result<Self, BadScalar> {
        if !value.is_finite() {
            return Err(BadScalar::NotFinite);
        }
        let thousandths = (value * 1000.0).round();
        if thousandths.abs() > SCALAR_LIMIT as f64 {
            return Err(BadScalar::OutOfRange);
        }
        Ok(Self(thousandths as i64))
    }

    /// The number in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The number as the wire has it.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether there is no fraction, as gpus demand.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0 % 1000 == 0
    }

    /// The sum, kept within `i64`.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times as much, kept within `i64`.
    #[must_use]
    pub const fn saturating_mul(self, times: u32) -> Self {
        Self(self.0.saturating_mul(times as i64))
    }

    /// The difference, kept within `i64`.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Scalar {
    /// The shortest decimal form: `8`, `0.1`, `-0.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let part = format!("{part:03}");
        write!(f, "{sign}{whole}.{}", part.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_away_from_zero() {
        let cases = [
            (0.0004, 0),
            (0.0005, 1),
            (-0.0005, -1),
            (1.0015, 1002),
            (0.1, 100),
            (2.5, 2500),
        ];
        for (value, thousandths) in cases {
            assert_eq!(
                Scalar::try_from_f64(value),
                Ok(Scalar(thousandths)),
                "{value}"
            );
        }
    }

    #[test]
    fn refuses_what_it_cannot_hold() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Scalar::try_from_f64(value), Err(BadScalar::NotFinite));
        }
        assert_eq!(Scalar::try_from_f64(1e300), Err(BadScalar::OutOfRange));
        assert_eq!(Scalar::try_from_f64(-1e16), Err(BadScalar::OutOfRange));
        assert!(Scalar::try_from_f64(9e12).is_ok());
        // The limit itself, and the next number that a double can tell from it.
        let largest = SCALAR_LIMIT as f64 / 1000.0;
        assert_eq!(
            Scalar::try_from_f64(largest),
            Ok(Scalar::from_thousandths(SCALAR_LIMIT))
        );
        for beyond in [largest.next_up(), (-largest).next_down()] {
            assert_eq!(Scalar::try_from_f64(beyond), Err(BadScalar::OutOfRange));
        }
    }

    #[test]
    fn sums_saturate() {
        let most = Scalar(i64::MAX);
        assert_eq!(most.saturating_add(Scalar(1)), most);
        assert_eq!(Scalar::from_whole(i64::MAX), most);
    }

    #[test]
    fn prints_the_shortest_form() {
        let cases = [
            (8000, "8"),
            (100, "0.1"),
            (-50, "-0.05"),
            (1001, "1.001"),
            (0, "0"),
        ];
        for (thousandths, text) in cases {
            assert_eq!(Scalar(thousandths).to_string(), text);
        }
    }
}
