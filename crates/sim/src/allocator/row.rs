//! What is printed.

use super::mesos::mesos_ms;
use super::{Meter, Size};

/// How many times as fast is shown at most; a cycle with nothing to do takes no time at all.
const TIMES_SHOWN: f64 = 99_999.0;

/// One figure of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The shape and what of it was measured, as `decline/steady`.
    pub shape: String,
    /// The cluster.
    pub size: Size,
    /// The median, milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile, milliseconds; of few times, the slowest.
    pub p99_ms: f64,
    /// Offers made in one of the times; for `decline/filters`, filters that stand; for `explain`, pairs
    /// that would be an offer.
    pub offers: usize,
    /// How much memory grew since the shape began; for `memory` and `decline/filters`, by what the row
    /// names alone.
    pub bytes: u64,
}

impl Row {
    /// The heading above [`Row::line`].
    pub const HEADING: &str = "shape                    agents frameworks  roles     p50 ms     p99 ms   offers          bytes   Mesos ms    times";

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        format!(
            "{{\"shape\":\"{}\",\"agents\":{},\"frameworks\":{},\"roles\":{},\"p50_ms\":{:.5},\
             \"p99_ms\":{:.5},\"offers\":{},\"bytes\":{}}}",
            self.shape,
            self.size.agents,
            self.size.frameworks,
            self.size.roles,
            self.p50_ms,
            self.p99_ms,
            self.offers,
            self.bytes
        )
    }

    /// One line for people, beside Mesos's figure where there is one.
    #[must_use]
    pub fn line(&self) -> String {
        let Size {
            agents,
            frameworks,
            roles,
        } = self.size;
        let beside = mesos_ms(&self.shape, self.size).map_or_else(String::new, |mesos| {
            let times = (mesos / self.p50_ms).min(TIMES_SHOWN);
            format!("{mesos:>11.1} {times:>8.0}")
        });
        let bytes = match self.things() {
            Some(count) => format!("{:.0} each", self.bytes as f64 / count as f64),
            None => self.bytes.to_string(),
        };
        format!(
            "{:<24} {agents:>6} {frameworks:>10} {roles:>6} {:>10.4} {:>10.4} {:>8} {bytes:>14}{beside}",
            self.shape, self.p50_ms, self.p99_ms, self.offers
        )
    }

    /// Among how many things the bytes are divided, if the row is about what one of them weighs.
    #[must_use]
    pub fn things(&self) -> Option<usize> {
        match self.shape.as_str() {
            "memory/agents" => Some(self.size.agents),
            "memory/frameworks" => Some(self.size.frameworks),
            "decline/filters" | "labels/filters" => Some(self.offers),
            _ => None,
        }
    }
}

/// Makes the rows of one shape.
pub(super) struct Rows<'a> {
    shape: &'static str,
    pub(super) size: Size,
    meter: Meter,
    before: u64,
    print: &'a mut dyn FnMut(&Row),
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        shape: &'static str,
        size: Size,
        meter: Meter,
        print: &'a mut dyn FnMut(&Row),
    ) -> Self {
        let before = meter();
        Self {
            shape,
            size,
            meter,
            before,
            print,
        }
    }

    /// From here on memory is counted anew.
    pub(super) fn count_from_here(&mut self) {
        self.before = (self.meter)();
    }

    pub(super) fn add(&mut self, what: &str, times_ms: &[f64], offers: usize) {
        let mut sorted = times_ms.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let last = sorted.len().saturating_sub(1) as f64;
            sorted
                .get((last * part).round() as usize)
                .copied()
                .unwrap_or_default()
        };
        (self.print)(&Row {
            shape: format!("{}/{what}", self.shape),
            size: self.size,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            offers,
            bytes: (self.meter)().saturating_sub(self.before),
        });
    }
}
