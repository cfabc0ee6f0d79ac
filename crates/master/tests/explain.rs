//! EXPLAIN_OFFERS: its limits, and that asking changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use meseta_master::event::{Effect as Wish, Event, OperatorCall, Question, Timer};
use meseta_master::limits;
use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, RefusalKind, RequestId, StreamId};
use meseta_model::resources::Resources;
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::master::response;
use meseta_proto::mesos::v1::scheduler::{self, call};
use support::{Effect1, World, config, registers, subscribes, wishes};

/// A leading master with so many agents, and one framework in so many roles.
fn world(agents: usize, roles: usize) -> World {
    let mut world = World::new(config());
    world.lead(1, 1);
    for n in 0..agents {
        let resources = Resources::of(&[("cpus", 1.0 + n as f64), ("mem", 64.0)]);
        world.step(registers(n, &resources));
        world.commit_next();
    }
    subscribe(&mut world, "S", (0..roles).map(|n| format!("r{n:05}")));
    world
}

fn subscribe(world: &mut World, stream: &str, roles: impl Iterator<Item = String>) {
    let framework_info = v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "f".to_owned(),
        roles: roles.collect(),
        capabilities: vec![v1::framework_info::Capability {
            r#type: Some(v1::framework_info::capability::Type::MultiRole.into()),
        }],
        ..Default::default()
    };
    world.step(subscribes(stream, framework_info));
    world.commit_next();
}

fn ask(world: &mut World, number: u64, question: Question) -> Vec<Effect1> {
    world.step(Event::OperatorCalled {
        request: RequestId(number),
        caller: Caller::default(),
        call: OperatorCall::ExplainOffers(question),
    })
}

/// What was answered to whom.
fn answers(effects: &[Effect1]) -> Vec<(u64, response::ExplainOffers)> {
    let answers = wishes(effects).filter_map(|wish| match wish {
        Wish::Reply {
            request,
            outcome: Outcome::Told(told),
        } => Some((request.0, told.explain_offers.clone().unwrap())),
        _ => None,
    });
    answers.collect()
}

fn counted(answer: &response::ExplainOffers) -> u64 {
    let counts = answer.summaries.iter().flat_map(|summary| &summary.counts);
    counts.map(|count| count.agents()).sum()
}

#[test]
fn a_long_list_is_cut_and_all_is_counted() {
    let mut world = world(limits::EXPLANATIONS / 2 + 1, 2);
    let question = Question {
        list: true,
        ..Question::default()
    };
    let effects = ask(&mut world, 1, question);
    let [(1, answer)] = &answers(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(answer.explanations.len(), limits::EXPLANATIONS);
    assert_eq!(counted(answer), limits::EXPLANATIONS as u64 + 2);
    assert!(answer.cut());
    assert_eq!(answer.agents_explained, answer.agents);
}

#[test]
fn only_so_many_roles_are_asked_about() {
    let each = meseta_model::limits::ROLES_PER_FRAMEWORK;
    let mut world = world(1, 1);
    for n in 0..limits::EXPLAINED_CLIENTS / each {
        let roles = (0..each).map(|at| format!("r{at}"));
        subscribe(&mut world, &format!("S{n}"), roles);
    }
    let effects = ask(&mut world, 1, Question::default());
    let [(1, answer)] = &answers(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(answer.clients(), limits::EXPLAINED_CLIENTS as u64 + 1);
    assert_eq!(answer.summaries.len(), limits::EXPLAINED_CLIENTS);
    assert!(answer.cut());
}

/// `EXPLAINED_PER_STEP`, `EXPLAIN_PAUSE_US`, `QUESTIONS`: large questions are worked on one after the
/// other, a slice at a time.
#[test]
fn a_large_question_is_answered_little_by_little() {
    let (agents, roles) = (130, 100);
    assert!(agents * roles > limits::EXPLAINED_PER_STEP);
    let mut world = world(agents, roles);
    let most = limits::QUESTIONS as u64;
    for number in 1..=most {
        let effects = ask(&mut world, number, Question::default());
        assert_eq!(answers(&effects), []);
    }
    let refused = ask(&mut world, most + 1, Question::default());
    let [
        Wish::Reply {
            request: RequestId(number),
            outcome: Outcome::Refused(refusal),
        },
    ] = &wishes(&refused).collect::<Vec<_>>()[..]
    else {
        panic!("{refused:?}");
    };
    assert_eq!((*number, refusal.kind), (most + 1, RefusalKind::TooMany));
    let mut answered = Vec::new();
    while world.timers.remove(&Timer::Explain) == Some(world.mono_us + limits::EXPLAIN_PAUSE_US) {
        world.mono_us += limits::EXPLAIN_PAUSE_US;
        let effects = world.step(Event::TimerFired(Timer::Explain));
        answered.extend(answers(&effects));
    }
    let numbers: Vec<u64> = answered.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=most).collect::<Vec<_>>());
    for (_, answer) in answered {
        assert_eq!(counted(&answer), (agents * roles) as u64);
        assert!(!answer.cut());
    }
    assert_eq!(world.mono_us, (2 * most - 1) * limits::EXPLAIN_PAUSE_US);
}

/// `EXPLAINED_AGENTS_PER_STEP`: many agents take several steps, however few frameworks there are.
#[test]
fn many_agents_are_explained_little_by_little() {
    let agents = limits::EXPLAINED_AGENTS_PER_STEP + 1;
    let mut world = world(agents, 1);
    assert_eq!(answers(&ask(&mut world, 1, Question::default())), []);
    world.mono_us += limits::EXPLAIN_PAUSE_US;
    let effects = world.step(Event::TimerFired(Timer::Explain));
    let [(1, answer)] = &answers(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(counted(answer), agents as u64);
    assert!(!answer.cut());
}

/// `EXPLAIN_PATIENCE_US`: then whoever asks gets what was found.
#[test]
fn nobody_waits_for_everything() {
    let (agents, roles) = (250, 100);
    let mut world = world(agents, roles);
    assert_eq!(answers(&ask(&mut world, 1, Question::default())), []);
    world.mono_us += limits::EXPLAIN_PATIENCE_US;
    let effects = world.step(Event::TimerFired(Timer::Explain));
    let [(1, answer)] = &answers(&effects)[..] else {
        panic!("{effects:?}");
    };
    let looked_at = 2 * (limits::EXPLAINED_PER_STEP / roles) as u64;
    assert_eq!(answer.agents_explained(), looked_at);
    assert_eq!(counted(answer), looked_at * roles as u64);
    assert_eq!(answer.agents(), agents as u64);
    assert!(answer.cut());
}

fn decline(stream: &StreamId, offer: &v1::Offer, seconds: f64) -> Event {
    let call = scheduler::Call {
        framework_id: Some(offer.framework_id.clone()),
        r#type: Some(call::Type::Decline as i32),
        decline: Some(call::Decline {
            offer_ids: vec![offer.id.clone()],
            filters: Some(v1::Filters {
                refuse_seconds: Some(seconds),
            }),
        }),
        ..Default::default()
    };
    Event::SchedulerCalled {
        request: RequestId(0),
        caller: Caller::default(),
        stream_id: Some(stream.to_string()),
        call: Box::new(call),
    }
}

/// Everything that a master does in three seconds in which frameworks decline what they are offered.
fn life(is_asked: bool) -> Vec<Effect1> {
    let mut world = world(4, 3);
    subscribe(&mut world, "T", ["r00001".to_owned()].into_iter());
    let mut all = Vec::new();
    let mut seconds = [0.0, 0.3, 1.7].into_iter().cycle();
    for step in 0..3_000 {
        let until = step * 1_000;
        while let Some(timer) = world.next_timer(until) {
            let effects = world.step(Event::TimerFired(timer));
            let mut declines = Vec::new();
            for wish in wishes(&effects) {
                if let Wish::SendEvent { stream, event } = wish {
                    for offer in event.offers.iter().flat_map(|event| &event.offers) {
                        declines.push(decline(stream, offer, seconds.next().unwrap()));
                    }
                }
            }
            all.extend(effects);
            for event in declines {
                all.extend(world.step(event));
            }
        }
        world.mono_us = until;
        if is_asked {
            let question = Question {
                list: true,
                ..Question::default()
            };
            let effects = ask(&mut world, step + 1, question);
            assert_eq!(answers(&effects).len(), 1);
            assert_eq!(effects.len(), 1);
            world.master.audit().unwrap();
        }
    }
    all
}

#[test]
fn asking_changes_nothing() {
    let (silent, asked) = (life(false), life(true));
    let is_offer = |effect: &&Effect1| format!("{effect:?}").contains("OffersMade");
    assert!(silent.iter().filter(is_offer).count() > 10);
    assert_eq!(silent, asked);
}
