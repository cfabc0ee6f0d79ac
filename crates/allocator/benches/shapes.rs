//! The shapes of Mesos's own allocator benchmarks, one JSON object a row, on one core.
//!
//! `cargo bench -p meseta-allocator -- [--shape NAME] [--agents N] [--frameworks N] [--roles N]`;
//! `--grid` is every size, no argument is what there are figures of Mesos for. The shapes are those of
//! `meseta sim allocator` (`crates/sim/src/allocator`), compiled in so that this builds in seconds; here
//! `bytes` is what is on the heap by count, there it is memory as the system sees it.
#![allow(missing_docs, dead_code, unused_imports)]

#[path = "../../sim/src/allocator/mod.rs"]
mod allocator;

use std::alloc::System;

use allocator::{Row, Size};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn on_the_heap() -> u64 {
    let stats = HEAP.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated) as u64
}

fn print(row: &Row) {
    println!("{}", row.json());
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<usize>().ok());
    let Some(shape) = value("--shape") else {
        let grid = args.iter().any(|arg| arg == "--grid");
        let list = if grid {
            allocator::grid()
        } else {
            allocator::mesos_list()
        };
        for asked in list {
            allocator::measure(asked.shape, asked.size, on_the_heap, &mut print);
        }
        return;
    };
    let size = Size {
        agents: number("--agents").unwrap_or(1_000),
        frameworks: number("--frameworks").unwrap_or(50),
        roles: number("--roles").unwrap_or(1),
    };
    if !allocator::measure(shape, size, on_the_heap, &mut print) {
        eprintln!("no shape {shape}, or a size of zero");
    }
}
