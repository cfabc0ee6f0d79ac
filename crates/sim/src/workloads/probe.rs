//! Looks at the end whether everything is free again: holds every offer it gets.

use meseta_proto::mesos::v1::scheduler;

use super::{Acts, Workload};

pub(super) struct Probe;

impl Workload for Probe {
    fn subscribed(&mut self, _acts: &mut Acts<'_>) {}

    fn heard(&mut self, _event: &scheduler::Event, _acts: &mut Acts<'_>) {}

    fn tick(&mut self, _acts: &mut Acts<'_>) {}
}
