//! `[keys]`: master keys, keys that are made in advance, and the cache of opened ones.

use crate::domain::duration;
use crate::limits::positive;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Records in a second, which no store writes.
const MAX_RATE: u32 = 1_000_000;

/// Master keys, pre-generated keys and the cache of private keys.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyOptions {
    /// An existing file of master keys; replicas share one. Default `master.key` in the data folder, created at the
    /// first start. The variable `CERTMINT_MASTER_KEYS` can hold the same text instead.
    pub master_key_file: Option<PathBuf>,
    /// How long a command of that file may take (`exec:`). Default 30 s.
    #[serde(with = "duration")]
    pub master_key_timeout: Duration,
    /// 2048-bit RSA keys that are generated in advance while the server is idle, and kept in memory; 0 disables it.
    /// Default 16.
    pub ready_rsa_2048: u16,
    /// The same for 3072 bits. Default 0.
    pub ready_rsa_3072: u16,
    /// The same for 4096 bits. Default 0.
    pub ready_rsa_4096: u16,
    /// The number of decrypted private keys that are cached in memory for signing and decryption; 0 disables the cache.
    /// Default 64.
    pub opened: u16,
    /// The maximum age of a cached key. Default 1 m.
    #[serde(with = "duration")]
    pub opened_for: Duration,
    /// Records that `certmint reseal` looks at in a second, up to 1,000,000. Default 1000. Each one that is not under the
    /// newest master key is written.
    #[serde(deserialize_with = "rate")]
    pub reseal_rate: u32,
    /// How many RSA keys are made at once: one for each processor.
    #[serde(skip)]
    pub workers: usize,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self { ready_rsa_2048: 16, opened: 64, ..Self::on_demand() }
    }
}

impl KeyOptions {
    /// No key is made in advance or stays opened.
    pub fn on_demand() -> Self {
        Self {
            master_key_file: None,
            master_key_timeout: Duration::from_secs(30),
            ready_rsa_2048: 0,
            ready_rsa_3072: 0,
            ready_rsa_4096: 0,
            opened: 0,
            opened_for: Duration::from_secs(60),
            reseal_rate: 1000,
            workers: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

fn rate<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = positive(from)?;
    if number <= MAX_RATE {
        return Ok(number);
    }
    Err(D::Error::custom(format!("{number} is too many; use up to {MAX_RATE}")))
}
