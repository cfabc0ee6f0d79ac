//! The `runtime` room: what drives a core.
//!
//! **What it is.** [`Driver`] owns a core, its timers, its sequence numbers and the effects that wait
//! for the disk. It does no I/O, so the simulator drives the same cores through the same code.
//! [`Disk`] performs a core's durable writes on a thread of its own, many under one flush.
//! [`Clock`] gives the time.
//!
//! **What it never does.** It does not know which core it drives (master, agent, service), decides
//! nothing, opens no socket, and never retries a write: a failure is reported, the core decides.
//!
//! **Where to start reading.** [`driver`], whose header is the contract on order; then [`disk`], whose
//! header is the contract on durability; then [`storage`], the seam where the simulator and the fault
//! tests put a disk of their own.
//!
//! **Which invariants it keeps.**
//! - An effect that waits for a write leaves only after that write is durable, and never if it failed.
//! - Within a lane nothing overtakes; nothing is lost, nothing leaves twice.
//! - A write is reported durable only after every file and directory it touched was flushed; a file
//!   whose flush failed once is never reported durable again until it is replaced or removed.
//! - Nothing outside the root of a [`Disk`] is touched.

pub mod clock;
pub mod disk;
pub mod driver;
pub mod files;
pub mod group;
pub mod limits;
pub mod memory;
pub mod storage;
mod timers;
pub mod tree;

pub use clock::Clock;
pub use disk::{Completion, Disk, DiskStopped};
pub use driver::{Driver, Output};
pub use files::Files;
pub use group::{Flusher, Request};
pub use memory::MemoryFiles;
pub use storage::Storage;
pub use tree::{Entry, EntryContent, History, TreeError, TreeLimits, read_tree};
