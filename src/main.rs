//! The binary: reads the command line, and hands over.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use certmint::cli::{self, Cli, Command, StoreCommand};
use clap::Parser;
use std::error::Error;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, options } = Cli::parse();
    match command {
        Command::Serve(arguments) => match certmint::app::serve(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell(&error);
                ExitCode::FAILURE
            }
        },
        Command::Store(StoreCommand::NewEpoch { data_dir }) => match certmint::app::new_epoch(&data_dir) {
            Ok(epoch) => {
                eprintln!("new epoch: {epoch}; resume tokens from before are refused from now on");
                ExitCode::SUCCESS
            }
            Err(error) => {
                tell(&error);
                ExitCode::FAILURE
            }
        },
        Command::Client(command) => cli::run_client(options, command).await,
    }
}

/// The error and its causes; what a wrapper says already is not said again.
fn tell(error: &dyn Error) {
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
    eprintln!("error: {text}");
}
