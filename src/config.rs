//! The configuration: the options of every part in one TOML file. A part declares its own settings, with their defaults.

mod access;
mod acme;
mod auth;
mod base_domain;
mod cors;
mod mistake;
mod operation;
mod outbound;

pub use crate::issuer::plugin::Address as PluginAddress;
pub use access::{AccessMode, AccessSettings};
pub use acme::AcmeSettings;
pub use auth::{AuthSettings, ChallengeSettings};
pub use base_domain::BaseDomain;
pub use cors::CorsSettings;
pub use mistake::Mistake;
pub use operation::{AdminListen, AdminSettings, Delay, ShutdownSettings};
pub use outbound::{OutboundSettings, ProxyAddress};

use crate::domain::duration;
use crate::issuer::plugin::PluginOptions;
use crate::keys::KeyOptions;
use crate::limits::Limits;
use crate::service::{AuditOptions, CaOptions, RenewalOptions, VaultOptions, WebhookOptions};
use crate::store::StoreOptions;
use crate::telemetry::LogOptions;
use crate::transport::listener::ListenerOptions;
use serde::Deserialize;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All settings of a server. Unknown keys in the file are refused, so that a misspelt limit is not silently ignored.
/// Durations are strings such as `"250ms"`, `"30s"`, `"10m"`, `"24h"`, `"90d"`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the embedded store, the master key and, in development mode, the CA. Default `.certmint`.
    pub data_dir: PathBuf,
    /// The address and port of the TLS listener. Default `127.0.0.1:8443`.
    pub listen: SocketAddr,
    /// The domain whose first label to the left names a vault: `team-a.localhost` is the vault `team-a`.
    /// The base domain itself and IP addresses name the default vault. Default `localhost`.
    pub base_domain: BaseDomain,
    /// Further hosts that name the default vault. Others are refused; in development mode every other host names the
    /// default vault. Default none.
    pub hosts: Vec<BaseDomain>,
    /// Development mode: its own CA, any bearer token, loopback only. Default off.
    pub dev: bool,
    /// The store. Default: the embedded store in the data folder.
    pub store: StoreOptions,
    /// The server certificate; required outside development mode.
    pub tls: Option<TlsFiles>,
    /// Who may call.
    pub auth: AuthSettings,
    /// What callers may do; required outside development mode.
    pub access: Option<AccessSettings>,
    /// The audit ledger.
    pub audit: AuditOptions,
    /// Web origins that may call (CORS).
    pub cors: CorsSettings,
    /// Master keys, pre-generated keys and the key cache.
    pub keys: KeyOptions,
    /// The port for operators.
    pub admin: AdminSettings,
    /// Shutdown.
    pub shutdown: ShutdownSettings,
    /// The vaults.
    pub vaults: VaultOptions,
    /// ACME from this machine: the port for http-01, and programs for DNS records.
    pub acme: AcmeSettings,
    /// How certificates are renewed.
    pub renewal: RenewalOptions,
    /// What the certificate authorities inside the server publish.
    pub publish: CaOptions,
    /// Issuer providers in other processes. Default none.
    pub plugins: Vec<PluginOptions>,
    /// Where events are sent.
    pub webhooks: WebhookOptions,
    /// Outgoing connections, to CAs above all.
    pub outbound: OutboundSettings,
    /// Limits on requests and on concurrent work.
    pub limits: Limits,
    /// The port.
    pub listener: ListenerOptions,
    /// The log.
    pub log: LogOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(".certmint"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            base_domain: BaseDomain::default(),
            hosts: Vec::new(),
            dev: false,
            store: StoreOptions::default(),
            tls: None,
            auth: AuthSettings::default(),
            access: None,
            audit: AuditOptions::default(),
            cors: CorsSettings::default(),
            keys: KeyOptions::default(),
            admin: AdminSettings::default(),
            shutdown: ShutdownSettings::default(),
            vaults: VaultOptions::default(),
            acme: AcmeSettings::default(),
            renewal: RenewalOptions::default(),
            publish: CaOptions::default(),
            plugins: Vec::new(),
            webhooks: WebhookOptions::default(),
            outbound: OutboundSettings::default(),
            limits: Limits::default(),
            listener: ListenerOptions::default(),
            log: LogOptions::default(),
        }
    }
}

/// PEM files of the server certificate.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key of the leaf.
    pub key: PathBuf,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration file {} cannot be used: {mistake}", path.display())]
    Parse { path: PathBuf, mistake: Mistake },
    #[error("in development mode the server listens on loopback only, not on {0}; use 127.0.0.1 or [::1]")]
    DevOnNetwork(SocketAddr),
    #[error(
        "outside development mode callers must authenticate: set tokens_file in [auth] (make a token with \
         `certmint token new NAME`), name an issuer of tokens in [[auth.jwt]] or the CAs of client certificates in \
         [[auth.spiffe]] or [[auth.x509]] (docs/access.md), or use --dev on your own machine"
    )]
    NoAuthentication,
    #[error(
        "outside development mode the server needs a certificate: set certificate and key in [tls], or use --dev on \
         your own machine"
    )]
    NoCertificate,
    #[error(
        "outside development mode the configuration says who may do what, in [access]. To begin with everybody shut out \
         but one, write\n\n  [access]\n  administrators = [\"token:NAME\"]\n\nwhere NAME is the first word of a line of the \
         tokens file. A server that worked without it goes on as before with\n\n  [access]\n  mode = \"report\"\n\nwhich \
         refuses nothing, and writes to the audit log what would be refused (docs/access.md)"
    )]
    NoAccess,
    #[error(
        "[access] lets nobody in: set administrators = [\"token:NAME\"], where NAME is the first word of a line of the \
         tokens file (or \"jwt:ISSUER:ID\", \"spiffe://DOMAIN/PATH\"), or a file of grants, or mode = \"report\""
    )]
    NobodyAllowed,
    #[error(
        "limits.watch_streams_per_connection ({watch}) must be below listener.max_concurrent_streams ({http}): at the \
         HTTP/2 limit a client waits without an error"
    )]
    WatchAboveHttp { watch: usize, http: u32 },
    #[error(
        "shutdown.spread ({}) must be below {}, the shortest of listener.drain, listener.age_grace and \
         listener.hard_stop: requests still open at that time are cut",
        duration::to_text(*spread), duration::to_text(*cut)
    )]
    SpreadAboveDrain { spread: Duration, cut: Duration },
}

impl Config {
    /// The time over which streams are closed during shutdown.
    pub fn stream_spread(&self) -> Duration {
        self.shutdown.spread(self.dev, self.streams_are_cut_after())
    }

    fn streams_are_cut_after(&self) -> Duration {
        self.listener.drain.min(self.listener.age_grace).min(self.listener.hard_stop)
    }

    /// The defaults, then the file, then the command line, which `change` brings in; then checks across settings.
    pub fn load(file: Option<&Path>, change: impl FnOnce(&mut Self)) -> Result<Self, ConfigError> {
        let mut config = match file {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
                let mut read: Self = toml::from_str(&text).map_err(|error| ConfigError::Parse {
                    path: path.to_owned(),
                    mistake: Mistake::of(&text, &error),
                })?;
                if let Some(access) = &mut read.access {
                    access.begin_at(path);
                }
                read.auth.begin_at(path);
                read
            }
        };
        change(&mut config);
        // Every name is a vault in development mode, unless the file says otherwise.
        config.vaults.on_demand.get_or_insert(config.dev);
        if config.dev && !config.listen.ip().is_loopback() {
            return Err(ConfigError::DevOnNetwork(config.listen));
        }
        let (spread, cut) = (config.stream_spread(), config.streams_are_cut_after());
        if spread > Duration::ZERO && spread >= cut {
            return Err(ConfigError::SpreadAboveDrain { spread, cut });
        }
        let (watch, http) = (config.limits.watch_streams_per_connection, config.listener.max_concurrent_streams);
        if u32::try_from(watch).is_ok_and(|watch| watch < http) {
            Ok(config)
        } else {
            Err(ConfigError::WatchAboveHttp { watch, http })
        }
    }
}

impl Config {
    /// Requirements outside development mode: callers who can be known, the server certificate, and who may do what.
    pub fn for_others(&self) -> Result<(&TlsFiles, &AccessSettings), ConfigError> {
        if !self.auth.knows_somebody() {
            return Err(ConfigError::NoAuthentication);
        }
        let tls = self.tls.as_ref().ok_or(ConfigError::NoCertificate)?;
        let access = self.access.as_ref().ok_or(ConfigError::NoAccess)?;
        if access.lets_somebody_in() { Ok((tls, access)) } else { Err(ConfigError::NobodyAllowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::LogFormat;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certmint.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file), |_| {})
    }

    #[test]
    fn without_a_file_the_defaults_hold() {
        let config = Config::load(None, |_| {}).unwrap();
        assert_eq!((&load("").unwrap(), config.vaults.on_demand), (&config, Some(false)));
        assert_eq!((config.limits.request_body_bytes, config.listen.port()), (1_048_576, 8443));
    }

    #[test]
    fn the_file_wins_over_defaults_and_the_command_line_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certmint.toml");
        let text = "listen = '[::1]:1'\nbase_domain = 'Vault.Example.'\n[limits]\nevent_retention = '90d'\nkey_queue = 7\n\
                    [vaults]\nretention_days = 30\n[vaults.named.Team-A]\npurge_protection = true\n\
                    [listener]\nmax_age = '5m'\n[keys]\nready_rsa_4096 = 2\nopened_for = '5s'\n[log]\nformat = 'json'\n[tls]\ncertificate = 'c.pem'\nkey = 'k.pem'";
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), |config| {
            config.listen = "127.0.0.1:2".parse().unwrap();
            config.dev = true;
            config.log.filter = "debug".to_owned();
        })
        .unwrap();
        assert_eq!((config.listen.port(), config.dev, config.base_domain.as_str()), (2, true, "vault.example"));
        assert_eq!(config.limits.event_retention, Duration::from_secs(90 * 86_400));
        assert_eq!((config.limits.key_queue, config.limits.events_kept), (7, 100_000));
        assert_eq!(config.listener.max_age, Duration::from_secs(300));
        assert_eq!((config.keys.ready_rsa_2048, config.keys.ready_rsa_4096), (16, 2));
        assert_eq!((config.keys.opened, config.keys.opened_for), (64, Duration::from_secs(5)));
        assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Json, "debug"));
        assert_eq!(config.tls.unwrap().key, Path::new("k.pem"));
        let (name, settings) = config.vaults.named().next().unwrap();
        assert_eq!((name.as_str(), settings.retention_days.get(), settings.purge_protection), ("team-a", 30, true));
        assert_eq!((config.vaults.on_demand, config.vaults.defaults().purge_protection), (Some(true), false));
    }

    #[test]
    fn errors_name_the_file_the_line_and_the_key() {
        for (text, line, part) in [
            ("dev = true\nlisen = '127.0.0.1:1'", "line 2", "unknown field `lisen`"),
            ("\n\n[limits]\nkey_que = 1", "line 4", "unknown field `key_que`"),
            ("[limits]\nkey_queue = 0", "line 2", "nonzero"),
            ("[limits]\nkey_queue_share = 101", "line 2", "101 is not a percentage from 1 to 100"),
            ("[listener]\nmax_age = '5 minutes'", "line 2", "`5 minutes` is not a duration"),
            ("listen = 'localhost'", "line 1", "invalid socket address"),
            ("base_domain = 'a..b'", "line 1", "is not a domain"),
            ("dev = ", "line 1, column 7", "string values must be quoted"),
            ("[keys]\nready_rsa_2048 = 70_000", "line 2", "integer `70000`, expected u16"),
            ("[admin]\nlisten = 'here'", "line 2", "`here` is neither an address and port"),
            ("[auth]\ntoken_file = 't'", "line 2", "unknown field `token_file`"),
            ("[vaults]\nretention_days = 91", "line 2", "91 is out of range: use 7 to 90"),
            ("[vaults.named.a]\nretention = 7", "line 2", "unknown field `retention`"),
            ("[vaults.named.a_b]\nretention_days = 7", "line 1", "The vault name is invalid"),
            ("[tls]\nkey = 'k.pem'", "line 1", "missing field `certificate`"),
        ] {
            let message = load(text).unwrap_err().to_string();
            assert!(message.contains("certmint.toml") && message.contains(line) && message.contains(part), "{message}");
        }
        let missing = Config::load(Some(Path::new("/nowhere/c.toml")), |_| {}).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/c.toml") && missing.contains("No such file"), "{missing}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let message = load("dev = true\nlisten = '0.0.0.0:8443'").unwrap_err().to_string();
        assert!(message.contains("loopback only, not on 0.0.0.0:8443"), "{message}");
        let message = load("[limits]\nwatch_streams_per_connection = 1024").unwrap_err().to_string();
        assert!(message.contains("must be below listener.max_concurrent_streams (1024)"), "{message}");
        let message = load("[shutdown]\nspread = '15s'").unwrap_err().to_string();
        assert!(message.contains("shutdown.spread (15s) must be below 15s"), "{message}");
        let message = load("[shutdown]\nspread = '10s'\n[listener]\nage_grace = '9s'").unwrap_err().to_string();
        assert!(message.contains("must be below 9s, the shortest of listener.drain"), "{message}");
        assert_eq!(load("[listener]\ndrain = '9s'").unwrap().stream_spread(), Duration::from_secs(6));
    }
}
