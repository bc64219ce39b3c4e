//! The command line.

mod serve;

pub use serve::{DEFAULT_DATA_DIR, LogForm, ServeArgs};

use clap::{Parser, Subcommand};

/// A self-hosted certificate service.
#[derive(Debug, Parser)]
#[command(name = "certmint", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(ServeArgs),
}
