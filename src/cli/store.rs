//! The arguments of `certmint store`; the acts themselves are the composition root's.

use super::serve::DEFAULT_DATA_DIR;
use std::path::PathBuf;

/// The commands of `certmint store`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum StoreCommand {
    /// Give a database that was restored from a backup a new epoch: resume tokens from before are then refused
    /// instead of being misread
    NewEpoch {
        /// The data folder of the server, which must not run
        #[arg(long, value_name = "DIR", env = "CERTMINT_DATA_DIR", default_value = DEFAULT_DATA_DIR)]
        data_dir: PathBuf,
    },
}
