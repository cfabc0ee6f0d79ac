//! What a finished task leaves in the core: the history, which is bounded, and the ids by which its
//! directories are collected. And what acknowledged updates leave: their uuids.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use meseta_agent::event::Effect;
use meseta_model::step::Effect as Wish;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::script::Script;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// There is one heap: whoever measures it is alone.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a command task to its acknowledged end; the disk, which is the test's own, is emptied.
fn finish(script: &mut Script, n: usize) {
    let line = |script: &mut Script, text: String| script.run_watched(&text, &mut |_, _| {});
    let wishes = line(script, format!("run-task f t{n}"));
    let launched = wishes.iter().find_map(|wish| match wish {
        Wish::Do {
            effect: Effect::LaunchContainer(spec),
            ..
        } => Some(spec.container_id.value().to_owned()),
        _ => None,
    });
    let run = launched.expect("a launch");
    line(script, format!("container launched {run}"));
    line(script, format!("subscribe f t{n}"));
    line(script, format!("update f t{n} t{n} TASK_RUNNING {}", 2 * n));
    script.run(&format!("ack f t{n} {}", 2 * n));
    line(
        script,
        format!("update f t{n} t{n} TASK_FINISHED {}", 2 * n + 1),
    );
    script.run(&format!("ack f t{n} {}", 2 * n + 1));
    line(script, format!("container terminated {run} status=0"));
    script.world.meta.clear();
    script.world.written = Vec::new();
}

#[test]
fn a_finished_task_leaves_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut script = Script::default();
    for line in [
        "start",
        "detect",
        "advance 2secs",
        "registered",
        "framework f checkpoint",
        // Something that stays, so that the framework does.
        "run-task f stays executor=e",
    ] {
        script.run_watched(line, &mut |_, _| {});
    }
    script.world.meta.clear();
    let kept_by = |script: &mut Script, from: usize, to: usize| {
        let region = Region::new(HEAP);
        (from..to).for_each(|n| finish(script, n));
        let change = region.change();
        change.bytes_allocated as isize - change.bytes_deallocated as isize
    };
    // The history is full after 150 runs.
    let first = kept_by(&mut script, 0, 500);
    assert!(first < 3 << 20, "{first} bytes after 500 tasks");
    let each = kept_by(&mut script, 500, 1_500) / 1_000;
    assert!(each < 1_000, "each further task leaves {each} bytes");
}

#[test]
fn acknowledged_updates_of_a_live_task_leave_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut script = Script::default();
    for line in [
        "start",
        "detect",
        "advance 2secs",
        "registered",
        "framework f checkpoint",
        "run-task f t executor=e",
        "container launched c1",
        "subscribe f e",
    ] {
        script.run(line);
    }
    let speak = |script: &mut Script, from: usize, to: usize| {
        let region = Region::new(HEAP);
        for n in from..to {
            script.run(&format!("update f e t TASK_RUNNING {n} data=5000"));
            script.run(&format!("ack f t {n}"));
        }
        script.world.meta.clear();
        script.world.written = Vec::new();
        let change = region.change();
        change.bytes_allocated as isize - change.bytes_deallocated as isize
    };
    speak(&mut script, 0, 10);
    let left = speak(&mut script, 10, 510) / 500;
    assert!(left < 400, "each update leaves {left} bytes");
}
