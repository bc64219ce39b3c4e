//! Vaults and their deletion settings. They are needed on every request, so they are cached in memory; a vault never
//! changes or disappears. An unknown one may have been created on another replica, so the store is asked, within
//! limits.

use super::absent::{Absent, Miss};
use super::records::{Codec, Kind, List, key};
use super::{CONFLICT_ATTEMPTS, Service, contended, pending};
use crate::domain::{Detail, Error, Reason, Recovery, Result, RetentionDays, Vault, VaultName, VaultSettings};
use crate::store::{Batch, Store};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// What the configuration says of vaults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultOptions {
    /// Every name is a vault, from its first use. Otherwise an unknown one is refused.
    pub on_demand: bool,
    /// The settings of vaults without their own.
    pub defaults: VaultSettings,
    /// The vaults of the configuration.
    pub named: BTreeMap<VaultName, VaultSettings>,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self { on_demand: true, defaults: VaultSettings::default(), named: BTreeMap::new() }
    }
}

/// A page of vaults in the order of their names.
#[derive(Clone, Debug)]
pub struct VaultPage {
    pub vaults: Vec<Vault>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// The vaults that are known to this process.
pub struct Vaults {
    on_demand: bool,
    defaults: VaultSettings,
    /// The default one and those of the configuration.
    configured: BTreeMap<VaultName, Vault>,
    known: RwLock<BTreeMap<VaultName, Vault>>,
    absent: Absent,
    store: Arc<dyn Store>,
    records: Arc<Codec>,
}

impl fmt::Debug for Vaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vaults").field("on_demand", &self.on_demand).field("known", &self.known).finish_non_exhaustive()
    }
}

impl Vaults {
    /// Those of the configuration, and the default one.
    pub(super) fn new(options: VaultOptions, store: Arc<dyn Store>, records: Arc<Codec>) -> Self {
        let VaultOptions { on_demand, defaults, named } = options;
        let named = named.into_iter().map(|(name, settings)| Vault { name, settings, created: None });
        let default = Vault { name: VaultName::default_vault(), settings: defaults, created: None };
        let configured: BTreeMap<_, _> =
            std::iter::once(default).chain(named).map(|vault| (vault.name.clone(), vault)).collect();
        let known = RwLock::new(configured.clone());
        Self { on_demand, defaults, configured, known, absent: Absent::default(), store, records }
    }

    /// Learns of vaults that were made by callers, here or at another process. What the
    /// configuration says of a vault wins.
    pub(super) async fn refresh(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = self.store.list(Kind::Vault.prefix(), &after, pending::MAX_PAGE).await?;
            let full = page.len() == pending::MAX_PAGE;
            for record in page {
                // One that does not verify was logged: the vault is as if it had not been made.
                if let Ok(vault) = self.records.read(&record) {
                    self.learn(vault);
                }
                after = record.key;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// The vault, wherever it was made; [`Reason::VaultNotFound`] if there is none of that name. One that is not
    /// known here is looked for in the store. An absence is cached for a second, and the number of lookups per second
    /// is limited, so that made-up names do not load the store.
    pub async fn find(&self, name: &VaultName) -> Result<Vault> {
        if self.known(name).is_none() {
            match self.absent.ask(name, Instant::now()) {
                Miss::Ask => match self.store.get(key::vault(name).as_str()).await? {
                    // As in `refresh`: one that does not verify is as if it had not been made.
                    Some(record) => match self.records.read(&record) {
                        Ok(vault) => self.learn(vault),
                        Err(_) => self.absent.note(name, Instant::now()),
                    },
                    None => self.absent.note(name, Instant::now()),
                },
                Miss::Absent => {}
                Miss::TooMany => {
                    return Err(Error::new(
                        Reason::StoreUnavailable,
                        "Too many requests name vaults that do not exist. Retry the request.",
                    )
                    .retry_after(Duration::from_secs(1)));
                }
            }
        }
        self.vault(name)
    }

    fn known(&self, name: &VaultName) -> Option<Vault> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// As [`Vaults::find`], by what this process knows.
    pub fn vault(&self, name: &VaultName) -> Result<Vault> {
        match self.known(name) {
            Some(vault) => Ok(vault),
            None if self.on_demand => Ok(Vault { name: name.clone(), settings: self.defaults, created: None }),
            None => Err(Error::new(
                Reason::VaultNotFound,
                format!("There is no vault named {name} on this server. Create it first: certmint vault create {name}"),
            )
            .with(Detail::Resource { kind: "vault", name: name.to_string() })),
        }
    }

    fn learn(&self, vault: Vault) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(vault.name.clone()).or_insert(vault);
    }

    /// One page after the name, which reads one page of the store, and the name behind which there is more.
    async fn page(&self, after: &str, size: usize) -> Result<(Vec<Vault>, Option<String>)> {
        let prefix = Kind::Vault.prefix();
        let records = self.store.list(prefix, &format!("{prefix}{after}"), size + 1).await?;
        // Vaults behind it are of a later page: not all of them were read.
        let end = records.get(size).and_then(|record| record.key.strip_prefix(prefix)).map(str::to_owned);
        // One that does not verify was logged: the list goes on without it.
        let made = records.iter().filter_map(|record| self.records.read::<Vault>(record).ok());
        let mut vaults: BTreeMap<VaultName, Vault> = made.map(|vault| (vault.name.clone(), vault)).collect();
        // What the configuration says of a vault wins.
        let within = |name: &str| name > after && end.as_deref().is_none_or(|end| name <= end);
        let configured = self.configured.iter().filter(|(name, _)| within(name.as_str()));
        vaults.extend(configured.map(|(name, vault)| (name.clone(), vault.clone())));
        let more = vaults.len() > size;
        let vaults: Vec<Vault> = vaults.into_values().take(size).collect();
        let position = if more { vaults.last().map(|vault| vault.name.to_string()) } else { end };
        Ok((vaults, position))
    }
}

impl Service {
    /// The vaults, for those who have to know whether one is there.
    pub fn vaults(&self) -> &Arc<Vaults> {
        &self.vaults
    }

    /// What certificates of the vault say of their deletion.
    pub(super) fn recovery(&self, vault: &VaultName) -> Recovery {
        self.settings(vault).recovery()
    }

    pub(super) fn settings(&self, vault: &VaultName) -> VaultSettings {
        // The vault was found when the request came in; none ever goes.
        self.vaults.vault(vault).map_or(self.limits.vaults.defaults, |vault| vault.settings)
    }

    /// Creates a vault; `None` takes the default of the configuration. The settings
    /// stay as they are from then on. [`Reason::AlreadyExists`] if it is there.
    pub async fn create_vault(
        &self,
        name: &VaultName,
        retention_days: Option<RetentionDays>,
        purge_protection: Option<bool>,
    ) -> Result<Vault> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let there = match self.vaults.known(name) {
                Some(_) => true,
                None => match self.load(&key::vault(name)).await? {
                    Some((_, vault)) => {
                        // Made at another replica: from now on it is known here, too.
                        self.vaults.learn(vault);
                        true
                    }
                    None => false,
                },
            };
            if there {
                return Err(Error::new(
                    Reason::AlreadyExists,
                    format!("A vault named {name} already exists. Its settings cannot be changed."),
                )
                .with(Detail::Resource { kind: "vault", name: name.to_string() }));
            }
            let defaults = self.limits.vaults.defaults;
            let settings = VaultSettings {
                retention_days: retention_days.unwrap_or(defaults.retention_days),
                purge_protection: purge_protection.unwrap_or(defaults.purge_protection),
            };
            let vault = Vault { name: name.clone(), settings, created: Some(self.now()) };
            let puts = vec![self.records.put(&key::vault(name), None, &vault, None)?];
            if self.try_commit(Batch { puts, ..Batch::default() }).await?.is_some() {
                self.vaults.learn(vault.clone());
                return Ok(vault);
            }
        }
        Err(contended())
    }

    /// Up to `page_size` vaults after the page that gave `page_token`: those of the configuration
    /// and those that callers made, but not such as only came to be by their use.
    pub async fn list_vaults(&self, page_size: usize, page_token: &str) -> Result<VaultPage> {
        let paging = self.paging(List::Vaults, Vec::new());
        let after = paging.position(page_token)?.unwrap_or_default();
        let (vaults, position) = self.vaults.page(&after, page_size.clamp(1, pending::MAX_PAGE)).await?;
        Ok(VaultPage { next_page_token: paging.token(position.as_deref()), vaults })
    }

    /// Learns of vaults that were made at other processes of the same store.
    pub async fn refresh_vaults(&self) -> Result<()> {
        self.vaults.refresh().await
    }
}
