//! Schedulers: a session with the leading master, and the workload that uses it.
//!
//! The session does what a good library does: subscribes, follows the leader, notices a silent master,
//! tries calls again that can be repeated. What to do with offers is the workload's business.

use std::collections::BTreeMap;

use meseta_model::edge::{Outcome, StreamId};
use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::call::Type;

use super::calls::{Answered, CallFlight, is_passing};
use super::{Happening, World};
use crate::invariants::Seen;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::process::Process;
use crate::tally::Situation;
use crate::workloads::{Acts, Asked, FrameworkPlan, Workload};

/// How often a call is tried when its answer does not come.
const TRIES: u32 = 4;

/// Between two looks at the clock; longer when only the end is waited for.
const TICK_US: u64 = 500 * MILLISECOND_US;
const CALM_TICK_US: u64 = 2 * SECOND_US;

/// The host of a scheduler.
pub(crate) struct SchedulerHost {
    pub(crate) life: u64,
    pub(crate) is_up: bool,
    pub(crate) plan: FrameworkPlan,
    workload: Option<Box<dyn Workload>>,
    pub(super) session: Session,
    /// Grows with every instance of a driver.
    instance: u64,
    /// A new instance of a driver insists on taking over.
    pub(super) insists: bool,
    /// Survives restarts: real schedulers write it down.
    pub(crate) framework: Option<v1::FrameworkId>,
    /// The master said that the framework is gone, or it is to be.
    pub(crate) ended: bool,
    /// Calls that may be tried again, by number.
    pending: BTreeMap<u64, (Asked, u32)>,
    /// The number of the last call that arrived.
    pub(super) last_arrived: u64,
    /// When the last call arrives, for a scheduler with one connection.
    last_call_us: u64,
}

/// One attempt to be subscribed, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) stage: Stage,
    stream: Option<StreamId>,
    pub(super) master: Option<usize>,
    heard_us: u64,
    backoff_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    #[default]
    Down,
    Subscribing,
    Subscribed,
}

/// Something for a scheduler.
#[derive(Debug)]
pub(crate) enum SchedulerHappening {
    /// The detector names a leader.
    Detected(usize),
    /// Time to subscribe again, if this attempt is still the last.
    Retry(u64),
    /// A call leaves, in this session.
    Send(u64, Box<Asked>, u32),
    /// Time to look around.
    Tick(u64),
}

impl SchedulerHost {
    /// The name of a driver's actor.
    pub(super) fn actor(&self) -> String {
        format!("scheduler-{}", self.instance)
    }

    /// Another instance takes over, which has nothing but what was written down.
    fn renew(&mut self) {
        self.instance += 1;
        self.insists = self.framework.is_some();
    }

    pub(super) fn reads(&self) -> bool {
        self.workload
            .as_ref()
            .is_none_or(|workload| workload.reads())
    }

    /// Whether all that it wanted is over, as far as it knows.
    pub(crate) fn is_done(&self) -> bool {
        self.ended
            || self
                .workload
                .as_ref()
                .is_some_and(|workload| workload.is_done())
    }

    /// What it still waits for, for people.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let workload = self.workload.as_ref();
        workload.map_or_else(Vec::new, |workload| workload.unfinished())
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.session.stage == Stage::Subscribed
    }
}

impl World {
    pub(super) fn add_schedulers(&mut self) {
        for plan in self.plan.frameworks.clone() {
            self.add_scheduler(plan);
        }
    }

    /// One more scheduler; it starts when its start is planned.
    pub(crate) fn add_scheduler(&mut self, plan: FrameworkPlan) -> usize {
        let place = self.schedulers.len();
        let seed = self.draws.bits();
        self.oracle.add_scheduler(&plan);
        self.schedulers.push(SchedulerHost {
            life: 0,
            is_up: false,
            workload: Some(plan.workload(place, seed)),
            plan,
            session: Session::default(),
            instance: 0,
            insists: false,
            framework: None,
            ended: false,
            pending: BTreeMap::new(),
            last_arrived: 0,
            last_call_us: 0,
        });
        place
    }

    /// The last scheduler of a run.
    pub(crate) fn add_probe(&mut self, plan: FrameworkPlan) {
        let probe = self.add_scheduler(plan);
        self.start_scheduler(probe);
    }

    pub(super) fn start_scheduler(&mut self, s: usize) {
        let host = &mut self.schedulers[s];
        if host.is_up || host.ended {
            return;
        }
        host.is_up = true;
        host.life += 1;
        host.session = Session::default();
        host.renew();
        host.pending.clear();
        let life = host.life;
        self.note(|| format!("scheduler{} starts", s + 1));
        self.work(s, |workload, _| workload.restarted());
        self.later(
            TICK_US,
            Happening::Scheduler(s, Box::new(SchedulerHappening::Tick(life))),
        );
        self.subscribe(s);
    }

    /// Timers of schedulers are happenings of their own.
    pub(super) fn wake_scheduler(&mut self, _s: usize, _life: u64) {}

    pub(super) fn scheduler_happening(&mut self, s: usize, what: SchedulerHappening) {
        if !self.schedulers[s].is_up {
            return;
        }
        match what {
            SchedulerHappening::Detected(m) => self.detected(s, m),
            SchedulerHappening::Retry(session) => {
                let own = &self.schedulers[s].session;
                if own.number == session && own.stage != Stage::Subscribed {
                    self.subscribe(s);
                }
            }
            SchedulerHappening::Send(session, asked, tries) => {
                if self.schedulers[s].session.number == session {
                    self.send_asked(s, *asked, tries);
                }
            }
            SchedulerHappening::Tick(life) => {
                if self.schedulers[s].life == life {
                    self.tick(s, life);
                }
            }
        }
    }

    fn detected(&mut self, s: usize, m: usize) {
        let session = &self.schedulers[s].session;
        let elsewhere = session.master != Some(m);
        if elsewhere && session.stage != Stage::Down {
            let number = session.number;
            self.hang_up(s, number);
            self.schedulers[s].session.master = Some(m);
            return self.scheduler_disconnected(s, number);
        }
        self.schedulers[s].session.master = Some(m);
    }

    fn tick(&mut self, s: usize, life: u64) {
        let every = if self.calm { CALM_TICK_US } else { TICK_US };
        let tick = SchedulerHappening::Tick(life);
        self.later(every, Happening::Scheduler(s, Box::new(tick)));
        let silence = 5 * self.plan.settings.heartbeat_us;
        let session = &self.schedulers[s].session;
        let silent = self.now_us.saturating_sub(session.heard_us) > silence;
        // A driver is sent no heartbeats.
        let silent = silent && !self.schedulers[s].plan.driver;
        if session.stage != Stage::Down && silent {
            let number = session.number;
            self.note(|| format!("scheduler{} hears no heartbeats", s + 1));
            self.hang_up(s, number);
            return self.scheduler_disconnected(s, number);
        }
        if session.stage == Stage::Subscribed {
            self.work(s, |workload, acts| workload.tick(acts));
        }
    }

    fn subscribe(&mut self, s: usize) {
        if self.schedulers[s].ended {
            return;
        }
        let number = self.number();
        let known = self.known_master();
        let host = &mut self.schedulers[s];
        let mut info = host.plan.info(s);
        info.id.clone_from(&host.framework);
        let session = &mut host.session;
        session.number = number;
        session.stage = Stage::Subscribing;
        session.stream = None;
        session.heard_us = self.now_us;
        session.master = session.master.or(known);
        let Some(master) = session.master else {
            session.stage = Stage::Down;
            return self.retry_later(s);
        };
        let call = scheduler::Call {
            framework_id: host.framework.clone(),
            r#type: Some(Type::Subscribe as i32),
            subscribe: Some(scheduler::call::Subscribe {
                framework_info: info,
                ..Default::default()
            }),
            ..Default::default()
        };
        let asked = Asked {
            call,
            stream_id: None,
        };
        let asked = Box::new(asked);
        self.put_on_its_way(s, master, number, &asked, false);
        if self.schedulers[s].plan.driver {
            // A driver asks until it is answered.
            self.retry_later(s);
        }
    }

    fn retry_later(&mut self, s: usize) {
        let session = &mut self.schedulers[s].session;
        let number = session.number;
        let longest = session.backoff_us.max(20 * MILLISECOND_US);
        session.backoff_us = (longest * 2).min(2 * SECOND_US);
        let after = 1 + self.draws.below(longest);
        let retry = SchedulerHappening::Retry(number);
        self.later(after, Happening::Scheduler(s, Box::new(retry)));
    }

    /// SUBSCRIBE was answered: the stream is open.
    pub(super) fn scheduler_opened(&mut self, s: usize, session: u64, stream: &StreamId) {
        let host = &mut self.schedulers[s];
        if host.session.number == session {
            host.session.stream = Some(stream.clone());
            host.session.heard_us = self.now_us;
        }
    }

    pub(super) fn scheduler_disconnected(&mut self, s: usize, session: u64) {
        let host = &mut self.schedulers[s];
        if host.session.number != session || host.session.stage == Stage::Down || !host.is_up {
            return;
        }
        host.session.stage = Stage::Down;
        host.session.stream = None;
        host.pending.clear();
        self.note(|| format!("scheduler{} is disconnected", s + 1));
        self.work(s, |workload, _| workload.disconnected());
        self.retry_later(s);
    }

    pub(super) fn scheduler_hears(&mut self, s: usize, session: u64, event: scheduler::Event) {
        let host = &mut self.schedulers[s];
        if host.session.number != session || !host.is_up {
            return;
        }
        host.session.heard_us = self.now_us;
        self.see(&Seen::SchedulerHears {
            scheduler: s,
            event: &event,
        });
        if let Some(update) = &event.update
            && let Some(situation) = Situation::told(update.status.state())
        {
            self.met(situation);
        }
        match event.r#type() {
            scheduler::event::Type::Subscribed => {
                let host = &mut self.schedulers[s];
                host.session.stage = Stage::Subscribed;
                host.session.backoff_us = 0;
                if let Some(subscribed) = &event.subscribed {
                    host.framework = Some(subscribed.framework_id.clone());
                }
                self.work(s, |workload, acts| workload.subscribed(acts));
            }
            scheduler::event::Type::Error => {
                let text = event.error.as_ref().map(|error| error.message.as_str());
                if text == Some("Framework has been removed") {
                    self.schedulers[s].ended = true;
                }
            }
            _ => self.work(s, |workload, acts| workload.heard(&event, acts)),
        }
    }

    pub(super) fn scheduler_answered(
        &mut self,
        s: usize,
        session: u64,
        number: u64,
        what: Answered,
    ) {
        let host = &mut self.schedulers[s];
        if host.session.number != session || !host.is_up {
            return;
        }
        let pending = host.pending.remove(&number);
        let subscribing = number == session;
        match what {
            Answered::Elsewhere(leader) => {
                host.session.master = leader;
                self.hang_up(s, session);
                self.scheduler_disconnected(s, session);
            }
            Answered::Lost(_) if subscribing => {
                host.session.master = None;
                self.scheduler_disconnected(s, session);
            }
            Answered::Lost(arrived) => {
                if let Some((asked, tries)) = pending {
                    self.try_again(s, asked, tries, arrived);
                }
            }
            Answered::Outcome(Outcome::Refused(refusal)) => {
                if subscribing {
                    self.scheduler_disconnected(s, session);
                } else if let (true, Some((asked, tries))) = (is_passing(&refusal), pending) {
                    self.try_again(s, asked, tries, false);
                }
            }
            Answered::Outcome(Outcome::Accepted | Outcome::Done | Outcome::Told(_)) => {
                let asked = pending.map(|(asked, _)| asked.call.r#type());
                if asked == Some(Type::UpdateFramework) {
                    self.met(Situation::RolesChanged);
                }
            }
        }
    }

    fn try_again(&mut self, s: usize, asked: Asked, tries: u32, arrived: bool) {
        if tries >= TRIES || !asked.may_be_repeated() {
            return;
        }
        let session = self.schedulers[s].session.number;
        let tries = tries + 1 + if arrived { ARRIVED } else { 0 };
        let again = SchedulerHappening::Send(session, Box::new(asked), tries);
        let after = self.draws.spread((MILLISECOND_US, SECOND_US));
        self.later(after, Happening::Scheduler(s, Box::new(again)));
    }

    /// Lets the workload work, and does what it asks for.
    fn work(&mut self, s: usize, work: impl FnOnce(&mut dyn Workload, &mut Acts<'_>)) {
        let host = &mut self.schedulers[s];
        let Some(mut workload) = host.workload.take() else {
            return;
        };
        let mut acts = Acts::new(self.now_us, &mut self.draws, host.framework.clone());
        acts.stream.clone_from(&host.session.stream);
        acts.info = host.plan.info(s);
        acts.info.id.clone_from(&host.framework);
        work(&mut *workload, &mut acts);
        let (asked, faults, hangs_up) = (acts.asked, acts.faults, acts.hangs_up);
        if let Some(roles) = acts.roles {
            host.plan.roles = roles;
        }
        let session = host.session.number;
        host.workload = Some(workload);
        for fault in faults {
            self.fired(fault);
        }
        for (after, asked) in asked {
            let send = SchedulerHappening::Send(session, Box::new(asked), 1);
            self.later(after, Happening::Scheduler(s, Box::new(send)));
        }
        if hangs_up {
            self.hang_up(s, session);
            self.scheduler_disconnected(s, session);
        }
    }

    fn send_asked(&mut self, s: usize, asked: Asked, tries: u32) {
        let (arrived, tries) = (tries >= ARRIVED, tries % ARRIVED);
        let number = self.number();
        let host = &mut self.schedulers[s];
        let (Stage::Subscribed, Some(master)) = (host.session.stage, host.session.master) else {
            return;
        };
        if !host.plan.driver {
            // What a driver says is sent once.
            host.pending.insert(number, (asked.clone(), tries));
        }
        self.put_on_its_way(s, master, number, &asked, arrived);
    }

    fn put_on_its_way(
        &mut self,
        s: usize,
        master: usize,
        number: u64,
        asked: &Asked,
        arrived_before: bool,
    ) {
        let host = &self.schedulers[s];
        let stream = host.session.stream.as_ref().map(StreamId::to_string);
        let subscribes = asked.call.r#type() == Type::Subscribe;
        let flight = CallFlight {
            number,
            scheduler: s,
            scheduler_life: host.life,
            session: host.session.number,
            master,
            stream_id: asked.stream_id.clone().or(stream).filter(|_| !subscribes),
            call: Box::new(asked.call.clone()),
            arrived_before,
        };
        self.see(&Seen::SchedulerSays {
            scheduler: s,
            call: &asked.call,
        });
        if let Some(situation) = situation_of(&asked.call) {
            self.met(situation);
        }
        if self.schedulers[s].plan.driver {
            return self.driver_calls(s, master, &asked.call);
        }
        self.send_call(flight);
    }

    /// One connection for all calls keeps them in order.
    pub(super) fn in_call_order(&mut self, s: usize, at_us: u64) -> u64 {
        let host = &mut self.schedulers[s];
        if !host.plan.ordered {
            return at_us;
        }
        host.last_call_us = host.last_call_us.max(at_us);
        host.last_call_us
    }

    /// A fault: the scheduler's process dies, and comes back with what it had on disk.
    pub(crate) fn crash_scheduler(&mut self, s: usize, back_us: u64) {
        if !self.schedulers[s].is_up {
            return;
        }
        self.note(|| format!("scheduler{} is down", s + 1));
        self.schedulers[s].is_up = false;
        self.paused.remove(&Process::Scheduler(s));
        self.drop_streams(Process::Scheduler(s));
        self.drop_links(Process::Scheduler(s), false);
        self.later(back_us, Happening::Start(Process::Scheduler(s)));
    }

    /// A fault: another instance subscribes while this one still has its stream.
    pub(crate) fn fail_over_scheduler(&mut self, s: usize) -> bool {
        if self.schedulers[s].session.stage != Stage::Subscribed || self.schedulers[s].ended {
            return false;
        }
        self.schedulers[s].pending.clear();
        self.schedulers[s].renew();
        self.work(s, |workload, _| workload.restarted());
        self.subscribe(s);
        true
    }

    /// Faults are off: a good scheduler ends what it runs, a wrong one is ended by an operator.
    pub(super) fn wind_down_scheduler(&mut self, s: usize) {
        if self.schedulers[s].plan.is_wrong() {
            return self.dismiss_scheduler(s);
        }
        self.work(s, |workload, _| workload.wind_down());
    }

    /// A scheduler tears its own framework down.
    pub(crate) fn ask_for_teardown(&mut self, s: usize) {
        let number = self.number();
        let host = &self.schedulers[s];
        let (Stage::Subscribed, Some(master)) = (host.session.stage, host.session.master) else {
            return;
        };
        let call = scheduler::Call {
            framework_id: host.framework.clone(),
            r#type: Some(Type::Teardown as i32),
            ..Default::default()
        };
        let stream_id = None;
        let asked = Asked { call, stream_id };
        self.put_on_its_way(s, master, number, &asked, false);
    }

    /// The scheduler goes and its framework is torn down by an operator.
    pub(crate) fn dismiss_scheduler(&mut self, s: usize) {
        let host = &mut self.schedulers[s];
        host.ended = true;
        host.is_up = false;
        self.drop_streams(Process::Scheduler(s));
        self.drop_links(Process::Scheduler(s), false);
        if let Some(framework) = self.schedulers[s].framework.clone() {
            self.dismiss(&framework);
        }
    }
}

/// What a call brings about, if that is worth counting.
fn situation_of(call: &scheduler::Call) -> Option<Situation> {
    match call.r#type() {
        Type::Accept => {
            let offers = call.accept.as_ref().map_or(0, |a| a.offer_ids.len());
            (offers > 1).then_some(Situation::OffersTogether)
        }
        Type::Suppress => Some(Situation::Suppressed),
        Type::Revive => Some(Situation::Revived),
        _ => None,
    }
}

/// Added to the number of tries when an earlier one arrived.
const ARRIVED: u32 = 1_000;
