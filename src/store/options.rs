//! `[store]`: the choice of store, the embedded one or a PostgreSQL database, and the limits of the latter.

use crate::domain::duration;
use crate::limits::positive;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The store. Without `url` it is the embedded one in the data folder, and the other settings have no effect.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    /// A PostgreSQL database that several replicas may share: `postgres://user@host:5432/database?sslmode=verify-full`.
    /// Default none.
    pub url: Option<StoreUrl>,
    /// A file with the password of the database, read for each new connection. Default none; the variable
    /// `CERTMINT_STORE_PASSWORD` can be used instead.
    pub password_file: Option<PathBuf>,
    /// Migrate the tables at startup. Default true; otherwise run `certmint migrate`.
    pub migrate: bool,
    /// Connections for reads; three more do the rest. Default 4.
    #[serde(deserialize_with = "positive")]
    pub readers: usize,
    /// Reads that may be in progress. Default 1,024.
    #[serde(deserialize_with = "positive")]
    pub read_queue: usize,
    /// Writes that may wait. Default 1,024.
    #[serde(deserialize_with = "positive")]
    pub write_queue: usize,
    /// Writes that share a transaction, at most. Default 256.
    #[serde(deserialize_with = "positive")]
    pub group: usize,
    /// Bytes that share a transaction, at most; a larger write goes alone. Default 8 MiB.
    #[serde(deserialize_with = "positive")]
    pub group_bytes: usize,
    /// Bytes of one record or event, at most. Default 4 MiB.
    #[serde(deserialize_with = "positive")]
    pub max_body: usize,
    /// How long a new connection may take. Default 5 s.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// How long the database may work on one statement. Default 10 s.
    #[serde(with = "duration")]
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock. Default 5 s.
    #[serde(with = "duration")]
    pub lock_timeout: Duration,
    /// When the database ends the transaction of a stalled replica. Default 5 s.
    #[serde(with = "duration")]
    pub idle_in_transaction_timeout: Duration,
    /// How long a response may take before the connection is closed. Default 20 s.
    #[serde(with = "duration")]
    pub answer_timeout: Duration,
    /// For how long calls are retried after a lost connection, if that is safe. Default 10 s, at most 5 minutes.
    #[serde(with = "duration")]
    pub retry_for: Duration,
    /// Idle time of a connection before the first keepalive probe. Default 10 s.
    #[serde(with = "duration")]
    pub keepalive_idle: Duration,
    /// Between two probes. Default 5 s.
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// Probes without an answer that end the connection. Default 3.
    #[serde(deserialize_with = "positive")]
    pub keepalive_retries: u32,
    /// How often a replica polls for commits of others, besides notifications. Default 200 ms.
    #[serde(with = "duration")]
    pub poll: Duration,
    /// The minimum time between two notifications to other replicas. Default 20 ms.
    #[serde(with = "duration")]
    pub poke: Duration,
    /// For how long after the first start of this version replicas of versions without authentication codes may still
    /// write to the database; afterwards a record without a code is refused. Not needed for the embedded store, which
    /// only one process uses. Default 24 h.
    #[serde(with = "duration")]
    pub upgrade_window: Duration,
    /// Adopt a store of a version without authentication codes. Default true; otherwise a record without a code is
    /// always refused, even in an unmarked store.
    pub accept_unauthenticated: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            migrate: true,
            readers: 4,
            read_queue: 1024,
            write_queue: 1024,
            group: 256,
            group_bytes: 8 << 20,
            max_body: 4 << 20,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(20),
            retry_for: Duration::from_secs(10),
            keepalive_idle: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(5),
            keepalive_retries: 3,
            poll: Duration::from_millis(200),
            poke: Duration::from_millis(20),
            upgrade_window: Duration::from_secs(24 * 3600),
            accept_unauthenticated: true,
        }
    }
}

/// The address of a database as configured. It may contain a password, so nothing shows it.
#[derive(Clone, Eq, PartialEq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The address itself. Not for the log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "the address of a store looks like postgres://user@host:5432/database; without one the embedded store is used",
            )
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://(hidden)")
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_but_never_shown() {
        let config: StoreOptions =
            toml::from_str("url = 'postgres://u:hunter2@h/d'\nmigrate = false\npoll = '1s'").unwrap();
        assert_eq!(config.url.as_ref().unwrap().reveal(), "postgres://u:hunter2@h/d");
        assert_eq!((config.migrate, config.poll, config.group), (false, Duration::from_secs(1), 256));
        assert!(!format!("{config:?}").contains("hunter2"));
        let other = toml::from_str::<StoreOptions>("url = 'mysql://u:hunter2@h/d'").unwrap_err().message().to_owned();
        assert!(other.contains("looks like postgres://"), "{other}");
    }
}
