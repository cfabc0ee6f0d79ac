//! What schedulers do with offers and updates. [`steady`] is a good framework; each other file is a way
//! to be a wrong one, and most of those are the good one with one bad habit.

mod decline_storm;
mod double_accept;
mod garbage;
mod hostile;
mod never_reads;
mod probe;
mod rescinded;
mod reused_ids;
mod stale_stream;
mod steady;
mod task;
mod wrong_acks;

use bytes::Bytes;
use meseta_model::edge::StreamId;
use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::call::{self, Type};
use v1::framework_info::capability::Type as Capability;

use crate::draws::Draws;
use crate::tally::Fault;

/// What one scheduler is like.
#[derive(Debug, Clone)]
pub(crate) struct FrameworkPlan {
    pub(crate) kind: Kind,
    /// How many tasks it launches.
    pub(crate) tasks: u64,
    /// Tasks run in custom executors instead of command executors.
    pub(crate) custom: bool,
    pub(crate) checkpoint: bool,
    pub(crate) partition_aware: bool,
    pub(crate) multi_role: bool,
    /// Its roles now; one alone, or none, unless it may have several.
    pub(crate) roles: Vec<String>,
    pub(crate) failover_timeout_s: u64,
    /// One connection for all calls keeps them in order.
    pub(crate) ordered: bool,
    /// On a v0 driver instead of HTTP.
    pub(crate) driver: bool,
}

/// The ways to be a framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Steady,
    DoubleAccept,
    StaleStream,
    Rescinded,
    NeverReads,
    ReusedIds,
    WrongAcks,
    DeclineStorm,
    Garbage,
    Hostile,
    Probe,
}

const WRONG: [Kind; 9] = [
    Kind::DoubleAccept,
    Kind::StaleStream,
    Kind::Rescinded,
    Kind::NeverReads,
    Kind::ReusedIds,
    Kind::WrongAcks,
    Kind::DeclineStorm,
    Kind::Garbage,
    Kind::Hostile,
];

/// The roles that there are.
const ROLES: [&str; 4] = ["role0", "role1", "role1/part", "role2"];

/// One role or several.
fn draw_roles(draws: &mut Draws) -> Vec<String> {
    let mut roles: Vec<String> = ROLES
        .iter()
        .filter(|_| draws.permille(400))
        .map(|&role| role.to_owned())
        .collect();
    if roles.is_empty() {
        roles.extend(draws.pick(&ROLES).map(|&role| role.to_owned()));
    }
    roles
}

/// The frameworks of a run: a few good ones, and often a wrong one among them.
pub(crate) fn draw(draws: &mut Draws) -> Vec<FrameworkPlan> {
    let good = 1 + draws.below(3);
    let wrong = if draws.permille(550) {
        1 + draws.below(2)
    } else {
        0
    };
    let mut plans: Vec<FrameworkPlan> = (0..good)
        .map(|_| FrameworkPlan::draw(draws, Kind::Steady))
        .collect();
    for _ in 0..wrong {
        let kind = draws.pick(&WRONG).copied().unwrap_or(Kind::Garbage);
        plans.push(FrameworkPlan::draw(draws, kind));
    }
    plans
}

impl FrameworkPlan {
    fn draw(draws: &mut Draws, kind: Kind) -> Self {
        let is_steady = kind == Kind::Steady;
        let multi_role = draws.coin();
        Self {
            kind,
            tasks: draws.spread((4, if is_steady { 40 } else { 20 })),
            custom: draws.coin(),
            checkpoint: draws.permille(700),
            partition_aware: draws.coin(),
            multi_role,
            roles: if multi_role {
                draw_roles(draws)
            } else {
                Vec::new()
            },
            failover_timeout_s: if is_steady {
                draws.spread((4, 3_600))
            } else {
                draws.below(20)
            },
            ordered: draws.coin(),
            driver: draws.permille(if is_steady { 250 } else { 0 }),
        }
    }

    /// The one that looks at the end whether everything is free again.
    pub(crate) fn probe() -> Self {
        Self {
            kind: Kind::Probe,
            tasks: 0,
            custom: false,
            checkpoint: true,
            partition_aware: true,
            multi_role: true,
            roles: vec![ROLES[0].to_owned()],
            failover_timeout_s: 0,
            ordered: true,
            driver: false,
        }
    }

    pub(crate) fn is_wrong(&self) -> bool {
        !matches!(self.kind, Kind::Steady | Kind::Probe)
    }

    pub(crate) fn workload(&self, place: usize, seed: u64) -> Box<dyn Workload> {
        let steady = steady::Steady::new(self.clone(), place, seed);
        match self.kind {
            Kind::Steady => Box::new(steady),
            Kind::DoubleAccept => Box::new(double_accept::DoubleAccept::new(steady)),
            Kind::StaleStream => Box::new(stale_stream::StaleStream::new(steady)),
            Kind::Rescinded => Box::new(rescinded::Rescinded::new(steady)),
            Kind::NeverReads => Box::new(never_reads::NeverReads::new(steady)),
            Kind::ReusedIds => Box::new(reused_ids::ReusedIds::new(steady)),
            Kind::WrongAcks => Box::new(wrong_acks::WrongAcks::new(steady)),
            Kind::DeclineStorm => Box::new(decline_storm::DeclineStorm),
            Kind::Garbage => Box::new(garbage::Garbage::new(steady)),
            Kind::Hostile => Box::new(hostile::Hostile::new(steady)),
            Kind::Probe => Box::new(probe::Probe),
        }
    }

    /// How it describes itself.
    pub(crate) fn info(&self, place: usize) -> v1::FrameworkInfo {
        let mut capabilities = vec![Capability::TaskKillingState];
        if self.partition_aware {
            capabilities.push(Capability::PartitionAware);
        }
        if self.multi_role {
            capabilities.push(Capability::MultiRole);
            capabilities.push(Capability::ReservationRefinement);
        }
        let capabilities = capabilities
            .into_iter()
            .map(|kind| v1::framework_info::Capability {
                r#type: Some(kind as i32),
            });
        v1::FrameworkInfo {
            user: "sim".to_owned(),
            name: format!("scheduler{}", place + 1),
            failover_timeout: Some(self.failover_timeout_s as f64),
            checkpoint: Some(self.checkpoint),
            roles: self.roles.clone(),
            capabilities: capabilities.collect(),
            ..Default::default()
        }
    }
}

/// A call that a workload wants made.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) call: scheduler::Call,
    /// Instead of the stream that is open.
    pub(crate) stream_id: Option<String>,
}

impl Asked {
    /// The tasks that it launches, if it is an ACCEPT.
    fn tasks_mut(&mut self) -> impl Iterator<Item = &mut v1::TaskInfo> {
        let operations = self.call.accept.iter_mut().flat_map(|a| &mut a.operations);
        let launches = operations.flat_map(|operation| &mut operation.launch);
        launches.flat_map(|launch| &mut launch.task_infos)
    }

    /// Whether saying it twice means the same as saying it once.
    pub(crate) fn may_be_repeated(&self) -> bool {
        matches!(
            self.call.r#type(),
            Type::Acknowledge
                | Type::Kill
                | Type::Decline
                | Type::Reconcile
                | Type::Revive
                | Type::Suppress
        )
    }
}

/// What a workload sees and may ask for.
pub(crate) struct Acts<'a> {
    pub(crate) now_us: u64,
    pub(crate) draws: &'a mut Draws,
    pub(crate) framework: Option<v1::FrameworkId>,
    pub(crate) stream: Option<StreamId>,
    /// How it describes itself now.
    pub(crate) info: v1::FrameworkInfo,
    /// From now on it has these roles.
    pub(crate) roles: Option<Vec<String>>,
    /// What is asked for, each after a while.
    pub(crate) asked: Vec<(u64, Asked)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) hangs_up: bool,
}

impl<'a> Acts<'a> {
    pub(crate) fn new(
        now_us: u64,
        draws: &'a mut Draws,
        framework: Option<v1::FrameworkId>,
    ) -> Self {
        Self {
            now_us,
            draws,
            framework,
            stream: None,
            info: v1::FrameworkInfo::default(),
            roles: None,
            asked: Vec::new(),
            faults: Vec::new(),
            hangs_up: false,
        }
    }

    fn ask(&mut self, kind: Type, fill: impl FnOnce(&mut scheduler::Call)) {
        let after = self.draws.spread((1, 4_000));
        self.ask_after(after, kind, fill);
    }

    fn ask_after(&mut self, after_us: u64, kind: Type, fill: impl FnOnce(&mut scheduler::Call)) {
        let mut call = scheduler::Call {
            framework_id: self.framework.clone(),
            r#type: Some(kind as i32),
            ..Default::default()
        };
        fill(&mut call);
        let stream_id = None;
        self.asked.push((after_us, Asked { call, stream_id }));
    }

    pub(crate) fn accept(
        &mut self,
        offer_ids: Vec<v1::OfferId>,
        task_infos: Vec<v1::TaskInfo>,
        refuse_seconds: f64,
    ) {
        let operation = v1::offer::Operation {
            r#type: Some(v1::offer::operation::Type::Launch as i32),
            launch: Some(v1::offer::operation::Launch { task_infos }),
            ..Default::default()
        };
        let accept = call::Accept {
            offer_ids,
            operations: vec![operation],
            filters: Some(filters(refuse_seconds)),
        };
        self.ask(Type::Accept, |call| call.accept = Some(accept));
    }

    pub(crate) fn decline(&mut self, offer_ids: Vec<v1::OfferId>, refuse_seconds: f64) {
        let decline = call::Decline {
            offer_ids,
            filters: Some(filters(refuse_seconds)),
        };
        self.ask(Type::Decline, |call| call.decline = Some(decline));
    }

    pub(crate) fn acknowledge(
        &mut self,
        after_us: u64,
        agent_id: v1::AgentId,
        task_id: v1::TaskId,
        uuid: Bytes,
    ) {
        let acknowledge = call::Acknowledge {
            agent_id,
            task_id,
            uuid,
        };
        self.ask_after(after_us, Type::Acknowledge, |call| {
            call.acknowledge = Some(acknowledge);
        });
    }

    pub(crate) fn kill(
        &mut self,
        task_id: v1::TaskId,
        agent_id: Option<v1::AgentId>,
        kill_policy: Option<v1::KillPolicy>,
    ) {
        let kill = call::Kill {
            task_id,
            agent_id,
            kill_policy,
        };
        self.ask(Type::Kill, |call| call.kill = Some(kill));
    }

    pub(crate) fn reconcile(&mut self, tasks: Vec<(v1::TaskId, Option<v1::AgentId>)>) {
        let tasks = tasks
            .into_iter()
            .map(|(task_id, agent_id)| call::reconcile::Task { task_id, agent_id });
        let reconcile = call::Reconcile {
            tasks: tasks.collect(),
        };
        self.ask(Type::Reconcile, |call| call.reconcile = Some(reconcile));
    }

    /// Wants no offers in these roles, or in none at all.
    pub(crate) fn suppress(&mut self, roles: Vec<String>) {
        let suppress = call::Suppress { roles };
        self.ask(Type::Suppress, |call| call.suppress = Some(suppress));
    }

    /// Wants offers again in these roles, or in all.
    pub(crate) fn revive(&mut self, roles: Vec<String>) {
        let revive = call::Revive { roles };
        self.ask(Type::Revive, |call| call.revive = Some(revive));
    }

    /// Has these roles from now on, and wants no offers in some of them.
    pub(crate) fn change_roles(&mut self, roles: Vec<String>, suppressed_roles: Vec<String>) {
        self.info.roles.clone_from(&roles);
        let update = call::UpdateFramework {
            framework_info: self.info.clone(),
            suppressed_roles,
            ..Default::default()
        };
        self.roles = Some(roles);
        self.ask(Type::UpdateFramework, |call| {
            call.update_framework = Some(update);
        });
    }
}

fn filters(refuse_seconds: f64) -> v1::Filters {
    v1::Filters {
        refuse_seconds: Some(refuse_seconds),
    }
}

/// What a scheduler does.
pub(crate) trait Workload {
    /// The subscription is there (again).
    fn subscribed(&mut self, acts: &mut Acts<'_>);

    /// The subscription is gone, and all offers with it.
    fn disconnected(&mut self) {}

    /// The process starts: it knows what it had on disk.
    fn restarted(&mut self) {}

    /// Any event but SUBSCRIBED and ERROR.
    fn heard(&mut self, event: &scheduler::Event, acts: &mut Acts<'_>);

    /// Time passes.
    fn tick(&mut self, acts: &mut Acts<'_>);

    /// No more tasks from here on, and those that run are to end.
    fn wind_down(&mut self) {}

    /// Whether all that it launched is over.
    fn is_done(&self) -> bool {
        true
    }

    /// What is not over, for people.
    fn unfinished(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it reads its stream.
    fn reads(&self) -> bool {
        true
    }
}
