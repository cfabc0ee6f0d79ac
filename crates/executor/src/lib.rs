//! The decision room of the built-in executors. First the command executor, which runs one command
//! task; pods and the process graph come beside it.
//!
//! It never opens a socket, starts a process or reads a clock: the process around it (in
//! `meseta-node`) turns [`command::Effect`]s into calls and processes and brings back
//! [`command::Event`]s. Start reading at [`command::CommandExecutor`]'s `step`.
//!
//! Invariants: one task in a life; updates are numbered by their own UUID and kept until the agent
//! acknowledged them; the last update is terminal; the process exits only when that one is
//! acknowledged, or nobody is left to acknowledge it.

#![cfg_attr(test, allow(clippy::expect_used))]

pub mod command;
