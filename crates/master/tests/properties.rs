//! Whatever happens, in whatever order: the books agree, requests are answered once, ends are final.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use meseta_master::event::{Event, OperatorCall, Timer};
use meseta_model::edge::StreamId;
use meseta_proto::mesos::v1::TaskState;
use meseta_proto::mesos::v1::scheduler::call::Type;
use proptest::prelude::*;
use support::cluster::Cluster;

const AGENTS: usize = 3;
const SCHEDULERS: usize = 3;

/// Something that happens. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Action {
    Register(usize),
    Reregister(usize),
    Break(usize),
    Silence(usize, bool),
    Progress(usize, usize, TaskState),
    Resend(usize, usize),
    ExecutorExits(usize),
    Unregister(usize),
    Subscribe(usize),
    Close(usize),
    Accept(usize, usize, usize, bool),
    Operate(usize, Vec<usize>, bool),
    OperationStatuses(usize),
    AcknowledgeOperations(usize),
    Deaf(usize),
    Bring(usize, usize),
    Decline(usize, f64),
    Acknowledge(usize, usize),
    Kill(usize, usize),
    Simple(usize, Type),
    Gone(usize),
    Wait(u64),
    Commit,
    CommitAll,
    Refuse,
    FailOver,
    Stray(usize),
}

fn action() -> impl Strategy<Value = Action> {
    use TaskState::*;
    let agent = || 0..AGENTS;
    let scheduler = || 0..SCHEDULERS;
    let state = prop_oneof![
        2 => Just(TaskStarting),
        4 => Just(TaskRunning),
        2 => Just(TaskFinished),
        1 => Just(TaskFailed),
        1 => Just(TaskKilled),
    ];
    let kind = prop_oneof![
        Just(Type::Revive),
        Just(Type::Suppress),
        Just(Type::Reconcile),
        Just(Type::Request),
        Just(Type::Teardown),
        Just(Type::AcceptInverseOffers),
    ];
    let wait = prop_oneof![
        Just(2_000),
        Just(100_000),
        Just(1_000_000),
        Just(80_000_000),
        Just(700_000_000)
    ];
    prop_oneof![
        6 => agent().prop_map(Action::Register),
        3 => agent().prop_map(Action::Reregister),
        2 => agent().prop_map(Action::Break),
        2 => (agent(), any::<bool>()).prop_map(|(a, silent)| Action::Silence(a, silent)),
        10 => (agent(), 0..4_usize, state).prop_map(|(a, t, s)| Action::Progress(a, t, s)),
        3 => (agent(), 0..4_usize).prop_map(|(a, t)| Action::Resend(a, t)),
        1 => agent().prop_map(Action::ExecutorExits),
        1 => agent().prop_map(Action::Unregister),
        6 => scheduler().prop_map(Action::Subscribe),
        2 => scheduler().prop_map(Action::Close),
        10 => (scheduler(), 1..3_usize, 0..5_usize, prop::bool::weighted(0.1))
            .prop_map(|(s, o, t, stale)| Action::Accept(s, o, t, stale)),
        4 => operate(scheduler()),
        2 => agent().prop_map(Action::OperationStatuses),
        2 => scheduler().prop_map(Action::AcknowledgeOperations),
        1 => agent().prop_map(Action::Deaf),
        1 => (agent(), scheduler()).prop_map(|(a, s)| Action::Bring(a, s)),
        3 => (scheduler(), prop_oneof![Just(0.0), Just(5.0), Just(-1.0), Just(f64::NAN)])
            .prop_map(|(s, r)| Action::Decline(s, r)),
        10 => (scheduler(), 0..4_usize).prop_map(|(s, n)| Action::Acknowledge(s, n)),
        2 => (scheduler(), 0..9_usize).prop_map(|(s, n)| Action::Kill(s, n)),
        2 => (scheduler(), kind).prop_map(|(s, k)| Action::Simple(s, k)),
        1 => agent().prop_map(Action::Gone),
        12 => wait.prop_map(Action::Wait),
        6 => Just(Action::Commit),
        10 => Just(Action::CommitAll),
        1 => Just(Action::Refuse),
        1 => Just(Action::FailOver),
        1 => (0..6_usize).prop_map(Action::Stray),
    ]
}

fn operate(scheduler: impl Strategy<Value = usize>) -> impl Strategy<Value = Action> {
    let kinds = prop::collection::vec(0..7_usize, 1..8);
    (scheduler, kinds, prop::bool::weighted(0.3))
        .prop_map(|(s, kinds, named)| Action::Operate(s, kinds, named))
}

/// What happens to a cluster whose second framework keeps data.
fn stateful_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => operate(Just(1)),
        4 => Just(Action::Wait(1_000_000)),
        6 => action(),
    ]
}

fn run(cluster: &mut Cluster, action: Action) {
    match action {
        Action::Register(agent) => cluster.register(agent),
        Action::Reregister(agent) => cluster.reregister(agent),
        Action::Break(agent) => cluster.break_link(agent),
        Action::Silence(agent, silent) => cluster.agents[agent].silent = silent,
        Action::Progress(agent, task, state) => cluster.progress(agent, task, state),
        Action::Resend(agent, task) => cluster.resend(agent, task),
        Action::ExecutorExits(agent) => cluster.executor_exits(agent),
        Action::Unregister(agent) => cluster.unregister(agent),
        Action::Subscribe(scheduler) => cluster.subscribe(scheduler),
        Action::Close(scheduler) => cluster.close(scheduler),
        Action::Accept(scheduler, offers, tasks, stale) => {
            cluster.accept(scheduler, offers, tasks, stale);
        }
        Action::Operate(scheduler, kinds, named) => cluster.operate(scheduler, &kinds, named),
        Action::OperationStatuses(agent) => cluster.operation_statuses(agent),
        Action::AcknowledgeOperations(scheduler) => cluster.acknowledge_operations(scheduler),
        Action::Bring(agent, scheduler) => cluster.bring(agent, scheduler),
        Action::Deaf(agent) => cluster.agents[agent].deaf = true,
        Action::Decline(scheduler, seconds) => cluster.decline(scheduler, seconds),
        Action::Acknowledge(scheduler, which) => cluster.acknowledge(scheduler, which),
        Action::Kill(scheduler, which) => cluster.kill(scheduler, which),
        Action::Simple(scheduler, kind) => cluster.simple(scheduler, kind),
        Action::Gone(agent) => {
            if let Some(id) = cluster.agents[agent].id.clone() {
                cluster.operator(OperatorCall::MarkAgentGone(id.into()));
            }
        }
        Action::Wait(us) => cluster.wait(us),
        Action::Commit => cluster.commit_next(),
        Action::CommitAll => cluster.commit_all(),
        Action::Refuse => cluster.refuse_next(),
        Action::FailOver => cluster.fail_over(),
        Action::Stray(which) => stray(cluster, which),
    }
}

/// What nobody should send, and somebody does.
fn stray(cluster: &mut Cluster, which: usize) {
    let stream = StreamId::new("nobody's");
    match which {
        0 => cluster.step(Event::StreamClosed { stream }),
        1 => cluster.step(Event::TimerFired(Timer::Ping("nobody".into()))),
        2 => cluster.step(Event::TimerFired(Timer::Failover("nobody".into()))),
        3 => cluster.step(Event::TimerFired(Timer::OfferTimeout("nothing".into()))),
        4 => cluster.operator(OperatorCall::Teardown("nobody".into())),
        _ => cluster.operator(OperatorCall::KillTask {
            framework: "nobody".into(),
            task: "nothing".into(),
            policy: None,
        }),
    }
}

/// `PROPTEST_CASES` asks for more, or fewer.
fn configuration() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn run_all(mut cluster: Cluster, actions: Vec<Action>) {
    for action in actions {
        run(&mut cluster, action);
        if cluster.world.exited.is_some() {
            return;
        }
    }
    cluster.finish();
    cluster.heal();
    cluster.finish();
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn whatever_happens_the_books_agree(actions in prop::collection::vec(action(), 1..150)) {
        let cluster = Cluster::new(AGENTS, SCHEDULERS);
        run_all(cluster, actions);
    }

    #[test]
    fn what_operations_make_is_there(actions in prop::collection::vec(stateful_action(), 1..80)) {
        let mut cluster = Cluster::new(AGENTS, SCHEDULERS);
        for agent in 0..AGENTS {
            cluster.register(agent);
        }
        for scheduler in 0..SCHEDULERS {
            cluster.subscribe(scheduler);
        }
        cluster.commit_all();
        cluster.wait(2_000);
        run_all(cluster, actions);
    }
}
