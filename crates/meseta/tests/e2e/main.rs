//! Whole clusters of real processes: the binary as users run it, real signals, real disks, real
//! clients. Everything listens on loopback and on ports that the system picks.

#![allow(clippy::expect_used)]

mod command_line;
mod disk_full;
mod explain;
mod flags;
mod hostile;
mod loads;
mod restarts;
mod support;
