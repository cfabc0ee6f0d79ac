//! The command line: what people type, and what they see.

pub mod args;
mod demo;
pub mod explain;
mod framework;
pub mod lists;
pub mod output;
pub mod placement;
pub mod run;
mod shortfall;
mod table;
pub mod task;
pub mod up;
