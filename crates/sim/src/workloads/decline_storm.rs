//! A framework that declines everything with a filter of no time at all.

use meseta_proto::mesos::v1::scheduler;
use scheduler::event::Type;

use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct DeclineStorm;

impl Workload for DeclineStorm {
    fn subscribed(&mut self, _acts: &mut Acts<'_>) {}

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        if let (Type::Offers, Some(offers)) = (event.r#type(), &event.offers) {
            for offer in &offers.offers {
                acts.faults.push(Fault::DeclinedWithZero);
                acts.decline(vec![offer.id.clone()], 0.0);
            }
        }
    }

    fn tick(&mut self, _acts: &mut Acts<'_>) {}
}
