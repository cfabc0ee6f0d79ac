//! Each refusal with its wording, and the valid neighbour beside it.

mod calls;
mod checks;
mod commands;
mod executors;
mod frameworks;
mod groups;
mod operations;
mod samples;
mod tasks;

/// What a check said, as the client sees it; `ok` when it passed.
fn said<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|bad| bad.to_string(), |_| "ok".to_owned())
}
