//! Vaults: which there are, and how each treats deletions. Asked on every request, so they are kept
//! in memory; there are few, and none ever changes or goes.

use super::records::{Codec, Kind, List, key};
use super::{CONFLICT_ATTEMPTS, Service, contended, pending};
use crate::domain::{Detail, Error, Reason, Recovery, Result, RetentionDays, Vault, VaultName, VaultSettings};
use crate::store::{Batch, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What the configuration says of vaults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultOptions {
    /// Every name is a vault, from its first use. Otherwise an unknown one is refused.
    pub on_demand: bool,
    /// For vaults of which nothing else is said.
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
#[derive(Debug)]
pub struct Vaults {
    on_demand: bool,
    defaults: VaultSettings,
    known: RwLock<BTreeMap<VaultName, Vault>>,
}

impl Vaults {
    /// Those of the configuration, and the default one.
    pub(super) fn new(options: VaultOptions) -> Self {
        let VaultOptions { on_demand, defaults, named } = options;
        let named = named.into_iter().map(|(name, settings)| Vault { name, settings, created: None });
        let default = Vault { name: VaultName::default_vault(), settings: defaults, created: None };
        let known = std::iter::once(default).chain(named).map(|vault| (vault.name.clone(), vault)).collect();
        Self { on_demand, defaults, known: RwLock::new(known) }
    }

    /// Learns of vaults that were made by callers, here or at another process. What the
    /// configuration says of a vault wins.
    pub(super) async fn refresh(&self, store: &dyn Store, codec: &Codec) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = store.list(Kind::Vault.prefix(), &after, pending::MAX_PAGE).await?;
            let full = page.len() == pending::MAX_PAGE;
            for record in page {
                // One that does not verify was logged: the vault is as if it had not been made.
                if let Ok(vault) = codec.read(&record) {
                    self.learn(vault);
                }
                after = record.key;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// The vault; [`Reason::VaultNotFound`] where there is none of that name.
    pub fn vault(&self, name: &VaultName) -> Result<Vault> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match known {
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

    /// Vaults after this name, and whether there are more.
    fn page(&self, after: &str, page_size: usize) -> (Vec<Vault>, bool) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut rest = known.values().filter(|vault| vault.name.as_str() > after);
        let vaults: Vec<Vault> = rest.by_ref().take(page_size).cloned().collect();
        let more = rest.next().is_some();
        (vaults, more)
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

    /// Makes a vault; `None` takes what the configuration says of vaults in general. The settings
    /// stay as they are from then on. [`Reason::AlreadyExists`] where it is there.
    pub async fn create_vault(
        &self,
        name: &VaultName,
        retention_days: Option<RetentionDays>,
        purge_protection: Option<bool>,
    ) -> Result<Vault> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let taken = self.vaults.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(name);
            if taken || self.has(&key::vault(name)).await? {
                return Err(Error::new(
                    Reason::AlreadyExists,
                    format!("There is a vault named {name} already. Its settings stay as they were made."),
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
        self.refresh_vaults().await?;
        let (vaults, more) = self.vaults.page(&after, page_size.clamp(1, pending::MAX_PAGE));
        let position = vaults.last().filter(|_| more).map(|vault| vault.name.as_str());
        Ok(VaultPage { next_page_token: paging.token(position), vaults })
    }

    /// Learns of vaults that were made at other processes of the same store.
    pub async fn refresh_vaults(&self) -> Result<()> {
        self.vaults.refresh(&*self.store, &self.records).await
    }
}
