//! The `sim` room: a whole cluster in one thread, from one seed.
//!
//! **What it is.** The real cores of master, agent and command executor, driven by the real hold-back
//! logic of `runtime`, over a simulated network, disk, containers, clocks and agreement. Each seed draws
//! its own sizes, settings, workloads and faults ([`plan`]); a run has a safety phase in which faults
//! fire, then a liveness phase without, in which everything must come right. Invariants watch from
//! outside ([`invariants`], one file each). Planted bugs ([`plants`]) show that they look.
//!
//! **What it never does.** It reads no clock and no randomness but its seed, opens no file or socket,
//! and starts no thread. It asks nothing of the cores but what their drivers ask. Only [`allocator`],
//! which measures, looks at a clock.
//!
//! **Where to start reading.** [`run`] is one seed from beginning to end; `world` is what it runs in,
//! with one file per part (links, streams, calls, disks, containers, …); `faults` has one file per source
//! of faults, `workloads` one per kind of framework. `seeds.txt` beside this crate's manifest lists the
//! seeds that once found something.
//!
//! **Which invariants it keeps.** The same seed gives the same trace, byte for byte. A fault is one that
//! can truly happen. The network drops, delays and cuts whatever crosses it. What it *duplicates* are calls
//! over HTTP whose caller had no answer and tried again; what it *reorders* are calls on several connections,
//! and actor messages over a new connection with those that an earlier one still carries. An actor message
//! is never repeated and never overtakes another of its own connection: the kernel does not do that.

pub mod allocator;
mod cli;
mod draws;
mod executors;
mod faults;
mod invariants;
pub mod limits;
mod plan;
pub mod plants;
mod process;
mod queue;
mod run;
mod show;
mod tally;
mod trace;
mod workloads;
mod world;

pub use cli::main;
pub use run::{Outcome, run};
pub use tally::{Fault, Tally};
