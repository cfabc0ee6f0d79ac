//! An offer is answered once: accepted, declined or taken back, and nothing is launched from one that
//! was answered before, or more than it held. (Semantics 55 to 59.)

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::event::{Effect, Event};
use meseta_master::view::Delta;
use meseta_model::ids::{FrameworkId, OfferId};
use meseta_model::resources::Resources;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::RunTaskMessage;
use meseta_proto::mesos::v1;
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen, told_rescind};

const NEW: &str = "an offer has a new id";
const ONCE: &str = "an offer is answered once";
const STANDING: &str = "launches come from standing offers";
const FITS: &str = "launches fit their offers";
const RESCINDED: &str = "only standing offers are taken back";

/// One life of a master.
#[derive(Default)]
struct Book {
    open: BTreeMap<OfferId, (FrameworkId, Resources)>,
    ever: BTreeSet<OfferId>,
    /// Closed by the step under way.
    closed_now: BTreeSet<OfferId>,
    accepting: Option<Accepting>,
}

/// An ACCEPT under way.
struct Accepting {
    offers: Vec<OfferId>,
    all_stood: bool,
    left: Resources,
}

pub(super) struct Offers {
    masters: Vec<Book>,
}

impl Offers {
    pub(super) fn new(masters: usize) -> Self {
        Self {
            masters: (0..masters).map(|_| Book::default()).collect(),
        }
    }
}

fn unallocated(wire: &[meseta_proto::mesos::v1::Resource]) -> Resources {
    Resources::from_wire(wire).unwrap_or_default().unallocated()
}

impl Book {
    fn accept(&mut self, framework: &FrameworkId, offers: &[v1::OfferId]) {
        let offers: Vec<OfferId> = offers.iter().map(OfferId::from).collect();
        let mut left = Resources::new();
        let mut all_stood = true;
        for offer in &offers {
            match self.open.get(offer) {
                Some((owner, held)) if owner == framework => left += held,
                _ => all_stood = false,
            }
        }
        self.accepting = Some(Accepting {
            offers,
            all_stood,
            left,
        });
    }

    fn launched(&mut self, message: &RunTaskMessage, found: &mut Found) {
        let task = &message.task.task_id.value;
        let stood = self.accepting.as_ref().is_some_and(|a| a.all_stood);
        found.check(STANDING, stood, || {
            let offers = self.accepting.as_ref().map(|accepting| &accepting.offers);
            format!("task {task} is launched from {offers:?}, which do not stand")
        });
        let Some(accepting) = self.accepting.as_mut().filter(|a| a.all_stood) else {
            return;
        };
        let mut wanted = unallocated(&message.task.resources);
        if let (Some(executor), true) = (&message.task.executor, message.launch_executor()) {
            wanted += unallocated(&executor.resources);
        }
        let fits = accepting.left.try_sub_assign(&wanted);
        found.check(FITS, fits, || {
            format!("task {task} takes {wanted}, {} is left", accepting.left)
        });
    }

    fn effect(&mut self, effect: &Effect, found: &mut Found) {
        match effect {
            Effect::Changed(Delta::Elected(_)) => *self = Self::default(),
            Effect::Changed(Delta::Offer(offer)) => {
                let id = OfferId::from(&offer.id);
                found.check(NEW, self.ever.insert(id.clone()), || id.to_string());
                let owner = FrameworkId::from(&offer.framework_id);
                let held = unallocated(&offer.resources);
                self.open.insert(id, (owner, held));
            }
            Effect::Changed(Delta::OfferRemoved(id)) => {
                let stood = self.open.remove(id).is_some();
                found.check(ONCE, stood, || format!("{id} was answered before"));
                self.closed_now.insert(id.clone());
            }
            Effect::Send { message, .. } => {
                if let Message::RunTask(message) = &**message {
                    self.launched(message, found);
                }
            }
            _ => {}
        }
        if let Some(id) = told_rescind(effect) {
            let id = OfferId::from(id);
            let stood = self.closed_now.contains(&id);
            found.check(RESCINDED, stood, || format!("{id} did not stand"));
        }
    }
}

impl Invariant for Offers {
    fn kinds(&self) -> &'static [&'static str] {
        &[NEW, ONCE, STANDING, FITS, RESCINDED]
    }

    fn see(&mut self, seen: &Seen<'_>, _books: &Books, found: &mut Found) {
        match seen {
            Seen::MasterStarts { master } => self.masters[*master] = Book::default(),
            Seen::MasterTakes {
                master,
                event: Event::SchedulerCalled { call, .. },
            } => {
                if let (Some(framework), Some(accept)) = (&call.framework_id, &call.accept) {
                    let framework = FrameworkId::from(framework);
                    self.masters[*master].accept(&framework, &accept.offer_ids);
                }
            }
            Seen::MasterTakes {
                master,
                event:
                    Event::MessageReceived {
                        message: Message::SchedulerCall(call),
                        ..
                    },
            } => {
                if let (Some(framework), Some(accept)) = (&call.framework_id, &call.accept) {
                    let framework = FrameworkId::from(framework);
                    self.masters[*master].accept(&framework, &accept.offer_ids);
                }
            }
            Seen::MasterDoes {
                master,
                output: Output::Effect(effect),
            } => self.masters[*master].effect(effect, found),
            Seen::MasterRests { master } => {
                let book = &mut self.masters[*master];
                book.accepting = None;
                book.closed_now.clear();
            }
            _ => {}
        }
    }
}
