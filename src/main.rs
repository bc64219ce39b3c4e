//! The binary: arguments in, exit code out.

use certmint::cli::{self, Cli, Command};
use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, options } = Cli::parse();
    match command {
        Command::Client(command) => cli::run_client(options, command).await,
        Command::Serve(arguments) => match certmint::app::serve(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
