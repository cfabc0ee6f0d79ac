//! Scripts: what happens to a master, and everything it does about it.
//!
//! A script is a text file of commands, each followed by the whole list of effects, indented. Run with
//! `MESETA_BLESS=1` to write the effects anew; the difference is for review.
//!
//! ```text
//! let NAME VALUE                    a shorthand, used as $NAME
//! set NAME VALUE                    a setting of the master, before `lead`
//! lead                              the master is elected with what the log holds
//! restart                           another process, with the same log
//! durable now | later               whether proposals are committed at once (now)
//! commit | refuse REASON | unknown  the oldest proposal
//! from UPID [to ACTOR] NAME JSON    an actor message
//! broken UPID                       a link
//! subscribe STREAM JSON             a scheduler over HTTP
//! call STREAM JSON                  its other calls (requests are numbered from 1)
//! closed STREAM
//! teardown ID | gone ID | kill FRAMEWORK TASK
//! wait DURATION                     time passes; timers fire, each with its effects
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use meseta_master::event::{Event, OperatorCall};
use meseta_model::caller::Caller;
use meseta_model::edge::{RequestId, StreamId};
use support::words::{expand, message, parse};
use support::{Effect1, World, config, show};

struct Script {
    world: World,
    lets: Vec<(String, String)>,
    master: String,
    config: meseta_master::Config,
    durable_now: bool,
    requests: u64,
    out: String,
}

impl Script {
    fn new() -> Self {
        Self {
            world: World::new(config()),
            lets: Vec::new(),
            master: String::new(),
            config: config(),
            durable_now: true,
            requests: 0,
            out: String::new(),
        }
    }

    fn run(mut self, text: &str) -> String {
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                continue;
            }
            self.out += line;
            self.out.push('\n');
            if !line.is_empty() && !line.starts_with('#') {
                self.command(line);
                self.world
                    .master
                    .audit()
                    .unwrap_or_else(|why| panic!("{why} after {line}"));
            }
        }
        self.out
    }

    fn show(&mut self, effects: &[Effect1]) {
        if self.master.is_empty() {
            for wish in support::wishes(effects) {
                if let meseta_master::event::Effect::Changed(meseta_master::view::Delta::Elected(
                    view,
                )) = wish
                {
                    self.master.clone_from(&view.info.id);
                }
            }
        }
        for effect in effects {
            let line = show::effect(effect, self.world.mono_us, &self.master);
            writeln!(self.out, "    {line}").unwrap();
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.world.step(event);
        self.settle(effects);
    }

    /// Shows effects, then commits what they propose, if that happens by itself.
    fn settle(&mut self, effects: Vec<Effect1>) {
        self.show(&effects);
        while self.durable_now {
            let Some(effects) = self.world.commit_next() else {
                break;
            };
            writeln!(self.out, "  committed").unwrap();
            self.show(&effects);
        }
    }

    fn command(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = expand(rest, &self.lets, &self.master);
        let rest = rest.as_str();
        match verb {
            "let" => {
                let (name, value) = rest.split_once(' ').unwrap();
                self.lets.push((name.to_owned(), value.to_owned()));
            }
            "set" => self.set(rest),
            "lead" => {
                let effects = self.world.lead(1, 7);
                self.settle(effects);
            }
            "restart" => {
                self.world.restart(self.config.clone());
                self.master.clear();
            }
            "durable" => self.durable_now = rest == "now",
            "commit" => {
                let effects = self.world.commit_next().expect("something proposed");
                self.show(&effects);
            }
            "refuse" => {
                let effects = self.world.refuse_next(rest).expect("something proposed");
                self.show(&effects);
            }
            "unknown" => {
                let (seq, _) = self.world.proposed.pop_front().expect("something proposed");
                self.step(Event::Unknown { seq });
            }
            "wait" => self.wait(rest),
            _ => self.event(verb, rest),
        }
    }

    fn set(&mut self, rest: &str) {
        let (name, value) = rest.split_once(' ').unwrap();
        match name {
            "offer_timeout_us" => self.config.offer_timeout_us = Some(value.parse().unwrap()),
            "max_completed_frameworks" => {
                self.config.max_completed_frameworks = value.parse().unwrap();
            }
            "max_completed_tasks" => {
                self.config.max_completed_tasks_per_framework = value.parse().unwrap();
            }
            "max_unreachable_tasks" => {
                self.config.max_unreachable_tasks_per_framework = value.parse().unwrap();
            }
            "recovery_agent_removal_limit" => {
                self.config.recovery_agent_removal_limit = value.parse().unwrap();
            }
            "registry_max_agent_age_us" => {
                self.config.registry_max_agent_age_us = value.parse().unwrap();
            }
            _ => panic!("no setting {name}"),
        }
        self.world = World::new(self.config.clone());
    }

    fn wait(&mut self, text: &str) {
        let (number, factor) = if let Some(number) = text.strip_suffix("ms") {
            (number, 1_000)
        } else if let Some(number) = text.strip_suffix("us") {
            (number, 1)
        } else {
            (text.strip_suffix('s').expect("a duration"), 1_000_000)
        };
        let until = self.world.mono_us + number.parse::<u64>().unwrap() * factor;
        while let Some(timer) = self.world.next_timer(until) {
            let text = show::timer(&timer).replace(&self.master, "M");
            writeln!(self.out, "  timer {text}").unwrap();
            self.step(Event::TimerFired(timer));
        }
        self.world.mono_us = until;
    }

    fn event(&mut self, verb: &str, rest: &str) {
        let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let event = match verb {
            "from" => {
                let (to, rest) = match rest.strip_prefix("to ") {
                    Some(rest) => rest.split_once(' ').unwrap(),
                    None => ("master", rest),
                };
                let (name, body) = rest.split_once(' ').unwrap_or((rest, "{}"));
                Event::MessageReceived {
                    from: first.parse().unwrap(),
                    to: to.to_owned(),
                    message: message(name, body),
                }
            }
            "broken" => Event::LinkBroken {
                peer: first.parse().unwrap(),
            },
            "subscribe" => Event::SchedulerSubscribed {
                stream: StreamId::new(first),
                caller: Caller::default(),
                call: Box::new(parse(rest)),
            },
            "call" => Event::SchedulerCalled {
                request: self.request(),
                caller: Caller::default(),
                stream_id: (first != "-").then(|| first.to_owned()),
                call: Box::new(parse(rest)),
            },
            "closed" => Event::StreamClosed {
                stream: StreamId::new(first),
            },
            "teardown" => self.operator(OperatorCall::Teardown(first.into())),
            "gone" => self.operator(OperatorCall::MarkAgentGone(first.into())),
            "kill" => self.operator(OperatorCall::KillTask {
                framework: first.into(),
                task: rest.into(),
                policy: None,
            }),
            _ => panic!("no command {verb}"),
        };
        self.step(event);
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    fn operator(&mut self, call: OperatorCall) -> Event {
        Event::OperatorCalled {
            request: self.request(),
            caller: Caller::default(),
            call,
        }
    }
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let found = Script::new().run(&text);
    if std::env::var_os("MESETA_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    for (number, (wanted, found)) in text.lines().zip(found.lines()).enumerate() {
        assert_eq!(found, wanted, "{name}:{}", number + 1);
    }
    assert_eq!(
        found.lines().count(),
        text.lines().count(),
        "{name} is shorter or longer"
    );
}

macro_rules! scripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(concat!(stringify!($name), ".txt"));
        }
    )*

    #[test]
    fn every_script_runs() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
        let mut there: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut run = vec![$(concat!(stringify!($name), ".txt")),*];
        run.sort_unstable();
        assert_eq!(there, run);
    }};
}

scripts! {
    happy_path
}
