//! A write is said to be on disk and never is: one of twenty.

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    writes: u64,
}

impl Plant for Planted {
    fn reports_before_flush(&mut self) -> bool {
        self.writes += 1;
        self.writes.is_multiple_of(20)
    }
}
