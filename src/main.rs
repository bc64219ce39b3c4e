//! The binary: reads the command line, and hands over.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use certmint::cli::{self, Cli, Command};
use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, options } = Cli::parse();
    match command {
        Command::Serve(arguments) => ended(certmint::app::serve(*arguments).await),
        Command::Migrate(arguments) => ended(certmint::app::migrate(arguments).await),
        Command::NewEpoch(arguments) => ended(certmint::app::new_epoch(arguments).await),
        Command::Client(command) => cli::run_client(options, command).await,
    }
}

fn ended(how: Result<(), certmint::app::AppError>) -> ExitCode {
    match how {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
