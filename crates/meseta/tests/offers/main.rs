//! Who is offered what, and in which order: scripted frameworks, and what a genuine master offered them.
//!
//! Each file in `golden/offers` is a scenario. A line that begins with `> ` is something that happens; the
//! lines below it are the offers that Mesos 1.11 made upon it: framework, role, agent, resources. What
//! happens next happens only once offers have settled ([`wire`] says how that is known), so scenarios say
//! nothing of time. Mesos goes through agents in random order, so where order matters a scenario has
//! them come one at a time; and of one round it is not defined which framework hears first, so the lines
//! of one step are sorted.
//!
//! Things that happen, with `[what may be left out]`:
//!
//! - `master flag=value…`: what the master is started with; first, if at all.
//! - `agent A resources [attributes=text]`: an agent comes. `lose A`: its process dies.
//! - `framework F role… [suppressed=r,r] [can=CAPABILITY,…] [min=r/quantities|quantities]
//!   [match=r/rule,rule|rule]`: a framework subscribes; `update F …`: it changes into that.
//! - `launch F A resources T refuse=seconds [role=r]`: it accepts what it was offered on an agent, and has a
//!   task `T` run there. `kill F T`: it ends that.
//! - `reserve F A resources for=r refuse=seconds [role=r]`: it accepts, and reserves some of it.
//! - `create F A volume refuse=seconds [role=r]`: it accepts, and makes a volume of reserved disk.
//! - `decline F A|all refuse=seconds [role=r]`, `suppress F [r…]`, `revive F [r…]`, `teardown F`.
//! - `disconnect F`: its connection breaks, and it has an hour to come back; `reconnect F`: it does.
//! - `await F`: time passes until it is offered something.
//! - `quota r [guarantee=quantities] [limit=quantities]`; `lend A resources`: what is oversubscribed of it.
//!
//! Where ours are to differ, they follow with a `!` before them, alone if there are none, and the reason is
//! at the top; steps after that would compare nothing.
//!
//! `MESETA_RECORD_OFFERS=1` writes the answers anew. It needs a genuine master (`tests/clients/README.md`),
//! which it starts for every scenario with the scenario's flags. Answers of ours are never written.
//! `MESETA_OFFERS=text` plays only scenarios with this in their names.

#![allow(clippy::expect_used)]

mod bare;
mod call;
mod framework;
mod masters;
mod wire;

#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;

#[path = "../../../allocator/tests/words/mod.rs"]
mod words;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bare::Bare;
use call::Call;
use masters::{Mesos, ours};
use wire::Wire;

/// Scenarios at once: they mostly wait.
const AT_ONCE: usize = 6;

/// Before an answer of ours that is to differ from Mesos's; alone where we are to offer nothing.
const OURS: char = '!';

/// What scenarios are played on.
trait Stage {
    /// Does what a step says, and gives the offers that came of it.
    fn play(&mut self, call: &Call) -> Vec<String>;
}

fn scenarios() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/offers");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let only = std::env::var("MESETA_OFFERS").unwrap_or_default();
    files.retain(|file| file.display().to_string().contains(&only));
    assert!(!files.is_empty());
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("readable");
        (file, text)
    };
    files.into_iter().map(read).collect()
}

/// The flags a scenario's master is started with.
fn flags(text: &str) -> Vec<(String, String)> {
    let calls = text.lines().filter_map(|line| line.strip_prefix("> "));
    let first = Call::parse(calls.clone().next().expect("a step"));
    let options = first.options().filter(|_| first.verb == "master");
    options
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The scenario with the answers it gets on this stage.
fn replay(text: &str, stage: &mut impl Stage) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let Some(call) = line.strip_prefix("> ") else {
            if line.starts_with('#') || line.is_empty() {
                out += &format!("{line}\n");
            }
            continue;
        };
        out += &format!("{line}\n");
        let call = Call::parse(call);
        if call.verb != "master" {
            for answer in stage.play(&call) {
                out += &format!("{answer}\n");
            }
        }
    }
    out
}

/// What was recorded, with the answers of ours that the scenario had.
fn with_answers_of_ours(recorded: &str, text: &str) -> String {
    let ours = |step: &str| -> String {
        let lines = step.lines().filter(|line| line.starts_with(OURS));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let steps = recorded
        .split_inclusive("\n> ")
        .zip(text.split_inclusive("\n> "));
    let merged = steps.map(|(recorded, step)| match recorded.strip_suffix("> ") {
        Some(recorded) => format!("{recorded}{}> ", ours(step)),
        None => format!("{recorded}{}", ours(step)),
    });
    merged.collect()
}

/// Runs `play` on every scenario, some at once, and names those that did not get what was recorded.
fn each(scenarios: &[(PathBuf, String)], play: impl Fn(&Path, &str) -> String + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut wrong = Vec::new();
        while let Some((file, text)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let name = file.file_name().unwrap_or_default().display();
            let expected = without_mesos_answers(text);
            match catch_unwind(AssertUnwindSafe(|| play(file, text))) {
                Ok(got) if got == expected => {}
                Ok(got) => wrong.push(format!("\n{name}\n{}", difference(&expected, &got))),
                Err(_) => wrong.push(format!("\n{name}: a step failed\n")),
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let results = workers.into_iter().map(|worker| worker.join());
        results
            .flat_map(|result| result.expect("workers do not fail"))
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

/// The first step with another answer, and both.
fn difference(expected: &str, got: &str) -> String {
    let mut pairs = expected.split("\n> ").zip(got.split("\n> "));
    let (expected, got) = pairs
        .find(|(expected, got)| expected != got)
        .unwrap_or_default();
    format!("--- expected:\n> {expected}\n--- got:\n> {got}\n")
}

/// The scenario as it is expected of us: where answers of ours are given, without Mesos's.
fn without_mesos_answers(text: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut answers = 0;
    for line in text.lines() {
        let is_answer = !line.is_empty() && !line.starts_with(['>', '#']);
        if let Some(ours) = line.strip_prefix(OURS) {
            out.truncate(out.len() - std::mem::take(&mut answers));
            out.extend(Some(ours.trim_start()).filter(|ours| !ours.is_empty()));
        } else {
            out.push(line);
            answers = if is_answer { answers + 1 } else { 0 };
        }
    }
    out.iter().map(|line| format!("{line}\n")).collect()
}

/// Whether the scenario needs what a master of ours does not take from operators yet.
fn is_for_the_allocator_alone(text: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| line.starts_with("> quota ") || line.starts_with("> lend "))
}

#[test]
fn a_master_offers_as_mesos_does() {
    let scenarios: Vec<_> = scenarios()
        .into_iter()
        .filter(|(_, text)| !is_for_the_allocator_alone(text))
        .collect();
    each(&scenarios, |_, text| {
        let (master, _scratch) = ours(&flags(text));
        replay(text, &mut Wire::new(&master.address))
    });
}

#[test]
fn the_allocator_keeps_quota_as_mesos_does() {
    let scenarios: Vec<_> = scenarios()
        .into_iter()
        .filter(|(_, text)| is_for_the_allocator_alone(text))
        .collect();
    each(&scenarios, |_, text| replay(text, &mut Bare::new()));
}

#[test]
fn record_what_a_genuine_master_offers() {
    if std::env::var_os("MESETA_RECORD_OFFERS").is_none() {
        return;
    }
    each(&scenarios(), |file, text| {
        let mesos = Mesos::start(&flags(text)).expect("a genuine master (scripts/test)");
        let out = replay(text, &mut Wire::new(&mesos.address));
        fs::write(file, with_answers_of_ours(&out, text)).expect("writable");
        without_mesos_answers(text)
    });
}
