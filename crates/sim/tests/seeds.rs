//! Two hundred seeds are well, say the same each time, and find every planted bug.

use meseta_sim::plants::PLANTS;
use meseta_sim::run;

/// As many as the release of a change must survive.
const SEEDS: u64 = 200;

fn command_line(words: &[&str]) -> i32 {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    meseta_sim::main(&words)
}

/// The command fails as well when a kind of fault never fired or a kind of event was never checked.
#[test]
fn all_seeds_are_well_and_every_kind_of_fault_fires() {
    let seeds = format!("0..{SEEDS}");
    assert_eq!(command_line(&["run", "--seeds", &seeds]), 0);
}

#[test]
fn a_seed_says_the_same_each_time() {
    for seed in [0, 7, 42, 123] {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        assert!(!first.trace.is_empty());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
    }
    assert_ne!(
        run(1, None, false).fingerprint,
        run(2, None, false).fingerprint
    );
}

#[test]
fn every_planted_bug_is_found() {
    assert!(PLANTS.len() >= 10, "{} plants", PLANTS.len());
    for plant in PLANTS {
        let found = (0..SEEDS).find(|&seed| !run(seed, Some(plant), false).violations.is_empty());
        assert!(
            found.is_some(),
            "no seed below {SEEDS} finds '{}'",
            plant.name
        );
    }
}

/// The seeds of `seeds.txt`, each with what it found.
#[test]
fn seeds_that_found_something_stay_well() {
    let list = include_str!("../seeds.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let (seed, why) = line.split_once(' ').unwrap_or((line, ""));
        let seed = seed.parse().unwrap_or_else(|_| panic!("no seed: {line}"));
        let violations = run(seed, None, false).violations;
        assert!(violations.is_empty(), "{why}: {violations:?}");
        count += 1;
    }
    assert!(count >= 10, "{count} seeds are not all");
}
