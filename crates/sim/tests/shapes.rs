//! The allocator's figures: every shape runs and offers what it should, and memory stays within its
//! bounds, by count of what is on the heap. Times are not asserted.

#![allow(clippy::expect_used)]

use std::alloc::System;
use std::sync::Mutex;

use meseta_sim::allocator::{Row, SHAPES, Size, grid, measure, mesos_list, mesos_ms};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: the heap that is counted is everybody's.
static ALONE: Mutex<()> = Mutex::new(());

fn on_the_heap() -> u64 {
    let stats = HEAP.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated) as u64
}

fn rows(shape: &str, agents: usize, frameworks: usize, roles: usize) -> Vec<Row> {
    let mut rows = Vec::with_capacity(16);
    let size = Size {
        agents,
        frameworks,
        roles,
    };
    let measured = measure(shape, size, on_the_heap, &mut |row| rows.push(row.clone()));
    assert!(measured, "{shape} is a shape");
    rows
}

/// What rows are about and how many offers they tell of.
fn offers(rows: &[Row]) -> Vec<(&str, usize)> {
    let each = rows.iter().map(|row| (row.shape.as_str(), row.offers));
    each.collect()
}

#[test]
fn every_shape_offers_what_it_should() {
    let _alone = ALONE.lock();
    let told = |shape, frameworks, roles| {
        let rows = rows(shape, 40, frameworks, roles);
        let told = offers(&rows)
            .into_iter()
            .map(|(row, offers)| format!("{row} {offers}"));
        told.collect::<Vec<_>>().join(", ")
    };
    let expected = [
        (
            told("add", 4, 1),
            "add/frameworks 0, add/agents 40, add/update 40",
        ),
        (
            told("decline", 4, 2),
            "decline/agents 40, decline/filters 160, decline/offering 40, decline/steady 0",
        ),
        (
            told("volumes", 4, 1),
            "volumes/agents 40, volumes/offering 40",
        ),
        (told("ports", 4, 1), "ports/agents 40, ports/offering 40"),
        (
            told("labels", 4, 1),
            "labels/agents 40, labels/filters 160, labels/offering 40, labels/steady 0",
        ),
        (told("offering", 4, 1), "offering/round 40"),
        (
            told("suppressed", 4, 1),
            "suppressed/agents 40, suppressed/offering 40",
        ),
        (told("backlog", 4, 1), "backlog/revives 40"),
        (told("single", 4, 1), "single/event_to_offer 1"),
        (told("memory", 4, 1), "memory/agents 0, memory/frameworks 0"),
        (
            told("limited", 20, 20),
            "limited/agents 0, limited/unlimited 0, limited/steady 0, limited/offering 20",
        ),
        (
            told("explain", 4, 1),
            "explain/free_one 40, explain/free_all 40, explain/refused_one 0, explain/refused_all 0",
        ),
    ];
    for (told, expected) in expected {
        assert_eq!(told, expected);
    }
}

/// 40 roles of 12 and 36 cpus out of 40 agents of 25: the smaller half is served from one agent each,
/// the larger from two. As promised, 80 agents of 24 go to 40 roles with two frameworks each.
#[test]
fn quotas_are_met_to_the_last_agent() {
    let _alone = ALONE.lock();
    for shape in ["quota", "quota_random"] {
        let rows = rows(shape, 40, 40, 40);
        let made = offers(&rows);
        let offering = made.iter().find(|(row, _)| row.ends_with("/offering"));
        assert!(
            offering.is_some_and(|(_, offers)| *offers >= 40),
            "{made:?}"
        );
        assert_eq!(made.last().map(|(_, offers)| *offers), Some(0), "{made:?}");
    }
    for shape in ["promised", "promised_random"] {
        let rows = rows(shape, 80, 80, 40);
        let made: Vec<usize> = rows.iter().map(|row| row.offers).collect();
        assert_eq!(made, [0, 80, 80, 0], "{shape}");
    }
}

#[test]
fn memory_stays_within_its_bounds() {
    let _alone = ALONE.lock();
    // A filter weighs what agents, frameworks and offers did not weigh before; alone on its agent too.
    let shapes = [
        ("memory", 600),
        ("decline", 1),
        ("decline", 2),
        ("decline", 3),
        ("decline", 5),
        ("decline", 50),
        ("labels", 1),
        ("labels", 50),
    ];
    for (shape, frameworks) in shapes {
        for row in rows(shape, 4_000, frameworks, 1) {
            let most = match row.shape.as_str() {
                "memory/agents" => 2_048,
                "memory/frameworks" => 1_024,
                "decline/filters" | "labels/filters" => 64,
                _ => continue,
            };
            let each = row.bytes / row.things().expect("a row about what one thing weighs") as u64;
            assert!(
                0 < each && each <= most,
                "{}: {each} bytes each of {frameworks} frameworks",
                row.shape
            );
        }
    }
}

#[test]
fn lists_name_shapes_that_exist() {
    let list: Vec<_> = mesos_list().into_iter().chain(grid()).collect();
    for (name, _) in SHAPES {
        let listed = list.iter().any(|asked| asked.shape == *name);
        assert!(listed, "{name} is in no list");
    }
    assert!(
        list.iter()
            .all(|asked| SHAPES.iter().any(|(name, _)| *name == asked.shape))
    );
    let size = Size {
        agents: 3_000,
        frameworks: 3_000,
        roles: 3_000,
    };
    assert_eq!(mesos_ms("quota/steady", size), Some(6_652.0));
    assert!(!measure("nothing", size, on_the_heap, &mut |_| ()));
    assert!(!measure(
        "add",
        Size { roles: 0, ..size },
        on_the_heap,
        &mut |_| ()
    ));
}
