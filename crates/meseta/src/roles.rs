//! The roles in which an agent starts this same binary again: supervisor of a container, fetcher,
//! command executor. They are told apart by the first argument, before anything else is set up; the
//! command executor is forked off the supervisor, so no argument leads to it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use meseta_node::command_executor::{self, Environment};

/// Runs the role that the first argument names, if it names one.
pub fn run_if_asked() -> Option<ExitCode> {
    let role = std::env::args().nth(1)?;
    let code = match role.as_str() {
        "launch" => meseta_container::launch_main(command_executor),
        "fetch" => meseta_container::fetch_main(),
        _ => return None,
    };
    Some(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn command_executor(variables: &BTreeMap<String, String>) -> i32 {
    let environment = match Environment::read(variables, seed()) {
        Ok(environment) => environment,
        Err(error) => {
            eprintln!("meseta command-executor: {error}");
            return 2;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    match runtime {
        Ok(runtime) => i32::from(runtime.block_on(command_executor::run(environment))),
        Err(error) => {
            eprintln!("meseta command-executor: {error}");
            1
        }
    }
}

/// Tells two executors apart; update UUIDs are drawn from it.
fn seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    now ^ (u64::from(std::process::id()) << 40)
}
