//! Scripts: calls in, grants out. A line that begins with `> ` is a call, what follows is its answer.
//! `MESETA_BLESS=1` writes the answers as they are; the difference is for a reader to judge.
//!
//! Calls: `config …`, `agent A res [host=h] [flat] [region=r] [zone=z] [attr=n:v] [used=F@role:res]`,
//! `framework F role… [suppressed=r] [can=c,c] [min=r/quantities] [match=r/rule,rule|rule] [inactive]`,
//! `update F …` (as framework), `decline F@role A res|all [seconds]`, `recover F@role A res|all`,
//! `track F@role A res`, `convert F@role A from -> to`, `reserve A from -> to`, `total A res`,
//! `oversubscribe A res`, `suppress F [role…]`, `revive F [role…]`, `activate`, `deactivate`, `remove`,
//! `weight role w`, `quota role guarantee=… limit=… | none`, `whitelist h… | all`,
//! `maintain A from=10h [for=1h] | none`, `answer F A yes|no|withdrawn [seconds]`, `answers A`,
//! `await n`, `pass 5s`, `run` (sleep until the next wake, then allocate
//! until there is none due), `shares`, `consumed role`,
//! `wish F@role quantities|none`, `used F@role`, `offers` (how roles fare), `starving`, `last` (run),
//! `explain F@role A`, `free A`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use meseta_allocator::{
    AgentProfile, Allocator, Attribute, Config, Constraint, Explanation, FrameworkProfile,
    InverseAnswer, InverseGrant, LastRun, Pattern, PatternLimits, Predicate, Quota, Refusal,
    RoleConstraints, Scoring, Selector, Site, SorterKind, Unavailability, Used,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceName, Resources};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;
use words::{quantities, quantity, resources, show};

struct Script {
    allocator: Allocator,
    rng: Rng,
    now_us: u64,
}

/// `5s`, `200ms`, `7us`.
fn duration_us(text: &str) -> u64 {
    let split = text.find(|c: char| c.is_alphabetic()).expect("a unit");
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "h" => 3600e6,
        other => panic!("unit {other}"),
    };
    (number.parse::<f64>().expect("a number") * factor).round() as u64
}

fn show_us(us: u64) -> String {
    match us {
        us if us % 1_000_000 == 0 => format!("{}s", us / 1_000_000),
        us if us % 1_000 == 0 => format!("{}ms", us / 1_000),
        us => format!("{us}us"),
    }
}

fn option<'a>(parts: &[&'a str], name: &str) -> Option<&'a str> {
    let begins = |part: &&'a str| part.strip_prefix(name)?.strip_prefix('=');
    parts.iter().find_map(begins)
}

fn options<'a>(parts: &[&'a str], name: &str) -> Vec<&'a str> {
    let begins = |part: &&'a str| part.strip_prefix(name)?.strip_prefix('=');
    parts.iter().filter_map(begins).collect()
}

fn config(parts: &[&str]) -> Config {
    let mut config = Config::default();
    if let Some(interval) = option(parts, "interval") {
        config.allocation_interval_us = duration_us(interval);
    }
    if parts.contains(&"no-minimum") {
        config.min_allocatable.clear();
    }
    if parts.contains(&"offer-gpus") {
        config.filter_gpus = false;
    }
    if parts.contains(&"random-roles") {
        config.role_sorter = SorterKind::Random;
    }
    if parts.contains(&"random-frameworks") {
        config.framework_sorter = SorterKind::Random;
    }
    if let Some(names) = option(parts, "excluded") {
        config.fair_sharing_excluded = names.split(',').map(ResourceName::new).collect();
    }
    config.region = option(parts, "region").map(str::to_owned);
    config.charge_reservations = parts.contains(&"charge-reservations");
    config.longest_refusal_us = option(parts, "longest-refusal").map(duration_us);
    if let Some(patience) = option(parts, "starvation") {
        config.starvation_us = duration_us(patience);
    }
    if let Some(names) = option(parts, "scores") {
        let scores = names.split(',').map(Scoring::named);
        config.scores = scores.map(|score| score.expect("a score")).collect();
    }
    if let Some(names) = option(parts, "scarce") {
        config.scarce = names.split(',').map(ResourceName::new).collect();
    }
    config
}

fn constraint(rule: &str) -> Constraint {
    let ends = ["!exists", "exists", "!=", "!~", "=", "~"];
    let (at, op) = ends
        .iter()
        .filter_map(|op| Some((rule.find(op)?, *op)))
        .min_by_key(|(at, op)| (*at, usize::MAX - op.len()))
        .expect("an operator");
    let (name, value) = (rule[..at].trim_end_matches(':'), &rule[at + op.len()..]);
    let pattern = || Pattern::compile(value, PatternLimits::default()).unwrap();
    Constraint {
        selector: match name {
            "HOSTNAME" => Selector::Hostname,
            "REGION" => Selector::Region,
            "ZONE" => Selector::Zone,
            name => Selector::Attribute(name.to_owned()),
        },
        predicate: match op {
            "exists" => Predicate::Exists,
            "!exists" => Predicate::NotExists,
            "=" => Predicate::TextEquals(value.to_owned()),
            "!=" => Predicate::TextNotEquals(value.to_owned()),
            "~" => Predicate::TextMatches(pattern()),
            _ => Predicate::TextNotMatches(pattern()),
        },
    }
}

fn profile(parts: &[&str]) -> FrameworkProfile {
    let mut profile = FrameworkProfile {
        active: !parts.contains(&"inactive"),
        ..FrameworkProfile::default()
    };
    let plain = parts
        .iter()
        .filter(|part| !part.contains('=') && **part != "inactive");
    profile.roles = plain.map(|role| Role::from(*role)).collect();
    let suppressed = options(parts, "suppressed");
    profile.suppressed = suppressed.into_iter().map(Role::from).collect();
    for can in option(parts, "can").into_iter().flat_map(|c| c.split(',')) {
        match can {
            "shared" => profile.capabilities.shared_resources = true,
            "revocable" => profile.capabilities.revocable_resources = true,
            "refined" => profile.capabilities.reservation_refinement = true,
            "gpus" => profile.capabilities.gpu_resources = true,
            "regions" => profile.capabilities.region_aware = true,
            "roles" => profile.capabilities.multi_role = true,
            other => panic!("capability {other}"),
        }
    }
    for least in options(parts, "min") {
        let (role, list) = least.split_once('/').expect("role/quantities");
        let list = list.split('|').filter(|part| !part.is_empty());
        let list = list.map(quantities).collect();
        profile.min_allocatable.insert(Role::from(role), list);
    }
    for rules in options(parts, "match") {
        let (role, groups) = rules.split_once('/').expect("role/rules");
        let groups = groups
            .split('|')
            .map(|group| group.split(',').map(constraint).collect())
            .collect();
        let constraints = RoleConstraints { groups };
        profile
            .offer_constraints
            .insert(Role::from(role), constraints);
    }
    profile
}

fn holder(text: &str) -> (FrameworkId, Role) {
    let (framework, role) = text.split_once('@').expect("framework@role");
    (framework.into(), Role::from(role))
}

fn used(text: &str) -> Used {
    let (who, what) = text.split_once(':').expect("framework@role:resources");
    let (framework, role) = holder(who);
    Used {
        framework,
        role,
        resources: resources(what),
    }
}

fn agent(parts: &[&str]) -> AgentProfile {
    let text = |name| option(parts, name).map(str::to_owned);
    AgentProfile {
        total: resources(parts[0]),
        hierarchical_role: !parts.contains(&"flat"),
        multi_role: !parts.contains(&"one-role"),
        site: Site {
            hostname: text("host").unwrap_or_default(),
            region: text("region"),
            zone: text("zone"),
            attributes: options(parts, "attr")
                .into_iter()
                .map(|pair| {
                    let (name, value) = pair.split_once(':').expect("name:value");
                    Attribute {
                        name: name.to_owned(),
                        text: value.parse::<f64>().is_err().then(|| value.to_owned()),
                    }
                })
                .collect(),
        },
    }
}

fn quota(parts: &[&str]) -> Option<Quota> {
    if parts == ["none"] {
        return None;
    }
    let limits: BTreeMap<ResourceName, _> = option(parts, "limit")
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|pair| {
            let (name, value) = pair.split_once(':').expect("name:value");
            (ResourceName::new(name), quantity(value))
        })
        .collect();
    Some(Quota {
        guarantees: quantities(option(parts, "guarantee").unwrap_or("")),
        limits,
    })
}

fn answer<E: std::fmt::Display>(result: Result<(), E>) -> String {
    result.map_or_else(|error| format!("refused: {error}\n"), |()| String::new())
}

impl Script {
    fn new(config: Config) -> Self {
        Self {
            allocator: Allocator::new(config),
            rng: Rng::new(1),
            now_us: 10_000_000,
        }
    }

    fn call(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (verb, parts) = words.split_first().expect("a verb");
        let now = self.now_us;
        let mut answered = match *verb {
            "config" => {
                *self = Self::new(config(parts));
                String::new()
            }
            "pass" => {
                self.now_us += duration_us(parts[0]);
                String::new()
            }
            "run" => self.run(),
            "agent" | "total" | "oversubscribe" | "site" | "maintain" | "reserve" => {
                self.agent_call(verb, parts)
            }
            "framework" | "update" | "suppress" | "revive" => {
                self.framework_call(verb, parts);
                String::new()
            }
            "activate" | "deactivate" | "remove" => {
                self.switch(verb, parts[0]);
                String::new()
            }
            "answer" => self.answer_call(parts),
            "decline" | "recover" | "track" | "convert" => self.ledger_call(verb, parts),
            "weight" => answer(self.allocator.set_weight(
                now,
                &Role::from(parts[0]),
                parts[1].parse().unwrap(),
            )),
            "quota" => answer(self.allocator.set_quota(
                now,
                &Role::from(parts[0]),
                quota(&parts[1..]).as_ref(),
            )),
            "whitelist" => {
                let names: BTreeSet<String> = parts.iter().map(|n| (*n).to_owned()).collect();
                let names = (*parts != ["all"]).then_some(names);
                self.allocator.set_whitelist(now, names);
                String::new()
            }
            "await" => {
                self.allocator.await_agents(now, parts[0].parse().unwrap());
                String::new()
            }
            _ => self.question(verb, parts),
        };
        if let Err(error) = self.allocator.audit() {
            answered += &format!("AUDIT: {error}\n");
        }
        answered
    }

    fn run(&mut self) -> String {
        let Some(at_us) = self.allocator.next_wake(self.now_us) else {
            return "asleep\n".to_owned();
        };
        let waited_us = at_us.saturating_sub(self.now_us);
        self.now_us += waited_us;
        let mut text = format!("after {}\n", show_us(waited_us));
        while self
            .allocator
            .next_wake(self.now_us)
            .is_some_and(|at| at <= self.now_us)
        {
            for grant in self.allocator.allocate(self.now_us, &mut self.rng) {
                let what = show(&grant.resources);
                let (framework, role) = (grant.framework, grant.role);
                text += &format!("{framework}@{role} {} {what}\n", grant.agent);
            }
            for inverse in self.allocator.inverse_offers(self.now_us) {
                let InverseGrant {
                    framework,
                    agent,
                    unavailability,
                } = inverse;
                let start = show_us(unavailability.start_ns / 1000);
                let until = unavailability.duration_ns;
                let lasts = until.map(|ns| format!(" for {}", show_us(ns / 1000)));
                let lasts = lasts.unwrap_or_default();
                text += &format!("{framework} leave {agent} at {start}{lasts}\n");
            }
        }
        text
    }

    fn agent_call(&mut self, verb: &str, parts: &[&str]) -> String {
        let id = AgentId::from(parts[0]);
        let now = self.now_us;
        let allocator = &mut self.allocator;
        match verb {
            "agent" => {
                let all: Vec<Used> = options(parts, "used").into_iter().map(used).collect();
                allocator.add_agent(now, &id, agent(&parts[1..]), &all);
                String::new()
            }
            "total" => answer(allocator.update_agent_total(now, &id, resources(parts[1]))),
            "oversubscribe" => {
                let some = resources(parts.get(1).unwrap_or(&""));
                answer(allocator.set_oversubscribed(now, &id, &some))
            }
            "site" => answer(allocator.update_agent_site(
                now,
                &id,
                agent(&[&[""], &parts[1..]].concat()).site,
            )),
            "maintain" => {
                let ns = |name| option(parts, name).map(|text| duration_us(text) * 1000);
                let planned = ns("from").map(|start_ns| Unavailability {
                    start_ns,
                    duration_ns: ns("for"),
                });
                answer(allocator.set_unavailability(&id, planned))
            }
            _ => answer(allocator.update_available(
                now,
                &id,
                &resources(parts[1]),
                &resources(parts[3]),
            )),
        }
    }

    fn framework_call(&mut self, verb: &str, parts: &[&str]) {
        let id = FrameworkId::from(parts[0]);
        let roles: BTreeSet<Role> = parts[1..].iter().map(|role| Role::from(*role)).collect();
        let (now, allocator) = (self.now_us, &mut self.allocator);
        match verb {
            "framework" => allocator.add_framework(now, &id, profile(&parts[1..])),
            "update" => allocator.update_framework(now, &id, profile(&parts[1..])),
            "suppress" => allocator.suppress(&id, &roles),
            _ => allocator.revive(now, &id, &roles),
        }
    }

    fn switch(&mut self, verb: &str, name: &str) {
        let (now, allocator) = (self.now_us, &mut self.allocator);
        let (agent, framework) = (AgentId::from(name), FrameworkId::from(name));
        match (verb, name.starts_with('A')) {
            ("activate", true) => allocator.activate_agent(now, &agent),
            ("activate", false) => allocator.activate_framework(now, &framework),
            ("deactivate", true) => allocator.deactivate_agent(&agent),
            ("deactivate", false) => allocator.deactivate_framework(&framework),
            (_, true) => allocator.remove_agent(now, &agent),
            (_, false) => allocator.remove_framework(now, &framework),
        }
    }

    fn ledger_call(&mut self, verb: &str, parts: &[&str]) -> String {
        let (framework, role) = holder(parts[0]);
        let id = AgentId::from(parts[1]);
        let (now, allocator) = (self.now_us, &mut self.allocator);
        let what: Resources = match parts[2] {
            "all" => allocator
                .held(&framework, &role, &id)
                .cloned()
                .unwrap_or_default(),
            text => resources(text),
        };
        match verb {
            "track" => {
                let used = Used {
                    framework,
                    role,
                    resources: what,
                };
                return answer(allocator.track(&id, &used));
            }
            "convert" => {
                let to = resources(parts[4]);
                let result =
                    allocator.update_allocation(now, &framework, &role, &id, [(&what, &to)]);
                return answer(result);
            }
            _ => {}
        }
        let refusal = (verb == "decline").then(|| Refusal {
            seconds: parts.get(3).map_or(5.0, |text| text.parse().unwrap()),
        });
        allocator.recover(now, &framework, &role, &id, &what, refusal);
        String::new()
    }

    fn answer_call(&mut self, parts: &[&str]) -> String {
        let said = match parts[2] {
            "yes" => Some(InverseAnswer::Accepted),
            "no" => Some(InverseAnswer::Declined),
            _ => None,
        };
        let refusal = parts.get(3).map(|text| Refusal {
            seconds: text.parse().unwrap(),
        });
        let (framework, agent) = (FrameworkId::from(parts[0]), AgentId::from(parts[1]));
        let now = self.now_us;
        self.allocator
            .answer_inverse_offer(now, &framework, &agent, said, refusal);
        String::new()
    }

    fn question(&mut self, verb: &str, parts: &[&str]) -> String {
        match verb {
            "shares" => self
                .allocator
                .roles()
                .iter()
                .map(|role| format!("{} {:.4} has {}\n", role.role, role.share, role.allocated))
                .collect(),
            "consumed" => format!("{}\n", self.allocator.quota_consumed(&Role::from(parts[0]))),
            "free" => {
                let free = self.allocator.free(&AgentId::from(parts[0]));
                let shown = free.map_or_else(|| "gone".to_owned(), show);
                let shown = if shown.is_empty() { "nothing" } else { &shown };
                format!("{shown}\n")
            }
            "wish" => {
                let (framework, role) = holder(parts[0]);
                let wish = (parts[1] != "none").then(|| quantities(parts[1]));
                self.allocator.set_wish(&framework, &role, wish.as_ref());
                String::new()
            }
            "explain" => self.explain(parts),
            "used" => {
                let (framework, role) = holder(parts[0]);
                self.allocator.note_used(self.now_us, &framework, &role);
                String::new()
            }
            "offers" => self.role_offers(),
            "starving" => self.starving(),
            "last" => {
                let LastRun {
                    agents,
                    grants,
                    waited_us,
                } = self.allocator.last_run();
                let waited = show_us(waited_us);
                format!("{agents} agents, {grants} grants, {waited} after it was asked for\n")
            }
            "answers" => {
                let agent = AgentId::from(parts[0]);
                let answers = self.allocator.inverse_answers(&agent);
                let lines = answers.map(|(framework, said)| format!("{framework} {said:?}\n"));
                lines.collect()
            }
            "filters" => format!("{}\n", self.allocator.counts().filters),
            other => panic!("no call {other}"),
        }
    }
}

impl Script {
    fn role_offers(&mut self) -> String {
        let now = self.now_us;
        let ago = |at: Option<u64>| at.map_or("never".to_owned(), |at| show_us(now - at));
        let roles = self.allocator.role_offers(now);
        let shown = roles.iter().map(|role| {
            format!(
                "{}: filters {}, waits {}, offered {}, used {}, useful {}\n",
                role.role,
                role.filters,
                ago(role.waiting_since_us),
                ago(role.offered_us),
                ago(role.used_us),
                show_us(role.since_useful_us(now)),
            )
        });
        shown.collect()
    }

    fn starving(&mut self) -> String {
        let now = self.now_us;
        let starving = self.allocator.take_starving(now);
        let shown = starving
            .iter()
            .map(|it| format!("{} for {}\n", it.role, show_us(now - it.since_us)));
        shown.collect()
    }

    fn explain(&mut self, parts: &[&str]) -> String {
        let (framework, role) = holder(parts[0]);
        let agent = AgentId::from(parts[1]);
        let now = self.now_us;
        match self.allocator.explain(now, &framework, &role, &agent) {
            Explanation::Offered(what) => format!("offered {}\n", show(&what)),
            Explanation::Withheld(reason) => format!("{reason} ({reason:?})\n"),
            Explanation::Behind(others) => {
                let named = others.iter().map(|(who, role)| format!(" {who}@{role}"));
                format!("behind{}\n", named.collect::<String>())
            }
        }
    }
}

/// The script with the answers it gets today.
fn replay(text: &str) -> String {
    let mut script = Script::new(Config::default());
    let mut out = String::new();
    for line in text.lines() {
        if let Some(call) = line.strip_prefix("> ") {
            out += &format!("{line}\n{}", script.call(call));
        } else if line.starts_with('#') || line.is_empty() {
            out += &format!("{line}\n");
            if line.starts_with("##") {
                script = Script::new(Config::default());
            }
        }
    }
    out
}

#[test]
fn scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let bless = std::env::var_os("MESETA_BLESS").is_some();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let out = replay(&text);
        if bless {
            std::fs::write(&file, &out).unwrap();
        } else {
            assert_eq!(text, out, "{}", file.display());
        }
        assert!(!out.contains("AUDIT"), "{}:\n{out}", file.display());
    }
}
