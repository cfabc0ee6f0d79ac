//! The `meseta` binary: flags, command line, wiring.
//!
//! It holds nothing beyond that: what a master or agent does is in the rooms below (`meseta-node`
//! assembles them), and the command line speaks only the public API.
//!
//! Start reading at [`main`]: it first looks for the roles in which this same binary runs as a helper
//! process of an agent (`launch`, `fetch`), which must start fast and stay small, and only
//! then reads the command line.
//!
//! What holds: an error is one sentence on stderr that says what was wrong and what to do, and an exit
//! code that means something (1: it failed; 2: the command line is wrong; `run`: the command's own).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cli;
mod daemon;
mod flags;
mod load;
mod logging;
mod roles;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::args::{Cli, Command, Sim};

fn main() -> ExitCode {
    if let Some(code) = roles::run_if_asked() {
        return code;
    }
    reset_sigpipe();
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("meseta: {error:#}{}", advice(&error));
            ExitCode::FAILURE
        }
    }
}

/// `meseta ps | head` ends quietly: printing to a closed pipe is an error, not a panic.
fn reset_sigpipe() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.contains("failed printing to std") {
            std::process::exit(0);
        }
        eprintln!("meseta: a bug: {info}");
    }));
}

fn dispatch(command: Command) -> anyhow::Result<i32> {
    match command {
        Command::Master(daemon) => daemon::run_master(&daemon.flags),
        Command::Agent(daemon) => daemon::run_agent(&daemon.flags),
        Command::Up(up) => daemon::block_on(cli::up::run(up)),
        Command::Run(run) => client(cli::run::run(run)),
        Command::Ps(list) => client(done(cli::lists::ps(list))),
        Command::Agents(list) => client(done(cli::lists::agents(list))),
        Command::Frameworks(list) => client(done(cli::lists::frameworks(list))),
        Command::Version(list) => client(done(cli::lists::version(list))),
        Command::Explain(explain) => client(done(cli::explain::explain(explain))),
        Command::Logs(logs) => client(done(cli::task::logs(logs))),
        Command::Kill(kill) => client(done(cli::task::kill(kill))),
        Command::Sim(sim) => simulate(sim),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "meseta", &mut std::io::stdout());
            Ok(0)
        }
    }
}

fn simulate(sim: Sim) -> anyhow::Result<i32> {
    match sim {
        Sim::Run(rest) => {
            let words = std::iter::once("run".to_owned()).chain(rest.flags);
            Ok(meseta_sim::main(&words.collect::<Vec<_>>()))
        }
        Sim::Plants => Ok(meseta_sim::main(&["plants".to_owned()])),
        Sim::Load(load) => client(load::run(load)),
        Sim::Handover(handover) => client(load::run_handover(handover)),
        Sim::Cluster(cluster) => daemon::block_on(load::run_cluster(cluster)),
        Sim::Allocator(figures) => load::run_allocator(&figures),
        Sim::LoadExecutor { ledger } => client(load::run_executor(ledger)),
    }
}

async fn done(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<i32> {
    work.await.map(|()| 0)
}

/// Commands that only ask run on this one thread.
fn client(work: impl Future<Output = anyhow::Result<i32>>) -> anyhow::Result<i32> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// What to do about an error, where there is something.
fn advice(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref::<meseta_client::ClientError>() {
        Some(meseta_client::ClientError::Unreachable { .. }) => {
            "\nStart a cluster with `meseta up`, or name a master with --master HOST:PORT or MESETA_MASTER."
        }
        _ => "",
    }
}
