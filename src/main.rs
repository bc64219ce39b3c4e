//! The binary: parses the command line and dispatches.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use certmint::cli::{self, Cli, Command};
use clap::Parser;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tikv_jemallocator::Jemalloc;

/// Gives memory back after a peak, which the allocator of the C library does not (docs/decisions/0017-memory.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What a thread that waits for a file or a name has until the process ends without it.
const LAST_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run());
    // Dropped, it would wait for every such thread, however long, and no signal would end it.
    runtime.shutdown_timeout(LAST_WAIT);
    code
}

async fn run() -> ExitCode {
    let cli = Cli::parse();
    if let Some(arguments) = cli.doctor_of_a_store() {
        return match certmint::app::doctor_store(arguments).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => ended(Err(error)),
        };
    }
    if let Some(arguments) = cli.audit_of_files() {
        return match certmint::app::audit_verify(arguments) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => ended(Err(error)),
        };
    }
    let Cli { command, options } = cli;
    match command {
        Command::Serve(arguments) => ended(certmint::app::serve(*arguments).await),
        Command::Migrate(arguments) => ended(certmint::app::migrate(arguments).await),
        Command::NewEpoch(arguments) => ended(certmint::app::new_epoch(arguments).await),
        Command::Agent(arguments) => certmint::agent::run(arguments, options).await,
        Command::Plugin(command) => match command.prepare(options) {
            Ok(test) => certmint::app::plugin_test(test).await,
            Err(exit) => exit,
        },
        Command::Client(command) => cli::run_client(options, command, certmint::app::known_providers).await,
    }
}

/// The error and its causes, without repetitions.
fn ended(how: Result<(), certmint::app::AppError>) -> ExitCode {
    let Err(error) = how else { return ExitCode::SUCCESS };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    // The exit code says it too, where standard error is gone.
    let _ = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::FAILURE
}
