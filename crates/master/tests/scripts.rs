//! Scripts: what happens to a master, and everything it does about it.
//!
//! A script is a text file of commands, each followed by the whole list of effects, indented. Run with
//! `MESETA_BLESS=1` to write the effects anew; the difference is for review.
//!
//! ```text
//! prelude                           the shorthands of prelude.txt
//! let NAME VALUE                    a shorthand, used as $NAME
//! quiet | loud                      whether effects are written down (loud); for the way to a scene
//! set NAME VALUE                    a setting of the master, before `lead`
//! lead                              the master is elected with what the log holds
//! restart                           another process, with the same log; ids of before are OLD-…
//! durable now | later               whether proposals are committed at once (now)
//! commit | refuse REASON | unknown  the oldest proposal
//! from UPID [to ACTOR] NAME JSON    an actor message
//! broken UPID                       a link
//! whitelist HOST,HOST | all         the hosts whose agents are offered
//! subscribe STREAM JSON             a scheduler over HTTP
//! call STREAM JSON                  its other calls (requests are numbered from 1)
//! closed STREAM
//! launch STREAM FRAMEWORK OFFER TASKS   ACCEPT with one LAUNCH
//! update UPID FRAMEWORK AGENT TASK STATE UUID [LATEST]   a status update
//! ack STREAM FRAMEWORK AGENT TASK UUID
//! teardown ID | gone ID | kill FRAMEWORK TASK
//! explain [framework=ID] [role=ROLE] [agent=ID] [list]
//! wait DURATION                     time passes; timers fire, each with its effects
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use meseta_master::event::{Event, OperatorCall, Question};
use meseta_model::caller::Caller;
use meseta_model::edge::{RequestId, StreamId};
use support::words::{expand, message, parse};
use support::{Effect1, World, config, show};

struct Script {
    world: World,
    lets: Vec<(String, String)>,
    /// The master's id, written `M`.
    master: String,
    /// The id of the master before a restart, written `OLD`.
    old: String,
    reigns: u64,
    config: meseta_master::Config,
    durable_now: bool,
    requests: u64,
    quiet: bool,
    out: String,
}

impl Script {
    fn new() -> Self {
        Self {
            world: World::new(config()),
            lets: Vec::new(),
            master: String::new(),
            old: String::new(),
            reigns: 0,
            config: config(),
            durable_now: true,
            requests: 0,
            quiet: false,
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
        for effect in effects.iter().filter(|_| !self.quiet) {
            let line = self.named(show::effect(effect, self.world.mono_us));
            writeln!(self.out, "    {line}").unwrap();
        }
    }

    /// The same text with `M` and `OLD` for masters' ids.
    fn named(&self, text: String) -> String {
        let mut text = text;
        for (id, name) in [(&self.master, "M"), (&self.old, "OLD")] {
            if !id.is_empty() {
                text = text.replace(id, name);
            }
        }
        text
    }

    fn note(&mut self, line: &str) {
        if !self.quiet {
            writeln!(self.out, "{line}").unwrap();
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
            self.note("  committed");
            self.show(&effects);
        }
    }

    fn command(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = if verb == "let" {
            rest.to_owned()
        } else {
            expand(rest, &self.lets, &self.master, &self.old)
        };
        let rest = rest.as_str();
        match verb {
            "let" => {
                let (name, value) = rest.split_once(' ').unwrap();
                self.lets.push((name.to_owned(), value.to_owned()));
            }
            "prelude" => {
                for line in include_str!("prelude.txt")
                    .lines()
                    .filter(|l| !l.starts_with('#'))
                {
                    let (name, value) = line["let ".len()..].split_once(' ').unwrap();
                    self.lets.push((name.to_owned(), value.to_owned()));
                }
            }
            "quiet" => self.quiet = true,
            "loud" => self.quiet = false,
            "set" => self.set(rest),
            "lead" => {
                self.reigns += 1;
                let effects = self.world.lead(self.reigns, 6 + self.reigns);
                self.settle(effects);
            }
            "restart" => {
                self.world.restart(self.config.clone());
                self.old = std::mem::take(&mut self.master);
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
            "constraint_program_size" => {
                self.config.constraint_limits.max_program_size = value.parse().unwrap();
            }
            "scores" => {
                let scores = value.split(',').map(meseta_allocator::Scoring::named);
                self.config.allocator.scores = scores.map(Option::unwrap).collect();
            }
            "domain" => {
                self.config.domain = Some(parse(value));
            }
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
            self.note(&format!(
                "  timer {}",
                show::timer(&timer).replace(&self.master, "M")
            ));
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
                    caller: Caller::default(),
                    from: first.parse().unwrap(),
                    to: to.to_owned(),
                    message: message(name, body),
                }
            }
            "whitelist" => Event::WhitelistChanged(
                (first != "all").then(|| first.split(',').map(str::to_owned).collect()),
            ),
            "broken" => Event::LinkBroken {
                peer: first.parse().unwrap(),
            },
            "subscribe" => Event::SchedulerSubscribed {
                stream: StreamId::new(first),
                caller: Caller::default(),
                call: Box::new(parse(rest)),
            },
            "call" => self.call(first, rest),
            "launch" => {
                let words: Vec<&str> = rest.splitn(3, ' ').collect();
                let [framework, offer, tasks] = words[..] else {
                    panic!("launch STREAM FRAMEWORK OFFER TASKS");
                };
                let call = format!(
                    r#"{{"type":"ACCEPT","framework_id":{{"value":"{framework}"}},"accept":{{"offer_ids":[{{"value":"{offer}"}}],"operations":[{{"type":"LAUNCH","launch":{{"task_infos":[{tasks}]}}}}]}}}}"#
                );
                self.call(first, &call)
            }
            "ack" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [framework, agent, task, uuid] = words[..] else {
                    panic!("ack STREAM FRAMEWORK AGENT TASK UUID");
                };
                let call = format!(
                    r#"{{"type":"ACKNOWLEDGE","framework_id":{{"value":"{framework}"}},"acknowledge":{{"agent_id":{{"value":"{agent}"}},"task_id":{{"value":"{task}"}},"uuid":{uuid}}}}}"#
                );
                self.call(first, &call)
            }
            "update" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [framework, agent, task, state, uuid, ..] = words[..] else {
                    panic!("update UPID FRAMEWORK AGENT TASK STATE UUID [LATEST]");
                };
                let latest = words.get(5).unwrap_or(&state);
                let body = format!(
                    r#"{{"update":{{"framework_id":{{"value":"{framework}"}},"slave_id":{{"value":"{agent}"}},"status":{{"task_id":{{"value":"{task}"}},"state":"{state}","source":"SOURCE_EXECUTOR","uuid":{uuid}}},"timestamp":1,"uuid":{uuid},"latest_state":"{latest}"}}}}"#
                );
                Event::MessageReceived {
                    caller: Caller::default(),
                    from: first.parse().unwrap(),
                    to: "master".to_owned(),
                    message: message("StatusUpdate", &body),
                }
            }
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
            "explain" => {
                let question = question([first, rest].join(" ").trim());
                self.operator(OperatorCall::ExplainOffers(question))
            }
            _ => panic!("no command {verb}"),
        };
        self.step(event);
    }

    fn call(&mut self, stream: &str, body: &str) -> Event {
        Event::SchedulerCalled {
            request: self.request(),
            caller: Caller::default(),
            stream_id: (stream != "-").then(|| stream.to_owned()),
            call: Box::new(parse(body)),
        }
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

fn question(words: &str) -> Question {
    let mut question = Question::default();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("framework", id)) => question.framework = Some(id.into()),
            Some(("role", role)) => question.role = Some(role.into()),
            Some(("agent", id)) => question.agent = Some(id.into()),
            None if word == "list" => question.list = true,
            _ => panic!("explain {word}"),
        }
    }
    question
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
    awaited
    accept
    agent_changes
    agents
    calls
    digest
    disconnect
    doubled
    drivers
    end_unheard
    executors
    explain
    failover
    happy_path
    histories
    kill
    lost_lead
    moved
    offers
    older_drivers
    operation_feedback
    operation_ids
    operations
    operator
    orphans
    policies
    reconcile
    recovery
    recovery_limit
    refined
    refused
    refused_for_good
    registry_gc
    removal_retried
    settled
    shrink
    subscribe
    taken_ids
    unreachable
    updates
}
