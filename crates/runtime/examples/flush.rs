//! Measures groups of durable writes: how many a second, over one file and over many.
//!
//! `cargo run --release -p meseta-runtime --example flush -- DIRECTORY`

use std::time::Instant;

use bytes::Bytes;
use meseta_model::step::{Seq, Write};
use meseta_runtime::{Files, Flusher, Request};

/// Bytes of one write; a checkpointed status update is about this long.
const RECORD: [u8; 200] = [7; 200];
const GROUPS: u64 = 50;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let dir = std::env::args()
        .nth(1)
        .ok_or("usage: flush DIRECTORY (it should be empty)")?;
    let mut flusher = Flusher::new(Files::open(dir)?);
    for group in [1, 10, 100] {
        measure(&mut flusher, "appends to one file", group, |_| {
            append("one".to_owned())
        })?;
        measure(&mut flusher, "appends to a file each", group, |nth| {
            append(format!("many/{nth}"))
        })?;
        measure(&mut flusher, "files replaced", group, |nth| {
            put(format!("put/{nth}"))
        })?;
    }
    Ok(())
}

fn append(path: String) -> Write {
    Write::Append {
        path,
        bytes: Bytes::from_static(&RECORD),
    }
}

fn put(path: String) -> Write {
    Write::Put {
        path,
        bytes: Bytes::from_static(&RECORD),
    }
}

fn measure(
    flusher: &mut Flusher<Files>,
    what: &str,
    group: u64,
    write: impl Fn(u64) -> Write,
) -> Result<(), Failure> {
    let start = Instant::now();
    for _ in 0..GROUPS {
        let requests: Vec<Request> = (0..group)
            .map(|nth| Request {
                seq: Seq(nth),
                writes: vec![write(nth)],
            })
            .collect();
        for (_, result) in flusher.flush(&requests) {
            result?;
        }
    }
    let took = start.elapsed();
    let rate = (GROUPS * group) as f64 / took.as_secs_f64();
    println!(
        "{group} {what} a flush: {:?} a flush, {rate:.0} writes a second",
        took / GROUPS as u32
    );
    Ok(())
}
