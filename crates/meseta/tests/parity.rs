//! docs/parity.md is printed from docs/parity.tsv, and what the table claims is looked up in the tree:
//! a feature works when a test shows it.
//!
//! `MESETA_BLESS=1 cargo test -p meseta --test parity` prints the page anew.

#![allow(clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What "later" may name: the parts of Meseta that are still to come.
const LATER: &[&str] = &[
    "attach and exec",
    "Docker",
    "draining",
    "extensions",
    "fetching",
    "health checks",
    "images and volumes",
    "isolation",
    "networks",
    "pods",
    "quota and weights",
    "reservations and volumes",
    "security",
    "several masters",
    "the whole API",
    "tools and web page",
];

const INTRODUCTION: &str = "\
# What of Apache Mesos works

One row for each feature of Mesos 1.11 and 1.12 that no cluster works without (core) or that many users
depend on (common), with a verdict:

* **works**: the named test shows it (`room::test`, in `crates/room`; a name may also be that of a script
  in `tests/scripts`, which is a test too).
* **partly**: what lacks is said.
* **later**: the part of Meseta that it comes with is named. Until then what asks for it is refused by
  name, unless nothing but speed depends on it.

This page is printed from parity.tsv; the test `parity` compares the two and looks the tests up.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Row {
    section: String,
    feature: String,
    need: String,
    verdict: String,
    note: String,
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/parity.tsv")).expect("docs/parity.tsv");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("section\tfeature\tneed\tverdict\tnote"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [section, feature, need, verdict, note] = cells.as_slice() else {
                panic!("not five cells: {line}");
            };
            Row {
                section: (*section).to_owned(),
                feature: (*feature).to_owned(),
                need: (*need).to_owned(),
                verdict: (*verdict).to_owned(),
                note: (*note).to_owned(),
            }
        })
        .collect()
}

/// Every test of the tree as `room::name`.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join("crates")).expect("crates/") {
        let room = entry.expect("readable").path();
        let name = room
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        collect(&room, &name, &mut found);
    }
    found
}

fn collect(folder: &Path, room: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            collect(&path, room, found);
        } else if extension == Some("rs") {
            let text = fs::read_to_string(&path).expect("readable");
            found.extend(functions(&text).map(|name| format!("{room}::{name}")));
        } else if extension == Some("txt") && folder.ends_with("tests/scripts") {
            let stem = path.file_stem().expect("named").to_string_lossy();
            found.insert(format!("{room}::{stem}"));
        }
    }
}

/// The names of the functions that a `#[test]` or `#[tokio::test]` stands above.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        }
        let (_, rest) = line.split_once("fn ")?;
        let name = rest.split('(').next()?;
        std::mem::take(&mut marked).then_some(name)
    })
}

#[test]
fn verdicts_are_shown_or_explained() {
    let (tests, mut faults) = (tests(), Vec::new());
    assert!(tests.len() > 300, "only {} tests were found", tests.len());
    for row in table() {
        let place = format!("{} / {}", row.section, row.feature);
        match row.verdict.as_str() {
            "works" => {
                if row.note.is_empty() {
                    faults.push(format!("{place} works, but no test is named"));
                }
                for name in row.note.split_whitespace() {
                    if !tests.contains(name) {
                        faults.push(format!("{place}: there is no test {name}"));
                    }
                }
            }
            "partly" if row.note.is_empty() => faults.push(format!("{place}: what lacks?")),
            "partly" => {}
            "later" if !LATER.contains(&row.note.as_str()) => {
                faults.push(format!("{place}: '{}' is no part to come", row.note));
            }
            "later" => {}
            other => faults.push(format!("{place}: '{other}' is no verdict")),
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_row_stands_once() {
    let mut seen = BTreeSet::new();
    for row in table() {
        let need = row.need.as_str();
        assert!(matches!(need, "core" | "common"), "{}: {need}", row.feature);
        assert!(
            seen.insert((row.section.clone(), row.feature.clone())),
            "{}: {} twice",
            row.section,
            row.feature
        );
    }
    // Those that the reference list of features has.
    assert_eq!(seen.len(), 329);
}

fn page(table: &[Row]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| | works | partly | later |\n| --- | ---: | ---: | ---: |\n");
    for need in ["core", "common"] {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in table.iter().filter(|row| row.need == need) {
            *counts.entry(&row.verdict).or_default() += 1;
        }
        let count = |verdict| counts.get(verdict).copied().unwrap_or_default();
        writeln!(
            page,
            "| {need} | {} | {} | {} |",
            count("works"),
            count("partly"),
            count("later")
        )
        .expect("a string");
    }
    let mut section = "";
    for row in table {
        if row.section != section {
            section = &row.section;
            write!(
                page,
                "\n## {section}\n\n| Feature | Need | Verdict | |\n| --- | --- | --- | --- |\n"
            )
            .expect("a string");
        }
        let note = match row.verdict.as_str() {
            "works" => row
                .note
                .split_whitespace()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", "),
            "later" => format!("with {}", row.note),
            _ => row.note.clone(),
        };
        writeln!(
            page,
            "| {} | {} | {} | {note} |",
            row.feature, row.need, row.verdict
        )
        .expect("a string");
    }
    page
}

#[test]
fn the_page_says_what_the_table_says() {
    let (path, printed) = (root().join("docs/parity.md"), page(&table()));
    if std::env::var_os("MESETA_BLESS").is_some() {
        fs::write(&path, printed).expect("docs/parity.md");
        return;
    }
    let page = fs::read_to_string(&path).expect("docs/parity.md");
    assert!(
        page == printed,
        "docs/parity.md is not what parity.tsv says: run this with MESETA_BLESS=1"
    );
}
