//! Vaults and their deletion settings. They are needed on every request, so they are cached in memory; a vault never
//! changes or disappears. An unknown one may have been created on another replica, so the store is asked, within
//! limits.

use super::absent::{Absent, Miss};
use super::options::{InstallationLimits, VaultOptions};
use super::used;
use crate::domain::{Detail, Error, Reason, Result, Vault, VaultName, VaultSettings};
use crate::service::installations::Counts;
use crate::service::records::{Codec, Kind, MAX_PAGE, contents, key};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// Longest page where every name is a vault: each that came to be by its use is looked for by itself.
const ON_DEMAND_PAGE: usize = 100;

/// The vaults that are known to this process.
pub struct Vaults {
    on_demand: bool,
    defaults: VaultSettings,
    /// The default one and those of the configuration.
    configured: BTreeMap<VaultName, Vault>,
    known: RwLock<BTreeMap<VaultName, Vault>>,
    absent: Absent,
    /// Reports of hosts, and how many there may be.
    pub(in crate::service) installations: Counts,
    pub(in crate::service) installation_limits: InstallationLimits,
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
    pub(in crate::service) fn new(options: &VaultOptions, store: Arc<dyn Store>, records: Arc<Codec>) -> Self {
        let (on_demand, defaults) = (options.on_demand == Some(true), options.defaults());
        let named = options.named().map(|(name, settings)| Vault { name, settings, created: None });
        let default = Vault { name: VaultName::default_vault(), settings: defaults, created: None };
        let configured: BTreeMap<_, _> =
            std::iter::once(default).chain(named).map(|vault| (vault.name.clone(), vault)).collect();
        let known = RwLock::new(configured.clone());
        Self {
            on_demand,
            defaults,
            configured,
            known,
            absent: Absent::default(),
            installations: Counts::default(),
            installation_limits: options.installation_limits(),
            store,
            records,
        }
    }

    /// Learns of vaults that were made by callers, here or at another process. What the
    /// configuration says of a vault wins.
    pub(in crate::service) async fn refresh(&self) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = self.store.list(Kind::Vault.prefix(), &after, MAX_PAGE).await?;
            let full = page.len() == MAX_PAGE;
            for record in page {
                // One that does not verify was logged; who asks for the vault is refused by `find`.
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
    ///
    /// # Errors
    /// Also [`Reason::Internal`], with the name of the record, where that does not verify, or where it is missing and
    /// the vault holds certificates: its settings are not known, and they are never those of another one.
    pub async fn find(&self, name: &VaultName) -> Result<Vault> {
        if self.known(name).is_none() {
            match self.absent.ask(name, Instant::now()) {
                Miss::Ask => match self.look_up(name).await? {
                    Ok(Some(vault)) => self.learn(vault),
                    Ok(None) => self.absent.note(name, None, Instant::now()),
                    Err(refusal) => {
                        self.absent.note(name, Some(refusal.clone()), Instant::now());
                        return Err(refusal);
                    }
                },
                Miss::Absent => {}
                Miss::Refused(refusal) => return Err(refusal),
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

    /// What the store says of a vault, and in the inner result why it is refused.
    async fn look_up(&self, name: &VaultName) -> Result<Result<Option<Vault>>> {
        let key = key::vault(name);
        Ok(match self.store.get(key.as_str()).await? {
            Some(record) => self.records.read(&record).map(Some),
            None if !self.on_demand && contents::holds_something(&*self.store, name).await? => {
                Err(self.records.missing_vault(name))
            }
            None => Ok(None),
        })
    }

    /// As [`Vaults::find`], where only its being there matters.
    pub(in crate::service) async fn require(&self, name: &VaultName) -> Result<()> {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(name) {
            return Ok(());
        }
        self.find(name).await.map(|_| ())
    }

    pub(super) fn known(&self, name: &VaultName) -> Option<Vault> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The least that a vault may be made with whose name is in use already: what held so far, or what nobody knows.
    pub(super) async fn floor(&self, name: &VaultName) -> Result<Option<VaultSettings>> {
        let used = contents::holds_something(&*self.store, name).await?;
        Ok(used.then_some(if self.on_demand { self.defaults } else { VaultSettings::STRICTEST }))
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

    pub(super) fn learn(&self, vault: Vault) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(vault.name.clone()).or_insert(vault);
    }

    /// The names of all vaults.
    pub(in crate::service) async fn all_names(&self) -> Result<Vec<VaultName>> {
        let (mut names, mut after) = (Vec::new(), String::new());
        loop {
            let (vaults, position) = self.page(&after, MAX_PAGE).await?;
            names.extend(vaults.into_iter().map(|vault| vault.name));
            let Some(position) = position else { return Ok(names) };
            after = position;
        }
    }

    /// One page after the name, which reads one page of the store, and the name behind which there is more.
    pub(super) async fn page(&self, after: &str, size: usize) -> Result<(Vec<Vault>, Option<String>)> {
        let size = if self.on_demand { size.min(ON_DEMAND_PAGE) } else { size };
        let prefix = Kind::Vault.prefix();
        let records = self.store.list(prefix, &format!("{prefix}{after}"), size + 1).await?;
        // Vaults behind it are of a later page: not all of them were read.
        let made_end = records.get(size).and_then(|record| record.key.strip_prefix(prefix)).map(str::to_owned);
        let used = if self.on_demand { used::used(&*self.store, after, size + 1).await? } else { BTreeSet::new() };
        let used_end = used.iter().nth(size).map(VaultName::to_string);
        let end = made_end.into_iter().chain(used_end).min();
        // One that does not verify was logged: the list goes on without it, and it is no vault that came by its use.
        let (made, refused): (Vec<_>, Vec<_>) = records
            .iter()
            .map(|record| self.records.read::<Vault>(record).map_err(|_| &record.key))
            .partition(Result::is_ok);
        let refused: BTreeSet<&str> = refused.into_iter().filter_map(|it| it.err()?.strip_prefix(prefix)).collect();
        let mut vaults: BTreeMap<VaultName, Vault> = used
            .into_iter()
            .filter(|name| !refused.contains(name.as_str()))
            .map(|name| (name.clone(), Vault { name, settings: self.defaults, created: None }))
            .collect();
        vaults.extend(made.into_iter().flatten().map(|vault| (vault.name.clone(), vault)));
        // What the configuration says of a vault wins.
        let within = |name: &str| name > after && end.as_deref().is_none_or(|end| name <= end);
        let configured = self.configured.iter().filter(|(name, _)| within(name.as_str()));
        vaults.extend(configured.map(|(name, vault)| (name.clone(), vault.clone())));
        vaults.retain(|name, _| within(name.as_str()));
        let more = vaults.len() > size;
        let vaults: Vec<Vault> = vaults.into_values().take(size).collect();
        let position = if more { vaults.last().map(|vault| vault.name.to_string()) } else { end };
        Ok((vaults, position))
    }
}
