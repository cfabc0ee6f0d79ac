//! The loads themselves, small: what they count must come out even. How fast it went is not asserted.

use std::process::Command;

use serde_json::Value;

use crate::support::{Cluster, MESETA, report};

fn json(arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(MESETA).args(arguments).output();
    let output = output.expect("the binary starts");
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: '{line}'")))
        .collect()
}

/// Twenty agents and five frameworks over real sockets, for a second: every task finishes once, every
/// offer is answered, and in the end master and agents hold nothing.
#[test]
fn a_cluster_under_load_loses_nothing() {
    let size = ["--agents=20", "--frameworks=5", "--rate=100", "--seconds=1"];
    let arguments: Vec<&str> = ["sim", "cluster"].into_iter().chain(size).collect();
    let reports = json(&arguments);
    let [report] = reports.as_slice() else {
        panic!("one report: {reports:?}");
    };
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{report}"));
    assert!(count("launched") > 0, "{report}");
    assert_eq!(
        report["ends"]["TASK_FINISHED"], report["launched"],
        "{report}"
    );
    assert_eq!(report["offers"], report["offers_answered"], "{report}");
    assert_eq!((count("doubled"), count("failed")), (0, 0), "{report}");
    let remains = report["remains"].as_object().expect("an object");
    assert!(
        remains.len() == 6 && remains.values().all(|count| count == 0),
        "{report}"
    );
}

#[test]
fn an_agent_goes_from_framework_to_framework() {
    let cluster = Cluster::start(&[], &[]);
    let handed = cluster.run(&["sim", "handover", "--count=10", "--task-ms=1"]);
    let text = String::from_utf8_lossy(&handed.stdout);
    let report: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {handed:?}"));
    assert_eq!(report["handovers"], 10);
}

#[test]
fn tasks_run_one_at_a_time_if_asked() {
    let cluster = Cluster::start(&[], &[]);
    let arguments = [
        "--tasks=5",
        "--executor=custom",
        "--at-once=1",
        "--task-ms=20",
        "--vary",
    ];
    let (well, report) = report(cluster.load(&arguments));
    assert!(well && report["finished"] == 5, "{report}");
}

#[test]
fn the_allocator_prints_an_object_a_row() {
    let size = ["--agents=40", "--frameworks=3", "--roles=3", "--json"];
    let arguments: Vec<&str> = ["sim", "allocator", "--shape=decline"]
        .into_iter()
        .chain(size)
        .collect();
    let rows = json(&arguments);
    let told = rows
        .iter()
        .map(|row| format!("{} {}", row["shape"], row["offers"]));
    let told = told.collect::<Vec<_>>().join(", ");
    let expected =
        r#""decline/agents" 40, "decline/filters" 120, "decline/offering" 40, "decline/steady" 0"#;
    assert_eq!(told, expected);
    for field in [
        "shape",
        "agents",
        "frameworks",
        "roles",
        "p50_ms",
        "p99_ms",
        "offers",
        "bytes",
    ] {
        assert!(
            rows.iter().all(|row| !row[field].is_null()),
            "{field}: {rows:?}"
        );
    }
}
