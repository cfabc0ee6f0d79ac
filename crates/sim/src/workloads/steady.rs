//! A good framework: launches, acknowledges what it gets, reconciles, kills some of its tasks, and
//! survives whatever happens to it.

use std::collections::BTreeMap;

use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1::{self, TaskState, scheduler};
use scheduler::event::Type;
use v1::task_status::Source;

use super::task::{self, Room};
use super::{Acts, FrameworkPlan, Workload, draw_roles};
use crate::draws::Draws;
use crate::limits::SECOND_US;

/// Between two looks at what was not heard of for long.
const RECONCILE_US: u64 = 15 * SECOND_US;

/// Between two KILLs of the same task.
const KILL_AGAIN_US: u64 = 5 * SECOND_US;

/// One task as its framework knows it.
#[derive(Debug, Clone)]
struct Known {
    agent: v1::AgentId,
    state: TaskState,
    /// Over, as far as was heard.
    over: bool,
    kill_at_us: Option<u64>,
    reconcile_at_us: u64,
}

/// A good framework.
#[derive(Debug)]
pub(super) struct Steady {
    pub(super) plan: FrameworkPlan,
    place: usize,
    own: Draws,
    tasks: BTreeMap<String, Known>,
    launched: u64,
    /// The executor per agent and role, and how many there were before it.
    executors: BTreeMap<(String, String), (v1::ExecutorInfo, u64)>,
    generation: u64,
    /// Offers that it thinks about, with what they hold.
    held: Vec<v1::Offer>,
    winding_down: bool,
    /// How long it takes to acknowledge, at most.
    slowness_us: u64,
}

impl Steady {
    pub(super) fn new(plan: FrameworkPlan, place: usize, seed: u64) -> Self {
        let mut own = Draws::new(seed);
        let slowness_us = own.spread((100, 3 * SECOND_US));
        Self {
            plan,
            place,
            own,
            tasks: BTreeMap::new(),
            launched: 0,
            executors: BTreeMap::new(),
            generation: 0,
            held: Vec::new(),
            winding_down: false,
            slowness_us,
        }
    }

    /// A live task of its own, any.
    pub(super) fn some_live_task(&mut self) -> Option<(String, v1::AgentId)> {
        let live: Vec<_> = self.tasks.iter().filter(|(_, task)| !task.over).collect();
        let (id, task) = self.own.pick(&live)?;
        Some(((*id).clone(), task.agent.clone()))
    }

    /// A new id of its own.
    pub(super) fn new_id(&mut self) -> String {
        self.launched += 1;
        format!("s{}-t{}", self.place + 1, self.launched)
    }

    /// Forgets a task that was never meant to run.
    pub(super) fn forget(&mut self, id: &str) {
        self.tasks.remove(id);
    }

    fn offered(&mut self, offers: &[v1::Offer], acts: &mut Acts<'_>) {
        for offer in offers {
            let left = self.plan.tasks.saturating_sub(self.launched);
            if self.winding_down || left == 0 {
                acts.decline(vec![offer.id.clone()], 600.0);
            } else if self.own.permille(100) {
                // Answered later, perhaps too late.
                self.held.push(offer.clone());
            } else if self.own.permille(150) {
                let seconds = self.own.below(4) as f64 / 2.0 + 0.5;
                acts.decline(vec![offer.id.clone()], seconds);
            } else {
                self.use_offers(&[offer], acts);
            }
        }
    }

    /// Launches what fits into these offers, which are all of one agent and for one role.
    fn use_offers(&mut self, offers: &[&v1::Offer], acts: &mut Acts<'_>) {
        let Some((agent, role)) = offers.first().map(|offer| place_of(offer)) else {
            return;
        };
        let ids: Vec<v1::OfferId> = offers.iter().map(|offer| offer.id.clone()).collect();
        let all: Vec<v1::Resource> = offers
            .iter()
            .flat_map(|offer| offer.resources.iter().cloned())
            .collect();
        let mut room = Room::of(&all);
        let executor = self.executor_on(&agent, &role, acts, &mut room);
        if self.plan.custom && executor.is_none() {
            return acts.decline(ids, 1.0);
        }
        let left = self.plan.tasks.saturating_sub(self.launched);
        let wanted = (1 + self.own.below(4)).min(left);
        let mut infos = Vec::new();
        for _ in 0..wanted {
            let id = self.new_id();
            let made = task::task(&mut self.own, &id, &agent, &mut room, executor.as_ref());
            let Some(info) = made else {
                break;
            };
            self.note_launched(&id, &agent, acts.now_us);
            infos.push(info);
        }
        if infos.is_empty() {
            return acts.decline(ids, 1.0);
        }
        let seconds = self.own.below(3) as f64;
        acts.accept(ids, infos, seconds);
    }

    fn note_launched(&mut self, id: &str, agent: &v1::AgentId, now_us: u64) {
        let kill_after = self.own.spread((10_000, 20 * SECOND_US));
        let known = Known {
            agent: agent.clone(),
            state: TaskState::TaskStaging,
            over: false,
            kill_at_us: self.own.permille(200).then_some(now_us + kill_after),
            reconcile_at_us: now_us + RECONCILE_US,
        };
        self.tasks.insert(id.to_owned(), known);
    }

    fn executor_on(
        &mut self,
        agent: &v1::AgentId,
        role: &str,
        acts: &Acts<'_>,
        room: &mut Room,
    ) -> Option<v1::ExecutorInfo> {
        if !self.plan.custom {
            return None;
        }
        let place = (agent.value.clone(), role.to_owned());
        if let Some((known, _)) = self.executors.get(&place)
            && !self.own.permille(100)
        {
            return Some(known.clone());
        }
        let generation = self.generation + 1;
        let id = format!("s{}-e{generation}", self.place + 1);
        let mute = self.own.permille(40);
        let made = task::executor(id, acts.framework.as_ref(), mute, room)?;
        self.generation = generation;
        self.executors.insert(place, (made.clone(), generation));
        Some(made)
    }

    fn updated(&mut self, status: &v1::TaskStatus, acts: &mut Acts<'_>) {
        let state = status.state();
        let id = &status.task_id.value;
        if let (Some(uuid), Some(agent)) = (&status.uuid, &status.agent_id)
            && !uuid.is_empty()
        {
            let after = self.own.spread((1, self.slowness_us));
            acts.acknowledge(after, agent.clone(), status.task_id.clone(), uuid.clone());
        }
        let winding_down = self.winding_down;
        let Some(known) = self.tasks.get_mut(id) else {
            return;
        };
        known.state = state;
        known.reconcile_at_us = acts.now_us + RECONCILE_US;
        let gives_up = winding_down && state == TaskState::TaskUnknown;
        known.over = is_terminal(state) || gives_up;
        let lost_executor = status.source() == Source::Agent && is_terminal(state);
        if lost_executor && let Some(agent) = &status.agent_id {
            // Its executor may be gone; the next task gets a new one.
            self.executors.retain(|(host, _), _| *host != agent.value);
        }
    }

    fn kill_what_is_due(&mut self, acts: &mut Acts<'_>) {
        let now_us = acts.now_us;
        for (id, known) in &mut self.tasks {
            let due = known.kill_at_us.is_some_and(|at| at <= now_us);
            if known.over || !(due || self.winding_down) {
                continue;
            }
            if known.kill_at_us.is_some_and(|at| at > now_us) {
                continue;
            }
            known.kill_at_us = Some(now_us + KILL_AGAIN_US);
            let agent = self.own.coin().then(|| known.agent.clone());
            let grace_us = self.own.spread((1_000, 5_000_000));
            let policy = self.own.permille(300).then(|| task::grace(grace_us));
            acts.kill(v1::TaskId { value: id.clone() }, agent, policy);
        }
    }

    fn reconcile_what_is_due(&mut self, acts: &mut Acts<'_>) {
        let mut tasks = Vec::new();
        for (id, known) in &mut self.tasks {
            if !known.over && known.reconcile_at_us <= acts.now_us {
                known.reconcile_at_us = acts.now_us + RECONCILE_US;
                let id = v1::TaskId { value: id.clone() };
                tasks.push((id, Some(known.agent.clone())));
            }
        }
        if !tasks.is_empty() {
            acts.reconcile(tasks);
        }
    }

    /// Changes now and then what it wants to be offered.
    fn change_wishes(&mut self, acts: &mut Acts<'_>) {
        if self.winding_down || !self.own.permille(60) {
            return;
        }
        let one = self.own.pick(&acts.info.roles).cloned();
        match self.own.below(5) {
            0 => acts.suppress(one.into_iter().collect()),
            1 => acts.revive(one.into_iter().collect()),
            2 if self.plan.multi_role => {
                let roles = draw_roles(&mut self.own);
                let suppressed = roles.iter().filter(|_| self.own.permille(200));
                let suppressed = suppressed.cloned().collect();
                acts.change_roles(roles, suppressed);
            }
            // More often than the opposite, so that there is work.
            _ => acts.revive(Vec::new()),
        }
    }

    fn use_held(&mut self, acts: &mut Acts<'_>) {
        if self.held.is_empty() || !self.own.permille(300) {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let first = place_of(&held[0]);
        let (same, others): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|offer| place_of(offer) == first);
        self.held = others;
        let same: Vec<&v1::Offer> = same.iter().collect();
        self.use_offers(&same, acts);
    }
}

/// Where an offer's resources are, and for which role.
fn place_of(offer: &v1::Offer) -> (v1::AgentId, String) {
    let allocation = offer.allocation_info.as_ref();
    let role = allocation.and_then(|info| info.role.clone());
    (offer.agent_id.clone(), role.unwrap_or_default())
}

impl Workload for Steady {
    fn subscribed(&mut self, acts: &mut Acts<'_>) {
        self.held.clear();
        for known in self.tasks.values_mut() {
            known.reconcile_at_us = acts.now_us;
        }
        if self.winding_down {
            acts.suppress(Vec::new());
        } else if self.own.permille(100) {
            acts.revive(Vec::new());
        }
        self.reconcile_what_is_due(acts);
        if self.own.coin() {
            // All that the master knows.
            acts.reconcile(Vec::new());
        }
    }

    fn disconnected(&mut self) {
        self.held.clear();
    }

    fn restarted(&mut self) {
        self.held.clear();
    }

    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>) {
        match event.r#type() {
            Type::Offers => {
                if let Some(offers) = &event.offers {
                    self.offered(&offers.offers, acts);
                }
            }
            Type::Rescind => {
                if let Some(rescind) = &event.rescind {
                    self.held.retain(|offer| offer.id != rescind.offer_id);
                }
            }
            Type::Update => {
                if let Some(update) = &event.update {
                    self.updated(&update.status, acts);
                }
            }
            Type::Failure => {
                if let Some(agent) = event.failure.as_ref().and_then(|f| f.agent_id.as_ref()) {
                    self.executors.retain(|(host, _), _| *host != agent.value);
                }
            }
            _ => {}
        }
    }

    fn tick(&mut self, acts: &mut Acts<'_>) {
        self.use_held(acts);
        self.change_wishes(acts);
        self.kill_what_is_due(acts);
        self.reconcile_what_is_due(acts);
    }

    fn wind_down(&mut self) {
        self.winding_down = true;
        for known in self.tasks.values_mut() {
            known.kill_at_us = None;
        }
    }

    fn is_done(&self) -> bool {
        // An agent may never come back, or come back as another; no more is to be known then.
        let is_settled = |known: &Known| known.over || known.state == TaskState::TaskUnreachable;
        self.winding_down && self.tasks.values().all(is_settled)
    }

    fn unfinished(&self) -> Vec<String> {
        let open = self.tasks.iter().filter(|(_, known)| !known.over);
        open.map(|(id, known)| format!("{id} ({})", known.state.as_str_name()))
            .collect()
    }
}
