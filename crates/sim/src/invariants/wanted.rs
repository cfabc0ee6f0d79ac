//! Offers go to frameworks that are there, in roles that they have and want: none stands for one that is
//! away or removed, and none is made in a role that it left or suppressed. (Semantics 52 to 54, 60.)

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::event::Effect;
use meseta_master::view::{Delta, FrameworkState, FrameworkView};
use meseta_model::ids::{FrameworkId, OfferId};
use meseta_proto::mesos::v1;
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen};

const ROLE: &str = "offers are made in roles that want them";
const STANDS: &str = "no offer stands for a framework that is away";

/// A framework as a master showed it last.
struct Shown {
    there: bool,
    roles: BTreeSet<String>,
    suppressed: BTreeSet<String>,
}

/// One life of a master.
#[derive(Default)]
struct Book {
    frameworks: BTreeMap<FrameworkId, Shown>,
    standing: BTreeMap<OfferId, FrameworkId>,
}

pub(super) struct Wanted {
    masters: Vec<Book>,
}

impl Wanted {
    pub(super) fn new(masters: usize) -> Self {
        Self {
            masters: (0..masters).map(|_| Book::default()).collect(),
        }
    }
}

/// The roles of a framework: those of one that may have several, or else its only one.
fn roles_of(info: &v1::FrameworkInfo) -> BTreeSet<String> {
    if info.roles.is_empty() {
        return BTreeSet::from([info.role().to_owned()]);
    }
    info.roles.iter().cloned().collect()
}

impl Book {
    fn shown(&mut self, view: &FrameworkView) {
        let Some(id) = view.info.id.as_ref().map(FrameworkId::from) else {
            return;
        };
        let shown = Shown {
            there: view.connected && view.state != FrameworkState::Completed,
            roles: roles_of(&view.info),
            suppressed: view.suppressed_roles.iter().cloned().collect(),
        };
        self.frameworks.insert(id, shown);
    }

    fn offered(&mut self, offer: &v1::Offer, found: &mut Found) {
        let framework = FrameworkId::from(&offer.framework_id);
        let allocation = offer.allocation_info.as_ref();
        let role = allocation.and_then(|info| info.role.as_deref());
        let role = role.unwrap_or("*");
        let shown = self.frameworks.get(&framework);
        let wanted = shown.is_some_and(|shown| {
            shown.there && shown.roles.contains(role) && !shown.suppressed.contains(role)
        });
        found.check(ROLE, wanted, || format!("{framework} in {role}"));
        self.standing
            .insert(OfferId::from(&offer.id), framework.clone());
    }
}

impl Invariant for Wanted {
    fn kinds(&self) -> &'static [&'static str] {
        &[ROLE, STANDS]
    }

    fn see(&mut self, seen: &Seen<'_>, _books: &Books, found: &mut Found) {
        match seen {
            Seen::MasterStarts { master } => self.masters[*master] = Book::default(),
            Seen::MasterDoes {
                master,
                output: Output::Effect(Effect::Changed(delta)),
            } => {
                let book = &mut self.masters[*master];
                match delta {
                    Delta::Elected(_) => *book = Book::default(),
                    Delta::Framework(view) => book.shown(view),
                    Delta::Offer(offer) => book.offered(offer, found),
                    Delta::OfferRemoved(id) => {
                        book.standing.remove(id);
                    }
                    _ => {}
                }
            }
            Seen::MasterRests { master } => {
                let book = &self.masters[*master];
                if book.standing.is_empty() {
                    return;
                }
                let there = |id: &FrameworkId| book.frameworks.get(id).is_some_and(|f| f.there);
                let wrong = book.standing.iter().find(|(_, id)| !there(id));
                found.check(STANDS, wrong.is_none(), || format!("{wrong:?}"));
            }
            _ => {}
        }
    }
}
