//! A framework is removed for good reasons only: somebody tore it down, or it stayed away for its whole
//! `failover_timeout`, under every master that led meanwhile. (Semantics 43 to 46.)

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::event::{Effect, Event, OperatorCall};
use meseta_master::registry::Op;
use meseta_master::view::{Delta, FrameworkState, FrameworkView};
use meseta_model::ids::FrameworkId;
use meseta_proto::actor::Message;
use meseta_proto::mesos::scheduler as v0;
use meseta_proto::mesos::v1::scheduler::call::Type;
use meseta_runtime::Output;

use super::{Books, Found, Invariant, Seen};
use crate::limits::SECOND_US;
use crate::tally::Situation;

const REASON: &str = "frameworks are removed for good reasons";

/// What is left of a timeout when a timer fires a little early is no reason to complain.
const SLACK_US: u64 = 1_000;

/// A framework as the masters showed it last.
struct Known {
    failover_timeout_us: u64,
    connected_to: Option<usize>,
    /// When the last one that it was connected to lost it, or fell.
    away_since_us: u64,
    /// The last one that it was connected to, and which of its lives that was.
    last: Option<(usize, u64)>,
}

/// Since when a framework has been away is known here from what masters show, from their falls, and from
/// what they are asked to do.
pub(super) struct Removed {
    known: BTreeMap<FrameworkId, Known>,
    torn_down: BTreeSet<FrameworkId>,
    lives: Vec<u64>,
}

impl Removed {
    pub(super) fn new(masters: usize) -> Self {
        Self {
            known: BTreeMap::new(),
            torn_down: BTreeSet::new(),
            lives: vec![0; masters],
        }
    }

    fn shown(&mut self, master: usize, view: &FrameworkView, now_us: u64) {
        let Some(id) = view.info.id.as_ref().map(FrameworkId::from) else {
            return;
        };
        if view.state == FrameworkState::Completed {
            return;
        }
        let timeout_us = view.info.failover_timeout().max(0.0) * SECOND_US as f64;
        let known = self.known.entry(id).or_insert_with(|| Known {
            failover_timeout_us: 0,
            connected_to: None,
            away_since_us: now_us,
            last: None,
        });
        known.failover_timeout_us = timeout_us as u64;
        if view.connected {
            known.connected_to = Some(master);
            known.last = Some((master, self.lives[master]));
        } else if known.connected_to.take_if(|m| *m == master).is_some() {
            known.away_since_us = now_us;
        }
    }

    fn master_ends(&mut self, master: usize, now_us: u64) {
        self.lives[master] += 1;
        for known in self.known.values_mut() {
            if known.connected_to.take_if(|m| *m == master).is_some() {
                known.away_since_us = now_us;
            }
        }
    }

    /// Whoever was connected to another master is so no longer, even if that one stands still and does
    /// not know it yet.
    fn elected(&mut self, master: usize, now_us: u64) {
        for known in self.known.values_mut() {
            if known.connected_to.take_if(|m| *m != master).is_some() {
                known.away_since_us = now_us;
            }
        }
    }

    fn committed(&mut self, op: &[u8], books: &Books, found: &mut Found) {
        let Ok(Op::FrameworkRemoved { framework }) = Op::decode(op) else {
            return;
        };
        let torn_down = self.torn_down.contains(&framework);
        let now_us = found.now_us();
        let known = self.known.get(&framework);
        let stayed_away = known.is_some_and(|known| {
            let away_us = now_us.saturating_sub(known.away_since_us) + SLACK_US;
            known.connected_to.is_none() && away_us >= known.failover_timeout_us
        });
        found.check(REASON, torn_down || stayed_away, || {
            let since = known.map(|known| (known.away_since_us, known.connected_to));
            format!("{framework}: away since {since:?}")
        });
        if torn_down || !stayed_away {
            return;
        }
        found.met(Situation::FailoverExpired);
        let leads = |m: usize| books.masters[m].epoch.is_some();
        let elsewhere = known.and_then(|known| known.last);
        if elsewhere.is_some_and(|(m, life)| self.lives[m] != life || !leads(m)) {
            found.met(Situation::FailoverExpiredElsewhere);
        }
    }

    fn master_takes(&mut self, event: &Event) {
        match event {
            Event::OperatorCalled {
                call: OperatorCall::Teardown(framework),
                ..
            } => {
                self.torn_down.insert(framework.clone());
            }
            Event::SchedulerCalled { call, .. } if call.r#type() == Type::Teardown => {
                self.torn_down
                    .extend(call.framework_id.as_ref().map(FrameworkId::from));
            }
            Event::MessageReceived {
                message: Message::SchedulerCall(call),
                ..
            } if call.r#type() == v0::call::Type::Teardown => {
                self.torn_down
                    .extend(call.framework_id.as_ref().map(FrameworkId::from));
            }
            _ => {}
        }
    }
}

impl Invariant for Removed {
    fn kinds(&self) -> &'static [&'static str] {
        &[REASON]
    }

    fn see(&mut self, seen: &Seen<'_>, books: &Books, found: &mut Found) {
        match seen {
            Seen::MasterEnds { master } => self.master_ends(*master, found.now_us()),
            Seen::MasterTakes { event, .. } => self.master_takes(event),
            Seen::MasterDoes {
                master,
                output: Output::Effect(Effect::Changed(Delta::Framework(view))),
            } => self.shown(*master, view, found.now_us()),
            Seen::MasterDoes {
                master,
                output: Output::Effect(Effect::Changed(Delta::Elected(_))),
            } => self.elected(*master, found.now_us()),
            Seen::Committed { op, .. } => self.committed(op, books, found),
            _ => {}
        }
    }
}
