//! Measures the durable engine: how soon it leads, how long a commit takes, what it costs while idle.
//!
//! `cargo run --release -p meseta-consensus --example commit -- DIRECTORY`

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meseta_consensus::raft::{self, Config};
use meseta_consensus::{Coordinator, Event, Events};

/// Bytes of one op; a registry op is about this long.
const OP: [u8; 200] = [7; 200];
const COMMITS: u64 = 5_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let dir = std::env::args()
        .nth(1)
        .ok_or("usage: commit DIRECTORY (it should be empty)")?;
    let config = Config::new(PathBuf::from(dir));
    let start = Instant::now();
    let (coordinator, mut events) = lead(&config)?;
    println!("first start to lead: {:?}", start.elapsed());
    memory("with an empty log")?;
    let mut seq = one_by_one(&*coordinator, &mut events)?;
    for under_way in [8, 64, 512] {
        seq = pipelined(&*coordinator, &mut events, seq, under_way)?;
    }
    coordinator.close();
    println!(
        "log: {} ops, file of {} kB",
        seq,
        fs::metadata(config.dir.join(raft::FILE_NAME))?.len() >> 10
    );
    let start = Instant::now();
    let (coordinator, mut events) = lead(&config)?;
    println!("start on that log to lead: {:?}", start.elapsed());
    coordinator.snapshot(seq, Bytes::from(vec![7; 1 << 20]))?;
    next(&mut events)?;
    coordinator.close();
    let start = Instant::now();
    let (_coordinator, _events) = lead(&config)?;
    println!("start on a snapshot of 1 MB to lead: {:?}", start.elapsed());
    idle()
}

fn next(events: &mut Events) -> Result<Event, Failure> {
    Ok(events.blocking_recv().ok_or("the engine stopped")?)
}

fn lead(config: &Config) -> Result<(Box<dyn Coordinator>, Events), Failure> {
    let (coordinator, mut events) = raft::open(config)?;
    coordinator.campaign()?;
    match next(&mut events)? {
        Event::Led { .. } => Ok((coordinator, events)),
        other => Err(format!("{other:?}").into()),
    }
}

fn one_by_one(coordinator: &dyn Coordinator, events: &mut Events) -> Result<u64, Failure> {
    let mut times = Vec::new();
    for seq in 1..=COMMITS {
        let start = Instant::now();
        coordinator.propose(seq, Bytes::from_static(&OP))?;
        next(events)?;
        times.push(start.elapsed());
    }
    times.sort();
    let at = |part: usize| times[times.len() * part / 1_000];
    println!(
        "one at a time: p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(500),
        at(990),
        at(999)
    );
    Ok(COMMITS)
}

fn pipelined(
    coordinator: &dyn Coordinator,
    events: &mut Events,
    before: u64,
    under_way: u64,
) -> Result<u64, Failure> {
    let start = Instant::now();
    let last = before + COMMITS;
    let mut proposed = before;
    for seq in before + 1..=last {
        while proposed < last.min(seq + under_way - 1) {
            proposed += 1;
            coordinator.propose(proposed, Bytes::from_static(&OP))?;
        }
        next(events)?;
    }
    let rate = COMMITS as f64 / start.elapsed().as_secs_f64();
    println!("{under_way} under way: {rate:.0} commits a second");
    Ok(last)
}

/// How much processor time it takes to do nothing, and what the process uses.
fn idle() -> Result<(), Failure> {
    let ticks = || -> Result<u64, Failure> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    };
    let before = ticks()?;
    std::thread::sleep(Duration::from_secs(5));
    println!(
        "idle for 5 s: {} ms of processor time",
        (ticks()? - before) * 10
    );
    memory("at the end")
}

fn memory(when: &str) -> Result<(), Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or("");
        line.split_whitespace().nth(1).unwrap_or("?").to_owned()
    };
    println!(
        "memory {when}: anonymous {} kB, of files {} kB",
        of("RssAnon"),
        of("RssFile")
    );
    Ok(())
}
