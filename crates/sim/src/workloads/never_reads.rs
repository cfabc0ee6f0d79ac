//! A framework that stops reading its stream, but goes on to call.

use meseta_proto::mesos::v1::scheduler;

use super::steady::Steady;
use super::{Acts, Workload};

pub(super) struct NeverReads {
    steady: Steady,
    left: u64,
}

impl NeverReads {
    pub(super) fn new(steady: Steady) -> Self {
        let left = 4;
        Self { steady, left }
    }
}

impl Workload for NeverReads {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.left = 1 + acts.draws.below(12);
        self.steady.subscribed(acts);
    }

    fn disconnected(&mut self) {
        self.left = 2;
        self.steady.disconnected();
    }

    fn restarted(&mut self) {
        self.left = 2;
        self.steady.restarted();
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        self.left = self.left.saturating_sub(1);
        self.steady.heard(event, acts);
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        // Every answer to this is one more thing to read.
        for _ in 0..4 {
            acts.reconcile(Vec::new());
        }
        acts.revive(Vec::new());
        self.steady.tick(acts);
    }

    fn reads(&self) -> bool {
        self.left > 0
    }
}
