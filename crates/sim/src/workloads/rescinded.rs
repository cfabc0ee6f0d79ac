//! A framework that sits on offers, and accepts them once they are taken back.

use std::collections::BTreeMap;

use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::event::Type;

use super::steady::Steady;
use super::task::{self, Room};
use super::{Acts, Workload};
use crate::tally::Fault;

pub(super) struct Rescinded {
    steady: Steady,
    kept: BTreeMap<String, v1::Offer>,
}

impl Rescinded {
    pub(super) fn new(steady: Steady) -> Self {
        let kept = BTreeMap::new();
        Self { steady, kept }
    }

    fn accept(&mut self, offer: &v1::Offer, acts: &mut Acts<'_>) {
        let id = self.steady.new_id();
        let mut room = Room::of(&offer.resources);
        let made = task::task(acts.draws, &id, &offer.agent_id, &mut room, None);
        if let Some(task) = made {
            acts.faults.push(Fault::RescindedOfferAccepted);
            acts.accept(vec![offer.id.clone()], vec![task], 0.0);
        }
    }
}

impl Workload for Rescinded {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        // Offers of an earlier subscription were taken back without a word.
        for offer in std::mem::take(&mut self.kept).into_values() {
            self.accept(&offer, acts);
        }
        self.steady.subscribed(acts);
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        match (event.r#type(), &event.offers, &event.rescind) {
            (Type::Offers, Some(offers), _) => {
                for offer in &offers.offers {
                    self.kept.insert(offer.id.value.clone(), offer.clone());
                }
            }
            (Type::Rescind, _, Some(rescind)) => {
                if let Some(offer) = self.kept.remove(&rescind.offer_id.value) {
                    self.accept(&offer, acts);
                }
            }
            _ => self.steady.heard(event, acts),
        }
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        if acts.draws.permille(100)
            && let Some((_, offer)) = self.kept.pop_first()
        {
            acts.decline(vec![offer.id], 0.5);
        }
        self.steady.tick(acts);
    }
}
