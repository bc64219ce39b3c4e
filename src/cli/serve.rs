//! The arguments of `certmint serve`; the act itself is the composition root's.

use crate::config::AdminListen;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The folder of a development server, and where clients look for its CA.
pub const DEFAULT_DATA_DIR: &str = ".certmint";

/// Arguments of `certmint serve`. Each wins over the configuration file; what is absent is left to it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// Development mode: a CA of its own, any bearer token, loopback only; without it the configuration file must
    /// have [auth] and [tls]
    #[arg(long)]
    pub dev: bool,

    /// Where the store, the keys and, in development mode, the CA live
    #[arg(long, value_name = "DIR", env = "CERTMINT_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// The address and port of the listener
    #[arg(long, value_name = "ADDR:PORT", env = "CERTMINT_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// The address and port for operators (/livez, /readyz, /metrics), or `off` [default: 127.0.0.1:9443; off with --dev]
    #[arg(long, value_name = "ADDR:PORT", env = "CERTMINT_ADMIN_LISTEN")]
    pub admin_listen: Option<AdminListen>,

    /// The domain under which a first label names a vault
    #[arg(long, value_name = "DOMAIN", env = "CERTMINT_BASE_DOMAIN")]
    pub base_domain: Option<String>,

    /// Configuration file
    #[arg(long, value_name = "FILE", env = "CERTMINT_CONFIG")]
    pub config: Option<PathBuf>,

    /// The form of the log
    #[arg(long, value_enum, value_name = "FORM", env = "CERTMINT_LOG_FORMAT")]
    pub log_format: Option<LogForm>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum LogForm {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}
