//! The rules of the house, as a test: edges between rooms, calls that cores must not make, sizes,
//! names, leftovers. What is counted here is counted on the text of the tree.

#![allow(clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file without its tests.
const FILE_LINES: usize = 600;
/// Lines of a function, its signature included.
const FUNCTION_LINES: usize = 70;

/// Rooms and the rooms they may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("model", &["proto"]),
    ("allocator", &["model"]),
    ("master", &["proto", "model", "allocator"]),
    ("agent", &["proto", "model"]),
    ("executor", &["proto", "model"]),
    ("consensus", &[]),
    ("runtime", &["model"]),
    ("container", &["proto", "model"]),
    ("client", &["proto", "model"]),
    ("api", &["proto", "model", "master", "agent"]),
    (
        "node",
        &[
            "proto",
            "model",
            "allocator",
            "master",
            "agent",
            "executor",
            "consensus",
            "runtime",
            "container",
            "client",
            "api",
        ],
    ),
    (
        "sim",
        &[
            "proto",
            "model",
            "allocator",
            "master",
            "agent",
            "executor",
            "runtime",
            "consensus",
        ],
    ),
];

/// The decision rooms: no clock, no randomness of the system, no files, sockets or threads, no order
/// that depends on a hash.
const CORES: &[&str] = &["proto", "model", "allocator", "master", "agent", "executor"];

/// What cores must not say, what to use instead, and why.
const BANNED_IN_CORES: &[(&str, &str)] = &[
    ("std::fs", "an effect (Persist, RemoveDirectory)"),
    ("std::net::Tcp", "an effect (Send, Link)"),
    ("std::thread", "nothing: a core is driven"),
    ("tokio", "nothing: a core is driven"),
    ("Instant::now", "the `now` of the step"),
    ("SystemTime::now", "the `now` of the step"),
    (
        "HashMap",
        "BTreeMap or IndexMap: its order is the same in every run",
    ),
    (
        "HashSet",
        "BTreeSet or IndexSet: its order is the same in every run",
    ),
    ("thread_rng", "model::rng::Rng, seeded by an event"),
    ("getrandom", "model::rng::Rng, seeded by an event"),
];

/// Leftovers that no line outside this file may have.
const LEFTOVERS: &[&str] = &[
    "todo!(",
    "unimplemented!(",
    "#[ignore",
    "TODO",
    "FIXME",
    "XXX",
    "dbg!(",
];

/// Words that say nothing about what a thing is for.
const EMPTY_NAMES: &[&str] = &["manager", "helper", "util", "common", "misc"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the tree is there")
}

fn rust_files(below: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(below) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files);
    assert!(files.len() > 50, "found only {} files", files.len());
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .expect("below the root")
                .display()
                .to_string();
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

/// Whether a file is there for tests only.
fn is_test(name: &str) -> bool {
    name.contains("/tests/")
        || name.ends_with("/tests.rs")
        || name.contains("/benches/")
        || name.ends_with("_tests.rs")
}

/// The lines before the first module in the file that is there for tests only. One that is in a file of
/// its own ends nothing.
fn without_tests(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let opens_module = |marked: &str| marked.contains("mod ") && marked.ends_with('{');
    let end = (0..lines.len()).find(|&at| {
        let mut marked = lines[at + 1..]
            .iter()
            .skip_while(|line| line.starts_with("#["));
        lines[at] == "#[cfg(test)]" && marked.next().is_some_and(|line| opens_module(line))
    });
    lines.into_iter().take(end.unwrap_or(usize::MAX))
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn arrows_only_go_down() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = EDGES
        .iter()
        .map(|(room, below)| (*room, below.iter().copied().collect()))
        .collect();
    let mut faults = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("crates/") {
        let path = entry.expect("readable").path();
        let room = path
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        if room == "meseta" {
            continue;
        }
        let Some(below) = allowed.get(room.as_str()) else {
            faults.push(format!(
                "crates/{room} has no line in EDGES and in ARCHITECTURE.md"
            ));
            continue;
        };
        let manifest = fs::read_to_string(path.join("Cargo.toml")).expect("a crate has a manifest");
        let dependencies = manifest
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        for line in dependencies.lines() {
            let Some(name) = line.strip_prefix("meseta-") else {
                continue;
            };
            let name = name.split(['.', ' ', '=']).next().unwrap_or_default();
            if !below.contains(name) {
                faults.push(format!("{room} must not depend on {name}"));
            }
        }
    }
    none(faults);
}

#[test]
fn cores_do_nothing_themselves() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        let core = CORES
            .iter()
            .any(|core| name.starts_with(&format!("crates/{core}/src/")));
        if !core || is_test(&name) {
            continue;
        }
        for (number, line) in without_tests(&text).enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (word, instead) in BANNED_IN_CORES {
                if line.contains(word) {
                    faults.push(format!("{name}:{}: {word}; use {instead}", number + 1));
                }
            }
        }
    }
    none(faults);
}

#[test]
fn only_container_is_unsafe() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        if name.starts_with("crates/container/") || name.ends_with("tests/tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {")
                || code.contains("unsafe fn")
                || code.contains("unsafe impl")
            {
                faults.push(format!("{name}:{}: unsafe", number + 1));
            }
        }
    }
    none(faults);
}

#[test]
fn files_fit_in_a_head() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        let lines = without_tests(&text).count();
        if !is_test(&name) && lines > FILE_LINES {
            faults.push(format!("{name}: {lines} lines, more than {FILE_LINES}"));
        }
    }
    none(faults);
}

/// Whether a line begins a function, whatever stands before the `fn`.
fn begins_function(line: &str) -> bool {
    let mut words = line.split(' ').skip_while(|word| {
        matches!(*word, "pub" | "async" | "const" | "unsafe") || word.starts_with("pub(")
    });
    words.next() == Some("fn")
}

/// The functions of a formatted file: (first line, length), by indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        if !begins_function(body) || body.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        if let Some(end) = lines[start..].iter().position(|line| *line == closing) {
            found.push((start + 1, end + 1));
        }
    }
    found
}

#[test]
fn functions_fit_on_a_screen() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        if is_test(&name) {
            continue;
        }
        let text: Vec<&str> = without_tests(&text).collect();
        for (line, length) in functions(&text.join("\n")) {
            if length > FUNCTION_LINES {
                faults.push(format!(
                    "{name}:{line}: {length} lines, more than {FUNCTION_LINES}"
                ));
            }
        }
    }
    none(faults);
}

#[test]
fn nothing_is_left_over() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        if name.ends_with("tests/tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(*word)) {
                faults.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    none(faults);
}

#[test]
fn names_say_what_things_are_for() {
    let mut faults = Vec::new();
    for (name, _) in sources() {
        let parts = name.trim_end_matches(".rs").split(['/', '_', '-']);
        if let Some(part) = parts.into_iter().find(|part| EMPTY_NAMES.contains(part)) {
            faults.push(format!("{name}: '{part}' says nothing"));
        }
    }
    none(faults);
}

#[test]
fn every_crate_introduces_itself() {
    let mut faults = Vec::new();
    for (name, text) in sources() {
        let is_root = name.ends_with("/src/lib.rs") || name.ends_with("/src/main.rs");
        if is_root && name.matches('/').count() == 3 {
            let header = text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .count();
            if header < 6 {
                faults.push(format!("{name}: a header of {header} lines does not say what it is, what it never does, where to start and what holds"));
            }
        }
    }
    none(faults);
}

/// The names of others' crates in all sections of dependencies of a manifest.
fn dependencies_in(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once(['.', ' '])) {
            names.insert(name.to_owned());
        }
    }
    names.retain(|name| !name.starts_with("meseta-") && name != "#");
    names
}

#[test]
fn every_dependency_has_a_line() {
    let read = |path: PathBuf| fs::read_to_string(path).expect("readable");
    let root = root();
    let named = dependencies_in(&read(root.join("Cargo.toml")));
    let ledger = read(root.join("docs/dependencies.md"));
    let lines: BTreeSet<String> = ledger
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut used = BTreeSet::new();
    for room in fs::read_dir(root.join("crates")).expect("crates/") {
        let manifest = read(room.expect("readable").path().join("Cargo.toml"));
        used.append(&mut dependencies_in(&manifest));
    }
    assert!(named.contains("tokio"), "{named:?}");
    let page = "docs/dependencies.md";
    let without = named.difference(&lines);
    let stale = lines.difference(&named);
    let idle = named.difference(&used);
    let loose = used.difference(&named);
    let faults = without
        .map(|name| format!("{name} has no line in {page}"))
        .chain(stale.map(|name| format!("{page}: {name} is no dependency any more")))
        .chain(idle.map(|name| format!("Cargo.toml: no room uses {name}")))
        .chain(loose.map(|name| format!("{name} is not in [workspace.dependencies]")));
    none(faults.collect());
}
