//! Opens the configured store, and checks what replicas of one store must share.

use super::error::{AppError, part};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::keys::MasterKeyLines;
use crate::service::Takeover;
use crate::store::postgres::{DatabaseTime, DatabaseUrl, Postgres};
use crate::store::sqlite::{Sqlite, SqliteOptions};
use crate::store::{Store, StoreUrl};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The variable with the password of the database, if it is not in a file.
const PASSWORD: &str = "CERTMINT_STORE_PASSWORD";

/// The master keys themselves, in the form of their file: for replicas without a common folder.
const MASTER_KEYS: &str = "CERTMINT_MASTER_KEYS";

/// Why a server cannot start with the master keys that it would have.
#[derive(Debug, thiserror::Error)]
enum MasterKeysError {
    #[error(
        "the store already has data, and {} does not exist: a new master key could not decrypt it; copy the file from \
         another replica or from a backup, or set master_key_file in [keys] or {MASTER_KEYS}",
        path.display()
    )]
    NoMasterKey { path: PathBuf },
    #[error("both {MASTER_KEYS} and master_key_file in [keys] are set: remove one of them")]
    TwoMasterKeys,
}

/// A store, and the clock that goes with it: where replicas share a database, they share its clock too.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// No other process has the store open.
    pub(super) alone: bool,
    /// Cancelled when the store cannot be used any more.
    pub(super) failed: CancellationToken,
}

struct DatabaseClock(DatabaseTime);

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

pub(super) async fn open(config: &Config) -> Result<Opened, AppError> {
    let cannot = "the store cannot be opened";
    Ok(match &config.store.url {
        None => {
            let store = Sqlite::open(&file(config), SqliteOptions::default()).map_err(part(cannot))?;
            let failed = store.failed();
            Opened { store: Arc::new(store), clock: Arc::new(SystemClock), alone: true, failed }
        }
        Some(url) => {
            let store = Postgres::open(address(url)?, config.store.clone()).await.map_err(part(cannot))?;
            let clock = Arc::new(DatabaseClock(store.time()));
            let failed = store.failed();
            Opened { store: Arc::new(store), clock, alone: false, failed }
        }
    })
}

/// Refuses a folder without a store, in which opening it would make one.
pub(super) fn must_exist(config: &Config) -> Result<(), AppError> {
    let path = file(config);
    if config.store.url.is_some() || path.exists() {
        return Ok(());
    }
    let source = std::io::Error::new(
        std::io::ErrorKind::NotFound,
        format!("{} does not exist; give the data folder of the server with --data-dir", path.display()),
    );
    Err(part("the store cannot be opened")(source))
}

/// Returns what was done, for a person.
pub(super) async fn migrate(config: &Config) -> Result<String, AppError> {
    let cannot = "the store cannot be migrated";
    match &config.store.url {
        None => {
            // `migrate` may take the time to rewrite a large file.
            let options = SqliteOptions { rewrite: u64::MAX, ..SqliteOptions::default() };
            drop(Sqlite::open(&file(config), options).map_err(part(cannot))?);
            Ok(format!("{} is up to date", file(config).display()))
        }
        Some(url) => {
            let address = address(url)?;
            let shown = address.to_string();
            let version = Postgres::migrate(address, config.store.clone()).await.map_err(part(cannot))?;
            Ok(format!("{shown} is up to date (schema {version})"))
        }
    }
}

pub(super) async fn new_epoch(config: &Config) -> Result<String, AppError> {
    let cannot = "the store cannot be given a new epoch";
    match &config.store.url {
        None => Sqlite::renew_epoch(&file(config), SqliteOptions::default()).map_err(part(cannot)),
        Some(url) => Postgres::renew_epoch(address(url)?, config.store.clone()).await.map_err(part(cannot)),
    }
}

/// From the environment, from a file that is there, or from the data folder, where the first start makes one. Of a
/// store that is in use, a missing file is not replaced.
pub(super) fn master_keys(config: &Config, store: &dyn Store) -> Result<MasterKeyLines, AppError> {
    let text = std::env::var(MASTER_KEYS).ok().map(Zeroizing::new).filter(|text| !text.trim().is_empty());
    if let Some(text) = text {
        if config.keys.master_key_file.is_some() {
            return Err(part("the master keys cannot be used")(MasterKeysError::TwoMasterKeys));
        }
        return MasterKeyLines::from_text(&text)
            .map_err(part("the master keys in CERTMINT_MASTER_KEYS cannot be used"));
    }
    if let Some(file) = &config.keys.master_key_file {
        return MasterKeyLines::load(file).map_err(part("the master keys cannot be used"));
    }
    let path = config.data_dir.join("master.key");
    let cannot = "the master key cannot be used";
    if *store.head().borrow() > 0 && !path.exists() {
        return Err(part(cannot)(MasterKeysError::NoMasterKey { path }));
    }
    MasterKeyLines::load_or_create(&path).map_err(part(cannot))
}

/// What becomes of records of versions before authentication codes.
pub(super) fn takeover(config: &Config) -> Takeover {
    Takeover { accept: config.store.accept_unauthenticated, window: config.store.upgrade_window }
}

fn file(config: &Config) -> PathBuf {
    config.data_dir.join("certmint.db")
}

fn address(url: &StoreUrl) -> Result<DatabaseUrl, AppError> {
    let mut address: DatabaseUrl = url.reveal().parse().map_err(part("the address of the store cannot be used"))?;
    if let Ok(password) = std::env::var(PASSWORD).map(Zeroizing::new) {
        address.set_password(&password);
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_in_use_gets_no_second_master_key() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let store = Sqlite::open_in_memory().unwrap();
        let newest = || master_keys(&config, &store).unwrap().keys().unwrap().newest().to_owned();
        let made = newest();
        assert_eq!(newest(), made);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.commit(crate::store::Batch::default())).unwrap();
        assert_eq!(newest(), made);
        std::fs::remove_file(folder.path().join("master.key")).unwrap();
        let message = master_keys(&config, &store).unwrap_err().to_string();
        assert!(message.contains("copy the file from another replica"), "{message}");
    }
}
