//! What each framework called and was sent, for `master/frameworks/…`: counted where it passes, on its
//! way in and out. What became of its calls the core counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meseta_master::view::{Delta, FrameworkCounter, FrameworkState};
use meseta_model::edge::StreamId;
use meseta_model::ids::FrameworkId;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::offer::operation::Type as Operation;
use meseta_proto::mesos::v1::scheduler::{self, Event, call, event};

use crate::metrics::Metrics;

/// The frameworks that are known, bounded as they are: a tally goes when its framework is forgotten.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    frameworks: BTreeMap<FrameworkId, Tally>,
    /// Whose events go over a stream, or to a driver: at most one of each per framework, the last.
    streams: BTreeMap<StreamId, FrameworkId>,
    drivers: BTreeMap<String, FrameworkId>,
}

/// What one framework called, was sent, and came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    driver: Option<String>,
    stream: Option<StreamId>,
    calls: BTreeMap<call::Type, u64>,
    events: BTreeMap<event::Type, u64>,
    /// What the core counted.
    counted: BTreeMap<FrameworkCounter, u64>,
    sent: u64,
    rescinded: u64,
}

impl Tallies {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns which frameworks there are.
    pub(super) fn apply(&self, delta: &Delta) {
        match delta {
            Delta::Elected(_) => *self.lock() = State::default(),
            Delta::Framework(view) => {
                let Some(id) = view.info.id.as_ref().map(FrameworkId::from) else {
                    return;
                };
                let over = view.state == FrameworkState::Completed;
                let driver = view.pid.clone().filter(|_| !over);
                self.lock().set_driver(&id, driver);
            }
            Delta::FrameworkForgotten(id) => self.lock().remove(id),
            _ => {}
        }
    }

    /// Something grew that the core counts.
    pub(super) fn count(&self, id: &FrameworkId, counter: FrameworkCounter, by: u64) {
        if let Some(tally) = self.lock().frameworks.get_mut(id) {
            *tally.counted.entry(counter).or_default() += by;
        }
    }

    /// A framework called, over HTTP.
    pub(super) fn called(&self, call: &scheduler::Call) {
        if let Some(id) = call.framework_id.as_ref().map(FrameworkId::from) {
            self.lock().called(&id, call.r#type());
        }
    }

    /// A message came in: a driver's call, if it is one and from its driver.
    ///
    /// compat: the messages of older drivers are not counted as calls.
    pub(super) fn received(&self, from: &Upid, message: &Message) {
        let Message::SchedulerCall(call) = message else {
            return;
        };
        let mut state = self.lock();
        let id = state.drivers.get(&from.to_string()).cloned();
        if let Some(id) = id {
            // The kinds have the same numbers in both.
            let kind = call::Type::try_from(call.r#type.unwrap_or_default());
            state.called(&id, kind.unwrap_or_default());
        }
    }

    /// An event goes over a stream, which may be over by now. The first one says whose it is.
    pub(super) fn sent_over(&self, stream: &StreamId, event: &Event) {
        let mut state = self.lock();
        if let Some(subscribed) = &event.subscribed {
            state.set_stream(&FrameworkId::from(&subscribed.framework_id), stream);
        }
        let offers = event.offers.as_ref().map_or(0, |part| part.offers.len());
        let id = state.streams.get(stream).cloned();
        if let Some(tally) = id.and_then(|id| state.frameworks.get_mut(&id)) {
            tally.sent(event.r#type(), offers);
        }
    }

    /// A message goes to a driver, or to whomever it may concern.
    pub(super) fn sent_to(&self, to: &Upid, message: &Message) {
        let (kind, offers) = match message {
            Message::FrameworkRegistered(_) | Message::FrameworkReregistered(_) => {
                (event::Type::Subscribed, 0)
            }
            Message::ResourceOffers(message) => (event::Type::Offers, message.offers.len()),
            Message::RescindResourceOffer(_) => (event::Type::Rescind, 0),
            Message::StatusUpdate(_) => (event::Type::Update, 0),
            Message::ExecutorToFramework(_) => (event::Type::Message, 0),
            Message::LostSlave(_) | Message::ExitedExecutor(_) => (event::Type::Failure, 0),
            Message::FrameworkError(_) => (event::Type::Error, 0),
            _ => return,
        };
        let mut state = self.lock();
        let id = state.drivers.get(&to.to_string()).cloned();
        if let Some(tally) = id.and_then(|id| state.frameworks.get_mut(&id)) {
            tally.sent(kind, offers);
        }
    }

    /// The tally of a framework, as of now.
    pub(super) fn of(&self, framework: &FrameworkId) -> Tally {
        let state = self.lock();
        state.frameworks.get(framework).cloned().unwrap_or_default()
    }
}

impl State {
    fn called(&mut self, id: &FrameworkId, kind: call::Type) {
        if let Some(tally) = self.frameworks.get_mut(id) {
            *tally.calls.entry(kind).or_default() += 1;
        }
    }

    fn set_driver(&mut self, id: &FrameworkId, driver: Option<String>) {
        let tally = self.frameworks.entry(id.clone()).or_default();
        if tally.driver == driver {
            return;
        }
        if let Some(old) = std::mem::replace(&mut tally.driver, driver.clone()) {
            self.drivers.remove(&old);
        }
        if let Some(driver) = driver {
            self.drivers.insert(driver, id.clone());
        }
    }

    /// A framework subscribed over this stream, and is told no more over the one before.
    fn set_stream(&mut self, id: &FrameworkId, stream: &StreamId) {
        let Some(tally) = self.frameworks.get_mut(id) else {
            return;
        };
        // compat: of drivers it is not counted.
        *tally.calls.entry(call::Type::Subscribe).or_default() += 1;
        if let Some(old) = tally.stream.replace(stream.clone()) {
            self.streams.remove(&old);
        }
        self.streams.insert(stream.clone(), id.clone());
    }

    fn remove(&mut self, id: &FrameworkId) {
        let Some(tally) = self.frameworks.remove(id) else {
            return;
        };
        if let Some(driver) = tally.driver {
            self.drivers.remove(&driver);
        }
        if let Some(stream) = tally.stream {
            self.streams.remove(&stream);
        }
    }
}

impl Tally {
    fn sent(&mut self, kind: event::Type, offers: usize) {
        *self.events.entry(kind).or_default() += 1;
        match kind {
            event::Type::Offers => self.sent += offers as u64,
            event::Type::Rescind => self.rescinded += 1,
            _ => {}
        }
    }

    /// Under `master/frameworks/NAME/ID`; what never happened too, as 0.
    pub(super) fn write(&self, metrics: &mut Metrics, prefix: &str) {
        self.write_calls(metrics, prefix);
        self.write_events(metrics, prefix);
        metrics.count(format!("{prefix}/operations"), 0);
        let counted = |counter| self.counted.get(&counter).copied().unwrap_or(0);
        for kind in OPERATIONS {
            let count = counted(FrameworkCounter::Operations(kind));
            let name = kind.as_str_name().to_lowercase();
            metrics.count(format!("{prefix}/operations/{name}"), count);
            metrics.count(format!("{prefix}/operations"), count);
        }
        for (name, count) in [
            ("accepted", counted(FrameworkCounter::OffersAccepted)),
            ("declined", counted(FrameworkCounter::OffersDeclined)),
            ("rescinded", self.rescinded),
            ("sent", self.sent),
        ] {
            metrics.count(format!("{prefix}/offers/{name}"), count);
        }
    }

    fn write_calls(&self, metrics: &mut Metrics, prefix: &str) {
        metrics.count(format!("{prefix}/calls"), 0);
        for kind in (1..=17).filter_map(|number| call::Type::try_from(number).ok()) {
            let count = self.calls.get(&kind).copied().unwrap_or(0);
            let name = kind.as_str_name().to_lowercase();
            metrics.count(format!("{prefix}/calls/{name}"), count);
            metrics.count(format!("{prefix}/calls"), count);
        }
    }

    fn write_events(&self, metrics: &mut Metrics, prefix: &str) {
        metrics.count(format!("{prefix}/events"), 0);
        for kind in (1..=11).filter_map(|number| event::Type::try_from(number).ok()) {
            let count = self.events.get(&kind).copied().unwrap_or(0);
            let name = kind.as_str_name().to_lowercase();
            metrics.count(format!("{prefix}/events/{name}"), count);
            metrics.count(format!("{prefix}/events"), count);
        }
    }
}

/// Every operation that an ACCEPT may hold.
pub(super) const OPERATIONS: [Operation; 10] = [
    Operation::Create,
    Operation::CreateDisk,
    Operation::Destroy,
    Operation::DestroyDisk,
    Operation::GrowVolume,
    Operation::Launch,
    Operation::LaunchGroup,
    Operation::Reserve,
    Operation::ShrinkVolume,
    Operation::Unreserve,
];

#[cfg(test)]
mod tests {
    use meseta_master::view::FrameworkView;
    use meseta_proto::mesos::v1;

    use super::*;

    fn framework(id: &FrameworkId) -> Delta {
        Delta::Framework(Box::new(FrameworkView {
            info: v1::FrameworkInfo {
                id: Some(id.to_wire()),
                ..Default::default()
            },
            pid: None,
            state: FrameworkState::Registered,
            active: true,
            connected: true,
            suppressed_roles: Vec::new(),
            registered_time: 0.0,
            reregistered_time: 0.0,
            unregistered_time: None,
        }))
    }

    /// The edge hears that a scheduler hung up before the core does, which may still be answering its
    /// SUBSCRIBE: nobody says of such a stream that it is over.
    #[test]
    fn of_each_framework_one_stream_is_known() {
        let (tallies, id) = (Tallies::default(), FrameworkId::from("f"));
        let subscribed = |id: &FrameworkId| Event {
            r#type: Some(event::Type::Subscribed.into()),
            subscribed: Some(event::Subscribed {
                framework_id: id.to_wire(),
                ..Default::default()
            }),
            ..Default::default()
        };
        tallies.apply(&framework(&id));
        for stream in ["s1", "s2", "s3"] {
            tallies.sent_over(&StreamId::new(stream), &subscribed(&id));
        }
        tallies.sent_over(&StreamId::new("s4"), &subscribed(&FrameworkId::from("g")));
        let known: Vec<_> = tallies.lock().streams.clone().into_iter().collect();
        assert_eq!(known, [(StreamId::new("s3"), id.clone())]);
        assert_eq!(tallies.of(&id).calls[&call::Type::Subscribe], 3);
        tallies.apply(&Delta::FrameworkForgotten(id));
        assert!(tallies.lock().streams.is_empty());
    }
}
