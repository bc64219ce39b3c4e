//! The binary: reads the command line, and hands over.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use certmint::cli::{self, Cli, Command};
use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, options } = Cli::parse();
    match command {
        Command::Serve(arguments) => match certmint::app::serve(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        Command::Client(command) => cli::run_client(options, command).await,
    }
}
