//! The arguments of `certmint serve` and of the commands for its store; the composition root carries them out.

use super::Secret;
use crate::config::AdminListen;
use crate::telemetry::LogFormat;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The folder of a development server, and where clients look for its CA.
pub const DEFAULT_DATA_DIR: &str = ".certmint";

/// Arguments of `certmint serve`. Each overrides the configuration file; absent ones are taken from it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// Development mode: its own CA, any bearer token, loopback only; without it the configuration file must
    /// have [auth] and [tls]
    #[arg(long)]
    pub dev: bool,

    /// The folder of the store, the keys and, in development mode, the CA
    #[arg(long, value_name = "DIR", env = "CERTMINT_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// The address and port of the listener
    #[arg(long, value_name = "ADDR:PORT", env = "CERTMINT_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// The address and port for operators (/livez, /readyz, /metrics, /openapi.json), or `off` [default:
    /// 127.0.0.1:9443; off with --dev]
    #[arg(long, value_name = "ADDR:PORT", env = "CERTMINT_ADMIN_LISTEN")]
    pub admin_listen: Option<AdminListen>,

    /// The base domain, below which the first label of a host names a vault
    #[arg(long, value_name = "DOMAIN", env = "CERTMINT_BASE_DOMAIN")]
    pub base_domain: Option<String>,

    /// Configuration file
    #[arg(long, value_name = "FILE", env = "CERTMINT_CONFIG")]
    pub config: Option<PathBuf>,

    /// A PostgreSQL database instead of the embedded store: postgres://user@host/database; its password comes from
    /// CERTMINT_STORE_PASSWORD or the configuration file
    #[arg(long, value_name = "URL", env = "CERTMINT_STORE", hide_env_values = true)]
    pub store: Option<Secret>,

    /// The log format
    #[arg(long, value_enum, value_name = "FORM", env = "CERTMINT_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Arguments of `certmint migrate` and `certmint new-epoch`: which store is meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct StoreArgs {
    /// The folder of the embedded store
    #[arg(long, value_name = "DIR", env = "CERTMINT_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// A PostgreSQL database instead: postgres://user@host/database; its password comes from CERTMINT_STORE_PASSWORD or
    /// the configuration file
    #[arg(long, value_name = "URL", env = "CERTMINT_STORE", hide_env_values = true)]
    pub store: Option<Secret>,

    /// Configuration file
    #[arg(long, value_name = "FILE", env = "CERTMINT_CONFIG")]
    pub config: Option<PathBuf>,
}

impl StoreArgs {
    /// What is not given is taken from the variables that give it to a server.
    pub(super) fn or_environment(self) -> Self {
        let Self { data_dir, store, config } = self;
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            data_dir: data_dir.or_else(|| variable("CERTMINT_DATA_DIR").map(PathBuf::from)),
            store: store
                .or_else(|| variable("CERTMINT_STORE").and_then(|url| url.into_string().ok()).map(Secret::from)),
            config: config.or_else(|| variable("CERTMINT_CONFIG").map(PathBuf::from)),
        }
    }
}
