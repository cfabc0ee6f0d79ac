//! A framework whose calls sometimes carry the id of an earlier stream, or one that never was.

use meseta_proto::mesos::v1::scheduler;

use super::steady::Steady;
use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct StaleStream {
    steady: Steady,
    earlier: Vec<String>,
}

impl StaleStream {
    pub(super) fn new(steady: Steady) -> Self {
        let earlier = vec!["no-such-stream".to_owned()];
        Self { steady, earlier }
    }

    fn spoil(&self, before: usize, acts: &mut Acts<'_>) {
        for place in before..acts.asked.len() {
            if acts.draws.permille(250) {
                acts.asked[place].1.stream_id = acts.draws.pick(&self.earlier).cloned();
                acts.faults.push(Fault::StaleStreamUsed);
            }
        }
    }
}

impl Workload for StaleStream {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.steady.subscribed(acts);
        self.spoil(0, acts);
        self.earlier
            .extend(acts.stream.iter().map(ToString::to_string));
        if acts.draws.coin() {
            // A new stream soon makes this one an earlier one.
            acts.hangs_up = true;
        }
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        let before = acts.asked.len();
        self.steady.heard(event, acts);
        if self.earlier.len() > 2 {
            self.earlier.remove(1);
        }
        self.spoil(before, acts);
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        self.steady.tick(acts);
    }
}
