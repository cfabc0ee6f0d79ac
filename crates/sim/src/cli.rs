//! `meseta sim …`: runs seeds and says what came of them.

use std::ops::Range;

use crate::limits::{LAST_LINES, SEEDS_FOR_ALL_KINDS};
use crate::plants::{self, PLANTS, PlantedBug};
use crate::run::{Outcome, run};
use crate::tally::Tally;

const USAGE: &str = "\
usage: meseta sim run --seeds A..B [--trace] [--plant NAME]
       meseta sim run --seeds A [--trace] [--plant NAME]
       meseta sim plants

Runs a whole simulated cluster per seed: faults first, then none, watched by invariants.
  --seeds A..B   from A to B-1, or one seed
  --trace        print every line of what happened
  --plant NAME   plant a known bug, and stop at the first seed that finds it
Exit codes: 0 all is well (or the planted bug was found), 1 it is not, 2 the command line is wrong.";

/// What was asked for.
#[derive(Debug)]
struct Wanted {
    seeds: Range<u64>,
    trace: bool,
    plant: Option<&'static PlantedBug>,
}

/// `meseta sim`, with the arguments after `sim`. Prints to standard output and error; gives the exit
/// code.
#[must_use]
pub fn main(arguments: &[String]) -> i32 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", options @ ..] => match read(options) {
            Ok(wanted) => run_seeds(&wanted),
            Err(wrong) => {
                eprintln!("meseta sim: {wrong}\n{USAGE}");
                2
            }
        },
        ["plants"] => {
            for plant in PLANTS {
                println!("{:<24} {}", plant.name, plant.what);
            }
            0
        }
        ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            0
        }
        _ => {
            eprintln!("{USAGE}");
            2
        }
    }
}

fn read(options: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        seeds: 0..SEEDS_FOR_ALL_KINDS,
        trace: false,
        plant: None,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (*option, None),
        };
        let mut value = || {
            let given = value.or_else(|| options.next().copied());
            given.ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--seeds" => wanted.seeds = read_seeds(value()?)?,
            "--trace" => wanted.trace = true,
            "--plant" => {
                let name = value()?;
                let found = plants::find(name);
                wanted.plant = Some(found.ok_or_else(|| {
                    format!("there is no planted bug '{name}'; see `meseta sim plants`")
                })?);
            }
            _ => return Err(format!("unknown option '{option}'")),
        }
    }
    Ok(wanted)
}

fn read_seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        let read = text.parse::<u64>();
        read.map_err(|_| format!("'{text}' is no seed: a number, or A..B"))
    };
    match text.split_once("..") {
        Some((first, end)) => {
            let range = number(first)?..number(end)?;
            if range.is_empty() {
                return Err(format!("'{text}' has no seeds in it"));
            }
            Ok(range)
        }
        None => number(text).map(|seed| seed..seed.saturating_add(1)),
    }
}

fn run_seeds(wanted: &Wanted) -> i32 {
    let mut all = Tally::default();
    let mut failed = Vec::new();
    for seed in wanted.seeds.clone() {
        let outcome = run(seed, wanted.plant, wanted.trace);
        all.add(&outcome.tally);
        for line in &outcome.trace {
            println!("{line}");
        }
        if outcome.violations.is_empty() {
            continue;
        }
        report(&outcome, wanted);
        failed.push(seed);
        if wanted.plant.is_some() {
            break;
        }
    }
    print!("{all}");
    summary(wanted, &failed, &all)
}

fn report(outcome: &Outcome, wanted: &Wanted) {
    let seed = outcome.seed;
    println!(
        "seed {seed} FAILED after {} virtual seconds",
        outcome.lasted_us / 1_000_000
    );
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    if !wanted.trace {
        let again = run(seed, wanted.plant, true);
        let from = again.trace.len().saturating_sub(LAST_LINES);
        for line in again.trace.get(from..).unwrap_or_default() {
            println!("    {line}");
        }
    }
    println!("  replay: {}", replay(seed, wanted.plant));
}

/// The command that runs one seed again, with everything that happens.
fn replay(seed: u64, plant: Option<&PlantedBug>) -> String {
    let plant = plant.map_or_else(String::new, |plant| format!(" --plant {}", plant.name));
    format!("meseta sim run --seeds {seed}..{} --trace{plant}", seed + 1)
}

fn summary(wanted: &Wanted, failed: &[u64], all: &Tally) -> i32 {
    let Range { start, end } = wanted.seeds;
    if let Some(plant) = wanted.plant {
        return match failed {
            [seed] => {
                println!("the planted bug '{}' was found by seed {seed}", plant.name);
                0
            }
            _ => {
                println!(
                    "the planted bug '{}' was NOT found in seeds {start}..{end}",
                    plant.name
                );
                1
            }
        };
    }
    let mut code = 0;
    let never = all.never();
    if end - start >= SEEDS_FOR_ALL_KINDS && !never.is_empty() {
        println!("never in {} seeds: {}", end - start, never.join(", "));
        code = 1;
    }
    if failed.is_empty() {
        println!("seeds {start}..{end}: all is well");
    } else {
        println!("seeds {start}..{end}: {} failed: {failed:?}", failed.len());
        code = 1;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::{plants, replay};

    #[test]
    fn a_seed_is_replayed_with_its_trace_and_its_planted_bug() {
        assert_eq!(replay(7, None), "meseta sim run --seeds 7..8 --trace");
        let plant = plants::find("double_launch");
        let command = "meseta sim run --seeds 7..8 --trace --plant double_launch";
        assert_eq!(replay(7, plant), command);
    }
}
