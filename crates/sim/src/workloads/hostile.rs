//! A framework that means harm, or is another's by mistake: it answers offers that are not its own,
//! meddles with the tasks of others, calls in their names, and wants filters that make no sense. It
//! guesses ids, which are no secret.

use bytes::Bytes;
use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::call::{self, Type};
use scheduler::event;

use super::steady::Steady;
use super::task::{self, Room};
use super::{Acts, ROLES, Workload};
use crate::tally::Fault;

pub(super) struct Hostile {
    steady: Steady,
    /// Offers of its own that it has not answered.
    kept: Vec<v1::Offer>,
    /// Agents that it has heard of.
    agents: Vec<v1::AgentId>,
}

impl Hostile {
    pub(super) fn new(steady: Steady) -> Self {
        Self {
            steady,
            kept: Vec::new(),
            agents: Vec::new(),
        }
    }

    /// Something that is not its business.
    fn meddle(&mut self, acts: &mut Acts<'_>) {
        match acts.draws.below(10) {
            0 => self.answer_unknown_offers(acts),
            1 => self.mix_offers(acts),
            2 => kill_foreign(acts),
            3 => self.acknowledge_foreign(acts),
            4 => self.end_foreign_executor(acts),
            5 => ask_of_foreign(acts),
            6 => impersonate(acts),
            7 => self.filter_senselessly(acts),
            8 => want_foreign_roles(acts),
            _ => self.speak_to_foreign_executor(acts),
        }
    }

    fn some_agent(&self, acts: &mut Acts<'_>) -> v1::AgentId {
        let known = acts.draws.pick(&self.agents).cloned();
        known.unwrap_or_else(|| v1::AgentId {
            value: "no-such-agent".to_owned(),
        })
    }

    fn answer_unknown_offers(&mut self, acts: &mut Acts<'_>) {
        acts.faults.push(Fault::UnknownOfferUsed);
        let mut offer = v1::OfferId {
            value: "no-such-offer".to_owned(),
        };
        if let Some(own) = self.kept.pop() {
            // A neighbour of its own: perhaps another's, perhaps one that is to come.
            offer = neighbour(&own.id, acts.draws.between((0, 6)));
        }
        if acts.draws.coin() {
            return acts.decline(vec![offer], 0.0);
        }
        let agent = self.some_agent(acts);
        let mut room = Room {
            cpus: 1_000,
            mem: 256,
            ports: Vec::new(),
        };
        let id = self.steady.new_id();
        let made = task::task(acts.draws, &id, &agent, &mut room, None);
        acts.accept(vec![offer], made.into_iter().collect(), 0.0);
    }

    fn mix_offers(&mut self, acts: &mut Acts<'_>) {
        let kept = std::mem::take(&mut self.kept);
        let Some(first) = kept.first() else {
            return;
        };
        if kept.iter().any(|offer| offer.agent_id != first.agent_id) {
            acts.faults.push(Fault::OffersMixed);
        }
        let mut room = Room::of(&first.resources);
        let id = self.steady.new_id();
        let made = task::task(acts.draws, &id, &first.agent_id, &mut room, None);
        let ids = kept.iter().map(|offer| offer.id.clone()).collect();
        acts.accept(ids, made.into_iter().collect(), 0.0);
    }

    fn acknowledge_foreign(&mut self, acts: &mut Acts<'_>) {
        acts.faults.push(Fault::ForeignTaskTouched);
        let (agent, task) = (self.some_agent(acts), foreign_task(acts));
        let uuid = Bytes::copy_from_slice(&acts.draws.bits().to_be_bytes().repeat(2));
        acts.acknowledge(1, agent, task, uuid);
    }

    fn end_foreign_executor(&mut self, acts: &mut Acts<'_>) {
        acts.faults.push(Fault::ForeignTaskTouched);
        let shutdown = call::Shutdown {
            executor_id: foreign_executor(acts),
            agent_id: self.some_agent(acts),
        };
        acts.ask(Type::Shutdown, |call| call.shutdown = Some(shutdown));
    }

    fn speak_to_foreign_executor(&mut self, acts: &mut Acts<'_>) {
        acts.faults.push(Fault::ForeignTaskTouched);
        let message = call::Message {
            executor_id: foreign_executor(acts),
            agent_id: self.some_agent(acts),
            data: Bytes::from_static(b"\x00\xff"),
        };
        acts.ask(Type::Message, |call| call.message = Some(message));
    }

    fn filter_senselessly(&mut self, acts: &mut Acts<'_>) {
        let all = [f64::MAX, f64::INFINITY, f64::NAN, -1.0, f64::MIN_POSITIVE];
        let seconds = acts.draws.pick(&all).copied().unwrap_or(f64::NAN);
        if let Some(offer) = self.kept.pop() {
            acts.faults.push(Fault::SenselessFilter);
            acts.decline(vec![offer.id], seconds);
        }
    }
}

/// An offer that was made a little before or after this one.
fn neighbour(id: &v1::OfferId, by: u64) -> v1::OfferId {
    let (head, number) = id.value.rsplit_once('O').unwrap_or((&id.value, "0"));
    let number: u64 = number.parse().unwrap_or(0);
    let number = (number + by).saturating_sub(3);
    v1::OfferId {
        value: format!("{head}O{number}"),
    }
}

/// A task as good frameworks name theirs.
fn foreign_task(acts: &mut Acts<'_>) -> v1::TaskId {
    let number = acts.draws.between((1, 12));
    v1::TaskId {
        value: format!("s1-t{number}"),
    }
}

fn foreign_executor(acts: &mut Acts<'_>) -> v1::ExecutorId {
    let (number, kind) = (acts.draws.between((1, 6)), acts.draws.coin());
    let kind = if kind { 'e' } else { 't' };
    v1::ExecutorId {
        value: format!("s1-{kind}{number}"),
    }
}

fn kill_foreign(acts: &mut Acts<'_>) {
    acts.faults.push(Fault::ForeignTaskTouched);
    let task = foreign_task(acts);
    acts.kill(task, None, None);
}

fn ask_of_foreign(acts: &mut Acts<'_>) {
    acts.faults.push(Fault::ForeignTaskTouched);
    let task = foreign_task(acts);
    acts.reconcile(vec![(task, None)]);
}

/// A call in the name of a framework that registered a little before or after it.
fn impersonate(acts: &mut Acts<'_>) {
    let Some(own) = acts.framework.clone() else {
        return;
    };
    let (head, number) = own.value.rsplit_once('-').unwrap_or((&own.value, "0"));
    let number = number.parse::<u64>().unwrap_or(0) ^ (1 + acts.draws.below(3));
    acts.faults.push(Fault::ForeignFrameworkNamed);
    let other = v1::FrameworkId {
        value: format!("{head}-{number:04}"),
    };
    acts.framework = Some(other);
    match acts.draws.below(4) {
        0 => acts.ask(Type::Teardown, |_| {}),
        1 => kill_foreign(acts),
        2 => acts.suppress(Vec::new()),
        _ => acts.reconcile(Vec::new()),
    }
    acts.framework = Some(own);
}

fn want_foreign_roles(acts: &mut Acts<'_>) {
    acts.faults.push(Fault::ForeignRoleNamed);
    let mut roles: Vec<String> = ROLES.iter().map(|&role| role.to_owned()).collect();
    match acts.draws.below(4) {
        0 => acts.suppress(roles),
        1 => acts.revive(roles),
        2 => {
            roles.push("../escape".to_owned());
            acts.change_roles(roles, Vec::new());
            acts.roles = None;
        }
        _ => {
            let suppressed = roles.split_off(1);
            acts.change_roles(roles, suppressed);
            acts.roles = None;
        }
    }
}

impl Workload for Hostile {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.kept.clear();
        self.steady.subscribed(acts);
    }

    fn disconnected(&mut self) {
        self.kept.clear();
        self.steady.disconnected();
    }

    fn restarted(&mut self) {
        self.kept.clear();
        self.steady.restarted();
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        if let (event::Type::Offers, Some(offers)) = (event.r#type(), &event.offers) {
            let agents = offers.offers.iter().map(|offer| offer.agent_id.clone());
            self.agents.extend(agents);
            let surplus = self.agents.len().saturating_sub(8);
            self.agents.drain(..surplus);
            if acts.draws.coin() {
                self.kept.extend(offers.offers.iter().cloned());
                return;
            }
        }
        self.steady.heard(event, acts);
        if acts.draws.permille(200) {
            self.meddle(acts);
        }
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        if acts.draws.coin() {
            self.meddle(acts);
        }
        self.steady.tick(acts);
    }
}
