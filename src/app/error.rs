//! Why a server does not start.

use crate::config::ConfigError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server did not start. Each tells what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("cannot make the data folder {}: {source}", path.display())]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("cannot listen on {address}: {source}; choose another port with {option}")]
    Listen { address: SocketAddr, option: &'static str, source: std::io::Error },
    #[error("a required background task ended ({task}); the log lines before this one have the cause")]
    Ended { task: &'static str },
    #[error("{what}: {source}")]
    Part { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// The error of a part that cannot be used, by what it is.
pub(super) fn part<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: &'static str,
) -> impl FnOnce(E) -> AppError {
    move |source| AppError::Part { what, source: source.into() }
}
